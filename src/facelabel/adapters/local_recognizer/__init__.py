"""The recogniser that runs whole on this computer: an engine, the vectors, an index over them."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING

from facelabel import quality
from facelabel.adapters.local_recognizer import means as means_
from facelabel.errors import ConfigurationError, NotFound
from facelabel.model import EnrolledFace, Hit, Reason, SearchedFace, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.model import Analysis, Asset, Search, Template
    from facelabel.ports import FaceEngine, Templates, VectorIndex

    #: Reference faces with their L2 distance, nearest first.
    Neighbours = Sequence[tuple[EnrolledFace, float]]

#: Reference faces looked at first; more only where they do not show enough people.
NEIGHBOURS = 16
WIDEN = 4

_FACES = uuid.UUID("5f0e1c34-6f0c-5b7e-9a53-2d7a0a1f6c11")


class LocalRecognizer:
    """Enrol, identify and forget with engines of our own."""

    def __init__(
        self,
        engine: Callable[[str | None], FaceEngine],
        templates: Templates,
        index: VectorIndex,
        *,
        min_people: int = 2,
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections.

        ``min_people``: how many people the hits of a face show at least, where there are so many.
        """
        self._engine = engine
        self._templates = templates
        self._index = index
        self._min_people = min_people

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
        return self._portraits(self._number(collection))

    def _portraits(self, number: int) -> int:
        """Those that nobody can be named by do not count."""
        return self._index.size(number) - self._templates.nameless(number)

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> Sighting:
        """Find every face of the image and the references nearest to each.

        With an asset, what :meth:`recall` needs is kept. No face is a result, not an error.
        Raises UnreadableImage, and ConfigurationError where the model is not calibrated.
        """
        number = self._number(collection)
        engine = self._engine(self.model(collection))
        analysis = engine.analyse(image)
        if asset:
            self._templates.keep(asset, engine.model, analysis)
        return self._sightings(number, engine, [analysis])[0]

    def recall(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """Search again, without images, the faces seen in these pictures, by asset_id."""
        number = self._number(collection)
        engine = self._engine(self.model(collection))
        versions = {search.asset_id: search.version for search in searches}
        kept = self._templates.kept(list(versions), engine.model)
        seen = {
            key: analysis for key, (version, analysis) in kept.items() if version == versions[key]
        }
        return dict(zip(seen, self._sightings(number, engine, list(seen.values())), strict=True))

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """For each reference face the most similar one of somebody else; absent without one."""
        number = self._number(collection)
        engine = self._engine(self.model(collection))
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

    def discard(self, asset_id: str) -> None:
        """Delete what :meth:`identify` kept of a picture."""
        self._templates.discard(asset_id)

    def _number(self, collection: str) -> int:
        if (number := self._templates.collection_id(collection)) is None:
            raise NotFound(f"there is no collection {collection!r}")
        return number

    def _numbers(self, collection: str) -> list[int]:
        """What the vectors of the collection and those of its users are derived under."""
        numbers = (self._templates.collection_id(collection), self._templates.users_id(collection))
        return [number for number in numbers if number is not None]

    def _sightings(
        self, number: int, engine: FaceEngine, analyses: Sequence[Analysis]
    ) -> list[Sighting]:
        """Search the faces of all pictures at once."""
        vectors = [template.vector for seen in analyses for template in seen.templates]
        portraits = self._portraits(number)
        neighbours = self._neighbours(number, vectors)
        means = self._means(number, neighbours)
        near = map(means_.nearer, vectors, neighbours, repeat(means))
        return [
            Sighting(
                tuple(
                    SearchedFace(template.face, _hits(engine, next(near)))
                    for template in seen.templates
                ),
                seen.left_out,
                f"facelabel {engine.model}",
                portraits=portraits,
            )
            for seen in analyses
        ]

    def _means(self, number: int, near: Sequence[Neighbours]) -> Mapping[str, means_.Vector]:
        """The mean of the references of everybody among the nearest who has several."""
        people = {person for neighbours in near for person in _people(neighbours)}
        return means_.of(self._templates.references(number, people, means_.MOST))

    def _neighbours(self, number: int, vectors: Sequence[bytes]) -> list[Neighbours]:
        """Widen the search of each face until enough people appear or all faces were seen."""
        found: list[Neighbours] = [()] * len(vectors)
        waiting, count = list(range(len(vectors))), NEIGHBOURS
        while waiting:
            near = self._index.search(number, [vectors[at] for at in waiting], count)
            for at, neighbours in zip(waiting, self._labelled(number, near), strict=True):
                found[at] = neighbours
            full = [at for at, rows in zip(waiting, near, strict=True) if len(rows) == count]
            waiting = [at for at in full if len(_people(found[at])) < self._min_people]
            count *= WIDEN
        return [_telling(neighbours) for neighbours in found]

    def _labelled(
        self, number: int, near: Sequence[Sequence[tuple[int, float]]]
    ) -> Iterator[Neighbours]:
        """Put faces for row numbers, leaving out the nameless and those deleted since."""
        wanted = {row for rows in near for row, _ in rows}
        labels = self._templates.labels(number, sorted(wanted))
        faces = {row: face for row, face in labels.items() if face.person}
        for rows in near:
            yield [(faces[row], distance) for row, distance in rows if row in faces]


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
