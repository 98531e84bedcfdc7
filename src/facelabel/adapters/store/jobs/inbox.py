"""The inbox: verified notifications become jobs, each notification once.

A receipt and the jobs are written together: a notification that comes again, as Cloudinary's do
when an answer was lost, meets its receipt. Receipts need to be kept only for as long as the same
body would be taken as genuine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from facelabel.adapters.store.sql.schema import receipt as table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.jobs.queue import StoreQueue
    from facelabel.adapters.store.sql.database import Database
    from facelabel.media.types import Delivery
    from facelabel.ports import Clock

#: Seconds: twice the window of a notification, which may be early as well as late.
REMEMBER = 4 * 3600.0


class StoreInbox:
    """Takes notifications into the database; implements :class:`facelabel.ports.Inbox`."""

    def __init__(
        self, database: Database, queue: StoreQueue, clock: Clock, remember: float = REMEMBER
    ) -> None:
        """``remember``: seconds for which a notification that comes again is known."""
        self._database = database
        self._queue = queue
        self._clock = clock
        self._remember = remember

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Enqueue the jobs of each delivery that did not come before; on return all is on disk."""
        with self._database.transaction() as connection:
            self.take_in(connection, deliveries)

    def take_in(self, connection: Connection, deliveries: Sequence[Delivery]) -> None:
        """Do so in the caller's transaction."""
        self._forget(connection, len(deliveries))
        new = self._new(connection, {one.digest: one for one in deliveries})
        self._queue.enqueue_all_in(connection, [request for one in new for request in one.requests])

    def _new(self, connection: Connection, deliveries: Mapping[str, Delivery]) -> list[Delivery]:
        """Write receipts; return the deliveries that had none, in their order."""
        if not deliveries:
            return []
        now = self._clock.now()
        # Sorted: two transactions with the same receipts must not wait for each other.
        rows = [{"digest": digest, "received_at": now} for digest in sorted(deliveries)]
        insert = self._database.insert(table).on_conflict_do_nothing().returning(table.c.digest)
        new = set(connection.execute(insert, rows).scalars())
        return [one for digest, one in deliveries.items() if digest in new]

    def _forget(self, connection: Connection, number: int) -> None:
        """Delete some receipts that are old enough: more than come, and never many at once."""
        before = self._clock.now() - self._remember
        old = (
            select(table.c.digest)
            .where(table.c.received_at < before)
            .limit(2 * number)
            .with_for_update(skip_locked=True)
        )
        connection.execute(delete(table).where(table.c.digest.in_(old.scalar_subquery())))
