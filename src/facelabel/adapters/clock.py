"""The computer's own clock."""

from __future__ import annotations

import time


class SystemClock:
    """Wall-clock time; implements :class:`facelabel.core.clock.Clock`."""

    #: Seconds since the epoch.
    now = staticmethod(time.time)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
