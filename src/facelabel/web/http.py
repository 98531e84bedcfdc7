"""Between HTTP and plain functions: what comes in is read within limits, what goes out is JSON.

A body is at the mercy of whoever sends it, so its size, the time it takes and the number of its
parts are limited while it arrives. Errors have Cloudinary's shape, and 400 wherever the request
is at fault: its SDKs drop the message of most other statuses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import threading
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from facelabel.cloudinary import params as wire
from facelabel.errors import FacelabelError, NotFound, OriginalMissing, Rejected, Unavailable
from facelabel.web import entry
from facelabel.web.entry import Entry

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from typing import BinaryIO

    from starlette.types import Message, Receive

    from facelabel.media import ApiKey
    from facelabel.model import Json, JsonValue

    Answer: TypeAlias = "Json | Response"
    Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_LOG = logging.getLogger(__name__)
#: Query, form and JSON members together.
MAX_FIELDS = 2000
#: Characters of one parameter; only a file sent as text may be longer.
MAX_TEXT = 2 << 20
#: Bytes of a body that is parsed in one go, holding up all other requests: JSON, a plain form.
MAX_PLAIN = 8 << 20
#: Bytes of all bodies together: nobody has been asked for a key when they arrive.
MAX_HELD = 512 << 20
_MULTIPART = "multipart/form-data"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_HEADER_UNSAFE = re.compile(r"[^ -~]")
_BUG = "Internal server error, see the server's log for request "
#: Of an original whose disk may come back.
_AWAY, _AWAY_SECONDS = "The original is not to be had at the moment", 60


class ApiError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """``message``: what the client is told."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class TooLarge(ApiError):
    """The body has too many bytes."""


class Held:
    """Counts the bytes of all bodies that are being read or worked on."""

    def __init__(self, limit: int) -> None:
        """``limit``: how many there may be."""
        self._limit = limit
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """Whether that is not too much."""
        with self._lock:
            self._bytes += size
            return self._bytes <= self._limit


_ALL = Held(MAX_HELD)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take."""

    #: Bytes of the body.
    body: int
    #: Seconds between two pieces of it …
    pause: float = 20.0
    #: … and for all of it.
    patience: float = 600.0
    #: Seconds for which the rest of a refused body is read, and dropped: who is still sending
    #: would otherwise see a broken connection instead of the reason.
    linger: float = 2.0
    #: Shared by all requests.
    held: Held = _ALL


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file in a multipart body; large ones are on disk."""

    #: Without directories; "" if there is none.
    filename: str
    file: BinaryIO = field(repr=False)
    #: Bytes.
    size: int


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
        if value is None:
            return default
        if isinstance(value, (list, dict)):
            raise ApiError(400, f"Invalid value for parameter {name}")
        return wire.text(value)

    def needed(self, name: str) -> str:
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
    entry: Entry = Entry.KEY
    #: … and with whose key it came, once that is known; None in a call that needs none.
    key: ApiKey | None = None


@asynccontextmanager
async def bounded(request: Request, limits: Limits) -> AsyncIterator[Request]:
    """The request with its body held to the limits; what it holds is let go at the end.

    Raises ApiError, and says so to who sent it if the rest of the body is not waited for.
    """
    gauge = _Gauge(request.receive, limits)
    guarded = Request(request.scope, gauge)
    try:
        _check_headers(request, limits.body)
        yield guarded
    except ApiError as error:
        if not await gauge.is_drained():
            error.headers["Connection"] = "close"
        raise
    finally:
        await guarded.close()
        gauge.release()


@asynccontextmanager
async def receiving(
    request: Request, limits: Limits, request_id: str = ""
) -> AsyncIterator[Received]:
    """Read a request; what it holds, on disk too, is let go at the end. Raises ApiError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MULTIPART:
        limits = replace(limits, body=min(limits.body, MAX_PLAIN))
    async with bounded(request, limits) as guarded:
        pairs, files = await _body(guarded, kind, limits.body)
        values = _merged([*request.query_params.multi_items(), *pairs])
        path = {name: str(value) for name, value in request.path_params.items()}
        _check_texts({**values, **path})
        asked = entry.noted(request.scope)
        yield Received(
            request.method, path, Params(values), files, request.headers, request_id, asked
        )


def endpoint(
    action: Callable[[Received], Answer],
    limits: Limits,
    *,
    headers: Callable[[], Mapping[str, str]] = dict,
    unavailable: int = 503,
) -> Endpoint:
    """Make an endpoint of a function that may block.

    ``headers`` are added to every answer; ``unavailable`` is the status for "not now".
    """

    async def answer(request: Request) -> Response:
        request_id = uuid.uuid4().hex
        try:
            response = await _answered(request, request_id)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            response = failed(error, request_id, unavailable=unavailable)
        response.headers.update({"X-Request-Id": request_id, **headers()})
        return response

    async def _answered(request: Request, request_id: str) -> Response:
        async with receiving(request, limits, request_id) as received:
            answered = await run_in_threadpool(action, received)
        return answered if isinstance(answered, Response) else JSONResponse(answered)

    return answer


def failed(error: Exception, request_id: str, *, unavailable: int = 503) -> Response:
    """The answer that tells of an error; of one nobody foresaw only where to look."""
    known = _known(error, unavailable)
    if known is None:
        _LOG.error("request %s failed", request_id, exc_info=error)
        known = ApiError(500, _BUG + request_id)
    content = {"error": {"message": known.message}}
    headers = known.headers | {"X-Cld-Error": _HEADER_UNSAFE.sub("?", known.message)[:1000].strip()}
    return JSONResponse(content, known.status, headers)


def _known(error: Exception, unavailable: int) -> ApiError | None:
    match error:
        case ApiError():
            return error
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), error.headers)
        case OriginalMissing():  # where it was looked for is nobody's business
            _LOG.error("%s", error)
            return ApiError(unavailable, _AWAY, {"Retry-After": str(_AWAY_SECONDS)})
        case Unavailable(retry_after=wait):
            headers = {"Retry-After": str(math.ceil(wait))} if wait else {}
            return ApiError(unavailable, str(error), headers)
        case FacelabelError():
            return ApiError(_status(error), str(error))
    return None


def _status(error: FacelabelError) -> int:
    if isinstance(error, NotFound):
        return 404
    return 400 if isinstance(error, Rejected) else 500


def no_such_route(_: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses, such as an unknown path, in the same shape."""
    return failed(error, "")


