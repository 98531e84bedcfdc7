"""The local library: pictures and other files on this computer, with Cloudinary's words and rules.

Rows are in the database, files in :mod:`~facelabel.adapters.store.library.originals`. Whoever
changes the library holds its lock, so a change and what follows it up are one transaction, and
what is decided from a row (is the name free, is this the original's last user) still holds when
it is written. That is also why an edit may read an asset, work out in plain Python what becomes
of it, and write the difference.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import func, select

from facelabel.adapters.store.library import asset_edits, asset_rows, documents
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.library.documents import StoreDocuments
from facelabel.adapters.store.library.folder_rows import StoreFolders
from facelabel.adapters.store.library.originals import Originals, UnusedOriginals
from facelabel.adapters.store.library.selection import Paging, tallied, where
from facelabel.adapters.store.library.transaction import Steps
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import batches
from facelabel.errors import AlreadyExists, NotFound, OriginalMissing, Rejected
from facelabel.media.types import (
    ASSET_ID,
    NOBODY,
    And,
    AssetChange,
    AssetKey,
    Compare,
    DocumentKind,
    Edit,
    Order,
    Page,
    Upload,
    Where,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.transaction import OnChange
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Asset, Json
    from facelabel.media.types import Condition, ImageHeader, Origin

_ASSET = schema.asset.c
#: The document that says how the rows were last written.
_STATE = ("library", "state")


class Check(Protocol):
    """Reads an image's header."""

    def __call__(self, data: bytes, /) -> ImageHeader:
        """Format, width and height in pixels; raises UnreadableImage."""


