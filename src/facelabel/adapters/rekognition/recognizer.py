"""The recogniser that Amazon runs: faces found and compared there, named and judged here.

Where our own detector finds the faces, learning a portrait costs one call and a photo one for each
face worth searching. Else there is one more to find them, but where people are searched as users,
as such a search tells of the photo's other faces, too.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from facelabel.adapters.rekognition.crops import Photo, is_same, judged, usable
from facelabel.adapters.rekognition.searches import FaceSearch, Found, Users, UserSearch
from facelabel.core.model import EnrolledFace, Face, ProbeFace, ProbeResult, Reason, asset_hash
from facelabel.core.quality import explain
from facelabel.errors import AlreadyExists, NotFound, Rejected, UnusableFace
from facelabel.images import Limits
from facelabel.rekognition import external_ids, parse
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.adapters.rekognition.client import Client, Raw
    from facelabel.core.model import Asset, Hit, Noted
    from facelabel.core.model import SearchRecord as Searched

    #: Faces of an image, as an engine of our own finds them.
    Detect: TypeAlias = Callable[[bytes], Sequence[Face]]

#: Faces in one call.
BATCH = 4096
#: How much of a face's size is kept around it; less where a neighbour came into the crop.
PADDING, TIGHT = 0.4, 0.1
_FACE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class RekognitionRecognizer:
    """Enrol, identify and forget with Amazon Rekognition."""

    def __init__(
        self,
        client: Client,
        *,
        limits: Limits | None = None,
        quality: QualityFilter = QualityFilter.NONE,
        detect: Detect | None = None,
        users: bool = False,
        parallel: int = 8,
    ) -> None:
        """Take a client, which all workers of a process share, and with it the pace.

        ``quality``: faces below are not searched for; none below AUTO is learnt. ``detect``:
        finds the faces of an image, largest first, instead of DetectFaces. ``users``: people are
        searched by their user vectors.
        ``parallel``: searches under way at one time, for all photos together.
        """
        self._client = client
        self._limits = limits or Limits()
        self._quality = quality
        self._learnt = QualityFilter.AUTO if quality is QualityFilter.NONE else quality
        self._detect = detect
        self._users = Users(client)
        self._by_users = users
        self._search = (
            UserSearch(client, quality, self._users) if users else FaceSearch(client, quality)
        )
        self._pool = ThreadPoolExecutor(parallel, "rekognition")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    # ---- collections

    def create(self, collection: str) -> None:
        """Make an empty collection; no error if it exists."""
        try:
            self._client.call("CreateCollection", CollectionId=collection)
        except AlreadyExists:
            return

    def drop(self, collection: str) -> None:
        """Delete a collection with all its faces; no error if there is none."""
        try:
            self._client.call("DeleteCollection", CollectionId=collection)
        except NotFound:
            return

    def strangers(self, collection: str, model: str) -> int:  # noqa: ARG002 - the port's
        """How many faces of others there are: Amazon gives away neither image nor vector."""
        try:
            pages = list(self._client.pages("ListFaces", CollectionId=collection, MaxResults=BATCH))
        except NotFound:
            return 0
        known = [parse.enrolled(face) for page in pages for face in page.get("Faces", ())]
        return sum(face is None or not face.is_traced for face in known)

    def supersede(
        self,
        collection: str,
        heir: str,
        *,
        lossy: bool = False,
    ) -> None:
        """Delete a collection; Rejected if faces of others would be lost, unless that is meant."""
        if not lossy and (lost := self.strangers(collection, heir)):
            raise Rejected(
                f"{lost} faces that others put into {collection!r} cannot be learnt anew: it stays;"
                " `facelabel index --rebuild --force` accepts the loss"
            )
        self.drop(collection)

    def collections(self) -> Sequence[str]:
        """Names of all collections."""
        pages = self._client.pages("ListCollections")
        return [name for page in pages for name in page.get("CollectionIds", ())]

    def model(self, collection: str) -> str:
        """Return the model of the collection's faces; NotFound if there is no collection."""
        answer = self._client.call("DescribeCollection", CollectionId=collection)
        return _model(answer.get("FaceModelVersion", ""))

    # ---- reference faces

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """Learn the one usable face of the image.

        The faces are counted before one is learnt: a photo of several never gets into a
        collection. Raises UnreadableImage, UnusableFace with the reason, or LabelRefused for a
        name that Amazon has no room for.
        """
        external_id = external_ids.encode(person, asset.asset_id)
        photo = Photo(image, self._limits)
        wanted = usable(self._faces_of(image, photo), photo.size)
        record = self._indexed(collection, photo.jpeg, external_id, wanted)
        face = EnrolledFace(record["FaceId"], person, asset.asset_id, asset_hash(asset.asset_id))
        if self._by_users:
            self._users.add(collection, face)
        return face

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good; unknown ones are no error."""
        for batch in _batches(face_ids):
            self._users.delete_faces(collection, batch)

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every reference face of the collection, or those of the given ids that exist.

        Faces that were indexed without saying whose they are do not count.
        """
        wanted = [{"FaceIds": batch} for batch in _batches(face_ids or ())]
        for choice in wanted if face_ids is not None else [{}]:
            pages = self._client.pages(
                "ListFaces", CollectionId=collection, MaxResults=BATCH, **choice
            )
            for page in pages:
                yield from filter(None, map(parse.enrolled, page.get("Faces", ())))

    def _indexed(self, collection: str, data: bytes, external_id: str, wanted: Face) -> Raw:
        """Index the face that is wanted and no other; return its record."""
        answer = self._client.call(
            "IndexFaces",
            CollectionId=collection,
            Image={"Bytes": data},
            ExternalImageId=external_id,
            MaxFaces=1,
            QualityFilter=self._learnt.value,
            DetectionAttributes=["DEFAULT"],
        )
        records: list[Raw] = [found["Face"] for found in answer.get("FaceRecords", ())]
        if not records:
            raise UnusableFace(_refusal(answer))
        if not is_same(parse.box(records[0]["BoundingBox"]), wanted.box):
            self.forget(collection, [record["FaceId"] for record in records])
            raise UnusableFace("another face than the largest one was learnt")
        return records[0]

    # ---- photos

    def identify(
        self,
        collection: str,
        image: bytes,
        asset: Asset | None = None,  # noqa: ARG002 - the port's: nothing is kept of it
    ) -> ProbeResult:
        """Find every face of the image and the references nearest to each.

        No face is a result, not an error. Raises UnreadableImage, NotFound.
        """
        photo = Photo(image, self._limits)
        if self._by_users and not self._detect:
            return self._searched_first(collection, photo)
        faces = [judged(face, photo.size, self._quality) for face in self._faces_of(image, photo)]
        good = [face for face in faces if not face.reasons]
        if len(faces) == len(good) == 1:
            found = [self._alone(collection, photo, good[0])]
        else:
            found = self._each(collection, photo, good)
        detections = 0 if self._detect else 1
        return _sighting(found, [face for face in faces if face.reasons], detections)

    def portraits(self, collection: str) -> int | None:  # noqa: ARG002 - as every recogniser's
        """None: how often strangers reach Amazon's similarities is not known."""
        return None

    def search_stored(
        self,
        collection: str,  # noqa: ARG002 - the port's
        searches: Sequence[Searched],  # noqa: ARG002 - the port's
    ) -> Mapping[str, ProbeResult]:
        """Nothing: Amazon keeps no photos and gives no vectors away."""
        return {}

    def unmoved(
        self,
        collection: str,  # noqa: ARG002 - the port's
        searches: Sequence[Noted],  # noqa: ARG002 - the port's
    ) -> Mapping[str, bytes]:
        """Nothing: what Amazon compared a face with is not known, so all are decided again."""
        return {}

    def rivals(
        self,
        collection: str,  # noqa: ARG002 - the port's
        face_ids: Sequence[str],  # noqa: ARG002 - the port's
    ) -> Mapping[str, Hit]:
        """Nothing: each comparison is paid for."""
        return {}

    def discard(self, asset_id: str) -> None:
        """Nothing is kept of a picture."""

    def _faces_of(self, image: bytes, photo: Photo) -> Sequence[Face]:
        if self._detect:
            return self._detect(image)
        answer = self._client.call(
            "DetectFaces", Image={"Bytes": photo.jpeg}, Attributes=["DEFAULT"]
        )
        return [parse.face(detail) for detail in answer.get("FaceDetails", ())]

    def _searched_first(self, collection: str, photo: Photo) -> ProbeResult:
        """Search the largest face and learn from that of the others."""
        first = self._search(collection, photo.jpeg)
        found = [_result(first.face, first)] if first.face else []
        good = [face for face in first.others if not face.reasons]
        found += self._each(collection, photo, good)
        return _sighting(found, [face for face in first.others if face.reasons], first.calls)

    def _each(self, collection: str, photo: Photo, faces: Sequence[Face]) -> list[_Result]:
        """Search several faces, at most so many at a time; the first error ends it."""
        under_way = [self._pool.submit(self._one, collection, photo, face) for face in faces]
        try:
            return [search.result() for search in under_way]
        finally:
            for search in under_way:
                search.cancel()

    def _alone(self, collection: str, photo: Photo, face: Face) -> _Result:
        """Search the only face on the whole photo, if Amazon sees there what we do."""
        found = self._search(collection, photo.jpeg)
        if found.box and is_same(found.box, face.box):
            return _result(face, found, found.calls)
        return self._one(collection, photo, face, found.calls)

    def _one(self, collection: str, photo: Photo, face: Face, calls: int = 0) -> _Result:
        """Search one face of several on a crop, tighter if a neighbour is larger on it.

        ``calls``: those that the face took before.
        """
        for padding in (PADDING, TIGHT):
            crop = photo.crop(face.box, padding)
            if crop is None:
                return _left_out(face, Reason.SMALL_BOUNDING_BOX, calls)
            found = self._search(collection, crop.data)
            calls += found.calls
            if found.box is None or crop.shows(found.box, face.box):
                return _result(face, found, calls)
        return _left_out(face, Reason.LOW_FACE_QUALITY, calls)


