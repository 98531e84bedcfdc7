"""The recogniser that runs whole on this computer: an engine, the vectors, an index over them."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from facelabel.core import quality
from facelabel.core.model import EnrolledFace, Hit, Reason
from facelabel.errors import AlreadyExists, ConfigurationError, NotFound, Rejected
from facelabel.gallery import footing
from facelabel.gallery.searching import Searcher, hits
from facelabel.rekognition.types import NewFace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import (
        Analysis,
        Asset,
        Hit,
        Noted,
        ProbeResult,
        SearchRecord,
        Template,
    )
    from facelabel.gallery.ports import FaceEngine, FaceStore, Probes, Templates, VectorIndex
    from facelabel.rekognition.types import FaceCollection

#: Reference faces added at most since pictures were looked at for the pictures to be told apart
#: that are not affected: beyond that hardly one is.
MOST_ADDED = 4096

#: Of the ids of enrolled faces. Those that clients index have another one: where both meet in a
#: collection they are two faces.
_FACES = uuid.UUID("5f0e1c34-6f0c-5b7e-9a53-2d7a0a1f6c11")


class LocalGallery:
    """An engine for each model, the collections, and the index over their vectors.

    What the pipeline's recogniser and Rekognition's endpoint share of the faces here.
    """

    def __init__(
        self, engine: Callable[[str | None], FaceEngine], store: FaceStore, index: VectorIndex
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections."""
        self.engine = engine
        self._store = store
        self._index = index

    def create(self, collection: str, tags: Mapping[str, str] | None = None) -> FaceCollection:
        """Make an empty collection for the engine's present model; AlreadyExists."""
        engine = self.engine(None)
        return self._store.create(collection, engine.model, engine.dimensions, tags)

    def numbers(self, collection: str) -> Sequence[int]:
        """What the vectors of a collection are derived under; nothing without the collection."""
        try:
            return self._store.find(collection).numbers
        except NotFound:
            return ()

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; NotFound."""
        numbers = self._store.find(collection).numbers
        for number in numbers:  # first: once the number is gone, nobody finds its files
            self._index.drop(number)
        try:
            self._store.drop(collection)  # NotFound where another process was quicker
        finally:
            for number in numbers:  # again: a search in between may have made new ones
                self._index.drop(number)

    def erase(self, collection: str) -> None:
        """Erase what was deleted from what was derived of it, now and not with the next search."""
        for number in self.numbers(collection):
            self._index.search(number, (), 1)

    def nearest(
        self, model: str, number: int, vector: bytes, threshold: float, limit: int
    ) -> list[tuple[int, float]]:
        """Row numbers with their similarities, most similar first."""
        engine = self.engine(model)
        (near,) = self._index.search(number, [vector], limit)
        alike = ((row, engine.similarity(distance)) for row, distance in near)
        return [(row, similarity) for row, similarity in alike if similarity >= threshold]


class LocalRecognizer:
    """Enrol, identify and forget with engines of our own."""

    def __init__(
        self,
        engine: Callable[[str | None], FaceEngine],
        templates: Templates,
        index: VectorIndex,
        probes: Probes,
        *,
        min_people: int = 2,
        most_added: int = MOST_ADDED,
        on_create: Callable[[], None] = lambda: None,
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections.

        ``min_people``: how many people the hits of a face show at least, where there are so many.
        ``most_added``: how many faces that came since are gone through at most.
        ``on_create``: called before a collection is made.
        """
        self._local = LocalGallery(engine, templates, index)
        self._templates = templates
        self._index = index
        self._probes = probes
        self._searcher = Searcher(templates, index, min_people)
        self._min_people = min_people
        self._most_added = most_added
        self._on_create = on_create

    def create(self, collection: str) -> None:
        """Make an empty collection for the engine's present model; no error if it exists."""
        try:
            self._templates.find(collection)  # first: it may spare an engine
        except NotFound:
            self._on_create()
            with suppress(AlreadyExists):
                self._local.create(collection)

    def drop(self, collection: str) -> None:
        """Delete a collection with all its faces; no error if there is none."""
        with suppress(NotFound):
            self._local.drop(collection)

    def strangers(self, collection: str, model: str) -> int:
        """How many faces of clients in a collection one of that model could not take over."""
        with suppress(NotFound):
            found = self._templates.find(collection)
            if found.model != model:
                return self._templates.strangers(found.number)
        return 0

    def supersede(self, collection: str, heir: str, *, lossy: bool = False) -> None:
        """Delete a collection; its heir takes over the faces of clients, their users and its tags.

        Raises Rejected, nothing done, if faces of clients would be lost, unless that is meant.
        """
        numbers = self._local.numbers(collection)
        self._templates.supersede(collection, heir, lossy=lossy)
        for number in numbers:  # a process that dies before leaves files that the next start drops
            self._index.drop(number)

    def collections(self) -> Sequence[str]:
        """Names of all collections."""
        return self._templates.names()

    def model(self, collection: str) -> str:
        """Return the model of the collection's faces; NotFound if there is no collection."""
        return self._templates.find(collection).model

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """Learn the one usable face of the image. Same image and person again: same face.

        Faces too small or too uncertain to enrol may stand in the background. Raises
        UnreadableImage, or UnusableFace with the reason.
        """
        gallery = self._templates.find(collection)
        digest = hashlib.sha256(image).hexdigest()
        face_id = str(uuid.uuid5(_FACES, f"{collection}/{digest}/{person}"))
        if known := next(self._templates.enrolled(gallery.number, [face_id]), None):
            return known
        template = _usable(self._local.engine(gallery.model).analyse(image))
        new = NewFace(face_id, digest, None, person, template, asset.asset_id)
        self._templates.add(collection, [new])
        return EnrolledFace(face_id, person, asset.asset_id)

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good; unknown ones are no error."""
        self._templates.delete(collection, face_ids)
        self._local.erase(collection)

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every reference face of the collection, or those of the given ids that exist.

        Faces that a client has put there without a name are none.
        """
        number = self._templates.find(collection).number
        return (face for face in self._templates.enrolled(number, face_ids) if face.person)

    def portraits(self, collection: str) -> int | None:
        """How many reference faces a searched one is compared with."""
        return self._searcher.portraits(self._templates.find(collection).number)

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> ProbeResult:
        """Find every face of the image and the references nearest to each.

        With an asset, what :meth:`search_stored` needs is kept. No face is a result, not an error.
        Raises UnreadableImage, and ConfigurationError where the model is not calibrated.
        """
        number, engine = self._opened(collection)
        analysis = engine.analyse(image)
        if asset:
            self._probes.keep(asset, engine.model, analysis)
        return self._searcher.probe_results(number, engine, [analysis])[0]

    def search(self, collection: str, vector: bytes) -> tuple[Hit, ...]:
        """The references nearest to a face of that embedding, of two people at least.

        Raises Rejected if it is not as long as those of the collection's model.
        """
        number, engine = self._opened(collection)
        if len(vector) != 4 * engine.dimensions:
            raise Rejected(
                f"embeddings of {engine.model} have {engine.dimensions} numbers,"
                f" not {len(vector) // 4}"
            )
        return self._searcher.hits(number, engine, vector)

    def search_stored(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """Search again, without images, the faces seen in these pictures, by asset_id."""
        number, engine = self._opened(collection)
        versions = {search.asset_id: search.version for search in searches}
        kept = self._probes.kept(list(versions), engine.model)
        seen = {
            key: analysis for key, (version, analysis) in kept.items() if version == versions[key]
        }
        found = self._searcher.probe_results(number, engine, list(seen.values()))
        return dict(zip(seen, found, strict=True))

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """For each reference face the most similar one of somebody else; absent without one."""
        number, engine = self._opened(collection)
        vectors = self._templates.vectors_of(number, face_ids)
        people = {f.face_id: f.person for f in self._templates.enrolled(number, list(vectors))}
        near = self._searcher.neighbours(number, [vector for _, vector in vectors.values()])
        others = {
            face_id: [(face, far) for face, far in found if face.person != people.get(face_id)]
            for face_id, found in zip(vectors, near, strict=True)
        }
        with suppress(ConfigurationError):  # nobody is named either while nothing is calibrated
            return {
                face_id: hits(engine, found[:1])[0] for face_id, found in others.items() if found
            }
        return {}

    def unmoved(self, collection: str, searches: Sequence[Noted]) -> Mapping[str, bytes]:
        """Say of which pictures :meth:`search_stored` would still say what it did."""
        number, engine = self._opened(collection)
        position = footing.Position(*self._templates.position(number))  # first: what comes is seen
        made = footing.read(
            searches, collection=number, people=self._min_people, curve=engine.curve
        )
        looks, changes = self._changes(number, made)
        found: dict[str, bytes] = {}
        for some in footing.portions(looks):
            kept = self._probes.kept_vectors([look.asset_id for look in some], engine.model)
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
        if not looks:
            return looks, footing.Changes((), ())
        departed = self._templates.deletions(number, footing.oldest(looks).deletion)
        unknown = max((deletion for deletion, _, first in departed if first is None), default=0)
        looks = footing.since(looks, footing.Position(0, unknown))
        gone = [(at, row, first) for at, row, first in departed if first is not None]
        return looks, footing.Changes(self._added(number, looks), gone)

    def _added(
        self, number: int, looks: Sequence[footing.Look]
    ) -> Sequence[tuple[int, int, bytes]]:
        """Row number, first row of that person, vector of each face that came since."""
        if not looks:
            return ()
        since = footing.oldest(looks).row
        vectors = self._templates.vectors(number, since, self._most_added)
        faces, _ = self._templates.references(number, [row for row, _ in vectors])
        first = {row: one.first_row for row, one in faces.items() if one.face.person}
        return [(row, first.get(row, row), vector) for row, vector in vectors]

    def discard(self, asset_id: str) -> None:
        """Delete what :meth:`identify` kept of a picture."""
        self._probes.discard(asset_id)

    def _opened(self, collection: str) -> tuple[int, FaceEngine]:
        """The number of a collection, and the engine of its faces; NotFound."""
        gallery = self._templates.find(collection)
        return gallery.number, self._local.engine(gallery.model)


def _usable(analysis: Analysis) -> Template:
    """Return the one face good enough to enrol."""
    unseen = sum(not {*face.reasons} - {Reason.EXCEEDS_MAX_FACES} for face in analysis.left_out)
    faces = [template.face for template in analysis.templates]
    return analysis.templates[quality.select_enrolment_face(faces, unseen)]