class StoredAssets:
    """What is asked of the local library, short of any change."""

    _database: Database
    _originals: Originals
    #: What deletes the originals that nobody needs any more.
    unused: UnusedOriginals
    folders: StoreFolders

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""
        if not ASSET_ID.fullmatch(asset_id):
            return None
        with self._database.read() as connection:
            return asset_rows.of_id(connection, asset_id)

    def get(self, key: AssetKey) -> Asset | None:
        """Return the asset of that name."""
        sought = asset_edits.sought_key(key)
        if sought is None:
            return None
        with self._database.read() as connection:
            return asset_rows.named(connection, sought)

    def find(self, public_id: str) -> Asset | None:
        """Return the image of that public_id, whatever its delivery type."""
        sought = asset_edits.sought(public_id)
        if sought is None:
            return None
        is_it = (_ASSET.public_id == sought) & (_ASSET.resource_type == "image")
        with self._database.read() as connection:
            return asset_rows.found(connection, is_it)

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, by folder and public_id, fetched page by page."""
        inside = Where("folder", Compare.PREFIX, asset_edits.folder(folder))
        images = And((Where("resource_type", Compare.EQUALS, "image"), inside))
        by_folder = [Order("folder"), Order("public_id")]
        cursor = None
        while True:
            page = self.select(images, by_folder, limit=self._database.page, cursor=cursor)
            yield from page.assets
            cursor = page.cursor
            if cursor is None:
                return

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """Images whose public_id begins so, then those whose asset_id does, so many at most."""
        if asset_edits.sought(text) is None:
            return ()
        found: dict[str, Asset] = {}
        for name in ("public_id", "asset_id"):
            images = And((Where("resource_type", Compare.EQUALS, "image"),
                          Where(name, Compare.PREFIX, text)))  # fmt: skip
            page = self.select(images, [Order(name)], limit=limit)
            found |= {asset.asset_id: asset for asset in page.assets}
        return list(found.values())[:limit]

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """Paths of the folders right below a parent, by name; none without the parent."""
        try:
            return [folder.path for folder in self.folders.below(parent)]
        except NotFound:
            return ()

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
        holds, paging = where(condition), Paging(order)
        counted = select(func.count()).select_from(schema.asset).where(holds)
        with self._database.read() as connection:
            rows = connection.execute(paging.page(holds, limit, cursor)).mappings().all()
            found = [a for some in batches(rows[:limit]) for a in asset_rows.read(connection, some)]
            total = connection.execute(counted).scalar_one() if count else -1
        following = paging.cursor(rows[limit - 1]) if len(rows) > limit else None
        return Page(tuple(found), following, total)

    def tally(self, condition: Condition, field: str) -> Mapping[str, int]:
        """How many of these assets have each value of a field."""
        with self._database.read() as connection:
            return {str(value): n for value, n in connection.execute(tallied(condition, field))}

    def tags(self, resource_type: str, prefix: str = "") -> Sequence[str]:
        """Every tag in use, by the alphabet."""
        those = Where("resource_type", Compare.EQUALS, resource_type)
        return [tag for tag in self.tally(those, "tags") if tag.startswith(prefix)]

    def usage(self) -> Mapping[str, int]:
        """How many "objects", and "bytes" of originals, there are."""
        with self._database.read() as connection:
            count, size = connection.execute(select(func.count(), func.sum(_ASSET.bytes))).one()
        return {"objects": count, "bytes": int(size or 0)}

    def fetch(self, asset: Asset) -> bytes:
        """Return the file; NotFound, OriginalMissing, or Rejected if it is damaged."""
        data = self._originals.read(asset.etag)
        if data is None:
            raise _missing(asset, self._originals.root, self.unused)
        if hashlib.sha256(data).hexdigest() != asset.etag:
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        return data

    def fetch_part(self, asset: Asset, part: range) -> bytes:
        """Return these bytes, unverified; NotFound, OriginalMissing, or Rejected if short."""
        data = self._originals.read(asset.etag, part)
        if data is None:
            raise _missing(asset, self._originals.root, self.unused)
        if len(data) < len(part):
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        return data

    def backup(self, key: AssetKey) -> Asset | None:
        """What a deleted asset of that name was; None without a backup."""
        sought = asset_edits.sought_key(key)
        if sought is None:
            return None
        with self._database.read() as connection:
            return asset_rows.backup(connection, sought)


class LocalLibrary(StoredAssets):
    """The files in the data folder; implements :class:`facelabel.media.ports.MediaLibrary`."""

    def __init__(
        self,
        database: Database,
        root: Path,
        clock: Clock,
        *,
        on_change: OnChange | None,
        check: Check,
        fixed_folders: bool = False,
        on_removed: Callable[[str], None] = lambda _etag: None,
    ) -> None:
        """``root``: folder of the originals. Without ``on_change`` nothing follows a change.

        ``fixed_folders``: an asset's folder is the beginning of its public_id, not a thing of its
        own. A library that was kept otherwise before is brought into line here.
        ``on_removed``: told of every original that is gone, by its SHA-256.
        """
        self._database = database
        self._originals = Originals(root)
        self._originals.make()
        self._check = check
        self.unused = UnusedOriginals(database, self._originals, on_removed)
        self._steps = Steps(database, clock, self.unused, on_change, fixed_folders=fixed_folders)
        self.folders = StoreFolders(database, self._steps)
        self.documents = StoreDocuments(database)
        _bring_into_line(database, fixed_folders=fixed_folders)

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Add tags atomically; those already there stay. NotFound if the asset is gone."""
        self._edit(asset_id, Edit(add_tags=tags))

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Remove tags atomically; those not there are no error. NotFound if the asset is gone."""
        self._edit(asset_id, Edit(remove_tags=tags))

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """Set contextual metadata keys; None removes a key. NotFound if the asset is gone."""
        self._edit(asset_id, Edit(set_context=values))

    def set_metadata(self, asset_id: str, field: str, values: Sequence[str]) -> None:
        """Make these the values of a structured metadata field; none clears it.

        A field that does not exist is made, and so are choices where it is open for new ones.
        """
        kind = DocumentKind.METADATA_FIELD
        with self._steps.begin() as step:
            before = _required(step.connection, asset_id)
            definition = documents.read(step.connection, kind, field)
            opened, value = documents.taking(definition or documents.new_field(field), values)
            if opened != definition:
                documents.write(step.connection, kind, field, opened)
            step.edit([(before, asset_edits.edited(before, Edit(set_metadata={field: value})))])

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
        content already stands there, which ``on_existing`` is told of; that asset gets the tags in
        addition. An asset that stands there keeps the folder and the file name that are not given.
        """
        etag = hashlib.sha256(data).hexdigest()
        wanted = Upload(
            AssetKey(""),
            data,
            **asdict(self._check(data)),
            folder=folder,
            filename=filename,
            tags=tags,
            context=context,
        )
        names = asset_edits.upload_names(public_id, asset_edits.folder(folder), filename, etag)
        with self._originals.staged(etag, data) as put_original, self._steps.begin() as step:
            existing, name = _placed(step.connection, names, etag)
            upload = asset_edits.addressed(wanted, existing, name, adds_tags=public_id is None)
            stored = step.store(existing, asset_edits.uploaded(existing, upload, etag, step.now))
            put_original()
        if on_existing and existing and existing.etag == etag:
            on_existing()
        return stored

    def put(self, upload: Upload, *, origin: Origin = NOBODY) -> tuple[Asset, bool]:
        """Store a file; also say whether an asset of that name stood there."""
        upload = dataclasses.replace(upload, key=asset_edits.key(upload.key))
        etag = hashlib.sha256(upload.data).hexdigest()
        with (
            self._originals.staged(etag, upload.data) as put_original,
            self._steps.begin(origin) as step,
        ):
            existing = asset_rows.named(step.connection, upload.key)
            if existing and not upload.overwrite:
                return existing, True
            after = asset_edits.uploaded(existing, upload, etag, step.now)
            stored = step.store(existing, after)
            put_original()
        return stored, existing is not None

    def edit(
        self, asset_ids: Sequence[str], edit: Edit, *, origin: Origin = NOBODY
    ) -> tuple[Asset, ...]:
        """Change assets in one step; those that are not there are left out of the answer.

        Raises AlreadyExists if the new public_id is taken, Rejected for what is not allowed.
        """
        with self._steps.begin(origin) as step:
            before = asset_rows.of_ids(step.connection, asset_ids)
            edits = [(asset, asset_edits.edited(asset, edit)) for asset in before]
            return step.edit(edits, overwrite=edit.overwrite)

    def move(self, asset_id: str, folder: str) -> Asset:
        """Put the asset into another folder; its asset_id stays.

        Its public_id stays, too, unless the folder is a part of it.
        """
        return self._edit(asset_id, Edit(folder=folder))

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """Give the asset another public_id; AlreadyExists if it is taken."""
        return self._edit(asset_id, Edit(public_id=public_id))

    def delete(self, asset_id: str) -> None:
        """Delete the asset and, with its last user, the original; no error if it is gone."""
        self.delete_all([asset_id])

    def delete_all(
        self, asset_ids: Sequence[str], *, keep_backup: bool = False, origin: Origin = NOBODY
    ) -> tuple[Asset, ...]:
        """Delete assets in one step; return those that were there."""
        with self._steps.begin(origin) as step:
            gone = asset_rows.of_ids(step.connection, asset_ids)
            if keep_backup:
                step.freed |= asset_rows.keep_backups(step.connection, gone)
            step.delete(gone)
        return tuple(gone)

    def restore(self, key: AssetKey, *, origin: Origin = NOBODY) -> Asset | None:
        """Bring a deleted asset back; AlreadyExists if another one has its name."""
        with self._steps.begin(origin) as step:
            sought = asset_edits.sought_key(key)
            asset = asset_rows.take_backup(step.connection, sought) if sought else None
            if asset is None:
                return None
            if asset_rows.named(step.connection, AssetKey.of(asset)):
                raise AlreadyExists(f"there is an asset {key.public_id!r} already")
            return step.store(None, asset)

    def _edit(self, asset_id: str, edit: Edit) -> Asset:
        """Change an asset that must exist."""
        edited = self.edit([asset_id], edit)
        if not edited:
            raise NotFound(f"there is no asset {asset_id!r}")
        return edited[0]


