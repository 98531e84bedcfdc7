"""The people known in an evaluation, and searching them as the product does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from facelabel.core import matching
from facelabel.core.model import Hit, ProbeFace
from facelabel.evaluation import photos
from facelabel.evaluation.photos import Problem
from facelabel.evaluation.rates import Distances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from facelabel.core.model import FaceDecision, Template
    from facelabel.evaluation.labelled import Photo
    from facelabel.evaluation.photos import Seen, Vectors

    #: 0..100 for an L2 distance.
    Similarity = Callable[[float], float]

#: Nearest people each face is compared with by name, as many as the product looks at first.
NEIGHBOURS = 16
#: Rows compared with all others at once: bounds the memory.
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Gallery:
    """References by row."""

    people: tuple[str, ...]
    vectors: Vectors
    #: Pictures that could not be learnt, and why.
    failures: tuple[tuple[Path, str], ...] = ()

    def refused(self, root: Path) -> tuple[Problem, ...]:
        """The pictures that could not be learnt."""
        return tuple(Problem(photos.name_under(root, file), why) for file, why in self.failures)

    def nearest(self, template: Template) -> tuple[str, float]:
        """The person of the nearest reference and its L2 distance."""
        found = self._distances([template])[0]
        return self.people[at := int(found.argmin())], float(found[at])

    def search(
        self, templates: Sequence[Template], similarity: Similarity
    ) -> tuple[ProbeFace, ...]:
        """Each face with the nearest reference of the people nearest to it."""
        if not templates:
            return ()
        found = self._distances(templates)
        return tuple(
            ProbeFace(template.face, tuple(self._hits(row, similarity)))
            for template, row in zip(templates, found, strict=True)
        )

    @cached_property
    def _several(self) -> list[tuple[list[int], Vectors]]:
        """The rows of each person with several references, and their mean."""
        rows = defaultdict(list)
        for row, person in enumerate(self.people):
            rows[person].append(row)
        several = [some for some in rows.values() if len(some) > 1]
        sums = [self.vectors[some].sum(axis=0) for some in several]
        return [
            (some, total / np.linalg.norm(total))
            for some, total in zip(several, sums, strict=True)
            if total.any()
        ]

    def _distances(self, templates: Sequence[Template]) -> Vectors:
        """Of each face and reference; where somebody's mean is nearer, it is the nearest's."""
        probes = photos.matrix(templates)
        found = photos.distances(probes, self.vectors)
        for rows, mean in self._several:
            own = found[:, rows]
            places = np.arange(len(own)), own.argmin(axis=1)
            own[places] = np.minimum(own[places], photos.distances(probes, mean[None])[:, 0])
            found[:, rows] = own
        return found

    def _hits(self, distances: Vectors, similarity: Similarity) -> Iterator[Hit]:
        people: set[str] = set()
        for row in np.argsort(distances, kind="stable"):
            person = self.people[row]
            if person in people:
                continue
            people.add(person)
            yield Hit(str(row), person, similarity(float(distances[row])))
            if len(people) == NEIGHBOURS:
                return


@dataclass(frozen=True, slots=True)
class Namer:
    """Names the faces of pictures by the matching that names them in the product."""

    gallery: Gallery
    rules: matching.Rules
    similarity: Similarity

    def name(self, seen: Seen) -> tuple[FaceDecision, ...]:
        """One decision for each face of the picture."""
        found = self.gallery.search(seen.templates, self.similarity)
        return matching.assign(found, self.rules, portraits=len(self.gallery.people))

    def names(self, seen: Seen) -> set[str]:
        """Everyone who is recognised on the picture."""
        return {face.name for face in self.name(seen) if face.name}


def build_gallery(pictures: Sequence[Photo], seen: Mapping[Path, Seen]) -> Gallery:
    """Learn from pictures by the rule of training."""
    learnt = [(photo, photos.usable(seen[photo.file])) for photo in pictures]
    people = [(photo.person, face) for photo, face in learnt if not isinstance(face, str)]
    return Gallery(
        people=tuple(person for person, _ in people),
        vectors=photos.matrix([face for _, face in people]),
        failures=tuple((photo.file, face) for photo, face in learnt if isinstance(face, str)),
    )


def compare_all(faces: Sequence[tuple[str, Template]]) -> tuple[Distances, Distances]:
    """Distances of all pairs of one person, and of all pairs of two."""
    vectors = photos.matrix([template for _, template in faces])
    numbers = {person: number for number, (person, _) in enumerate(faces)}
    who = np.array([numbers[person] for person, _ in faces])
    genuine = impostor = Distances.of([])
    for start in range(0, len(faces), _BLOCK):
        block = slice(start, start + _BLOCK)
        found = photos.distances(vectors[block], vectors[start:])
        later = np.triu(np.ones(found.shape, bool), k=1)
        same = who[block, None] == who[None, start:]
        genuine += Distances.of(found[later & same])
        impostor += Distances.of(found[later & ~same])
    return genuine, impostor
