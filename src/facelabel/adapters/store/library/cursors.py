"""Pages of a selection, each going on behind the last asset of the page before.

The cursor carries what that asset was sorted by, so assets that come and go between two pages
move none of the others to another page.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, tuple_

from facelabel.adapters.store.library import naming_rules
from facelabel.adapters.store.library.selection import NUMBERS, TEXTS, is_keyed
from facelabel.adapters.store.sql import schema
from facelabel.errors import Rejected
from facelabel.media.types import Order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

_ASSET = schema.asset.c
_VALUE = schema.asset_value.c
_NEWEST = (Order("created_at", descending=True),)
_ORDERS = 10


@dataclass(frozen=True)
class _Key:
    """Something the assets are sorted by; never NULL."""

    column: ColumnElement[Any]
    descending: bool
    is_number: bool

    @property
    def sorting(self) -> ColumnElement[Any]:
        return self.column.desc() if self.descending else self.column.asc()

    def behind(self, value: str | float) -> ColumnElement[bool]:
        return self.column < value if self.descending else self.column > value

    def accepts(self, value: object) -> bool:
        if isinstance(value, str):
            return not self.is_number and naming_rules.sought(value) == value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self.is_number and is_number and math.isfinite(value)  # type: ignore[arg-type]


class Paging:
    """An order of assets, and the cursors that belong to it."""

    def __init__(self, order: Sequence[Order]) -> None:
        """Newest first without an order; Rejected if a field cannot be sorted by."""
        order = order or _NEWEST
        if len(order) > _ORDERS:
            raise Rejected(f"at most {_ORDERS} fields can be sorted by")
        self._name = [f"{'-' if one.descending else ''}{one.field}" for one in order]
        # Ties in the first field's direction, so that one index has the whole order.
        last = _Key(_ASSET.asset_id, order[0].descending, is_number=False)
        self._keys = [*(key for one in order for key in _keys(one)), last]

    def page(self, condition: ColumnElement[bool], limit: int, cursor: str | None) -> Select[Any]:
        """The rows of one page, and one more if there are any, ready for :meth:`cursor`."""
        if limit < 1:
            raise Rejected("a page has at least one asset")
        sorted_by = [key.column.label(f"key{at}") for at, key in enumerate(self._keys)]
        rows = select(schema.asset, *sorted_by).where(condition)
        if cursor is not None:
            rows = rows.where(self._behind(self._read(cursor)))
        return rows.order_by(*(key.sorting for key in self._keys)).limit(limit + 1)

    def cursor(self, row: RowMapping) -> str:
        """Return what goes on behind this row."""
        place = [row[f"key{at}"] for at in range(len(self._keys))]
        text = json.dumps([self._name, place], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _behind(self, place: Sequence[str | float]) -> ColumnElement[bool]:
        """Later in the order than the place: behind in one key, equal in those before it."""
        if len({key.descending for key in self._keys}) == 1:  # an index can begin right there
            keys, here = tuple_(*(key.column for key in self._keys)), tuple_(*place)
            return keys < here if self._keys[0].descending else keys > here
        ways = []
        equal: list[ColumnElement[bool]] = []
        for key, value in zip(self._keys, place, strict=True):
            ways.append(and_(*equal, key.behind(value)))
            equal.append(key.column == value)
        first, value = self._keys[0], place[0]
        # Says nothing new, but lets an index begin there.
        bound = first.column <= value if first.descending else first.column >= value
        return and_(bound, or_(*ways))

    def _read(self, cursor: str) -> list[str | float]:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            name, place = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        except (ValueError, TypeError, RecursionError, binascii.Error) as error:
            raise Rejected("Invalid value for parameter next_cursor") from error
        if name != self._name or not self._accepts(place):
            raise Rejected("Invalid value for parameter next_cursor")
        return place  # type: ignore[no-any-return]

    def _accepts(self, place: object) -> bool:
        if not isinstance(place, list) or len(place) != len(self._keys):
            return False
        return all(key.accepts(value) for key, value in zip(self._keys, place, strict=True))


def _keys(order: Order) -> Iterator[_Key]:
    if order.field in NUMBERS:
        yield _Key(NUMBERS[order.field], order.descending, is_number=True)
    elif order.field in TEXTS:
        yield _Key(TEXTS[order.field], order.descending, is_number=False)
    elif is_keyed(order.field) and naming_rules.sought(order.field):
        number = _least(order.field, _VALUE.number, -sys.float_info.max)
        yield _Key(number, order.descending, is_number=True)
        yield _Key(_least(order.field, _VALUE.text, ""), order.descending, is_number=False)
    else:
        raise Rejected(f"assets cannot be sorted by {order.field!r}")


def _least(field: str, column: ColumnElement[Any], absent: str | float) -> ColumnElement[Any]:
    """The least of the asset's values of a field."""
    is_its = and_(_VALUE.asset_id == _ASSET.asset_id, _VALUE.field == field)
    least = select(func.min(column)).where(is_its).scalar_subquery()
    return func.coalesce(least, absent)
