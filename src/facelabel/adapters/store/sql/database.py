"""The one database: engine, transactions, and the few things that SQLite and PostgreSQL differ in.

**Trap.** SQLAlchemy on sqlite3 opens no transaction before a SELECT, so two processes that read
and then write lose updates without an error. Here every transaction is begun explicitly, a
writing one with ``BEGIN IMMEDIATE``: it holds SQLite's write lock from its first line on. Not by
SQLAlchemy's event "begin": an engine with one listener asks for listeners at every step.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from facelabel import files
from facelabel.adapters.store.sql import postgresql
from facelabel.adapters.store.sql.database_errors import TROUBLES, raise_translated
from facelabel.adapters.store.sql.forgetting import Eraser, keep_copies_in
from facelabel.adapters.store.sql.schema import HEAD, VERSION_TABLE
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import URL, Column, Connection, Engine, RowMapping, Select, Table
    from sqlalchemy.dialects.postgresql import Insert
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from facelabel.adapters.store.sql.database_errors import Who

T = TypeVar("T")

#: Rows read at a time, and values in one IN (…): SQLite binds at most 32,766 of them.
PAGE = 500
_EXPECTED = "sqlite:///path or postgresql://user@host/name is expected"
#: Error messages end in logs and dead letters; a statement's parameters are names and faces.
_PRIVATE = True
_OLDEST_SQLITE = (3, 35)  # RETURNING


class Database:
    """One database, brought to this code's schema when it is opened; shared by all threads."""

    def __init__(self, url: str, *, busy_timeout: float = 30.0, page: int = PAGE) -> None:
        """Open ``sqlite:///path`` or ``postgresql://…``; the folder of the path must exist.

        ``busy_timeout``: seconds to wait for a lock before Unavailable is raised. ``page``: rows
        read at a time by who goes through all. Raises ConfigurationError if the URL is no such
        database, or one written by a newer version.
        """
        self.page = page
        self._url = _checked(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._busy_timeout = busy_timeout
        self._forgets = threading.Event()
        self._engine = self._connected()
        self._reader = self._engine
        if not self._sqlite:
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        #: Of the dialect in use, which is loaded by now: the other one takes as long again.
        dialect = import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        #: INSERT that knows ON CONFLICT; each dialect has a class of its own for the same words.
        self.insert = cast("Callable[[Table], Insert]", dialect.insert)
        self._eraser: Eraser | None = None
        if self._sqlite:
            keep_copies_in(Path(self._url.database or "").parent)
            _make_private(Path(self._url.database or ""))
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        if self._sqlite:
            self._eraser = Eraser(Path(self._url.database or ""), self._forgets)

    @property
    def url(self) -> str:
        """What another process opens; with the password, so not to be shown."""
        return self._shown().render_as_string(hide_password=False)

    @contextmanager
    def transaction(self, *, alone: str = "", durable: bool = True) -> Iterator[Connection]:
        """Write: everything in the block happens, or nothing of it.

        ``alone`` names what no two transactions may change at once. On SQLite there is but one
        writer; PostgreSQL is asked for a lock of that name. What is not ``durable`` outlives the
        process but not a power cut, and does not wait for the disk; a later durable transaction
        makes it so, too.
        """
        try:
            with self._engine.begin() as connection:
                if self._sqlite:
                    # FULL: a commit is on disk when it returns, the promise behind every 200.
                    durability = "FULL" if durable else "NORMAL"
                    # By the driver's own call: SQLAlchemy's costs as much as many a transaction.
                    driver = connection.connection
                    if connection.info.get("synchronous") != durability:
                        driver.execute(f"PRAGMA synchronous = {durability}")
                        connection.info["synchronous"] = durability
                    driver.execute("BEGIN IMMEDIATE")
                else:
                    postgresql.prepare(connection, alone, durable=durable)
                yield connection
        except TROUBLES as error:
            raise_translated(error, self._who)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read: the whole block sees the database as of one moment."""
        try:
            with self._reader.connect() as connection:
                if self._sqlite:
                    connection.connection.execute("BEGIN")
                yield connection
        except TROUBLES as error:
            raise_translated(error, self._who)

    def pages(
        self,
        statement: Select[Any],
        key: Column[Any],
        read: Callable[[Connection, Sequence[RowMapping]], Iterable[T]],
    ) -> Iterator[T]:
        """What ``read`` makes of the rows, in the order of ``key``, unique and among the selected.

        Read page by page. Between pages no transaction is open: the caller may take its time,
        and may write.
        """
        page = statement.order_by(key).limit(self.page)
        rows: Sequence[RowMapping] = ()
        while not rows or len(rows) == self.page:
            following = page.where(key > rows[-1][key]) if rows else page
            with self.read() as connection:
                rows = connection.execute(following).mappings().all()
                items = list(read(connection, rows))
            if not rows:
                return
            yield from items

    def reach(self) -> None:
        """Read as a new process would. Raises Unavailable or ConfigurationError.

        A connection to SQLite that is open may go on from what it has in memory, whatever became
        of the file.
        """
        apart = self._engine
        if self._sqlite:
            apart = _sqlite_engine(self._url, self._busy_timeout, self._forgets, pooled=False)
        try:
            with apart.connect() as connection:
                _revision(connection)
        except TROUBLES as error:
            raise_translated(error, self._who)

    def unkept(self) -> Sequence[str]:
        """Statements that give our role what a pooler between does not let us set for ourselves."""
        if self._sqlite:
            return ()
        try:
            return postgresql.unkept(self._engine, self._busy_timeout, self._who())
        except TROUBLES as error:
            raise_translated(error, self._who)

    def close(self) -> None:
        """Close every connection; what was forgotten is gone from the files, or soon will be."""
        if self._eraser:
            self._eraser.stop()
        self._engine.dispose()
        if self._eraser:
            self._eraser.finish()

    def _shown(self) -> URL:
        """As a user wrote it."""
        return self._url.set(drivername=self._url.get_backend_name())

    def _who(self) -> Who:
        return postgresql.who(self._engine, self._url)

    def _connected(self, *, migrating: bool = False) -> Engine:
        try:
            if self._sqlite:
                return _sqlite_engine(
                    self._url, self._busy_timeout, self._forgets, migrating=migrating
                )
            return postgresql.engine(self._url, self._busy_timeout)
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "PostgreSQL needs a driver: pip install 'facelabel[postgresql]'"
            ) from error

    def _open(self) -> None:
        try:
            self._bring_to_head()
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._shown().render_as_string()}: {error}") from error

    def _bring_to_head(self) -> None:
        with self.read() as connection:
            revision = _revision(connection)
            tables = inspect(connection).get_table_names() if revision is None else ()
        if tables and VERSION_TABLE not in tables:
            raise ConfigurationError("it holds tables of another program")
        if revision != HEAD:
            self._migrate()

    def _migrate(self) -> None:
        engine = self._connected(migrating=True)
        try:
            with engine.begin() as connection:
                if self._sqlite:
                    connection.connection.execute("PRAGMA synchronous = FULL")
                    connection.connection.execute("BEGIN IMMEDIATE")
                else:
                    postgresql.check_encoding(connection)
                    postgresql.prepare(connection, "migration")
                _upgrade(connection)
        except TROUBLES as error:
            raise_translated(error, self._who)
        finally:
            engine.dispose()


def batches(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """The values in lists short enough for one IN (…)."""
    remaining = iter(values)
    while batch := list(islice(remaining, PAGE)):
        yield batch


def _make_private(path: Path) -> None:
    """SQLite makes a file that everybody may read; its log and its index are as that one is."""
    with suppress(OSError):  # no folder, no right: SQLite says so when it opens the file
        if path.exists():
            files.tighten(path)
        else:
            files.create(path, b"", durable=False)


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # from None, and not shown: it may hold a password
        raise ConfigurationError(f"not a database URL: {_EXPECTED}") from None
    backend = parsed.get_backend_name() if "+" not in parsed.drivername else ""
    if backend == "sqlite":
        return _checked_sqlite(parsed)
    if backend in {"postgres", "postgresql"}:
        return postgresql.checked(parsed)
    raise ConfigurationError(f"not a database we use: {parsed.drivername}; {_EXPECTED}")


def _checked_sqlite(url: URL) -> URL:
    if url.database in {None, "", ":memory:"}:
        raise ConfigurationError("SQLite needs a file: sqlite:///path")
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is needed")
    return url


def _sqlite_engine(
    url: URL,
    busy_timeout: float,
    forgets: threading.Event,
    *,
    migrating: bool = False,
    pooled: bool = True,
) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": busy_timeout},
        hide_parameters=_PRIVATE,
        poolclass=None if pooled and not migrating else NullPool,
    )
    event.listen(engine, "connect", _sqlite_setup(forgets, migrating=migrating))
    return engine


def _sqlite_setup(
    forgets: threading.Event, *, migrating: bool
) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    pragmas = [
        # A deleted face is overwritten with zeros: its vector must not linger in free pages.
        "secure_delete = ON",
        # Alembic changes a SQLite table by making it anew, and dropping the old one must not
        # take along what refers to it.
        f"foreign_keys = {'OFF' if migrating else 'ON'}",
    ]
    if migrating:
        pragmas.append("journal_mode = WAL")  # remembered by the file

    def setup(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Make a new connection ours; one with which that fails is closed."""
        try:
            record.info["forgets"] = forgets  # see forgetting.note
            connection.isolation_level = None  # we alone begin transactions
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:  # locked, as a rule
            connection.close()  # SQLAlchemy before 2.1 leaves it open
            raise

    return setup


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant


def _upgrade(connection: Connection) -> None:
    from facelabel.adapters.store.sql import migration  # noqa: PLC0415 - Alembic is slow to import

    revision = _revision(connection)
    if revision == HEAD:  # another process was quicker
        return
    if revision is not None and revision not in migration.revisions():
        raise ConfigurationError(
            f"the database was written by a newer version of Facelabel (schema {revision}, "
            f"known up to {HEAD}): upgrade Facelabel"
        )
    migration.upgrade(connection)
