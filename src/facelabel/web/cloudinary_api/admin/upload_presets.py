"""Upload presets, kept and applied; and what a call without a signature may say."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from facelabel.cloudinary import params as wire
from facelabel.core.model import Asset
from facelabel.core.names import FACE_ID_PREFIX
from facelabel.media.types import MAX_NAME, DocumentKind
from facelabel.web.cloudinary_api.admin import calls, listing
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.cloudinary_api.upload.attributes import random_id
from facelabel.web.http import ApiError, Params

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.core.model import Json
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Received

MAX_PRESETS = 500
#: Characters of a preset as JSON.
MAX_TEXT = 64 << 10
_KIND = DocumentKind.UPLOAD_PRESET
#: What is said of the preset itself; everything else is a parameter of the upload.
_OWN = frozenset({"name", "unsigned", "live"})
#: Not even that: it belongs to one call.
_OF_A_CALL = frozenset({"api_key", "file", "signature", "timestamp", "upload_preset"})
_NAME_LENGTH = 8
#: What everybody may say who knows an unsigned preset.
_OPEN = frozenset(
    {
        *("upload_preset", "callback", "public_id", "folder", "asset_folder", "display_name"),
        *("tags", "context", "metadata", "face_coordinates", "custom_coordinates", "source"),
        *("filename_override", "public_id_prefix", "use_asset_folder_as_public_id_prefix"),
        *("file", "api_key", "timestamp", "async", "batch_id"),
    }
)


def routes(context: Context) -> list[ApiRoute]:
    """The calls about upload presets."""
    route = partial(calls.route, context)
    return [
        route("GET", "upload_presets", _list),
        route("POST", "upload_presets", _create),
        route("GET", "upload_presets/{name:path}", _show),
        route("PUT", "upload_presets/{name:path}", _update),
        route("DELETE", "upload_presets/{name:path}", _delete),
    ]


def applied(context: Context, received: Received) -> Received:
    """The call with what its preset says.

    What both say counts as the call says it, unless nobody signed it: then as the preset does.
    Tags and context of both are united. ApiError (400) for a preset that is not there, and for a
    parameter that a call needs a signature for.
    """
    if received.key is None:
        _check_open(received.params)
    name = received.params.text("upload_preset")
    if not name:
        return received
    preset = context.media.documents.get(DocumentKind.UPLOAD_PRESET, name)
    if preset is None:
        raise ApiError(400, "Upload preset not found")
    settings = preset.get("settings")
    added: Json = settings if isinstance(settings, dict) else {}
    if Params(added).flag("disallow_public_id") and received.params.text("public_id"):
        raise ApiError(400, f"public_id is not allowed when using upload preset {name[:80]}")
    given = {key: value for key, value in received.params.values.items() if value is not None}
    if received.key:
        both = _united(Params(added), Params(given))
        return replace(received, params=Params({**added, **given, **both}))
    # Who did not sign may add pictures, but not replace any, nor say who is on them.
    both = _united(Params(added), Params(given), preset_counts=True)
    params = Params({**given, **added, **both, "overwrite": False})
    _check_unsigned(context, Params(added), params)
    return replace(received, params=params)


def _check_open(params: Params) -> None:
    refused = sorted(params.values.keys() - _OPEN)
    if refused:
        message = f"{refused[0][:80]} parameter is not allowed when using unsigned upload"
        raise ApiError(400, message)


def _united(added: Params, given: Params, *, preset_counts: bool = False) -> Json:
    """Tags and context of both; which one counts where they say different things."""
    united: Json = {}
    if "tags" in added and "tags" in given:
        united["tags"] = [*wire.tags(added.values["tags"]), *wire.tags(given.values["tags"])]
    if "context" in added and "context" in given:
        ours, theirs = attributes.context(added) or {}, attributes.context(given) or {}
        united["context"] = {**(theirs | ours if preset_counts else ours | theirs)}
    return united


# ---- whom a face belongs to: labels are what all names rest on, so they come from who has a key,
# or from the preset that somebody with a key made


class _Said(NamedTuple):
    """What parameters say of people."""

    #: Where the picture is to lie; "" where that teaches nobody.
    training_folder: str
    #: Labels and names, in words for who is told that they are not allowed.
    people: frozenset[str]


def _check_unsigned(context: Context, preset: Params, call: Params) -> None:
    """Raise ApiError (400) if a call would teach or name somebody, and not its preset.

    ``call``: all there is, with what the preset says.
    """
    ours, theirs = _said(context, preset), _said(context, call)
    refused = sorted(theirs.people - ours.people)
    if theirs.training_folder and not ours.training_folder:
        refused.append(f"the folder {theirs.training_folder}")
    if refused:
        message = f"{refused[0][:200]} is not allowed when using unsigned upload"
        raise ApiError(400, f"{message}: who is on a picture is said by signed calls and presets")


def _said(context: Context, params: Params) -> _Said:
    folder = _folder(context, params)
    asset = Asset("", "", folder, version=0, format="", bytes=0, etag="")
    trains = context.label_policy.is_training(asset)
    return _Said(folder if trains else "", frozenset(_people(context, params)))


def _folder(context: Context, params: Params) -> str:
    """Where an upload lies, as the library will write it."""
    naming = attributes.naming(params, "", is_raw=False, fixed_folders=context.fixed_folders)
    path = naming.public_id.rpartition("/")[0] if context.fixed_folders else naming.folder
    return _plain(path).strip("/")


def _people(context: Context, params: Params) -> Iterator[str]:
    label_policy = context.label_policy
    targets = label_policy.targets
    marks = [
        f"{label_policy.prefix}:",
        FACE_ID_PREFIX,
        *([targets.prefix] if targets.prefix else ()),
    ]
    for tag in map(_plain, attributes.tags(params) or ()):
        if tag.startswith(tuple(map(_plain, marks))):
            yield f"the tag {tag}"
    for name, value in attributes.metadata(params).items():
        if _plain(name) in {label_policy.label_field, targets.field} - {""}:
            yield f"the metadata field {name} with {value}"
    for name, text in (attributes.context(params) or {}).items():
        if targets.context and _plain(name) == targets.context:
            yield f"the context {name} with {text}"


def _plain(text: str) -> str:
    """In the one spelling that is kept."""
    return unicodedata.normalize("NFC", text).strip()


# ---- the calls about presets


def _list(context: Context, received: Received) -> Json:
    presets = context.media.documents.all(_KIND)
    names, cursor = calls.cut(presets, received.params)
    return listing.with_cursor({"presets": [presets[name] for name in names]}, cursor)


def _create(context: Context, received: Received) -> Json:
    name = received.params.text("name") or random_id(_NAME_LENGTH)
    if len(name) > MAX_NAME:
        raise ApiError(400, f"The name of a preset has at most {MAX_NAME} characters")
    if len(context.media.documents.all(_KIND)) >= MAX_PRESETS:
        raise ApiError(400, f"There may be {MAX_PRESETS} upload presets")
    new = _changed({"name": name, "unsigned": False, "settings": {}}, received.params)

    def create(existing: Json | None) -> Json:
        """The new preset, unless the name is taken: ApiError."""
        if existing is not None:
            raise ApiError(400, f"Preset name {name} has already been taken")
        return new

    context.media.documents.change(_KIND, name, create)
    return {"message": "created", "name": name}


def _show(context: Context, received: Received) -> Json:
    name = received.path["name"]
    return _existing(context.media.documents.get(_KIND, name), name)


def _update(context: Context, received: Received) -> Json:
    name = received.path["name"]
    context.media.documents.change(
        _KIND, name, lambda preset: _changed(_existing(preset, name), received.params)
    )
    return {"message": "updated"}


def _delete(context: Context, received: Received) -> Json:
    name = received.path["name"]

    def delete(preset: Json | None) -> None:
        """Nothing in its place; ApiError where there is none."""
        _existing(preset, name)

    context.media.documents.change(_KIND, name, delete)
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
