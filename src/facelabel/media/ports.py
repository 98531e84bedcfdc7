"""What others need of a library of pictures.

All methods may raise :class:`~facelabel.errors.Unavailable`; all may be called again after any
failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from facelabel.media.types import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import Asset, Json
    from facelabel.media.types import (
        AssetKey,
        Condition,
        DocumentKind,
        Edit,
        Folder,
        Order,
        Origin,
        Page,
        Upload,
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


class Directory(Protocol):
    """What a library has, without a look at all of it: for who wrote a name that is not there."""

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """Images whose public_id begins so, by public_id, so many at most.

        Also those whose asset_id does, where a library can be asked for them.
        """

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """Paths of the folders right below a parent, by name; none without the parent."""


class EditableLibrary(Library, Directory, Protocol):
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
        on_existing: Callable[[], None] | None = None,
    ) -> Asset:
        """Store an image; same public_id replaces content, and tags where given.

        Without a public_id one is made from folder and file name, made unique unless the same
        content already stands there; that asset gets the tags in addition. Context is set key by
        key, and an asset that stands there keeps the folder and the file name that are not given.
        Calls ``on_existing`` where the asset was there with this very content.
        Raises UnreadableImage, Rejected (bad public_id, tag …).
        """

    def move(self, asset_id: str, folder: str) -> Asset:
        """Put the asset into another folder, keeping its asset_id."""

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """Give the asset another public_id; AlreadyExists if it is taken."""

    def delete(self, asset_id: str) -> None:
        """Delete the asset and, with its last user, the original; no error if it is gone."""


class Folders(Protocol):
    """The folders of a library: those that were made, and those that something lies in."""

    def below(self, parent: str = "") -> Sequence[Folder]:
        """The folders right below a parent, by name; NotFound if there is no such parent."""

    def all(self) -> Sequence[Folder]:
        """Every folder, by path."""

    def create(self, path: str, *, origin: Origin = NOBODY) -> Folder:
        """Make a folder; no error if it exists."""

    def rename(self, path: str, to: str, *, origin: Origin = NOBODY) -> Folder:
        """Move a folder with all that is in it; NotFound, AlreadyExists."""

    def delete(self, path: str, *, origin: Origin = NOBODY) -> Sequence[Folder]:
        """Delete a folder and those below; NotFound, or Rejected while an asset is in one."""


class Documents(Protocol):
    """Small things of a library that are kept as they came, by kind and name."""

    def get(self, kind: DocumentKind, name: str) -> Json | None:
        """Return a document."""

    def all(self, kind: DocumentKind) -> Mapping[str, Json]:
        """Every document of a kind by name, in the order made."""

    def change(
        self, kind: DocumentKind, name: str, change: Callable[[Json | None], Json | None]
    ) -> Json | None:
        """Make of a document (None: there is none) another one (None: delete it), in one step.

        What ``change`` raises goes through, and nothing was changed.
        """


class MediaLibrary(EditableLibrary, Protocol):
    """A library of its own: everything Cloudinary's API can ask for.

    Every change is told, in its own transaction, to whoever the library was built with; its
    ``origin`` says on whose behalf it is made.
    """

    @property
    def folders(self) -> Folders:
        """Its folders."""

    @property
    def documents(self) -> Documents:
        """Its documents."""

    def get(self, key: AssetKey) -> Asset | None:
        """Return the asset of that name."""

    def fetch_part(self, asset: Asset, part: range) -> bytes:
        """Return these bytes of the file, unverified; Rejected if short, else as :meth:`fetch`."""

    def put(self, upload: Upload, *, origin: Origin = NOBODY) -> tuple[Asset, bool]:
        """Store a file; also say whether an asset of that name stood there.

        The content of one that stands there is replaced, its asset_id stays. Raises Rejected for
        a name, a tag … that is not allowed.
        """

    def edit(
        self, asset_ids: Sequence[str], edit: Edit, *, origin: Origin = NOBODY
    ) -> tuple[Asset, ...]:
        """Change assets in one step; those that are not there are left out of the answer.

        Raises AlreadyExists if the new public_id is taken, Rejected for what is not allowed.
        """

    def delete_all(
        self, asset_ids: Sequence[str], *, keep_backup: bool = False, origin: Origin = NOBODY
    ) -> tuple[Asset, ...]:
        """Delete assets in one step; return those that were there."""

    def backup(self, key: AssetKey) -> Asset | None:
        """What a deleted asset of that name was when it went; None without a backup."""

    def restore(self, key: AssetKey, *, origin: Origin = NOBODY) -> Asset | None:
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
