"""The Upload API's calls on assets that are there: explicit, rename, destroy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.errors import AlreadyExists
from facelabel.media.types import RESOURCE_TYPES, Edit
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.cloudinary_api.admin import listing
from facelabel.web.cloudinary_api.upload import attributes, breakpoints, upload
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received


def routes(context: Context) -> list[ApiRoute]:
    """Each call for each resource type, and those that name the asset by its asset_id."""
    actions = {"explicit": _explicit, "rename": _rename, "destroy": _destroy}
    named = [
        ApiRoute(
            Api.CALL,
            f"/v1_1/{{cloud}}/{kind}/{name}",
            auth.uploading(context, partial(action, resource_type=kind)),
            methods=["POST"],
        )
        for kind in RESOURCE_TYPES
        for name, action in actions.items()
    ]
    by_id = auth.uploading(context, _destroy_by_id)
    return [*named, ApiRoute(Api.CALL, "/v1_1/{cloud}/asset/destroy", by_id, methods=["POST"])]


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
    asset, derived = upload.with_derived(context, _edited(context, received, asset, edit), received)
    answer = listing.uploaded(context, asset, params, received.key, derived)
    return answer | breakpoints.answer(context, asset, params)


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
