"""Originals that lost their last user, until their files are gone.

The step that takes the last user notes the original; whoever deletes the file deletes the note
with it. A process that dies in between leaves the note, and the next look finds it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from facelabel.adapters.store.library import needed
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import PAGE, batches
from facelabel.core.deletion_limit import deletion_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.originals import Originals
    from facelabel.adapters.store.sql.database import Database

log = logging.getLogger(__name__)

_ETAG = schema.released.c.etag
_DAY = 86_400.0


class UnusedOriginals:
    """Deletes the files that nobody needs any more."""

    def __init__(
        self, database: Database, originals: Originals, on_removed: Callable[[str], None]
    ) -> None:
        """``on_removed``: told of every original that is gone, by its SHA-256."""
        self._database = database
        self._originals = originals
        self._on_removed = on_removed
        #: How many files of no picture somebody was told of.
        self._told = 0

    def among(self, etags: Sequence[str]) -> list[str]:
        """Those of these originals, a page of them at most, that nobody needs now."""
        with self._database.read() as connection:
            return needed.unused(connection, etags)

    def note(self, connection: Connection, etags: Iterable[str]) -> list[str]:
        """Note those of these originals that nobody needs, in the change that freed them."""
        unused = _unused(connection, etags)
        note(self._database, connection, unused)
        return unused

    def remove(self, etags: Sequence[str]) -> int:
        """Remove those of the noted originals that no asset uses; returns how many.

        None where the folder of the originals is not there: the notes stay. Looked up anew under
        the lock: since the row went, another upload may have come to rely on the file.
        """
        if not self._originals.is_there():
            return 0
        with self._database.transaction(alone=LOCK) as connection:
            unused = _unused(connection, etags)
            with self._originals.removed(unused):
                for etag in unused:
                    self._on_removed(etag)
                # Fails if we were stopped, and others have the lock.
                _forget(connection, etags)
        return len(unused)

    def release(self) -> int:
        """Delete the originals that are noted to go, and were not yet; returns how many."""
        removed = 0
        noted = select(_ETAG).order_by(_ETAG).limit(PAGE)
        while self._originals.is_there():
            with self._database.read() as connection:
                etags = connection.execute(noted).scalars().all()
            if not etags:
                break
            removed += self.remove(etags)
        return removed

    def sweep(self, min_age: float = _DAY) -> int:
        """Delete files of no asset that dead processes left; returns how many.

        Where there are many, none is: dead processes leave few, and a database that is older than
        the files does not know the newest of them.

        ``min_age``: seconds; an upload that is under way has files without an asset, too.
        """
        removed = self.release()
        before = time.time() - min_age  # the file system's clock, whatever ours says
        settled = list(self._originals.settled(before))
        unused = [etag for some in batches(settled) for etag in self.among(some)]
        if len(unused) > deletion_limit(len(settled)):
            self._tell(len(unused))
        elif unused:
            with self._database.transaction(alone=LOCK) as connection:
                note(self._database, connection, unused)
            log.warning(
                "%d files in %s belong to no picture and are deleted: an upload was killed before"
                " it was done, or the database is older than they are",
                len(unused),
                self._originals.root,
            )
            removed += self.release()
        return removed + self._originals.remove_unplaced(before)

    def _tell(self, unused: int) -> None:
        """Say once what the files of no picture are likely to be, and what helps."""
        if unused != self._told:
            log.warning(
                "%d files in %s belong to no picture, as if the database were older than they are:"
                " none is deleted. Put the newer database back, or `facelabel upload` the files"
                " again; if nobody wants them, `facelabel adopt --force` has them deleted",
                unused,
                self._originals.root,
            )
        self._told = unused


def note(database: Database, connection: Connection, etags: Iterable[str]) -> None:
    """Have these deleted, unless somebody uses them by then."""
    rows = [{"etag": etag} for etag in sorted(etags)]
    if rows:
        connection.execute(database.insert(schema.released).on_conflict_do_nothing(), rows)


def _forget(connection: Connection, etags: Iterable[str]) -> None:
    """These are seen to. Fails where the connection has lost its transaction, and its lock."""
    for some in batches(etags):
        connection.execute(delete(schema.released).where(_ETAG.in_(some)))


def _unused(connection: Connection, etags: Iterable[str]) -> list[str]:
    return [etag for some in batches(etags) for etag in needed.unused(connection, some)]
