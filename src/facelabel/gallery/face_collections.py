"""Rekognition's face operations with an engine, the galleries and an index over their vectors."""

from __future__ import annotations

import hashlib
import math
import struct
import uuid
from typing import TYPE_CHECKING

from facelabel.errors import UnusableFace
from facelabel.gallery import quality_filter as bars
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import (
    ComparedFace,
    Comparison,
    FaceMatch,
    ImageSearch,
    ImageUserSearch,
    Indexed,
    IndexedFace,
    NewFace,
    User,
    UserMatch,
    UserStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from facelabel.core.model import Analysis, Face, Template
    from facelabel.ports import FaceEngine, Galleries, VectorIndex
    from facelabel.rekognition.types import (
        Association,
        Deletion,
        FaceCollection,
        FaceRecord,
        Gallery,
        QualityFilter,
    )

#: Faces of one image that are indexed, detected or compared.
MAX_FACES = 100

_FACES = uuid.UUID("c2a4b8de-1d63-5f0a-9c1e-6b0f4a7e2d35")


class LocalCollections:
    """Implements :class:`facelabel.ports.FaceCollections`; threads may share it."""

    def __init__(
        self,
        engine: Callable[[str | None], FaceEngine],
        galleries: Galleries,
        index: VectorIndex,
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections."""
        self._engine = engine
        self._galleries = galleries
        self._index = index

    def create(self, collection: str, tags: Mapping[str, str]) -> FaceCollection:
        """Make an empty collection for the engine's present model; AlreadyExists."""
        engine = self._engine(None)
        return self._galleries.create(collection, engine.model, engine.dimensions, tags)

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""
        return self._galleries.describe(collection)

    def model(self, collection: str) -> str:
        """Return the model of a collection's vectors, for which nothing has to be counted."""
        return self._galleries.gallery(collection).model

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""
        return self._galleries.collections(after, limit)

    def delete(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags."""
        numbers = _numbers(self._galleries.gallery(collection))
        for number in numbers:  # first: once the number is gone, nobody finds its files
            self._index.drop(number)
        self._galleries.drop(collection)
        for number in numbers:  # again: a search in between may have made new ones
            self._index.drop(number)

    def index(
        self,
        collection: str,
        image: bytes,
        external_image_id: str | None,
        *,
        max_faces: int | None,
        quality: QualityFilter,
    ) -> Indexed:
        """Add the faces of an image; the same image and external id again adds nothing.

        Beyond ``max_faces`` (100 at most) the poorest are left out first, then the smallest.
        """
        model = self._galleries.gallery(collection).model
        engine = self._engine(model)
        limit = min(max_faces or MAX_FACES, MAX_FACES)
        chosen, unindexed = bars.selected(engine.analyse(image), quality, limit, engine.comparable)
        new = _new_faces(collection, image, external_image_id, chosen)
        records = self._galleries.add(collection, new)
        faces = zip(records, (template.face for _, template in chosen), strict=True)
        return Indexed(tuple(IndexedFace(*face) for face in faces), tuple(unindexed), model)

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        """The next faces in the order added, and what to give as ``after`` for more; None: no more.

        Only those of ``face_ids`` or of the user, where given.
        """
        return self._galleries.faces(collection, after, limit, face_ids=face_ids, user_id=user_id)

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""
        deletion = self._galleries.delete_faces(collection, face_ids)
        self._erase(collection)
        return deletion

    def search(
        self, collection: str, face_id: str, *, threshold: float, limit: int
    ) -> Sequence[FaceMatch]:
        """Other faces of the collection like this one, most similar first."""
        own, vector = self._galleries.vector(collection, face_id)
        gallery = self._galleries.gallery(collection)
        near = self._nearest(gallery.model, gallery.number, vector, threshold, limit + 1)
        return self._face_matches(gallery, [found for found in near if found[0] != own][:limit])

    def search_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageSearch:
        """Search for the largest face of an image; UnusableFace if it shows none."""
        gallery = self._galleries.gallery(collection)
        analysis = self._engine(gallery.model).analyse(image)
        probe = _usable(analysis, bars.passing(analysis, quality))[0]
        near = self._nearest(gallery.model, gallery.number, probe.vector, threshold, limit)
        return ImageSearch(probe.face, self._face_matches(gallery, near), gallery.model)

    def detect(self, image: bytes) -> Sequence[Face]:
        """The faces of an image, the 100 largest, largest first."""
        return self._engine(None).faces(image)[:MAX_FACES]

    def compare(
        self, source: bytes, target: bytes, *, threshold: float, quality: QualityFilter
    ) -> Comparison:
        """Compare the largest face of one image with all of another.

        Nobody enrolled either, so with a filter faces that cannot be compared are left out.
        Raises UnusableFace where either shows no face.
        """
        engine = self._engine(None)
        (probe, *_), faces = (
            _usable(seen, bars.comparable(seen, quality, engine.comparable))[:MAX_FACES]
            for seen in (engine.analyse(source), engine.analyse(target))
        )
        compared = [
            ComparedFace(_similarity(engine)(probe.vector, face.vector), face.face)
            for face in faces
        ]
        matches = [face for face in compared if face.similarity >= threshold]
        return Comparison(
            source=probe.face,
            matches=tuple(sorted(matches, key=lambda face: -face.similarity)),
            unmatched=tuple(face.face for face in compared if face.similarity < threshold),
        )

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Make a user without faces; AlreadyExists, but not for the same token again."""
        self._galleries.create_user(collection, user_id, token)

    def delete_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""
        self._galleries.delete_user(collection, user_id, token)
        self._erase(collection)

    def users(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""
        return self._galleries.users(collection, after, limit)

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they resemble those it has; QuotaExceeded above 100."""
        engine = self._engine(self._galleries.gallery(collection).model)
        return self._galleries.associate(
            collection,
            user_id,
            face_ids,
            similarity=_similarity(engine),
            threshold=threshold,
            token=token,
        )

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""
        association = self._galleries.disassociate(collection, user_id, face_ids, token=token)
        self._erase(collection)
        return association

    def search_users(
        self,
        collection: str,
        *,
        face_id: str | None = None,
        user_id: str | None = None,
        threshold: float,
        limit: int,
    ) -> Sequence[UserMatch]:
        """Users like this face, or other users like this user; most similar first."""
        if face_id is not None:
            _, vector = self._galleries.vector(collection, face_id)
        elif found := self._galleries.user_vector(collection, user_id or ""):
            _, vector = found
        else:
            return ()
        gallery = self._galleries.gallery(collection)
        matches = self._user_matches(gallery, vector, threshold, limit + 1)
        return [match for match in matches if match.user.user_id != user_id][:limit]

    def search_users_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageUserSearch:
        """Search users for the largest face of an image; none in it is a result."""
        gallery = self._galleries.gallery(collection)
        analysis = self._engine(gallery.model).analyse(image)
        probe = next(iter(bars.passing(analysis, quality)), None)
        matches = self._user_matches(gallery, probe.vector, threshold, limit) if probe else ()
        unsearched = bars.others(analysis, probe, quality)
        return ImageUserSearch(probe.face if probe else None, matches, unsearched, gallery.model)

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""
        return self._galleries.tags(collection)

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add or change tags; QuotaExceeded above 200."""
        self._galleries.tag(collection, tags)

    def untag(self, collection: str, keys: Sequence[str]) -> None:
        """Remove tags; those not there are no error."""
        self._galleries.untag(collection, keys)

    def _erase(self, collection: str) -> None:
        """Erase what was deleted from what was derived of it, now and not with the next search."""
        for number in _numbers(self._galleries.gallery(collection)):
            self._index.search(number, (), 1)

    def _nearest(
        self, model: str, number: int, vector: bytes, threshold: float, limit: int
    ) -> list[tuple[int, float]]:
        """Row numbers with their similarities, most similar first."""
        engine = self._engine(model)
        (near,) = self._index.search(number, [vector], limit)
        alike = ((row, engine.similarity(distance)) for row, distance in near)
        return [(row, similarity) for row, similarity in alike if similarity >= threshold]

    def _face_matches(
        self, gallery: Gallery, near: Sequence[tuple[int, float]]
    ) -> tuple[FaceMatch, ...]:
        """Put faces for row numbers, leaving out those deleted since the search."""
        records = self._galleries.records(gallery.number, [row for row, _ in near])
        return tuple(
            FaceMatch(similarity, records[row]) for row, similarity in near if row in records
        )

    def _user_matches(
        self, gallery: Gallery, vector: bytes, threshold: float, limit: int
    ) -> tuple[UserMatch, ...]:
        if gallery.users_number is None:
            return ()
        near = self._nearest(gallery.model, gallery.users_number, vector, threshold, limit)
        user_ids = self._galleries.user_ids(gallery.users_number, [row for row, _ in near])
        return tuple(
            UserMatch(similarity, User(user_ids[row], UserStatus.ACTIVE))
            for row, similarity in near
            if row in user_ids
        )


def _numbers(gallery: Gallery) -> list[int]:
    """What the vectors of the collection and those of its users are derived under."""
    numbers = (gallery.number, gallery.users_number)
    return [number for number in numbers if number is not None]


def _new_faces(
    collection: str,
    image: bytes,
    external_image_id: str | None,
    chosen: Sequence[tuple[int, Template]],
) -> list[NewFace]:
    """Give faces their ids: the same for the same face of the same image and external id."""
    digest = hashlib.sha256(image).hexdigest()
    person = external_ids.decode(external_image_id) if external_image_id else ""
    source = f"{collection}/{digest}/{external_image_id or ''}"
    return [
        NewFace(
            str(uuid.uuid5(_FACES, f"{source}/{at}")), digest, external_image_id, person, template
        )
        for at, template in chosen
    ]


def _usable(analysis: Analysis, passed: list[Template]) -> list[Template]:
    """Return the faces of an image that passed a filter; UnusableFace if there is none."""
    if not passed:
        raise UnusableFace(
            "no usable face was found" if analysis.templates else "no face was found"
        )
    return passed


def _similarity(engine: FaceEngine) -> Callable[[bytes, bytes], float]:
    def similarity(one: bytes, other: bytes) -> float:
        layout = struct.Struct(f"<{engine.dimensions}f")
        return engine.similarity(math.dist(layout.unpack(one), layout.unpack(other)))

    return similarity
