"""Images that are being made and those that wait for it: every client in turn.

Nobody is held up by another one's many heavy images: the next one made is always of the client
of whom the fewest are being made at the moment. When all places are taken, the client with the
most waiting images loses its last one to a client with fewer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from facelabel.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class _Job:
    client: str
    #: What is made.
    key: str
    work: Callable[[], bytes] = field(repr=False)
    made: asyncio.Future[bytes] = field(repr=False)


class RenderQueue:
    """To be used from one event loop; the work is done in threads of its own."""

    def __init__(self, at_once: int, places: int) -> None:
        """``at_once``: images made at the same time; ``places``: of these and all that wait."""
        self._at_once = at_once
        self._places = places
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="render")
        self._under_way: dict[str, _Job] = {}
        #: Of each client, those whose turn comes first in front.
        self._waiting: dict[str, deque[_Job]] = {}
        self._running: Counter[str] = Counter()

    async def make(self, client: str, key: str, work: Callable[[], bytes]) -> bytes:
        """Have an image made, or wait for it where it is being made already.

        Raises what ``work`` raises, and Busy where there is no place.
        """
        job = self._under_way.get(key) or self._enqueued(client, key, work)
        return await asyncio.shield(job.made)

    def _enqueued(self, client: str, key: str, work: Callable[[], bytes]) -> _Job:
        if len(self._under_way) >= self._places:
            self._make_room(client)
        job = _Job(client, key, work, asyncio.get_running_loop().create_future())
        job.made.add_done_callback(_noticed)
        self._under_way[key] = job
        self._waiting.setdefault(client, deque()).append(job)
        self._start()
        return job

    def _make_room(self, client: str) -> None:
        """Drop the last image of the client with the most; Busy if that is this one."""
        refusal = Busy("too many pictures are being made", retry_after=_RETRY_AFTER)
        greedy = max(self._waiting, key=self._number, default=client)
        if self._number(greedy) <= self._number(client) + 1:
            raise refusal
        job = self._waiting[greedy].pop()
        del self._under_way[job.key]
        job.made.set_exception(refusal)

    def _number(self, client: str) -> int:
        return len(self._waiting.get(client, ()))

    def _start(self) -> None:
        """Begin with as many as there is room for."""
        while self._waiting and self._running.total() < self._at_once:
            client = min(self._waiting, key=self._running.__getitem__)
            jobs = self._waiting.pop(client)
            job = jobs.popleft()
            if jobs:
                self._waiting[client] = jobs  # behind all others
            self._running[client] += 1
            done = asyncio.get_running_loop().run_in_executor(self._pool, job.work)
            done.add_done_callback(partial(self._finish, job))

    def _finish(self, job: _Job, done: asyncio.Future[bytes]) -> None:
        self._running[job.client] -= 1
        self._running += Counter()  # without those of whom there are none
        del self._under_way[job.key]
        if done.cancelled():
            job.made.cancel()
        elif error := done.exception():
            job.made.set_exception(error)
        else:
            job.made.set_result(done.result())
        self._start()


def _noticed(made: asyncio.Future[bytes]) -> None:
    """Nobody may be waiting any more for an image that cannot be made."""
    if not made.cancelled():
        made.exception()
