"""The Upload API's calls on assets that are there: explicit, rename, destroy; tags and others.

Tags, context and metadata of many assets are changed by one atomic edit of the library for each,
never read first and written back: two clients that add a tag at the same time both find theirs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import params as wire
from facelabel.errors import AlreadyExists
from facelabel.media.types import RESOURCE_TYPES, And, Compare, Edit, Where
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.cloudinary_api.admin import listing
from facelabel.web.cloudinary_api.upload import attributes, upload
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.core.model import Asset, Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

#: Assets in one call, times tags where there are tags.
MAX_CHANGES = 1000
_PAGE = 500


def routes(context: Context) -> list[ApiRoute]:
    """Each call for each resource type, and the one that names the asset by its asset_id."""
    of_one = {"explicit": _explicit, "rename": _rename, "destroy": _destroy}
    of_many = {"tags": _tags, "context": _context, "metadata": _metadata}
    calls = {
        f"{kind}/{name}": auth.uploading(
            context,
            partial(action, resource_type=kind),
            unsigned=auth.UNSIGNED if name in of_many else frozenset(),
        )
        for kind in RESOURCE_TYPES
        for name, action in {**of_one, **of_many}.items()
    }
    calls["asset/destroy"] = auth.uploading(context, _destroy_by_id)
    return [
        ApiRoute(Api.CALL, f"/v1_1/{{cloud}}/{path}", answer, methods=["POST"])
        for path, answer in calls.items()
    ]


def _explicit(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    attributes.check_addons(params)
    key = attributes.key(params, params.required("public_id"), resource_type)
    asset = attributes.existing(context, key)
    edit = Edit(
        tags=attributes.tags(params),
        context=attributes.context(params),
        set_metadata=attributes.settled_metadata(context.media, attributes.metadata(params)),
        folder=_folder(context, params),
        display_name=params.text("display_name") or None,
        set_details=attributes.details(params),
    )
    return upload.answered(context, _edited(context, received, asset, edit), received)


def _folder(context: Context, params: Params) -> str | None:
    is_given = "asset_folder" in params and not context.fixed_folders
    return params.text("asset_folder") if is_given else None


def _edited(context: Context, received: Received, asset: Asset, edit: Edit) -> Asset:
    edited = context.media.edit([asset.asset_id], edit, origin=received.origin)
    if not edited:
        raise ApiError(404, f"Resource not found - {asset.public_id}")
    return edited[0]


def _rename(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    key = attributes.key(params, params.required("from_public_id"), resource_type)
    asset = attributes.existing(context, key)
    to = params.required("to_public_id")
    edit = Edit(
        public_id=to,
        type=attributes.delivery_type(params, "to_type") if params.text("to_type") else None,
        overwrite=params.flag("overwrite"),
    )
    try:
        return listing.described(context, _edited(context, received, asset, edit))
    except AlreadyExists:
        raise ApiError(400, f"Resource {to} already exists") from None


def _destroy(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    key = attributes.key(params, params.required("public_id"), resource_type)
    return _deleted(context, received, context.media.get(key))


def _destroy_by_id(context: Context, received: Received) -> Json:
    asset = context.media.asset(received.params.required("asset_id"))
    return _deleted(context, received, asset)


def _deleted(context: Context, received: Received, asset: Asset | None) -> Json:
    if asset is None:
        return {"result": "not found"}
    keep = bool(asset.details.get("backup"))
    gone = context.media.delete_all([asset.asset_id], keep_backup=keep, origin=received.origin)
    return {"result": "ok" if gone else "not found"}


# ---- many at once


def _tags(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    command = params.required("command")
    tags = wire.tags(params.values.get("tag"))
    if not tags and command != "remove_all":
        raise ApiError(400, "Missing required parameter - tag")
    found = _named(context, params, resource_type, changes=len(tags))
    if command == "set_exclusive":
        _take_from_others(context, received, tags, found)
    return _all_edited(context, received, found, _tag_edit(command, tags))


def _tag_edit(command: str, tags: Sequence[str]) -> Edit:
    match command:
        case "add" | "set_exclusive":
            return Edit(add_tags=tags)
        case "remove":
            return Edit(remove_tags=tags)
        case "replace":
            return Edit(tags=tags)
        case "remove_all":
            return Edit(tags=())
    raise ApiError(400, f"Invalid command - {command[:40]}")


def _take_from_others(
    context: Context, received: Received, tags: Sequence[str], found: Sequence[Asset]
) -> None:
    """Remove the tags from all assets of the same kind that were not named."""
    ours = {asset.asset_id for asset in found}
    for asset in found[:1]:
        kind = (
            Where("resource_type", Compare.EQUALS, asset.resource_type),
            Where("type", Compare.EQUALS, asset.type),
        )
        for tag in tags:
            holders = _all(context, And((*kind, Where("tags", Compare.EQUALS, tag))))
            others = [asset_id for asset_id in holders if asset_id not in ours]
            context.media.edit(others, Edit(remove_tags=[tag]), origin=received.origin)


def _all(context: Context, condition: And) -> Iterator[str]:
    cursor = None
    while True:
        page = context.media.select(condition, limit=_PAGE, cursor=cursor)
        yield from (asset.asset_id for asset in page.assets)
        cursor = page.cursor
        if cursor is None:
            return


def _context(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    command = params.text("command", "add")
    found = _named(context, params, resource_type)
    if command == "remove_all":
        return _all_edited(context, received, found, Edit(context={}))
    if command != "add":
        raise ApiError(400, f"Invalid command - {command[:40]}")
    params.required("context")
    edit = Edit(set_context={**(attributes.context(params) or {})})
    return _all_edited(context, received, found, edit)


def _metadata(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    values = attributes.settled_metadata(
        context.media, attributes.metadata(params), clear_invalid=params.flag("clear_invalid")
    )
    found = _named(context, params, resource_type)
    return _all_edited(context, received, found, Edit(set_metadata=values))


def _named(
    context: Context, params: Params, resource_type: str, *, changes: int = 1
) -> list[Asset]:
    """The assets a call names; those that are not there are left out."""
    names = list(dict.fromkeys(params.texts("public_ids")))
    if not names:
        raise ApiError(400, "Missing required parameter - public_ids")
    if len(names) * max(changes, 1) > MAX_CHANGES:
        raise ApiError(400, f"Too many changes in one call: at most {MAX_CHANGES} are made")
    keys = [attributes.key(params, name, resource_type) for name in names]
    return [asset for key in keys if (asset := context.media.get(key))]


def _all_edited(context: Context, received: Received, found: Sequence[Asset], edit: Edit) -> Json:
    ids = [asset.asset_id for asset in found]
    edited = context.media.edit(ids, edit, origin=received.origin)
    return {"public_ids": [asset.public_id for asset in edited]}
