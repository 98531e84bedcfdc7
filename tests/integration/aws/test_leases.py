"""Locks, receipts and what waits: on DynamoDB, with many at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.waiting import PATIENCE

from facelabel.adapters.aws.leases import AssetLocks, Receipts, Waiting
from facelabel.adapters.aws.table import Table
from facelabel.adapters.clock import SystemClock
from facelabel.core.jobs import JobKind
from facelabel.errors import Unavailable
from facelabel.testing import ManualClock

LEASE = 60.0
SWEEP = JobKind.SWEEP


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def locks(table: Table, clock: ManualClock) -> AssetLocks:
    return AssetLocks(table, clock, lease=LEASE)


def test_one_at_a_time_has_an_asset_in_hand(table: Table) -> None:
    locks = AssetLocks(table, SystemClock(), lease=LEASE, patience=PATIENCE)
    start = threading.Barrier(6)
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        start.wait()
        with locks.hold("a"):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert most == [1] * 6


def test_whoever_waits_in_vain_is_told_to_come_again(locks: AssetLocks, clock: ManualClock) -> None:
    before = clock.now()
    with locks.hold("a"), locks.hold("b"):
        with (
            pytest.raises(Unavailable, match="another worker has a in hand") as told,
            locks.hold("a"),
        ):
            raise AssertionError("two at once")
        assert told.value.retry_after
        assert 5.0 <= clock.now() - before < LEASE
    with locks.hold("a"):
        pass


def test_the_lock_of_a_dead_worker_ends_with_its_lease(
    locks: AssetLocks, clock: ManualClock
) -> None:
    lost = locks.hold("a")
    lost.__enter__()
    clock.sleep(LEASE)
    with locks.hold("a"):
        lost.__exit__(None, None, None)  # it was only slow; the lock is not its own any more
        with pytest.raises(Unavailable), locks.hold("a"):
            raise AssertionError("two at once")


def test_a_lock_is_let_go_whatever_happens(locks: AssetLocks) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("a"):
        raise ZeroDivisionError
    with locks.hold("a"):
        pass


def test_receipts_are_known_until_they_end(table: Table, clock: ManualClock) -> None:
    receipts = Receipts(table, clock, remember=100.0)
    receipts.note(["x", "y"])
    clock.sleep(100.0)
    assert receipts.known(["x", "z", "y"]) == {"x", "y"}
    clock.sleep(1.0)
    assert receipts.known(["x", "z", "y"]) == frozenset()


def test_items_that_end_are_deleted_by_dynamodb_some_time_after(
    table: Table, clock: ManualClock
) -> None:
    Receipts(table, clock, remember=100.0).note(["x"])
    item = table.get(("receipt#x", "receipt"))
    assert item
    assert item["expires"] > item["ends"] == clock.now() + 100.0


def test_a_job_that_waits_is_not_sent_again(table: Table, clock: ManualClock) -> None:
    waiting = Waiting(table, clock, trust=30.0)
    assert waiting.note(SWEEP, "all", clock.now() + 300)
    waiting.sent(SWEEP, "all", clock.now() + 300)
    clock.sleep(10)
    assert not waiting.note(SWEEP, "all", clock.now() + 300)
    assert waiting.note(SWEEP, "other", clock.now() + 300)
    assert waiting.note(SWEEP, "all", clock.now()), "sooner than the one that waits"


def test_a_job_that_has_begun_does_not_answer_later_wishes(
    table: Table, clock: ManualClock
) -> None:
    waiting = Waiting(table, clock)
    due = clock.now() + 1
    assert waiting.note(SWEEP, "all", due)
    waiting.clear(SWEEP, "all")
    waiting.sent(SWEEP, "all", due)  # too late: it runs already
    assert waiting.note(SWEEP, "all", due + 5)


def test_a_note_without_its_message_soon_ends(table: Table, clock: ManualClock) -> None:
    waiting = Waiting(table, clock, trust=30.0)
    assert waiting.note(SWEEP, "all", clock.now() + 300)  # and then the process died
    clock.sleep(29)
    assert not waiting.note(SWEEP, "all", clock.now() + 300)
    clock.sleep(1)
    assert waiting.note(SWEEP, "all", clock.now() + 300)
    waiting.sent(SWEEP, "all", clock.now() + 300)
    clock.sleep(329)
    assert not waiting.note(SWEEP, "all", clock.now() + 300)
    clock.sleep(1)
    assert waiting.note(SWEEP, "all", clock.now() + 300), "its message was lost"


def test_of_many_who_ask_at_once_one_sends(table: Table, clock: ManualClock) -> None:
    waiting, start, due = Waiting(table, clock), threading.Barrier(6), clock.now() + 1

    def ask(_: int) -> bool:
        start.wait()
        return waiting.note(SWEEP, "all", due)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(ask, range(6))) == [False] * 5 + [True]


class Repeating:
    """A client that calls twice, as the SDK does where the first answer was lost on its way."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - boto3's
        """Stand before this client."""
        self._client = client

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - boto3's
        """Call, and call again."""

        def twice(**request: object) -> Any:  # noqa: ANN401 - boto3's
            getattr(self._client, name)(**request)
            return getattr(self._client, name)(**request)

        return twice


def test_a_call_whose_answer_was_lost_is_known_again(table: Table, clock: ManualClock) -> None:
    repeating = Table(Repeating(vars(table)["_client"]), table.name)
    with AssetLocks(repeating, clock, lease=LEASE, patience=0.0).hold("a"):
        pass
    assert Waiting(repeating, clock).note(SWEEP, "all", clock.now())
    assert not Waiting(repeating, clock).note(SWEEP, "all", clock.now())
