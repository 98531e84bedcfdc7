"""Claim, handle, and then finish, retry or bury."""

from __future__ import annotations

import gc
import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.waiting import PATIENCE, until

from facelabel.core.clock import RetryPolicy
from facelabel.core.jobs import Job, JobKind, JobState, Outcome, OutcomeKind
from facelabel.errors import ConfigurationError, Rejected, Throttled, Unavailable
from facelabel.recognition.worker import REASONS, Done, Worker, one_at_a_time
from facelabel.testing import ManualClock, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Shop:
    """A queue and a worker whose only handler does what it is told."""

    clock: ManualClock = field(default_factory=ManualClock)
    troubles: list[BaseException] = field(default_factory=list)
    worked: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put one job in the queue."""
        self.queue = MemoryQueue(self.clock, lease=60)
        self.worker = Worker(self.queue, {JobKind.ASSET: self.handle}, self.clock)
        self.queue.enqueue(JobKind.ASSET, "a")

    def handle(self, job: Job) -> Outcome:
        """Raise the next trouble, if there is one."""
        self.worked.append(job)
        if self.troubles:
            raise self.troubles.pop(0)
        return Outcome(OutcomeKind.SEARCHED)

    def only_job(self) -> Job:
        """The one job there is."""
        (job,) = self.queue.jobs()
        return job

    def forward(self) -> float:
        """Move the clock to the next job; return by how much."""
        due = self.queue.next_due()
        assert due is not None
        waited = due - self.clock.time
        self.clock.time = due
        return waited


@pytest.fixture
def shop() -> Shop:
    """Return a worker with one job to do."""
    return Shop()


def test_a_job_done_is_gone(shop: Shop) -> None:
    done = shop.worker.run_one()
    assert done == Done(shop.worked[0], Outcome(OutcomeKind.SEARCHED))
    assert not shop.queue.jobs()
    assert shop.worker.run_one() is None


def test_rejected_is_buried_with_its_reason(shop: Shop) -> None:
    shop.troubles = [Rejected("two faces")]
    done = shop.worker.run_one()
    assert done is not None
    assert (done.error, done.buried, done.outcome) == ("two faces", True, None)
    assert (shop.only_job().state, shop.only_job().reason) == (JobState.DEAD, "two faces")
    assert shop.worker.run_one() is None


def test_unavailable_is_retried_later_and_later_until_it_is_given_up(shop: Shop) -> None:
    shop.troubles = [Unavailable("no network") for _ in range(99)]
    waits = []
    while shop.queue.pending():
        shop.worker.run_one()
        if shop.queue.pending():
            assert shop.only_job().reason == "no network"
            waits.append(shop.forward())
    assert len(shop.worked) == 12
    for number, wait in enumerate(waits):
        usual = min(600, 2 * 2**number)
        assert 0.5 * usual <= wait <= 1.5 * usual
    assert (shop.only_job().state, shop.only_job().reason) == (JobState.DEAD, "no network")


def test_retries_of_many_jobs_spread() -> None:
    waits = {round(RetryPolicy().delay(5), 3) for _ in range(50)}
    assert len(waits) > 40
    assert max(waits) > 1.5 * min(waits)


class Hasty(MemoryQueue):
    """Tries again once, after four seconds."""

    retries = RetryPolicy(first=4.0, longest=4.0, tries=2)


def test_how_often_is_for_the_queue_to_say() -> None:
    clock = ManualClock()
    queue = Hasty(clock)
    queue.enqueue(JobKind.ASSET, "a")

    def fail(_job: Job) -> Outcome:
        raise Unavailable("away")

    worker = Worker(queue, {JobKind.ASSET: fail}, clock)
    first = worker.run_one()
    assert first is not None
    assert not first.buried
    due = queue.next_due()
    assert due is not None
    assert 2.0 <= due - clock.time <= 6.0
    clock.time = due
    second = worker.run_one()
    assert second is not None
    assert second.buried


def test_the_other_side_may_ask_for_more_patience(shop: Shop) -> None:
    shop.troubles = [Unavailable("quota", retry_after=333)]
    shop.worker.run_one()
    assert shop.forward() == 333
    done = shop.worker.run_one()
    assert done is not None
    assert done.outcome is not None


def test_being_asked_for_less_patience_does_not_shorten_ours(shop: Shop) -> None:
    shop.troubles = [Unavailable("busy", retry_after=0.1)]
    shop.worker.run_one()
    assert shop.forward() >= 1


def test_a_wrong_setting_is_retried_without_a_traceback(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A model without a calibration, for example."""
    shop.troubles = [ConfigurationError("no calibration")]
    done = shop.worker.run_one()
    assert done is not None
    assert (done.error, done.buried) == ("no calibration", False)
    assert "Traceback" not in caplog.text


