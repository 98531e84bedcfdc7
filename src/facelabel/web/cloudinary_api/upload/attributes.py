"""What upload, explicit and others are told about an asset: its name, place and attributes."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.cloudinary import metadata_fields
from facelabel.cloudinary import params as wire
from facelabel.errors import NotFound
from facelabel.media.types import DELIVERY_TYPES, AssetKey, DocumentKind
from facelabel.web.http import ApiError, base_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.ports import MediaLibrary
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params

#: What a call would have done by a service that is not here. The texts are Cloudinary's.
_REFUSED = {
    "raw_convert": "Raw convert is invalid",
    "categorization": "Categorization {} is not valid",
    "auto_tagging": "Auto tagging {} is not valid",
    "detection": "Detection invalid model '{}'",
    "background_removal": "Background removal {} is invalid",
    "ocr": "OCR {} is not valid",
    "eval": "eval is not supported here",
    "on_success": "on_success is not supported here",
}
_REGIONS = ("face_coordinates", "custom_coordinates")
_ALPHABET = string.digits + string.ascii_lowercase
_RANDOM = 20
_SUFFIX = 6
#: Not allowed in a public_id.
_FORBIDDEN = re.compile(r"[?&#\\%<>+/\x00-\x1f\x7f]")
_LONGEST = 200


def key(params: Params, public_id: str, resource_type: str) -> AssetKey:
    """The asset a call names, of the delivery type it names or "upload"."""
    return AssetKey(public_id, resource_type, delivery_type(params))


def delivery_type(params: Params, name: str = "type") -> str:
    """The delivery type, "upload" if there is none; ApiError for one that is not kept here."""
    value = params.text(name) or "upload"
    if value not in DELIVERY_TYPES:
        raise ApiError(400, f"Invalid {name} - {value[:40]}")
    return value


def existing(context: Context, wanted: AssetKey) -> Asset:
    """The asset of that name; 404 if there is none."""
    asset = context.media.get(wanted)
    if asset is None:
        raise ApiError(404, f"Resource not found - {wanted.public_id}")
    return asset


def check_addons(params: Params) -> None:
    """Refuse what would not be done, rather than leave it out silently."""
    for name, text in _REFUSED.items():
        if params.text(name):
            raise ApiError(400, text.format(params.text(name)[:80]))


def tags(params: Params) -> list[str] | None:
    """The tags; None where the call does not speak of them."""
    return wire.tags(params.values["tags"]) if "tags" in params else None


def context(params: Params) -> dict[str, str] | None:
    """The context; None where the call does not speak of it."""
    value = params.values.get("context")
    if isinstance(value, dict):
        return {name: wire.text(item) for name, item in value.items()}
    return wire.context(wire.text(value)) if value is not None else None


def metadata(params: Params) -> Mapping[str, JsonValue]:
    """Structured metadata as it came."""
    value = params.values.get("metadata")
    if value is None or isinstance(value, dict):
        return value or {}
    return {**wire.metadata(wire.text(value))}


def settled_metadata(
    media: MediaLibrary,
    values: Mapping[str, JsonValue],
    *,
    clear_invalid: bool = False,
    of: AssetKey | None = None,
) -> Mapping[str, JsonValue]:
    """What to set on an asset, checked; a list that is open for new values has them afterwards.

    See :func:`facelabel.cloudinary.metadata_fields.checked`, which this stores the result of.
    ``of``: what is uploaded; if there is none of that name it gets the fields' defaults.
    """
    if not values and not of:
        return {}
    fields = media.documents.all(DocumentKind.METADATA_FIELD)
    if not values and not fields:
        return {}
    is_new = of is not None and media.get(of) is None
    found = metadata_fields.checked(values, fields, clear_invalid=clear_invalid, is_new=is_new)
    for name, entries in found.new_entries.items():
        _grow(media, name, entries)
    return found.values


def _grow(media: MediaLibrary, name: str, entries: Sequence[str]) -> None:
    def change(field: Json | None) -> Json:
        """The field with more entries; NotFound where it is gone."""
        if field is None:
            raise NotFound(f"Metadata field {name} does not exist")
        return metadata_fields.grown(field, entries)

    media.documents.change(DocumentKind.METADATA_FIELD, name, change)


def details(params: Params, size: tuple[int, int] | None = None) -> Json:
    """Regions, moderation and the wish for a backup, as far as the call speaks of them.

    ``size``: pixels of the picture that faces are cut to, if it is known.
    """
    found: Json = {name: _regions(params, name) for name in _REGIONS if name in params}
    if size and found.get("face_coordinates"):
        clipped = wire.clipped(wire.coordinates(params.text("face_coordinates")), *size)
        found["face_coordinates"] = [[*region] for region in clipped]
    if params.text("moderation"):
        found |= _moderation(params.text("moderation"))
    if params.flag("backup"):
        found["backup"] = True
    return found


def named_transformation(context: Context, name: str) -> str | None:
    """The text of a transformation that was given a name; None if there is none."""
    found = context.media.documents.get(DocumentKind.TRANSFORMATION, name) or {}
    text = found.get("transformation")
    return text if isinstance(text, str) else None


def _regions(params: Params, name: str) -> JsonValue:
    """Regions; an empty text removes those that were there."""
    return [[*region] for region in wire.coordinates(params.text(name))] or None


def _moderation(kind: str) -> Json:
    if kind != "manual":
        raise ApiError(400, f"Moderation {kind[:80]} is not valid")
    status: Json = {"kind": kind, "status": "pending"}
    return {
        "moderation": [status],
        "moderation_kind": status["kind"],
        "moderation_status": status["status"],
    }


# ---- how an uploaded file is called


@dataclass(frozen=True, slots=True)
class Naming:
    """How an uploaded file is called and where it lies."""

    public_id: str
    #: "" where the public_id says it.
    folder: str
    #: With extension; "" if there is none.
    filename: str
    display_name: str


def naming(params: Params, filename: str, *, is_raw: bool, fixed_folders: bool) -> Naming:
    """Decide by what the call asks for and by the file's own name."""
    name = last_part(params, filename, is_raw=is_raw)
    prefix = params.text("public_id_prefix") or params.text("folder")
    if not prefix and params.flag("use_asset_folder_as_public_id_prefix"):
        prefix = params.text("asset_folder")
    prefix = prefix.strip("/")
    filename = base_name(params.text("filename_override")) or filename
    title = params.text("display_name")
    if not title and params.flag("use_filename_as_display_name"):
        title = PurePosixPath(filename).stem
    return Naming(
        public_id=f"{prefix}/{name}" if prefix else name,
        folder="" if fixed_folders else params.text("asset_folder", params.text("folder")),
        filename="" if params.flag("discard_original_filename") else filename,
        display_name=title,
    )


def last_part(params: Params, filename: str, *, is_raw: bool) -> str:
    """The public_id without the prefix that the call asks for."""
    if params.text("public_id"):
        return params.text("public_id")
    # What overrides the file's name may lack the extension.
    path = PurePosixPath(base_name(params.text("filename_override")) or filename)
    extension = _FORBIDDEN.sub("_", path.suffix) if is_raw else ""
    if not (params.flag("use_filename") and path.stem):
        return random_id() + extension
    stem = _FORBIDDEN.sub("_", path.stem)[:_LONGEST].strip()
    if params.flag("unique_filename", default=True):
        stem = f"{stem}_{random_id(_SUFFIX)}"
    return stem + extension


def random_id(length: int = _RANDOM) -> str:
    """Lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
