"""One search of an image's largest face: among faces, or among users made of several faces.

All faces of a person made into one user vector are better with several photos. A user exists as
long as the person has a face. Amazon makes the vector some moments after the faces were associated;
until then the user is searched as it was before.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from facelabel.adapters.rekognition.client import NoFace
from facelabel.core.model import EnrolledFace, Hit
from facelabel.errors import AlreadyExists, NotFound, QuotaExceeded, Unavailable
from facelabel.rekognition import external_ids, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from facelabel.adapters.rekognition.client import Client, Raw
    from facelabel.core.model import Box, Face
    from facelabel.rekognition.types import QualityFilter


#: Everybody is shown, as the runner-up decides, too; who is a match is ours to say.
THRESHOLD = 0.0
#: Faces asked for at first; all that may be asked for where those are of one person.
FIRST, MOST = 100, 4096
PEOPLE = 2
#: Users asked for: each is another person, and of each a face has to be looked up.
USERS = 5
#: Faces taken from a user in one call.
BATCH = 100
#: Seconds for which a user's face is believed to be there.
FRESH = 60.0
_MOST_KNOWN = 10_000
#: Amazon may take a moment to see that a face is nobody's any more.
_TRIES = 5
_FACE_NOT_FOUND = "FACE_NOT_FOUND"
_OF_A_USER = "ASSOCIATED_TO_AN_EXISTING_USER"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    #: The face that was searched for, and where, as a ratio of the image; None: no face.
    box: Box | None
    hits: tuple[Hit, ...] = ()
    model: str = ""
    #: What the search tells of the face, and of the others of the image: users' searches only.
    face: Face | None = None
    others: tuple[Face, ...] = ()
    #: Paid calls that it took.
    calls: int = 1


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """Among all faces of a collection."""

    client: Client
    quality: QualityFilter

    def __call__(self, collection: str, image: bytes) -> Found:
        """Ask for more faces where the nearest do not show a runner-up."""
        calls = 1
        try:
            answer = self._ask(collection, image, FIRST)
            if len(answer.get("FaceMatches", ())) == FIRST and _people(answer) < PEOPLE:
                answer = self._ask(collection, image, MOST)
                calls += 1
        except NoFace:
            return Found(None)
        return Found(
            parse.box(answer["SearchedFaceBoundingBox"]),
            parse.hits(answer.get("FaceMatches", ())),
            answer.get("FaceModelVersion", ""),
            calls=calls,
        )

    def _ask(self, collection: str, image: bytes, count: int) -> Raw:
        return self.client.call(
            "SearchFacesByImage",
            CollectionId=collection,
            Image={"Bytes": image},
            FaceMatchThreshold=THRESHOLD,
            MaxFaces=count,
            QualityFilter=self.quality.value,
        )


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Among the users of a collection."""

    client: Client
    quality: QualityFilter
    users: Users

    def __call__(self, collection: str, image: bytes) -> Found:
        """Search, and tell of the image's other faces."""
        try:
            answer = self._ask(collection, image)
        except NoFace:
            return Found(None)
        searched = (answer.get("SearchedFace") or {}).get("FaceDetail")
        face = parse.face(searched) if searched else None
        return Found(
            face.box if face else None,
            self.users.hits(collection, answer.get("UserMatches", ())),
            answer.get("FaceModelVersion", ""),
            face,
            tuple(
                parse.face(other["FaceDetails"], other.get("Reasons", ()))
                for other in answer.get("UnsearchedFaces", ())
            ),
        )

    def _ask(self, collection: str, image: bytes) -> Raw:
        return self.client.call(
            "SearchUsersByImage",
            CollectionId=collection,
            Image={"Bytes": image},
            UserMatchThreshold=THRESHOLD,
            MaxUsers=USERS,
            QualityFilter=self.quality.value,
        )


def _people(answer: Raw) -> int:
    return len({hit.person for hit in parse.hits(answer["FaceMatches"])})


