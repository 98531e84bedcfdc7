"""The Upload API's changes of many assets at once: tags, context, metadata.

Each asset is changed by one atomic edit of the library, never read first and written back: two
clients that add a tag at the same time both find theirs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import params as wire
from facelabel.media.types import RESOURCE_TYPES, And, Compare, Edit, Where
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.cloudinary_api.upload import attributes
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
    """Each call for each resource type."""
    actions = {"tags": _tags, "context": _context, "metadata": _metadata}
    return [
        ApiRoute(
            Api.CALL,
            f"/v1_1/{{cloud}}/{kind}/{name}",
            auth.uploading(context, partial(action, resource_type=kind), unsigned=auth.UNSIGNED),
            methods=["POST"],
        )
        for kind in RESOURCE_TYPES
        for name, action in actions.items()
    ]


def _tags(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    command = params.required("command")
    tags = wire.tags(params.values.get("tag"))
    if not tags and command != "remove_all":
        raise ApiError(400, "Missing required parameter - tag")
    found = _named(context, params, resource_type, changes=len(tags))
    if command == "set_exclusive":
        _take_from_others(context, received, tags, found)
    return _edited(context, received, found, _tag_edit(command, tags))


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
        return _edited(context, received, found, Edit(context={}))
    if command != "add":
        raise ApiError(400, f"Invalid command - {command[:40]}")
    params.required("context")
    edit = Edit(set_context={**(attributes.context(params) or {})})
    return _edited(context, received, found, edit)


def _metadata(context: Context, received: Received, *, resource_type: str) -> Json:
    params = received.params
    values = attributes.settled_metadata(
        context.media, attributes.metadata(params), clear_invalid=params.flag("clear_invalid")
    )
    found = _named(context, params, resource_type)
    return _edited(context, received, found, Edit(set_metadata=values))


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


def _edited(context: Context, received: Received, found: Sequence[Asset], edit: Edit) -> Json:
    ids = [asset.asset_id for asset in found]
    edited = context.media.edit(ids, edit, origin=received.origin)
    return {"public_ids": [asset.public_id for asset in edited]}
