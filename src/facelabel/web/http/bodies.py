"""Bodies of requests, read within limits of size, of pace, and of what all take together."""

from __future__ import annotations

import asyncio
import errno
import re
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, cast

from starlette.requests import ClientDisconnect

from facelabel.errors import NoRoom
from facelabel.web.http.budget import SMALL, Budget
from facelabel.web.http.refusals import ApiError, Crowded, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import BinaryIO

    from starlette.requests import Request

    from facelabel.web.http.budget import Body

#: int() would take any number of digits, and those of other scripts.
_LENGTH = re.compile(r"[0-9]{1,15}")
#: Bytes of a body that is hashed or parsed on the spot; a larger one is not to hold up others.
ON_THE_SPOT = 64 << 10
#: What is the disk's fault, or the system's, and not the request's or ours.
_NO_ROOM = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE,
})  # fmt: skip
#: Makes a file of what is small in memory, else on disk.
_SPOOL = cast("Callable[[], BinaryIO]", partial(SpooledTemporaryFile, SMALL))


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


@asynccontextmanager
async def bounded(
    request: Request, limits: Limits, *, is_wanted: bool = True
) -> AsyncIterator[Incoming]:
    """The request's body, to be read; what it holds is let go at the end.

    What its headers announce is refused only where the body ``is_wanted`` at all. Raises ApiError,
    and says so to who sent it if the rest of the body is not waited for.
    """
    body = limits.budget.body(limits.budget.peers.of(request.scope))
    incoming = Incoming(request, limits, body)
    try:
        if is_wanted:
            _check_headers(request, limits.body)
        yield incoming
    except Exception as error:
        if not await incoming.is_drained(error) and isinstance(error, ApiError):
            error.headers["Connection"] = "close"
        raise
    finally:
        body.release()


class Incoming:
    """A body that comes in pieces."""

    def __init__(self, request: Request, limits: Limits, body: Body) -> None:
        """``body`` counts what is kept of it."""
        self.limits = limits
        self._receive = request.receive
        self._body = body
        self._clock = limits.budget.clock
        self._end = self._clock() + limits.patience
        self._taken = 0
        #: Since the pace was looked at: seconds of waiting, bytes.
        self._waited = 0.0
        self._came = 0
        self._is_complete = False

    async def read(self) -> bytes:
        """All of it, in memory."""
        pieces = []
        async for piece in self.pieces():
            await self.keep(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    async def pieces(self) -> AsyncIterator[bytes]:
        """It piece by piece; whoever keeps one says where.

        Raises TooLarge, TooSlow, Crowded, or ClientDisconnect.
        """
        while not self._is_complete:
            piece = await self._next_in_time()
            self._taken += len(piece)
            if self._taken > self.limits.body:
                raise TooLarge(self.limits.body)
            if piece:
                yield piece

    async def keep(self, memory: int = 0, disk: int = 0) -> None:
        """Count bytes that stay until the request is answered. Raises Crowded."""
        await self._body.keep(memory, self.limits.budget.memory)
        if disk:
            await self._body.keep(disk, self.limits.budget.disk)

    async def is_drained(self, reason: Exception) -> bool:
        """Read what is left, for a moment; whether that was all."""
        if isinstance(reason, (TooSlow, Crowded, ClientDisconnect)):
            return self._is_complete
        try:
            async with asyncio.timeout(self.limits.linger):
                while not self._is_complete:
                    await self._next()
        except (TimeoutError, ClientDisconnect):
            pass
        return self._is_complete

    async def _next_in_time(self) -> bytes:
        """The next piece; TooSlow if too little came, Crowded if somebody else needs the room."""
        while True:
            start, piece = self._clock(), None
            left = min(self.limits.window - self._waited, self._end - start)
            try:
                async with asyncio.timeout(left) as waiting:
                    self._body.on_drop = partial(_end, waiting)
                    piece = await self._next()
            except TimeoutError:
                pass
            finally:
                self._body.on_drop = None
            if self._body.is_dropped:
                raise Crowded
            if not self._is_complete:
                self._check_pace(self._clock() - start, len(piece or b""))
            if piece is not None:
                return piece

    def _check_pace(self, waited: float, came: int) -> None:
        """Note how long a piece was waited for; TooSlow if it was for too little."""
        self._body.pace.add(came)
        self._waited += waited
        self._came += came
        is_over = self._waited >= self.limits.window
        if self._clock() >= self._end or (is_over and self._came < self.limits.least):
            raise TooSlow
        if is_over:
            self._waited, self._came = 0.0, 0

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._is_complete = self._body.is_complete = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def _end(waiting: asyncio.Timeout) -> None:
    """Wait no longer, unless that has just come to its end by itself."""
    with suppress(RuntimeError):
        waiting.reschedule(0.0)


def _check_headers(request: Request, largest: int) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(400, f"Content-Encoding {encoding[:40]} is not supported")
    length = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length) or int(length) > largest:
        raise TooLarge(largest)
