"""What every queue promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.aws.moto_server import client, new_queues, new_table

from facelabel.adapters.aws.leases import Waiting
from facelabel.adapters.aws.sqs import SqsQueue
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.core.jobs import Job, JobKind, JobRequest, JobState
from facelabel.testing import ManualClock, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Json
    from facelabel.recognition.ports import Queue

LEASE = 60.0


def claimed(queue: Queue, kinds: Sequence[JobKind] = ()) -> Job:
    job = queue.claim(kinds)
    assert job is not None
    return job


class QueueContract:
    """What every queue promises; a subclass provides the fixtures ``clock`` and ``queue``."""

    #: Seconds of ``clock``.
    lease = LEASE

    def test_an_empty_queue_has_nothing_to_claim(self, queue: Queue) -> None:
        assert queue.claim() is None
        assert queue.pending() == 0
        assert queue.next_due() is None
        assert list(queue.jobs()) == []

    def test_a_job_is_claimed_as_it_was_enqueued(self, queue: Queue, clock: Clock) -> None:
        payload: Json = {"size": 1.5, "names": ["Zoë", None], "deep": {"yes": True}}
        queue.enqueue(JobKind.ASSET, "a", dict(payload))
        job = claimed(queue)
        assert (job.kind, job.key, job.payload) == (JobKind.ASSET, "a", payload)
        assert (job.state, job.tries, job.reason) == (JobState.READY, 1, "")
        assert job.enqueued_at <= clock.now() < job.run_at
        assert job.token

    def test_a_claimed_job_is_not_claimed_again(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        claimed(queue)
        assert queue.claim() is None
        assert queue.pending() == 1

    def test_a_finished_job_is_gone(self, queue: Queue, clock: Clock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.finish(claimed(queue))
        clock.sleep(2 * self.lease)
        assert queue.claim() is None
        assert queue.pending() == 0

    def test_a_job_waits_for_its_delay(self, queue: Queue, clock: Clock) -> None:
        queue.enqueue(JobKind.ASSET, "a", delay=self.lease / 2)
        assert queue.claim() is None
        assert queue.next_due() is not None
        clock.sleep(self.lease / 2)
        assert claimed(queue).key == "a"

    def test_the_job_of_a_dead_worker_comes_back_after_its_lease(
        self, queue: Queue, clock: Clock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        orphan = claimed(queue)
        clock.sleep(self.lease / 2)
        assert queue.claim() is None
        clock.sleep(self.lease / 2)
        job = claimed(queue)
        assert (job.job_id, job.tries) == (orphan.job_id, 2)
        assert job.token != orphan.token

    def test_a_heartbeat_keeps_the_lease(self, queue: Queue, clock: Clock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        for _ in range(3):
            clock.sleep(self.lease / 2)
            assert queue.heartbeat(job)
        assert queue.claim() is None
        assert queue.finish(job)

    def test_a_retried_job_waits_and_keeps_count(self, queue: Queue, clock: Clock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.retry(claimed(queue), "busy", self.lease / 2)
        assert queue.claim() is None
        clock.sleep(self.lease / 2)
        assert claimed(queue).tries == 2

    def test_a_try_that_does_not_count_is_taken_off(self, queue: Queue, clock: Clock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.retry(claimed(queue), "busy", 0.0)
        assert queue.retry(claimed(queue), "told to wait", 0.0, counted=False)
        assert claimed(queue).tries == 2

    def test_several_jobs_are_enqueued_in_one_step(self, queue: Queue) -> None:
        queue.enqueue_all([])
        assert queue.pending() == 0
        requests = [JobRequest(JobKind.ASSET, key, {"key": key}) for key in "abcdefghijklm"]
        queue.enqueue_all([JobRequest(JobKind.ASSET, "b", {"old": True}), *requests])
        jobs = [claimed(queue) for _ in requests]
        assert sorted(job.key for job in jobs) == list("abcdefghijklm")
        assert all(job.payload == {"key": job.key} for job in jobs)
        assert {job.tries for job in jobs} == {1}
        assert queue.claim() is None

    def test_a_buried_job_is_a_dead_letter_with_its_reason(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.bury(claimed(queue), "no face: Zoë")
        assert queue.claim() is None
        assert (queue.pending(), queue.next_due()) == (0, None)
        (dead,) = queue.jobs(JobState.DEAD)
        assert (dead.key, dead.reason, dead.tries) == ("a", "no face: Zoë", 1)
        assert list(queue.jobs(JobState.READY)) == []

    def bury(self, queue: Queue, *keys: str) -> dict[str, int]:
        for key in keys:
            queue.enqueue(JobKind.ASSET, key)
            queue.bury(claimed(queue), "because")
        return {job.key: job.job_id for job in queue.jobs(JobState.DEAD)}

    def test_dead_jobs_are_revived_all_or_chosen(self, queue: Queue) -> None:
        ids = self.bury(queue, "a", "b", "c")
        assert queue.revive([ids["b"], 999]) == 1
        assert claimed(queue).key == "b"
        assert queue.revive() == 2
        assert {claimed(queue).tries, claimed(queue).tries} == {1}
        assert queue.revive() == 0

    def test_dead_jobs_are_dropped_all_or_chosen(self, queue: Queue) -> None:
        ids = self.bury(queue, "a", "b", "c")
        queue.enqueue(JobKind.ASSET, "alive")
        assert queue.drop([ids["b"]]) == 1
        assert queue.drop([]) == 0
        assert sorted(job.key for job in queue.jobs(JobState.DEAD)) == ["a", "c"]
        assert queue.drop() == 2
        assert list(queue.jobs(JobState.DEAD)) == []
        assert claimed(queue).key == "alive"

    def test_only_dead_jobs_are_revived_or_dropped(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        assert queue.revive([job.job_id]) == queue.drop([job.job_id]) == 0
        assert queue.finish(job)

    def test_dead_jobs_are_listed_oldest_first(self, queue: Queue) -> None:
        self.bury(queue, "c", "a", "b")
        assert [job.key for job in queue.jobs(JobState.DEAD)] == ["c", "a", "b"]
        assert len(queue.jobs(JobState.DEAD, limit=2)) == 2


class KeyedQueueContract(QueueContract):
    """What a queue promises that is a table: one row per kind and key, in order, fenced."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    def test_times_are_those_of_the_clock(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        assert (job.enqueued_at, job.run_at) == (clock.now(), clock.now() + LEASE)

    def test_a_lease_holds_to_its_last_second(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        for _ in range(3):
            clock.sleep(LEASE - 1)
            assert queue.heartbeat(job)
        clock.sleep(LEASE - 1)
        assert queue.claim() is None
        clock.sleep(1)
        assert claimed(queue).tries == 2

    def test_jobs_are_claimed_in_the_order_they_are_due(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "later", delay=20.0)
        queue.enqueue(JobKind.ASSET, "sooner", delay=10.0)
        queue.enqueue(JobKind.ASSET, "second", delay=20.0)
        assert queue.claim() is None
        assert queue.next_due() == clock.now() + 10.0
        clock.sleep(20.0)
        assert [claimed(queue).key for _ in range(3)] == ["sooner", "later", "second"]

    def test_kind_and_key_together_are_one_job(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a", {"first": 1})
        queue.enqueue(JobKind.ASSET, "a", {"second": 2})
        queue.enqueue(JobKind.SWEEP, "a")
        queue.enqueue(JobKind.ASSET, "b")
        assert [(job.kind, job.key) for job in queue.jobs()] == [
            (JobKind.ASSET, "a"),
            (JobKind.SWEEP, "a"),
            (JobKind.ASSET, "b"),
        ]
        assert claimed(queue).payload == {"second": 2}

    def test_enqueueing_brings_a_waiting_job_forward_and_never_back(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a", delay=100.0)
        queue.enqueue(JobKind.ASSET, "a", delay=30.0)
        queue.enqueue(JobKind.ASSET, "a", delay=500.0)
        assert queue.next_due() == clock.now() + 30.0

    def test_enqueueing_brings_a_retry_forward(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        queue.retry(claimed(queue), "busy", 900.0)
        queue.enqueue(JobKind.ASSET, "a", {"new": True})
        assert claimed(queue).payload == {"new": True}

    def test_a_job_enqueued_while_it_runs_runs_once_more(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a", {"n": 1})
        job = claimed(queue)
        queue.enqueue(JobKind.ASSET, "a", {"n": 2})
        queue.enqueue(JobKind.ASSET, "a", {"n": 3})
        assert queue.claim() is None, "one at a time per key"
        assert queue.finish(job)
        again = claimed(queue)
        assert (again.payload, again.tries) == ({"n": 3}, 1)
        assert queue.finish(again)
        assert queue.pending() == 0

    def test_a_job_enqueued_while_it_runs_is_not_buried(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.bury(job, "no face")
        again = claimed(queue)
        assert (again.state, again.tries) == (JobState.READY, 1)

    def test_a_delayed_wish_while_running_is_kept_until_it_is_due(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        queue.enqueue(JobKind.ASSET, "a", delay=30.0)
        queue.enqueue(JobKind.ASSET, "a", delay=10.0)
        queue.finish(job)
        assert queue.next_due() == clock.now() + 10.0

    def test_a_wish_that_met_a_dead_worker_is_answered_by_the_next_run(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        claimed(queue)
        queue.enqueue(JobKind.ASSET, "a")
        clock.sleep(LEASE)
        assert queue.finish(claimed(queue))
        assert queue.pending() == 0

    def test_a_wish_while_running_brings_the_retry_forward(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        queue.enqueue(JobKind.ASSET, "a")
        queue.retry(job, "busy", 900.0)
        again = claimed(queue)
        assert again.tries == 2
        assert queue.finish(again)
        assert queue.pending() == 0

    def test_a_wish_answered_by_a_retry_is_not_granted_once_more(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        queue.enqueue(JobKind.ASSET, "a", delay=LEASE / 2)
        queue.retry(job, "busy", 0.0)
        assert queue.finish(claimed(queue))
        assert queue.pending() == 0

    def test_a_lost_lease_changes_nothing(self, queue: Queue, clock: ManualClock) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        lost = claimed(queue)
        clock.sleep(LEASE)
        held = claimed(queue)
        before = list(queue.jobs())
        assert not queue.heartbeat(lost)
        assert not queue.finish(lost)
        assert not queue.retry(lost, "late", 0.0)
        assert not queue.bury(lost, "late")
        assert list(queue.jobs()) == before
        assert queue.finish(held)

    def test_a_job_settled_once_is_not_settled_again(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        job = claimed(queue)
        assert queue.finish(job)
        assert not queue.finish(job)
        assert not queue.retry(job, "late", 0.0)
        queue.enqueue(JobKind.ASSET, "a")
        assert not queue.bury(job, "late")
        assert queue.pending() == 1

    def test_a_retried_job_shows_its_reason_and_when_it_is_due(
        self, queue: Queue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        assert queue.retry(claimed(queue), "busy", 5.0)
        assert queue.next_due() == clock.now() + 5.0
        (waiting,) = queue.jobs(JobState.READY)
        assert (waiting.reason, waiting.token) == ("busy", None)

    def test_a_job_of_long_ago_comes_before_those_that_wait(self, queue: Queue) -> None:
        for key in "abc":
            queue.enqueue(JobKind.ASSET, key)
        queue.enqueue(JobKind.ASSET, "b", delay=-1e9)
        assert claimed(queue).key == "b"

    def test_pictures_that_wait_can_be_counted_apart(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        queue.enqueue(JobKind.SWEEP, "all", delay=self.lease)
        counts = [queue.pending({kind}) for kind in (JobKind.ASSET, JobKind.NOTIFY)]
        assert (counts, queue.pending()) == ([1, 0], 2)

    def test_only_some_kinds_are_claimed(self, queue: Queue) -> None:
        for kind in (JobKind.ASSET, JobKind.NOTIFY, JobKind.SWEEP):
            queue.enqueue(kind, "a")
        assert queue.claim([JobKind.REBUILD]) is None
        kinds = [JobKind.NOTIFY, JobKind.SWEEP]
        assert [claimed(queue, kinds).kind, claimed(queue, kinds).kind] == kinds
        assert queue.claim(kinds) is None
        assert claimed(queue).kind is JobKind.ASSET

    def test_enqueueing_revives_a_dead_job(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        queue.bury(claimed(queue), "no face")
        queue.enqueue(JobKind.ASSET, "a", {"new": True})
        job = claimed(queue)
        assert (job.tries, job.payload, job.reason) == (1, {"new": True}, "")

    def test_jobs_are_listed_oldest_first_up_to_a_limit(self, queue: Queue) -> None:
        for key in "cab":
            queue.enqueue(JobKind.ASSET, key)
        assert [job.key for job in queue.jobs()] == ["c", "a", "b"]
        assert [job.key for job in queue.jobs(limit=2)] == ["c", "a"]

    def test_a_dead_job_among_several_enqueued_is_revived(self, queue: Queue) -> None:
        queue.enqueue(JobKind.ASSET, "c")
        queue.bury(claimed(queue), "because")
        queue.enqueue_all([JobRequest(JobKind.ASSET, key) for key in "abc"])
        jobs = [claimed(queue) for _ in range(3)]
        assert sorted(job.key for job in jobs) == ["a", "b", "c"]
        assert [job.tries for job in jobs] == [1, 1, 1]

    def test_what_is_not_dead_stays_on_the_list(self, queue: Queue) -> None:
        self.bury(queue, "a")
        queue.enqueue(JobKind.ASSET, "alive")
        assert queue.drop() == 1
        assert [job.key for job in queue.jobs()] == ["alive"]


class TestMemoryQueue(KeyedQueueContract):
    """In memory."""

    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        return MemoryQueue(clock, lease=LEASE)


class StoreQueueContract(KeyedQueueContract):
    """What the database adds: a subclass provides the fixture ``database``."""

    @pytest.fixture
    def queue(self, database: Database, clock: ManualClock) -> StoreQueue:
        return StoreQueue(database, clock, lease=LEASE)

    def test_a_job_enqueued_in_a_transaction_shares_its_fate(
        self, queue: StoreQueue, database: Database
    ) -> None:
        def enqueue_and_fail() -> None:
            with database.transaction() as connection:
                queue.enqueue_in(connection, JobKind.ASSET, "undone")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            enqueue_and_fail()
        with database.transaction() as connection:
            queue.enqueue_in(connection, JobKind.ASSET, "done", {"n": 1}, delay=0.0)
        assert [job.key for job in queue.jobs()] == ["done"]

    def test_a_reason_is_kept_to_its_end_and_whatever_it_holds(self, queue: StoreQueue) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        queue.bury(claimed(queue), "x" * 1_000_000 + "\0\udc80the end")
        (dead,) = queue.jobs()
        assert dead.reason.endswith("x?the end")
        assert len(dead.reason) < 10_000

    def test_many_dead_jobs_are_chosen_at_once(self, queue: StoreQueue) -> None:
        ids = self.bury(queue, "a", "b")
        assert queue.drop([*range(10_000, 50_000), *ids.values()]) == 2

    def test_jobs_survive_the_process(
        self, queue: StoreQueue, database: Database, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        database.close()
        assert claimed(StoreQueue(database, clock)).key == "a"

    def test_a_hundred_jobs_are_listed_unless_more_are_asked_for(self, queue: StoreQueue) -> None:
        queue.enqueue_all([JobRequest(JobKind.ASSET, f"{number}") for number in range(101)])
        assert len(queue.jobs()) == 100
        assert len(queue.jobs(limit=101)) == 101

    def test_a_dead_job_is_not_claimed_when_its_lease_would_have_ended(
        self, queue: StoreQueue, clock: ManualClock
    ) -> None:
        queue.enqueue(JobKind.ASSET, "a")
        queue.bury(claimed(queue), "no image")
        clock.sleep(2 * LEASE)
        assert queue.claim() is None

    def test_a_lease_is_a_minute_unless_told_otherwise(
        self, database: Database, clock: ManualClock
    ) -> None:
        queue = StoreQueue(database, clock)
        queue.enqueue(JobKind.ASSET, "a")
        claimed(queue)
        clock.sleep(59.5)
        assert queue.claim() is None
        clock.sleep(0.5)
        assert claimed(queue).key == "a"


class TestSqliteQueue(StoreQueueContract):
    """On SQLite."""

    @pytest.fixture
    def database(self, sqlite: Database) -> Database:
        return sqlite


class TestPostgresqlQueue(StoreQueueContract):
    """On PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql: Database) -> Database:
        return postgresql


class TestSqsQueue(QueueContract):
    """On SQS, in real time: its seconds are whole."""

    lease = 2.0

    @pytest.fixture
    def clock(self) -> Clock:
        return SystemClock()

    @pytest.fixture
    def queue(self, clock: Clock) -> Queue:
        jobs, dead = new_queues()
        waiting = Waiting(new_table(), clock)
        return SqsQueue(client("sqs"), jobs, dead, clock, waiting=waiting, lease=self.lease, wait=0)
