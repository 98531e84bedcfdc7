"""Searching assets and folders with Cloudinary's expressions."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import assets, expressions
from facelabel.errors import Rejected
from facelabel.media.types import And, Compare, Order, Where
from facelabel.web.cloudinary_api.admin import calls, listing
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import Condition
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

_PAGE = 50
#: Of one call.
_MAX_ORDERS = 5
_MAX_AGGREGATES = 10
_MAX_RANGES = 20
#: What else a search says of an asset when asked: each is absent where there is nothing to say.
_EXTRA = frozenset({"context", "image_metadata", "metadata", "tags"})
_ALWAYS = frozenset({"asset_id", "public_id"})
_COUNTED = frozenset({"asset_folder", "folder", "format", "resource_type", "tags", "type"})
_RANGED = frozenset({"aspect_ratio", "bytes", "created_at", "height", "pixels", "width"})


def routes(context: Context) -> list[ApiRoute]:
    """The search of assets."""
    return [calls.route(context, method, "resources/search", _search) for method in ("GET", "POST")]


def orders(params: Params) -> list[tuple[str, bool]]:
    """``sort_by``: fields, and whether each is descending."""
    value = params.values.get("sort_by") or []
    items = value if isinstance(value, list) else [value]
    if len(items) > _MAX_ORDERS:
        raise ApiError(400, f"sort_by takes at most {_MAX_ORDERS} fields")
    return [pair for item in items for pair in _order(item)]


def _order(item: JsonValue) -> Iterator[tuple[str, bool]]:
    pairs = item if isinstance(item, dict) else {str(item): "desc"}
    for field, direction in pairs.items():
        if direction not in {"asc", "desc"}:
            raise ApiError(400, f"Invalid direction of sort_by {field[:40]}, it is asc or desc")
        yield field, direction == "desc"


def _search(context: Context, received: Received) -> Json:
    started = time.monotonic()
    params = received.params
    condition = expressions.parsed(params.text("expression"), context.clock.now())
    page = context.media.select(
        condition,
        [Order(_field(name), descending) for name, descending in orders(params)],
        limit=calls.page_size(params, _PAGE),
        cursor=params.text("next_cursor") or None,
        count=True,
    )
    show = partial(_found, context, _extra(params), _fields(params))
    answer: Json = {
        "total_count": page.total,
        "time": round((time.monotonic() - started) * 1000),
        "resources": [show(asset) for asset in page.assets],
    }
    if params.values.get("aggregate"):
        answer["aggregations"] = _aggregations(context, condition, params)
    return listing.with_cursor(answer, page.cursor)


def _field(name: str) -> str:
    return "folder" if name == "asset_folder" else name


def _extra(params: Params) -> frozenset[str]:
    return frozenset(params.texts("with_field")) & _EXTRA


def _fields(params: Params) -> frozenset[str]:
    return frozenset(
        name.strip() for text in params.texts("fields") for name in text.split(",") if name.strip()
    )


def _found(
    context: Context, extra: frozenset[str], fields: frozenset[str], asset: Asset
) -> JsonValue:
    everything = _everything(context, asset)
    if fields:
        keep = fields | extra | _ALWAYS
        return {key: value for key, value in everything.items() if key in keep}
    hidden = _EXTRA - extra
    return {key: value for key, value in everything.items() if key not in hidden}


def _everything(context: Context, asset: Asset) -> Json:
    """What a search can say of an asset; here context is flat, unlike anywhere else."""
    full = listing.described(context, asset)
    full |= {
        "filename": asset.public_id.rpartition("/")[2],
        "uploaded_at": assets.iso(asset.version),
        "status": "active",
        "image_metadata": asset.details.get("image_metadata") or {},
    }
    if asset.width and asset.height:
        ratio = round(asset.width / asset.height, 5)
        full |= {"aspect_ratio": ratio, "pixels": asset.width * asset.height}
    if asset.context:
        full["context"] = dict(asset.context)
    return full


def _aggregations(context: Context, condition: Condition, params: Params) -> Json:
    asked = params.values["aggregate"]
    items = asked if isinstance(asked, list) else [asked]
    if len(items) > _MAX_AGGREGATES:
        raise ApiError(400, f"aggregate takes at most {_MAX_AGGREGATES} fields")
    return dict(_aggregation(context, condition, item) for item in items)


def _aggregation(context: Context, condition: Condition, asked: JsonValue) -> tuple[str, JsonValue]:
    if isinstance(asked, dict):
        return _ranges(context, condition, asked)
    if not isinstance(asked, str) or asked not in _COUNTED:
        raise ApiError(400, f"Invalid aggregate {str(asked)[:40]}, it is one of {sorted(_COUNTED)}")
    return asked, dict(context.media.tally(condition, _field(asked)))


def _ranges(
    context: Context, condition: Condition, asked: Mapping[str, JsonValue]
) -> tuple[str, JsonValue]:
    """How many assets lie in each of some ranges of a number."""
    field, ranges = asked.get("type"), asked.get("ranges")
    if not isinstance(field, str) or field not in _RANGED or not isinstance(ranges, list):
        raise ApiError(400, f"An aggregate of ranges has a type, one of {sorted(_RANGED)}")
    if len(ranges) > _MAX_RANGES:
        raise ApiError(400, f"An aggregate has at most {_MAX_RANGES} ranges")
    counts: Json = {}
    for each in ranges:
        name, inside = _range(field, each)
        page = context.media.select(And((condition, *inside)), limit=1, count=True)
        counts[name] = page.total
    return field, counts


def _range(field: str, asked: JsonValue) -> tuple[str, list[Condition]]:
    if not isinstance(asked, dict) or not isinstance(asked.get("key"), str):
        raise ApiError(400, f"A range of {field} has a key, from and to")
    ends = (("from", Compare.GREATER_OR_EQUAL), ("to", Compare.LESS_OR_EQUAL))
    given = [(test, asked[end]) for end, test in ends if asked.get(end) is not None]
    return str(asked["key"]), [Where(field, test, _bound(value)) for test, value in given]


def _bound(value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15:  # noqa: PLR2004 - what a double counts exactly
        raise Rejected(f"{str(value)[:40]} is no bound of a range")
    return value
