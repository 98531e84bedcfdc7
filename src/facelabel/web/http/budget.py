"""How much all bodies together may take while they arrive: nobody has shown a key by then.

Three pools, so that the one cannot eat up the other: small bodies, as signed calls and
notifications are; large ones in memory; files on disk. Each client has a share of each. Where
there is no room, the slowest body makes it: somebody who holds on to room and sends next to
nothing must not keep out those who come with something, be it from the same address.

Threads for what may take long are shared in the same way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from facelabel.web.access.peers import Peers
from facelabel.web.http.refusals import Crowded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyio import CapacityLimiter

_T = TypeVar("_T")

#: Bytes up to which a body is small.
SMALL = 256 << 10
#: Bytes of all small bodies, of all larger ones in memory, and of all files on disk.
SMALL_BODIES = 64 << 20
MEMORY = 512 << 20
DISK = 2 << 30
#: Clients that fill a pool together.
_SHARES = 2
#: Bytes a second; who sends less makes room where there is none.
SLOW = 64 << 10
#: Seconds over which that is measured.
_WINDOW = 1.0
#: How often a body that waits for room looks for some, the seconds between, and how many may wait.
LOOKS = 40
_LOOK = 0.25
_WAITING = 64


class Pace:
    """How fast a body comes, at the moment."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: seconds, from anywhere."""
        self._clock = clock
        self._since = clock()
        self._now = 0.0
        self._before = float("inf")  # nobody is slow who has only just begun

    def add(self, size: int) -> None:
        """Note bytes that came."""
        self._turn()
        self._now += size

    @property
    def rate(self) -> float:
        """Bytes a second, over the last one or two seconds."""
        self._turn()
        return (self._before + self._now) / (_WINDOW + self._clock() - self._since)

    def _turn(self) -> None:
        passed = self._clock() - self._since
        if passed >= _WINDOW:
            self._before = self._now if passed < 2 * _WINDOW else 0.0
            self._now = 0.0
            self._since += passed


class Pool:
    """Counts the bytes of one kind of room."""

    def __init__(self, limit: int, share: int = 0) -> None:
        """``limit``: bytes that there are, ``share``: that a client may have; 0 is half of them."""
        self._limit = limit
        self._share = share or limit // _SHARES
        self._bodies: Counter[Body] = Counter()
        self._peers: Counter[str] = Counter()
        #: Bytes of all.
        self.held = 0

    def take(self, body: Body, size: int) -> bool:
        """Count bytes of a body; False where there is no room, and none can be made."""
        while self._peers[body.peer] + size > self._share or self.held + size > self._limit:
            slow = min((one for one in self._rivals(body, size) if one.is_slow),
                       key=lambda one: one.pace.rate, default=None)  # fmt: skip
            if slow is None:
                return False
            slow.drop()
        self._bodies[body] += size
        self._peers[body.peer] += size
        self.held += size
        return True

    def of(self, body: Body) -> int:
        """Bytes of one."""
        return self._bodies[body]

    def release(self, body: Body) -> None:
        """Forget a body."""
        size = self._bodies.pop(body, 0)
        self.held -= size
        self._peers[body.peer] -= size
        if not self._peers[body.peer]:
            del self._peers[body.peer]

    def _rivals(self, body: Body, size: int) -> Iterable[Body]:
        """Whose bytes are in the way of more: those of its own client, if that has its share."""
        is_shared_out = self._peers[body.peer] + size > self._share
        others = (one for one in self._bodies if one is not body)
        return [one for one in others if one.peer == body.peer] if is_shared_out else [*others]


@dataclass(eq=False)
class Body:
    """A body that is being read or worked on."""

    peer: str
    budget: Budget
    pace: Pace
    #: Ends the waiting for more of it, while somebody waits.
    on_drop: Callable[[], None] | None = None
    #: Whether somebody else needed its room.
    is_dropped: bool = False
    #: Whether all of it has come.
    is_complete: bool = False
    _waits_for_room: bool = False
    _size: int = 0

    @property
    def is_slow(self) -> bool:
        """Whether it has to give way: it is its client that we wait for, and not ourselves."""
        return not self.is_complete and not self._waits_for_room and self.pace.rate < SLOW

    async def keep(self, size: int, pool: Pool) -> None:
        """Count bytes that are kept in memory or on disk; wait for room where there is none.

        Raises Crowded if there is none for long, or somebody else was given it.
        """
        if self.is_dropped or not (self._taken(size, pool) or await self._has_room(size, pool)):
            raise Crowded

    async def _has_room(self, size: int, pool: Pool) -> bool:
        """Wait; nothing more is read meanwhile, and so nothing more is sent."""
        waiting = self.budget.waiting
        if waiting.total() >= _WAITING or waiting[self.peer] >= _WAITING // _SHARES:
            return False
        waiting[self.peer] += 1
        self._waits_for_room = True
        try:
            for _ in range(self.budget.looks):
                await asyncio.sleep(_LOOK)
                if self._taken(size, pool):
                    return True
        finally:
            waiting[self.peer] -= 1
            if not waiting[self.peer]:
                del waiting[self.peer]
            self._waits_for_room = False
        return False

    def drop(self) -> None:
        """Give the room to somebody else."""
        self.is_dropped = True
        self.release()
        if self.on_drop:
            self.on_drop()

    def release(self) -> None:
        """Give the room back."""
        for pool in self.budget.pools:
            pool.release(self)

    def _taken(self, size: int, pool: Pool) -> bool:
        """Small bodies have room of their own, until they are no longer small, or it is full.

        Else large ones that have only begun would wait there for each other.
        """
        small = self.budget.small
        if self._size + size > SMALL or not small.take(self, size):
            if not pool.take(self, size + small.of(self)):
                return False
            small.release(self)
        self._size += size
        return True


class Budget:
    """What all bodies may take. Belongs to one event loop."""

    def __init__(
        self,
        peers: Peers | None = None,
        *,
        small: Pool | None = None,
        memory: Pool | None = None,
        disk: Pool | None = None,
        looks: int = LOOKS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``peers`` tells clients apart; ``clock``: seconds, by which the pace is measured.

        ``looks``: how often a body looks for room before it is refused, four times a second.
        """
        self.peers = peers or Peers()
        self.small = small or Pool(SMALL_BODIES)
        self.memory = memory or Pool(MEMORY)
        self.disk = disk or Pool(DISK)
        self.looks = looks
        self.clock = clock
        self.pools = (self.small, self.memory, self.disk)
        #: How many bodies of each client wait for room.
        self.waiting: Counter[str] = Counter()

    def body(self, peer: str) -> Body:
        """One that begins to arrive."""
        return Body(peer, self, Pace(self.clock))


class Lanes:
    """Runs functions in threads of their own; who has none left waits. Belongs to one loop.

    What waits for another server, or holds a whole file, must not take the threads that everything
    else needs: forty uploads of slow addresses would be enough.
    """

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
