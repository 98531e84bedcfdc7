"""The gate before the application: it asks the policy, and tells browsers what pages may do.

Who is refused is refused before the body is read, and so is a request that others could read
differently.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from facelabel.web import http
from facelabel.web.access.policy import ENTRY, Api, Caller, CallerKind, Requirement
from facelabel.web.http.budget import Limits, bounded
from facelabel.web.http.refusals import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from starlette.applications import Starlette
    from starlette.routing import BaseRoute
    from starlette.types import Message, Receive, Scope, Send

    from facelabel.web.access.policy import Policy

    #: Makes the answer that tells of a refusal, in the words of an API's clients.
    Refuse: TypeAlias = Callable[[ApiError], Response]

#: Calls of the Upload API, however many slashes there are.
_UPLOADING = re.compile(r"/+v1_1/+([^/]+)/+(image|video|raw|auto|asset)/+([^/]+)/*")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
#: "Misdirected Request".
MISDIRECTED = 421
_FORBIDDEN, _NO_CONTENT = 403, 204
#: Of a refused request: read and dropped, so that who is still sending gets to see why.
_DROPPED = Limits(body=1 << 60)
_AMBIGUOUS = "Content-Length and Transfer-Encoding contradict each other"
#: What pages may send, besides what they always may: Cloudinary's uploads in parts, AWS's SDK.
SENT = (
    *("Authorization", "Cache-Control", "Content-Range", "Content-Type", "If-None-Match", "Range"),
    *("X-Requested-With", "X-Unique-Upload-Id", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request"),
    *("X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target"),
    "X-Amz-User-Agent",
)
#: What they may read, besides the same.
READ = (
    *("Content-Length", "Content-Range", "ETag", "Retry-After", "X-Amzn-RequestId", "X-Cld-Error"),
    *("X-FeatureRateLimit-Limit", "X-FeatureRateLimit-Remaining", "X-FeatureRateLimit-Reset"),
    "X-Request-Id",
)
#: The header that names who may read, and the one that lets them use a stored login.
ALLOWED = "Access-Control-Allow-Origin"
WITH_LOGIN = "Access-Control-Allow-Credentials"
#: Seconds for which a browser remembers what it may.
REMEMBERED = 600
_CLOSE = {"Connection": "close"}
_MISDIRECTED = "this server is asked for under a name that is not its own: set public_url"
_REASONS = {
    CallerKind.LINK: "this is not answered to who follows a link from another site",
    CallerKind.FOREIGN: "pages of this origin may not do this: allow it in allowed_origins",
}


class ApiRoute(Route):
    """A route that says which API it belongs to."""

    def __init__(
        self, api: Api, path: str, endpoint: Callable[..., Any], *, methods: Sequence[str]
    ) -> None:
        """``endpoint`` learns from :func:`.policy.noted` what is asked of who comes."""
        super().__init__(path, endpoint, methods=list(methods))
        self.api = api


class Gate:
    """An ASGI application around the site."""

    def __init__(
        self, site: Starlette, policy: Policy, refusals: Mapping[Api, Refuse] | None = None
    ) -> None:
        """``refusals``: for APIs whose clients do not read errors in Cloudinary's shape."""
        self._site = site
        self._api_routes = [route for route in site.routes if isinstance(route, ApiRoute)]
        self._policy = policy
        self._refusals = refusals or {}

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Everything behind it."""
        return self._site.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or refuse."""
        if scope["type"] != "http":
            await self._site(scope, receive, send)
            return
        found = _UPLOADING.fullmatch(scope["path"])
        if found:  # clients put slashes behind it, or too many
            scope = {**scope, "path": "/".join(["/v1_1", *found.groups()])}
        sent = {name for name, _ in scope["headers"]}
        # A proxy before us may have seen the request end elsewhere (RFC 9112, 6.1). Everything else
        # of the kind (several lengths, several codings, unknown ones, a space before a colon) h11
        # refuses by itself.
        if _CODING in sent and (_LENGTH in sent or scope["http_version"] == "1.0"):
            await http.failed(ApiError(400, _AMBIGUOUS, _CLOSE), "")(scope, receive, send)
            return
        caller, policy = Caller.of(scope), self._policy
        standing = policy.standing(caller)
        if standing is CallerKind.MISDIRECTED:
            await self._refuse(scope, receive, send, ApiError(MISDIRECTED, _MISDIRECTED))
            return
        first = _asked_first(scope) if caller.method == "OPTIONS" else ""
        meant = {**scope, "method": first} if first else scope
        # None if there is nothing of that path and method.
        routes = (one for one in self._api_routes if one.matches(meant)[0] is Match.FULL)
        api = next((route.api for route in routes), None)
        told = _page_headers(policy, api, caller, standing)
        if first:
            status = _NO_CONTENT if ALLOWED in told else _FORBIDDEN
            await Response(status_code=status, headers=_preflight(told, first))(
                scope, receive, send
            )
            return
        send = partial(_send, send, told)
        asked = policy.terms[api][standing] if api else Requirement.KEY
        if asked is Requirement.REFUSED:
            await self._refuse(scope, receive, send, ApiError(_FORBIDDEN, _REASONS[standing]), api)
            return
        scope[ENTRY] = asked
        await self._site(scope, receive, send)

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, refusal: ApiError, api: Api | None = None
    ) -> None:
        try:
            async with bounded(Request(scope, receive), _DROPPED, is_wanted=False):
                raise refusal
        except ApiError as error:
            make = self._refusals.get(api) if api else None
            answer = make(error) if make else http.failed(error, "")
        await answer(scope, receive, send)


