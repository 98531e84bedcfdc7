"""Cloudinary's signatures: of API calls, of answers, of notifications, of delivery URLs.

All are a plain hash of a text followed by the API secret, not an HMAC, whatever the documentation
of one of them says. Every comparison takes the same time whether it fails early or late.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from facelabel.core.model import JsonValue

Algorithm: TypeAlias = Literal["sha1", "sha256"]

#: Seconds that a notification is good for, before and after its timestamp.
WINDOW = 7200.0
#: A call's parameters that its signature says nothing about.
UNSIGNED = frozenset({"file", "api_key", "signature", "resource_type", "cloud_name"})

_ALGORITHMS: tuple[Algorithm, ...] = ("sha1", "sha256")
#: Seconds since the epoch; int() would take any length, spaces and the digits of other scripts.
_TIMESTAMP = re.compile(r"[0-9]{1,15}", re.ASCII)
#: A parameter's name, such as ``public_ids`` or ``context[alt]``: without "=" or "&" in it no
#: signed text can be cut into parameters in another way.
_NAME = r"[A-Za-z_][\w.-]*(?:\[[\w.-]*\])*"
_WELL_NAMED = re.compile(_NAME, re.ASCII)
_POSES = re.compile(f"&{_NAME}=", re.ASCII)
_SHORT, _LONG = 8, 32
#: What is no text at all cannot match anything, but must not raise either.
_UTF8 = ("utf-8", "surrogatepass")
_DELIVERY = re.compile(r"s--(?P<signature>[\w-]{8}(?:[\w-]{24})?)--", re.ASCII)


def hexdigest(data: bytes, secret: str, algorithm: Algorithm = "sha1") -> str:
    """The hash of the data and then the secret, lower-case hexadecimal."""
    return hashlib.new(algorithm, data + secret.encode(*_UTF8)).hexdigest()


# ---- API calls


def string_to_sign(parameters: Mapping[str, JsonValue], version: int = 2) -> str:
    """What is signed of a call's parameters.

    Empty ones are left out, and so are those of :data:`UNSIGNED`; arrays are joined with commas.
    Version 2 writes "&" as "%26", so that no value can pose as another parameter.
    """
    pairs = [
        f"{name}={_text(value)}"
        for name, value in parameters.items()
        if value and name not in UNSIGNED
    ]
    if version > 1:
        pairs = [pair.replace("&", "%26") for pair in pairs]
    return "&".join(sorted(pairs))


def sign(
    parameters: Mapping[str, JsonValue],
    secret: str,
    algorithm: Algorithm = "sha1",
    version: int = 2,
) -> str:
    """The signature of a call."""
    return hexdigest(string_to_sign(parameters, version).encode(*_UTF8), secret, algorithm)


def is_signed(parameters: Mapping[str, JsonValue], signature: str, secret: str) -> bool:
    """Whether the signature is that of the call, by either version and algorithm.

    One signed text is one call: parameters whose names are none, and objects, cannot be signed,
    and version 1 counts only where no value could be read as further parameters.
    """
    values = parameters.values()
    parts = [item for value in values for item in (value if isinstance(value, list) else [value])]
    if any(isinstance(part, (dict, list)) for part in parts):
        return False
    if not all(map(_WELL_NAMED.fullmatch, parameters)):
        return False
    poses = any(_POSES.search(_text(value)) for value in values)
    versions = (2,) if poses else (1, 2)
    texts = {string_to_sign(parameters, version).encode(*_UTF8) for version in versions}
    return _matches(signature, texts, [secret], _ALGORITHMS)


def sign_answer(public_id: str, version: int, secret: str, algorithm: Algorithm = "sha1") -> str:
    """The signature that the answer to an upload carries."""
    text = f"public_id={public_id}&version={version}"
    return hexdigest(text.encode(*_UTF8), secret, algorithm)


# ---- notifications


def sign_notification(
    body: bytes, timestamp: str, secret: str, algorithm: Algorithm = "sha1"
) -> str:
    """X-Cld-Signature of a notification's raw body."""
    return hexdigest(body + timestamp.encode(*_UTF8), secret, algorithm)


def is_notification(
    body: bytes,
    timestamp: str,
    signature: str,
    *,
    secrets: Sequence[str],
    now: float,
    window: float = WINDOW,
    algorithm: Algorithm | None = None,
) -> bool:
    """Whether a notification was signed with one of the secrets, less than ``window`` seconds off.

    ``algorithm``: the only one accepted; None takes either. A body changed by as much as a space,
    as when it was parsed and written again, does not pass.
    """
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > window:
        return False
    algorithms = _ALGORITHMS if algorithm is None else (algorithm,)
    return _matches(signature, [body + timestamp.encode()], secrets, algorithms)


# ---- delivery URLs


def sign_delivery(path: str, secret: str, *, long: bool = False) -> str:
    """The part ``s--…--`` of a delivery URL.

    ``path``: transformation, a slash, and the escaped public_id with its extension; that is the
    URL's end without the version. The long form has 32 characters and is SHA-256.
    """
    digest = _delivery_digest(path, secret, "sha256" if long else "sha1")
    return f"s--{digest[: _LONG if long else _SHORT]}--"


def is_delivery(path: str, part: str, secrets: Iterable[str]) -> bool:
    """Whether ``part`` is the ``s--…--`` of that path by one of the secrets.

    The short form may be SHA-256 too: that of an account whose ``signature_algorithm`` it is.
    """
    found = _DELIVERY.fullmatch(part)
    if found is None:
        return False
    signature = found["signature"]
    algorithms: Sequence[Algorithm] = ("sha256",) if len(signature) == _LONG else _ALGORITHMS
    digests = [
        _delivery_digest(path, secret, algorithm)[: len(signature)]
        for secret in secrets
        for algorithm in algorithms
    ]
    return sum(hmac.compare_digest(signature, digest) for digest in digests) > 0


def _delivery_digest(path: str, secret: str, algorithm: Algorithm) -> str:
    digest = hashlib.new(algorithm, path.encode(*_UTF8) + secret.encode(*_UTF8)).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _matches(
    signature: str,
    texts: Iterable[bytes],
    secrets: Sequence[str],
    algorithms: Iterable[Algorithm],
) -> bool:
    """Compare with every possibility, so that the time taken does not tell which one it was."""
    given, matches = signature.encode(*_UTF8), 0
    for text, algorithm in product(texts, algorithms):
        read = hashlib.new(algorithm, text)  # once, however many keys there are
        for secret in filter(None, secrets):
            whole = read.copy()
            whole.update(secret.encode(*_UTF8))
            matches += hmac.compare_digest(given, whole.hexdigest().encode())
    return matches > 0


def _text(value: JsonValue) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
