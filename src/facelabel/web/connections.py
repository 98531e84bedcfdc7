"""Connections that nobody may keep for nothing: there are only so many.

uvicorn waits for a request's headers, and for a client to read its answer, as long as it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

#: Seconds in which a client that is waited for has to do something.
PATIENCE = 20.0


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


class Connection(H11Protocol):
    """A connection that ends when its client did nothing, though it was its turn."""

    #: Seconds.
    patience = PATIENCE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._watch(None)

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
