"""A recogniser of images that say who is on them."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING

from facelabel.core.model import EnrolledFace, Hit, ProbeFace, ProbeResult
from facelabel.errors import NotFound, Rejected, UnreadableImage, UnusableFace
from facelabel.testing.faces import some_face

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from facelabel.core.model import Asset, Noted, SearchRecord


class MemoryRecognizer:
    """Recognises the people an image of :func:`portrait` says it shows."""

    def __init__(self, model: str = "memory/1", *, keeps: bool = True) -> None:
        """Start with no collection; new ones get ``model``.

        ``keeps``: what :meth:`search_stored` needs. ``searched`` counts the faces searched for.
        """
        self.new_model = model
        self.searched = 0
        #: How often it was asked to learn.
        self.asked = 0
        #: What it says of its size; None: that nobody knows what its similarities mean.
        self.size: int | None = None
        self._keeps = keeps
        self._models: dict[str, str] = {}
        self._faces: dict[str, dict[str, EnrolledFace]] = {}
        self._shown: dict[tuple[str, str], str] = {}
        self._kept: dict[str, tuple[int, str, tuple[str, ...]]] = {}

    def create(self, collection: str) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self._models.setdefault(collection, self.new_model)
        self._faces.setdefault(collection, {})

    def drop(self, collection: str) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self._models.pop(collection, None)
        self._faces.pop(collection, None)

    def strangers(self, collection: str, model: str) -> int:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        if self._models.get(collection) in {None, model}:
            return 0
        return len(self._strangers(collection))

    def supersede(self, collection: str, heir: str, *, lossy: bool = False) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        if collection not in self._faces:
            return
        model = self.model(heir)
        if self.strangers(collection, model) and not lossy:
            raise Rejected("faces would be lost")
        for face_id, face in self._strangers(collection).items():
            if self._models[collection] == model:
                self._faces[heir].setdefault(face_id, face)
                self._shown[heir, face_id] = self._shown[collection, face_id]
        self.drop(collection)

    def _strangers(self, collection: str) -> dict[str, EnrolledFace]:
        return {i: face for i, face in self._faces[collection].items() if not face.is_traced}

    def collections(self) -> Sequence[str]:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        return sorted(self._faces)

    def model(self, collection: str) -> str:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self._gallery(collection)
        return self._models[collection]

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self.asked += 1
        gallery = self._gallery(collection)
        people = _people_on(image)
        if len(people) != 1:
            raise UnusableFace(f"{len(people) or 'no'} faces where one was expected")
        key = f"{collection}/{hashlib.sha256(image).hexdigest()}/{person}"
        face_id = str(uuid.uuid5(uuid.NAMESPACE_URL, key))
        self._shown[collection, face_id] = people[0]
        return gallery.setdefault(face_id, EnrolledFace(face_id, person, asset.asset_id))

    def learn_untraced(self, collection: str, person: str) -> str:
        """Add a face of a person as another program would, and return its id."""
        face_id = str(uuid.uuid4())
        self._shown[collection, face_id] = person
        self._gallery(collection)[face_id] = EnrolledFace(face_id, person)
        return face_id

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        for face_id in face_ids:
            self._gallery(collection).pop(face_id, None)

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        gallery = self._gallery(collection)
        wanted = gallery if face_ids is None else [f for f in face_ids if f in gallery]
        return iter([gallery[face_id] for face_id in wanted])

    def portraits(self, collection: str) -> int | None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self._gallery(collection)
        return self.size

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> ProbeResult:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        people = _people_on(image)
        model = self.model(collection)
        self.searched += len(people)
        if asset and self._keeps:
            self._kept[asset.asset_id] = (asset.version, model, people)
        return self._sighting(collection, people)

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        found = {}
        for face in self.faces(collection, face_ids):
            hits = self._hits(collection, self._shown[collection, face.face_id])
            others = [hit for hit in hits if hit.person != face.person]
            if others:
                found[face.face_id] = others[0]
        return found

    def search_stored(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        model = self.model(collection)
        found = {}
        for search in searches:
            version, kept_model, people = self._kept.get(search.asset_id, (0, "", ()))
            if (version, kept_model) == (search.version, model):
                found[search.asset_id] = self._sighting(collection, people)
        return found

    def unmoved(self, collection: str, searches: Sequence[Noted]) -> Mapping[str, bytes]:
        """See :class:`facelabel.recognition.ports.Recognizer`: found out by looking again."""
        model = self.model(collection)
        found = {}
        for one in searches:
            version, kept_model, people = self._kept.get(one.asset_id, (0, "", ()))
            if (version, kept_model) == (one.version, model):
                note = self._sighting(collection, people).note
                if note == one.note:
                    found[one.asset_id] = note
        return found

    def discard(self, asset_id: str) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self._kept.pop(asset_id, None)

    def _gallery(self, collection: str) -> dict[str, EnrolledFace]:
        if collection not in self._faces:
            raise NotFound(f"there is no collection {collection!r}")
        return self._faces[collection]

    def _sighting(self, collection: str, people: Sequence[str]) -> ProbeResult:
        hits = [self._hits(collection, person) for person in people]
        faces = [
            ProbeFace(some_face(left=i / max(len(hits), 1)), hit) for i, hit in enumerate(hits)
        ]
        note = repr((self.model(collection), hits)).encode() if self._keeps else None
        return ProbeResult(tuple(faces), (), self.model(collection), portraits=self.size, note=note)

    def _hits(self, collection: str, person: str) -> tuple[Hit, ...]:
        hits = [
            Hit(face.face_id, face.person, 99.0 if shown == person else 20.0)
            for face in self._faces[collection].values()
            for shown in [self._shown[collection, face.face_id]]
        ]
        return tuple(sorted(hits, key=lambda hit: -hit.similarity))


def _people_on(image: bytes) -> tuple[str, ...]:
    try:
        return tuple(json.loads(image)["people"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableImage from error
