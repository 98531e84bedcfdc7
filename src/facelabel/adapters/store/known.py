"""Names and public_ids that begin as somebody began to type them, for a shell that completes.

Asked of the database's driver alone: SQLAlchemy takes longer to load than a person at a prompt
waits. Nothing is written or made, and nothing is brought to this code's schema: errors are the
driver's own.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    #: A statement with ? for each value, and the values -> the first column of its rows.
    Ask: TypeAlias = Callable[[str, Sequence[object]], list[str]]

#: So many at most: more are no help to whoever has to choose.
LIMIT = 100
#: Seconds, for whoever waits for the answer at a prompt.
_PATIENCE = 1
#: Follows every text that goes on from where it stands.
_LAST = "\U0010ffff"
_SQLITE = "sqlite:///"
#: Of a PostgreSQL address: said to the driver, not to the server.
_OURS = "prepare_threshold"

_PEOPLE = """
SELECT DISTINCT person FROM enrolment
WHERE collection = (SELECT collection FROM gallery) AND substr(person, 1, ?) = ?
"""
#: Of a library of our own …
_PICTURES = """
SELECT DISTINCT public_id FROM asset WHERE public_id >= ? AND public_id < ?
ORDER BY public_id {order} LIMIT {limit}
"""
#: … and of one elsewhere what we learnt from: of all it has there is no list here.
_PORTRAITS = """
SELECT public_id FROM enrolment
WHERE collection = (SELECT collection FROM gallery) AND substr(public_id, 1, ?) = ?
"""


def people(url: str, beginning: str) -> list[str]:
    """Who is known and begins so; the cost grows with the portraits."""
    return _reading(url, lambda ask: _some(ask(_PEOPLE, (len(beginning), beginning))))


def public_ids(url: str, beginning: str) -> list[str]:
    """Pictures of the library that begin so; the cost grows with what is returned."""

    def read(ask: Ask) -> list[str]:
        """Ask for the first ones and, where there are more, for the very last."""
        bounds = (beginning, beginning + _LAST)
        found = ask(_PICTURES.format(order="ASC", limit=LIMIT), bounds)
        if len(found) == LIMIT:
            found[-1:] = ask(_PICTURES.format(order="DESC", limit=1), bounds)
        return found or _some(ask(_PORTRAITS, (len(beginning), beginning)))

    return _reading(url, read)


def _some(found: list[str]) -> list[str]:
    """The first and the very last: what these have in common, which a shell fills in, all have."""
    found.sort()
    return found if len(found) <= LIMIT else [*found[: LIMIT - 1], found[-1]]


def _reading(url: str, read: Callable[[Ask], list[str]]) -> list[str]:
    return _reading_sqlite(url, read) if url.startswith(_SQLITE) else _reading_postgresql(url, read)


def _reading_sqlite(url: str, read: Callable[[Ask], list[str]]) -> list[str]:
    path = Path(url.removeprefix(_SQLITE)).absolute()
    # Without a log nobody has it open, and no file beside it has to be made for those who write.
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    file = f"{path.as_uri()}?mode=ro{alone}"
    with closing(sqlite3.connect(file, uri=True, timeout=_PATIENCE)) as connection:
        return read(lambda sql, values: [text for (text,) in connection.execute(sql, values)])


def _reading_postgresql(url: str, read: Callable[[Ask], list[str]]) -> list[str]:
    import psycopg  # noqa: PLC0415 - an extra

    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != _OURS]
    url = urlunsplit(parts._replace(query=urlencode(query)))
    with psycopg.connect(url, connect_timeout=_PATIENCE) as connection:
        connection.read_only = True
        connection.execute(f"SET LOCAL statement_timeout = '{_PATIENCE}s'")

        def ask(sql: str, values: Sequence[object]) -> list[str]:
            """Carry out a statement as this driver writes it."""
            rows = connection.execute(sql.replace("?", "%s"), values)
            return [text for (text,) in rows]

        return read(ask)
