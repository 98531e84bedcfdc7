"""Changing, deleting and restoring assets: the writing half of /resources."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import TYPE_CHECKING

from facelabel.errors import AlreadyExists
from facelabel.media.types import MODERATION_STATUSES, And, Compare, Edit, Where
from facelabel.web.cloudinary_api.admin import calls, listing, resources
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import Condition
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
    delete = partial(calls.route, context, "DELETE")
    post = partial(calls.route, context, "POST")
    return [
        delete("resources", _by_asset_ids),
        delete("resources/{resource_type}/tags/{tag:path}", _by_tag),
        delete("resources/{resource_type}/{type}", _by_type),
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


# ---- deleting


def _by_asset_ids(context: Context, received: Received) -> Json:
    names = calls.ids(received.params, "asset_ids")
    if not names:
        raise ApiError(400, "Missing required parameter - asset_ids")
    return _deleted_names(context, received, "asset_id", names, ())


def _by_tag(context: Context, received: Received) -> Json:
    tag = Where("tags", Compare.EQUALS, received.path["tag"])
    return _deleted_page(context, received, And((*resources.of_kind(received), tag)))


def _by_type(context: Context, received: Received) -> Json:
    """By public_ids, by prefix, or all of a kind: exactly one of them has to be said."""
    params, kind = received.params, resources.of_kind(received)
    names, prefix = calls.ids(params, "public_ids"), params.text("prefix")
    if sum((bool(names), bool(prefix), params.flag("all"))) != 1:
        raise ApiError(400, "Give one of public_ids, prefix, all")
    if names:
        return _deleted_names(context, received, "public_id", names, kind)
    if prefix:
        kind += (Where("public_id", Compare.PREFIX, prefix),)
    return _deleted_page(context, received, And(kind))


def _deleted_names(
    context: Context, received: Received, field: str, names: list[str], kind: tuple[Condition, ...]
) -> Json:
    condition = And((*kind, resources.any_of(field, names)))
    found = context.media.select(condition, limit=calls.MAX_PAGE).assets
    deleted, counts = _deleted(context, received, found, field)
    kept_as = {name: unicodedata.normalize("NFC", name) for name in names}
    result: Json = {name: deleted.get(kept, "not_found") for name, kept in kept_as.items()}
    return {"deleted": result, "deleted_counts": counts, "partial": False}


def _deleted_page(context: Context, received: Received, condition: Condition) -> Json:
    """As many as fit on a page; ``partial`` says that the same call would delete more."""
    cursor = received.params.text("next_cursor") or None
    page = context.media.select(condition, limit=calls.MAX_PAGE, cursor=cursor)
    deleted, counts = _deleted(context, received, page.assets, "public_id")
    answer: Json = {"deleted": deleted, "deleted_counts": counts, "partial": bool(page.cursor)}
    return listing.with_cursor(answer, page.cursor)


def _deleted(
    context: Context, received: Received, found: Sequence[Asset], field: str
) -> tuple[Json, Json]:
    """Delete, and say by name what became of it and how many images that were."""
    keep = received.params.flag("keep_original")
    transformations = received.params.texts("transformations")
    if transformations and not keep:
        raise ApiError(400, "transformations needs keep_original: it deletes derived images alone")
    if keep:
        counts = {a.asset_id: _forget_derived(context, received, a, transformations) for a in found}
    else:
        counts = {asset.asset_id: len(listing.derived(asset)) for asset in found}
        _delete(context, received, found)
    deleted: Json = {getattr(asset, field): "deleted" for asset in found}
    return deleted, {
        getattr(asset, field): {"original": int(not keep), "derived": counts[asset.asset_id]}
        for asset in found
    }


def _delete(context: Context, received: Received, found: Sequence[Asset]) -> None:
    for keep_backup in (False, True):
        some = [a.asset_id for a in found if bool(a.details.get("backup")) == keep_backup]
        if some:
            context.media.delete_all(some, keep_backup=keep_backup, origin=received.origin)


def _forget_derived(
    context: Context, received: Received, asset: Asset, transformations: list[str]
) -> int:
    """Forget derived images (of some transformations); how many. Files age out of the cache."""
    derived = listing.derived(asset)
    kept = [item for item in derived if transformations and not _is_of(item, transformations)]
    if len(kept) < len(derived):
        edit = Edit(set_details=listing.derived_details(kept))
        context.media.edit([asset.asset_id], edit, origin=received.origin)
    return len(derived) - len(kept)


def _is_of(derived: JsonValue, transformations: list[str]) -> bool:
    return isinstance(derived, dict) and derived.get("transformation") in transformations
