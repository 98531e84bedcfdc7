"""Works the queue: claim, handle, finish, or retry, or bury.

Several workers, in threads or processes or on several machines, share one queue. A worker that
dies loses its lease and another takes the job over; one that was only slow finds its token stale
and leaves the job alone.
"""

from __future__ import annotations

import logging
import threading
import traceback
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from facelabel.core.jobs import JobKind, JobState, OutcomeKind
from facelabel.errors import ConfigurationError, FacelabelError, Rejected, Throttled, Unavailable
from facelabel.recognition.notices import Notices
from facelabel.recognition.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import Job, Outcome
    from facelabel.recognition.pipeline import Pipeline
    from facelabel.recognition.ports import Queue

    Handler: TypeAlias = Callable[[Job], Outcome]
    #: A lock on an asset; Unavailable if somebody else has it.
    Hold: TypeAlias = Callable[[str], AbstractContextManager[None]]

log = logging.getLogger(__name__)

#: Seconds an idle worker sleeps before it looks again.
IDLE_SECONDS = 0.5
#: So many reasons for which pictures are ignored are logged: an account may have many folders.
REASONS = 10


def handlers(pipeline: Pipeline) -> dict[JobKind, Handler]:
    """What is done for every kind of job about pictures, by what is agreed to when it is done."""
    changes = Notices(pipeline.library, pipeline.ledger, pipeline.queue, pipeline.label_policy)

    def tags(job: Job) -> Outcome:
        """Which labels count may have been agreed to meanwhile."""
        return replace(changes, label_policy=pipeline.agreed().label_policy).tags(job)

    return {
        JobKind.ASSET: pipeline.examine,
        JobKind.SWEEP: pipeline.sweep,
        JobKind.TAGS: tags,
        JobKind.FIND: changes.find,
        JobKind.FOLDER: changes.folder,
        JobKind.REBUILD: lambda job: Reconciler.of(pipeline.agreed()).rebuild(job),
        JobKind.RECONCILE: lambda job: Reconciler.of(pipeline.agreed()).reconcile(job),
    }


def one_at_a_time(
    handlers: Mapping[JobKind, Handler], hold: Hold | None
) -> Mapping[JobKind, Handler]:
    """The same, for a queue that may hand out two jobs about one asset at the same time.

    ``hold``: None for a queue that does not.
    """
    if hold is None:
        return handlers

    def examine(job: Job) -> Outcome:
        """Look at the asset while nobody else does."""
        with hold(job.key):
            return handlers[JobKind.ASSET](job)

    return {**handlers, JobKind.ASSET: examine}


@dataclass(frozen=True, slots=True)
class Done:
    """How one job went: an outcome, or the reason it was retried or buried."""

    job: Job
    outcome: Outcome | None = None
    error: str = ""
    buried: bool = False
    #: The picture that failed, where it was found.
    public_id: str = ""


@dataclass(eq=False)
class Heartbeat:
    """Keeps the leases of the jobs in hand, from one thread that starts with the first of them.

    The thread ends with this object, to which it has only a weak reference.
    """

    queue: Queue
    #: Between two beats.
    seconds: float
    _jobs: list[Job] = field(default_factory=list, init=False)
    _is_running: bool = field(default=False, init=False)
    # Held while leases are extended: whoever lets go of a job knows that no beat is under way
    # any more that could undo what he then says about it.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @contextmanager
    def keeping(self, job: Job) -> Iterator[None]:
        """Keep the lease of a job until the block ends, or it is lost."""
        try:
            with self._lock:
                self._jobs.append(job)
                if not self._is_running:
                    # Not an Event: the garbage collector may call this at any moment, in that
                    # thread as well.
                    over: SimpleQueue[None] = SimpleQueue()
                    weakref.finalize(self, over.put, None)
                    args = (weakref.ref(self), over, self.seconds)
                    threading.Thread(target=_beat, args=args, name="heartbeat", daemon=True).start()
                    self._is_running = True
            yield
        finally:
            with self._lock:
                if job in self._jobs:
                    self._jobs.remove(job)

    def let_go(self) -> list[Job]:
        """Let go of every job in hand; return them."""
        with self._lock:
            jobs, self._jobs = self._jobs, []
        return jobs

    def beat(self) -> None:
        """Extend the leases now; a job whose lease was lost is in hand no more."""
        with self._lock:
            self._jobs = [job for job in self._jobs if self._is_extended(job)]

    def _is_extended(self, job: Job) -> bool:
        """Whether the job is still ours, as far as can be told."""
        try:
            if self.queue.heartbeat(job):
                return True
        except Unavailable as trouble:
            log.warning("no heartbeat: %s", trouble)
            return True
        except Exception:  # a bug here must not cost the jobs to come their leases
            log.exception("no heartbeat of %s %s", job.kind, job.key)
            return True
        log.warning("%s %s: the lease was lost", job.kind, job.key)
        return False


def _beat(reference: weakref.ref[Heartbeat], over: SimpleQueue[None], seconds: float) -> None:
    """Beat every so many seconds until it is over."""
    while True:
        with suppress(Empty):
            over.get(timeout=seconds)
            return
        if heartbeat := reference():
            heartbeat.beat()
        del heartbeat  # or it would live until the next beat