def test_a_bug_is_retried_and_ends_as_a_dead_letter_with_its_traceback(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.troubles = [ZeroDivisionError("oops") for _ in range(12)]
    with caplog.at_level(logging.CRITICAL):
        shop.worker.run_one()
        assert shop.only_job().state is JobState.READY
        while shop.queue.pending():
            shop.forward()
            shop.worker.run_one()
    assert len(shop.worked) == 12
    assert shop.only_job().state is JobState.DEAD
    for expected in ("Traceback", "in handle", "ZeroDivisionError: oops"):
        assert expected in shop.only_job().reason


def test_the_reason_of_a_bug_is_where_it_happened_and_not_the_whole_way_there(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def deeper(depth: int) -> Outcome:
        if not depth:
            raise ZeroDivisionError("oops")
        return deeper(depth - 1)

    worker = Worker(shop.queue, {JobKind.ASSET: lambda _: deeper(20)}, shop.clock)
    with caplog.at_level(logging.CRITICAL):
        worker.run_one()
    reason = shop.only_job().reason
    assert 'raise ZeroDivisionError("oops")' in reason
    assert "_handled" not in reason


def test_an_asset_is_in_hand_while_its_job_is_worked() -> None:
    held: list[str] = []

    @contextmanager
    def hold(key: str) -> Iterator[None]:
        held.append(key)
        yield
        held.remove(key)

    def examine(job: Job) -> Outcome:
        assert held == [job.key]
        return Outcome(OutcomeKind.SEARCHED)

    kinds = dict.fromkeys((JobKind.ASSET, JobKind.SWEEP), examine)
    job = Job(1, JobKind.ASSET, "a", {}, JobState.READY, 1, 0.0)
    assert one_at_a_time(kinds, hold)[JobKind.ASSET](job) == Outcome(OutcomeKind.SEARCHED)
    assert held == []


def test_an_interrupted_job_is_given_back_at_once(shop: Shop) -> None:
    """Ctrl-C: the next run need not wait for the lease to end."""
    shop.troubles = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        shop.worker.run_one()
    assert shop.forward() == 0
    assert shop.worker.run_one() == Done(shop.worked[1], Outcome(OutcomeKind.SEARCHED))


def test_the_job_in_hand_can_be_given_back_and_is_not_finished_afterwards(shop: Shop) -> None:
    """Told to stop, a server does not wait for a long job, nor the next one for its lease."""
    taken: list[Job | None] = []

    def endless(_job: Job) -> Outcome:
        worker.give_back()
        taken.append(shop.queue.claim())
        return Outcome(OutcomeKind.SEARCHED)

    worker = Worker(shop.queue, {JobKind.ASSET: endless}, shop.clock)
    worker.run_one()
    worker.give_back()  # nothing is in hand any more
    assert taken == [shop.only_job()]
    assert (shop.only_job().tries, shop.only_job().reason) == (1, "stopped")


def test_a_job_that_kills_its_worker_every_time_ends_dead(shop: Shop) -> None:
    shop.troubles = [Killed() for _ in range(99)]
    for _ in range(12):
        with pytest.raises(Killed):
            shop.worker.run_one()
        assert shop.worker.run_one() is None  # its lease still runs
        assert shop.forward() == 60
    done = shop.worker.run_one()
    assert done is not None
    assert done.buried
    assert len(shop.worked) == 12
    assert "kills its worker" in shop.only_job().reason


def test_a_job_enqueued_while_it_was_worked_runs_once_more(shop: Shop) -> None:
    def enqueue_again(job: Job) -> Outcome:
        shop.queue.enqueue(job.kind, job.key)
        return Outcome(OutcomeKind.SEARCHED)

    Worker(shop.queue, {JobKind.ASSET: enqueue_again}, shop.clock).run_one()
    assert shop.worker.run_one() is not None
    assert shop.worker.run_one() is None


@pytest.mark.parametrize("trouble", [None, Rejected("bad"), Unavailable("away")])
def test_a_worker_that_lost_its_lease_leaves_the_job_alone(
    shop: Shop, trouble: Exception | None
) -> None:
    taken: list[Job | None] = []

    def slow(_job: Job) -> Outcome:
        shop.clock.time += 61
        taken.append(shop.queue.claim())
        if trouble:
            raise trouble
        return Outcome(OutcomeKind.SEARCHED)

    Worker(shop.queue, {JobKind.ASSET: slow}, shop.clock).run_one()
    assert taken == [shop.only_job()]
    assert taken[0] is not None
    assert shop.queue.finish(taken[0])


def test_heartbeats_keep_the_lease_through_long_work(shop: Shop) -> None:
    def long_work(_job: Job) -> Outcome:
        for _ in range(5):
            shop.clock.time += 50
            worker.leases.beat()
            assert shop.queue.claim() is None
        return Outcome(OutcomeKind.SEARCHED)

    worker = Worker(shop.queue, {JobKind.ASSET: long_work}, shop.clock)
    done = worker.run_one()
    assert done is not None
    assert done.outcome is not None
    assert not shop.queue.jobs()


class LeaseLost(Exception):
    """Another worker has the job."""


class Listening(MemoryQueue):
    """Notes the heartbeats, and meets the next trouble at each, if there is one."""

    def __init__(self, shop: Shop, *troubles: Exception) -> None:
        """Hold one job."""
        super().__init__(shop.clock)
        self.beats: list[str] = []
        self.troubles = [*troubles]
        self.enqueue(JobKind.ASSET, "a")

    def heartbeat(self, job: Job) -> bool:
        """Note it."""
        self.beats.append(job.key)
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, LeaseLost):
            return False
        if trouble:
            raise trouble
        return super().heartbeat(job)


def test_heartbeats_go_on_after_trouble_and_end_with_the_lease(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Listening(
        shop, Unavailable("the database is away"), ZeroDivisionError("a bug"), LeaseLost()
    )

    def long_work(_job: Job) -> Outcome:
        for _ in range(9):
            worker.leases.beat()
        return Outcome(OutcomeKind.SEARCHED)

    worker = Worker(queue, {JobKind.ASSET: long_work}, shop.clock)
    worker.run_one()
    assert queue.beats == ["a"] * 3
    assert "the database is away" in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text
    assert caplog.text.count("the lease was lost") == 1


def test_hearts_beat_by_themselves_whatever_happens_for_one_job_after_the_other(
    shop: Shop,
) -> None:
    queue = Listening(shop, ZeroDivisionError("a bug"), Unavailable("the database is away"))
    queue.enqueue(JobKind.ASSET, "b")

    def long_work(job: Job) -> Outcome:
        until(lambda: queue.beats.count(job.key) >= 3)
        return Outcome(OutcomeKind.SEARCHED)

    worker = Worker(queue, {JobKind.ASSET: long_work}, shop.clock, heartbeat=0.002)
    worker.drain()
    assert queue.beats == sorted(queue.beats)


def test_no_heartbeat_comes_after_what_the_worker_says_about_a_job(shop: Shop) -> None:
    """On SQS it would undo the delay of a retry: both set when the message is seen again."""
    begun, ending = threading.Event(), threading.Event()
    said: list[str] = []

    class Slow(MemoryQueue):
        def heartbeat(self, job: Job) -> bool:
            begun.set()
            assert ending.wait(PATIENCE)
            said.append("beat")
            return super().heartbeat(job)

        def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
            said.append("retry")
            return super().retry(job, reason, delay, counted=counted)

    def work(_job: Job) -> Outcome:
        assert begun.wait(PATIENCE)
        ending.set()
        raise Unavailable("no network")

    queue = Slow(shop.clock)
    queue.enqueue(JobKind.ASSET, "a")
    worker = Worker(queue, {JobKind.ASSET: work}, shop.clock, heartbeat=0.002)
    worker.run_one()
    worker.leases.beat()
    assert said == ["beat", "retry"]


@pytest.mark.parametrize("end", [None, Rejected("bad"), KeyboardInterrupt(), Killed()])
def test_a_job_that_is_over_is_in_hand_no_more(shop: Shop, end: BaseException | None) -> None:
    queue = Listening(shop)
    shop.troubles = [end] if end else []
    worker = Worker(queue, {JobKind.ASSET: shop.handle}, shop.clock)
    with suppress(KeyboardInterrupt, Killed):
        worker.run_one()
    worker.leases.beat()
    assert queue.beats == []
    assert worker.leases.let_go() == []


def test_a_job_given_back_has_no_heartbeat_and_no_lease_to_lose(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Listening(shop)

    def endless(_job: Job) -> Outcome:
        worker.give_back()
        worker.leases.beat()
        return Outcome(OutcomeKind.SEARCHED)

    worker = Worker(queue, {JobKind.ASSET: endless}, shop.clock)
    worker.run_one()
    assert queue.beats == []
    assert not caplog.records


def test_a_thousand_jobs_start_one_thread_and_it_ends_with_the_worker(shop: Shop) -> None:
    before = set(threading.enumerate())
    threads: set[threading.Thread] = set()

    def work(_job: Job) -> Outcome:
        threads.update(set(threading.enumerate()) - before)
        return Outcome(OutcomeKind.SEARCHED)

    for number in range(1000):
        shop.queue.enqueue(JobKind.ASSET, f"{number}")
    worker = Worker(shop.queue, {JobKind.ASSET: work}, shop.clock)
    assert before.issuperset(threading.enumerate())  # an idle one needs none
    worker.drain()
    assert not shop.queue.jobs()
    (thread,) = threads
    assert thread.is_alive()
    assert (thread.name, thread.daemon) == ("heartbeat", True)  # no program waits for it to end
    del worker
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_drain_waits_for_what_is_due_soon_and_leaves_the_rest(shop: Shop) -> None:
    shop.queue.enqueue(JobKind.ASSET, "soon", delay=4)
    shop.queue.enqueue(JobKind.ASSET, "late", delay=20)
    start = shop.clock.time
    seen: list[Done] = []
    shop.worker.drain(seen.append, patience=5)
    assert [done.job.key for done in seen] == ["a", "soon"]
    assert 4 <= shop.clock.time - start < 5
    assert shop.only_job().key == "late"


def test_drain_waits_for_no_sweep_with_nothing_else_to_do(shop: Shop) -> None:
    """It was put off for the sake of jobs to come; one that failed is not begun at once again."""
    shop.worker.drain()
    start = shop.clock.time
    worker = Worker(
        shop.queue, {JobKind.SWEEP: shop.handle, JobKind.ASSET: shop.handle}, shop.clock
    )
    shop.queue.enqueue(JobKind.SWEEP, "all", {"a": 1}, delay=3)
    worker.drain()
    assert (shop.clock.time, shop.worked[-1].payload) == (start, {"a": 1})

    shop.troubles = [Unavailable("away")]
    shop.queue.enqueue(JobKind.SWEEP, "all", delay=3)
    worker.drain()
    assert shop.clock.time > start
    assert not shop.queue.jobs()


def test_a_sweep_waits_for_what_others_have_in_hand(shop: Shop) -> None:
    assert shop.queue.claim()
    start = shop.clock.time
    shop.queue.enqueue(JobKind.SWEEP, "all", delay=3)
    Worker(shop.queue, {JobKind.SWEEP: shop.handle}, shop.clock).drain()
    assert shop.clock.time >= start + 3
    assert [job.kind for job in shop.worked] == [JobKind.SWEEP]


def test_what_is_due_is_worked_as_long_as_there_is_time(shop: Shop) -> None:
    """The job in hand when it is over is finished, and none begun after it."""

    def slow(job: Job) -> Outcome:
        shop.clock.time += 20
        return shop.handle(job)

    for key in ("b", "c"):
        shop.queue.enqueue(JobKind.ASSET, key)
    shop.queue.enqueue(JobKind.ASSET, "later", delay=3)
    worker = Worker(shop.queue, {JobKind.ASSET: slow}, shop.clock)
    assert [done.job.key for done in worker.due(30)] == ["a", "b"]
    assert [*worker.due(0)] == []
    assert [done.job.key for done in worker.due(300)] == ["c", "later"]
    assert [*worker.due(300)] == []


def test_drain_works_what_its_jobs_enqueue(shop: Shop) -> None:
    def chain(job: Job) -> Outcome:
        shop.worked.append(job)
        if len(shop.worked) < 5:
            shop.queue.enqueue(JobKind.ASSET, f"{len(shop.worked)}", delay=1)
        return Outcome(OutcomeKind.SEARCHED)

    Worker(shop.queue, {JobKind.ASSET: chain}, shop.clock).drain()
    assert len(shop.worked) == 5


def test_run_outlives_trouble_with_the_queue_and_stops_when_told(shop: Shop) -> None:
    class Away(MemoryQueue):
        claims = 0

        def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
            self.claims += 1
            if self.claims == 1:
                raise Unavailable("the database is away")
            return super().claim()

    queue = Away(shop.clock)
    queue.enqueue(JobKind.ASSET, "a")
    worker = Worker(queue, {JobKind.ASSET: shop.handle}, shop.clock)
    stop = threading.Event()
    seen: list[str] = []

    def on_done(done: Done) -> None:
        seen.append(done.job.key)
        stop.set()

    worker.run(stop, on_done)
    assert seen == ["a"]


def test_many_workers_share_a_queue_and_each_job_is_done_once(shop: Shop) -> None:
    for number in range(200):
        shop.queue.enqueue(JobKind.ASSET, f"{number}")
    threads = [threading.Thread(target=shop.worker.drain) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.key for job in shop.worked) == sorted(["a", *map(str, range(200))])
    assert not shop.queue.jobs()


def test_waiting_for_a_quota_is_no_failed_try(shop: Shop) -> None:
    for _ in range(50):
        shop.troubles = [Throttled("500 calls an hour are used up", retry_after=3000)]
        done = shop.worker.run_one()
        assert done == Done(shop.worked[-1], error="500 calls an hour are used up")
        assert shop.forward() == pytest.approx(3000)
    assert (shop.only_job().tries, shop.only_job().state) == (0, JobState.READY)
    assert shop.only_job().reason == "500 calls an hour are used up"
    assert shop.worker.run_one() == Done(shop.worked[-1], Outcome(OutcomeKind.SEARCHED))


def test_a_worker_of_some_kinds_leaves_the_others(shop: Shop) -> None:
    worker = Worker(shop.queue, {JobKind.NOTIFY: shop.handle}, shop.clock, kinds=[JobKind.NOTIFY])
    assert worker.run_one() is None
    shop.queue.enqueue(JobKind.NOTIFY, "n")
    assert worker.run_one() is not None
    assert shop.only_job().kind is JobKind.ASSET


def test_what_fails_is_logged_where_nobody_is_told(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """By a service, with the picture's name; who drains the queue is told of each job instead."""
    told: list[Done] = []
    rejection = Rejected("two faces")
    rejection.about = "training/john"
    shop.troubles = [rejection]
    shop.worker.drain(told.append)
    assert [(done.error, done.public_id) for done in told] == [("two faces", "training/john")]
    assert not caplog.records

    shop.troubles = [rejection]
    shop.queue.revive()
    stop = threading.Event()
    shop.worker.run(stop, lambda _: stop.set())
    assert caplog.messages == ["asset training/john failed for good: two faces"]
    shop.troubles = [rejection]
    shop.queue.revive()
    assert len([*shop.worker.due(60)]) == 1
    assert len(caplog.messages) == 2


def test_why_pictures_are_ignored_is_logged_once(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Each reason, and only so many: an account may have thousands of folders."""
    reasons = [f"reason {number % 20:02}" for number in range(60)]
    stop = threading.Event()

    def ignore(job: Job) -> Outcome:
        return Outcome(OutcomeKind.IGNORED, public_id=job.key, note=reasons[int(job.key)])

    def note(job: Job) -> Outcome:
        return Outcome(OutcomeKind.IGNORED, public_id=job.key, note="no tags of ours")

    worker = Worker(shop.queue, {JobKind.ASSET: ignore, JobKind.TAGS: note}, shop.clock)
    shop.worker.run_one()
    for number in range(60):
        shop.queue.enqueue(JobKind.ASSET, str(number))
        shop.queue.enqueue(JobKind.TAGS, str(number))
    worker.run(stop, lambda _: None if shop.queue.pending() else stop.set())
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"{n} is ignored: reason {n:02} (said once)" for n in range(REASONS)]
