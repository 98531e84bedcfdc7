"""Triggers: who is told of which changes, by HTTP or by a channel to be polled."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.cloudinary import assets
from facelabel.media.types import ChangeKind, DocumentKind
from facelabel.web.cloudinary_api.admin import calls
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

MAX_TRIGGERS = 30
MAX_URI = 2048
_KIND = DocumentKind.TRIGGER
#: Everything Cloudinary knows. What does not happen here is never told, but asking is no error:
#: programs subscribe to everything they would handle.
EVENT_TYPES = frozenset(
    {
        *("all", *ChangeKind),
        *("access_control_changed", "bulk_refresh_auto_fetch", "delete_by_token", "eager"),
        *("error", "explode", "generate_archive", "info", "invalidate_custom_cdn", "moderation"),
        *("moderation_summary", "multi", "proof_status_changed", "publish", "related_assets"),
        *("report", "restore_asset_version", "sprite"),
    }
)
#: "webhook" is the name that the SDK documents, "http" the one that older ones send.
_SCHEMES = {"webhook": ("http", "https"), "http": ("http", "https"), "poll": ("poll",)}
#: They would change what is sent, or whether: to leave them out silently would be a lie.
_UNSUPPORTED = ("filter", "filter_language", "payload_template")
_AUTH_SCHEMES = ("default", "legacy_hmac")


def routes(context: Context) -> list[ApiRoute]:
    """The calls about triggers."""
    route = partial(calls.route, context)
    return [
        route("GET", "triggers", _list),
        route("POST", "triggers", _create),
        route("GET", "triggers/{id}", _show),
        route("PUT", "triggers/{id}", _update),
        route("DELETE", "triggers/{id}", _delete),
        route("POST", "triggers/{id}/test", _test),
    ]


def _list(context: Context, received: Received) -> Json:
    kind = received.params.text("event_type")
    every = context.media.documents.all(_KIND).values()
    found = [trigger for trigger in every if not kind or trigger["event_type"] == kind]
    return {"triggers": [*found], "total": len(found)}


def _create(context: Context, received: Received) -> Json:
    params = received.params
    _refuse_unsupported(params)
    if len(context.media.documents.all(_KIND)) >= MAX_TRIGGERS:
        raise ApiError(400, f"There may be {MAX_TRIGGERS} triggers in a product environment")
    uri = params.required("uri")
    now = assets.iso(context.clock.now())
    trigger: Json = {
        "id": uuid.uuid4().hex,
        "uri": uri,
        "uri_type": _uri_type(uri, params.text("uri_type")),
        "event_type": _event_type(params.required("event_type")),
        "additive": params.flag("additive"),
        "auth_scheme": _auth_scheme(params),
        "product_environment_id": context.cloud_name,
        "created_at": now,
        "updated_at": now,
    }
    context.media.documents.change(_KIND, str(trigger["id"]), lambda _: trigger)
    return trigger


def _show(context: Context, received: Received) -> Json:
    return _existing(context.media.documents.get(_KIND, received.path["id"]), received.path["id"])


def _update(context: Context, received: Received) -> Json:
    name, params = received.path["id"], received.params
    _refuse_unsupported(params)

    def change(existing: Json | None) -> Json:
        """The changed trigger; ApiError where there is none."""
        trigger = _existing(existing, name)
        uri = params.text("new_uri") or params.text("uri") or str(trigger["uri"])
        return trigger | {
            "uri": uri,
            "uri_type": _uri_type(uri, params.text("uri_type")),
            "event_type": _event_type(params.text("event_type") or str(trigger["event_type"])),
            "additive": params.flag("additive", default=bool(trigger["additive"])),
            "updated_at": assets.iso(context.clock.now()),
        }

    return context.media.documents.change(_KIND, name, change) or {}


def _delete(context: Context, received: Received) -> Json:
    name = received.path["id"]

    def delete(trigger: Json | None) -> None:
        """Nothing in its place; ApiError where there is none."""
        _existing(trigger, name)

    context.media.documents.change(_KIND, name, delete)
    return {"message": "deleted"}


def _test(context: Context, received: Received) -> Json:
    """Whether a sample would be sent; nothing is."""
    trigger = _show(context, received)
    sample = calls.json_object(received.params, "sample_data")
    kind = sample.get("notification_type", trigger["event_type"])
    return {"matched": trigger["event_type"] in ("all", kind)}


def _existing(trigger: Json | None, name: str) -> Json:
    if trigger is None:
        raise ApiError(404, f"Trigger {name} not found")
    return trigger


def _refuse_unsupported(params: Params) -> None:
    for name in _UNSUPPORTED:
        if params.values.get(name):
            raise ApiError(400, f"Parameter {name} is not supported by the local library")


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ApiError(400, f"Invalid event_type {name[:40]}")
    return name


def _auth_scheme(params: Params) -> str:
    scheme = params.text("auth_scheme") or "default"
    if scheme not in _AUTH_SCHEMES:
        raise ApiError(400, f"Invalid auth_scheme {scheme[:40]}, it is one of {_AUTH_SCHEMES}")
    return scheme


def _uri_type(uri: str, asked: str) -> str:
    """What the URI has to fit: http (also called webhook) or poll."""
    kind = asked or ("poll" if uri.startswith("poll:") else "http")
    try:
        parts = urlsplit(uri)
        fits = parts.scheme in _SCHEMES.get(kind, ()) and bool(parts.hostname or kind == "poll")
    except ValueError:
        fits = False
    if not fits or uri == "poll://" or len(uri) > MAX_URI or not uri.isprintable():
        raise ApiError(400, f"Invalid uri {uri[:80]} of type {kind[:20]}")
    return kind
