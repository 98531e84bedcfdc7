"""Conditions on assets as SQL, the same on SQLite and PostgreSQL.

Every condition is true or false, never NULL: what an asset has not got is not equal to anything,
so :class:`~facelabel.media.types.Not` means what it says. Nothing is left to LIKE, which on
SQLite takes A for a: what has to be exact is compared by ranges.

Each page of a selection goes on behind the last asset of the page before. The cursor carries what
that asset was sorted by, so assets that come and go between two pages move none of the others to
another page.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import operator
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import Float, and_, case, cast, exists, false, func, not_, or_, select, true, tuple_

from facelabel.adapters.store.library.asset_edits import sought
from facelabel.adapters.store.library.asset_rows import WORDED, words
from facelabel.adapters.store.sql import schema
from facelabel.errors import Rejected
from facelabel.media.types import And, Compare, Condition, Not, Or, Order, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, FromClause, RowMapping, Select

_ASSET = schema.asset.c
_TAG = schema.asset_tag.c
_VALUE = schema.asset_value.c
_NEWEST = (Order("created_at", descending=True),)
_ORDERS = 10

TEXTS: dict[str, ColumnElement[Any]] = {
    name: _ASSET[name]
    for name in (
        *("public_id", "asset_id", "resource_type", "type", "format"),
        *("folder", "filename", "display_name", "etag"),
    )
}
_WIDTH = cast(_ASSET.width, Float(53))
NUMBERS: dict[str, ColumnElement[Any]] = {
    **{name: _ASSET[name] for name in ("bytes", "width", "height", "version")},
    **{name: _ASSET[name] for name in ("created_at", "updated_at")},
    "uploaded_at": _ASSET.version,  # the moment of the upload
    "pixels": _WIDTH * _ASSET.height,
    "aspect_ratio": case((_ASSET.height > 0, _WIDTH / _ASSET.height), else_=0.0),
}
#: Fields that are a family: context.<key> …
KEYED = ("context.", "metadata.", "details.")

_COMPARE: dict[Compare, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Compare.EQUALS: operator.eq,
    Compare.LESS: operator.lt,
    Compare.LESS_OR_EQUAL: operator.le,
    Compare.GREATER: operator.gt,
    Compare.GREATER_OR_EQUAL: operator.ge,
}
#: What SQLite, and SQLAlchemy's recursion, can take.
_DEPTH = 80
_PARTS = 500
#: No character stands behind it: what begins with "a" lies between "a" and "a" + _LAST.
_LAST = "\U0010ffff"


def where(condition: Condition) -> ColumnElement[bool]:
    """SQL for the condition; Rejected if it cannot be asked."""
    _check_size(condition)
    return _sql(condition)


def _check_size(condition: Condition) -> None:
    """Go through all parts, level by level."""
    level, parts, depth = [condition], 0, 0
    while level:
        parts, depth = parts + len(level), depth + 1
        if parts > _PARTS or depth > _DEPTH:
            raise Rejected("the condition is too long, or nested too deeply")
        level = [part for one in level for part in _parts(one)]


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, Not):
        return (condition.condition,)
    return () if isinstance(condition, Where) else condition.conditions


def _sql(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case And(conditions):
            return and_(true(), *map(_sql, conditions))
        case Or(conditions):
            return or_(false(), *map(_sql, conditions))
        case Not(one):
            return not_(_sql(one))
        case Where():
            return _test(condition)
        case _:
            assert_never(condition)


def is_inside(column: ColumnElement[Any], folder: str) -> ColumnElement[bool]:
    """In the folder or below; "0" follows "/".

    One range with a hole in it, which an index serves in order; two ranges it would not.
    """
    if not folder:
        return true()
    span = and_(column >= folder, column < f"{folder}0")
    return and_(span, or_(column == folder, column > f"{folder}/"))


def tallied(condition: Condition, field: str) -> Select[Any]:
    """Each value of a field with the number of the assets that have it."""
    value, source = _listed(field)
    counted = select(value, func.count()).select_from(source).where(where(condition))
    return counted.group_by(value).order_by(value)


def _listed(field: str) -> tuple[ColumnElement[Any], FromClause]:
    if field == "tags":
        return _TAG.tag, schema.asset.join(schema.asset_tag)
    if is_keyed(field):
        its = and_(_VALUE.asset_id == _ASSET.asset_id, _VALUE.field == _known(field))
        return _VALUE.text, schema.asset.join(schema.asset_value, its)
    return _column(field), schema.asset


def _column(field: str) -> ColumnElement[Any]:
    columns = NUMBERS | TEXTS
    if field not in columns:
        raise Rejected(f"there is no field {field!r}")
    return columns[field]


def is_keyed(field: str) -> bool:
    """Whether the field is one of a family, such as context.<key>."""
    return any(field.startswith(family) and field != family for family in KEYED)


def _test(test: Where) -> ColumnElement[bool]:
    if test.field in NUMBERS:
        return _test_number(NUMBERS[test.field], test)
    if test.field == "tags":
        return _test_tags(test)
    if test.field == "":
        return _has_value(_is_any_text(), test)
    if is_keyed(test.field):
        return _has_value(_VALUE.field == _known(test.field), test)
    return _test_text(_column(test.field), test)


def _test_number(column: ColumnElement[Any], test: Where) -> ColumnElement[bool]:
    if test.test is Compare.EXISTS:
        return column > 0
    return _COMPARE.get(test.test, _COMPARE[Compare.EQUALS])(column, _number(test))


def _test_text(column: ColumnElement[Any], test: Where) -> ColumnElement[bool]:
    if test.test is Compare.TOKEN and test.field in WORDED:
        return _has_value(_VALUE.field == test.field, test)
    if test.test is Compare.TOKEN:
        return _COMPARE[Compare.EQUALS](func.lower(column), _text(test).lower())
    if test.test is Compare.PREFIX and test.field == "folder":
        return is_inside(_ASSET.folder, _text(test).strip("/"))
    return _compared(column, test)


def _test_tags(test: Where) -> ColumnElement[bool]:
    if test.test is Compare.TOKEN:
        return _has_value(_VALUE.field == "tags", test)
    tagged = select(_TAG.asset_id).where(_compared(_TAG.tag, test))
    return _ASSET.asset_id.in_(tagged)


def _has_value(is_field: ColumnElement[bool], test: Where) -> ColumnElement[bool]:
    """Whether one of the asset's values of the field passes the test."""
    if test.test is Compare.TOKEN:
        passes = _has_words(_text(test))
    elif isinstance(test.value, str) or test.test is Compare.EXISTS:
        passes = _compared(_VALUE.text, test)
    else:
        passes = _test_number(_VALUE.number, test)
    return exists().where(_VALUE.asset_id == _ASSET.asset_id, is_field, passes)


