"""Threads for what may take long: each client has some of them, and all together.

What waits for another server, or holds a whole file, must not take the threads that everything
else needs: forty uploads of slow addresses would be enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CapacityLimiter

_T = TypeVar("_T")


class Lanes:
    """Runs functions in threads of their own; who has none left waits. Belongs to one loop."""

    def __init__(self, total: int, share: int) -> None:
        """``total``: functions that run at once, ``share``: how many of one client."""
        self._total = total
        self._share = share
        self._all: CapacityLimiter | None = None
        #: Of clients with something under way.
        self._clients: WeakValueDictionary[str, CapacityLimiter] = WeakValueDictionary()

    async def run(self, client: str, function: Callable[[], _T]) -> _T:
        """Call a function that may block, when it is its client's turn."""
        if self._all is None:  # a limiter is made in the loop that it is used in
            self._all = anyio.CapacityLimiter(self._total)
        own = self._clients.setdefault(client, anyio.CapacityLimiter(self._share))
        # Held without a name: one task may have several turns.
        turn = object()
        await own.acquire_on_behalf_of(turn)
        try:
            return await anyio.to_thread.run_sync(function, limiter=self._all)
        finally:
            own.release_on_behalf_of(turn)
