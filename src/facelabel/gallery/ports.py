"""What the gallery on this computer needs: an engine, a store and an index.

:class:`Templates`, :class:`Probes` and :class:`VectorIndex` have an implementation in memory, for
tests (:mod:`facelabel.testing`), and one contract suite each; the others have one implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from facelabel.core.model import Analysis, Asset, EnrolledFace, Face
    from facelabel.core.quality import Comparable
    from facelabel.rekognition.types import (
        Association,
        Deletion,
        FaceCollection,
        FaceRecord,
        Gallery,
        NewFace,
        Reference,
        User,
    )


class FaceEngine(Protocol):
    """Pixels to faces with embeddings, all in this process."""

    @property
    def model(self) -> str:
        """Name and version of the pack; vectors of two models are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def comparable(self) -> Comparable:
        """What a face must be to be compared with faces that nobody enrolled."""

    @property
    def curve(self) -> str:
        """What :meth:`similarity` goes by, as text: another one, other similarities."""

    def analyse(self, image: bytes) -> Analysis:
        """Decode, detect, measure, align and embed. Raises UnreadableImage."""

    def faces(self, image: bytes) -> Sequence[Face]:
        """What :meth:`analyse` finds, largest first, without embedding. Raises UnreadableImage."""

    def similarity(self, distance: float) -> float:
        """0..100 for the L2 distance of two unit vectors, calibrated to the false match rate.

        Raises ConfigurationError where the pack has no calibration.
        """


class FaceStore(Protocol):
    """Collections of faces, as both who enrols and Rekognition's clients know them.

    One class keeps them in the database: for the pipeline it is :class:`Templates`, for clients
    :class:`Galleries`. Every change is one transaction.
    """

    def create(
        self, collection: str, model: str, dimensions: int, tags: Mapping[str, str] | None = None
    ) -> FaceCollection:
        """Make an empty collection; AlreadyExists."""

    def find(self, collection: str) -> Gallery:
        """Return what everything else is asked by; NotFound without the collection."""

    def drop(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags; NotFound."""

    def add(self, collection: str, faces: Sequence[NewFace]) -> Sequence[FaceRecord]:
        """Add faces and return what is there of them, in their order; known face_ids stay.

        Raises NotFound without the collection, ValueError for a vector of another length.
        """

    def vectors_of(
        self, collection_id: int, face_ids: Sequence[str]
    ) -> Mapping[str, tuple[int, bytes]]:
        """Row number and vector of each of these faces; those that are not there are absent."""


class TemplateRows(Protocol):
    """The vectors of a collection, numbered: what an index is derived from."""

    def position(self, collection_id: int) -> tuple[int, int]:
        """Highest row number there is, and number of the last deletion; 0 where there is none.

        While both stay the same, so do the faces of the collection.
        """

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Row number and vector of the next faces with a row number above ``after``, ascending."""

    def deletions(self, collection_id: int, after: int) -> Sequence[tuple[int, int, int | None]]:
        """(deletion number, row number, first row of that person then) of each deletion after one.

        Ascending. Of a face without a name the last is the row; None where an older program,
        which does not note it, deleted the face.
        """


class Templates(FaceStore, TemplateRows, Protocol):
    """What the pipeline's recogniser enrols and compares with: in the database, or in memory."""

    def names(self) -> Sequence[str]:
        """Names of all collections."""

    def strangers(self, collection_id: int) -> int:
        """How many faces clients put there, that no asset was enrolled as."""

    def supersede(self, collection: str, heir: str, *, lossy: bool) -> None:
        """Give the heir what clients put into a collection, and delete it, in one step.

        No error without the collection. Raises NotFound without the heir; Rejected, nothing
        done, if faces of clients would be lost because the models differ, unless that is meant
        (``lossy``).
        """

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good, from their users' vectors too; NotFound without the collection."""

    def enrolled(
        self, collection_id: int, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every face of the collection, in the order added, or those of the given ids."""

    def references(
        self, collection_id: int, rows: Sequence[int]
    ) -> tuple[Mapping[int, Reference], tuple[int, int]]:
        """The faces of these row numbers, deleted ones absent, and the position they are as of."""

    def vectors_of_people(
        self, collection_id: int, people: Collection[str], most: int
    ) -> tuple[Mapping[str, Sequence[bytes]], tuple[int, int]]:
        """The vectors of each of these people who has several, and the position they are as of.

        In the order added. Whoever has one alone, or more than ``most``, is absent.
        """

    def nameless(self, collection_id: int) -> int:
        """How many faces clients put there without saying whose they are."""

    def row_before(self, collection_id: int, newest: int) -> int:
        """Return the row number that so many faces, the newest ones, come after.

        0 where there are no more than these.
        """


class Probes(Protocol):
    """The faces of searched pictures, to be searched again without the pictures."""

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """Keep the faces seen in a picture, replacing what was kept of it."""

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """Version and faces of each picture kept for that model, by asset_id."""

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """Version and vectors, end to end, of each picture kept for that model, by asset_id."""

    def discard(self, asset_id: str) -> None:
        """Delete what was kept of a picture."""


class Galleries(FaceStore, Protocol):
    """What Rekognition's clients see of collections; in the database alone.

    Methods that name a collection raise NotFound where there is none.
    """

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""

    def change_tags(
        self, collection: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        """Make other tags of those there are; QuotaExceeded above 200."""

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        """See :meth:`FaceCollections.faces`."""

    def records(self, collection_id: int, rows: Sequence[int]) -> Mapping[int, FaceRecord]:
        """Return the faces of these row numbers; deleted ones are absent."""

    def delete_unowned(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""


class FaceUsers(Protocol):
    """Users of collections, and which faces are theirs; in the database alone.

    All raise NotFound without the collection or, where one is named, without the user. Every
    change is one transaction.
    """

    def create(self, collection: str, user_id: str, token: str | None) -> None:
        """See :meth:`FaceCollections.create_user`."""

    def delete(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""

    def page(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""

    def named(self, users_number: int, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the users of these row numbers of :attr:`Gallery.users_number`."""

    def vector(self, collection: str, user_id: str) -> tuple[int, bytes] | None:
        """Row number and vector of a user; None where it has no face."""

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        similarity: Callable[[bytes, bytes], float],
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they are similar to its vector.

        Those given to a user without faces are held against the first of them. See
        :meth:`FaceCollections.associate`.
        """

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""


class VectorIndex(Protocol):
    """Exact nearest neighbours in one collection: a matrix in a file, or none in memory."""

    def search(
        self,
        collection_id: int,
        vectors: Sequence[bytes],
        count: int,
        position: tuple[int, int] | None = None,
    ) -> Sequence[Sequence[tuple[int, float]]]:
        """For each vector the ``count`` nearest rows as (row number, L2 distance), nearest first.

        Sees every face added or deleted before the call, by any process; or, where whoever calls
        has just asked for the ``position`` of the collection, up to there.
        """

    def size(self, collection_id: int) -> int:
        """How many vectors there are."""

    def drop(self, collection_id: int) -> None:
        """Delete what was derived from a collection."""
