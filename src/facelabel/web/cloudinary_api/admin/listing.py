"""Assets in answers: as they are described, listed, shown in detail, and found."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.cloudinary import assets
from facelabel.media.types import Order
from facelabel.web.cloudinary_api.admin import calls
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import Condition
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params

#: What every entry of a list says; the rest is for those who ask.
_LISTED = (
    *("asset_id", "public_id", "format", "version", "resource_type", "type", "created_at"),
    *("bytes", "width", "height", "folder", "asset_folder", "display_name", "url", "secure_url"),
)
#: What it says whatever fields are asked for.
_ALWAYS = frozenset({"asset_id", "public_id", "folder", "asset_folder"})
_ANNOTATIONS = ("tags", "context", "metadata", "moderations")
#: Texts of the transformations of an asset's derived images, among its details.
TRANSFORMATIONS = "transformations"
#: Derived images that one call may name.
_EAGER = 100
#: Steps, and a format at their end; "/" alone at the end is the original's format.
_STEPS = re.compile(r"(?P<steps>.*?)(?:/(?P<format>[a-z0-9]{0,5}))?")
_DESCENDING = {"asc": False, "1": False, "desc": True, "-1": True}


@dataclass(frozen=True, slots=True)
class RequestedFields:
    """What entries of a list are to say."""

    annotations: frozenset[str]
    #: Nothing but these; empty: everything.
    fields: frozenset[str] = frozenset()


def requested_fields(params: Params) -> RequestedFields:
    """What a listing call asks for."""
    fields = frozenset(
        name.strip() for text in params.texts("fields") for name in text.split(",") if name.strip()
    )
    flags = frozenset(name for name in _ANNOTATIONS if params.flag(name))
    return RequestedFields(flags | fields & {"tags", "context", "metadata"}, fields)


def page(context: Context, params: Params, condition: Condition) -> Json:
    """One page of a listing, newest first unless asked otherwise."""
    found = context.media.select(
        condition,
        (Order("created_at", is_descending(params)),),
        limit=calls.page_size(params),
        cursor=params.text("next_cursor") or None,
    )
    return with_cursor(
        {"resources": entries(context, found.assets, requested_fields(params))}, found.cursor
    )


def is_descending(params: Params) -> bool:
    """The direction of a listing."""
    direction = params.text("direction", "desc").lower()
    if direction not in _DESCENDING:
        raise ApiError(400, f"Invalid value {direction[:40]} for parameter direction")
    return _DESCENDING[direction]


def entries(context: Context, found: Sequence[Asset], asked: RequestedFields) -> list[JsonValue]:
    """Assets as entries of a list."""
    return [_entry(context, asset, asked) for asset in found]


def described(context: Context, asset: Asset) -> Json:
    """Everything an upload would answer about the asset."""
    return assets.describe(
        asset,
        cloud_name=context.cloud_name,
        base_url=context.base_url,
        fixed_folders=context.fixed_folders,
        secret=_secret(context, asset),
    )


def _secret(context: Context, asset: Asset) -> str:
    """What signs the delivery URLs of an asset; "" where they need no signature."""
    is_open = asset.type == "upload" and not context.signs_urls
    return "" if is_open else context.keys()[0].secret


def detailed(context: Context, asset: Asset, params: Params) -> Json:
    """An asset with everything about it; what is empty is absent."""
    detail = described(context, asset) | {"derived": derived(asset)}
    detail["tags"] = [*sorted(asset.tags)]
    detail |= {"last_updated": {"updated_at": assets.iso(asset.updated_at or asset.created_at)}}
    detail |= _annotated(asset, {"moderations"})
    if params.flag("coordinates"):
        detail |= {"coordinates": _coordinates(asset)}
    if params.flag("faces"):
        detail |= {"faces": faces(context, asset)}
    if params.flag("image_metadata") or params.flag("media_metadata"):
        detail |= {"image_metadata": asset.details.get("image_metadata") or {}}
    if params.flag("versions"):
        detail |= {"versions": [_version(detail)]}
    optional = ("tags", "coordinates")
    return {key: value for key, value in detail.items() if value or key not in optional}


def faces(context: Context, asset: Asset) -> list[JsonValue]:
    """Boxes [x, y, width, height] of the faces, in pixels: those given, or else those found."""
    given = asset.details.get("face_coordinates")
    if isinstance(given, list) and given:
        return given
    if asset.resource_type != "image":
        return []
    sides = (asset.width, asset.height) * 2
    boxes = context.detect(context.media.fetch(asset))
    corners = ((box.left, box.top, box.width, box.height) for box in boxes)
    return [[round(r * s) for r, s in zip(corner, sides, strict=True)] for corner in corners]


def derived(asset: Asset) -> list[JsonValue]:
    """The images derived from the asset that somebody asked for when it was uploaded."""
    items = asset.details.get("derived")
    return items if isinstance(items, list) else []


def derived_details(images: Sequence[JsonValue]) -> Json:
    """What an asset keeps of its derived images: themselves, and what finds them."""
    texts = [image["transformation"] for image in images if isinstance(image, dict)]
    return {"derived": [*images] or None, TRANSFORMATIONS: [*texts] or None}


def _entry(context: Context, asset: Asset, asked: RequestedFields) -> Json:
    full = described(context, asset)
    entry = {key: full[key] for key in _LISTED if key in full}
    entry |= _annotated(asset, asked.annotations)
    if asked.fields:
        keep = asked.fields | _ALWAYS
        entry = {key: value for key, value in (full | entry).items() if key in keep}
    return entry


def _annotated(asset: Asset, names: Collection[str]) -> Json:
    """What people said about the asset; context is absent where there is none."""
    moderation = asset.details.get("moderation")
    custom: Json = {"custom": dict(asset.context)}
    known: Json = {"tags": list(asset.tags), "metadata": dict(asset.metadata)}
    known |= {"context": custom} if asset.context else {}
    shown = {name: known[name] for name in names if name in known}
    return shown | ({"moderation": moderation} if "moderations" in names and moderation else {})


def _coordinates(asset: Asset) -> Json:
    known: Json = {
        "faces": asset.details.get("face_coordinates"),
        "custom": asset.details.get("custom_coordinates"),
    }
    return {key: value for key, value in known.items() if value}


def _version(detail: Json) -> JsonValue:
    return {key: detail.get(key) for key in ("version_id", "version", "created_at", "bytes")}


def with_cursor(answer: Json, cursor: str | None) -> Json:
    """The answer, with the cursor that continues it if there is more."""
    return answer | ({"next_cursor": cursor} if cursor else {})


def eager(context: Context, asset: Asset, params: Params) -> list[JsonValue]:
    """Where the derived images are that a call wants; each is made when it is first asked for."""
    requested_fields = [text for text in params.text("eager").split("|") if text]
    if len(requested_fields) > _EAGER:
        raise ApiError(400, f"There may be {_EAGER} eager transformations")
    return [_made(context, asset, text) for text in requested_fields]


def derived_url(context: Context, asset: Asset, steps: str, format_: str) -> str:
    """Where an image made of an asset is delivered; format "" is the asset's own."""
    shown = replace(asset, format=format_ or asset.format)
    return assets.delivery_url(
        shown,
        cloud_name=context.cloud_name,
        base_url=context.base_url,
        steps=steps,
        secret=_secret(context, asset),
    )


def _made(context: Context, asset: Asset, text: str) -> Json:
    found = _STEPS.fullmatch(text)
    steps, format_ = (found["steps"], found["format"] or "") if found else (text, "")
    url = derived_url(context, asset, steps, format_)
    return {
        "id": hashlib.sha256(f"{asset.asset_id}/{text}".encode()).hexdigest()[:32],
        "transformation": text,
        "format": format_ or asset.format,
        "url": url,
        "secure_url": url,
    }
