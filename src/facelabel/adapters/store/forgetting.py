"""What is deleted from SQLite leaves its files, too, soon after and while others go on.

``secure_delete`` overwrites a deleted row where it stands, and no more than that:

* The write-ahead log holds every page as each transaction left it, until it is emptied. Anybody's
  change, in any process, is followed by a checkpoint that cuts the log to nothing, so that what a
  killed process left there goes, too.
* Where rows move from one page of the database to another the former place keeps a copy that no
  statement reaches. After something was forgotten the whole file is written anew, when nobody
  writes, unless it is large.

Both are tried again and again until nobody is in the way, by a thread that looks once a second: a
thousand deletions cost one checkpoint, not a thousand.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

log = logging.getLogger(__name__)

#: Seconds between two looks at the log.
PAUSE = 1.0
#: Looks that find nothing written before the file is written anew.
QUIET = 5
#: Bytes of the largest database that is written anew: at 50 MB/s others wait for some seconds.
LARGEST = 256 << 20
#: Writing anew may take this part of the time.
SHARE = 0.05
#: Seconds to wait for whoever reads or writes, before the next look and at the end.
PATIENCE, LAST_PATIENCE = 0.1, 1.0
#: Looks in vain before somebody is told.
IN_VAIN = 60

#: Values of ``user_version``, a number in the file's header that SQLite leaves to us: it changes
#: with the transaction that forgets, and outlives the process.
_CLEAN, _FORGOTTEN, _BEING_WRITTEN = 0, 1, 2


def note(connection: Connection) -> None:
    """Remember, with the transaction, that something was forgotten."""
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA user_version").scalar() != _FORGOTTEN:
        connection.exec_driver_sql(f"PRAGMA user_version = {_FORGOTTEN}")


class Eraser:
    """Looks after the files of one SQLite database until it is closed."""

    def __init__(self, path: Path) -> None:
        """``path``: the database's file; what a dead process left is seen to at once."""
        self._path = path.absolute()
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._stop = threading.Event()
        self._writing: sqlite3.Connection | None = None
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="eraser", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a rewrite under way is given up."""
        self._stop.set()
        with suppress(sqlite3.Error):  # it came to its end just now
            if writing := self._writing:
                writing.interrupt()
        self._thread.join()

    def finish(self) -> None:
        """Do what is left to do, as far as others let us; for the end, after :meth:`stop`."""
        self.rewrite(LAST_PATIENCE)
        self.empty_log(LAST_PATIENCE)

    def empty_log(self, patience: float = PATIENCE) -> bool:
        """Copy the log into the database and cut it to nothing; whether it is empty now."""
        if self._log_is_empty():
            return True
        with self._opened(patience) as connection:
            if connection is None:
                return False
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        return False

    def rewrite(self, patience: float = PATIENCE) -> None:
        """Write the database anew if something was forgotten since that was done last."""
        with self._opened(patience) as connection:
            if connection is None or self._size() > LARGEST or not _is_due(connection):
                return
            started = time.monotonic()
            connection.execute(f"PRAGMA user_version = {_BEING_WRITTEN}")
            connection.execute("VACUUM")
            connection.execute("BEGIN IMMEDIATE")
            if _state(connection) == _BEING_WRITTEN:  # else more was forgotten meanwhile
                connection.execute(f"PRAGMA user_version = {_CLEAN}")
            connection.execute("COMMIT")
            ended = time.monotonic()
            self._not_before = ended + (ended - started) / SHARE
        self.empty_log(patience)

    def _run(self) -> None:
        quiet, in_vain = 0, 0
        while not self._stop.is_set():
            if self._log_is_empty():
                quiet, in_vain = quiet + 1, 0
            else:
                quiet, in_vain = 0, 0 if self.empty_log() else in_vain + 1
            if in_vain == IN_VAIN:
                log.warning(
                    "%s cannot be emptied; what was forgotten may still be in it", self._log
                )
            if quiet and quiet % QUIET == 0 and time.monotonic() > self._not_before:
                self.rewrite()
            self._stop.wait(PAUSE)

    def _log_is_empty(self) -> bool:
        try:
            return self._log.stat().st_size == 0
        except OSError:  # nobody has the database open, or its folder is gone
            return True

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @contextmanager
    def _opened(self, patience: float) -> Iterator[sqlite3.Connection | None]:
        """A connection of our own, None where there is none to be had; no error: we come again."""
        try:
            # Never made anew: whoever deletes the folder under us does not get a file back.
            connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=rw", patience, isolation_level=None, uri=True
            )
        except sqlite3.Error as error:
            log.debug("%s: %s", self._path, error)
            yield None
            return
        with closing(connection):
            self._writing = connection
            try:
                yield connection
            except sqlite3.Error as error:
                log.debug("%s: %s", self._path, error)
            finally:
                self._writing = None


def _state(connection: sqlite3.Connection) -> int:
    state: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return state


def _is_due(connection: sqlite3.Connection) -> bool:
    return _state(connection) != _CLEAN