@dataclass(frozen=True, slots=True)
class _Result:
    """A face that was searched, or was not and says why."""

    seen: ProbeFace | Face
    #: What compared; "" if nothing did.
    model: str
    #: Paid calls for this face alone.
    calls: int


def _result(face: Face, found: Found, calls: int = 0) -> _Result:
    if found.box is None:
        return _left_out(face, Reason.LOW_FACE_QUALITY, calls)
    return _Result(ProbeFace(face, found.hits), found.model, calls)


def _left_out(face: Face, reason: Reason, calls: int) -> _Result:
    return _Result(replace(face, reasons=(reason,)), "", calls)


def _sighting(results: Sequence[_Result], left_out: Sequence[Face], calls: int) -> ProbeResult:
    """Put together what was found; ``calls``: those for the photo as a whole."""
    faces = tuple(one.seen for one in results if isinstance(one.seen, ProbeFace))
    unsearched = [one.seen for one in results if isinstance(one.seen, Face)]
    model = next((one.model for one in results if one.model), "")
    calls += sum(one.calls for one in results)
    return ProbeResult(faces, (*unsearched, *left_out), _model(model), calls)


def _model(version: str) -> str:
    return f"rekognition/{version}" if version else "rekognition"


def _refusal(answer: Raw) -> str:
    """Why nothing was indexed."""
    for unindexed in answer.get("UnindexedFaces", ()):
        face = parse.face(unindexed["FaceDetail"], unindexed.get("Reasons", ()))
        return explain(face.reasons or (Reason.LOW_FACE_QUALITY,))
    return "no face was found"


def _batches(face_ids: Sequence[str]) -> list[list[str]]:
    """What can be ids of faces, in as many as one call takes."""
    ids = [face_id for face_id in face_ids if _FACE_ID.fullmatch(face_id)]
    return [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
