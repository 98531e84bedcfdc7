"""Who may come in: decided for every request, by what it says of itself, before its body is read.

That we listen on loopback does not say who asks: a proxy in front passes on the whole internet,
and a browser on this computer the pages of every site. So a request needs a key as soon as it is
not *plainly local*; and what a browser adds unasked, such as a stored password, counts for nothing
where the page of another site asks. One table, :data:`TERMS`, says it all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.settings.addresses import is_loopback, is_only_here, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from typing import Any, TypeAlias

    from facelabel.settings import Settings

    #: An ASGI connection.
    Scope: TypeAlias = MutableMapping[str, Any]

#: Headers that no client sends, and proxies add for whom they pass on …
FORWARDING = frozenset(
    {
        *("forwarded", "forwarded-for", "via", "cdn-loop", "client-ip", "true-client-ip"),
        *("disguised-host", "fastly-client-ip", "front-end-https", "incap-client-ip"),
        *("wl-proxy-client-ip", "x-azure-clientip", "x-client-ip"),
        *("x-cluster-client-ip", "x-forward-for", "x-forward-proto"),
        *("x-originating-ip", "x-proxyuser-ip", "x-real-ip", "x-remote-addr", "x-remote-ip"),
        *("x-scheme", "x-sucuri-clientip", "x-url-scheme", "x-varnish"),
    }
)
#: … and how others of theirs begin.
FORWARDING_BEGINNINGS = (
    *("cf-", "fly-", "ngrok-", "tailscale-", "x-appengine-", "x-arr-", "x-envoy-", "x-forwarded"),
    *("x-ms-proxy", "x-nf-", "x-original-", "x-vercel-", "x-waws-"),
)
#: A host with or without a port; whatever else some program reads out of it is none of ours.
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/?#@\\\s]+)(:\d{1,5})?", re.ASCII)
#: In a connection: what the gate found to be asked of who comes (see :func:`noted`).
ENTRY = "facelabel.entry"
#: In the state of a connection: whether it is another user's (see neighbours).
OTHERS = "facelabel.others"
_NOT_FOREIGN = frozenset({"", "none", "same-origin"})
_SAFE = frozenset({"GET", "HEAD"})


class Api(Enum):
    """What can be asked for; in brackets what is taken as proof of a right to it."""

    #: The first page, and whether the server is well.
    PAGE = "page"
    #: Notifications of Cloudinary (its signature).
    WEBHOOK = "webhook"
    #: Uploads (signed call, HTTP Basic or unsigned preset).
    UPLOAD = "upload"
    #: The rest of the Upload API (signed call or HTTP Basic).
    CALL = "call"
    #: The Admin API and search (HTTP Basic).
    ADMIN = "admin"
    #: Pictures (signed URL).
    DELIVERY = "delivery"
    #: Which pictures have a tag, for pages (HTTP Basic).
    LIST = "list"
    #: Rekognition's operations (AWS signature).
    REKOGNITION = "rekognition"


class CallerKind(Enum):
    """How somebody who asks stands to us."""

    #: A program on this computer, or a page of our own that it shows.
    LOCAL = "a program on this computer"
    #: The same, but a page of an allowed origin asks.
    GUEST = "a page of an allowed origin, on this computer"
    #: Anybody else: other computers, whoever comes through a proxy; allowed origins among them.
    REMOTE = "another computer, or through a proxy"
    #: Somebody follows a link from another site: no page gets to see the answer.
    LINK = "a link followed from another site"
    #: A page of a site that nobody allowed.
    FOREIGN = "a page of another site"
    #: Asked for under a name that is not ours.
    MISDIRECTED = "under a host name that is not ours"


class Requirement(Enum):
    """What is asked of somebody before an API answers."""

    OPEN = "open"
    #: What the API takes as proof.
    KEY = "key"
    #: An unsigned preset; no key counts.
    PRESET = "preset"
    REFUSED = "refused"


def _row(*entries: Requirement) -> Mapping[CallerKind, Requirement]:
    return MappingProxyType(dict(zip(CallerKind, [*entries, Requirement.REFUSED], strict=True)))


_OPEN, _KEY, _REFUSED = Requirement.OPEN, Requirement.KEY, Requirement.REFUSED
#: What is asked of whom by which API; a row has the order of the kinds of callers.
TERMS: Mapping[Api, Mapping[CallerKind, Requirement]] = MappingProxyType(
    {
        Api.PAGE: _row(_OPEN, _OPEN, _OPEN, _OPEN, _OPEN),
        Api.WEBHOOK: _row(_KEY, _KEY, _KEY, _REFUSED, _REFUSED),
        Api.UPLOAD: _row(_KEY, _KEY, _KEY, Requirement.PRESET, Requirement.PRESET),
        Api.CALL: _row(_KEY, _KEY, _KEY, _REFUSED, _REFUSED),
        Api.ADMIN: _row(_KEY, _KEY, _KEY, _REFUSED, _REFUSED),
        Api.DELIVERY: _row(_OPEN, _OPEN, _KEY, _KEY, _KEY),
        Api.LIST: _row(_OPEN, _OPEN, _KEY, _REFUSED, _REFUSED),
        Api.REKOGNITION: _row(_OPEN, _KEY, _KEY, _REFUSED, _REFUSED),
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as a request's first lines tell."""

    method: str
    #: Address of the other end of the connection; "" where it is no address.
    peer: str
    #: Whether HTTP/1.1 is spoken: proxies speak 1.0 to us (older nginx, left alone), no SDK does.
    is_modern: bool
    #: Whether another user's program is at the other end, as far as the system tells.
    is_others: bool
    #: The host asked for, without a port; what is no host stays as it came …
    host: str
    #: … and with its port if one was named; "" if there is none.
    authority: str
    #: Whether a proxy says that it passes somebody on.
    is_forwarded: bool
    #: Origin of the page that asks: "" if there is none, "null" if it is kept secret.
    origin: str
    #: What a browser says of the page and of its purpose; "" where none says anything.
    site: str
    mode: str
    destination: str

    @classmethod
    def of(cls, scope: Scope) -> Caller:
        """Read an ASGI connection."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        authority = headers.get("host", "").lower()
        found = _AUTHORITY.fullmatch(authority)
        # Browsers leave Origin out of simple GETs; where the page is, Referer says then.
        page = headers.get("origin", headers.get("referer", ""))
        origin = origin_of(page) if page else ""
        if not origin and "origin" in headers:
            origin = "null"
        return cls(
            method=scope["method"],
            peer=(scope.get("client") or ("",))[0] or "",
            is_modern=scope.get("http_version", "") not in {"", "0.9", "1.0"},
            is_others=bool(scope.get("state", {}).get(OTHERS)),
            host=found["host"].strip("[]") if found else authority,
            authority=authority,
            is_forwarded=any(
                name in FORWARDING or name.startswith(FORWARDING_BEGINNINGS) for name in headers
            ),
            origin=origin,
            site=headers.get("sec-fetch-site", "").lower(),
            mode=headers.get("sec-fetch-mode", "").lower(),
            destination=headers.get("sec-fetch-dest", "").lower(),
        )

    @property
    def follows_link(self) -> bool:
        """Whether a browser's window, not a page in it, shows the answer."""
        is_shown = self.mode == "navigate" and self.destination == "document"
        return self.method in _SAFE and is_shown


