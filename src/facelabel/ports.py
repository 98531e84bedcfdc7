"""What the core needs from outside, one Protocol per need.

What the core is built on has a small real class in :mod:`facelabel.testing` beside those that
products stand behind: Library, Recognizer, Templates, TemplateRows, Probes, VectorIndex, Ledger,
Queue, Inbox, Clock. Each of these but the clock has one contract suite in ``tests/contract`` that
every implementation passes. MediaLibrary, Messages, Renderer, FaceCollections, FaceEngine,
Galleries and FaceUsers have one implementation each: there the Protocol only keeps those apart
who may not import each other. All methods may raise :class:`~facelabel.errors.Unavailable`; all
may be called again after any failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from facelabel.cloudinary.transformations import Regions, Rendered, Transformation
    from facelabel.core.model import (
        Analysis,
        Asset,
        Basis,
        EnrolledFace,
        Enrolment,
        Face,
        Hit,
        Job,
        JobKind,
        JobRequest,
        JobState,
        Json,
        NameState,
        Noted,
        Scope,
        Search,
        Sighting,
    )
    from facelabel.core.quality import Comparable
    from facelabel.media.types import (
        AssetKey,
        Condition,
        Delivery,
        DocumentKind,
        Edit,
        Folder,
        Order,
        Origin,
        Page,
        Upload,
    )
    from facelabel.rekognition.types import (
        Association,
        Comparison,
        Deletion,
        FaceCollection,
        FaceMatch,
        FaceRecord,
        Gallery,
        ImageSearch,
        ImageUserSearch,
        Indexed,
        NewFace,
        QualityFilter,
        Reference,
        User,
        UserMatch,
    )


class Library(Protocol):
    """The pictures: what the pipeline reads and writes."""

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, in a stable order, fetched page by page."""

    def fetch(self, asset: Asset) -> bytes:
        """Return the image file; NotFound if the asset is gone, OriginalMissing if only the file.

        The latter is Unavailable: a disk that is not mounted is not an empty library.
        """

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Add tags atomically; those already there stay. NotFound if the asset is gone."""

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Remove tags atomically; those not there are no error. NotFound if the asset is gone."""

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """Set contextual metadata keys; None removes a key. NotFound if the asset is gone."""

    def set_metadata(self, asset_id: str, field: str, values: Sequence[str]) -> None:
        """Make these the values of a structured metadata field; none clears it.

        A field that does not exist is made: a set, open for new values. NotFound if the asset is
        gone, Rejected if the field takes no such values.
        """

    def find(self, public_id: str) -> Asset | None:
        """Return the image of that public_id, whatever its delivery type."""


