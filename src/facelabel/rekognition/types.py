"""Words of the face collections, in Amazon Rekognition's meaning.

What a client of Rekognition sees of a collection: faces with the image they came from, users made
of several faces, and what searches come to. And, at the end, what their store speaks of with all
who use it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Box, EnrolledFace, Face, Template


#: In the order of :attr:`facelabel.core.model.Face.landmarks`.
LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")


class QualityFilter(enum.StrEnum):
    """How poor a face may be; NONE takes every face that was found."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class UserStatus(enum.StrEnum):
    """How far a user's vector is."""

    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    CREATING = "CREATING"
    CREATED = "CREATED"


class Failure(enum.StrEnum):
    """Why a face could not be deleted, associated or disassociated."""

    FACE_NOT_FOUND = "FACE_NOT_FOUND"
    ASSOCIATED_TO_A_DIFFERENT_USER = "ASSOCIATED_TO_A_DIFFERENT_USER"
    ASSOCIATED_TO_AN_EXISTING_USER = "ASSOCIATED_TO_AN_EXISTING_USER"
    LOW_MATCH_CONFIDENCE = "LOW_MATCH_CONFIDENCE"


@dataclass(frozen=True, slots=True)
class FaceCollection:
    """A collection as a whole."""

    name: str
    #: Name and version of the face models, which never change: "mobilefacenet/1".
    model: str
    faces: int
    users: int
    created_at: float


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """A face of a collection; its vector never leaves it."""

    face_id: str
    #: Made of the image's content: the same image has the same.
    image_id: str
    external_image_id: str | None
    box: Box
    #: 0..100, that it is a face.
    confidence: float
    #: Of the collection: see :attr:`FaceCollection.model`.
    model: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class IndexedFace:
    """A face that was added to a collection, or was there already."""

    record: FaceRecord
    detail: Face


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of the faces of an image, largest first."""

    faces: tuple[IndexedFace, ...]
    #: Found and not added, each with its reasons.
    unindexed: tuple[Face, ...]
    model: str


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """A face of a collection that resembles the one searched for."""

    similarity: float
    record: FaceRecord


@dataclass(frozen=True, slots=True)
class User:
    """Somebody of whom a collection has any number of faces."""

    user_id: str
    status: UserStatus


@dataclass(frozen=True, slots=True)
class UserMatch:
    """A user whose faces, taken together, resemble the one searched for."""

    similarity: float
    user: User


@dataclass(frozen=True, slots=True)
class ImageSearch:
    """The largest face of an image, searched for among faces."""

    searched: Face
    matches: tuple[FaceMatch, ...]
    model: str


@dataclass(frozen=True, slots=True)
class ImageUserSearch:
    """The largest face of an image, searched for among users; None without a usable face."""

    searched: Face | None
    matches: tuple[UserMatch, ...]
    #: The other faces, and the largest where it was too poor; the reason FACE_NOT_LARGEST is
    #: implied where there is no other.
    unsearched: tuple[Face, ...]
    model: str


@dataclass(frozen=True, slots=True)
class ComparedFace:
    """A face of the target image that resembles the source's."""

    similarity: float
    face: Face


@dataclass(frozen=True, slots=True)
class Comparison:
    """The largest face of one image compared with all of another."""

    source: Face
    matches: tuple[ComparedFace, ...]
    unmatched: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class FailedFace:
    """A face that was left as it is."""

    face_id: str
    reasons: tuple[Failure, ...]
    #: Whose it is, where that is the reason.
    user_id: str | None = None
    #: How like the user it is, 0..100, where that is the reason.
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Which faces were deleted and which were not."""

    deleted: tuple[str, ...]
    failed: tuple[FailedFace, ...]


@dataclass(frozen=True, slots=True)
class Association:
    """Which faces now belong (or belong no longer) to a user."""

    face_ids: tuple[str, ...]
    failed: tuple[FailedFace, ...]
    status: UserStatus


@dataclass(frozen=True, slots=True)
class Gallery:
    """What a search needs to know of a collection."""

    #: Number of its vectors in the index; never used again, even for one of the same name.
    number: int
    #: The same of the vectors of its users; None before it has any.
    users_number: int | None
    model: str

    @property
    def numbers(self) -> Sequence[int]:
        """What its vectors and those of its users are derived under."""
        return [number for number in (self.number, self.users_number) if number is not None]


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face on its way into a collection."""

    face_id: str
    #: SHA-256 of the image, hexadecimal: the image's own id is made of it.
    digest: str
    external_image_id: str | None
    #: Whom the external id names; "" is nobody.
    person: str
    template: Template
    #: What the pipeline enrolled it from; None: a client put it there.
    asset_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A face of a collection, as who searches it needs to know it."""

    face: EnrolledFace
    #: Lowest row number of the same person. It stands for the person where no name may be kept,
    #: and changes only when it is deleted.
    first_row: int
    #: Whether the person has more than this one.
    has_others: bool
