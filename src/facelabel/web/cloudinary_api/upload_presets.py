"""Upload presets: parameters of an upload, kept under a name."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from facelabel.media.types import DocumentKind
from facelabel.web.cloudinary_api import calls, listing
from facelabel.web.cloudinary_api.public_ids import random_id
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.gate import DoorRoute
    from facelabel.web.http import Params, Received

MAX_PRESETS = 500
MAX_NAME = 255
#: Characters of a preset as JSON.
MAX_TEXT = 64 << 10
_KIND = DocumentKind.UPLOAD_PRESET
#: What is said of the preset itself; everything else is a parameter of the upload.
_OWN = frozenset({"name", "unsigned", "live"})
#: Not even that: it belongs to one call.
_OF_A_CALL = frozenset({"api_key", "file", "signature", "timestamp", "upload_preset"})
_NAME_LENGTH = 8


def routes(context: Context) -> list[DoorRoute]:
    """The calls about upload presets."""
    route = partial(calls.route, context)
    return [
        route("GET", "upload_presets", _list),
        route("POST", "upload_presets", _create),
        route("GET", "upload_presets/{name:path}", _show),
        route("PUT", "upload_presets/{name:path}", _update),
        route("DELETE", "upload_presets/{name:path}", _delete),
    ]


def _list(context: Context, received: Received) -> Json:
    presets = context.media.documents(_KIND)
    names, cursor = calls.cut(presets, received.params)
    return listing.with_cursor({"presets": [presets[name] for name in names]}, cursor)


def _create(context: Context, received: Received) -> Json:
    name = received.params.text("name") or random_id(_NAME_LENGTH)
    if len(name) > MAX_NAME:
        raise ApiError(400, f"The name of a preset has at most {MAX_NAME} characters")
    if len(context.media.documents(_KIND)) >= MAX_PRESETS:
        raise ApiError(400, f"There may be {MAX_PRESETS} upload presets")
    new = _changed({"name": name, "unsigned": False, "settings": {}}, received.params)

    def create(standing: Json | None) -> Json:
        if standing is not None:
            raise ApiError(400, f"Preset name {name} has already been taken")
        return new

    context.media.change_document(_KIND, name, create)
    return {"message": "created", "name": name}


def _show(context: Context, received: Received) -> Json:
    name = received.path["name"]
    return _existing(context.media.document(_KIND, name), name)


def _update(context: Context, received: Received) -> Json:
    name = received.path["name"]
    context.media.change_document(
        _KIND, name, lambda preset: _changed(_existing(preset, name), received.params)
    )
    return {"message": "updated"}


def _delete(context: Context, received: Received) -> Json:
    name = received.path["name"]

    def delete(preset: Json | None) -> None:
        _existing(preset, name)

    context.media.change_document(_KIND, name, delete)
    return {"message": "deleted"}


def _existing(preset: Json | None, name: str) -> Json:
    if preset is None:
        raise ApiError(404, f"Can't find upload preset with name {name}")
    return preset


def _changed(preset: Json, params: Params) -> Json:
    if params.flag("live"):
        raise ApiError(400, "live is not supported by the local library")
    settings = preset["settings"]
    assert isinstance(settings, dict)
    given = {key: value for key, value in params.values.items() if value is not None}
    new: Json = {
        "name": preset["name"],
        "unsigned": params.flag("unsigned", default=bool(preset["unsigned"])),
        "settings": settings | {key: given[key] for key in given if key not in _OWN | _OF_A_CALL},
    }
    if len(json.dumps(new)) > MAX_TEXT:
        raise ApiError(400, f"A preset may have {MAX_TEXT} characters")
    return new
