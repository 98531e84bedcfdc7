"""Notifications that wait to be fetched, for who cannot be called: Cloudinary's poll://channel.

A message handed out is hidden for a while and comes again if nobody acknowledged it meanwhile.
Its receipt handle stays the same: a receiver that was slow, but did its work, may still say so.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, true, update

from facelabel.adapters.store.sql import forgetting
from facelabel.adapters.store.sql.database import batches
from facelabel.adapters.store.sql.schema import message as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Json

#: Begins the URL of a destination that is polled; the rest is its channel.
POLL = "poll://"
#: Seconds after which a message that nobody acknowledged is dropped.
KEPT = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Signed:
    """A notification ready to go out."""

    body: bytes
    #: Seconds since the epoch, decimal.
    timestamp: str
    signature: str


class StoreMessages:
    """Messages in the database; implements :class:`facelabel.media.ports.Messages`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Hand out the messages of this database."""
        self._database = database
        self._clock = clock

    def receive(
        self, channel: str, *, batch_id: str = "", limit: int = 10, visibility: float = 30.0
    ) -> Sequence[Json]:
        """Hand out messages, hidden from others for ``visibility`` seconds, the oldest first.

        Of the channel, of the batch, or of both, where given.
        """
        now = self._clock.now()
        waiting = (
            select(table.c.id)
            .where(
                table.c.channel == channel if channel else true(),
                table.c.batch_id == batch_id if batch_id else true(),
                table.c.visible_at <= now,
            )
            .order_by(table.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            if connection.execute(waiting).first() is None:
                return []  # without the lock that writing takes, however often somebody asks
        free = waiting.with_for_update(skip_locked=True)
        claim = update(table).where(table.c.id.in_(free.scalar_subquery()))
        # Not waited for: what a power cut takes back is handed out again.
        with self._database.transaction(durable=False) as connection:
            claimed = connection.execute(
                claim.values(visible_at=now + visibility).returning(table)
            ).mappings()
            return [_message(row) for row in sorted(claimed, key=lambda row: int(row["id"]))]

    def acknowledge(self, receipt_handles: Sequence[str]) -> Sequence[bool]:
        """Delete messages; whether each was there."""
        there: set[str] = set()
        with self._database.transaction() as connection:
            forgetting.note(connection)
            for some in batches(sorted(set(receipt_handles))):
                gone = delete(table).where(table.c.handle.in_(some)).returning(table.c.handle)
                there.update(connection.execute(gone).scalars())
        return [handle in there for handle in receipt_handles]


def add(
    connection: Connection, channel: str, told: Sequence[Signed], now: float, batch_id: str = ""
) -> None:
    """Put notifications into a channel, in the caller's transaction; drop its forgotten ones.

    ``batch_id``: that of the call they tell of, by which they can be asked for too.
    """
    forgotten = delete(table).where(table.c.channel == channel, table.c.visible_at < now - KEPT)
    connection.execute(forgotten)
    if told:
        rows = [
            {
                "handle": uuid.uuid4().hex,
                "channel": channel,
                "batch_id": batch_id,
                "signed_payload": base64.urlsafe_b64encode(one.body).rstrip(b"=").decode(),
                "signature": one.signature,
                "timestamp": int(one.timestamp),
                "visible_at": now,
                "created_at": now,
            }
            for one in told
        ]
        connection.execute(insert(table), rows)


def _message(row: RowMapping) -> Json:
    signed = str(row["signed_payload"])
    body = base64.urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
    batch: Json = {"batch_id": row["batch_id"]} if row["batch_id"] else {}
    return {
        "receipt_handle": row["handle"],
        **batch,
        "payload": json.loads(body),
        "signed_payload": signed,
        "signature": row["signature"],
        "timestamp": str(row["timestamp"]),
    }
