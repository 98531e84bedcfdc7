"""The recogniser that runs whole on this computer: an engine, the vectors, an index over them."""

from __future__ import annotations

import hashlib
import math
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel import quality
from facelabel.adapters.local_recognizer import footing
from facelabel.adapters.local_recognizer import means as means_
from facelabel.errors import ConfigurationError, NotFound, Rejected
from facelabel.model import EnrolledFace, Hit, Reason, SearchedFace, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.model import Analysis, Asset, Noted, Search, Template
    from facelabel.ports import FaceEngine, Templates, VectorIndex

    #: Reference faces with their L2 distance, nearest first.
    Neighbours = Sequence[tuple[EnrolledFace, float]]

#: Reference faces looked at first; more only where they do not show enough people.
NEIGHBOURS = 16
WIDEN = 4
#: Reference faces added at most since pictures were looked at for the pictures to be told apart
#: that are not affected: beyond that hardly one is.
MOST_ADDED = 4096

_FACES = uuid.UUID("5f0e1c34-6f0c-5b7e-9a53-2d7a0a1f6c11")


@dataclass(frozen=True, slots=True)
class _Look:
    """What the search for one face came upon."""

    near: Neighbours = ()
    #: Distance of the farthest it looked at, infinite where it looked at all there are.
    reach: float = math.inf
    #: Row numbers of faces that have no name, or were deleted just then.
    nameless: Sequence[int] = ()


