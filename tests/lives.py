"""What property tests of whole lives of a library share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from facelabel.recognition.ports import Queue
    from facelabel.testing import ManualClock


def work_off(turn: Callable[[], bool], queue: Queue, clock: ManualClock) -> None:
    """Take turns, each of which says whether there was anything to do, until nothing is left.

    The clock moves to whatever is due.
    """
    for _ in range(2000):
        if not turn():
            due = queue.next_due()
            if due is None:
                return
            clock.time = max(due, clock.time)
    raise AssertionError(f"never done: {queue.jobs()}")