@dataclass(frozen=True)
class Worker:
    """Takes one job at a time."""

    queue: Queue
    handlers: Mapping[JobKind, Handler]
    clock: Clock
    #: Seconds between two heartbeats; a third of the lease.
    heartbeat: float = 20.0
    #: Takes only jobs of these kinds; empty: all that there are handlers for.
    kinds: Collection[JobKind] = ()

    #: The leases of the jobs in hand.
    leases: Heartbeat = field(init=False, repr=False, compare=False)
    #: Why pictures were ignored, as far as it was logged.
    _ignored: set[str] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        """Nothing is in hand yet."""
        object.__setattr__(self, "leases", Heartbeat(self.queue, self.heartbeat))

    def run(self, stop: threading.Event, on_done: Callable[[Done], None] | None = None) -> None:
        """Work until told to stop; the job in hand is finished first.

        What fails for good is logged, as is trouble with the queue itself (its database is away),
        which is waited out.
        """
        while not stop.is_set():
            try:
                done = self.run_one()
            except Unavailable as trouble:
                log.warning("the queue is not available: %s", trouble)
                done = None
            if done is None:
                stop.wait(IDLE_SECONDS)
                continue
            log_failure(done)
            self._log_ignored(done)
            if on_done:
                on_done(done)

    def drain(
        self, on_done: Callable[[Done], None] | None = None, *, patience: float = 5.0
    ) -> None:
        """Work until nothing is left that is due within ``patience`` seconds."""
        while True:
            done = self.run_one()
            if done:
                if on_done:
                    on_done(done)
                continue
            due = self.queue.next_due()
            if due is None or due > self.clock.now() + patience:
                return
            if not self._hurries(due):
                self.clock.sleep(max(0.01, min(IDLE_SECONDS, due - self.clock.now())))

    def _hurries(self, due: float) -> bool:
        """Have a sweep done now if that is what is due next, and nothing else is at work.

        It was put off so that one sweep serves several jobs; there is none now to wait for.
        """
        ready = self.queue.jobs(JobState.READY)
        first = next((job for job in ready if job.run_at == due), None)
        if first is None or first.kind is not JobKind.SWEEP or first.tries:
            return False
        if any(job.token for job in ready):
            return False
        self.queue.enqueue(first.kind, first.key, first.payload)
        return True

    def due(self, seconds: float) -> Iterator[Done]:
        """Work what is due; begin nothing more after so many seconds. Logs as :meth:`run`."""
        end = self.clock.now() + seconds
        while self.clock.now() < end and (done := self.run_one()):
            log_failure(done)
            yield done

    def run_one(self) -> Done | None:
        """Claim and work one job; None if none is due."""
        job = self.queue.claim(self.kinds)
        return self.work(job) if job else None

    def work(self, job: Job) -> Done:
        """Work a job that was claimed."""
        try:
            if job.tries > self.queue.retries.tries:
                return self._bury(
                    job, "started again and again and never finished: it kills its worker"
                )
            try:
                with self.leases.keeping(job):
                    outcome = self.handlers[job.kind](job)
            except Rejected as rejection:
                return self._bury(job, str(rejection), rejection.about)
            except (Unavailable, ConfigurationError) as trouble:
                # What is set wrongly someone is to mend, and may do so while we run.
                return self._retry(job, str(trouble), trouble)
            except Exception as bug:
                log.exception("job %s %s failed", job.kind, job.key)
                return self._retry(job, traceback.format_exc(limit=-8), bug)
            self.queue.finish(job)
        except KeyboardInterrupt:
            self.queue.retry(job, "interrupted", 0.0)  # nobody need wait for the lease to end
            raise
        log.info("%s %s: %s %s", job.kind, job.key, outcome.kind, outcome.public_id)
        return Done(job, outcome)

    def give_back(self) -> None:
        """Return the job in hand to the queue: who runs this worker cannot wait for it any more.

        Whatever the job still comes to is not taken from a worker that has given it back.
        """
        for job in self.leases.let_go():
            try:
                self.queue.retry(job, "stopped", 0.0, counted=False)
            except Unavailable:
                log.warning("%s %s: free when its lease ends", job.kind, job.key)

    def _log_ignored(self, done: Done) -> None:
        """Log why a picture is ignored: each reason once, and so many at most."""
        outcome = done.outcome
        if outcome is None or done.job.kind is not JobKind.ASSET:
            return
        is_new = outcome.note not in self._ignored and len(self._ignored) < REASONS
        if outcome.kind is OutcomeKind.IGNORED and is_new:
            self._ignored.add(outcome.note)
            log.warning("%s is ignored: %s (said once)", outcome.public_id, outcome.note)

    def _retry(self, job: Job, reason: str, trouble: Exception) -> Done:
        """Try it again later; bury it after so many tries.

        A quota is waited for however long it takes: that is nobody's failure.
        """
        retries, is_failure = self.queue.retries, not isinstance(trouble, Throttled)
        about = trouble.about if isinstance(trouble, FacelabelError) else ""
        if is_failure and job.tries >= retries.tries:
            return self._bury(job, reason, about)
        delay = retries.delay(job.tries) if is_failure else retries.first
        asked = trouble.retry_after if isinstance(trouble, Unavailable) else None
        self.queue.retry(job, reason, max(delay, asked or 0.0), counted=is_failure)
        return Done(job, error=reason, public_id=about)

    def _bury(self, job: Job, reason: str, about: str = "") -> Done:
        self.queue.bury(job, reason)
        return Done(job, error=reason, buried=True, public_id=about)


def log_failure(done: Done) -> None:
    """Log a job that failed for good: for workers whom nobody watches."""
    if done.buried:
        job, reason = done.job, done.error.strip().rpartition("\n")[2]
        picture = done.public_id or job.key
        log.warning("%s %s failed for good: %s", job.kind, picture, reason)