@dataclass(frozen=True)
class Policy:
    """Who may do what at this server."""

    #: The address that it listens on.
    host: str = "127.0.0.1"
    #: Where it is reached from outside; "" if it is not.
    public_url: str = ""
    #: Whether a key is needed whoever asks.
    require_keys: bool = False
    #: Origins whose pages may do what their users' keys allow.
    allowed_origins: frozenset[str] = frozenset()
    #: Whether pictures are there for everybody.
    public_delivery: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """What the settings say."""
        return cls(
            host=settings.host,
            public_url=settings.public_url,
            require_keys=settings.require_keys,
            allowed_origins=settings.origins,
            public_delivery=settings.public_delivery,
        )

    @cached_property
    def serves_only_here(self) -> bool:
        """Whether there is anybody who needs no key."""
        return is_only_here(self.host, self.public_url) and not self.require_keys

    @cached_property
    def terms(self) -> Mapping[Api, Mapping[CallerKind, Requirement]]:
        """What each API asks of each kind of caller."""
        return {**TERMS, Api.DELIVERY: _row(*[_OPEN] * 5)} if self.public_delivery else TERMS

    def standing(self, caller: Caller) -> CallerKind:
        """How somebody stands to us."""
        # A page may have pointed a name of its own at this computer (DNS rebinding).
        is_ours = not is_loopback(self.host) or not caller.authority or is_loopback(caller.host)
        if not is_ours and caller.host != urlsplit(self.public_url).hostname:
            return CallerKind.MISDIRECTED
        is_allowed = caller.origin in self.allowed_origins
        is_elsewhere = caller.origin != "" and caller.origin not in self._own_origins(caller)
        if not is_allowed and (caller.site not in _NOT_FOREIGN or is_elsewhere):
            return CallerKind.LINK if caller.follows_link else CallerKind.FOREIGN
        # Nothing may speak against a program on this computer.
        is_near = is_loopback(caller.peer) and is_loopback(caller.host) and caller.is_modern
        if not (self.serves_only_here and is_near) or caller.is_forwarded or caller.is_others:
            return CallerKind.REMOTE
        return CallerKind.GUEST if is_allowed else CallerKind.LOCAL

    @cached_property
    def shared_doors(self) -> frozenset[Api]:
        """Whose answers the pages of every origin may read, as Cloudinary's."""
        return frozenset({Api.UPLOAD, Api.DELIVERY} if self.public_delivery else {Api.UPLOAD})

    def _own_origins(self, caller: Caller) -> set[str]:
        """Where the pages are that we serve ourselves."""
        asked = {origin_of(f"{scheme}://{caller.authority}") for scheme in ("http", "https")}
        return asked | {origin_of(self.public_url)}


def noted(scope: Scope) -> Requirement:
    """What was decided of who asks; where nobody did, a key is needed."""
    entry: Requirement = scope.get(ENTRY, Requirement.KEY)
    return entry
