"""What assets can be found by: the lines of ``asset_value``, derived from the assets.

Fields that have columns are here for their words; tags, too. Context, metadata and details are
here with every value, numbers as numbers, a list with one line for each of its items.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert

from facelabel.adapters.store.sql import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from facelabel.core.model import Asset
    from facelabel.media.types import AssetChange

#: Grows whenever other lines are derived from the same asset: all are then derived anew.
EDITION = 1
#: Columns whose words can be looked for.
WORDED = ("public_id", "display_name", "filename", "folder")

_VALUE = schema.asset_value.c
_WORD = re.compile(r"[^\W_]+")


class _Line(NamedTuple):
    asset_id: str
    field: str
    position: int
    text: str
    number: float | None
    words: str


def words(text: str) -> str:
    """The words in lower case between spaces, also before the first and behind the last."""
    found = _WORD.findall(text.casefold())
    return f" {' '.join(found)} " if found else ""


def write(connection: Connection, changes: Sequence[AssetChange]) -> None:
    """Write the lines that differ for assets that are there afterwards."""
    old = {line for change in changes if change.before for line in _lines(change.before)}
    new = {line for change in changes if change.after for line in _lines(change.after)}
    if old - new:
        _delete(connection, old - new)
    _insert(connection, new - old)


def derive(connection: Connection, assets: Sequence[Asset]) -> None:
    """Derive every line of these assets anew."""
    gone = delete(schema.asset_value).where(_VALUE.asset_id.in_([a.asset_id for a in assets]))
    connection.execute(gone)
    _insert(connection, {line for asset in assets for line in _lines(asset)})


def _delete(connection: Connection, lines: Iterable[_Line]) -> None:
    key = (_VALUE.asset_id, _VALUE.field, _VALUE.position)
    this = and_(*(column == bindparam(f"this_{column.name}") for column in key))
    rows = [{f"this_{column.name}": getattr(line, column.name) for column in key} for line in lines]
    connection.execute(delete(schema.asset_value).where(this), rows)


def _insert(connection: Connection, lines: Iterable[_Line]) -> None:
    rows = [line._asdict() for line in lines]
    if rows:
        connection.execute(insert(schema.asset_value), rows)


def _lines(asset: Asset) -> Iterator[_Line]:
    for field, position, value in _fields(asset):
        text = _text(value)
        yield _Line(asset.asset_id, field, position, text, _number(text), words(text))


def _fields(asset: Asset) -> Iterator[tuple[str, int, bool | float | str]]:
    """What can be looked for: a field, the place in its list, and a plain value."""
    for name in WORDED:
        yield name, 0, getattr(asset, name)
    for position, tag in enumerate(asset.tags):
        yield "tags", position, tag
    for group in ("context", "metadata", "details"):
        for key, value in getattr(asset, group).items():
            items = value if isinstance(value, list) else [value]
            plain = (item for item in items if isinstance(item, bool | int | float | str))
            for position, item in enumerate(plain):
                yield f"{group}.{key}", position, item


def _text(value: bool | float | str) -> str:  # noqa: FBT001 - any JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    # Without what PostgreSQL's text cannot hold.
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
