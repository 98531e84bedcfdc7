"""What a database's errors mean to us: translated here, at the edge, and nowhere else."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from facelabel.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Meaning: TypeAlias = type[ConfigurationError | Unavailable]

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
#: What libpq says, without a code, when it may not come in, or does not understand the URL.
_POSTGRESQL_SETTINGS = (
    "authentication failed",
    "does not exist",
    "invalid integer value",
    "invalid sslmode value",
    "is not permitted to log in",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for database",
    "unrecognized configuration parameter",
)
_NOT_ALLOWED = "42501"
_STANDBY = (
    "the server takes no writes, as a standby does: name the primary in the store's URL, or all"
    " of them with target_session_attrs=read-write"
)
_NO_SCHEMA = (
    "the role's search_path has no schema that is there and open to it:"
    " GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}"
)
_CANCELED = (
    "if nobody canceled it, let the role have more: ALTER ROLE {role} SET statement_timeout = 0"
)
_POOLER = "a pooler is between: leave prepare_threshold out of the store's URL"
#: What helps, by PostgreSQL's own code, where that is not plain from its own words. Unavailable:
#: a server can lose its reason by itself, as a standby does that takes over.
_HELP: dict[str, tuple[Meaning, str]] = {
    "25006": (Unavailable, _STANDBY),
    "25P03": (Unavailable, "this program was silent for too long in the middle of a change"),
    "25P04": (Unavailable, "let the role have more: ALTER ROLE {role} SET transaction_timeout = 0"),
    "26000": (ConfigurationError, _POOLER),
    "3F000": (ConfigurationError, _NO_SCHEMA),
    "42P05": (ConfigurationError, _POOLER),
    "53300": (Unavailable, "raise the server's max_connections, or put a pooler between"),
    "55P03": (Unavailable, "somebody else has been writing all the while"),
    "57014": (Unavailable, _CANCELED),
}
#: What to grant where the server says what was refused …
_GRANTS = (
    (re.compile(r"for database (\S+)"), "GRANT CONNECT ON DATABASE {0} TO {role}"),
    (re.compile(r"for schema (\S+)"), "GRANT USAGE, CREATE ON SCHEMA {0} TO {role}"),
    (re.compile(r"must be owner"), "once as the owner of the tables, start any command"),
    (re.compile(r"for sequence"), "{sequences}"),
    (re.compile(r"for (table|relation)"), "{tables}; {sequences}"),
)
#: … and where it speaks another language.
_ALL = "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}; {tables}; {sequences}"
_TABLES = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
_SEQUENCES = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"


@dataclass(frozen=True, slots=True)
class Who:
    """Who we are to PostgreSQL, and where: what is named where something has to be granted."""

    #: As people write them, not as SQL has them; "" where it is not known.
    role: str = ""
    schema: str = "public"

    def fill(self, advice: str) -> str:
        """Put the names into a statement, as SQL has them."""
        names = {"role": _quoted(self.role) if self.role else "ROLE",
                 "schema": _quoted(self.schema)}  # fmt: skip
        tables, sequences = _TABLES.format(**names), _SEQUENCES.format(**names)
        return advice.format(**names, tables=tables, sequences=sequences)


@contextmanager
def translated(who: Callable[[], Who] = Who) -> Iterator[None]:
    """Raise Unavailable or ConfigurationError for the database's own troubles; bugs pass.

    ``who``: asked where something has to be granted.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("every connection to the database is in use") from error
    except DBAPIError as error:
        meaning, advice = _meaning(error)
        if meaning is None:
            raise
        if "{" in advice:
            advice = who().fill(advice)
        line = f"database: {_first_line(error)}"
        raise meaning(f"{line}: {advice}" if advice else line) from error


def _meaning(error: DBAPIError) -> tuple[Meaning | None, str]:
    """What to raise, if it is no bug, and what helps, if that is not plain."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return _postgresql(error) if code is None else (_sqlite(code & 0xFF), "")


def _sqlite(code: int) -> Meaning | None:
    if code in _SQLITE_SETTINGS:
        return ConfigurationError
    return Unavailable if code in _SQLITE_PASSING else None


def _postgresql(error: DBAPIError) -> tuple[Meaning | None, str]:
    code = getattr(error.orig, "sqlstate", None)
    if code == _NOT_ALLOWED:
        return ConfigurationError, _grant(_first_line(error))
    if code in _HELP:
        return _HELP[code]
    if error.statement is None and _is_refused(error):
        text = str(error.orig)
        return ConfigurationError, _grant(text) if "permission denied" in text else ""
    passes = isinstance(error, OperationalError | InterfaceError | InternalError)
    return Unavailable if passes else None, ""


def _is_refused(error: DBAPIError) -> bool:
    """Whether no other attempt to connect goes better."""
    text = str(error.orig)
    not_understood = isinstance(error, ProgrammingError)
    return not_understood or any(words in text for words in _POSTGRESQL_SETTINGS)


def _grant(refusal: str) -> str:
    """The statement that ends a refusal, the names that the server does not say left open."""
    for pattern, grant in _GRANTS:
        if found := pattern.search(refusal):
            said = found[1].replace("{", "{{").replace("}", "}}") if "{0}" in grant else ""
            return grant.replace("{0}", said)
    return _ALL


def _quoted(name: str) -> str:
    """A name as SQL has it."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]
