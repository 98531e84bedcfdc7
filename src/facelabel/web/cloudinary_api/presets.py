"""What an upload preset adds to an upload, and what a call without a signature may say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.cloudinary import params as wire
from facelabel.media.types import DocumentKind
from facelabel.web.cloudinary_api import attributes, teaching
from facelabel.web.http import ApiError, Params

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Received

#: What everybody may say who knows an unsigned preset.
_OPEN = frozenset(
    {
        *("upload_preset", "callback", "public_id", "folder", "asset_folder", "display_name"),
        *("tags", "context", "metadata", "face_coordinates", "custom_coordinates", "source"),
        *("filename_override", "public_id_prefix", "use_asset_folder_as_public_id_prefix"),
        *("file", "api_key", "timestamp", "async", "batch_id"),
    }
)


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
    preset = context.media.document(DocumentKind.UPLOAD_PRESET, name)
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
    teaching.check_unsigned(context, Params(added), params)
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
