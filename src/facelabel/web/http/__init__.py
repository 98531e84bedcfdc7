"""Between HTTP and plain functions: what comes in is read within limits, what goes out is JSON.

A body is at the mercy of whoever sends it, so its size, the time it takes and the number of its
parts are limited while it arrives. Errors have Cloudinary's shape, and 400 wherever the request
is at fault: its SDKs drop the message of most other statuses.
"""

from __future__ import annotations

import logging
import math
import re
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from facelabel.cloudinary import params as wire
from facelabel.errors import (
    Busy,
    ConfigurationError,
    NoRoom,
    NotFound,
    OriginalMissing,
    Rejected,
    Unavailable,
)
from facelabel.inputs import scanning
from facelabel.media.types import Origin
from facelabel.web.access import policy
from facelabel.web.access.policy import Requirement
from facelabel.web.http import multipart
from facelabel.web.http.budget import ON_THE_SPOT, Limits, bounded
from facelabel.web.http.multipart import FilePart, Form, base_name
from facelabel.web.http.refusals import ApiError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Mapping,
        Sequence,
    )

    from starlette.datastructures import Headers
    from starlette.requests import Request

    from facelabel.core.model import Json, JsonValue
    from facelabel.media.types import ApiKey
    from facelabel.web.http.budget import Body, Lanes

    Answer: TypeAlias = "Json | Response"

__all__ = [
    "ApiError",
    "Endpoint",
    "FilePart",
    "Limits",
    "Params",
    "Received",
    "base_name",
    "failed",
    "no_such_route",
    "receiving",
]

_LOG = logging.getLogger(__name__)
#: Query, form and JSON members together.
MAX_FIELDS = scanning.MAX_PAIRS
#: Characters of one parameter; only a file sent as text may be longer.
MAX_TEXT = 2 << 20
#: Bytes of a body that is parsed in one go: JSON, a plain form.
MAX_PLAIN = 8 << 20
#: What a full disk is answered with.
INSUFFICIENT_STORAGE = 507
_MULTIPART = "multipart/form-data"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_KINDS = frozenset({_MULTIPART, _FORM, _JSON})
_ITEM = re.compile(r"(?P<list>[^\[\]]+)\[(?P<item>[^\[\]]+)\]")
_HEADER_UNSAFE = re.compile(r"[^ -~]")
_BUG = "Internal server error, see the server's log for request "
_NOT_NOW = "Not possible at the moment, see the server's log for request "
#: Of an original whose disk may come back.
_AWAY, _AWAY_SECONDS = "The original is not to be had at the moment", 60


