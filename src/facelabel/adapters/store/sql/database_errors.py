"""What a database's errors mean to us: translated here, at the edge, and nowhere else."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

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
    from collections.abc import Callable

    Meaning: TypeAlias = type[ConfigurationError | Unavailable]

#: What databases, their drivers and SQLAlchemy raise.
TROUBLES = (DBAPIError, PoolTimeout, sqlite3.Error)

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


def raise_translated(error: Exception, who: Callable[[], Who] = Who) -> NoReturn:
    """Raise Unavailable or ConfigurationError for one of :data:`TROUBLES`; a bug as it came.

    ``who``: asked where something has to be granted.
    """
    if isinstance(error, PoolTimeout):
        raise Unavailable("every connection to the database is in use") from error
    meaning, advice = _sqlite(error) or _postgresql(error)
    if meaning is None:
        raise error
    if "{" in advice:
        advice = who().fill(advice)
    line = f"database: {_first_line(error)}"
    raise meaning(f"{line}: {advice}" if advice else line) from error


def _sqlite(error: Exception) -> tuple[Meaning | None, str] | None:
    """What to raise, if it is no bug, and what helps; None where it is not SQLite's."""
    code = getattr(_cause(error), "sqlite_errorcode", None)
    if code is None:
        return None
    if code & 0xFF in _SQLITE_SETTINGS:
        return ConfigurationError, ""
    return Unavailable if code & 0xFF in _SQLITE_PASSING else None, ""


def _postgresql(error: Exception) -> tuple[Meaning | None, str]:
    """The same of PostgreSQL."""
    code = getattr(_cause(error), "sqlstate", None)
    if code == _NOT_ALLOWED:
        return ConfigurationError, _grant(_first_line(error))
    if code in _HELP:
        return _HELP[code]
    if isinstance(error, DBAPIError) and error.statement is None and _is_refused(error):
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


def _first_line(error: Exception) -> str:
    return str(_cause(error)).partition("\n")[0]


def _cause(error: Exception) -> BaseException | None:
    """The driver's own error, which SQLAlchemy wraps where it called the driver."""
    return error.orig if isinstance(error, DBAPIError) else error