class EditableLibrary(Library, Protocol):
    """The pictures as a person handles them; every change is followed up by a job."""

    def upload(
        self,
        data: bytes,
        *,
        folder: str = "",
        filename: str = "",
        public_id: str | None = None,
        tags: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Asset:
        """Store an image; same public_id replaces content, and tags where given.

        Without a public_id one is made from folder and file name, made unique unless the same
        content already stands there; that asset gets the tags in addition. Context is set key by
        key, and an asset that stands there keeps the folder and the file name that are not given.
        Raises UnreadableImage, Rejected (bad public_id, tag …).
        """

    def move(self, asset_id: str, folder: str) -> Asset:
        """Put the asset into another folder, keeping its asset_id."""

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """Give the asset another public_id; AlreadyExists if it is taken."""

    def delete(self, asset_id: str) -> None:
        """Delete the asset and, with its last user, the original; no error if it is gone."""


class MediaLibrary(EditableLibrary, Protocol):
    """A library of its own: everything Cloudinary's API can ask for.

    Every change is told, in its own transaction, to whoever the library was built with.
    """

    def acting(self, origin: Origin) -> MediaLibrary:
        """The same library, changed on behalf of somebody."""

    def get(self, key: AssetKey) -> Asset | None:
        """Return the asset of that name."""

    def fetch_part(self, asset: Asset, part: range) -> bytes:
        """Return these bytes of the file, unverified; Rejected if short, else as :meth:`fetch`."""

    def put(self, upload: Upload) -> tuple[Asset, bool]:
        """Store a file; also say whether an asset of that name stood there.

        The content of one that stands there is replaced, its asset_id stays. Raises Rejected for
        a name, a tag … that is not allowed.
        """

    def edit(self, asset_ids: Sequence[str], edit: Edit) -> tuple[Asset, ...]:
        """Change assets in one step; those that are not there are left out of the answer.

        Raises AlreadyExists if the new public_id is taken, Rejected for what is not allowed.
        """

    def delete_all(
        self, asset_ids: Sequence[str], *, keep_backup: bool = False
    ) -> tuple[Asset, ...]:
        """Delete assets in one step; return those that were there."""

    def backup(self, key: AssetKey) -> Asset | None:
        """What a deleted asset of that name was when it went; None without a backup."""

    def restore(self, key: AssetKey) -> Asset | None:
        """Bring a deleted asset back from its backup; None if there is none."""

    def select(
        self,
        condition: Condition,
        order: Sequence[Order] = (),
        *,
        limit: int,
        cursor: str | None = None,
        count: bool = False,
    ) -> Page:
        """One page of the assets for which the condition holds; default order: newest first.

        Raises Rejected for a cursor that is none of ours, or a field that is unknown.
        """

    def tally(self, condition: Condition, field: str) -> Mapping[str, int]:
        """How many of these assets have each value of a field."""

    def tags(self, resource_type: str, prefix: str = "") -> Sequence[str]:
        """Every tag in use, by the alphabet."""

    def folders(self, parent: str = "") -> Sequence[Folder]:
        """The folders right below a parent, by name; NotFound if there is no such parent.

        A folder exists when it was made, or when an asset lies in it or below.
        """

    def all_folders(self) -> Sequence[Folder]:
        """Every folder, by path."""

    def create_folder(self, path: str) -> Folder:
        """Make a folder; no error if it exists."""

    def rename_folder(self, path: str, to: str) -> Folder:
        """Move a folder with all that is in it; NotFound, AlreadyExists."""

    def delete_folder(self, path: str) -> Sequence[Folder]:
        """Delete a folder and those below; NotFound, or Rejected while an asset is in one."""

    def document(self, kind: DocumentKind, name: str) -> Json | None:
        """Return a document."""

    def documents(self, kind: DocumentKind) -> Mapping[str, Json]:
        """Every document of a kind by name, in the order made."""

    def change_document(
        self, kind: DocumentKind, name: str, change: Callable[[Json | None], Json | None]
    ) -> Json | None:
        """Make of a document (None: there is none) another one (None: delete it), in one step.

        What ``change`` raises goes through, and nothing was changed.
        """

    def usage(self) -> Mapping[str, int]:
        """How many "objects", and "bytes" of originals, there are."""


class Messages(Protocol):
    """Notifications waiting to be fetched by who cannot be called: Cloudinary's poll://channel."""

    def receive(
        self, channel: str, *, batch_id: str = "", limit: int = 10, visibility: float = 30.0
    ) -> Sequence[Json]:
        """Hand out messages, hidden from others for ``visibility`` seconds.

        Each has receipt_handle, batch_id (where given), payload, signed_payload, signature,
        timestamp, as Cloudinary's.
        """

    def acknowledge(self, receipt_handles: Sequence[str]) -> Sequence[bool]:
        """Delete messages; whether each was there."""


class Inbox(Protocol):
    """Where verified notifications go."""

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Enqueue the jobs of each delivery that did not come before; on return all is on disk."""


class Renderer(Protocol):
    """Makes other images of an image."""

    def price(self, transformation: Transformation, size: tuple[int, int]) -> int:
        """Nanoseconds of work, roughly, for an image of that size; Rejected where it is too much.

        Too large for what is made counts as too much. Nothing is decoded.
        """

    def render(
        self, data: bytes, transformation: Transformation, regions: Regions | None = None
    ) -> Rendered:
        """Apply a transformation; Rejected for what is not supported, UnreadableImage.

        ``regions``: what is known of the image; without it faces are looked for where needed.
        """


class Recognizer(Protocol):
    """Faces: enrol, identify, forget. Collections are named, as in Rekognition."""

    def create(self, collection: str) -> None:
        """Make an empty collection; no error if it exists."""

    def drop(self, collection: str) -> None:
        """Delete a collection with all its faces; no error if there is none."""

    def strangers(self, collection: str, model: str) -> int:
        """How many faces of others in a collection one of that model could not take over.

        They were not learnt from our images, so they cannot be learnt anew. 0 without the
        collection.
        """

    def supersede(self, collection: str, heir: str, *, lossy: bool = False) -> None:
        """Delete a collection; its heir takes over what others put there, as far as it can.

        No error without the collection. Raises Rejected, nothing done, if faces of others would
        be lost, unless that is meant (``lossy``).
        """

    def collections(self) -> Sequence[str]:
        """Names of all collections."""

    def model(self, collection: str) -> str:
        """Return the model of the collection's faces; NotFound if there is no collection."""

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """Learn the one usable face of the image; the same again may be another face.

        Raises UnreadableImage, or UnusableFace with the reason.
        """

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good; unknown ones are no error."""

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every reference face of the collection, or those of the given ids that exist."""

    def portraits(self, collection: str) -> int | None:
        """How many reference faces a searched one is compared with.

        None where nobody knows how often strangers reach a similarity. NotFound without the
        collection.
        """

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> Sighting:
        """Find every face of the image and the references nearest to each, of two people at least.

        With an asset, what :meth:`recall` needs is kept. No face is a result, not an error.
        Raises UnreadableImage.
        """

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """For each reference face the most similar one of somebody else.

        Faces without one are absent, and all are where that is not known for nothing.
        """

    def recall(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """Search again, without images, the faces seen in these pictures, by asset_id.

        Pictures whose faces were not kept, or were kept of another version or for another
        model, are absent from the answer.
        """

    def unmoved(self, collection: str, searches: Sequence[Noted]) -> Mapping[str, bytes]:
        """Say of which pictures :meth:`recall` would answer the same as when they were noted.

        The count of reference faces apart. Returns, by asset_id, the note as it is now: another
        one where that spares looking at the same changes again. A picture that may be affected,
        or of which that is not known, is absent; so is everything where nothing is ever noted.
        """

    def discard(self, asset_id: str) -> None:
        """Delete what :meth:`identify` kept of a picture."""


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

    def find(self, collection: str) -> Gallery | None:
        """Return what everything else is asked by; None where there is no such collection."""

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


class Ledger(Protocol):
    """What we did and why: enrolments, searches, names we wrote, people's decisions."""

    def collection(self) -> str | None:
        """Return the live collection."""

    def begin(self, collection: str) -> str:
        """Make a collection the live one, in one step, if there is none; return the live one."""

    def weighs_strangers(self) -> bool:
        """Whether the gallery was begun by a program that asks more of a face where many are known.

        In older ones the threshold alone counts, until their owner wants it otherwise.
        """

    def switch(self, collection: str) -> None:
        """Make a collection the live one, in one step; counts as a change of the gallery."""

    def changed(self) -> None:
        """Count a change of the gallery that others made: no search is known to stand any more."""

    def generation(self) -> int:
        """How often the gallery changed."""

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """Return the enrolment of a training image."""

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """Every enrolment of the collection, or those that hold one of the given faces."""

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """Enrolments of the same picture, whatever their asset."""

    def intention(self, collection: str, asset_id: str) -> str | None:
        """Return whom a process that died in between was enrolling from this image."""

    def intend(self, collection: str, asset_id: str, person: str) -> None:
        """Note, before the recogniser is asked, whom we enrol."""

    def enrol(self, collection: str, enrolment: Enrolment) -> None:
        """Record an enrolment, replacing the asset's former one.

        Changes the generation if the collection is the live one and the line is a new one.
        In the same transaction a face that no enrolment holds any more becomes a leftover, and
        the intention is cleared.
        """

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """Delete and return the asset's enrolment, leaving a leftover if it was the last.

        Clears the intention.
        Changes the generation if the collection is the live one.
        """

    def leftovers(self, collection: str) -> Sequence[str]:
        """Faces no enrolment holds, still to be forgotten by the recogniser."""

    def cleared(self, collection: str, face_ids: Sequence[str]) -> None:
        """Note that faces were forgotten: leftovers among them are none any more.

        Changes the generation if the collection is the live one, as who looked since they were
        unenrolled may have seen them.
        """

    def purge(self, collection: str) -> None:
        """Delete every line about a collection; Rejected if it is the live one.

        Searches stay: they are about pictures, and being stale they are made again.
        """

    def search(self, asset_id: str) -> Search | None:
        """Return the last search of a picture."""

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, Search]:
        """Return the last searches of several pictures at once."""

    def searched(self) -> Iterator[str]:
        """asset_ids of all pictures that were searched."""

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """Return :meth:`names` of several pictures at once; those without any are absent."""

    def record(self, search: Search, basis: Basis | None = None) -> None:
        """Record a search and what it rests on, replacing the picture's former one.

        One older than what is on record, by (version, generation), is dropped.
        """

    def revise(self, searches: Sequence[tuple[Search, Basis | None]]) -> None:
        """Record several searches in one step in the place of older ones.

        One of the same (version, generation) as what is on record is dropped, too: who decided
        about that picture meanwhile knew more. So is that of a picture without a search: it was
        forgotten meanwhile.
        """

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
        """Up to ``limit`` searches of the scope that have a basis, in any order.

        Of those alone whose decision is the same where a name takes the similarity ``needed``.
        """

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """Bring those of these searches that stand to the generation of the scope, in one step.

        They stand if their asset_id is in ``unmoved``, with the note that they get; the others
        lose their basis. ``portraits``: how many reference faces there are, where that counts.
        A search that is not on record any more as it was read is left alone.
        """

    def stale(self, generation: int, limit: int) -> Sequence[Search]:
        """Up to ``limit`` searches made before that generation of the gallery, oldest first."""

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """Return the names we wrote to a picture or are forbidden to write."""

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """Set the state of names on a picture; None deletes the line.

        Where that changes which names are refused, its search is not known to stand any more.
        """

    def forget_asset(self, asset_id: str) -> None:
        """Delete the search and the names of a picture that is gone."""


class Queue(Protocol):
    """Durable jobs: at least once, one row per (kind, key), so one at a time per key."""

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """Promise a job; on return it is on disk.

        A waiting job of the same kind and key is brought forward, a dead one is revived, and a
        running one runs once more, ``delay`` seconds from now and not before it has ended. Should
        its worker die, the run that takes over is that one. The newest payload counts.
        """

    def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
        """Lease the next due job (of these kinds), counting the try; None if none is due."""

    def heartbeat(self, job: Job) -> bool:
        """Extend the lease; False if it was lost."""

    def finish(self, job: Job) -> bool:
        """Delete a done job, or make it ready again if it was enqueued meanwhile.

        False if the lease was lost.
        """

    def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
        """Give the job back, to be claimed again after ``delay`` seconds.

        Or sooner, if it was enqueued meanwhile. A try that is not ``counted`` is taken off again.
        False if the lease was lost.
        """

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """Promise several jobs in one step; see :meth:`enqueue`."""

    def bury(self, job: Job, reason: str) -> bool:
        """Make the job a dead letter with its reason (or ready, if enqueued meanwhile).

        False if the lease was lost.
        """

    def pending(self) -> int:
        """How many jobs are ready, running and waiting ones included."""

    def next_due(self) -> float | None:
        """When the next ready job is due, epoch seconds; None if there is none."""

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """Jobs, the oldest first."""

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """Make dead jobs (all, without ids) ready again with no tries; returns how many."""

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """Delete dead jobs (all, without ids); returns how many."""


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
