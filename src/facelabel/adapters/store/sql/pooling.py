"""Whether a pooler gives our transactions to connections that others use, too.

What we set for a connection then stays with whoever gets it next, and we have what others set. A
pooler that leaves each of us a connection for as long as we are connected does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Engine

#: So many transactions on either side until both have met one connection, of few that are idle.
_ROUNDS = 25
_UNSET = """
    SELECT name FROM pg_settings
    WHERE name = ANY(%s) AND source NOT IN ('user', 'database', 'database user', 'global')
"""


def is_shared(engine: Engine) -> bool:
    """Whether two of our connections, open at one time, are ever the same one of the server's.

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


def unset(engine: Engine, names: Collection[str]) -> list[str]:
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
