"""The local library: pictures and other files on this computer, with Cloudinary's words and rules.

Rows are in the database, files in :mod:`~facelabel.adapters.store.library.originals`. Whoever changes the
library holds its lock, so a change and what follows it up are one transaction, and what is
decided from a row (is the name free, is this the original's last user) still holds when it is
written. That is also why an edit may read an asset, work out in plain Python what becomes of it,
and write the difference.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import logging
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import func, select

from facelabel.adapters.store.library import (
    assets,
    backups,
    documents,
    editing,
    folders,
    needed,
    people_fields,
    placing,
    released,
    validation,
    values,
)
from facelabel.adapters.store.library.originals import Originals
from facelabel.adapters.store.library.paging import Paging
from facelabel.adapters.store.library.selection import is_inside, tallied, where
from facelabel.adapters.store.library.step import Step
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.losses import bearable
from facelabel.errors import AlreadyExists, NotFound, OriginalMissing, Rejected
from facelabel.media.types import (
    AssetChange,
    AssetKey,
    ChangeKind,
    Compare,
    DocumentKind,
    Edit,
    Every,
    Folder,
    Order,
    Origin,
    Page,
    Upload,
    Where,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.step import OnChange
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Asset, Json
    from facelabel.media.types import Condition, ImageHeader
    from facelabel.ports import Clock

log = logging.getLogger(__name__)

_ASSET = schema.asset.c
_DAY = 86_400.0
#: The document that says how the rows were last written.
_STATE = ("library", "state")


class Check(Protocol):
    """Reads an image's header."""

    def __call__(self, data: bytes, /) -> ImageHeader:
        """Format, width and height in pixels; raises UnreadableImage."""


