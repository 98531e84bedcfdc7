"""Accepting connections: only as many as there is room for, whatever comes.

asyncio accepts whoever comes, and where the system has nothing left to accept with, it writes a
traceback for every attempt, a thousand at a time.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from facelabel.web.serving.connections import Seldom

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from facelabel.web.serving.connections import Lobby

_NOTHING_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: Seconds until it is looked for room again.
_PAUSE = 0.1
#: Descriptors for each connection: the socket, a file that is being uploaded, and what the
#: databases, the models and the workers need, who are as many as there is to do.
_DESCRIPTORS = 4


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