class LocalRecognizer:
    """Enrol, identify and forget with engines of our own."""

    def __init__(
        self,
        engine: Callable[[str | None], FaceEngine],
        templates: Templates,
        index: VectorIndex,
        *,
        min_people: int = 2,
        most_added: int = MOST_ADDED,
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections.

        ``min_people``: how many people the hits of a face show at least, where there are so many.
        ``most_added``: how many faces that came since are gone through at most.
        """
        self._engine = engine
        self._templates = templates
        self._index = index
        self._min_people = min_people
        self._most_added = most_added
        # By the number of a collection, which is never another one's.
        self._models: dict[int, str] = {}
        #: Where it was, and how many faces with names it had there.
        self._counted: dict[int, tuple[tuple[int, int], int]] = {}

    def create(self, collection: str) -> None:
        """Make an empty collection for the engine's present model; no error if it exists."""
        if self._templates.model(collection) is None:
            engine = self._engine(None)
            self._templates.create(collection, engine.model, engine.dimensions)

    def drop(self, collection: str) -> None:
        """Delete a collection with all its faces; no error if there is none."""
        numbers = self._numbers(collection)
        for number in numbers:  # first: once the number is gone, nobody finds its files
            self._index.drop(number)
        self._templates.drop(collection)
        for number in numbers:  # again: a search in between may have made new ones
            self._index.drop(number)

    def strangers(self, collection: str, model: str) -> int:
        """How many faces of clients in a collection one of that model could not take over."""
        same = self._templates.model(collection) == model
        return 0 if same else self._templates.strangers(collection)

    def supersede(self, collection: str, heir: str, *, lossy: bool = False) -> None:
        """Delete a collection; its heir takes over the faces of clients, their users and its tags.

        Raises Rejected, nothing done, if faces of clients would be lost, unless that is meant.
        """
        numbers = self._numbers(collection)
        self._templates.supersede(collection, heir, lossy=lossy)
        for number in numbers:  # a process that dies before leaves files that the next start drops
            self._index.drop(number)

    def collections(self) -> Sequence[str]:
        """Names of all collections."""
        return self._templates.collections()

    def model(self, collection: str) -> str:
        """Return the model of the collection's faces; NotFound if there is no collection."""
        if (model := self._templates.model(collection)) is None:
            raise NotFound(f"there is no collection {collection!r}")
        return model

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """Learn the one usable face of the image. Same image and person again: same face.

        Faces too small or too uncertain to enrol may stand in the background. Raises
        UnreadableImage, or UnusableFace with the reason.
        """
        model = self.model(collection)
        digest = hashlib.sha256(image).hexdigest()
        face_id = str(uuid.uuid5(_FACES, f"{collection}/{digest}/{person}"))
        if known := next(self._templates.faces(collection, [face_id]), None):
            return known
        template = _usable(self._engine(model).analyse(image))
        face = EnrolledFace(face_id, person, asset.asset_id)
        self._templates.add(collection, face, template, digest)
        return face

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good; unknown ones are no error."""
        self._number(collection)
        self._templates.delete(collection, face_ids)
        for number in self._numbers(collection):
            self._index.search(number, (), 1)  # erases them from what was derived, and not later

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every reference face of the collection, or those of the given ids that exist.

        Faces that a client has put there without a name are none.
        """
        self._number(collection)
        return (face for face in self._templates.faces(collection, face_ids) if face.person)

    def portraits(self, collection: str) -> int | None:
        """How many reference faces a searched one is compared with."""
        number = self._number(collection)
        return self._portraits(number, self._templates.position(number))

    def _portraits(self, number: int, position: tuple[int, int]) -> int:
        """Those that nobody can be named by do not count."""
        known, count = self._counted.get(number, (None, 0))
        if known != position:
            count = self._index.size(number) - self._templates.nameless(number)
            if self._templates.position(number) == position:
                self._counted[number] = position, count
        return count

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> Sighting:
        """Find every face of the image and the references nearest to each.

        With an asset, what :meth:`recall` needs is kept. No face is a result, not an error.
        Raises UnreadableImage, and ConfigurationError where the model is not calibrated.
        """
        number = self._number(collection)
        engine = self._engine(self._model(number, collection))
        analysis = engine.analyse(image)
        if asset:
            self._templates.keep(asset, engine.model, analysis)
        return self._sightings(number, engine, [analysis])[0]

    def search(self, collection: str, vector: bytes) -> tuple[Hit, ...]:
        """The references nearest to a face of that embedding, of two people at least.

        Raises Rejected if it is not as long as those of the collection's model.
        """
        number = self._number(collection)
        engine = self._engine(self._model(number, collection))
        if len(vector) != 4 * engine.dimensions:
            raise Rejected(
                f"embeddings of {engine.model} have {engine.dimensions} numbers,"
                f" not {len(vector) // 4}"
            )
        (look,) = self._look(number, [vector])
        references = self._templates.references(number, _people(look.near), means_.MOST)
        return _hits(engine, means_.nearer(vector, _telling(look.near), means_.of(references)))

    def recall(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """Search again, without images, the faces seen in these pictures, by asset_id."""
        number = self._number(collection)
        engine = self._engine(self._model(number, collection))
        versions = {search.asset_id: search.version for search in searches}
        kept = self._templates.kept(list(versions), engine.model)
        seen = {
            key: analysis for key, (version, analysis) in kept.items() if version == versions[key]
        }
        return dict(zip(seen, self._sightings(number, engine, list(seen.values())), strict=True))

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """For each reference face the most similar one of somebody else; absent without one."""
        number = self._number(collection)
        engine = self._engine(self._model(number, collection))
        vectors = self._templates.vectors_of(collection, face_ids)
        people = {face.face_id: face.person for face in self.faces(collection, list(vectors))}
        with suppress(ConfigurationError):  # nobody is named either while nothing is calibrated
            return self._rivals(number, engine, vectors, people)
        return {}

    def _rivals(
        self,
        number: int,
        engine: FaceEngine,
        vectors: Mapping[str, bytes],
        people: Mapping[str, str],
    ) -> Mapping[str, Hit]:
        near = zip(vectors, self._neighbours(number, list(vectors.values())), strict=True)
        others = {
            face_id: [(face, far) for face, far in found if face.person != people.get(face_id)]
            for face_id, found in near
        }
        return {face_id: _hits(engine, found[:1])[0] for face_id, found in others.items() if found}

    def unmoved(self, collection: str, searches: Sequence[Noted]) -> Mapping[str, bytes]:
        """Say of which pictures :meth:`recall` would answer the same as when they were noted."""
        number = self._number(collection)
        model = self._model(number, collection)
        engine = self._engine(model)
        position = footing.Position(*self._templates.position(number))  # first: what comes is seen
        made = footing.read(
            searches, collection=number, people=self._min_people, curve=engine.curve
        )
        looks, changes = self._changes(number, made)
        found: dict[str, bytes] = {}
        for some in footing.portions(looks):
            kept = self._templates.kept_vectors([look.asset_id for look in some], model)
            found |= footing.unmoved(some, kept, changes, position, dimensions=engine.dimensions)
        return found

    def _changes(
        self, number: int, looks: Sequence[footing.Look]
    ) -> tuple[Sequence[footing.Look], footing.Changes]:
        """What happened to a collection since these looks; those of which all that is known.

        It is not where more was added than is worth going through, and where a process of an
        older program deleted somebody and did not say whom.
        """
        behind = self._templates.row_before(number, self._most_added)
        looks = footing.since(looks, footing.Position(behind, 0))
        departed = self._departed(number, looks)
        unknown = max((deletion for deletion, _, first in departed if first is None), default=0)
        looks = footing.since(looks, footing.Position(0, unknown))
        gone = [(at, row, first) for at, row, first in departed if first is not None]
        return looks, footing.Changes(self._added(number, looks), gone)

    def _departed(
        self, number: int, looks: Sequence[footing.Look]
    ) -> Sequence[tuple[int, int, int | None]]:
        if not looks:
            return ()
        return self._templates.departed(number, footing.oldest(looks).deletion)

    def _added(
        self, number: int, looks: Sequence[footing.Look]
    ) -> Sequence[tuple[int, int, bytes]]:
        """Row number, first row of that person, vector of each face that came since."""
        if not looks:
            return ()
        since = footing.oldest(looks).row
        vectors = self._templates.vectors(number, since, self._most_added)
        faces = self._templates.labels(number, [row for row, _ in vectors])
        first = self._templates.first_rows(number, {face.person for face in faces.values()})
        people = {row: face.person for row, face in faces.items()}
        return [(row, first.get(people.get(row, ""), row), vector) for row, vector in vectors]

    def discard(self, asset_id: str) -> None:
        """Delete what :meth:`identify` kept of a picture."""
        self._templates.discard(asset_id)

    def _number(self, collection: str) -> int:
        if (number := self._templates.collection_id(collection)) is None:
            raise NotFound(f"there is no collection {collection!r}")
        return number

    def _model(self, number: int, collection: str) -> str:
        if number not in self._models:
            self._models[number] = self.model(collection)
        return self._models[number]

    def _numbers(self, collection: str) -> list[int]:
        """What the vectors of the collection and those of its users are derived under."""
        numbers = (self._templates.collection_id(collection), self._templates.users_id(collection))
        return [number for number in numbers if number is not None]

    def _sightings(
        self, number: int, engine: FaceEngine, analyses: Sequence[Analysis]
    ) -> list[Sighting]:
        """Search the faces of all pictures at once."""
        vectors = [template.vector for seen in analyses for template in seen.templates]
        before = self._templates.position(number)
        portraits = self._portraits(number, before)
        looks = iter(self._look(number, vectors))
        seen = [[next(looks) for _ in analysis.templates] for analysis in analyses]
        people = {person for look in _all(seen) for person in _people(look.near)}
        first = self._templates.first_rows(number, people)
        # The mean of the references of everybody among the nearest who has several.
        means = means_.of(self._templates.references(number, people, means_.MOST))
        sightings = [
            Sighting(
                tuple(
                    SearchedFace(template.face, _hits(engine, _compared(template, look, means)))
                    for template, look in zip(analysis.templates, faces, strict=True)
                ),
                analysis.left_out,
                f"facelabel {engine.model}",
                portraits=portraits,
            )
            for analysis, faces in zip(analyses, seen, strict=True)
        ]
        if self._templates.position(number) != before:  # nobody knows what these looks saw
            return sightings
        position = footing.Position(*before)
        return [
            replace(sighting, note=self._note(number, engine, position, faces, first))
            for sighting, faces in zip(sightings, seen, strict=True)
        ]

    def _note(
        self,
        number: int,
        engine: FaceEngine,
        position: footing.Position,
        looks: Sequence[_Look],
        first: Mapping[str, int],
    ) -> bytes:
        """What the looks at one picture depended on."""
        rows = {first[person] for look in looks for person in _people(look.near)}
        rows.update(row for look in looks for row in look.nameless)
        reaches = [look.reach for look in looks]
        note = footing.Note.of(number, self._min_people, engine.curve, position, reaches, rows)
        return note.pack()

    def _neighbours(self, number: int, vectors: Sequence[bytes]) -> list[Neighbours]:
        """The nearest faces of each, of two people at least where there are so many."""
        return [_telling(look.near) for look in self._look(number, vectors)]

    def _look(self, number: int, vectors: Sequence[bytes]) -> list[_Look]:
        """Widen the search of each face until enough people appear or all faces were seen."""
        found = [_Look()] * len(vectors)
        waiting, count = list(range(len(vectors))), NEIGHBOURS
        while waiting:
            near = self._index.search(number, [vectors[at] for at in waiting], count)
            faces = self._named(number, near)
            for at, rows in zip(waiting, near, strict=True):
                found[at] = _Look(
                    [(faces[row], distance) for row, distance in rows if row in faces],
                    rows[-1][1] if len(rows) == count else math.inf,
                    [row for row, _ in rows if row not in faces],
                )
            full = [at for at in waiting if found[at].reach < math.inf]
            waiting = [at for at in full if len(_people(found[at].near)) < self._min_people]
            count *= WIDEN
        return found

    def _named(
        self, number: int, near: Sequence[Sequence[tuple[int, float]]]
    ) -> Mapping[int, EnrolledFace]:
        """The faces of row numbers, without the nameless and those deleted since."""
        wanted = {row for rows in near for row, _ in rows}
        labels = self._templates.labels(number, sorted(wanted))
        return {row: face for row, face in labels.items() if face.person}


def _all(seen: Sequence[Sequence[_Look]]) -> Iterator[_Look]:
    return (look for looks in seen for look in looks)


def _compared(template: Template, look: _Look, means: Mapping[str, means_.Vector]) -> Neighbours:
    """The nearest of a face, where the mean of somebody's references counts as one, too."""
    return means_.nearer(template.vector, _telling(look.near), means)


def _people(neighbours: Neighbours) -> set[str]:
    return {face.person for face, _ in neighbours}


def _telling(neighbours: Neighbours) -> Neighbours:
    """Return the nearest, and of those beyond the first of each other person."""
    nearest, beyond = neighbours[:NEIGHBOURS], neighbours[NEIGHBOURS:]
    others = {face.person: (face, distance) for face, distance in reversed(beyond)}
    for person in _people(nearest):
        others.pop(person, None)
    return [*nearest, *sorted(others.values(), key=lambda other: other[1])]


def _hits(engine: FaceEngine, neighbours: Neighbours) -> tuple[Hit, ...]:
    return tuple(
        Hit(face.face_id, face.person, engine.similarity(distance)) for face, distance in neighbours
    )


def _usable(analysis: Analysis) -> Template:
    """Return the one face good enough to enrol."""
    unseen = sum(not {*face.reasons} - {Reason.EXCEEDS_MAX_FACES} for face in analysis.left_out)
    faces = [template.face for template in analysis.templates]
    return analysis.templates[quality.learnable(faces, unseen)]
