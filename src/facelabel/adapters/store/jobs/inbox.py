"""The inbox: verified notifications become jobs, each notification once.

A receipt and the jobs are written together: a notification that comes again, as Cloudinary's do
when an answer was lost, meets its receipt. Receipts need to be kept only for as long as the same
body would be taken as genuine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from facelabel.adapters.store.sql.schema import receipt as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Delete

    from facelabel.adapters.store.jobs.queue import StoreQueue
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.media.types import Delivery

#: Seconds: twice the window of a notification, which may be early as well as late.
REMEMBER = 4 * 3600.0


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
        self._insert = database.insert(table).on_conflict_do_nothing().returning(table.c.digest)
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
        select(table.c.digest)
        .where(table.c.received_at < bindparam("before"))
        .limit(bindparam("number"))
        .with_for_update(skip_locked=True)
    )
    return delete(table).where(table.c.digest.in_(old.scalar_subquery()))