class Users:
    """The users of the collections; used by many threads at once."""

    def __init__(self, client: Client, *, now: Callable[[], float] = time.monotonic) -> None:
        """``now``: seconds, for what is remembered."""
        self._client = client
        self._now = now
        self._known: dict[tuple[str, str], tuple[float, EnrolledFace | None]] = {}
        #: A user must not be deleted as empty while another thread gives it a face.
        self._changing = threading.Lock()

    def add(self, collection: str, face: EnrolledFace) -> None:
        """Make a face one of its person's; Unavailable if it was deleted meanwhile.

        Beyond the 100 faces that a user may have in its life, the face stays outside.
        """
        user_id = external_ids.user_id(face.person)
        try:
            with self._changing:
                answer = self._associated(collection, user_id, face.face_id)
        except QuotaExceeded:
            return
        failures = answer.get("UnsuccessfulFaceAssociations", ())
        if any(_FACE_NOT_FOUND in failure.get("Reasons", ()) for failure in failures):
            raise Unavailable(f"a face of {face.person!r} was deleted while it was learnt")
        self._known.pop((collection, user_id), None)

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces whoever's they are, and the users who lose their last one."""
        left = self._deleted(collection, face_ids)
        for tries in range(1, _TRIES):
            if not left:
                return
            with self._changing:
                for user_id, faces in left.items():
                    self._disassociate(collection, user_id, faces)
                owned = [face_id for faces in left.values() for face_id in faces]
                again = self._deleted(collection, owned)
                for user_id in left.keys() - again.keys():
                    self._remove_if_empty(collection, user_id)
            if again:
                self._client.pause(tries)
            left = again
        raise Unavailable("the faces still belong to users")

    def hits(self, collection: str, matches: Iterable[Mapping[str, Any]]) -> tuple[Hit, ...]:
        """Read UserMatches: each person with a face that stands for them."""
        found = []
        for match in matches:
            face = self._face(collection, match["User"]["UserId"])
            if face:
                found.append(Hit(face.face_id, face.person, float(match["Similarity"])))
        return tuple(found)

    def _face(self, collection: str, user_id: str) -> EnrolledFace | None:
        """A face of the user, who may have lost the last one a moment ago."""
        key, now = (collection, user_id), self._now()
        known = self._known.get(key)
        if known and now < known[0]:
            return known[1]
        face = self._first_face(collection, user_id)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = (now + FRESH, face)
        return face

    def _first_face(self, collection: str, user_id: str) -> EnrolledFace | None:
        answer = self._client.call(
            "ListFaces", CollectionId=collection, UserId=user_id, MaxResults=1
        )
        faces = answer.get("Faces", ())
        return parse.enrolled(faces[0]) if faces else None

    def _associated(self, collection: str, user_id: str, face_id: str) -> Raw:
        """Associate a face with its user, who is made at the first face."""
        associate = partial(
            self._client.call,
            "AssociateFaces",
            CollectionId=collection,
            UserId=user_id,
            FaceIds=[face_id],
            UserMatchThreshold=0.0,  # a person said who it is
        )
        with suppress(NotFound):
            return associate()
        with suppress(AlreadyExists):  # another process was faster
            self._client.call("CreateUser", CollectionId=collection, UserId=user_id)
        try:
            return associate()
        except NotFound as error:  # another process found the user empty and deleted it
            raise Unavailable(f"the user {user_id} was being removed") from error

    def _deleted(self, collection: str, face_ids: Sequence[str]) -> dict[str, list[str]]:
        """Delete faces; return those that belong to users, by user."""
        answer = self._client.call("DeleteFaces", CollectionId=collection, FaceIds=list(face_ids))
        left = defaultdict(list)
        for failure in answer.get("UnsuccessfulFaceDeletions", ()):
            if _OF_A_USER in failure.get("Reasons", ()):
                left[failure["UserId"]].append(failure["FaceId"])
        return dict(left)

    def _disassociate(self, collection: str, user_id: str, face_ids: Sequence[str]) -> None:
        self._known.pop((collection, user_id), None)
        for at in range(0, len(face_ids), BATCH):
            batch = list(face_ids[at : at + BATCH])
            try:
                self._client.call(
                    "DisassociateFaces", CollectionId=collection, UserId=user_id, FaceIds=batch
                )
            except NotFound:  # the user went, and with it what tied the faces
                return

    def _remove_if_empty(self, collection: str, user_id: str) -> None:
        if self._first_face(collection, user_id):
            return
        try:
            self._client.call("DeleteUser", CollectionId=collection, UserId=user_id)
        except NotFound:
            return
