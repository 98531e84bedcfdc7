"""Connections that nobody may keep for nothing: there are only so many.

uvicorn waits for a request's headers, and for a client to read its answer, as long as it takes,
and accepts whoever comes. Here a client that is waited for and does nothing is let go, and where
there is no room it is the quietest of them that makes it, first of all of whoever has the most:
a thousand connections that send a byte now and then keep nobody out.

What is read of uvicorn's connection (its request, its flow, its transport) is no promise of
uvicorn's, which is why its version has an upper bound (pyproject.toml).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol

from facelabel.settings.addresses import is_loopback
from facelabel.web.access import neighbours, policy
from facelabel.web.http.budget import Peers, peer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

#: Seconds in which a client that is waited for has to do something.
PATIENCE = 20.0
#: Seconds for which nobody is quiet: what a client sent may not have been read yet.
_GRACE = 1.0
#: Seconds between two lines in the log about the same thing.
_MINUTE = 60.0

_NOTHING_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: Seconds until it is looked for room again.
_PAUSE = 0.1
#: Descriptors for each connection: the socket, a file that is being uploaded, and what the
#: databases, the models and the workers need, who are as many as there is to do.
_DESCRIPTORS = 4

log = logging.getLogger(__name__)


class Seldom:
    """Logs something that may happen a thousand times a second, once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, from anywhere."""
        self._clock = clock
        self._next = float("-inf")
        self._unsaid = 0

    def warn(self, message: str, *values: object) -> None:
        """Say so, or count it."""
        if self._clock() < self._next:
            self._unsaid += 1
            return
        text = message % values
        more = f" (and {self._unsaid} times before)" if self._unsaid else ""
        log.warning("%s%s", text, more)
        self._next, self._unsaid = self._clock() + _MINUTE, 0


class Unrepeated(logging.Filter):
    """Lets each warning through once a minute: uvicorn's are about what any client may send."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, from anywhere."""
        super().__init__()
        self._clock = clock
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said."""
        if record.levelno != logging.WARNING:
            return True
        now = self._clock()
        if now - self._said.get(record.msg, float("-inf")) < _MINUTE:
            return False
        self._said[record.msg] = now
        return True


class _State(NamedTuple):
    """What a client is at."""

    #: Its latest request, None before the first one …
    request: object
    #: … and whether that is still being received or worked on.
    is_busy: bool
    #: Bytes of the answer that it has not read.
    unread: int

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn. How fast a body comes is its reader's concern."""
        return bool(self.unread) or not self.is_busy