class LocalLibrary:
    """The files in the data folder; implements :class:`facelabel.ports.MediaLibrary`."""

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
        self._clock = clock
        self._on_change = on_change
        self._check = check
        self._fixed_folders = fixed_folders
        self._on_removed = on_removed
        #: How many files of no picture somebody was told of.
        self._told = 0
        self._origin = Origin()
        self._bring_into_line()

    def acting(self, origin: Origin) -> LocalLibrary:
        """The same library, changed on behalf of somebody."""
        acting = copy.copy(self)
        acting._origin = origin  # noqa: SLF001 - our own copy
        return acting

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""
        if not assets.is_id(asset_id):
            return None
        with self._database.read() as connection:
            return assets.found(connection, _ASSET.asset_id == asset_id)

    def get(self, key: AssetKey) -> Asset | None:
        """Return the asset of that name."""
        sought = validation.sought_key(key)
        if sought is None:
            return None
        with self._database.read() as connection:
            return assets.found(connection, assets.is_named(sought))

    def find(self, public_id: str) -> Asset | None:
        """Return the image of that public_id, whatever its delivery type."""
        sought = validation.sought(public_id)
        if sought is None:
            return None
        is_it = (_ASSET.public_id == sought) & (_ASSET.resource_type == "image")
        with self._database.read() as connection:
            return assets.found(connection, is_it)

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, by folder and public_id, fetched page by page."""
        inside = Where("folder", Compare.PREFIX, validation.folder(folder))
        images = Every((Where("resource_type", Compare.EQUALS, "image"), inside))
        by_folder = [Order("folder"), Order("public_id")]
        cursor = None
        while True:
            page = self.select(images, by_folder, limit=self._database.page, cursor=cursor)
            yield from page.assets
            cursor = page.cursor
            if cursor is None:
                return

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
            found = [a for some in batches(rows[:limit]) for a in assets.read(connection, some)]
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
            raise self._missing(asset)
        if hashlib.sha256(data).hexdigest() != asset.etag:
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        return data

    def fetch_part(self, asset: Asset, part: range) -> bytes:
        """Return these bytes, unverified; NotFound, OriginalMissing, or Rejected if short."""
        data = self._originals.read(asset.etag, part)
        if data is None:
            raise self._missing(asset)
        if len(data) < len(part):
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        return data

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
        with self._step() as step:
            before = _required(step.connection, asset_id)
            definition = documents.read(step.connection, kind, field)
            opened, value = people_fields.taking(
                definition or people_fields.new_field(field), values
            )
            if opened != definition:
                documents.write(step.connection, kind, field, opened)
            step.edit([(before, editing.edited(before, Edit(set_metadata={field: value})))])

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
        content already stands there; that asset gets the tags in addition. An asset that stands
        there keeps the folder and the file name that are not given.
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
        names = placing.names(public_id, validation.folder(folder), filename, etag)
        with self._originals.staged(etag, data) as original, self._step() as step:
            standing, name = placing.standing(step.connection, names, etag)
            upload = placing.addressed(wanted, standing, name, adds_tags=public_id is None)
            stored = step.store(standing, editing.uploaded(standing, upload, etag, step.now))
            original.place()
        return stored

    def put(self, upload: Upload) -> tuple[Asset, bool]:
        """Store a file; also say whether an asset of that name stood there."""
        upload = dataclasses.replace(upload, key=validation.key(upload.key))
        etag = hashlib.sha256(upload.data).hexdigest()
        with self._originals.staged(etag, upload.data) as original, self._step() as step:
            standing = assets.found(step.connection, assets.is_named(upload.key))
            if standing and not upload.overwrite:
                return standing, True
            after = editing.uploaded(standing, upload, etag, step.now)
            stored = step.store(standing, after)
            original.place()
        return stored, standing is not None

    def edit(self, asset_ids: Sequence[str], edit: Edit) -> tuple[Asset, ...]:
        """Change assets in one step; those that are not there are left out of the answer.

        Raises AlreadyExists if the new public_id is taken, Rejected for what is not allowed.
        """
        with self._step() as step:
            before = assets.of_ids(step.connection, asset_ids)
            edits = [(asset, editing.edited(asset, edit)) for asset in before]
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
        self, asset_ids: Sequence[str], *, keep_backup: bool = False
    ) -> tuple[Asset, ...]:
        """Delete assets in one step; return those that were there."""
        with self._step() as step:
            gone = assets.of_ids(step.connection, asset_ids)
            if keep_backup:
                step.freed |= backups.keep(step.connection, gone)
            step.delete(gone)
        return tuple(gone)

    def backup(self, key: AssetKey) -> Asset | None:
        """What a deleted asset of that name was; None without a backup."""
        sought = validation.sought_key(key)
        if sought is None:
            return None
        with self._database.read() as connection:
            return backups.read(connection, sought)

    def restore(self, key: AssetKey) -> Asset | None:
        """Bring a deleted asset back; AlreadyExists if another one has its name."""
        with self._step() as step:
            sought = validation.sought_key(key)
            asset = backups.take(step.connection, sought) if sought else None
            if asset is None:
                return None
            if assets.found(step.connection, assets.is_named(assets.key_of(asset))):
                raise AlreadyExists(f"there is an asset {key.public_id!r} already")
            return step.store(None, asset)

    def folders(self, parent: str = "") -> Sequence[Folder]:
        """The folders right below a parent, by name; NotFound if there is no such parent."""
        parent = validation.folder(parent)
        with self._database.read() as connection:
            below = folders.below(connection, parent)
        if parent and not below:
            raise NotFound(f"Can't find folder with path {parent}")
        return folders.right_below(below, parent)

    def all_folders(self) -> Sequence[Folder]:
        """Every folder, by path."""
        with self._database.read() as connection:
            return folders.below(connection, "")

    def create_folder(self, path: str) -> Folder:
        """Make a folder, and those it lies in; no error if it exists."""
        path = _folder_path(path)
        with self._step() as step:
            for made in folders.make(step.connection, path):
                step.tell(ChangeKind.CREATE_FOLDER, to_path=made)
            return folders.below(step.connection, path)[0]

    def rename_folder(self, path: str, to: str) -> Folder:
        """Move a folder with all that is in it; NotFound, AlreadyExists."""
        path, to = _folder_path(path), _folder_path(to)
        if to.startswith(f"{path}/"):
            raise Rejected(f"the folder {path} cannot be moved into itself")
        with self._step() as step:
            if not folders.exists(step.connection, path):
                raise NotFound(f"Can't find folder with path {path}")
            if folders.exists(step.connection, to):
                raise AlreadyExists(f"there is a folder {to} already")
            inside = assets.matching(step.connection, is_inside(_ASSET.folder, path))
            folders.move(step.connection, path, to)
            step.move(((asset, _moved(asset, path, to)) for asset in inside), path, to)
            return folders.below(step.connection, to)[0]

    def delete_folder(self, path: str) -> Sequence[Folder]:
        """Delete a folder and those below; NotFound, or Rejected while an asset is in one."""
        path = _folder_path(path)
        with self._step() as step:
            gone = folders.below(step.connection, path)
            if not gone:
                raise NotFound(f"Can't find folder with path {path}")
            if assets.found(step.connection, is_inside(_ASSET.folder, path)):
                raise Rejected("Folder is not empty")
            folders.drop(step.connection, path)
            step.tell(ChangeKind.DELETE_FOLDER, from_path=path)
        return gone

    def document(self, kind: DocumentKind, name: str) -> Json | None:
        """Return a document."""
        with self._database.read() as connection:
            return documents.read(connection, kind, name)

    def documents(self, kind: DocumentKind) -> Mapping[str, Json]:
        """Every document of a kind by name, in the order made."""
        with self._database.read() as connection:
            return documents.read_all(connection, kind)

    def change_document(
        self, kind: DocumentKind, name: str, change: Callable[[Json | None], Json | None]
    ) -> Json | None:
        """Make of a document (None: there is none) another one (None: delete it), in one step."""
        with self._alone() as connection:
            changed = change(documents.read(connection, kind, name))
            documents.write(connection, kind, name, changed)
        return changed

    def sweep_orphans(self, min_age: float = _DAY) -> int:
        """Delete files of no asset that dead processes left; returns how many.

        Where there are many, none is: dead processes leave few, and a database that is older than
        the files does not know the newest of them.

        ``min_age``: seconds; an upload that is under way has files without an asset, too.
        """
        removed = self.release()
        before = time.time() - min_age  # the file system's clock, whatever ours says
        settled = list(self._originals.settled(before))
        unused = [etag for some in batches(settled) for etag in self._unused(some)]
        if len(unused) > bearable(len(settled)):
            self._tell(len(unused))
        elif unused:
            with self._alone() as connection:
                released.note(self._database, connection, unused)
            log.warning(
                "%d files in %s belong to no picture and are deleted: an upload was killed before"
                " it was done, or the database is older than they are",
                len(unused),
                self._originals.root,
            )
            removed += self.release()
        return removed + self._originals.remove_unplaced(before)

    def release(self) -> int:
        """Delete the originals that are noted to go, and were not yet; returns how many."""
        removed = 0
        while self._originals.is_there():
            with self._database.read() as connection:
                noted = released.page(connection)
            if not noted:
                break
            removed += self._release(noted)
        return removed

    def _tell(self, unused: int) -> None:
        """Say once what the files of no picture are likely to be, and what helps."""
        if unused != self._told:
            log.warning(
                "%d files in %s belong to no picture, as if the database were older than they are:"
                " none is deleted. Put the newer database back, or `facelabel upload` the files"
                " again; if nobody wants them, `facelabel adopt --force` has them deleted",
                unused,
                self._originals.root,
            )
        self._told = unused

    def _alone(self) -> AbstractContextManager[Connection]:
        return self._database.transaction(alone="library")

    @contextmanager
    def _step(self) -> Iterator[Step]:
        """A change; the originals it leaves without a user go after it."""
        with self._alone() as connection:
            now, fixed = self._clock.now(), self._fixed_folders
            step = Step(connection, now, self._origin, self._on_change, fixed)
            yield step
            freed = _unused(connection, step.freed)
            released.note(self._database, connection, freed)
        if freed and self._originals.is_there():
            self._release(freed)

    def _edit(self, asset_id: str, edit: Edit) -> Asset:
        """Change an asset that must exist."""
        edited = self.edit([asset_id], edit)
        if not edited:
            raise NotFound(f"there is no asset {asset_id!r}")
        return edited[0]

    def _bring_into_line(self) -> None:
        """See to it that the rows are kept the way this code, so set up, keeps them."""
        wanted: Json = {"fixed_folders": self._fixed_folders, "values": values.EDITION}
        with self._database.read() as connection:
            if documents.read(connection, *_STATE) == wanted:
                return
        with self._alone() as connection:
            for some in assets.every(connection):
                values.derive(connection, self._placed(connection, some))
            documents.write(connection, *_STATE, wanted)

    def _placed(self, connection: Connection, some: Sequence[Asset]) -> Sequence[Asset]:
        """Make the folders those of the public_ids, where that is what they are."""
        if not self._fixed_folders:
            return some
        placed = [editing.in_fixed_folder(None, asset) for asset in some]
        assets.write(connection, list(map(AssetChange, some, placed)))
        return placed

    def _missing(self, asset: Asset) -> NotFound | OriginalMissing:
        if self._unused([asset.etag]):
            return NotFound(f"the original of {asset.public_id!r} is gone")
        return OriginalMissing(
            f"the original of {asset.public_id!r} is not in {self._originals.root}: is that the"
            " right folder, and its disk mounted? If the file is lost, upload the picture again,"
            " or delete it"
        )

    def _unused(self, etags: Sequence[str]) -> list[str]:
        with self._database.read() as connection:
            return needed.unused(connection, etags)

    def _release(self, etags: Sequence[str]) -> int:
        """Remove those of the noted originals that no asset uses; returns how many.

        Looked up anew under the lock: since the row went, another upload may have come to
        rely on the file.
        """
        with self._alone() as connection:
            unused = _unused(connection, etags)
            with self._originals.removed(unused):
                for etag in unused:
                    self._on_removed(etag)
                # Fails if we were stopped, and others have the lock.
                released.forget(connection, etags)
        return len(unused)


def _unused(connection: Connection, etags: Iterable[str]) -> list[str]:
    return [etag for some in batches(etags) for etag in needed.unused(connection, some)]


def _folder_path(path: str) -> str:
    folder = validation.folder(path)
    if not folder:
        raise Rejected("a folder has a name")
    return folder


def _moved(asset: Asset, path: str, to: str) -> Asset:
    return editing.edited(asset, Edit(folder=to + asset.folder.removeprefix(path)))


def _required(connection: Connection, asset_id: str) -> Asset:
    found = assets.of_ids(connection, [asset_id])
    if not found:
        raise NotFound(f"there is no asset {asset_id!r}")
    return found[0]
