"""What is deleted from SQLite leaves its files, too, soon after and while others go on.

``secure_delete`` overwrites a deleted row where it stands, and no more than that:

* The write-ahead log holds every page as each transaction left it, until it is emptied. Anybody's
  change, in any process, is followed by a checkpoint that cuts the log to nothing, so that what a
  killed process left there goes, too.
* Where rows move from one page of the database to another the former place keeps a copy that no
  statement reaches. After something was forgotten the whole file is written anew, when nobody
  writes, unless it is large.

Both are tried again and again until nobody is in the way, by a thread that looks once a second: a
thousand deletions cost one checkpoint, not a thousand. A process that ends while others have the
database open leaves the second to them.
"""

from __future__ import annotations

import logging
import os
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
#: Writing anew may take this part of the time, all processes together.
SHARE = 0.05
#: Seconds of the longest rest after it; a clock that went back must not make it any longer.
LONGEST_REST = 3600.0
#: Seconds of rest after a rewrite that failed, doubled with each; failures before it is told.
FAILED_REST, FAILURES = 10.0, 3
#: Seconds to wait for whoever reads or writes, before the next look and at the end.
PATIENCE, LAST_PATIENCE = 0.1, 1.0
#: Looks in vain before somebody is told.
IN_VAIN = 60

#: Values of ``user_version``, a number in the file's header that SQLite leaves to us: it changes
#: with the transaction that forgets, and outlives the process. The last: whoever forgot has ended
#: and left the rewrite to those who had the database open.
_CLEAN, _FORGOTTEN, _BEING_WRITTEN, _LEFT = 0, 1, 2, 3
#: ``application_id`` is another such number: until when to rest, in seconds since this moment.
_EPOCH = 1_700_000_000
#: Nobody's fault: others are in the way, or we are to end.
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}
_TEMPORARY = threading.Lock()


def note(connection: Connection) -> None:
    """Remember, with the transaction, that something was forgotten.

    The execution option "forgets", an event, is set: its process has something to see to.
    """
    if connection.dialect.name != "sqlite":
        return
    if forgets := connection.get_execution_options().get("forgets"):
        forgets.set()
    state = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if state not in {_FORGOTTEN, _LEFT}:
        connection.exec_driver_sql(f"PRAGMA user_version = {_FORGOTTEN}")


def keep_copies_in(folder: Path) -> None:
    """Have SQLite make its own temporary files there, not in /var/tmp: names are in them.

    A rewrite begins with a copy of the whole database, which has no name and goes with its
    process. ``SQLITE_TMPDIR``, where it is set, says that somebody wants them elsewhere.
    """
    if "SQLITE_TMPDIR" in os.environ:
        return
    wanted = str(folder.absolute())
    quoted = wanted.replace("'", "''")
    # Of the whole process: not touched while it is what we want, as others may be reading it.
    with _TEMPORARY, suppress(sqlite3.Error), closing(sqlite3.connect(":memory:")) as connection:
        if connection.execute("PRAGMA temp_store_directory").fetchone() != (wanted,):
            connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")


