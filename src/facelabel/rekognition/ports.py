"""What Amazon Rekognition's wire format needs behind it: one implementation, on our own gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Face
    from facelabel.rekognition.types import (
        Association,
        Comparison,
        Deletion,
        FaceCollection,
        FaceMatch,
        FaceRecord,
        ImageSearch,
        ImageUserSearch,
        Indexed,
        QualityFilter,
        User,
        UserMatch,
    )


class FaceCollections(Protocol):
    """Amazon Rekognition's face operations, with its own semantics.

    Names, ids, limits and filters arrive checked against Rekognition's constraints. All methods
    that name a collection, a user or a face to search for raise NotFound where there is none.
    Methods that look at an image raise UnreadableImage.
    """

    def create(self, collection: str, tags: Mapping[str, str]) -> FaceCollection:
        """Make an empty collection; AlreadyExists."""

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""

    def model(self, collection: str) -> str:
        """Return the model of a collection's vectors, for which nothing has to be counted."""

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""

    def delete(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags."""

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

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""

    def search(
        self, collection: str, face_id: str, *, threshold: float, limit: int
    ) -> Sequence[FaceMatch]:
        """Other faces of the collection like this one, most similar first."""

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

    def detect(self, image: bytes) -> Sequence[Face]:
        """The faces of an image, the 100 largest, largest first."""

    def compare(
        self, source: bytes, target: bytes, *, threshold: float, quality: QualityFilter
    ) -> Comparison:
        """Compare the largest face of one image with all of another; UnusableFace if there is none.

        Raises UnusableFace where either shows no face.
        """

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Make a user without faces; AlreadyExists, but not for the same token again.

        Tokens of clients, kept for a day: the same one with other parameters raises TokenReused.
        """

    def delete_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""

    def users(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they resemble those that he has; QuotaExceeded above 100."""

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""

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

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add or change tags; QuotaExceeded above 200."""

    def untag(self, collection: str, keys: Sequence[str]) -> None:
        """Remove tags; those not there are no error."""
