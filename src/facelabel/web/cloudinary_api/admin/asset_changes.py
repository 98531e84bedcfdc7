"""Changing, deleting and restoring assets: the writing half of /resources."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.errors import AlreadyExists
from facelabel.media.types import MODERATION_STATUSES, Edit
from facelabel.web.cloudinary_api.admin import calls, listing, resources
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

#: Work of Cloudinary's add-ons, and what is not kept here.
_REFUSED = (
    *("raw_convert", "quality_override", "ocr", "categorization", "detection"),
    *("similarity_search", "background_removal", "auto_tagging", "access_control"),
    "regions",
)


def routes(context: Context) -> list[ApiRoute]:
    """The calls that change assets; those of /resources/search come before these."""
    post = partial(calls.route, context, "POST")
    return [
        post("resources/restore", _restore_by_asset_ids),
        post("resources/{resource_type}/{type}/restore", _restore),
        post("resources/{asset_id}", _update),
        post("resources/{resource_type}/{type}/{public_id:path}", _update),
    ]


def _update(context: Context, received: Received) -> Json:
    asset = resources.named(context, received)
    edit = _edit(context, asset, received.params)
    changed = context.media.edit([asset.asset_id], edit, origin=received.origin)
    if not changed:
        raise ApiError(404, f"Resource not found - {asset.public_id}")
    return listing.detailed(context, changed[0], received.params)


def _edit(context: Context, asset: Asset, params: Params) -> Edit:
    """What an update asks for; parameters that are not there change nothing."""
    _refuse(params)
    return Edit(
        tags=attributes.tags(params),
        context=attributes.context(params),
        set_metadata=attributes.settled_metadata(
            context.media,
            attributes.metadata(params),
            clear_invalid=params.flag("clear_invalid"),
        ),
        folder=_folder(context, params),
        display_name=params.text("display_name") or None,
        set_details=attributes.details(params) | _moderated(asset, params),
    )


def _refuse(params: Params) -> None:
    for name in _REFUSED:
        if params.values.get(name):
            seen = str(params.values[name])[:40]
            message = f"Illegal value {seen} for {name}: not supported by the local library"
            raise ApiError(400, message)


def _folder(context: Context, params: Params) -> str | None:
    if "asset_folder" not in params:
        return None
    if context.fixed_folders:
        raise ApiError(400, "asset_folder is for dynamic folder mode: rename the asset instead")
    return params.text("asset_folder")


def _moderated(asset: Asset, params: Params) -> Json:
    """The decision of a moderator."""
    status = params.text("moderation_status")
    if not status:
        return {}
    if status not in MODERATION_STATUSES:
        raise ApiError(400, f"Illegal value {status[:40]} for moderation_status")
    kind = str(asset.details.get("moderation_kind") or "manual")
    return {
        "moderation": [{"kind": kind, "status": status}],
        "moderation_kind": kind,
        "moderation_status": status,
    }


def _restore(context: Context, received: Received) -> Json:
    """Deleted assets that had a backup, by public_id, each with what became of it."""
    names = calls.ids(received.params, "public_ids")
    return {name: _restored(context, received, name) for name in names}


def _restored(context: Context, received: Received, public_id: str) -> Json:
    try:
        key = resources.key(received, public_id)
        asset = context.media.restore(key, origin=received.origin)
    except AlreadyExists:
        return {"error": "already_exists"}
    if asset is None:
        return {"error": "no_backup"}
    return listing.described(context, asset)


def _restore_by_asset_ids(_context: Context, _received: Received) -> Json:
    raise ApiError(400, "Restoring by asset_ids: not supported by the local library")
