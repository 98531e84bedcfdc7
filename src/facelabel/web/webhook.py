"""Where notifications arrive: verify, put the jobs on disk, answer. Nothing else happens here.

Waiting for the disk is what an answer takes its time for, so deliveries that arrive while one
transaction is under way share the next one (*group commit*): hundreds a second need no more
transactions than the disk has time for. 200 is answered after the commit and not before.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import to_thread
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from facelabel.cloudinary.notifications import PATHS, Unverified
from facelabel.errors import Busy, FacelabelError, Rejected
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.http.budget import ON_THE_SPOT, Limits, bounded
from facelabel.web.http.refusals import ApiError, Crowded, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from facelabel.cloudinary.notifications import Intake
    from facelabel.cloudinary.ports import Inbox
    from facelabel.media.types import Delivery

log = logging.getLogger(__name__)

#: What a notification may take; its sender is verified after its body was read, and not before.
LIMITS = Limits(body=10 << 20, window=10.0, patience=20.0, linger=0.0)
#: Deliveries that wait for their transaction.
MAX_WAITING = 2_000


def routes(intake: Intake, inbox: Inbox, limits: Limits = LIMITS) -> list[ApiRoute]:
    """The endpoints; ``limits``: what a notification may take."""
    webhook = _Webhook(intake, GroupCommitter(inbox), limits)
    return [ApiRoute(Api.WEBHOOK, path, webhook.receive, methods=["POST"]) for path in PATHS]


class GroupCommitter:
    """Hands deliveries to the inbox, as many at once as have come while it was busy.

    Belongs to one event loop; the inbox is only ever used in one thread of its own.
    """

    def __init__(self, inbox: Inbox, max_waiting: int = MAX_WAITING) -> None:
        """``max_waiting``: deliveries beyond which more are refused."""
        self._inbox = inbox
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "inbox")

    async def take(self, delivery: Delivery) -> None:
        """Return when the delivery is on disk; Busy or Unavailable if it cannot be."""
        if len(self._waiting) >= self._max_waiting:
            raise Busy("too many notifications at once")
        taken = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, taken))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        await taken

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            error: Exception | None = None
            deliveries = [delivery for delivery, _ in group]
            try:
                await loop.run_in_executor(self._thread, self._inbox.take, deliveries)
            except Exception as caught:  # noqa: BLE001 - it is raised again where each is waited for
                error = caught
            for _, taken in group:
                if taken.done():  # whoever waited was cancelled
                    continue
                if error:
                    taken.set_exception(error)
                else:
                    taken.set_result(None)
        self._work = None


class _Webhook:
    """The endpoint."""

    def __init__(self, intake: Intake, committer: GroupCommitter, limits: Limits) -> None:
        self._intake = intake
        self._committer = committer
        self._limits = limits

    async def receive(self, request: Request) -> Response:
        """Answer 200 once the jobs are on disk."""
        signed = [request.headers.get(f"x-cld-{name}", "") for name in ("timestamp", "signature")]
        read = self._intake.read
        try:
            async with bounded(request, self._limits) as arriving:
                body = await arriving.read()
                is_small = len(body) <= ON_THE_SPOT
                delivery = read(body, *signed) if is_small else await to_thread(read, body, *signed)
            if delivery.requests:
                await self._committer.take(delivery)
        except _REFUSED as error:
            return _refused(error)
        return JSONResponse({"status": "ok"})


class _Refusal(NamedTuple):
    """What an error is answered with."""

    error: type[Exception]
    status: int
    #: Said instead of the error's own words.
    message: str = ""
    headers: Mapping[str, str] | None = None


_CLOSE = {"Connection": "close"}
_LATER = {"Retry-After": "10"}
_NOT_NOW = "not now, try again later"
_REFUSALS = (
    _Refusal(Unverified, 401),
    _Refusal(TooLarge, 413, "The notification is too large.", _CLOSE),
    _Refusal(TooSlow, 408, "the body came too slowly", _CLOSE),
    _Refusal(Crowded, 503, _NOT_NOW, _CLOSE | _LATER),
    _Refusal(ApiError, 400),
    _Refusal(Rejected, 400),
    _Refusal(ClientDisconnect, 400, "the body did not come whole"),
    _Refusal(FacelabelError, 503, _NOT_NOW, _LATER),
)
_REFUSED = tuple(refusal.error for refusal in _REFUSALS)


def _refused(error: Exception) -> Response:
    refusal = next(refusal for refusal in _REFUSALS if isinstance(error, refusal.error))
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("a notification could not be taken: %s", error)
    answer = {"error": {"message": refusal.message or str(error)}}
    return JSONResponse(answer, refusal.status, refusal.headers)
