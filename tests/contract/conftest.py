"""A library of its own on either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy
from tests.conftest import PAGE, on_server
from tests.contract.media_bench import Bench

from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facelabel.adapters.store.library.library import LocalLibrary


class Emptied:
    """A database that is emptied instead of made: PostgreSQL takes a fifth of a second for one."""

    def __init__(self, url: str) -> None:
        """Remember what is in it as the newest one of its kind."""
        self.url = url
        where = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
        self._engine = sqlalchemy.create_engine(where, poolclass=sqlalchemy.NullPool)
        with self._engine.connect() as connection:
            self._first = {
                table: [dict(row) for row in connection.execute(table.select()).mappings()]
                for table in schema.metadata.sorted_tables
            }

    def empty(self) -> None:
        """Bring it back to where it was; whoever still holds it is cut off."""
        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ))  # fmt: skip
            for table in reversed(self._first):
                connection.execute(table.delete())
            for table, rows in self._first.items():
                if rows:
                    connection.execute(table.insert(), rows)


@pytest.fixture(scope="session")
def emptied(postgresql_server: str, migrated_postgresql: str) -> Emptied:
    """Return the database on PostgreSQL of all contract tests, one after the other."""
    on_server(postgresql_server, f"CREATE DATABASE emptied TEMPLATE {migrated_postgresql}")
    return Emptied(postgresql_server.format("emptied"))


@pytest.fixture
def postgresql(emptied: Emptied) -> Iterator[Database]:
    """Return an empty PostgreSQL database, whose schema is left as it is."""
    emptied.empty()  # before: whatever a test that failed has left
    database = Database(emptied.url, page=PAGE)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Return an empty library on either database."""
    return Bench(request.getfixturevalue(request.param), tmp_path / "originals")


@pytest.fixture
def library(bench: Bench) -> LocalLibrary:
    return bench.library
