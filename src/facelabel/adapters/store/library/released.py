"""Originals that lost their last user, until their files are gone.

The step that takes the last user notes the original; whoever deletes the file deletes the note
with it. A process that dies in between leaves the note, and the next look finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import PAGE, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database

_ETAG = schema.released.c.etag


def note(database: Database, connection: Connection, etags: Iterable[str]) -> None:
    """Have these deleted, unless somebody uses them by then."""
    rows = [{"etag": etag} for etag in sorted(etags)]
    if rows:
        connection.execute(database.insert(schema.released).on_conflict_do_nothing(), rows)


def page(connection: Connection) -> Sequence[str]:
    """Some of those that are noted; none if none is left."""
    return connection.execute(select(_ETAG).order_by(_ETAG).limit(PAGE)).scalars().all()


def forget(connection: Connection, etags: Iterable[str]) -> None:
    """These are seen to. Fails where the connection has lost its transaction, and its lock."""
    for some in batches(etags):
        connection.execute(delete(schema.released).where(_ETAG.in_(some)))
