"""PostgreSQL: how it is connected to, and how soon either side notices that the other is gone.

A machine that is lost in the middle of a write still holds the library's lock. By themselves the
server and TCP notice after two hours. Here whoever is silent in a transaction, or does not answer
on the network, is given up after SILENT seconds: less than others wait for the lock, so they
succeed; and less than a lease lasts, so the lost machine's jobs find the library free.
"""

from __future__ import annotations

import getpass
import os
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from sqlalchemy import create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database_errors import Who
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection


#: Seconds after which the other side is taken for lost.
SILENT = 20
#: Asked for signs of life after so many seconds, then as often as this until SILENT and once more.
_PROBE_AFTER, _PROBE_EVERY = 10, 5
_PROBES = (SILENT - _PROBE_AFTER) // _PROBE_EVERY + 1
#: What libpq is told, by its own names, unless the URL has them.
_CLIENT = {
    "connect_timeout": 10,
    "keepalives_idle": _PROBE_AFTER,
    "keepalives_interval": _PROBE_EVERY,
    "keepalives_count": _PROBES,
    "tcp_user_timeout": SILENT * 1000,
}
_IDLE = "idle_in_transaction_session_timeout"
#: What the server is told, by its own names; times without a unit are milliseconds.
_SERVER = {
    _IDLE: str(SILENT * 1000),
    "tcp_keepalives_idle": str(_PROBE_AFTER),
    "tcp_keepalives_interval": str(_PROBE_EVERY),
    "tcp_keepalives_count": str(_PROBES),
    "tcp_user_timeout": str(SILENT * 1000),
}
#: Whoever set something for the connection, the role or the database wants it so.
_SET = """
    SELECT set_config(name, value, false)
    FROM unnest(%s::text[], %s::text[]) AS wanted (name, value) JOIN pg_settings USING (name)
    WHERE source NOT IN ('client', 'user', 'database', 'database user', 'global')
"""
#: Who we are, and the first schema of our search_path that is there, open to us or not. Its entries
#: are names as SQL has them, without commas in any that we would advise.
_WHO = """
    SELECT current_user, coalesce(current_schema(), (
        SELECT nspname
        FROM regexp_split_to_table(current_setting('search_path'), ' *, *')
            WITH ORDINALITY AS entry (name, place)
        JOIN pg_namespace ON nspname = replace(trim(both '"' from name), '$user', current_user)
        ORDER BY place LIMIT 1
    ), 'public')
"""
#: psycopg's own name, which libpq does not know: after how many runs a statement is prepared.
_PREPARE = "prepare_threshold"
#: So many transactions on either side until both have met one connection, of few that are idle.
_ROUNDS = 25
_UNSET = """
    SELECT name FROM pg_settings
    WHERE name = ANY(%s) AND source NOT IN ('user', 'database', 'database user', 'global')
"""


def checked(url: URL) -> URL:
    """The URL with our driver; ConfigurationError for what it cannot mean."""
    if "@" in (url.host or ""):
        raise ConfigurationError("write an @ in the password of a database URL as %40")
    _prepare_threshold(url)
    return url.set(drivername="postgresql+psycopg")


def engine(url: URL, lock_timeout: float) -> Engine:
    """Connections that give up whoever is lost. ModuleNotFoundError without the driver.

    ``lock_timeout``: seconds to wait for a lock. What URL, role or database say stands.
    """
    schema.say_to_postgresql()
    arguments = {name: value for name, value in _CLIENT.items() if name not in url.query}
    made = create_engine(
        url.difference_update_query([_PREPARE]),
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=arguments | {_PREPARE: _prepare_threshold(url)},
        # Whatever the server's default: after waiting for a lock, the others' changes are seen.
        isolation_level="READ COMMITTED",
    )
    wanted = {"lock_timeout": _milliseconds(lock_timeout), **_SERVER}

    @event.listens_for(made, "connect")
    def setup(connection: DBAPIConnection, _: object) -> None:
        """Tell a new connection what nobody else has set for it."""
        cursor = connection.cursor()
        cursor.execute(_SET, (list(wanted), list(wanted.values())))
        cursor.close()
        connection.commit()

    return made


def prepare(connection: Connection, alone: str, *, durable: bool = True) -> None:
    """Begin a transaction that writes: take the lock of this name, if there is one."""
    if not durable:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    if alone:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({crc32(alone.encode())})")


def unkept(engine: Engine, lock_timeout: float, role: Who) -> list[str]:
    """Statements that give the role what does not stay with our connections behind a pooler.

    Nothing where they are ours alone. ``lock_timeout``: as :func:`engine` was given it.
    """
    if not _is_shared(engine):
        return []
    wanted = {"lock_timeout": _milliseconds(lock_timeout), _IDLE: _SERVER[_IDLE]}
    return [
        role.fill(f"ALTER ROLE {{role}} SET {name} = '{wanted[name]}ms'")
        for name in _unset(engine, wanted)
    ]


def who(engine: Engine, url: URL) -> Who:
    """Who we are, as the server says, or as libpq would if we cannot come in."""
    with suppress(SQLAlchemyError), engine.connect() as connection:
        role, schema = connection.exec_driver_sql(_WHO).one()
        return Who(role, schema)
    role = url.username or url.query.get("user") or os.environ.get("PGUSER")
    with suppress(OSError, KeyError):  # an operating system that does not know us either
        return Who(str(role or getpass.getuser()))
    return Who()


def check_encoding(connection: Connection) -> None:
    """ConfigurationError if the database cannot hold every name."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"its encoding is {encoding}, in which not every name can be written: make it with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def _prepare_threshold(url: URL) -> int | None:
    """None: never, as a pooler hands every transaction to another connection; so does 0."""
    given = str(url.query.get(_PREPARE, "0"))
    if not given.isdecimal():
        raise ConfigurationError(
            f"{_PREPARE}={given} in the database URL: 0 (never prepare a statement), or the"
            " number of runs after which one is prepared, is expected"
        )
    return int(given) or None


def _is_shared(engine: Engine) -> bool:
    """Whether a pooler gives our transactions to connections that others use, too.

    What we set for a connection then stays with whoever gets it next, and we have what others set.
    A pooler that leaves each of us a connection for as long as we are connected does no harm: told
    apart by whether two of ours, open at one time, are ever the same one of the server's.

    One query where nobody is between.
    """
    with engine.connect() as one:
        if _process(one) == _greeted_by(one):
            return False
        # A second one for the sake of this alone: where a pooler is between it may have to wait.
        with engine.connect() as other:
            ones, others = set[int](), set[int]()
            for _ in range(_ROUNDS):
                ones.add(_process(one))
                others.add(_process(other))
                if ones & others or len(ones) > 1 or len(others) > 1:
                    return True
    return False


def _unset(engine: Engine, names: Collection[str]) -> list[str]:
    """Those of these settings that neither the role nor the database has."""
    with engine.connect() as connection:
        found = set(connection.exec_driver_sql(_UNSET, ([*names],)).scalars())
    return [name for name in names if name in found]


def _process(connection: Connection) -> int:
    """The server's process, in a transaction of its own."""
    found = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    connection.rollback()
    return found


def _greeted_by(connection: Connection) -> int:
    """The process that whoever took our connection gave us to cancel; a pooler makes one up."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # it is open
    return int(driver.info.backend_pid)
