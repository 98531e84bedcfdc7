"""A queue in a dictionary."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import uuid
from typing import TYPE_CHECKING

from facelabel.core.clock import RetryPolicy
from facelabel.core.jobs import Job, JobKind, JobState
from facelabel.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import JobRequest
    from facelabel.core.model import Json


@dataclasses.dataclass
class _Row:
    """A job as it stands in the queue."""

    job: Job
    #: When to run once more: set by an enqueue that met the job running.
    again_at: float | None = None


class MemoryQueue:
    """The queue in a dictionary, safe between threads."""

    retries = RetryPolicy()

    def __init__(self, clock: Clock | None = None, lease: float = 60.0) -> None:
        """Lease jobs for ``lease`` seconds of ``clock``."""
        self._clock = clock or ManualClock()
        self._lease = lease
        self._rows: dict[tuple[JobKind, str], _Row] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """See :class:`facelabel.recognition.ports.Queue`."""
        now = self._clock.now()
        due = now + delay
        with self._lock:
            row = self._rows.get((kind, key))
            if row is None:
                job = Job(
                    next(self._ids), kind, key, payload or {}, JobState.READY, 0, due,
                    enqueued_at=now,
                )  # fmt: skip
                self._rows[kind, key] = _Row(job)
                return
            row.job = dataclasses.replace(row.job, payload=payload or {})
            if row.job.state is JobState.DEAD:
                row.job = _afresh(row.job, due)
            elif row.job.token:
                row.again_at = _sooner(row.again_at, due)
            else:
                row.job = dataclasses.replace(row.job, run_at=min(row.job.run_at, due))

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """See :class:`facelabel.recognition.ports.Queue`."""
        for request in requests:
            self.enqueue(request.kind, request.key, request.payload)

    def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
        """See :class:`facelabel.recognition.ports.Queue`."""
        now = self._clock.now()
        with self._lock:
            wanted = [row for row in self._ready() if not kinds or row.job.kind in kinds]
            due = [row for row in wanted if row.job.run_at <= now]
            if not due:
                return None
            row = min(due, key=lambda row: (row.job.run_at, row.job.job_id))
            if row.again_at is not None and row.again_at <= now:
                row.again_at = None  # what was asked for before a run starts is answered by it
            row.job = dataclasses.replace(
                row.job, tries=row.job.tries + 1, run_at=now + self._lease, token=uuid.uuid4().hex
            )
            return row.job

    def heartbeat(self, job: Job) -> bool:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row:
                row.job = dataclasses.replace(row.job, run_at=self._clock.now() + self._lease)
            return row is not None

    def finish(self, job: Job) -> bool:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row and not self._again(row):
                del self._rows[job.kind, job.key]
            return row is not None

    def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row:
                run_at = _sooner(row.again_at, self._clock.now() + delay)
                row.again_at = None
                row.job = dataclasses.replace(
                    row.job,
                    run_at=run_at,
                    token=None,
                    tries=row.job.tries - (not counted),
                    reason=reason,
                )
            return row is not None

    def bury(self, job: Job, reason: str) -> bool:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row and not self._again(row):
                row.job = dataclasses.replace(
                    row.job, state=JobState.DEAD, token=None, reason=reason
                )
            return row is not None

    def pending(self, kinds: Collection[JobKind] = ()) -> int:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            return sum(not kinds or row.job.kind in kinds for row in self._ready())

    def next_due(self) -> float | None:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            return min((row.job.run_at for row in self._ready()), default=None)

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            found = [row.job for row in self._rows.values() if state in {None, row.job.state}]
        return sorted(found, key=lambda job: job.job_id)[:limit]

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            dead = self._dead(job_ids)
            for row in dead:
                row.job = _afresh(row.job, self._clock.now())
        return len(dead)

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """See :class:`facelabel.recognition.ports.Queue`."""
        with self._lock:
            dead = self._dead(job_ids)
            for row in dead:
                del self._rows[row.job.kind, row.job.key]
        return len(dead)

    def _ready(self) -> list[_Row]:
        return [row for row in self._rows.values() if row.job.state is JobState.READY]

    def _dead(self, job_ids: Iterable[int] | None) -> list[_Row]:
        dead = [row for row in self._rows.values() if row.job.state is JobState.DEAD]
        wanted = None if job_ids is None else set(job_ids)
        return [row for row in dead if wanted is None or row.job.job_id in wanted]

    def _held(self, job: Job) -> _Row | None:
        row = self._rows.get((job.kind, job.key))
        return row if row and row.job.token == job.token and job.token else None

    @staticmethod
    def _again(row: _Row) -> bool:
        """Have a job run once more that was enqueued while it ran; whether it was."""
        if row.again_at is None:
            return False
        row.job, row.again_at = _afresh(row.job, row.again_at), None
        return True


def _afresh(job: Job, run_at: float) -> Job:
    return dataclasses.replace(
        job, state=JobState.READY, tries=0, run_at=run_at, token=None, reason=""
    )


def _sooner(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