def _missing(asset: Asset, root: Path, unused: UnusedOriginals) -> NotFound | OriginalMissing:
    if unused.among([asset.etag]):
        return NotFound(f"the original of {asset.public_id!r} is gone")
    return OriginalMissing(
        f"the original of {asset.public_id!r} is not in {root}: is that the right folder, and its"
        " disk mounted? If the file is lost, upload the picture again, or delete it"
    )


def _placed(connection: Connection, names: Sequence[str], etag: str) -> tuple[Asset | None, str]:
    """The image that an upload is for, None if there is none yet, and the name it gets.

    The image of the first name is replaced if that is the only one. Of several names the one
    that holds the same content is taken, else the first that is free.
    """
    is_named = (_ASSET.public_id.in_(names)) & (_ASSET.resource_type == "image")
    rows = {asset.public_id: asset for asset in asset_rows.matching(connection, is_named)}
    same = [rows[name] for name in names if name in rows and rows[name].etag == etag]
    if len(names) == 1:
        same = list(rows.values())
    if same:
        return same[0], same[0].public_id
    free = next((name for name in names if name not in rows), None)
    if free is None:
        raise AlreadyExists(f"there are too many pictures {names[0]!r}")
    return None, free


def _required(connection: Connection, asset_id: str) -> Asset:
    found = asset_rows.of_ids(connection, [asset_id])
    if not found:
        raise NotFound(f"there is no asset {asset_id!r}")
    return found[0]


def _bring_into_line(database: Database, *, fixed_folders: bool) -> None:
    """See to it that the rows are kept the way this code, so set up, keeps them."""
    wanted: Json = {"fixed_folders": fixed_folders, "values": asset_rows.EDITION}
    with database.read() as connection:
        if documents.read(connection, *_STATE) == wanted:
            return
    with database.transaction(alone=LOCK) as connection:
        for some in asset_rows.every(connection):
            placed: Sequence[Asset] = some
            if fixed_folders:
                placed = [asset_edits.in_fixed_folder(None, one) for one in some]
                asset_rows.write(connection, list(map(AssetChange, some, placed)))
            asset_rows.derive_values(connection, placed)
        documents.write(connection, *_STATE, wanted)
