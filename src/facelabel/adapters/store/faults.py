"""What a database's errors mean to us: translated here, at the edge, and nowhere else."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from facelabel.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: SQLite's primary result codes that no retry will change.
_SQLITE_SETTINGS = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
}
#: What libpq says, without a code, when it may not come in.
_POSTGRESQL_SETTINGS = ("authentication failed", "does not exist", "no password supplied")


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable or ConfigurationError for the database's own troubles; bugs pass."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("every connection to the database is in use") from error
    except DBAPIError as error:
        if (meaning := _meaning(error)) is None:
            raise
        raise meaning(f"database: {_first_line(error)}") from error


def _meaning(error: DBAPIError) -> type[ConfigurationError | Unavailable] | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return _postgresql(error) if code is None else _sqlite(code & 0xFF)


def _sqlite(code: int) -> type[ConfigurationError | Unavailable] | None:
    if code in _SQLITE_SETTINGS:
        return ConfigurationError
    return Unavailable if code in _SQLITE_PASSING else None


def _postgresql(error: DBAPIError) -> type[ConfigurationError | Unavailable] | None:
    if not isinstance(error, OperationalError | InterfaceError | InternalError):
        return None
    connecting = error.statement is None
    if connecting and any(words in str(error.orig) for words in _POSTGRESQL_SETTINGS):
        return ConfigurationError
    return Unavailable


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]
