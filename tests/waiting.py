"""How tests wait: for something to happen, never for a time that ought to be enough."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds after which what was waited for has failed. No limit to be met: eight other programs on
#: the same two cores, and it is kept.
PATIENCE = 240.0


def until(happened: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return when it has happened; AssertionError if it does not."""
    end, pause = time.monotonic() + seconds, 0.005
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(pause)
        pause = min(1.5 * pause, 0.5)  # who asks often keeps it from happening
