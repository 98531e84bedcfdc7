"""Whether the server lives, and whether it is ready, for those who watch over it.

Nobody needs a key to ask, so asking is cheap: one look a second, however many want to know.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

#: Seconds for which a look is good, and that one may take.
FRESH, PATIENCE = 1.0, 5.0
_NOT_READY = 503
_NOT_KEPT = {"Cache-Control": "no-store"}


class Readiness:
    """What has to be true, and when it was last looked at. Belongs to one event loop."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], bool]],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        """``checks``: may block, raise nothing; ``clock``: seconds."""
        self._checks = checks
        self._clock = clock
        self._patience = patience
        self._look: asyncio.Task[Mapping[str, bool]] | None = None
        self._since = 0.0

    async def __call__(self) -> Mapping[str, bool]:
        """What is true; nothing is while a look takes too long."""
        look = self._look
        if look is None or (look.done() and self._clock() - self._since >= FRESH):
            self._since = self._clock()
            self._look = look = asyncio.create_task(self._looked())
        await asyncio.wait({look}, timeout=self._patience)
        return look.result() if look.done() else dict.fromkeys(self._checks, False)

    async def _looked(self) -> Mapping[str, bool]:
        return {name: await asyncio.to_thread(check) for name, check in self._checks.items()}


def routes(readiness: Readiness) -> list[ApiRoute]:
    """Alive, the same under its first name, and ready."""

    async def alive(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=_NOT_KEPT)

    async def ready(_: Request) -> JSONResponse:
        found = await readiness()
        is_ready = all(found.values())
        answer = {"status": "ok" if is_ready else "not ready", **found}
        return JSONResponse(answer, 200 if is_ready else _NOT_READY, _NOT_KEPT)

    endpoints = {"/health": alive, "/healthz": alive, "/readyz": ready}
    return [
        ApiRoute(Api.PAGE, path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()
    ]
