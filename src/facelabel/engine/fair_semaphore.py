"""Only so many at once."""

from __future__ import annotations

import threading
from collections import deque


class FairSemaphore:
    """Let so many threads in at once, the others in the order in which they came.

    A semaphore lets newcomers overtake: under load some would wait for as long as it lasts.
    """

    def __init__(self, at_once: int) -> None:
        """``at_once``: how many, 1 at least."""
        self._free = at_once
        self._lock = threading.Lock()
        #: One for each that waits; released when its turn has come.
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __enter__(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        called.acquire()

    def __exit__(self, *_: object) -> None:
        """Pass the turn on."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
