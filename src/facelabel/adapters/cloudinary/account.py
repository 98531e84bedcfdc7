"""One product environment on Cloudinary, the keys to it, and who may speak for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from facelabel.cloudinary.notifications import Intake
from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.cloudinary.signing import Algorithm
    from facelabel.core.clock import Clock

API = "https://api.cloudinary.com"
ALGORITHMS = frozenset({"sha1", "sha256"})
#: Those that a notification may be signed with, by what the setting says.
NOTIFICATION_ALGORITHMS: Mapping[str, Algorithm | None] = {
    "any": None, "sha1": "sha1", "sha256": "sha256",
}  # fmt: skip
_URL = re.compile(r"cloudinary://([^:@/\s]+):([^@/\s]+)@([^/?#\s:@]+)(/[^?#\s]*)?(\?[^#\s]*)?")
_TRUE = frozenset({"1", "true"})


@dataclass(frozen=True, slots=True)
class Account:
    """Where an account is reached, and with what; nothing of it is kept in the SDK's globals."""

    cloud_name: str
    api_key: str
    api_secret: str = field(repr=False)
    #: Where the API is; a host of one's own for a server that speaks like Cloudinary.
    upload_prefix: str = API
    #: A host name of one's own for delivery, with a port where it needs one.
    cname: str = ""
    private_cdn: bool = False
    #: The host that delivers over https, where it is neither Cloudinary's nor ``cname``.
    secure_distribution: str = ""
    #: Whether images are fetched over https.
    secure: bool = True
    signature_algorithm: str = "sha1"
    long_url_signature: bool = False

    @classmethod
    def parse(cls, url: str, variable: str = "CLOUDINARY_URL") -> Account:
        """Read ``cloudinary://key:secret@cloud``, with /secure.host and ?options as in the SDKs.

        Options: upload_prefix, cname, private_cdn, secure_distribution, secure,
        signature_algorithm, long_url_signature; others are ignored. An API that is reached over
        http delivers over http, too, unless ``secure`` says otherwise.
        Raises ConfigurationError, which names the ``variable`` and never shows its value.
        """
        found = _URL.fullmatch(url.strip())
        if not found:
            raise ConfigurationError(f"{variable} is not cloudinary://key:secret@cloud_name")
        key, secret, cloud, path, query = found.groups("")
        options = dict(parse_qsl(query.removeprefix("?")))
        distribution = path.strip("/") or options.get("secure_distribution", "")
        prefix = options.get("upload_prefix", API).rstrip("/")
        algorithm = options.get("signature_algorithm", "sha1").lower()
        _check(prefix, algorithm, variable)
        return cls(
            cloud,
            key,
            secret,
            upload_prefix=prefix,
            cname=options.get("cname", ""),
            private_cdn=bool(path.strip("/")) or _is_true(options.get("private_cdn", "")),
            secure_distribution=distribution,
            secure=_is_true(options.get("secure", str(not prefix.startswith("http://")))),
            signature_algorithm=algorithm,
            long_url_signature=_is_true(options.get("long_url_signature", "")),
        )

    def intake(self, more_keys: Sequence[ApiKey], algorithm: str, clock: Clock) -> Intake:
        """What verifies the notifications of the account.

        ``more_keys`` may sign besides the account's; ``algorithm``: sha1, sha256 or any.
        """
        keys = (ApiKey(self.api_key, self.api_secret), *more_keys)
        return Intake(lambda: keys, clock, NOTIFICATION_ALGORITHMS[algorithm])

    def call_options(self) -> dict[str, Any]:
        """What every call of the SDK gets, so that it looks up nothing in its global settings."""
        return {
            "cloud_name": self.cloud_name,
            "api_key": self.api_key,
            "api_secret": self.api_secret,
            "upload_prefix": self.upload_prefix,
            "signature_algorithm": self.signature_algorithm,
            "signature_version": 2,
            "oauth_token": None,
            "upload_preset": None,
            "dpr": None,
            "responsive_width": None,
            "use_fetch_format": None,
        }


def _check(prefix: str, algorithm: str, variable: str) -> None:
    if urlsplit(prefix).scheme not in {"http", "https"}:
        raise ConfigurationError(f"the upload_prefix in {variable} is no http(s) address")
    if algorithm not in ALGORITHMS:
        raise ConfigurationError(f"the signature_algorithm in {variable} is not sha1 or sha256")


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE
