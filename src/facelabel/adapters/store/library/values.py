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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from facelabel.core.model import Asset, JsonValue
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
    if rows:
        connection.execute(delete(schema.asset_value).where(this), rows)


def _insert(connection: Connection, lines: Iterable[_Line]) -> None:
    rows = [line._asdict() for line in lines]
    if rows:
        connection.execute(insert(schema.asset_value), rows)


def _lines(asset: Asset) -> Iterator[_Line]:
    for name in WORDED:
        yield _line(asset.asset_id, name, 0, getattr(asset, name))
    for position, tag in enumerate(asset.tags):
        yield _line(asset.asset_id, "tags", position, tag)
    for group in ("context", "metadata", "details"):
        for key, value in _items(getattr(asset, group)):
            for position, item in enumerate(value):
                yield _line(asset.asset_id, f"{group}.{key}", position, item)


def _items(values: Mapping[str, JsonValue]) -> Iterator[tuple[str, list[bool | float | str]]]:
    """The values, each as a list, without what is no plain value."""
    for key, value in values.items():
        items = value if isinstance(value, list) else [value]
        yield key, [item for item in items if isinstance(item, bool | int | float | str)]


def _line(asset_id: str, field: str, position: int, value: bool | float | str) -> _Line:  # noqa: FBT001 - any JSON
    text = _text(value)
    return _Line(asset_id, field, position, text, _number(text), words(text))


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
