"""An inbox in a set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.media.types import Delivery
    from facelabel.recognition.ports import Queue


class MemoryInbox:
    """Enqueues the jobs of every delivery once, safe between threads."""

    def __init__(self, queue: Queue) -> None:
        """Put the jobs into this queue."""
        self._queue = queue
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """See :class:`facelabel.cloudinary.ports.Inbox`."""
        with self._lock:
            for delivery in deliveries:
                if delivery.digest not in self._seen:
                    self._queue.enqueue_all(delivery.requests)
                    self._seen.add(delivery.digest)
