"""What every inbox promises."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from facelabel.adapters.store.jobs import StoreInbox, StoreQueue
from facelabel.adapters.store.sql import schema
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.media.types import Delivery
from facelabel.testing import ManualClock, MemoryInbox, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.cloudinary.ports import Inbox
    from facelabel.recognition.ports import Queue

REMEMBER = 3600.0


def delivery(name: str, *asset_ids: str) -> Delivery:
    """A notification, told apart by its name, about some assets."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    requests = tuple(JobRequest(JobKind.ASSET, i, {"from": name}) for i in asset_ids or (name,))
    return Delivery(digest, requests)


def keys(queue: Queue) -> list[str]:
    return sorted(job.key for job in queue.jobs(limit=10_000))


def work_off(queue: Queue) -> None:
    while job := queue.claim():
        queue.finish(job)


class InboxContract:
    """The promises; a subclass provides the fixtures ``queue`` and ``inbox``, on ``clock``."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    def test_every_job_is_enqueued_with_its_payload(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([delivery("one", "a", "b"), delivery("two", "c")])
        jobs = {job.key: (job.kind, job.payload) for job in queue.jobs()}
        assert jobs == {
            "a": (JobKind.ASSET, {"from": "one"}),
            "b": (JobKind.ASSET, {"from": "one"}),
            "c": (JobKind.ASSET, {"from": "two"}),
        }

    def test_nothing_to_take_is_fine(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([])
        inbox.take([Delivery("0" * 64, ())])
        assert keys(queue) == []

    def test_a_notification_that_comes_again_is_dropped(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([delivery("a")])
        work_off(queue)
        inbox.take([delivery("a"), delivery("b"), delivery("a")])
        assert keys(queue) == ["b"]

    def test_the_same_notification_twice_at_once(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([delivery("a"), delivery("a")])
        assert keys(queue) == ["a"]

    def test_two_notifications_about_one_asset_at_once(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([delivery("one", "a"), delivery("two", "a")])
        assert keys(queue) == ["a"]

    def test_news_of_an_asset_that_was_worked_off(self, inbox: Inbox, queue: Queue) -> None:
        inbox.take([delivery("one", "a")])
        work_off(queue)
        inbox.take([delivery("two", "a")])
        assert keys(queue) == ["a"]

    def test_threads_that_take_the_same_ones(self, inbox: Inbox, queue: Queue) -> None:
        some = [delivery(str(n)) for n in range(40)]
        start = threading.Barrier(4)

        def take(turn: int) -> None:
            start.wait()
            for at in range(0, 40, 5):
                inbox.take((some[at:] + some[:at])[:: 1 if turn % 2 else -1])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(take, range(4)))
        assert keys(queue) == sorted(str(n) for n in range(40))
        assert [job.tries for job in queue.jobs()] == [0] * 40


class TestMemoryInbox(InboxContract):
    """In memory."""

    @pytest.fixture
    def queue(self, clock: ManualClock) -> MemoryQueue:
        return MemoryQueue(clock)

    @pytest.fixture
    def inbox(self, queue: MemoryQueue) -> MemoryInbox:
        return MemoryInbox(queue)


class StoreInboxTests(InboxContract):
    """In a database; a subclass provides the fixture ``database``."""

    @pytest.fixture
    def queue(self, database: Database, clock: ManualClock) -> StoreQueue:
        return StoreQueue(database, clock)

    @pytest.fixture
    def inbox(self, database: Database, queue: StoreQueue, clock: ManualClock) -> StoreInbox:
        return StoreInbox(database, queue, clock, remember=REMEMBER)

    def receipts(self, database: Database) -> int:
        with database.read() as connection:
            return connection.execute(select(func.count(schema.receipt.c.digest))).scalar_one()

    def test_receipt_and_jobs_are_one_step(
        self, database: Database, inbox: StoreInbox, queue: StoreQueue, clock: ManualClock
    ) -> None:
        class Failing(StoreQueue):
            """Breaks down when it has written the jobs."""

            def enqueue_all_in(
                self, connection: Connection, requests: Iterable[JobRequest]
            ) -> None:
                super().enqueue_all_in(connection, requests)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            StoreInbox(database, Failing(database, clock), clock).take([delivery("a")])
        assert keys(queue) == []
        inbox.take([delivery("a")])
        assert keys(queue) == ["a"]

    def test_receipts_outlive_the_process(
        self, database: Database, inbox: StoreInbox, queue: StoreQueue, clock: ManualClock
    ) -> None:
        inbox.take([delivery("a")])
        work_off(queue)
        StoreInbox(database, queue, clock).take([delivery("a")])
        assert keys(queue) == []

    def test_receipts_are_forgotten_in_the_end_but_not_before(
        self, database: Database, inbox: StoreInbox, clock: ManualClock
    ) -> None:
        inbox.take([delivery(str(n)) for n in range(30)])
        clock.sleep(REMEMBER)
        inbox.take([delivery("in time")])
        assert self.receipts(database) == 31
        clock.sleep(1)
        for n in range(30):
            inbox.take([delivery(f"late {n}")])
        assert self.receipts(database) == 31

    def test_many_at_once(self, inbox: StoreInbox, queue: StoreQueue) -> None:
        inbox.take([delivery(str(n)) for n in range(2_000)])
        assert queue.pending() == 2_000


class TestSqliteInbox(StoreInboxTests):
    """On SQLite."""

    @pytest.fixture
    def database(self, sqlite: Database) -> Database:
        return sqlite


class TestPostgresqlInbox(StoreInboxTests):
    """On PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql: Database) -> Database:
        return postgresql
