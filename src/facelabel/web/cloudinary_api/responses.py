"""An asset in the answers of the Upload API."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.cloudinary import assets, signing
from facelabel.web.cloudinary_api import listing
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import ApiKey
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params

#: Derived images that one call may name.
_EAGER = 100
#: Steps, and a format at their end; "/" alone at the end is the original's format.
_STEPS = re.compile(r"(?P<steps>.*?)(?:/(?P<format>[a-z0-9]{0,5}))?")


def uploaded(
    context: Context, asset: Asset, params: Params, key: ApiKey | None, derived: list[JsonValue]
) -> Json:
    """The answer to upload and explicit, signed with the key of the call, else the oldest one."""
    key = key or context.keys()[0]
    answer = listing.described(context, asset)
    answer["signature"] = signing.sign_answer(asset.public_id, asset.version, key.secret)
    answer["api_key"] = key.key
    if params.flag("faces") or "face_coordinates" in params:
        answer["faces"] = listing.faces(context, asset)
    if asset.details.get("moderation"):
        answer["moderation"] = asset.details["moderation"]
    return answer | ({"eager": derived} if derived else {})


def eager(context: Context, asset: Asset, params: Params) -> list[JsonValue]:
    """Where the derived images are that a call wants; each is made when it is first asked for."""
    wanted = [text for text in params.text("eager").split("|") if text]
    if len(wanted) > _EAGER:
        raise ApiError(400, f"There may be {_EAGER} eager transformations")
    return [_derived(context, asset, text) for text in wanted]


def derived_url(context: Context, asset: Asset, steps: str, format_: str) -> str:
    """Where an image made of an asset is delivered; format "" is the asset's own."""
    shown = replace(asset, format=format_ or asset.format)
    return assets.delivery_url(
        shown,
        cloud_name=context.cloud_name,
        base_url=context.base_url,
        steps=steps,
        secret=context.delivery_secret(asset.type),
    )


def _derived(context: Context, asset: Asset, text: str) -> Json:
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
