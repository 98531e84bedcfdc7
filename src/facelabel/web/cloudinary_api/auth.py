"""Who may call: HTTP Basic, signatures, and upload presets that need neither.

No message contains a secret, and what is compared with one takes the same time whatever it is.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.cloudinary import params as wire
from facelabel.cloudinary import signing
from facelabel.media.types import DocumentKind
from facelabel.web import http
from facelabel.web.access.policy import Requirement
from facelabel.web.http import ApiError, Params

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.responses import Response

    from facelabel.core.clock import Clock
    from facelabel.core.model import JsonValue
    from facelabel.media.types import ApiKey
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Answer, Received
    from facelabel.web.http.budget import Lanes

    #: What an endpoint does, once it is known who asks.
    Action: TypeAlias = Callable[[Context, Received], Answer]
    Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

#: Seconds that the timestamp of a signed call may be off.
WINDOW = 3600
#: Parameters that the SDKs send with tags, context and metadata, but do not sign.
UNSIGNED = frozenset({"notification_url", "batch_id"})
#: Calls an hour that the headers promise: nobody counts, but clients slow down when it is near 0.
_RATE_LIMIT = 1_000_000
_HOUR = 3600
_TIMESTAMP = re.compile(r"\d{1,15}", re.ASCII)
_ECHO = 4000
_EMPTY: Sequence[object] = (None, "", [], {})


def admin(context: Context, action: Action) -> Endpoint:
    """An endpoint of the Admin API: HTTP Basic with any active key."""
    return http.Endpoint(
        partial(_as_admin, context, action),
        _limits(context),
        headers=partial(_rate_limit, context.clock),
        admit=partial(_basic_key, context),
    ).answer


def _as_admin(context: Context, action: Action, received: Received) -> Answer:
    _check_cloud(context, received)
    return action(context, replace(received, key=_basic_key(context, received.headers)))


def listing(context: Context, action: Action) -> Endpoint:
    """An endpoint for who needs no key, and else HTTP Basic."""
    return http.Endpoint(partial(_as_reader, context, action), _limits(context)).answer


def _as_reader(context: Context, action: Action, received: Received) -> Answer:
    _check_cloud(context, received)
    is_open = received.entry is Requirement.OPEN
    key = None if is_open else _basic_key(context, received.headers)
    return action(context, replace(received, key=key))


def uploading(
    context: Context,
    action: Action,
    *,
    unsigned: frozenset[str] = frozenset(),
    presets: bool = False,
    lanes: Callable[[Received], Lanes] | None = None,
) -> Endpoint:
    """An endpoint of the Upload API: a signed call, or HTTP Basic.

    ``unsigned``: parameters the signature may leave out. With ``presets`` also a call that is not
    signed at all is let through, without a key, if its upload preset allows that. ``lanes``: the
    threads for what may take long.
    """
    return http.Endpoint(
        partial(_as_uploader, context, action, unsigned=unsigned, presets=presets),
        _limits(context),
        unavailable=500,
        admit=partial(_check_basic, context),
        lanes=lanes,
    ).answer


def _check_basic(context: Context, headers: Headers) -> None:
    if "authorization" in headers:
        _basic_key(context, headers)


def _as_uploader(
    context: Context,
    action: Action,
    received: Received,
    *,
    unsigned: frozenset[str],
    presets: bool,
) -> Answer:
    _check_cloud(context, received)
    params = received.params
    is_basic, is_signed = "authorization" in received.headers, params.text("signature")
    if received.entry is Requirement.PRESET and (is_basic or is_signed):
        raise ApiError(403, "pages of this origin may upload with an unsigned preset alone")
    if is_basic:
        return action(context, replace(received, key=_basic_key(context, received.headers)))
    if not (is_signed or presets):
        raise ApiError(401, "Missing required parameter - signature")
    key = _signing_key(context, params, unsigned) if is_signed else None
    if key is None:
        _check_preset(context, params.text("upload_preset"))
    # What is empty is left out: no signature says anything of that, so others could add it. SDKs
    # never send it; HTTP Basic, which nobody else can have written, may.
    given = {name: value for name, value in params.values.items() if value not in _EMPTY}
    return action(context, replace(received, key=key, params=Params(given)))


def _limits(context: Context) -> http.Limits:
    return http.Limits(context.max_body_bytes, budget=context.budget)


def _check_cloud(context: Context, received: Received) -> None:
    if received.path.get("cloud", context.cloud_name) != context.cloud_name:
        raise ApiError(401, "cloud_name mismatch")


def _basic_key(context: Context, headers: Headers) -> ApiKey:
    name, secret = _credentials(headers.get("authorization", ""))
    key = _key(context, name)
    if key is None:
        raise _denied("unknown api_key")
    if not hmac.compare_digest(key.secret.encode(), secret.encode()):
        raise _denied("api_secret mismatch")
    return key


def _key(context: Context, name: str) -> ApiKey | None:
    active = context.keys()
    return next((key for key in active if key.key == name), None)


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise _denied("HTTP Basic authentication is required")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _denied("Invalid Authorization header") from None
    name, _, secret = decoded.partition(":")
    return name, secret


def _denied(message: str) -> ApiError:
    return ApiError(401, message, {"WWW-Authenticate": 'Basic realm="Facelabel"'})


def _signing_key(context: Context, params: Params, unsigned: frozenset[str]) -> ApiKey:
    name = params.required("api_key")
    key = _key(context, name)
    if key is None:
        raise ApiError(401, f"Unknown API key {name[:40]}")
    # As they would stand in a form: JSON's 0 and false say something, and have to be signed.
    values = {
        name: wire.text(value) if isinstance(value, (bool, int, float)) else value
        for name, value in params.values.items()
    }
    if not signing.is_signed(values, params.text("signature"), key.secret):
        _check_signed_but_for(context, values, params, key, unsigned)
    time = params.required("timestamp")
    if not _TIMESTAMP.fullmatch(time) or abs(context.clock.now() - int(time)) > WINDOW:
        raise ApiError(400, f"Stale request - reported time {time[:20]} is more than 1 hour off")
    return key


def _check_signed_but_for(
    context: Context,
    values: Mapping[str, JsonValue],
    params: Params,
    key: ApiKey,
    unsigned: frozenset[str],
) -> None:
    """Refuse what is not signed by all but ``unsigned``, and whom nobody said to tell."""
    signature = params.text("signature")
    signed = {name: value for name, value in values.items() if name not in unsigned}
    if not signing.is_signed(signed, signature, key.secret):
        expected = signing.string_to_sign(values)[:_ECHO]
        raise ApiError(401, f"Invalid Signature {signature[:64]}. String to sign - '{expected}'.")
    # Who saw a signed call may add an address to it, and be told names: only one that we know.
    url = params.text("notification_url")
    try:
        host = urlsplit(url).hostname or url
    except ValueError:
        host = url
    if url and host not in context.notified_hosts:
        message = f"notification_url is not part of the signature: its host {host[:100]} would have"
        raise ApiError(400, f"{message} to be in the setting notification_hosts")


def _check_preset(context: Context, name: str) -> None:
    if not name:
        raise ApiError(400, "Upload preset must be specified when using unsigned upload")
    preset = context.media.documents.get(DocumentKind.UPLOAD_PRESET, name)
    if preset is None:
        raise ApiError(400, "Upload preset not found")
    if not preset.get("unsigned"):
        raise ApiError(400, "Upload preset must be whitelisted for unsigned uploads")


def _rate_limit(clock: Clock) -> dict[str, str]:
    reset = (clock.now() // _HOUR + 1) * _HOUR
    return {
        "X-FeatureRateLimit-Limit": str(_RATE_LIMIT),
        "X-FeatureRateLimit-Remaining": str(_RATE_LIMIT - 1),
        "X-FeatureRateLimit-Reset": formatdate(reset, usegmt=True),
    }
