"""What requests may take while they arrive: nobody has shown a key by then.

A body is read within limits of size and of pace. All bodies together have three pools, so that the
one cannot eat up the other: small bodies, as signed calls and notifications are; large ones in
memory; files on disk. Each client has a share of each. Where there is no room, the slowest body
makes it: somebody who holds on to room and sends next to nothing must not keep out those who come
with something, be it from the same address.

Threads for what may take long are shared in the same way.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import re
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, TypeVar, cast
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect

from facelabel.errors import NoRoom
from facelabel.web.http.refusals import ApiError, Crowded, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from typing import BinaryIO, TypeAlias

    from anyio import CapacityLimiter
    from starlette.requests import Request
    from starlette.types import Receive, Scope

    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
    Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

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
#: Bytes of a body that is hashed or parsed on the spot; a larger one is not to hold up others.
ON_THE_SPOT = 64 << 10
#: int() would take any number of digits, and those of other scripts.
_LENGTH = re.compile(r"[0-9]{1,15}")
#: What is the disk's fault, or the system's, and not the request's or ours.
_NO_ROOM = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE,
})  # fmt: skip
#: Makes a file of what is small in memory, else on disk.
_SPOOL = cast("Callable[[], BinaryIO]", partial(SpooledTemporaryFile, SMALL))
#: Bits of an IPv6 address that a provider gives to one customer.
_CUSTOMER = 64
_FORWARDED = b"x-forwarded-for"


# ---- whom it is counted for


class Peers:
    """Tells clients apart by their addresses.

    What a proxy says of its client is believed of those proxies alone that the user named: anybody
    may send such a header. It decides who shares a limit with whom, never who may come in.
    """

    def __init__(self, proxies: Iterable[Network] = ()) -> None:
        """``proxies``: networks of proxies of our own."""
        self._proxies = tuple(proxies)

    def of(self, scope: Scope) -> str:
        """Who sent a request; "" where the connection has no address, as a socket file."""
        client = scope.get("client")
        host = client[0] if client else ""
        if not self._proxies or not self.is_proxy(host):
            return peer(host)
        hops = [text for name, text in scope["headers"] if name == _FORWARDED]
        for hop in reversed(b",".join(hops).decode("latin-1").split(",")):
            if not self.is_proxy(hop.strip()):
                return peer(hop.strip()) or peer(host)
        return peer(host)

    def is_proxy(self, host: str) -> bool:
        """Whether an address is that of a proxy of ours."""
        address = _address(host) if self._proxies else None
        return address is not None and any(address in network for network in self._proxies)


@lru_cache(1024)
def peer(host: str) -> str:
    """The address that stands for a host; of IPv6 the customer's network. "" for no address."""
    address = _address(host)
    if address is None:
        return ""
    if address.version == 4:  # noqa: PLR2004 - of the Internet Protocol
        return str(address)
    return str(ipaddress.ip_network((address.packed, _CUSTOMER), strict=False))


def _address(host: str) -> Address | None:
    """An address; one of IPv4 that is written as IPv6 is the same."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


# ---- what all take together


@dataclass
class Pace:
    """How fast a body comes, at the moment."""

    #: Seconds, from anywhere …
    clock: Callable[[], float]
    #: … and when the body, and later the second that is measured, began.
    since: float
    _now: float = 0.0
    _before: float = float("inf")  # nobody is slow who has only just begun

    def add(self, size: int) -> None:
        """Note bytes that came."""
        self._turn()
        self._now += size

    @property
    def rate(self) -> float:
        """Bytes a second, over the last one or two seconds."""
        self._turn()
        return (self._before + self._now) / (_WINDOW + self.clock() - self.since)

    def _turn(self) -> None:
        passed = self.clock() - self.since
        if passed >= _WINDOW:
            self._before = self._now if passed < 2 * _WINDOW else 0.0
            self._now = 0.0
            self.since += passed


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take."""

    #: Bytes of the body.
    body: int
    #: In so many seconds of waiting for the client …
    window: float = 20.0
    #: … this many bytes have to come; and all of it in so many seconds.
    least: int = 10_000
    patience: float = 600.0
    #: Seconds for which the rest of a refused body is read, and dropped: who is still sending
    #: would otherwise see a broken connection instead of the reason.
    linger: float = 2.0
    #: Shared by all requests.
    budget: Budget = field(default_factory=Budget)
    #: Makes the file that an uploaded one is kept in.
    spool: Callable[[], BinaryIO] = _SPOOL


# ---- one body


@asynccontextmanager
async def bounded(
    request: Request, limits: Limits, *, is_wanted: bool = True
) -> AsyncIterator[Body]:
    """The request's body, to be read; what it holds is let go at the end.

    What its headers announce is refused only where the body ``is_wanted`` at all. Raises ApiError,
    and says so to who sent it if the rest of the body is not waited for.
    """
    clock, client = limits.budget.clock, limits.budget.peers.of(request.scope)
    now = clock()
    body = Body(client, limits, Pace(clock, now), now + limits.patience, request.receive)
    try:
        if is_wanted:
            _check_headers(request, limits.body)
        yield body
    except Exception as error:
        if not await body.is_drained(error) and isinstance(error, ApiError):
            error.headers["Connection"] = "close"
        raise
    finally:
        body.release()


