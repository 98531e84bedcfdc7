"""A library of its own to test, and short ways to fill and to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.media.types import (
    And,
    AssetKey,
    ChangeKind,
    Compare,
    ImageHeader,
    Order,
    Origin,
    Upload,
    Where,
)
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Asset
    from facelabel.media.types import Change, Condition

EVERYTHING = And()
SECRETARY = Origin(id="key-1", request_id="r1", notification_urls=("http://127.0.0.1/hear",))
NAMES = ["a", "b", "c", "d", "e"]


def equals(field: str, value: str | float) -> Where:
    return Where(field, Compare.EQUALS, value)


def word(field: str, value: str) -> Where:
    return Where(field, Compare.TOKEN, value)


def prefix(field: str, value: str) -> Where:
    return Where(field, Compare.PREFIX, value)


class Bench:
    """A library, what it told, and short ways to fill and to ask it."""

    def __init__(self, database: Database, root: Path) -> None:
        """Start empty."""
        self.database = database
        self.root = root
        self.clock = ManualClock()
        self.told: list[Change] = []
        self.library = self.open()

    def open(self, *, fixed_folders: bool = False) -> LocalLibrary:
        def note(_: Connection, change: Change) -> None:
            self.told.append(change)

        return LocalLibrary(
            self.database,
            self.root,
            self.clock,
            on_change=note,
            check=lambda _: ImageHeader("json", 30, 40),
            fixed_folders=fixed_folders,
        )

    def put(self, public_id: str, data: bytes = b"{}", **values: Any) -> Asset:  # noqa: ANN401 - Upload's
        key = AssetKey(
            public_id, values.pop("resource_type", "image"), values.pop("type", "upload")
        )
        return self.library.put(Upload(key, data, values.pop("format", "jpg"), **values))[0]

    def find(self, condition: Condition, *order: Order) -> list[str]:
        page = self.library.select(condition, order or [Order("public_id")], limit=100, count=True)
        assert page.total == len(page.assets)
        assert page.cursor is None
        return [asset.public_id for asset in page.assets]

    def kinds(self) -> list[ChangeKind]:
        kinds = [change.kind for change in self.told]
        self.told.clear()
        return kinds

    def files(self) -> set[str]:
        return {path.name for path in self.root.rglob("*") if path.is_file()}
