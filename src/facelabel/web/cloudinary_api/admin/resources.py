"""Listing assets and looking at one: the reading half of /resources."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.media.types import (
    MODERATION_STATUSES,
    RESOURCE_TYPES,
    And,
    AssetKey,
    Compare,
    Or,
    Where,
)
from facelabel.web.cloudinary_api.admin import calls, listing
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json
    from facelabel.media.types import Condition
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received


def routes(context: Context) -> list[ApiRoute]:
    """The calls that list and show assets. Order counts: names come before placeholders."""
    get = partial(calls.route, context, "GET")
    return [
        get("resources", _resource_types),
        get("resources/by_asset_folder", _by_asset_folder),
        get("resources/by_asset_ids", _by_asset_ids),
        get("resources/{resource_type}", _by_type_or_one),
        get("resources/{resource_type}/tags/{tag:path}", _by_tag),
        get("resources/{resource_type}/context", _by_context),
        get("resources/{resource_type}/moderations/{kind}/{status}", _by_moderation),
        get("resources/{resource_type}/{type}", _by_type),
        get("resources/{resource_type}/{type}/{public_id:path}", _details),
    ]


def named(context: Context, received: Received) -> Asset:
    """The asset that the path names, by public_id or asset_id. Raises ApiError, 404."""
    asset = _found(context, received)
    if asset is None:
        raise _missing(received)
    return asset


def key(received: Received, public_id: str) -> AssetKey:
    """What names an asset of the path's kind."""
    return AssetKey(public_id, received.path["resource_type"], received.path["type"])


def of_kind(received: Received) -> tuple[Condition, ...]:
    """Of the path's resource type and, where it has one, delivery type."""
    resource_type = received.path["resource_type"]
    if resource_type not in RESOURCE_TYPES:
        raise ApiError(400, f"Invalid resource type {resource_type[:40]}")
    fields = [("resource_type", resource_type)]
    kind = received.path.get("type") or received.params.text("type")
    fields += [("type", kind)] if kind else []
    return tuple(Where(name, Compare.EQUALS, value) for name, value in fields)


def any_of(field: str, names: list[str]) -> Condition:
    """The field is one of the names."""
    return Or(tuple(Where(field, Compare.EQUALS, name) for name in names))


def _resource_types(_context: Context, _received: Received) -> Json:
    return {"resource_types": [*RESOURCE_TYPES]}


def _by_type_or_one(context: Context, received: Received) -> Json:
    if received.path["resource_type"] in RESOURCE_TYPES:
        return _by_type(context, received)
    return _details(context, received)


def _by_type(context: Context, received: Received) -> Json:
    conditions = of_kind(received)
    if received.params.texts("public_ids"):
        return _by_ids(context, received.params, "public_ids", conditions)
    prefix = received.params.text("prefix")
    if prefix and "type" not in received.path:
        raise ApiError(400, "Parameter prefix needs a type: /resources/image/upload?prefix=")
    if prefix:
        conditions += (Where("public_id", Compare.PREFIX, prefix),)
    return listing.page(context, received.params, And(conditions + _start(received.params)))


def _start(params: Params) -> tuple[Condition, ...]:
    """From ``start_at`` on, in the direction of the listing."""
    if not params.text("start_at"):
        return ()
    test = Compare.LESS_OR_EQUAL if listing.is_descending(params) else Compare.GREATER_OR_EQUAL
    return (Where("created_at", test, calls.moment(params.text("start_at"))),)


def _by_asset_ids(context: Context, received: Received) -> Json:
    return _by_ids(context, received.params, "asset_ids", ())


def _by_ids(context: Context, params: Params, name: str, conditions: tuple[Condition, ...]) -> Json:
    """Assets by name, all on one page."""
    field = name.removesuffix("s")
    condition = And((*conditions, any_of(field, calls.ids(params, name))))
    found = context.media.select(condition, limit=calls.MAX_PAGE)
    return {"resources": listing.entries(context, found.assets, listing.requested_fields(params))}


def _by_asset_folder(context: Context, received: Received) -> Json:
    """Those right in the folder, not those below."""
    if context.fixed_folders:
        raise ApiError(400, "by_asset_folder is for dynamic folder mode: list by prefix")
    folder = received.params.required("asset_folder").strip("/")
    return listing.page(context, received.params, Where("folder", Compare.EQUALS, folder))


def _by_tag(context: Context, received: Received) -> Json:
    tag = Where("tags", Compare.EQUALS, received.path["tag"])
    return listing.page(context, received.params, And((*of_kind(received), tag)))


def _by_context(context: Context, received: Received) -> Json:
    field = f"context.{received.params.required('key')}"
    value = received.params.text("value")
    test = Where(field, Compare.EQUALS, value) if value else Where(field, Compare.EXISTS)
    return listing.page(context, received.params, And((*of_kind(received), test)))


def _by_moderation(context: Context, received: Received) -> Json:
    kind, status = received.path["kind"], received.path["status"]
    if status not in MODERATION_STATUSES:
        raise ApiError(400, f"Invalid moderation status {status[:40]}")
    tests = (
        Where("details.moderation_kind", Compare.EQUALS, kind),
        Where("details.moderation_status", Compare.EQUALS, status),
    )
    return listing.page(context, received.params, And(of_kind(received) + tests))


def _details(context: Context, received: Received) -> Json:
    asset = _found(context, received)
    if asset is None:
        return _placeholder(context, received)
    return listing.detailed(context, asset, received.params)


def _found(context: Context, received: Received) -> Asset | None:
    if "public_id" in received.path:
        return context.media.get(key(received, received.path["public_id"]))
    return context.media.asset(_asset_id(received))


def _asset_id(received: Received) -> str:
    return received.path.get("asset_id") or received.path["resource_type"]


def _placeholder(context: Context, received: Received) -> Json:
    """What a deleted asset was that can be restored."""
    public_id = received.path.get("public_id")
    gone = context.media.backup(key(received, public_id)) if public_id else None
    if gone is None:
        raise _missing(received)
    return listing.described(context, gone) | {"bytes": 0, "placeholder": True}


def _missing(received: Received) -> ApiError:
    name = received.path.get("public_id") or _asset_id(received)
    return ApiError(404, f"Resource not found - {name}")
