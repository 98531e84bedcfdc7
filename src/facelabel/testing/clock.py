"""A clock that tests move."""

from __future__ import annotations


class ManualClock:
    """A clock that stands still until told otherwise; sleeping moves it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        """Start at ``now``, seconds since the epoch."""
        self.time = now

    def now(self) -> float:
        """The time set."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.time += seconds