class Eraser:
    """Looks after the files of one SQLite database until it is closed."""

    def __init__(self, path: Path, forgets: threading.Event | None = None) -> None:
        """``path``: the database's file; what a dead process left is seen to at once.

        ``forgets``: set once a transaction of this process has forgotten something.
        """
        self._path = path.absolute()
        self._forgets = forgets or threading.Event()
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._stop = threading.Event()
        self._writing: sqlite3.Connection | None = None
        self._not_before = 0.0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="eraser", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a rewrite under way for others is given up, one of ours goes on."""
        self._stop.set()
        if not self._forgets.is_set():
            with suppress(sqlite3.Error):  # it came to its end just now
                if writing := self._writing:
                    writing.interrupt()
        self._thread.join()

    def finish(self) -> None:
        """Do what is left to do, as far as others let us; for the end, after :meth:`stop`.

        The rewrite is left to whoever else has the database open. Where nobody has, nobody is
        kept waiting by it either, and what we forgot is gone when we are.
        """
        if self._log.exists():  # the last who closes the database deletes it
            self._leave()
        elif self._forgets.is_set():
            self.rewrite(LAST_PATIENCE, at_once=True)
        elif self._is_left():
            self.rewrite(LAST_PATIENCE)
        self.empty_log(LAST_PATIENCE)

    def empty_log(self, patience: float = PATIENCE) -> bool:
        """Copy the log into the database and cut it to nothing; whether it is empty now."""
        if self._log_is_empty():
            return True
        with self._opened(patience) as connection:
            if connection is None:
                return False
            return _is_cut(connection)
        return False

    def rewrite(self, patience: float = PATIENCE, *, at_once: bool = False) -> None:
        """Write the database anew if something was forgotten since that was done last.

        ``at_once``: without resting, and for the last time, so that a failure is told.
        """
        with self._opened(patience) as connection:
            if connection is None or self._size() > LARGEST or not _is_due(connection):
                return
            if not at_once and _rest(connection) > 0:
                return
            connection.execute(f"PRAGMA user_version = {_BEING_WRITTEN}")
            # While somebody reads, the log would keep a copy of the whole database, and another
            # one with every try. Only what was just written shows whether somebody does.
            if _is_cut(connection):
                self._vacuum(connection, is_last=at_once)
        self.empty_log(patience)

    def _vacuum(self, connection: sqlite3.Connection, *, is_last: bool) -> None:
        started = time.monotonic()
        try:
            connection.execute("VACUUM")
            _end(connection, (time.monotonic() - started) / SHARE)
            self._failures = 0
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING:
                self._failures += 1
                self._tell(error, is_last=is_last)
            raise
        finally:
            ended = time.monotonic()
            doubled = min(self._failures, 10)  # LONGEST_REST is reached by then
            failed = FAILED_REST * 2**doubled if doubled else 0.0
            rest = min(LONGEST_REST, max((ended - started) / SHARE, failed))
            self._not_before = ended + rest

    def _tell(self, error: sqlite3.Error, *, is_last: bool) -> None:
        """Once, when it does not look like an accident any more."""
        if self._failures == FAILURES or (is_last and self._failures < FAILURES):
            log.warning(
                "%s cannot be written anew (%s): what was forgotten is deleted, but may still be"
                " read in the file's bytes until it can. It takes free disk twice its size (%d MB)",
                self._path,
                error,
                2 * self._size() / 1e6 + 1,
            )

    def _leave(self) -> None:
        """Leave to the others what this process forgot, should they have been about to end."""
        if not self._forgets.is_set():
            return
        with self._opened(LAST_PATIENCE) as connection:
            if connection is None:
                return
            connection.execute("BEGIN IMMEDIATE")
            if _state(connection) == _FORGOTTEN:
                connection.execute(f"PRAGMA user_version = {_LEFT}")
            connection.execute("COMMIT")

    def _is_left(self) -> bool:
        """Whether a rewrite was left to us, or given up."""
        with self._opened(LAST_PATIENCE) as connection:
            return connection is not None and _state(connection) in {_LEFT, _BEING_WRITTEN}
        return False

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


def _is_cut(connection: sqlite3.Connection) -> bool:
    """Whether the log could be copied into the database and cut to nothing."""
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _rest(connection: sqlite3.Connection) -> float:
    """Seconds for which nobody should write the database anew."""
    until: int = connection.execute("PRAGMA application_id").fetchone()[0]
    rest = until + _EPOCH - time.time()
    return rest if rest <= LONGEST_REST else 0.0


def _end(connection: sqlite3.Connection, rest: float) -> None:
    """Note that the database was written anew, and for how many seconds all are to rest."""
    connection.execute(f"PRAGMA busy_timeout = {LAST_PATIENCE * 1000:.0f}")
    connection.execute("BEGIN IMMEDIATE")
    if _state(connection) == _BEING_WRITTEN:  # else more was forgotten meanwhile
        connection.execute(f"PRAGMA user_version = {_CLEAN}")
    until = time.time() + min(rest, LONGEST_REST) - _EPOCH
    connection.execute(f"PRAGMA application_id = {until:.0f}")
    connection.execute("COMMIT")
