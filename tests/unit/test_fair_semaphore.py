"""Turns are few, in order, and never lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.waiting import PATIENCE, until

from facelabel.engine.engine import FairSemaphore


def test_no_more_than_so_many_at_once() -> None:
    turns, inside = FairSemaphore(3), threading.Semaphore(3)
    both = threading.Barrier(3, timeout=PATIENCE)

    def take(number: int) -> bool:
        with turns.taken():
            if number < 3:
                both.wait()  # three are let in together
            is_free = inside.acquire(blocking=False)
            time.sleep(0.001)
            if is_free:
                inside.release()
            return is_free

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(take, range(64)))
    assert turns.waiting == 0


def test_nobody_overtakes() -> None:
    turns, came = FairSemaphore(1), list[int]()

    def take(number: int) -> None:
        with turns.taken():
            came.append(number)

    with ThreadPoolExecutor(8) as pool:
        with turns.taken():
            for number in range(8):
                pool.submit(take, number)
                until(lambda waiting=number + 1: turns.waiting == waiting)  # type: ignore[misc]
        take(8)  # whoever had the last turn goes behind all that wait
    assert came == list(range(9))


def test_an_error_passes_the_turn_on() -> None:
    turns = FairSemaphore(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), turns.taken():
            raise ValueError("broken")
    assert turns.waiting == 0
