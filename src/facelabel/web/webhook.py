"""Where notifications arrive: verify, put the jobs on disk, answer. Nothing else happens here.

Waiting for the disk is what an answer takes its time for, so deliveries that arrive while one
transaction is under way share the next one (*group commit*): hundreds a second need no more
transactions than the disk has time for. 200 is answered after the commit and not before.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from facelabel.errors import FacelabelError, Rejected, Unavailable
from facelabel.intake import Unverified
from facelabel.web.entry import Door
from facelabel.web.gate import DoorRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import Request

    from facelabel.intake import Intake
    from facelabel.media import Delivery
    from facelabel.ports import Inbox

log = logging.getLogger(__name__)

#: The second path is the original app's.
PATHS = ("/webhook", "/cloudinary-rekog")
MAX_BODY = 10 << 20
#: Bytes of all bodies that are held at one time: no sender is verified before its body is read.
MAX_HELD = 128 << 20
#: Seconds a sender may take for its body.
PATIENCE = 20.0
#: Deliveries that wait for their transaction.
MAX_WAITING = 2_000
#: Bytes of a body that is hashed and parsed on the spot; a larger one is not to hold up others.
_SMALL = 64 << 10


def routes(
    intake: Intake,
    inbox: Inbox,
    max_body: int = MAX_BODY,
    *,
    max_held: int = MAX_HELD,
    patience: float = PATIENCE,
) -> list[DoorRoute]:
    """The endpoints; ``max_body``: bytes, ``patience``: seconds, of one request's body.

    ``max_held``: bytes of all bodies at one time.
    """
    webhook = _Webhook(intake, Gatherer(inbox), _Reader(max_body, max_held, patience))
    return [DoorRoute(Door.WEBHOOK, path, webhook.receive, methods=["POST"]) for path in PATHS]


class Gatherer:
    """Hands deliveries to the inbox, as many at once as have come while it was busy.

    Belongs to one event loop; the inbox is only ever used in one thread of the gatherer's own.
    """

    def __init__(self, inbox: Inbox, max_waiting: int = MAX_WAITING) -> None:
        """``max_waiting``: deliveries beyond which more are refused."""
        self._inbox = inbox
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "inbox")

    async def take(self, delivery: Delivery) -> None:
        """Return when the delivery is on disk. Raises Unavailable if it could not be put there."""
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("too many notifications at once")
        taken = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, taken))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        await taken

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            error = await self._commit([delivery for delivery, _ in group])
            for _, taken in group:
                if taken.done():  # whoever waited was cancelled
                    continue
                if error:
                    taken.set_exception(error)
                else:
                    taken.set_result(None)
        self._work = None

    async def _commit(self, deliveries: Sequence[Delivery]) -> Exception | None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._inbox.take, deliveries)
        except Exception as error:  # noqa: BLE001 - it is raised again where each one is waited for
            return error
        return None


class _TooLarge(Rejected):
    """The notification is too large."""


class _Reader:
    """Reads bodies: limited in size, in the time one takes, and in the bytes of all together."""

    def __init__(self, max_body: int, max_held: int, patience: float) -> None:
        self._max_body = max_body
        self._max_held = max_held
        self._patience = patience
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body; what it holds counts until the block ends.

        Raises _TooLarge, TimeoutError, or Unavailable if there are too many others.
        """
        data = bytearray()
        try:
            async with asyncio.timeout(self._patience):
                async for chunk in request.stream():
                    data += chunk
                    self._held += len(chunk)
                    self._check(len(data))
            yield bytes(data)
        finally:
            self._held -= len(data)

    def _check(self, size: int) -> None:
        if size > self._max_body:
            raise _TooLarge
        if self._held > self._max_held:
            raise Unavailable("too many large notifications at once")


class _Webhook:
    """The endpoint."""

    def __init__(self, intake: Intake, gatherer: Gatherer, reader: _Reader) -> None:
        self._intake = intake
        self._gatherer = gatherer
        self._reader = reader

    async def receive(self, request: Request) -> Response:
        """Answer 200 once the jobs are on disk."""
        try:
            await self._take(request)
        except _REFUSED as error:
            return _refused(error)
        return JSONResponse({"status": "ok"})

    async def _take(self, request: Request) -> None:
        async with self._reader.body(request) as body:
            delivery = await self._read(body, request.headers)
        if delivery.requests:
            await self._gatherer.take(delivery)

    async def _read(self, body: bytes, headers: Headers) -> Delivery:
        """Verify and read; what takes long does so where it holds up nobody else."""
        timestamp = headers.get("x-cld-timestamp", "")
        signature = headers.get("x-cld-signature", "")
        if len(body) > _SMALL:
            return await asyncio.to_thread(self._intake.read, body, timestamp, signature)
        return self._intake.read(body, timestamp, signature)


class _Refusal(NamedTuple):
    """What an error is answered with."""

    error: type[Exception]
    status: int
    #: Said instead of the error's own words.
    message: str = ""
    headers: Mapping[str, str] | None = None


_REFUSALS = (
    _Refusal(Unverified, 401),
    _Refusal(_TooLarge, 413, headers={"Connection": "close"}),
    _Refusal(Rejected, 400),
    _Refusal(TimeoutError, 408, "the body came too slowly", {"Connection": "close"}),
    _Refusal(ClientDisconnect, 400, "the body did not come whole"),
    _Refusal(FacelabelError, 503, "not now, try again later", {"Retry-After": "10"}),
)
_REFUSED = tuple(refusal.error for refusal in _REFUSALS)


def _refused(error: Exception) -> Response:
    refusal = next(refusal for refusal in _REFUSALS if isinstance(error, refusal.error))
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("a notification could not be taken: %s", error)
    answer = {"error": {"message": refusal.message or str(error)}}
    return JSONResponse(answer, refusal.status, refusal.headers)
