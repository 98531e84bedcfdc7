"""One search of an image's largest face: among faces, or among users made of several faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from facelabel.adapters.rekognition.client import NoFace
from facelabel.rekognition import parse

if TYPE_CHECKING:
    from facelabel.adapters.rekognition.client import Client, Raw
    from facelabel.adapters.rekognition.user_vectors import Users
    from facelabel.core.model import Box, Face, Hit
    from facelabel.rekognition.types import QualityFilter

#: Everybody is shown, as the runner-up decides, too; who is a match is ours to say.
THRESHOLD = 0.0
#: Faces asked for at first; all that may be asked for where those are of one person.
FIRST, MOST = 100, 4096
PEOPLE = 2
#: Users asked for: each is another person, and of each a face has to be looked up.
USERS = 5


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


class SearchRecord(Protocol):
    """A search of the largest face of an image."""

    def __call__(self, collection: str, image: bytes) -> Found:
        """Search; NotFound where there is no collection. No face is a result."""


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
