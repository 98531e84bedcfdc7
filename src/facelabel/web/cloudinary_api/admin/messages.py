"""Notifications for who cannot be called: fetched from a channel, and acknowledged."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from facelabel.web import http
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from facelabel.core.model import Json
    from facelabel.media.ports import Messages
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

MAX_HANDLES = 100
MAX_NAME = 2048
#: Seconds between two looks at a channel, at first and after a while.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def routes(context: Context) -> list[ApiRoute]:
    """The two calls about messages; the cloud's name stands behind the module's here."""
    path = "/v2/notifications/{cloud}/messages"
    return [
        ApiRoute(Api.ADMIN, path, auth.admin(context, _receive), methods=["GET"]),
        ApiRoute(Api.ADMIN, f"{path}/ack", auth.admin(context, _acknowledge), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at a channel, or at the messages of a batch."""

    messages: Messages
    channel: str
    batch_id: str
    limit: int
    visibility: float

    def __call__(self) -> Json:
        """What is there now; the key is absent if there is nothing."""
        found = self.messages.receive(
            self.channel, batch_id=self.batch_id, limit=self.limit, visibility=self.visibility
        )
        return {"messages": [*found]} if found else {}


class _Awaited(Response):
    """An answer given once there is something to say, or nobody wants to wait any longer.

    No thread is held in between: a thread looks, and goes.
    """

    def __init__(self, look: _Look, wait: float, request_id: str) -> None:
        """``wait``: seconds."""
        super().__init__()
        self._look = look
        self._end = time.monotonic() + wait
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            answer: Response = JSONResponse(await self._content())
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            answer = http.failed(error, self._request_id)
        own = {"content-length", "content-type"}
        answer.headers.update({k: v for k, v in self.headers.items() if k not in own})
        await answer(scope, receive, send)

    async def _content(self) -> Json:
        pause = _FIRST_PAUSE
        while True:
            content = await run_in_threadpool(self._look)
            left = self._end - time.monotonic()
            if content or left <= 0:
                return content
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)


def _receive(context: Context, received: Received) -> Response:
    if received.method == "HEAD":  # it would take messages away and show none
        raise ApiError(405, "Method Not Allowed", {"Allow": "GET"})
    params = received.params
    look = _Look(
        context.messages,
        channel=_name(params, "channel"),
        batch_id=_name(params, "batch_id"),
        limit=params.number("max_messages", 10, low=1, high=100),
        visibility=params.number("visibility_timeout", 30, low=1, high=600),
    )
    if bool(look.channel) == bool(look.batch_id):
        raise ApiError(400, "Supply exactly one of channel and batch_id")
    wait = params.number("wait_seconds", 20, low=0, high=60)
    return _Awaited(look, wait, received.request_id)


def _acknowledge(context: Context, received: Received) -> Json:
    handles = received.params.texts("receipt_handles")
    if not 0 < len(handles) <= MAX_HANDLES:
        raise ApiError(400, f"Give 1 to {MAX_HANDLES} receipt_handles")
    done = context.messages.acknowledge(handles)
    statuses = ("acked" if found else "not_found" for found in done)
    pairs = zip(handles, statuses, strict=True)
    return {"results": [{"receipt_handle": name, "status": status} for name, status in pairs]}


def _name(params: Params, which: str) -> str:
    name = params.text(which)
    if len(name) > MAX_NAME:
        raise ApiError(400, f"Invalid value for parameter {which}")
    return name