def _check_headers(request: Request, largest: int) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(400, f"Content-Encoding {encoding[:40]} is not supported")
    length = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length) or int(length) > largest:
        raise TooLarge(largest)


@dataclass(eq=False)
class Body:
    """A body that comes in pieces, is counted while it is kept, and may have to make room."""

    peer: str
    limits: Limits
    pace: Pace
    #: When all of it has to be there, on the budget's clock.
    end: float
    receive: Receive
    #: Ends the waiting for more of it, while somebody waits.
    on_drop: Callable[[], None] | None = None
    #: Whether somebody else needed its room.
    is_dropped: bool = False
    #: Whether all of it has come.
    is_complete: bool = False
    #: Bytes that came, and those that are kept.
    _came: int = 0
    _kept: int = 0
    #: Since the pace was looked at: seconds of waiting, bytes.
    _waited: float = 0.0
    _lately: int = 0
    _waits_for_room: bool = False

    async def read(self) -> bytes:
        """All of it, in memory. Raises as :meth:`piece` and :meth:`keep`."""
        pieces = []
        while piece := await self.piece():
            await self.keep(len(piece), self.limits.budget.memory)
            pieces.append(piece)
        return b"".join(pieces)

    async def piece(self) -> bytes:
        """What comes next, b"" at the end; whoever keeps it says where.

        Raises TooLarge, TooSlow, Crowded if somebody else needs the room, or ClientDisconnect.
        """
        clock, piece = self.limits.budget.clock, b""
        while not (piece or self.is_complete):
            start = clock()
            left = min(self.limits.window - self._waited, self.end - start)
            with suppress(TimeoutError):
                async with asyncio.timeout(left) as waiting:
                    self.on_drop = partial(_end, waiting)
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    self.is_complete = not message.get("more_body", False)
                    piece = message.get("body", b"")
            self.on_drop = None
            if self.is_dropped:
                raise Crowded
            if not self.is_complete:
                self._check_pace(clock() - start, len(piece))
        self._came += len(piece)
        if self._came > self.limits.body:
            raise TooLarge(self.limits.body)
        return piece

    def _check_pace(self, waited: float, came: int) -> None:
        """Note how long a piece was waited for; TooSlow if it was for too little."""
        self.pace.add(came)
        self._waited += waited
        self._lately += came
        is_over = self._waited >= self.limits.window
        is_late = self.limits.budget.clock() >= self.end
        if is_late or (is_over and self._lately < self.limits.least):
            raise TooSlow
        if is_over:
            self._waited, self._lately = 0.0, 0

    async def keep(self, size: int, pool: Pool) -> None:
        """Count bytes that stay in memory or on disk; wait for room where there is none.

        Raises Crowded if there is none for long, or somebody else was given it.
        """
        budget = self.limits.budget
        for look in range(budget.looks + 1):
            if self.is_dropped or (look and not await self._has_waited()):
                break
            # Small bodies have room of their own, until they are no longer small, or it is full.
            # Else large ones that have only begun would wait there for each other.
            is_small = self._kept + size <= SMALL and budget.small.take(self, size)
            if is_small or pool.take(self, size + budget.small.of(self)):
                if not is_small:
                    budget.small.release(self)
                self._kept += size
                return
        raise Crowded

    async def _has_waited(self) -> bool:
        """Wait a moment, unless too many do; nothing more is read, and so nothing more is sent."""
        waiting = self.limits.budget.waiting
        if waiting.total() >= _WAITING or waiting[self.peer] >= _WAITING // _SHARES:
            return False
        waiting[self.peer] += 1
        self._waits_for_room = True
        try:
            await asyncio.sleep(_LOOK)
        finally:
            waiting[self.peer] -= 1
            if not waiting[self.peer]:
                del waiting[self.peer]
            self._waits_for_room = False
        return True

    @property
    def is_slow(self) -> bool:
        """Whether it has to give way: it is its client that we wait for, and not ourselves."""
        return not self.is_complete and not self._waits_for_room and self.pace.rate < SLOW

    def drop(self) -> None:
        """Give the room to somebody else."""
        self.is_dropped = True
        self.release()
        if self.on_drop:
            self.on_drop()

    def release(self) -> None:
        """Give the room back."""
        for pool in self.limits.budget.pools:
            pool.release(self)

    async def is_drained(self, reason: Exception) -> bool:
        """Read what is left, for a moment, and drop it; whether that was all."""
        if isinstance(reason, (TooSlow, Crowded, ClientDisconnect)):
            return self.is_complete
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.linger):
                while not self.is_complete:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        break
                    self.is_complete = not message.get("more_body", False)
        return self.is_complete


def _end(waiting: asyncio.Timeout) -> None:
    """Wait no longer, unless that has just come to its end by itself."""
    with suppress(RuntimeError):
        waiting.reschedule(0.0)


@contextmanager
def storing(what: str, where: str) -> Iterator[None]:
    """Raise NoRoom where something cannot be written.

    ``what`` says in a few words what is kept, ``where`` is the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NoRoom(f"{what} cannot be kept: {error.strerror}", where=where) from error


# ---- threads


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
