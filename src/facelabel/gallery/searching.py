"""The faces of pictures, searched among the references of a collection.

The mean of a person's references is one reference more. What several pictures of somebody have in
common is the person; light, pose and age of each are averaged away. So a face is compared with the
mean as well, and the better of the two counts. A person without a reference among the nearest is
not looked at: the mean lies between references, and helps whom they nearly show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from facelabel.core.model import Hit, ProbeFace, ProbeResult
from facelabel.gallery import footing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from facelabel.core.model import Analysis, EnrolledFace
    from facelabel.gallery.ports import FaceEngine, Templates, VectorIndex
    from facelabel.rekognition.types import Reference

    #: Reference faces with their L2 distance, nearest first.
    Neighbours = Sequence[tuple[EnrolledFace, float]]
    Vector = npt.NDArray[np.float64]

#: Reference faces looked at first; more only where they do not show enough people.
NEIGHBOURS = 16
WIDEN = 4
#: Whoever has more references is known from every side, and reading them all for the mean would
#: take long.
MOST = 100


@dataclass(frozen=True, slots=True)
class _Look:
    """What the search for one face came upon."""

    near: Sequence[tuple[Reference, float]] = ()
    #: Distance of the farthest it looked at, infinite where it looked at all there are.
    reach: float = math.inf
    #: Row numbers of faces that have no name, or were deleted just then.
    nameless: Sequence[int] = ()

    @property
    def people(self) -> set[str]:
        """Who is among the nearest."""
        return {reference.face.person for reference, _ in self.near}

    def telling(self) -> Neighbours:
        """Return the nearest, and of those beyond the first of each other person."""
        near = [(reference.face, distance) for reference, distance in self.near]
        nearest, beyond = near[:NEIGHBOURS], near[NEIGHBOURS:]
        others = {face.person: (face, distance) for face, distance in reversed(beyond)}
        for face, _ in nearest:
            others.pop(face.person, None)
        return [*nearest, *sorted(others.values(), key=itemgetter(1))]


class Searcher:
    """Searches collections; threads may share it."""

    def __init__(self, templates: Templates, index: VectorIndex, min_people: int) -> None:
        """``min_people``: how many the hits of a face show at least, where there are so many."""
        self._templates = templates
        self._index = index
        self._min_people = min_people
        #: Where a collection was, and how many faces with names it had there.
        self._counted: dict[int, tuple[tuple[int, int], int]] = {}

    def portraits(self, number: int, position: tuple[int, int] | None = None) -> int:
        """How many reference faces a searched one is compared with.

        Those that nobody can be named by do not count. ``position``: of the collection, where
        that was asked for just now.
        """
        position = position or self._templates.position(number)
        known, count = self._counted.get(number, (None, 0))
        if known != position:
            count = self._index.size(number) - self._templates.nameless(number)
            if self._templates.position(number) == position:
                self._counted[number] = position, count
        return count

    def probe_results(
        self, number: int, engine: FaceEngine, analyses: Sequence[Analysis]
    ) -> list[ProbeResult]:
        """Search the faces of all pictures at once."""
        vectors = [template.vector for seen in analyses for template in seen.templates]
        before = self._templates.position(number)
        portraits = self.portraits(number, before)
        looks, moved = self._look(number, vectors, before)
        means, after = self._means(number, looks, before)
        moved = moved or after != before
        waiting = iter(looks)
        made = []
        for analysis in analyses:
            some = [next(waiting) for _ in analysis.templates]
            faces = tuple(
                ProbeFace(
                    template.face,
                    hits(engine, with_means(template.vector, look.telling(), means)),
                )
                for template, look in zip(analysis.templates, some, strict=True)
            )
            note = None
            if not moved:  # nobody knows what looks saw during which the collection changed
                reaches = [look.reach for look in some]
                rows = {reference.first_row for look in some for reference, _ in look.near}
                rows.update(row for look in some for row in look.nameless)
                at, people = footing.Position(*before), self._min_people
                note = footing.Note.of(number, people, engine.curve, at, reaches, rows).pack()
            model = f"facelabel {engine.model}"
            made.append(
                ProbeResult(faces, analysis.left_out, model, note=note, portraits=portraits)
            )
        return made

    def hits(self, number: int, engine: FaceEngine, vector: bytes) -> tuple[Hit, ...]:
        """The references nearest to one face."""
        position = self._templates.position(number)
        (look,), _ = self._look(number, [vector], position)
        means, _ = self._means(number, [look], position)
        return hits(engine, with_means(vector, look.telling(), means))

    def neighbours(self, number: int, vectors: Sequence[bytes]) -> list[Neighbours]:
        """The nearest faces of each, of two people at least where there are so many."""
        looks, _ = self._look(number, vectors, self._templates.position(number))
        return [look.telling() for look in looks]

    def _look(
        self, number: int, vectors: Sequence[bytes], position: tuple[int, int]
    ) -> tuple[list[_Look], bool]:
        """Widen the search of each face until enough people appear or all faces were seen.

        Also say whether the collection is no longer what it was at that position.
        """
        found = [_Look()] * len(vectors)
        waiting, count, moved = list(range(len(vectors))), NEIGHBOURS, False
        while waiting:
            near = self._index.search(number, [vectors[at] for at in waiting], count, position)
            wanted = {row for rows in near for row, _ in rows}
            references, as_of = self._templates.references(number, sorted(wanted))
            moved = moved or as_of != position
            named = {row: one for row, one in references.items() if one.face.person}
            for at, rows in zip(waiting, near, strict=True):
                found[at] = _Look(
                    [(named[row], distance) for row, distance in rows if row in named],
                    rows[-1][1] if len(rows) == count else math.inf,
                    [row for row, _ in rows if row not in named],
                )
            full = [at for at in waiting if found[at].reach < math.inf]
            waiting = [at for at in full if len(found[at].people) < self._min_people]
            count *= WIDEN
        return found, moved

    def _means(
        self, number: int, looks: Sequence[_Look], position: tuple[int, int]
    ) -> tuple[Mapping[str, Vector], tuple[int, int]]:
        """The mean of the references of everybody among the nearest who has several.

        Also the position of the collection as of which they are: that one where nobody has.
        """
        several = {
            reference.face.person
            for look in looks
            for reference, _ in look.near
            if reference.has_others
        }
        if not several:
            return {}, position
        references, after = self._templates.vectors_of_people(number, several, MOST)
        return mean_vectors(references), after


def hits(engine: FaceEngine, neighbours: Neighbours) -> tuple[Hit, ...]:
    """The same with similarities."""
    return tuple(
        Hit(face.face_id, face.person, engine.similarity(distance)) for face, distance in neighbours
    )


def mean_vectors(references: Mapping[str, Sequence[bytes]]) -> Mapping[str, Vector]:
    """The mean of each person's unit vectors, as a unit vector; none where they cancel out."""
    sums = {
        person: np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1).sum(
            axis=0, dtype=np.float64
        )
        for person, vectors in references.items()
    }  # fmt: skip
    lengths = {person: float(np.linalg.norm(total)) for person, total in sums.items()}
    return {person: total / lengths[person] for person, total in sums.items() if lengths[person]}


def with_means(vector: bytes, near: Neighbours, means: Mapping[str, Vector]) -> Neighbours:
    """Where the mean of somebody is nearer than all their references, it stands for the nearest.

    A mean has no picture that could be shown: the reference that explains it is the nearest one.
    """
    if not means:
        return near
    found, seen = [], set()
    face = np.frombuffer(vector, "<f4").astype(np.float64)
    for reference, distance in near:
        mean = means.get(reference.person)
        if mean is not None and reference.person not in seen:
            distance = min(distance, float(np.linalg.norm(face - mean)))  # noqa: PLW2901 - the better
        seen.add(reference.person)
        found.append((reference, distance))
    return sorted(found, key=itemgetter(1))
