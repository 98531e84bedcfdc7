"""PostgreSQL as people set it up: roles, standbys, poolers, and machines that are lost."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from tests.forked import Piped
from tests.pooler import pgbouncer

from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobKind
from facelabel.errors import ConfigurationError, Unavailable
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longer than any busy machine takes.
PATIENCE = 300.0


@dataclass(frozen=True)
class Server:
    """A database of our own, its owner, and a role without any right."""

    url: str
    role: str

    def address(self, role: str = "", **options: str) -> str:
        """The URL for a role; the owner's without one."""
        url = make_url(self.url).update_query_dict(options)
        return (url.set(username=role) if role else url).render_as_string(hide_password=False)

    def __call__(self, statement: str) -> list[Any]:
        """Run a statement as the owner."""
        url = make_url(self.url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                result = connection.execute(text(statement))
                return list(result) if result.returns_rows else []
        finally:
            engine.dispose()


@pytest.fixture
def server(postgresql_server: str) -> Iterator[Server]:
    """Return an empty database, as CREATE DATABASE leaves it."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = Server(postgresql_server.format("postgres"), name)
    admin(f"CREATE DATABASE {name}")
    admin(f"CREATE ROLE {name} LOGIN")
    yield Server(postgresql_server.format(name), name)
    admin(f"DROP DATABASE {name} WITH (FORCE)")
    admin(f"DROP ROLE {name}")


def opened(url: str) -> None:
    """Open, write, close."""
    with closing(Database(url)) as database:
        StoreQueue(database, ManualClock()).enqueue(JobKind.ASSET, "a")


class TestRights:
    """What is missing is said in one line, with the statement that gives it."""

    def refusal(self, url: str) -> str:
        with pytest.raises(ConfigurationError) as refused:
            opened(url)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    def test_a_role_works_once_it_has_what_each_message_asks_for(self, server: Server) -> None:
        """From none to enough, in a database that its owner has opened before."""
        opened(server.url)
        server(f"REVOKE CONNECT ON DATABASE {server.role} FROM PUBLIC")
        server("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        asked = []
        for _ in range(4):
            message = self.refusal(server.address(server.role))
            grants = [part.strip() for part in message.split(": ")[-1].split(";")]
            asked.append(grants[0].split(" TO ")[0])
            server(grants[0])
        assert asked == [
            f'GRANT CONNECT ON DATABASE "{server.role}"',
            "GRANT USAGE, CREATE ON SCHEMA public",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public",
        ]
        opened(server.address(server.role))

    def test_a_role_that_may_only_read_and_write_rows_is_enough(self, server: Server) -> None:
        opened(server.url)
        server(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {server.role}"
        )
        server(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {server.role}")
        opened(server.address(server.role))

    def test_who_may_make_no_tables_is_told_so(self, server: Server) -> None:
        """PostgreSQL's own default since version 15."""
        message = self.refusal(server.address(server.role))
        assert f"GRANT USAGE, CREATE ON SCHEMA public TO {server.role}" in message
        server(f"GRANT CREATE ON SCHEMA public TO {server.role}")
        opened(server.address(server.role))

    def test_an_upgrade_is_the_owners(self, server: Server) -> None:
        opened(server.url)
        server(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {server.role}")
        server(f"GRANT ALL ON SCHEMA public TO {server.role}")
        server("UPDATE facelabel_version SET version_num = '0001'")
        assert "once as the owner" in self.refusal(server.address(server.role))

    def test_a_schema_that_is_not_there_is_said(self, server: Server) -> None:
        message = self.refusal(server.address(options="-c search_path=nowhere"))
        assert "search_path" in message

    def test_a_schema_of_our_own_is_enough(self, server: Server) -> None:
        server(f"CREATE SCHEMA faces AUTHORIZATION {server.role}")
        opened(server.address(server.role, options="-c search_path=faces"))

    def test_what_is_to_be_granted_is_named_by_who_and_where_we_are(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a schema that is not public, as a role that the URL does not name."""
        path = "-c search_path=fäces"
        server(f'CREATE SCHEMA "fäces" AUTHORIZATION {server.role}')
        opened(server.address(server.role, options=path))
        visitor = f"{server.role}_visitor"
        server(f"CREATE ROLE {visitor} LOGIN")
        try:
            monkeypatch.setenv("PGUSER", visitor)
            known = make_url(server.address(options=path))
            url = URL.create(known.drivername, database=known.database, query=known.query)
            asked = []
            for _ in range(3):
                message = self.refusal(url.render_as_string())
                grants = message.split(": ")[-1].split("; ")
                asked.append(grants[0])
                server(grants[0])
            assert asked == [
                f'GRANT {what} "fäces" TO {visitor}'
                for what in (
                    "USAGE, CREATE ON SCHEMA",
                    "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA",
                    "USAGE ON ALL SEQUENCES IN SCHEMA",
                )
            ]
            opened(url.render_as_string())
        finally:
            server(f"DROP OWNED BY {visitor}")
            server(f"DROP ROLE {visitor}")

    def test_a_server_that_takes_no_writes_may_do_so_later(self, server: Server) -> None:
        """A standby is promoted one day: who waits for it need not be started again."""
        opened(server.url)
        options = {"options": "-c default_transaction_read_only=on"}
        with pytest.raises(Unavailable, match=r"standby.*target_session_attrs"):
            opened(server.address(**options))

    def test_a_role_whose_statements_end_early_is_told_what_ends_them(self, server: Server) -> None:
        opened(server.url)
        with (
            closing(Database(server.address(options="-c statement_timeout=20"))) as database,
            pytest.raises(Unavailable, match=r"ALTER ROLE postgres SET statement_timeout = 0"),
            database.read() as connection,
        ):
            connection.execute(text("SELECT pg_sleep(60)"))

    def test_a_database_that_cannot_hold_every_name_is_refused(
        self, server: Server, postgresql_server: str
    ) -> None:
        admin = Server(postgresql_server.format("postgres"), "")
        name = f"{server.role}_latin1"
        admin(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(ConfigurationError, match=r"LATIN1.*ENCODING 'UTF8'"):
                Database(postgresql_server.format(name))
        finally:
            admin(f"DROP DATABASE {name} WITH (FORCE)")

    @pytest.mark.parametrize(
        "options",
        [{"connect_timeout": "soon"}, {"nonsense": "1"}, {"sslmode": "odd"},
         {"options": "-c nonsense=1"}, {"prepare_threshold": "-1"}],
    )  # fmt: skip
    def test_a_url_that_is_not_understood_is_a_wrong_setting(
        self, server: Server, options: dict[str, str]
    ) -> None:
        (word,) = options.values()
        assert word.removeprefix("-c ").partition("=")[0] in self.refusal(server.address(**options))


SHOWN = (
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "tcp_keepalives_idle",
    "tcp_user_timeout",
)


def shown(url: str) -> list[str]:
    with closing(Database(url)) as database, database.read() as connection:
        return [str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in SHOWN]


class TestConnections:
    """How soon either side notices that the other is gone."""

    def test_who_is_silent_in_a_change_is_ended_before_others_give_up(self, server: Server) -> None:
        assert shown(server.url)[:2] == ["30s", "20s"]

    def test_what_url_role_or_database_say_stands(self, server: Server) -> None:
        options = "-c lock_timeout=7s -c idle_in_transaction_session_timeout=8s"
        assert shown(server.address(options=options))[:2] == ["7s", "8s"]
        server("ALTER ROLE CURRENT_USER SET lock_timeout = '9s'")
        server(f"ALTER DATABASE {server.role} SET idle_in_transaction_session_timeout = '11s'")
        try:
            assert shown(server.url)[:2] == ["9s", "11s"]
        finally:
            server("ALTER ROLE CURRENT_USER RESET lock_timeout")

    def test_a_migration_is_no_exception(self, server: Server) -> None:
        """It holds the strongest lock of all; every one of its connections is made here."""
        with closing(Database(server.url)) as database:
            engine = database._connected(migrating=True)  # noqa: SLF001 - what a migration runs on
            with engine.connect() as connection:
                idle = connection.exec_driver_sql(f"SHOW {SHOWN[1]}").scalar()
            engine.dispose()
        assert idle == "20s"

    def test_nothing_is_prepared_unless_the_url_asks_for_it(self, server: Server) -> None:
        """A pooler gives each transaction another connection, which knows of nothing prepared."""
        for threshold, expected in (("", 0), ("0", 0), ("2", 1)):
            options = {"prepare_threshold": threshold} if threshold else {}
            url = server.address(**options)
            with closing(Database(url)) as database, database.read() as connection:
                for _ in range(5):
                    connection.execute(text("SELECT 4711"))
                names = connection.execute(text("SELECT statement FROM pg_prepared_statements"))
                assert [*names.scalars()].count("SELECT 4711") == expected


class TestPooler:
    """A pooler is between, and what we set for a connection may stay with another one."""

    def unkept(self, url: str) -> list[str]:
        with closing(Database(url)) as database:
            return [*database.unkept()]

    def behind(self, server: Server) -> str:
        """The URL of a role that owns the database."""
        server(f"ALTER DATABASE {server.role} OWNER TO {server.role}")
        return server.address(server.role)

    def test_nobody_is_between(self, server: Server) -> None:
        assert self.unkept(self.behind(server)) == []

    def test_one_that_leaves_us_our_connection_does_no_harm(
        self, server: Server, pgbouncer_program: str, tmp_path: Path
    ) -> None:
        with pgbouncer(pgbouncer_program, self.behind(server), "session", tmp_path) as url:
            opened(url)
            assert self.unkept(url) == []

    @pytest.mark.parametrize("mode", ["transaction", "transaction\nserver_round_robin = 1"])
    def test_one_that_shares_connections_is_noticed_and_what_helps_is_said(
        self, server: Server, pgbouncer_program: str, tmp_path: Path, mode: str
    ) -> None:
        behind = self.behind(server)
        with pgbouncer(pgbouncer_program, behind, mode, tmp_path) as url:
            opened(url)
            statements = self.unkept(url)
        assert statements == [
            f"ALTER ROLE {server.role} SET lock_timeout = '30000ms'",
            f"ALTER ROLE {server.role} SET idle_in_transaction_session_timeout = '20000ms'",
        ]
        for statement in statements:
            server(statement)
        with pgbouncer(pgbouncer_program, behind, mode, tmp_path) as url:
            assert self.unkept(url) == []
            opened(url)


#: Takes the library's lock, says so, goes on when told to; a second try has to succeed.
HOLDER = """
    import sys
    from facelabel.adapters.store.sql.database import Database
    from facelabel.adapters.store.jobs import StoreQueue
    from facelabel.errors import Unavailable
    from facelabel.core.jobs import JobKind
    from facelabel.testing import ManualClock
    database = Database(sys.argv[1])
    queue = StoreQueue(database, ManualClock())
    def write(key):
        with database.transaction(alone="library") as connection:
            queue.enqueue_in(connection, JobKind.ASSET, key)
            if key == "lost":
                print(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar(), flush=True)
                sys.stdin.readline()
    try:
        write("lost")
    except Unavailable as error:
        print(error, flush=True)
        write("tried again")
"""


def holder(url: str) -> Piped:
    """Another program in the middle of a change."""
    return Piped(textwrap.dedent(HOLDER), url)


class TestLostMachine:
    """Somebody is gone, with the library's lock in hand."""

    @pytest.mark.skipif(os.name != "posix", reason="stops a process as POSIX does")
    def test_others_write_again_and_who_comes_back_harms_nothing(self, server: Server) -> None:
        """A second stands for the 20, which is what a test of its own reads from the server."""
        opened(server.url)
        soon = server.address(options="-c idle_in_transaction_session_timeout=1s")
        patient = Database(server.url, busy_timeout=PATIENCE)
        with closing(patient), holder(soon) as lost:
            backend = int(lost.stdout.readline())
            lost.send_signal(signal.SIGSTOP)
            with patient.transaction(alone="library") as connection:
                StoreQueue(patient, ManualClock()).enqueue_in(connection, JobKind.ASSET, "other")
            assert server(f"SELECT FROM pg_stat_activity WHERE pid = {backend}") == []
            lost.send_signal(signal.SIGCONT)
            said = lost.communicate("go on\n")
            assert said.startswith("database: ")
            assert lost.returncode == 0
            keys = {job.key for job in StoreQueue(patient, ManualClock()).jobs()}
            assert keys == {"a", "other", "tried again"}


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "postgresql.md"


def test_the_statements_of_the_page_are_enough(postgresql_server: str) -> None:
    """One role that owns all; or two, the second of which may change rows only, upgrades too."""
    one, two, rights, pooler = re.findall(
        r"^```sql\n(.+?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = Server(postgresql_server.format("postgres"), name)

    def run(server: Server, block: str) -> None:
        for statement in block.strip().removesuffix(";").split(";\n"):
            server(statement.replace("facelabel", name))

    def address(role: str) -> Server:
        return Server(Server(postgresql_server.format(name), role).address(role), role)

    try:
        run(admin, one)
        opened(address(name).url)
        admin(f"DROP DATABASE {name}")
        admin(f"DROP ROLE {name}")

        run(admin, two)
        owner, worker = address(f"{name}_owner"), address(name)
        run(owner, rights)
        opened(owner.url)
        opened(worker.url)
        owner("CREATE TABLE upgraded (id bigserial)")
        worker("INSERT INTO upgraded DEFAULT VALUES")
        run(admin, pooler)
        assert shown(worker.url)[:2] == ["30s", "20s"]
    finally:
        admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for role in (name, f"{name}_owner"):
            admin(f"DROP ROLE IF EXISTS {role}")