@dataclass(frozen=True, slots=True)
class Params:
    """Named values, wherever in the request they stood; ``x[]`` is the list x. null is absence."""

    values: Mapping[str, JsonValue]

    def __contains__(self, name: str) -> bool:
        """Whether a value was given, be it an empty one."""
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A value as text."""
        value = self.values.get(name)
        if isinstance(value, str):
            return value
        if value is None:
            return default
        if isinstance(value, (list, dict)):
            raise ApiError(400, f"Invalid value for parameter {name}")
        return wire.text(value)

    def required(self, name: str) -> str:
        """A value that has to be there and not empty."""
        value = self.text(name)
        if not value:
            raise ApiError(400, f"Missing required parameter - {name}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A yes or no: 1, true, 0, false."""
        value = self.text(name)
        return wire.boolean(value) if value else default

    def texts(self, name: str) -> list[str]:
        """A list; one value alone is a list of one."""
        value = self.values.get(name)
        if value in (None, ""):
            return []
        if isinstance(value, dict):
            raise ApiError(400, f"Invalid value for parameter {name}")
        return [wire.text(item) for item in (value if isinstance(value, list) else [value])]

    def number(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between two bounds, both included."""
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII) or not low <= int(value) <= high:
            raise ApiError(400, f"Invalid value {value[:40]} for parameter {name}")
        return int(value)


@dataclass(frozen=True, slots=True)
class Received:
    """A request, read."""

    method: str
    #: What the route's placeholders matched.
    path: Mapping[str, str]
    params: Params
    files: Mapping[str, FilePart]
    headers: Headers = field(repr=False)
    request_id: str = ""
    #: What the policy asks of the call …
    entry: Requirement = Requirement.KEY
    #: … and with whose key it came, once that is known; None in a call that needs none.
    key: ApiKey | None = None

    @property
    def origin(self) -> Origin:
        """On whose behalf the library is changed, and who else is to hear of it."""
        url = self.params.text("notification_url")
        return Origin(
            id=self.key.key if self.key else "",
            request_id=self.request_id,
            notification_urls=(url,) if url else (),
            batch_id=self.params.text("batch_id"),
        )


@asynccontextmanager
async def receiving(
    request: Request,
    limits: Limits,
    request_id: str = "",
    admit: Callable[[Headers], object] | None = None,
) -> AsyncIterator[Received]:
    """Read a request; what it holds, on disk too, is let go at the end. Raises ApiError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MULTIPART:
        limits = replace(limits, body=min(limits.body, MAX_PLAIN))
    async with bounded(request, limits) as body:
        if admit:
            admit(request.headers)
        if kind not in _KINDS and request.headers.get("content-length", "").strip("0"):
            raise _unsupported(kind)
        if kind == _MULTIPART:
            form = await multipart.read(body, request.headers["content-type"])
        else:
            form = await _plain_form(body, kind)
        try:
            values = _merged([*request.query_params.multi_items(), *form.pairs])
            path = {name: str(value) for name, value in request.path_params.items()}
            _check_texts({**values, **path})
            yield Received(
                request.method,
                path,
                Params(values),
                form.files,
                request.headers,
                request_id,
                policy.noted(request.scope),
            )
        finally:
            form.close()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Answers requests with what a function says that may block."""

    action: Callable[[Received], Answer]
    limits: Limits
    #: Made anew for every answer, and added to it.
    headers: Callable[[], Mapping[str, str]] = dict
    #: Status of "not now".
    unavailable: int = 503
    #: Sees the request's headers before the body is read, and raises ApiError.
    admit: Callable[[Headers], object] | None = None
    #: The threads for what may take long; else those that everything shares.
    lanes: Callable[[Received], Lanes] | None = None

    async def answer(self, request: Request) -> Response:
        """Whatever happens, the client gets an answer."""
        request_id = uuid.uuid4().hex
        try:
            async with receiving(request, self.limits, request_id, self.admit) as received:
                if self.lanes:
                    client = self.limits.budget.peers.of(request.scope)
                    act = partial(self.action, received)
                    answered = await self.lanes(received).run(client, act)
                else:
                    answered = await run_in_threadpool(self.action, received)
            response = answered if isinstance(answered, Response) else JSONResponse(answered)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            response = failed(error, request_id, unavailable=self.unavailable)
        response.headers.update({"X-Request-Id": request_id, **self.headers()})
        return response


def failed(error: Exception, request_id: str, *, unavailable: int = 503) -> Response:
    """The answer that tells of an error; of one nobody foresaw only where to look."""
    known = _known(error, request_id, unavailable)
    if known is None:
        foreseen = isinstance(error, ConfigurationError)
        told = str(error) if foreseen else "failed"
        _LOG.error("request %s: %s", request_id, told, exc_info=None if foreseen else error)
        known = ApiError(500, _BUG + request_id)
    content = {"error": {"message": known.message}}
    headers = known.headers | {"X-Cld-Error": _HEADER_UNSAFE.sub("?", known.message)[:1000].strip()}
    return JSONResponse(content, known.status, headers)


def _known(error: Exception, request_id: str, unavailable: int) -> ApiError | None:
    match error:
        case ApiError():
            return error
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), error.headers)
        case Unavailable():
            return _not_now(error, request_id, unavailable)
        case Rejected():
            return ApiError(404 if isinstance(error, NotFound) else 400, str(error))
    return None


def _not_now(error: Unavailable, request_id: str, status: int) -> ApiError:
    """What is wrong with a disk or a database is for the log, and no client's business."""
    wait = error.retry_after
    headers = {"Retry-After": str(math.ceil(wait))} if wait else {}
    match error:
        case Busy():
            return ApiError(status, str(error), headers)
        case NoRoom():  # where something was looked for, or kept, is nobody's business
            _LOG.error("%s (%s)", error, error.where)
            return ApiError(INSUFFICIENT_STORAGE, str(error))
        case OriginalMissing():
            _LOG.error("%s", error)
            return ApiError(status, _AWAY, {"Retry-After": str(_AWAY_SECONDS)})
    _LOG.error("request %s: %s", request_id, error)
    return ApiError(status, _NOT_NOW + request_id, headers)


def no_such_route(_: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses, such as an unknown path, in the same shape."""
    return failed(error, "")


def _unsupported(kind: str) -> ApiError:
    """The refusal of a body that nobody here reads."""
    return ApiError(400, f"Content-Type {kind or 'of the body'} is not supported")


async def _plain_form(body: Body, kind: str) -> Form:
    data = await body.read()
    if data and kind not in _KINDS:
        raise _unsupported(kind)
    if len(data) > ON_THE_SPOT:
        return Form(await run_in_threadpool(_pairs, kind, data))
    return Form(_pairs(kind, data))


def _pairs(kind: str, body: bytes) -> Sequence[tuple[str, JsonValue]]:
    if not body.strip():
        return ()
    if kind == _FORM:
        return [*scanning.form(body)]
    value = parsed(body)
    if not isinstance(value, dict):
        raise ApiError(400, "The request's body is no JSON object")
    return [*value.items()]


def parsed(body: bytes) -> JsonValue:
    """What JSON says. Raises ApiError, also for what would take long to parse."""
    try:
        return scanning.json_value(body)
    except ValueError:
        raise ApiError(400, "Invalid JSON in the request's body") from None


def _merged(pairs: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """One value for each name; a name given twice that is no list is refused as ambiguous."""
    if len(pairs) > MAX_FIELDS:
        raise ApiError(400, f"A request has at most {MAX_FIELDS} parameters")
    merged: dict[str, JsonValue] = {}
    for given, value in pairs:
        name = _list_name(given) if "[" in given else given
        if name.endswith("[]") and not isinstance(value, list):
            items = merged.setdefault(name, [])
            assert isinstance(items, list)
            items.append(value)
        elif name in merged:
            raise ApiError(400, f"Parameter {name[:100]} was given twice")
        else:
            merged[name] = value
    plain = {name.removesuffix("[]"): value for name, value in merged.items()}
    if len(plain) < len(merged):
        raise ApiError(400, "A parameter was given both as a list and alone")
    return plain


def _list_name(name: str) -> str:
    """``x[0]``, as some write the items of a list, is ``x[]``; ``x[key]`` would go unnoticed."""
    found = _ITEM.fullmatch(name)
    if found is None:
        return name
    if not found["item"].isdecimal():
        raise ApiError(400, f"Parameter {name[:100]!a} is not understood: x[] or x[0] is a list")
    return f"{found['list']}[]"


def _check_texts(values: Mapping[str, JsonValue]) -> None:
    """Refuse what is no text in names and values, and in all that is in them."""
    for name, value in values.items():
        what, rest = f"Parameter {name[:100]!a}", [name, value]
        while rest:
            text = rest.pop()
            if isinstance(text, dict):
                rest += (*text, *text.values())
            elif isinstance(text, list):
                rest += text
            elif isinstance(text, str):
                if "\0" in text:
                    raise ApiError(400, f"{what} has a NUL character in it")
                if len(text) > MAX_TEXT and name != "file":
                    raise ApiError(400, f"{what} is longer than {MAX_TEXT} characters")
                try:
                    text.encode()
                except UnicodeEncodeError:
                    raise ApiError(400, f"{what} is not Unicode text") from None
