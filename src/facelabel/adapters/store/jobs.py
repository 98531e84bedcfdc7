"""The queue, one table of promises beside the rows they are about; and the inbox they come through.

A running job is a ready one whose ``run_at`` is the end of its lease. New, retried and orphaned
jobs are therefore one predicate, and a job whose worker died needs nobody to notice it.

What a caller was promised is on disk before ``enqueue`` returns. What a worker notes down is not
waited for: if a power cut takes it back, the job is claimed again, as after any other accident.

Verified notifications become jobs, each notification once: a receipt and the jobs are written
together, and one that comes again, as Cloudinary's do when an answer was lost, meets its receipt.
Receipts need to be kept only for as long as the same body would be taken as genuine.
"""

from __future__ import annotations

import uuid
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, func, or_, select, true, update

from facelabel.adapters.store.sql import forgetting
from facelabel.adapters.store.sql.database import batches
from facelabel.adapters.store.sql.schema import job as table
from facelabel.adapters.store.sql.schema import receipt
from facelabel.core.clock import RetryPolicy
from facelabel.core.jobs import Job, JobKind, JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Delete, RowMapping, Update
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.jobs import JobRequest
    from facelabel.core.model import Json
    from facelabel.media.types import Delivery

#: Characters of a reason that are kept, the end of it: a traceback's last lines say the most.
_REASON = 8_000
#: Seconds: twice the window of a notification, which may be early as well as late.
REMEMBER = 4 * 3600.0