def _has_words(text: str) -> ColumnElement[bool]:
    phrase = words(text)
    return _VALUE.words.contains(phrase) if phrase else false()


def _is_any_text() -> ColumnElement[bool]:
    plain = _VALUE.field.in_((*WORDED, "tags"))
    return or_(plain, _begins(_VALUE.field, "context."))


def _compared(column: ColumnElement[Any], test: Where) -> ColumnElement[bool]:
    if test.test is Compare.EXISTS:
        return column != ""
    if test.test is Compare.PREFIX:
        return _begins(column, _text(test))
    return _COMPARE[test.test](column, _text(test))


def _begins(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    return and_(column >= prefix, column < prefix + _LAST)


def _text(test: Where) -> str:
    if isinstance(test.value, str):
        return _known(test.value)
    return str(int(test.value)) if test.value == int(test.value) else str(test.value)


def _known(text: str) -> str:
    """The text as names are kept; Rejected if a database could not even be asked for it."""
    if (name := sought(text)) is None:
        raise Rejected(f"a control character in {text!r}")
    return name


def _number(test: Where) -> float:
    try:
        return float(test.value)
    except ValueError as error:
        raise Rejected(f"{test.field} is compared with a number, not {test.value!r}") from error


@dataclass(frozen=True)
class _Key:
    """Something the assets are sorted by; never NULL."""

    column: ColumnElement[Any]
    descending: bool
    is_number: bool

    @property
    def sorting(self) -> ColumnElement[Any]:
        """How ORDER BY has it."""
        return self.column.desc() if self.descending else self.column.asc()

    def behind(self, value: str | float) -> ColumnElement[bool]:
        """Whether an asset comes after one that has this value."""
        return self.column < value if self.descending else self.column > value

    def accepts(self, value: object) -> bool:
        """Whether a cursor may say that an asset was sorted by this."""
        if isinstance(value, str):
            return not self.is_number and sought(value) == value
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
    elif is_keyed(order.field) and sought(order.field):
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
