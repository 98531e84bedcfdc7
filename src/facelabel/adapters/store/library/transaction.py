"""One change of the library: what is written and told in one transaction."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from facelabel.adapters.store.library import asset_rows
from facelabel.adapters.store.library.asset_edits import changes_by_kind, in_fixed_folder
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql.database import batches
from facelabel.errors import AlreadyExists
from facelabel.media.types import NOBODY, AssetChange, AssetKey, Change, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.released import UnusedOriginals
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Asset
    from facelabel.media.types import Origin

#: An asset before and after an edit.
Pair: TypeAlias = "tuple[Asset, Asset]"


class OnChange(Protocol):
    """Told of every change, inside its transaction."""

    def __call__(self, connection: Connection, change: Change, /) -> None:
        """Follow the change up, for example with a job that commits together with it."""


@dataclasses.dataclass
class LibraryTransaction:
    """A transaction that holds the library's lock."""

    connection: Connection
    now: float
    origin: Origin
    on_change: OnChange | None
    #: Whether an asset's folder is a part of its public_id.
    fixed_folders: bool
    #: Originals that may have lost their last user.
    freed: set[str] = dataclasses.field(default_factory=set)

    def store(self, before: Asset | None, after: Asset) -> Asset:
        """Write an uploaded asset and tell of it."""
        (stored,), changes = self._write([(before, after)])
        if changes:
            self.emit(ChangeKind.UPLOAD, changes)
        return stored

    def edit(self, edits: Sequence[Pair], *, overwrite: bool = False) -> tuple[Asset, ...]:
        """Write edited assets and tell of every aspect that changed.

        Raises AlreadyExists if a new name is taken, unless who has it may be overwritten.
        """
        if self.fixed_folders:
            edits = [(before, in_fixed_folder(before, after)) for before, after in edits]
        self._make_way(edits, overwrite=overwrite)
        edited, changes = self._write(edits)
        for kind, concerned in changes_by_kind(changes):
            if not (kind is ChangeKind.MOVE and self.fixed_folders):  # it is a rename there
                self.emit(kind, concerned)
        return edited

    def move(self, edits: Iterable[Pair], from_path: str, to_path: str) -> None:
        """Write assets whose folder was moved, and tell of the folder.

        They are worked out and written some at a time: who is silent for long in the middle of a
        change is given up by PostgreSQL.
        """
        changes = [change for some in batches(edits) for change in self._write(some)[1]]
        self.emit(ChangeKind.MOVE_FOLDER, changes, from_path, to_path)

    def delete(self, gone: Sequence[Asset]) -> None:
        """Delete assets and tell of it."""
        changes = tuple(AssetChange(asset, None) for asset in gone)
        if changes:
            asset_rows.write(self.connection, changes)
            self.freed.update(asset.etag for asset in gone)
            self.emit(ChangeKind.DELETE, changes)

    def emit(
        self,
        kind: ChangeKind,
        changes: Sequence[AssetChange] = (),
        from_path: str = "",
        to_path: str = "",
    ) -> None:
        """Tell who wants to know."""
        if self.on_change:
            change = Change(kind, tuple(changes), from_path, to_path, self.origin)
            self.on_change(self.connection, change)

    def _write(
        self, edits: Sequence[tuple[Asset | None, Asset]]
    ) -> tuple[tuple[Asset, ...], tuple[AssetChange, ...]]:
        """Write what differs; return all assets as they now are, and the real changes."""
        after, changes = [], []
        for old, new in edits:
            placed = in_fixed_folder(old, new) if self.fixed_folders else new
            if placed != old:
                placed = dataclasses.replace(placed, updated_at=self.now)
                changes.append(AssetChange(old, placed))
                if old and old.etag != placed.etag:
                    self.freed.add(old.etag)
            after.append(placed)
        asset_rows.write(self.connection, changes)
        return tuple(after), tuple(changes)

    def _make_way(self, edits: Sequence[Pair], *, overwrite: bool) -> None:
        """See to it that the new names are free."""
        keys = [(AssetKey.of(before), AssetKey.of(after)) for before, after in edits]
        renamed = [new for old, new in keys if new != old]
        if len(set(renamed)) < len(renamed):
            raise AlreadyExists(f"two assets cannot both be {renamed[0].public_id!r}")
        for key in renamed:
            holder = asset_rows.named(self.connection, key)
            if holder and not overwrite:
                raise AlreadyExists(f"there is an asset {key.public_id!r} already")
            if holder:
                self.delete([holder])


class Steps:
    """Begins changes: one at a time, and what a change leaves without a user goes after it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        unused: UnusedOriginals,
        on_change: OnChange | None,
        *,
        fixed_folders: bool,
    ) -> None:
        """``fixed_folders``: whether an asset's folder is a part of its public_id."""
        self._database = database
        self._clock = clock
        self._unused = unused
        self._on_change = on_change
        self._fixed_folders = fixed_folders

    @contextmanager
    def begin(self, origin: Origin = NOBODY) -> Iterator[LibraryTransaction]:
        """A change that commits at the end of the block; until then it holds the library's lock."""
        with self._database.transaction(alone=LOCK) as connection:
            now, fixed = self._clock.now(), self._fixed_folders
            step = LibraryTransaction(connection, now, origin, self._on_change, fixed)
            yield step
            freed = self._unused.note(connection, step.freed) if step.freed else []
        if freed:
            self._unused.remove(freed)