class Lobby:
    """Everybody who is connected."""

    def __init__(
        self,
        limit: int,
        share: int = 0,
        *,
        peers: Peers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``limit``: connections; one client may have ``share`` of them, half unless given.

        A client that has more keeps those that are being worked on. A proxy of ours has no share:
        it stands for many.
        """
        self._limit = limit
        self._share = share or -(-limit // 2)
        self._peers = peers or Peers()
        self._members: set[Connection] = set()
        self.clock = clock
        self._told = Seldom(clock)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._members)

    @property
    def is_open(self) -> bool:
        """Whether one more may come: there is room, or somebody who can make it."""
        return len(self) < self._limit or any(map(self._can_go, self._members))

    def enter(self, connection: Connection) -> None:
        """Count one that has come; another goes if there are too many."""
        host = connection.peer
        others = [one for one in self._members if one.peer == host]
        if len(others) >= self._share and not self._peers.is_proxy(connection.host):
            self._end_quietest(others)
        if len(self) >= self._limit:
            self.end_quietest()
        self._members.add(connection)

    def leave(self, connection: Connection) -> None:
        """Forget one that has gone."""
        self._members.discard(connection)

    def end_quietest(self) -> None:
        """Let the quietest go of those that are waited for, if there is one."""
        self._end_quietest(self._members)

    def _end_quietest(self, among: Iterable[Connection]) -> None:
        waited_for = [one for one in among if self._can_go(one)]
        if not waited_for:
            return
        quietest = min(waited_for, key=lambda one: (one.is_answered, one.heard))
        self._told.warn("there are too many connections: the quietest one had to go")
        self.leave(quietest)
        quietest.transport.abort()

    def _can_go(self, connection: Connection) -> bool:
        """Whether its client could have said something, and did not."""
        return connection.is_waited_for and self.clock() - connection.heard >= _GRACE


class Connection(H11Protocol):
    """A connection that ends when its client did nothing, though it was its turn."""

    #: Seconds.
    patience = PATIENCE

    def __init__(self, *, lobby: Lobby, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """``options`` are what uvicorn makes a connection of."""
        super().__init__(**options)
        self._lobby = lobby
        self.host = ""
        #: Who shares limits with it.
        self.peer = ""
        #: When something came from it.
        self.heard = lobby.clock()

    @property
    def is_waited_for(self) -> bool:
        """Whether it is the client's turn: to send, or to read."""
        request: Any = self.cycle
        is_sending = request is not None and request.more_body and not self.flow.read_paused
        return self._state().waits or is_sending

    @property
    def is_answered(self) -> bool:
        """Whether an answer is on its way to it."""
        return self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self.host = self.client[0] if self.client else ""
        self.peer = peer(self.host)
        if self.client and self.server and is_loopback(self.host):
            is_others = not neighbours.is_ours(self.client, self.server)
            self.app_state = {**self.app_state, policy.OTHERS: is_others}
        self._lobby.enter(self)
        self._watch(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._lobby.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when."""
        self.heard = self._lobby.clock()
        super().data_received(data)

    def _watch(self, before: _State | None) -> None:
        if self.transport.is_closing():
            return
        now = self._state()
        if now == before and now.waits:
            self.transport.abort()
        else:
            self.loop.call_later(self.patience, self._watch, now)

    def _state(self) -> _State:
        request: Any = self.cycle
        is_busy = request is not None and not request.response_complete
        return _State(request, is_busy, self.transport.get_write_buffer_size())


# ---- accepting: asyncio accepts whoever comes, and where the system has nothing left to accept
# with, it writes a traceback for every attempt, a thousand at a time


def connections(wanted: int) -> int:
    """Return how many connections there may be: no more than the system has descriptors for.

    The process's own limit is raised as far as that needs and the system allows.
    """
    if sys.platform == "win32":  # where sockets are not counted so
        return wanted
    import resource  # noqa: PLC0415 - Windows has no such module

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = wanted * _DESCRIPTORS
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft < most:
        with suppress(OSError, ValueError):  # not here, whatever the reason
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(wanted, soft // _DESCRIPTORS))


class Acceptor:
    """Accepts on one socket until it is closed; uvicorn takes it for a server of asyncio's."""

    def __init__(
        self, listener: socket.socket, lobby: Lobby, connect: Callable[[], asyncio.Protocol]
    ) -> None:
        """``connect`` makes the connection's protocol. Belongs to the running loop."""
        listener.settimeout(0)
        self._listener = listener
        self._lobby = lobby
        self._connect = connect
        self._told = Seldom(lobby.clock)
        self._work = asyncio.create_task(self._run())

    def close(self) -> None:
        """Accept nobody any more."""
        self._work.cancel()

    async def wait_closed(self) -> None:
        """Return when that is so."""
        with suppress(asyncio.CancelledError):
            await self._work

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room()
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                await self._pause(error)
                continue
            try:
                await loop.connect_accepted_socket(self._connect, accepted)
            except OSError:  # it has gone already
                accepted.close()

    async def _room(self) -> None:
        """Wait for it; meanwhile the system lets clients wait."""
        while not self._lobby.is_open:
            self._told.warn("there are %d connections, as many as there may be: more have to wait",
                            len(self._lobby))  # fmt: skip
            await asyncio.sleep(_PAUSE)

    async def _pause(self, error: OSError) -> None:
        """A client that has gone again, or a system that has nothing left to accept with."""
        self._told.warn("a connection could not be accepted: %s", error.strerror)
        if error.errno in _NOTHING_LEFT:
            self._lobby.end_quietest()
        await asyncio.sleep(_PAUSE)