def base_name(path: str) -> str:
    """The last part of a path of any system: some clients send where the file lay."""
    return re.split(r"[/\\]", path)[-1]


class _Gauge:
    """Passes a body on, no more and no slower than allowed."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._taken = 0
        self._end = time.monotonic() + limits.patience
        self._is_complete = False

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(self._seconds_left()):
                message = await self._next()
        except TimeoutError:
            raise ApiError(400, "Request timed out: the body came too slowly") from None
        size = len(message.get("body", b""))
        self._taken += size
        is_bearable = self._limits.held.add(size)
        if self._taken > self._limits.body:
            raise _too_large(self._limits.body)
        if not is_bearable:
            raise ApiError(429, "Too many large requests at once, try again later")
        return message

    async def is_drained(self) -> bool:
        """Read what is left of the body, for a moment; whether that was all."""
        try:
            async with asyncio.timeout(self._limits.linger):
                while not self._is_complete:
                    await self._next()
        except TimeoutError:
            pass
        return self._is_complete

    def release(self) -> None:
        """Say that the body is not kept any longer."""
        self._limits.held.add(-self._taken)

    def _seconds_left(self) -> float:
        return min(self._limits.pause, self._end - time.monotonic())

    async def _next(self) -> Message:
        message = await self._receive()
        self._is_complete = not message.get("more_body", False)
        return message


def _too_large(max_body: int) -> TooLarge:
    return TooLarge(400, f"File size too large. Maximum is {max_body} bytes for this request.")


def _check_headers(request: Request, max_body: int) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(400, f"Content-Encoding {encoding[:40]} is not supported")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > max_body:
        raise _too_large(max_body)


async def _body(
    request: Request, kind: str, max_body: int
) -> tuple[Iterable[tuple[str, JsonValue]], dict[str, FilePart]]:
    if kind == _JSON:
        return (await _json(request)).items(), {}
    if kind in {_MULTIPART, _FORM}:
        return await _form(request, max_body)
    if await request.body():
        raise ApiError(400, f"Content-Type {kind or 'of the body'} is not supported")
    return (), {}


async def _json(request: Request) -> Json:
    body = await request.body()
    if not body.strip():
        return {}
    try:
        value = parsed(body)
    except ValueError:
        raise ApiError(400, "Invalid JSON in the request's body") from None
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise ApiError(400, f"The request's body is no JSON object of {MAX_FIELDS} members")
    return value


def parsed(body: bytes) -> JsonValue:
    """What JSON says. Raises ValueError, also for what is nested too deeply or could not be sent.

    No answer could repeat NaN or 1e999.
    """
    try:
        value: JsonValue = json.loads(body, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _finite(digits: str) -> float:
    """A number; ValueError for one that is none."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value


async def _form(
    request: Request, max_body: int
) -> tuple[list[tuple[str, JsonValue]], dict[str, FilePart]]:
    try:
        form = await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=max_body)
    except HTTPException as error:
        raise ApiError(400, str(error.detail)) from None
    pairs: list[tuple[str, JsonValue]] = []
    files = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = FilePart(base_name(value.filename or ""), value.file, value.size or 0)
        else:
            pairs.append((name, value))
    return pairs, files


def _merged(pairs: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """One value for each name; a name given twice that is no list is refused as ambiguous."""
    if len(pairs) > MAX_FIELDS:
        raise ApiError(400, f"A request has at most {MAX_FIELDS} parameters")
    merged: dict[str, JsonValue] = {}
    for name, value in pairs:
        if name.endswith("[]") and not isinstance(value, list):
            items = merged.setdefault(name, [])
            assert isinstance(items, list)
            items.append(value)
        elif name in merged:
            raise ApiError(400, f"Parameter {name[:100]} was given twice")
        else:
            merged[name] = value
    return _without_brackets(merged)


def _without_brackets(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    plain = {name.removesuffix("[]"): value for name, value in values.items()}
    if len(plain) < len(values):
        raise ApiError(400, "A parameter was given both as a list and alone")
    return plain


def _check_texts(values: Mapping[str, JsonValue]) -> None:
    try:
        for name, value in values.items():
            for text in _texts([name, value]):
                _check_text(name, text)
    except RecursionError:
        raise ApiError(400, "The request's body is nested too deeply") from None


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise ApiError(400, f"Parameter {name[:100]!a} has a NUL character in it")
    if len(text) > MAX_TEXT and name != "file":
        raise ApiError(400, f"Parameter {name[:100]!a} is longer than {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(400, f"Parameter {name[:100]!a} is not Unicode text") from None


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