def _claim(wanted: ColumnElement[bool]) -> Update:
    """UPDATE that leases the next due job among the wanted ones."""
    due = (
        select(table.c.id)
        .where(table.c.state == JobState.READY, table.c.run_at <= bindparam("now"), wanted)
        .order_by(table.c.run_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (
        update(table)
        .where(table.c.id == due.scalar_subquery())
        .values(
            token=bindparam("new_token"),
            run_at=bindparam("lease_end"),
            tries=table.c.tries + 1,
            # What was asked for before a run starts is answered by it.
            again_at=case((table.c.again_at > bindparam("now"), table.c.again_at), else_=None),
        )
        .returning(table)
    )


#: A job that was enqueued while it ran starts over.
_AFRESH: dict[Any, Any] = {
    table.c.run_at: table.c.again_at,
    table.c.again_at: None,
    table.c.token: None,
    table.c.tries: 0,
    table.c.reason: "",
}

#: Done, and nobody asked for it meanwhile; put into words once, as that takes as long as to do it.
_OVER = delete(table).where(
    table.c.id == bindparam("this"), table.c.token == bindparam("held"), table.c.again_at.is_(None)
)


class StoreQueue:
    """Durable jobs in the database; implements :class:`facelabel.recognition.ports.Queue`."""

    retries = RetryPolicy()

    def __init__(self, database: Database, clock: Clock, lease: float = 60.0) -> None:
        """``lease``: seconds that a claimed job belongs to its worker without a heartbeat."""
        self._database = database
        self._clock = clock
        self._lease = lease
        self._enqueue = _enqueue(database.insert(table))
        self._claim = _claim(true())
        self._claim_some = _claim(table.c.kind.in_(bindparam("kinds", expanding=True)))

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """Promise a job; on return it is on disk."""
        with self._database.transaction() as connection:
            self.enqueue_in(connection, kind, key, payload, delay)

    def enqueue_in(
        self,
        connection: Connection,
        kind: JobKind,
        key: str,
        payload: Json | None = None,
        delay: float = 0.0,
    ) -> None:
        """Promise a job in the caller's transaction: it exists exactly when the rows do."""
        now = self._clock.now()
        values = {"kind": kind, "key": key, "payload": payload or {}}
        connection.execute(self._enqueue, values | {"run_at": now + delay, "enqueued_at": now})

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """Promise several jobs in one step; see :meth:`enqueue`."""
        if requests:
            with self._database.transaction() as connection:
                self.enqueue_all_in(connection, requests)

    def enqueue_all_in(self, connection: Connection, requests: Iterable[JobRequest]) -> None:
        """Promise several jobs in the caller's transaction."""
        due = {"run_at": self._clock.now(), "enqueued_at": self._clock.now()}
        # In one order, so that two callers with the same keys do not wait for each other.
        rows = [
            {"kind": request.kind, "key": request.key, "payload": request.payload} | due
            for request in sorted(requests, key=attrgetter("kind", "key"))
        ]
        if rows:
            connection.execute(self._enqueue, rows)

    def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
        """Lease the next due job (of these kinds), counting the try; None if none is due."""
        now = self._clock.now()
        lease = {"now": now, "lease_end": now + self._lease, "new_token": uuid.uuid4().hex}
        wanted = {"kinds": list(kinds)} if kinds else {}
        with self._database.transaction(durable=False) as connection:
            claim = connection.execute(self._claim_some if kinds else self._claim, lease | wanted)
            row = claim.mappings().first()
        return _job(row) if row else None

    def heartbeat(self, job: Job) -> bool:
        """Extend the lease; False if it was lost."""
        return self._change(_held(job).values(run_at=self._clock.now() + self._lease))

    def finish(self, job: Job) -> bool:
        """Delete a done job, or make it ready again if it was enqueued meanwhile."""
        this = {"this": job.job_id, "held": job.token}
        with self._database.transaction(durable=False) as connection:
            if connection.execute(_OVER, this).rowcount:
                return True
            return connection.execute(_held(job).values(_AFRESH)).rowcount == 1

    def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
        """Give the job back, to be claimed again after ``delay`` seconds."""
        run_at = self._clock.now() + delay
        return self._change(
            _held(job).values(
                run_at=case((table.c.again_at < run_at, table.c.again_at), else_=run_at),
                again_at=None,
                token=None,
                tries=table.c.tries if counted else table.c.tries - 1,
                reason=_storable(reason),
            )
        )

    def bury(self, job: Job, reason: str) -> bool:
        """Make the job a dead letter with its reason (or ready, if enqueued meanwhile)."""
        dead = _held(job).where(table.c.again_at.is_(None))
        dead = dead.values(state=JobState.DEAD, token=None, reason=_storable(reason))
        with self._database.transaction(durable=False) as connection:
            if connection.execute(dead).rowcount:
                return True
            return connection.execute(_held(job).values(_AFRESH)).rowcount == 1

    def pending(self, kinds: Collection[JobKind] = ()) -> int:
        """How many jobs (of these kinds) are ready, running and waiting ones included."""
        ready = select(func.count()).select_from(table).where(table.c.state == JobState.READY)
        if kinds:
            ready = ready.where(table.c.kind.in_(kinds))
        with self._database.read() as connection:
            return connection.execute(ready).scalar_one()

    def next_due(self) -> float | None:
        """When the next ready job is due, epoch seconds; None if there is none."""
        due = select(func.min(table.c.run_at)).where(table.c.state == JobState.READY)
        with self._database.read() as connection:
            return connection.execute(due).scalar()

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """Jobs, the oldest first."""
        statement = select(table).order_by(table.c.id).limit(limit)
        if state is not None:
            statement = statement.where(table.c.state == state)
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(statement).mappings()]

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """Make dead jobs (all, without ids) ready again with no tries; returns how many."""
        ready = {"state": JobState.READY, "tries": 0, "run_at": self._clock.now()}
        with self._database.transaction() as connection:
            revived = (update(table).where(dead).values(ready) for dead in _dead(job_ids))
            return sum(connection.execute(statement).rowcount for statement in revived)

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """Delete dead jobs (all, without ids); returns how many."""
        with self._database.transaction() as connection:
            forgetting.note(connection)  # a job tells of pictures and their tags
            gone = (delete(table).where(dead) for dead in _dead(job_ids))
            return sum(connection.execute(statement).rowcount for statement in gone)

    def _change(self, statement: Update) -> bool:
        with self._database.transaction(durable=False) as connection:
            return connection.execute(statement).rowcount == 1


def _enqueue(insert: Insert) -> Insert:
    """INSERT that meets a waiting, a running or a dead job of the same kind and key."""
    due = insert.excluded.run_at
    is_dead = table.c.state == JobState.DEAD
    is_running = table.c.token.is_not(None)
    comes_sooner = or_(is_dead, due < table.c.run_at)
    again_sooner = or_(table.c.again_at.is_(None), due < table.c.again_at)
    return insert.values(
        state=JobState.READY, tries=0, reason="", token=None, again_at=None
    ).on_conflict_do_update(
        index_elements=[table.c.kind, table.c.key],
        set_={
            "payload": insert.excluded.payload,
            "state": JobState.READY,
            "tries": case((is_dead, 0), else_=table.c.tries),
            "reason": case((is_dead, ""), else_=table.c.reason),
            "run_at": case((and_(~is_running, comes_sooner), due), else_=table.c.run_at),
            "again_at": case((and_(is_running, again_sooner), due), else_=table.c.again_at),
        },
    )


def _held(job: Job) -> Update:
    return update(table).where(table.c.id == job.job_id, table.c.token == job.token)


def _dead(job_ids: Iterable[int] | None) -> Iterable[ColumnElement[bool]]:
    """Conditions that together select the dead jobs, all of them or those of these ids."""
    chosen = [true()] if job_ids is None else [table.c.id.in_(ids) for ids in batches(job_ids)]
    return [and_(table.c.state == JobState.DEAD, condition) for condition in chosen]


def _storable(reason: str) -> str:
    """The end of the reason, without what PostgreSQL's text cannot hold."""
    return reason[-_REASON:].replace("\0", "").encode("utf-8", "replace").decode()


def _job(row: RowMapping) -> Job:
    values = dict(row)
    del values["again_at"]
    kind, state = JobKind(values.pop("kind")), JobState(values.pop("state"))
    return Job(job_id=values.pop("id"), kind=kind, state=state, **values)


class StoreInbox:
    """Takes notifications into the database; a :class:`facelabel.cloudinary.ports.Inbox`."""

    def __init__(
        self, database: Database, queue: StoreQueue, clock: Clock, remember: float = REMEMBER
    ) -> None:
        """``remember``: seconds for which a notification that comes again is known."""
        self._database = database
        self._queue = queue
        self._clock = clock
        self._remember = remember
        # Made once: they are written with every notification.
        self._insert = database.insert(receipt).on_conflict_do_nothing().returning(receipt.c.digest)
        self._forget = _forget()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Enqueue the jobs of each delivery that did not come before; on return all is on disk."""
        came, now = {one.digest: one for one in deliveries}, self._clock.now()
        if not came:
            return
        # Sorted: two transactions with the same receipts must not wait for each other.
        receipts = [{"digest": digest, "received_at": now} for digest in sorted(came)]
        # More than come, and never many at once.
        old = {"before": now - self._remember, "number": 2 * len(came)}
        with self._database.transaction() as connection:
            connection.execute(self._forget, old)
            new = set(connection.execute(self._insert, receipts).scalars())
            requests = [request for one in came.values() if one.digest in new
                        for request in one.requests]  # fmt: skip
            self._queue.enqueue_all_in(connection, requests)


def _forget() -> Delete:
    """DELETE of some receipts that are old enough."""
    old = (
        select(receipt.c.digest)
        .where(receipt.c.received_at < bindparam("before"))
        .limit(bindparam("number"))
        .with_for_update(skip_locked=True)
    )
    return delete(receipt).where(receipt.c.digest.in_(old.scalar_subquery()))
