"""Face collections in memory, and images that say who is on them."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from facelabel.core.model import Box, Face, Pose, Reason
from facelabel.errors import AlreadyExists, NotFound, QuotaExceeded, UnusableFace
from facelabel.rekognition.types import (
    Association,
    ComparedFace,
    Comparison,
    Deletion,
    FaceCollection,
    FaceMatch,
    FaceRecord,
    FailedFace,
    Failure,
    ImageSearch,
    ImageUserSearch,
    Indexed,
    IndexedFace,
    User,
    UserMatch,
    UserStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from facelabel.rekognition.types import QualityFilter

MODEL = "memory/7"
ALIKE, UNLIKE = 99.5, 1.0
_NAMESPACE = uuid.UUID("6f0f4a3e-6a1e-5d53-8bb0-4d7c9c1f5a00")


def picture(*people: str, side: int = 80) -> bytes:
    """The head of a PNG, and behind it who is on it, the largest first."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", side, side)
    return head + "".join(f"|{person}" for person in people).encode()


def people_on(image: bytes) -> list[str]:
    """Who is on a picture made by :func:`picture`."""
    return image.decode("latin-1").split("|")[1:]


def look(number: int) -> Face:
    """A face, smaller the higher its number; at the edge, so part of it is outside."""
    box = Box(-0.05 + 0.1 * number, 0.1, 0.4 / (number + 1), 0.5 / (number + 1))
    marks = tuple((0.1 * place, 0.2) for place in range(5))
    return Face(box, marks, 99.0, 60.0, 70.0, Pose(-12.5, 3.0, 0.5))


@dataclass
class Stored:
    """A collection."""

    tags: dict[str, str]
    faces: dict[str, tuple[str, FaceRecord]] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)


Item = TypeVar("Item")


def ranked(items: list[Item], similarity: Callable[[Item], float], limit: int) -> tuple[Item, ...]:
    """The most similar first."""
    return tuple(sorted(items, key=similarity, reverse=True)[:limit])


