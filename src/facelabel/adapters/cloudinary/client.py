"""Calls of the official SDK, with credentials, deadline and patience for each of them.

The SDK keeps credentials in a global, says "not now" in five different ways and raises bare
exceptions. Here each call brings its own credentials and ends at a deadline, what may go through
later is tried again a few times, and every error leaves as one of ours.

The SDK hands its requests to urllib3 pools of its own and takes no others. They repeat a request
by themselves, sleep for as long as a server's Retry-After says, and wait for every byte of a slow
answer; and of an answer that is an error the SDK tells neither status nor headers. So whoever
builds what calls Cloudinary wraps its pools first (:func:`install`): a call that has an
:class:`Exchange` for its timeout is one request, over at its deadline and noted down. All other
calls, of whoever else uses the SDK in this process, go the way they always did.

The pools are the SDK's own business, which is why its version has an upper bound (pyproject.toml).
"""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import cloudinary
import urllib3
from cloudinary import exceptions, uploader
from cloudinary.api_client import call_api

from facelabel.core.clock import backoff
from facelabel.errors import (
    AlreadyExists,
    ConfigurationError,
    Denied,
    FacelabelError,
    NotFound,
    Rejected,
    Throttled,
    Unavailable,
    UnreadableImage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from facelabel.adapters.cloudinary.account import Account
    from facelabel.core.clock import Clock

    #: A function of the SDK's ``api`` or ``uploader``.
    SdkCall: TypeAlias = Callable[..., Any]
    #: What it answers.
    Raw: TypeAlias = dict[str, Any]

TRIES = 3
#: Seconds before the second try.
FIRST_PAUSE = 0.5
#: Seconds to stay away where the other side asks for less traffic and does not say how long.
BUSY_SECONDS = 60.0
_HOUR = 3600.0
_LONGEST_MESSAGE = 300
#: Enhance Your Calm: what Cloudinary says when the quota is used up.
_CALM = 420
#: Method Not Allowed … Unprocessable: the SDK has no class for them, and they do not go by.
_HOPELESS = frozenset({405, 406, 411, 413, 414, 415, 422})
_SUCCESS = 200
#: Of an answer; a page of 500 assets with everything about them is a few megabytes.
MAX_BYTES = 32 << 20
_PIECE = 1 << 16
#: Seconds for a connection to be made: a network that is away answers nothing at all.
CONNECT_SECONDS = 10.0


class Api(enum.StrEnum):
    """What a call goes to, as each is limited and counted on its own."""

    #: So many calls an hour.
    ADMIN = "admin"
    UPLOAD = "upload"
    #: Notifications waiting to be fetched.
    POLL = "poll"
    DELIVERY = "delivery"


class Client:
    """Calls on behalf of one account; used by many threads at once.

    :func:`facelabel.adapters.cloudinary.transport.install` has to have been called.
    """

    def __init__(self, account: Account, *, timeout: float = 60.0, clock: Clock) -> None:
        """``timeout``: seconds that one call may take, its repetitions included."""
        self.account = account
        self._timeout = timeout
        self._clock = clock
        self._quota = _Quota(clock)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were made so far, by :class:`Api`."""
        with self._lock:
            return dict(self._calls)

    def count(self, api: Api) -> None:
        """Count a request."""
        with self._lock:
            self._calls[api] += 1

    def admin(self, call: SdkCall, *args: object, **options: object) -> Raw:
        """Call a function of the Admin API; Throttled, at once, while its quota is used up."""
        self._quota.check()
        return self._patiently(Api.ADMIN, partial(call, *args, **options))

    def upload(self, call: SdkCall, *args: object, wait: float = 0.0, **options: object) -> Raw:
        """Call a function of the Upload API, which has no hourly quota.

        ``wait``: seconds that it may take in addition, because it has much to send.
        """
        return self._patiently(Api.UPLOAD, partial(call, *args, **options), wait)

    def poll(self, call: SdkCall, *args: object, wait: float, **options: object) -> Raw:
        """Call a function of the notifications API that may take ``wait`` seconds to answer."""
        return self._patiently(Api.POLL, partial(call, *args, **options), wait)

    def _patiently(self, api: Api, call: SdkCall, wait: float = 0.0) -> Raw:
        """Call, and call again while that may help and time is left."""
        deadline = time.monotonic() + self._timeout + wait
        for tries in range(1, TRIES):
            try:
                return self._once(api, call, deadline)
            except Throttled:
                raise
            except Unavailable:
                self._clock.sleep(backoff(tries, FIRST_PAUSE))
                if time.monotonic() >= deadline:
                    raise
        return self._once(api, call, deadline)

    def _once(self, api: Api, call: SdkCall, deadline: float) -> Raw:
        exchange = Exchange(deadline)
        self.count(api)
        try:
            answer: Raw = call(**self.account.call_options(), timeout=exchange)
        except exceptions.Error as error:
            raise self._translated(api, exchange, error) from error
        except Exception as error:
            if type(error) is not Exception:  # a bug, ours or the SDK's
                raise
            raise self._translated(api, exchange, error) from error  # a status it has no class for
        if exchange.status != _SUCCESS:
            raise Unavailable(f"Cloudinary answers {exchange.status} without a reason")
        if api is Api.ADMIN:
            self._quota.note(exchange)
        return answer

    def _translated(self, api: Api, exchange: Exchange, error: Exception) -> FacelabelError:
        said = "Cloudinary" if exchange.status else "Cloudinary does not answer"
        message = f"{said}: {_message(error)}"
        if isinstance(error, exceptions.RateLimited):
            if api is Api.ADMIN and exchange.status == _CALM:
                return self._quota.use_up(exchange)
            return Unavailable(message, retry_after=BUSY_SECONDS)
        if isinstance(error, exceptions.AuthorizationRequired):
            return ConfigurationError(
                f"Cloudinary does not take the API key {self.account.api_key} or its secret for"
                f" the cloud {self.account.cloud_name!r}; look at CLOUDINARY_URL ({message})"
            )
        for theirs, ours in _REJECTIONS:
            if isinstance(error, theirs):
                return _sharpened(ours, message)
        return Rejected(message) if exchange.status in _HOPELESS else Unavailable(message)


_REJECTIONS: tuple[tuple[type[Exception], type[Rejected]], ...] = (
    (exceptions.NotFound, NotFound),
    (exceptions.AlreadyExists, AlreadyExists),
    (exceptions.NotAllowed, Denied),
    (exceptions.BadRequest, Rejected),
)


def _sharpened(kind: type[Rejected], message: str) -> Rejected:
    """Tell apart what the Upload API calls a bad request all alike."""
    if kind is Rejected and "already exists" in message:
        kind = AlreadyExists
    if kind is Rejected and "Invalid image file" in message:
        kind = UnreadableImage
    return kind(message)


def _message(error: Exception) -> str:
    """One line, as an error page comes whole, and without the names in what was signed."""
    text = " ".join(str(error).split()).removeprefix("Unexpected error ").removeprefix("- ")
    text = text.partition(" String to sign")[0]
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"


class _Quota:
    """The Admin API's quota of the hour, as its answers tell it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used_up_until = 0.0

    def check(self) -> None:
        """Raise Throttled while the quota is used up."""
        left = self._used_up_until - self._clock.now()
        if left > 0:
            raise _throttled(left)

    def note(self, exchange: Exchange) -> None:
        """Read an answer: it may have been the last one for now."""
        if exchange.header("X-FeatureRateLimit-Remaining") == "0":
            self._used_up_until = self._resets_at(exchange)

    def use_up(self, exchange: Exchange) -> Throttled:
        """Note a refusal, and say how long it will last."""
        self._used_up_until = self._resets_at(exchange)
        return _throttled(self._used_up_until - self._clock.now())

    def _resets_at(self, exchange: Exchange) -> float:
        """When the answer says, within the hour; else the next full hour."""
        now = self._clock.now()
        try:
            told = parsedate_to_datetime(exchange.header("X-FeatureRateLimit-Reset")).timestamp()
        except ValueError:
            told = 0.0
        return told if now < told <= now + _HOUR else (now // _HOUR + 1) * _HOUR


def _throttled(seconds: float) -> Throttled:
    return Throttled(
        f"Cloudinary's quota of Admin API calls is used up for {seconds / 60:.0f} minutes more",
        retry_after=seconds,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; read by the SDK."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


class Exchange:
    """One request and its answer, to be given to a function of the SDK as its ``timeout``."""

    def __init__(self, deadline: float) -> None:
        """``deadline``: by the monotonic clock, in seconds."""
        self._deadline = deadline
        self.answer: Answer | None = None

    @property
    def status(self) -> int:
        """HTTP status of the answer, 0 if none came."""
        return self.answer.status if self.answer else 0

    def header(self, name: str) -> str:
        """A header of the answer, "" if it has none."""
        return self.answer.headers.get(name, "") if self.answer else ""

    def perform(self, pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> Answer:  # noqa: ANN401 - urllib3's
        """Send the request; urllib3's errors go through."""
        left = max(0.001, self._left)
        response = pool.request(
            method,
            url,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=left, connect=min(left, CONNECT_SECONDS)),
            **options,
        )
        try:
            data = self._read(response)
        finally:
            response.close()
        self.answer = Answer(response.status, response.headers, data)
        return self.answer

    @property
    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        data = bytearray()
        while piece := response.read1(_PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise urllib3.exceptions.HTTPError(f"the answer is over {MAX_BYTES:,} bytes")
            if self._left <= 0:
                raise urllib3.exceptions.HTTPError("the answer takes too long")
        return bytes(data)


class _Pool:
    """A pool of the SDK's that knows exchanges."""

    def __init__(self, theirs: urllib3.PoolManager) -> None:
        self._theirs = theirs

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - urllib3's
        """Perform an exchange; send any other request as the SDK's own pool does."""
        if isinstance(options.get("timeout"), Exchange):
            return options.pop("timeout").perform(self._theirs, method, url, **options)
        return self._theirs.request(method, url, **options)


def install(modules: Iterable[ModuleType] = (uploader, call_api)) -> None:
    """Wrap the SDK's pools, once in a process; doing it again changes nothing.

    ConfigurationError for an SDK that has none.
    """
    for module in modules:
        pool: Any = getattr(module, "_http", None)
        if not hasattr(pool, "request"):
            raise ConfigurationError(
                f"Cloudinary's SDK {cloudinary.VERSION} sends its requests in another way than the"
                " one that Facelabel knows: install the version that it asks for"
            )
        if not isinstance(pool, _Pool):
            vars(module)["_http"] = _Pool(pool)
