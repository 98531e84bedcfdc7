"""What Cloudinary's API says of an asset, read into ours."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from facelabel.core.model import Asset
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.core.model import Json


def asset(raw: Mapping[str, Any], *, dynamic: bool, metadata: Json) -> Asset:
    """The asset that an answer describes.

    ``dynamic``: whether its folder is told apart from its public_id. ``metadata``: the answer's
    own, with labels for the external_ids of list values.
    """
    try:
        return Asset(
            asset_id=raw["asset_id"],
            public_id=raw["public_id"],
            folder=folder(raw, dynamic=dynamic),
            version=int(raw["version"]),
            format=raw.get("format") or "",
            bytes=int(raw.get("bytes") or 0),
            etag=raw.get("etag") or "",
            width=int(raw.get("width") or 0),
            height=int(raw.get("height") or 0),
            created_at=_time(raw.get("created_at")),
            filename=_filename(raw),
            resource_type=raw.get("resource_type") or "image",
            type=raw.get("type") or "upload",
            tags=tuple(raw.get("tags") or ()),
            context=context(raw),
            display_name=raw.get("display_name") or "",
            metadata=metadata,
            updated_at=_time(raw.get("updated_at") or raw.get("created_at")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"Cloudinary describes an asset in a way of its own: {error}") from error


def folder(raw: Mapping[str, Any], *, dynamic: bool) -> str:
    """The folder an asset lies in."""
    if dynamic:
        return str(raw.get("asset_folder") or "").strip("/")
    return str(raw["public_id"]).rpartition("/")[0]


def context(raw: Mapping[str, Any]) -> dict[str, str]:
    """Contextual metadata: below "custom", but flat in what a search finds."""
    values = raw.get("context") or {}
    return {key: str(value) for key, value in values.get("custom", values).items()}


def is_there(raw: Mapping[str, Any]) -> bool:
    """Whether it is an asset, and not what is left of a deleted one that has a backup."""
    return not raw.get("placeholder")


def _filename(raw: Mapping[str, Any]) -> str:
    stem = raw.get("original_filename") or ""
    ending = raw.get("original_extension") or raw.get("format") or ""
    return f"{stem}.{ending}" if stem and ending else stem


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