class MemoryCollections:
    """The port, for tests of what is in front of it; the same name on two pictures is one face.

    Several threads use it at once, so that what is gone through is a copy.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.stored: dict[str, Stored] = {}

    def _of(self, collection: str) -> Stored:
        try:
            return self.stored[collection]
        except KeyError:
            raise NotFound("no such collection") from None

    def _user(self, collection: str, user_id: str) -> Stored:
        found = self._of(collection)
        if user_id not in found.users:
            raise NotFound(f"The user id: {user_id} does not exist")
        return found

    def create(self, collection: str, tags: Mapping[str, str]) -> FaceCollection:
        if collection in self.stored:
            raise AlreadyExists
        self.stored[collection] = Stored(dict(tags))
        return self.describe(collection)

    def describe(self, collection: str) -> FaceCollection:
        found = self._of(collection)
        return FaceCollection(collection, MODEL, len(found.faces), len(found.users), 1.7e9 + 0.25)

    def model(self, collection: str) -> str:
        self._of(collection)
        return MODEL

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        return [self.describe(name) for name in sorted(self.stored) if name > after][:limit]

    def delete(self, collection: str) -> None:
        self._of(collection)
        del self.stored[collection]

    def index(
        self,
        collection: str,
        image: bytes,
        external_image_id: str | None,
        *,
        max_faces: int | None,
        quality: QualityFilter,
    ) -> Indexed:
        found, people = self._of(collection), people_on(image)
        most = len(people) if max_faces is None else max_faces
        image_id = str(uuid.uuid5(_NAMESPACE, image.hex()))
        added = []
        for number, person in enumerate(people[:most]):
            face_id = str(uuid.uuid5(_NAMESPACE, f"{image_id}{number}{external_image_id}"))
            record = FaceRecord(face_id, image_id, external_image_id, look(number).box, 99.0, MODEL)
            found.faces.setdefault(face_id, (person, record))
            added.append(IndexedFace(record, look(number)))
        left = [
            replace(look(number), reasons=(Reason.EXCEEDS_MAX_FACES,))
            for number in range(most, len(people))
        ]
        return Indexed(tuple(added), tuple(left), MODEL)

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        found = self._of(collection) if user_id is None else self._user(collection, user_id)
        records = [
            record
            for face_id, (_, record) in found.faces.copy().items()
            if (face_ids is None or face_id in face_ids) and user_id in (None, record.user_id)
        ]
        end = after + limit
        return records[after:end], end if end < len(records) else None

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        found, failed = self._of(collection), []
        for face_id in face_ids:
            if face_id not in found.faces:
                failed.append(FailedFace(face_id, (Failure.FACE_NOT_FOUND,)))
            elif owner := found.faces[face_id][1].user_id:
                reasons = (Failure.ASSOCIATED_TO_AN_EXISTING_USER,)
                failed.append(FailedFace(face_id, reasons, owner))
        kept = {failure.face_id for failure in failed}
        deleted = tuple(face_id for face_id in face_ids if face_id not in kept)
        for face_id in deleted:
            del found.faces[face_id]
        return Deletion(deleted, tuple(failed))

    def _like(self, collection: str, person: str, threshold: float, limit: int) -> list[FaceMatch]:
        matches = [
            FaceMatch(ALIKE if person == other else UNLIKE, record)
            for other, record in self._of(collection).faces.copy().values()
        ]
        near = [match for match in matches if match.similarity >= threshold]
        return list(ranked(near, lambda match: match.similarity, limit))

    def search(
        self, collection: str, face_id: str, *, threshold: float, limit: int
    ) -> Sequence[FaceMatch]:
        found = self._of(collection)
        if face_id not in found.faces:
            raise NotFound("no such face")
        near = self._like(collection, found.faces[face_id][0], threshold, limit + 1)
        return [match for match in near if match.record.face_id != face_id][:limit]

    def search_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageSearch:
        self._of(collection)
        people = people_on(image)
        if not people:
            raise UnusableFace
        near = self._like(collection, people[0], threshold, limit)
        return ImageSearch(look(0), tuple(near), MODEL)

    def detect(self, image: bytes) -> Sequence[Face]:
        return [look(number) for number in range(len(people_on(image)))]

    def compare(
        self, source: bytes, target: bytes, *, threshold: float, quality: QualityFilter
    ) -> Comparison:
        wanted, others = people_on(source), people_on(target)
        if not wanted or not others:
            raise UnusableFace
        faces = {number: look(number) for number in range(len(others))}
        alike = [number for number in faces if others[number] == wanted[0]]
        return Comparison(
            look(0),
            tuple(ComparedFace(ALIKE, faces[number]) for number in alike),
            tuple(face for number, face in faces.items() if number not in alike),
        )

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        found = self._of(collection)
        if user_id in found.users:
            raise AlreadyExists
        found.users.add(user_id)

    def delete_user(self, collection: str, user_id: str, token: str | None) -> None:
        self._user(collection, user_id).users.remove(user_id)

    def users(self, collection: str, after: str, limit: int) -> Sequence[User]:
        names = sorted(name for name in self._of(collection).users if name > after)
        return [User(name, UserStatus.ACTIVE) for name in names[:limit]]

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        threshold: float,
        token: str | None,
    ) -> Association:
        found = self._user(collection, user_id)
        done = [face_id for face_id in face_ids if face_id in found.faces]
        for face_id in done:
            person, record = found.faces[face_id]
            found.faces[face_id] = person, replace(record, user_id=user_id)
        missing = (Failure.FACE_NOT_FOUND,)
        failed = [FailedFace(one, missing) for one in face_ids if one not in done]
        return Association(tuple(done), tuple(failed), UserStatus.UPDATING)

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        found = self._user(collection, user_id)
        for face_id in face_ids:
            person, record = found.faces[face_id]
            found.faces[face_id] = person, replace(record, user_id=None)
        return Association(tuple(face_ids), (), UserStatus.ACTIVE)

    def _owners(self, collection: str, person: str, limit: int) -> tuple[UserMatch, ...]:
        owners = {
            record.user_id
            for other, record in self._of(collection).faces.copy().values()
            if other == person and record.user_id
        }
        users = [UserMatch(ALIKE, User(name, UserStatus.ACTIVE)) for name in sorted(owners)]
        return tuple(users[:limit])

    def search_users(
        self,
        collection: str,
        *,
        face_id: str | None = None,
        user_id: str | None = None,
        threshold: float,
        limit: int,
    ) -> Sequence[UserMatch]:
        if user_id is not None:
            self._user(collection, user_id)
            return ()
        found = self._of(collection)
        if face_id not in found.faces:
            raise NotFound("no such face")
        return self._owners(collection, found.faces[face_id][0], limit)

    def search_users_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageUserSearch:
        self._of(collection)
        people = people_on(image)
        if not people:
            return ImageUserSearch(None, (), (), MODEL)
        others = tuple(look(number) for number in range(1, len(people)))
        return ImageUserSearch(look(0), self._owners(collection, people[0], limit), others, MODEL)

    def tags(self, collection: str) -> Mapping[str, str]:
        return self._of(collection).tags

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        found = self._of(collection)
        if len(found.tags | dict(tags)) > 200:
            raise QuotaExceeded("A resource has at most 200 tags")
        found.tags.update(tags)

    def untag(self, collection: str, keys: Sequence[str]) -> None:
        found = self._of(collection)
        found.tags = {key: value for key, value in found.tags.items() if key not in keys}
