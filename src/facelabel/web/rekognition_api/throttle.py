"""Amazon's quotas, so that clients can be seen to bear with them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from facelabel.rekognition.error_codes import throttled

if TYPE_CHECKING:
    from facelabel.core.clock import Clock


class Throttle:
    """A token bucket for each operation: a second's worth at once, then at the rate."""

    def __init__(self, rate: float, clock: Clock) -> None:
        """``rate``: calls a second; 0 lets all through."""
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        #: Calls that are left and when that was so, by operation.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, operation: str) -> None:
        """Count a call. Raises Refusal: ProvisionedThroughputExceededException."""
        if not self._rate:
            return
        full = max(1.0, self._rate)
        with self._lock:
            now = self._clock.now()
            left, since = self._left.get(operation, (full, now))
            left = min(full, left + max(0.0, now - since) * self._rate)
            is_over = left < 1.0
            self._left[operation] = (left if is_over else left - 1.0, now)
        if is_over:
            raise throttled()
