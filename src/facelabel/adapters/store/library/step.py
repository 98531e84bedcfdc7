"""One change of the library: what is written and told in one transaction."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias

from facelabel.adapters.store.library import assets
from facelabel.adapters.store.library.editing import in_fixed_folder, told
from facelabel.adapters.store.sql.database import batches
from facelabel.errors import AlreadyExists
from facelabel.media.types import AssetChange, Change, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from facelabel.core.model import Asset
    from facelabel.media.types import Origin

#: An asset before and after an edit.
Pair: TypeAlias = "tuple[Asset, Asset]"


class OnChange(Protocol):
    """Told of every change, inside its transaction."""

    def __call__(self, connection: Connection, change: Change, /) -> None:
        """Follow the change up, for example with a job that commits together with it."""


@dataclasses.dataclass
class Step:
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
            self.tell(ChangeKind.UPLOAD, changes)
        return stored

    def edit(self, edits: Sequence[Pair], *, overwrite: bool = False) -> tuple[Asset, ...]:
        """Write edited assets and tell of every aspect that changed.

        Raises AlreadyExists if a new name is taken, unless who has it may be overwritten.
        """
        edits = [(before, self._placed(before, after)) for before, after in edits]
        self._make_way(edits, overwrite=overwrite)
        edited, changes = self._write(edits)
        for kind, concerned in told(changes):
            if not (kind is ChangeKind.MOVE and self.fixed_folders):  # it is a rename there
                self.tell(kind, concerned)
        return edited

    def move(self, edits: Iterable[Pair], from_path: str, to_path: str) -> None:
        """Write assets whose folder was moved, and tell of the folder.

        They are worked out and written some at a time: who is silent for long in the middle of a
        change is given up by PostgreSQL.
        """
        changes = [change for some in batches(edits) for change in self._write(some)[1]]
        self.tell(ChangeKind.MOVE_FOLDER, changes, from_path, to_path)

    def delete(self, gone: Sequence[Asset]) -> None:
        """Delete assets and tell of it."""
        changes = tuple(AssetChange(asset, None) for asset in gone)
        if changes:
            assets.write(self.connection, changes)
            self.freed.update(asset.etag for asset in gone)
            self.tell(ChangeKind.DELETE, changes)

    def tell(
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

    def _placed(self, before: Asset | None, after: Asset) -> Asset:
        return in_fixed_folder(before, after) if self.fixed_folders else after

    def _write(
        self, edits: Sequence[tuple[Asset | None, Asset]]
    ) -> tuple[tuple[Asset, ...], tuple[AssetChange, ...]]:
        """Write what differs; return all assets as they now are, and the real changes."""
        after = tuple(self._dated(old, self._placed(old, new)) for old, new in edits)
        pairs = list(zip((old for old, _ in edits), after, strict=True))
        changes = tuple(AssetChange(old, new) for old, new in pairs if old != new)
        assets.write(self.connection, changes)
        replaced = [old.etag for old, new in pairs if old and old.etag != new.etag]
        self.freed.update(replaced)
        return after, changes

    def _dated(self, before: Asset | None, after: Asset) -> Asset:
        return after if before == after else dataclasses.replace(after, updated_at=self.now)

    def _make_way(self, edits: Sequence[Pair], *, overwrite: bool) -> None:
        """See to it that the new names are free."""
        keys = [(assets.key_of(before), assets.key_of(after)) for before, after in edits]
        renamed = [new for old, new in keys if new != old]
        if len(set(renamed)) < len(renamed):
            raise AlreadyExists(f"two assets cannot both be {renamed[0].public_id!r}")
        for key in renamed:
            holder = assets.found(self.connection, assets.is_named(key))
            if holder and not overwrite:
                raise AlreadyExists(f"there is an asset {key.public_id!r} already")
            if holder:
                self.delete([holder])