def _asked_first(scope: Scope) -> str:
    """The method that a browser asks leave for; "" where it does not."""
    found = dict(scope["headers"]).get(b"access-control-request-method", b"")
    return str(found.decode("latin-1"))


async def _send(send: Send, told: Mapping[str, str], message: Message) -> None:
    """Add headers to the answer; what it says itself stands."""
    if message["type"] == "http.response.start":
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        for name, value in told.items():
            if name == "Vary":
                headers.add_vary_header(value)
            else:
                headers.setdefault(name, value)
    await send(message)


# ---- what browsers are told: which pages may read an answer (CORS), and what may be made of it


def _page_headers(
    policy: Policy, api: Api | None, caller: Caller, standing: CallerKind
) -> dict[str, str]:
    """What every answer says, errors too: a page that may ask has to see why it was refused."""
    told = {}
    is_same_for_all = api is Api.DELIVERY and api in policy.shared_doors
    if caller.origin in policy.allowed_origins and not is_same_for_all:
        told = {ALLOWED: caller.origin, WITH_LOGIN: "true"}
    elif api in policy.shared_doors:
        told = {ALLOWED: "*"}
    is_shared = bool(told)
    if is_shared:
        told["Access-Control-Expose-Headers"] = ", ".join(READ)
    # The URL that was signed is what lets in, wherever the picture is shown.
    is_by_url = api is Api.DELIVERY and policy.terms[api][standing] is Requirement.KEY
    site = "cross-origin" if is_shared or is_by_url else "same-origin"
    told["Cross-Origin-Resource-Policy"] = site
    told["X-Content-Type-Options"] = "nosniff"
    return told if is_same_for_all else told | {"Vary": "Origin"}


def _preflight(told: Mapping[str, str], method: str) -> dict[str, str]:
    """What a browser hears that asks first; nothing that lets it go on where pages may not."""
    answer = {name: told[name] for name in (ALLOWED, WITH_LOGIN) if name in told}
    if answer:
        answer |= {
            "Access-Control-Allow-Methods": method,
            "Access-Control-Allow-Headers": ", ".join(SENT),
            "Access-Control-Max-Age": str(REMEMBERED),
        }
    asked = "Access-Control-Request-Method, Access-Control-Request-Headers"
    return answer | {"Vary": f"Origin, {asked}"}
