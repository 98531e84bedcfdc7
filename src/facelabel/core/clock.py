"""Time, as everything takes it that needs any; how long to wait before another try."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """Time, so that tests need not wait."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


def backoff(
    tries: int,
    first: float,
    longest: float = math.inf,
    chance: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after so many tries, 1 or more.

    ``first`` after one, twice as long after each further one, ``longest`` at most; and half of
    that more or less, so that many who failed together do not come back together. ``chance``:
    evenly spread from 0 to 1.
    """
    doublings = min(tries - 1, 64)  # more would be no number any more
    return min(longest, first * 2.0**doublings) * (0.5 + chance())


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often a job is tried again."""

    first: float = 2.0
    longest: float = 600.0
    #: With the delays above: given up after 40 minutes or so.
    tries: int = 12

    def delay(self, tries: int) -> float:
        """Seconds to wait after so many tries."""
        return backoff(tries, self.first, self.longest)
