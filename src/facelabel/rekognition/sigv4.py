"""AWS Signature Version 4: verifying requests, and signing them.

Any client's signature is checked, whichever headers it signs: the canonical request is made of
exactly those, and of the hash of the body that came.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from facelabel.rekognition.error_codes import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "rekognition"
#: Seconds that a signature's time may be off.
WINDOW = 900
_TERMINATOR = "aws4_request"
_TIME = "%Y%m%dT%H%M%SZ"
#: Without these a signature could be put on another call.
_ALWAYS_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})


@dataclass(frozen=True, slots=True)
class Request:
    """What was signed."""

    method: str
    #: Path and query as they were sent, percent-encoded.
    path: str
    query: str
    #: By name in lower case; several of one name joined by commas.
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the header of that name says."""

    key: str
    #: Day, region and service that the signature is for, and what ends all of them.
    scope: tuple[str, str, str, str]
    signed_headers: tuple[str, ...]
    signature: str


def parse(header: str) -> Authorization:
    """Read the Authorization header. Raises Refusal: IncompleteSignatureException."""
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:40]}'")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter")
    credential = parts["Credential"].rsplit("/", 4)
    if len(credential) != len(("key", "date", "region", "service", "terminator")):
        raise _incomplete("Credential must have exactly 5 slash-delimited elements")
    key, day, region, service, _ = credential
    signed = tuple(parts["SignedHeaders"].split(";"))
    scope = (day, region, service, _TERMINATOR)
    return Authorization(key, scope, signed, parts["Signature"])


def verify(request: Request, authorization: Authorization, secret: str, now: float) -> None:
    """Return if the request was signed with that secret, not long ago.

    Raises:
        Refusal: InvalidSignatureException, or IncompleteSignatureException.

    """
    needed = _ALWAYS_SIGNED | {name for name in request.headers if name.startswith("x-amz-")}
    for name in sorted(needed):
        if name not in authorization.signed_headers:
            raise _invalid(f"'{name[:100]}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in authorization.signed_headers:
        if name not in request.headers:
            raise _incomplete(f"The signed header '{name[:100]}' did not come")
    date = request.headers["x-amz-date"]
    _check_time(date, now)
    day, _, service, _ = authorization.scope
    if service != SERVICE or day != date[:8]:
        raise _invalid(f"Credential should be scoped to {date[:8]} and service: '{SERVICE}'.")
    expected = _signature(request, authorization, secret)
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise _invalid(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. "
            "Consult the service documentation for details."
        )


def sign(request: Request, key: str, secret: str, *, region: str, service: str) -> str:
    """Return the Authorization header of a request, which signs all of its headers.

    ``x-amz-date`` has to be among them, by which the signature is dated.
    """
    signed = tuple(sorted(request.headers))
    scope = (request.headers["x-amz-date"][:8], region, service, _TERMINATOR)
    authorization = Authorization(key, scope, signed, "")
    return (
        f"{ALGORITHM} Credential={'/'.join([key, *scope])}, SignedHeaders={';'.join(signed)},"
        f" Signature={_signature(request, authorization, secret)}"
    )


def stamp(moment: float) -> str:
    """Return epoch seconds as ``x-amz-date`` has them."""
    return datetime.fromtimestamp(moment, UTC).strftime(_TIME)


def _check_time(date: str, now: float) -> None:
    try:
        signed = datetime.strptime(date, _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _incomplete("Date must be in ISO-8601 'basic format', as X-Amz-Date") from None
    if signed < now - WINDOW:
        raise _invalid(
            f"Signature expired: {date} is now earlier than {stamp(now - WINDOW)} "
            f"({stamp(now)} - {WINDOW // 60} min.)"
        )
    if signed > now + WINDOW:
        raise _invalid(
            f"Signature not yet current: {date} is still later than {stamp(now + WINDOW)} "
            f"({stamp(now)} + {WINDOW // 60} min.)"
        )


def _signature(request: Request, authorization: Authorization, secret: str) -> str:
    names = authorization.signed_headers
    canonical = [
        request.method,
        request.path,
        "&".join(sorted(request.query.split("&"))),
        *(f"{name}:{' '.join(request.headers[name].split())}" for name in names),
        "",
        ";".join(names),
        hashlib.sha256(request.body).hexdigest(),
    ]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    date, scope = request.headers["x-amz-date"], authorization.scope
    text = "\n".join([ALGORITHM, date, "/".join(scope), digest])
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidSignatureException", message)


def _incomplete(message: str) -> Refusal:
    return Refusal("IncompleteSignatureException", message)
