"""The database itself: its migrations, several processes at once, and processes that die."""

from __future__ import annotations

import contextlib
import gc
import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, NoReturn, cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from tests.forked import Piped

from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql import migration
from facelabel.adapters.store.sql.database import Database, _sqlite_setup
from facelabel.adapters.store.sql.schema import HEAD, VERSION_TABLE, metadata
from facelabel.core.jobs import JobKind
from facelabel.core.model import (
    Asset,
    Basis,
    Candidate,
    EnrolledFace,
    Enrolment,
    FaceDecision,
    NameState,
    Scope,
    SearchRecord,
    Template,
    Verdict,
)
from facelabel.core.serial import encode_face
from facelabel.errors import ConfigurationError, Unavailable
from facelabel.media.types import And, AssetKey, Compare, ImageHeader, Upload, Where
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import NewFace
from facelabel.testing import ManualClock, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Return an empty database of either kind."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Database)
    return made


OPENING = """
import sys
from facelabel.adapters.store.sql.database import Database, _sqlite_setup
database = Database(sys.argv[1])
"""


def python(program: str, *arguments: str) -> Piped:
    """Start another process that runs the program with ``database`` opened."""
    return Piped(OPENING + textwrap.dedent(program), *arguments)


def finish(processes: Sequence[Piped]) -> list[str]:
    """Wait for processes that must succeed; return what they printed."""
    with contextlib.ExitStack() as killed:
        for process in processes:
            killed.enter_context(process)
        outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names())


@contextlib.contextmanager
def without_foreign_keys(database: Database) -> Iterator[Connection]:
    """Write as the migrations do: SQLite makes a table anew, which must take along no other."""
    url = make_url(database.url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def first_version(database: Database) -> None:
    """Make of the database what the first version left: two images and a job."""
    with without_foreign_keys(database) as connection:
        migration.downgrade(connection)
        migration.upgrade(connection, "0001")
        asset = text(
            "INSERT INTO asset VALUES (:id, :public_id, 'training', 7, 'jpg', 4, 30, 40,"
            " :etag, 5.5, 'Zoë.jpg', :context)"
        )
        one = {"id": "1" * 32, "public_id": "a/Zoë", "etag": "e1", "context": '{"alt": "At sea"}'}
        two = {"id": "2" * 32, "public_id": "plain", "etag": "e2", "context": "{}"}
        connection.execute(asset, [one, two])
        tag = text("INSERT INTO asset_tag VALUES (:id, :tag, :position)")
        tags = [("First", 7), ("second", 3)]
        connection.execute(tag, [{"id": "1" * 32, "tag": t, "position": p} for t, p in tags])
        job = text(
            "INSERT INTO job (kind, key, payload, state, tries, run_at, reason, enqueued_at)"
            " VALUES ('asset', :key, '{}', 'ready', 0, 0, '', 0)"
        )
        connection.execute(job, {"key": "1" * 32})


def second_version(database: Database) -> None:
    """Make of the database what the second version left: a face, and numbers once used."""
    with without_foreign_keys(database) as connection:
        migration.downgrade(connection, "0002")
        made = "INSERT INTO collection (id, name, model, dimensions) VALUES (:id, :name, 'm/1', 2)"
        names = ("people", "gone")
        connection.execute(
            text(made), [{"id": 1 + 6 * at, "name": name} for at, name in enumerate(names)]
        )
        face = {"vector": vector(0, 1), "face": json.dumps(encode_face(some_face()))}
        added = text(
            "INSERT INTO template (row, collection_id, face_id, person, asset_id, digest, vector,"
            " face) VALUES (:row, 1, :face_id, 'Zoë', 'a1', 'digest', :vector, :face)"
        )
        for row, face_id in ((3, "f1"), (9, "gone")):
            connection.execute(added, {**face, "row": row, "face_id": face_id})
        connection.execute(text("DELETE FROM template WHERE face_id = 'gone'"))
        connection.execute(text("DELETE FROM collection WHERE name = 'gone'"))
        if connection.dialect.name == "postgresql":  # it counts on from where it drew last
            for table, column, last in (("collection", "id", 7), ("template", "row", 9)):
                sequence = f"pg_get_serial_sequence('{table}', '{column}')"
                connection.execute(text(f"SELECT setval({sequence}, {last})"))


def local_library(database: Database, root: Path) -> LocalLibrary:
    return LocalLibrary(
        database, root, ManualClock(), on_change=None, check=lambda _: ImageHeader("jpg", 1, 1)
    )


class TestMigrations:
    """From nothing to the schema and back."""

    def test_the_schema_is_what_the_migrations_make(self, database: Database) -> None:
        with database.read() as connection:
            options = {"compare_type": True, "version_table": VERSION_TABLE}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, metadata) == []

    def test_the_newest_revision_is_the_one_the_code_knows(self) -> None:
        assert migration.revisions()[0] == HEAD

    def test_every_migration_can_be_undone_and_done_again(self, database: Database) -> None:
        before = tables(database)
        with database.transaction() as connection:
            migration.downgrade(connection)
        assert tables(database) == {VERSION_TABLE}
        with database.transaction() as connection:
            migration.upgrade(connection)
        assert tables(database) == before
        assert StoreLedger(database).gallery().generation == 0

    def test_a_data_folder_of_the_first_version_loses_nothing(
        self, database: Database, tmp_path: Path
    ) -> None:
        first_version(database)
        with contextlib.closing(Database(database.url)) as upgraded:
            self.assert_nothing_was_lost(local_library(upgraded, tmp_path))
        assert [job.key for job in StoreQueue(database, ManualClock()).jobs()] == ["1" * 32]

    def assert_nothing_was_lost(self, library: LocalLibrary) -> None:
        one, two = library.assets("")
        assert one == Asset(
            "1" * 32,
            "a/Zoë",
            "training",
            7,
            "jpg",
            4,
            "e1",
            30,
            40,
            created_at=5.5,
            updated_at=5.5,
            filename="Zoë.jpg",
            tags=("second", "First"),
            context={"alt": "At sea"},
            display_name="Zoë",
        )
        assert (two.public_id, two.tags, two.display_name) == ("plain", (), "plain")
        words = [Where("", Compare.TOKEN, word) for word in ("first", "sea", "zoë", "training")]
        assert library.select(And(tuple(words)), limit=9).assets == (one,)
        library.add_tags("2" * 32, ["third"])
        library.delete("1" * 32)
        assert [asset.tags for asset in library.assets("")] == [("third",)]

    def test_going_back_to_the_first_version_keeps_its_images(
        self, database: Database, tmp_path: Path
    ) -> None:
        first_version(database)
        with contextlib.closing(Database(database.url)) as upgraded:
            library = local_library(upgraded, tmp_path)
            for resource_type in ("image", "video"):
                library.put(Upload(AssetKey("plain", resource_type, "private"), b"{}", "jpg"))
        with without_foreign_keys(database) as connection:
            migration.downgrade(connection, "0001")
            rows = connection.execute(text("SELECT public_id FROM asset ORDER BY public_id"))
            assert list(rows.scalars()) == ["a/Zoë", "plain"]
            tags = connection.execute(text("SELECT tag FROM asset_tag ORDER BY position"))
            assert list(tags.scalars()) == ["second", "First"]

    def test_collections_of_the_second_version_lose_nothing(self, database: Database) -> None:
        second_version(database)
        before = time.time()
        with contextlib.closing(Database(database.url)) as upgraded:
            galleries = StoreGalleries(upgraded, ManualClock())
            people = galleries.find("people")
            assert list(galleries.enrolled(people.number)) == [EnrolledFace("f1", "Zoë", "a1")]
            ((record,), _) = galleries.faces("people", 0, 9)
            assert record.external_image_id == external_ids.encode("Zoë", "a1")
            assert (record.box, record.user_id) == (some_face().box, None)
            created_at = galleries.describe("people").created_at
            assert int(before) <= created_at <= time.time()
            galleries.create("next", "model/1", 2, {"a": "b"})
            assert galleries.find("next").number > 7  # numbers stay used up
            template = Template(some_face(), vector(1, 0))
            galleries.add("people", [NewFace("f2", "d", "Ann", "Ann", template)])
            rows = galleries.vectors(people.number, 0, 9)
            assert [row for row, _ in rows] == [3, 10]

    def test_going_back_to_the_second_version_keeps_its_faces(self, database: Database) -> None:
        second_version(database)
        with contextlib.closing(Database(database.url)) as upgraded:
            users = StoreUsers(upgraded, ManualClock())
            users.create("people", "zoe", "token")
            users.associate(
                "people", "zoe", ["f1"], similarity=lambda *_: 100, threshold=0, token=None
            )
        with without_foreign_keys(database) as connection:
            migration.downgrade(connection, "0002")
            names = connection.execute(text("SELECT name FROM collection")).scalars()
            faces = connection.execute(text("SELECT face_id FROM template")).scalars()
            assert (list(names), list(faces)) == (["people"], ["f1"])

    def test_searches_of_the_sixth_version_lose_nothing(self, database: Database) -> None:
        """They are decided once more before it is known what they rest on."""
        seen = FaceDecision(some_face(), "Zoë", Verdict.NAMED, (Candidate("Zoë", 99.5, "f1"),))
        found = [
            SearchRecord(f"p{number}", f"assets/p{number}", number, "people", 7, "80/1", "m/1",
                   (seen,), (some_face(),), 5.5 + number, number or None)
            for number in range(3)
        ]  # fmt: skip
        scope = Scope(8, "people", "80/1")
        ledger = StoreLedger(database)
        for search in found:
            ledger.record(search, Basis(b"note", 1.0, 99.0))
        assert len(ledger.noted(scope, 80, 9)) == 3
        with without_foreign_keys(database) as connection:
            migration.downgrade(connection, "0006")
            columns = {column["name"] for column in inspect(connection).get_columns("search")}
            assert columns >= {"generation", "rules", "portraits", "faces"}
        with contextlib.closing(Database(database.url)) as upgraded:
            ledger = StoreLedger(upgraded)
            assert ledger.searches(["p0", "p1", "p2"]) == {one.asset_id: one for one in found}
            assert list(ledger.stale(8, 9)) == found
            assert list(ledger.noted(scope, 80, 9)) == []

    def test_a_migration_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "facelabel.db"
        with contextlib.closing(sqlite3.connect(path)) as raw:
            raw.execute("CREATE TABLE kept (in_the_way)")
            raw.execute(f"CREATE TABLE {VERSION_TABLE} (version_num)")
        with pytest.raises(Exception, match="kept"):
            Database(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as raw:
            tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_master")}
        assert tables == {"kept", VERSION_TABLE}

    def test_a_database_of_a_newer_version_is_refused(self, database: Database) -> None:
        with database.transaction() as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        with pytest.raises(ConfigurationError, match=r"newer version.*9999.*upgrade"):
            Database(database.url)

    def test_an_unchanged_database_opens_without_alembic(self, database: Database) -> None:
        program = OPENING + "print('alembic' in sys.modules)"
        bare = [sys.executable, "-c", program, database.url]
        assert subprocess.check_output(bare, text=True) == "False\n"

    def test_processes_may_open_a_new_database_at_once(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'facelabel.db'}"
        finish([python("", url) for _ in range(2)])
        with contextlib.closing(Database(url)) as database:
            assert StoreLedger(database).gallery().generation == 0

    def test_threads_may_open_a_new_database_at_once(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'facelabel.db'}"
        failures: list[BaseException] = []

        def open_it() -> None:
            try:
                Database(url).close()
            except Exception as error:  # noqa: BLE001 - shown by the assertion
                failures.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


class TestSettings:
    """What may be given as a database, and what is said about the rest."""

    @pytest.mark.parametrize(
        "url",
        ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://a/b", "postgresql://a:port/b"],
    )
    def test_what_is_no_database_of_ours_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError):
            Database(url)

    def test_a_folder_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="unable to open database file"):
            Database(f"sqlite:///{tmp_path / 'missing' / 'facelabel.db'}")

    def test_a_file_that_is_no_database_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "facelabel.db"
        path.write_bytes(b"not a database " * 1000)
        with pytest.raises(ConfigurationError, match="not a database"):
            Database(f"sqlite:///{path}")

    def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        with pytest.raises(Unavailable, match="refused"):
            Database("postgresql://127.0.0.1:1/facelabel")

    def test_a_database_that_is_not_there_is_said(self, postgresql_server: str) -> None:
        with pytest.raises(ConfigurationError, match="does not exist"):
            Database(postgresql_server.format("unknown"))

    @pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "postgresql:/u:secret@host/db"])
    def test_a_password_is_not_shown(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Database(url)
        assert "secret" not in str(caught.value)

    def test_an_error_does_not_repeat_the_values_of_a_statement(self, database: Database) -> None:
        with (
            pytest.raises(DBAPIError) as failure,
            database.transaction() as connection,
        ):
            connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Zoë Müller"})
        assert "Zoë" not in str(failure.value)


class TestSqlite:
    """What SQLite is told."""

    def test_commits_are_durable_and_deleted_rows_overwritten(self, sqlite: Database) -> None:
        pragmas = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        with sqlite.transaction() as connection:
            values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert values == ["wal", 2, 1, 1]

    def test_only_what_need_not_outlive_a_power_cut_is_not_waited_for(
        self, sqlite: Database
    ) -> None:
        for durable, level in ((True, 2), (False, 1), (True, 2)):
            with sqlite.transaction(durable=durable) as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level

    @pytest.mark.parametrize("names_beside", [False, True])
    def test_a_name_about_to_be_written_elsewhere_is_waited_for(
        self, sqlite: Database, *, names_beside: bool
    ) -> None:
        ledger = StoreLedger(sqlite, names_beside=names_beside)
        found = SearchRecord("p", "p", 1, "people", 1, "", "", ())

        def level() -> int | None:
            """What the only connection was told by who wrote last."""
            with sqlite.read() as connection:
                return connection.exec_driver_sql("PRAGMA synchronous").scalar()

        ledger.record(found)
        assert level() == 1
        ledger.record(found, None, {"Ann": NameState.WRITING})
        assert level() == (1 if names_beside else 2)
        ledger.mark("p", {"Ann": NameState.WRITTEN})
        assert level() == 1
        for decided in (NameState.REFUSED, None):
            ledger.mark("p", {"Ann": NameState.WRITTEN})
            ledger.mark("p", {"Ann": decided})
            assert level() == 2

    def test_a_forgotten_vector_is_not_in_the_file(self, sqlite: Database, tmp_path: Path) -> None:
        templates = StoreGalleries(sqlite, ManualClock())
        templates.create("people", "model/1", 2)
        secret = vector(0.123, 0.456)
        face = NewFace("f1", "", None, "Ann", Template(some_face(), secret))
        templates.add("people", [face])
        sqlite.close()
        assert secret in (tmp_path / "facelabel.db").read_bytes()
        templates.delete("people", ["f1"])
        sqlite.close()
        assert secret not in (tmp_path / "facelabel.db").read_bytes()

    def test_a_lock_held_too_long_is_unavailable(self, sqlite: Database) -> None:
        impatient = Database(sqlite.url, busy_timeout=0.05)
        with sqlite.transaction(), pytest.raises(Unavailable, match="locked"):
            StoreQueue(impatient, ManualClock()).enqueue(JobKind.ASSET, "a")
        impatient.close()

    def test_a_connection_that_cannot_be_set_up_is_closed(self, tmp_path: Path) -> None:
        def opened() -> set[int]:
            """Those of this program, the ones that nobody will ever close included."""
            found = set()
            for one in gc.get_objects():
                if type(one) is sqlite3.Connection:
                    with contextlib.suppress(sqlite3.ProgrammingError):  # closed
                        one.total_changes  # noqa: B018 - asked whether it answers
                        found.add(id(one))
            return found

        path = tmp_path / "facelabel.db"
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            before = opened()
            # What is raised holds on to what was opened.
            with pytest.raises(Unavailable, match="locked") as failure:
                Database(f"sqlite:///{path}", busy_timeout=0.05)
            assert opened() == before
            assert failure.value.__cause__

    def test_a_full_disk_is_unavailable(self, sqlite: Database) -> None:
        with sqlite.transaction() as connection:  # of this connection, which the pool gives again
            size = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {size}")
        queue = StoreQueue(sqlite, ManualClock())
        with pytest.raises(Unavailable, match="full"):
            queue.enqueue(JobKind.ASSET, "a", {"filling": "x" * 100_000})
        assert queue.pending() == 0


class TestConcurrency:
    """Several processes and threads at once."""

    def test_reading_and_then_writing_loses_nothing(self, database: Database) -> None:
        program = """
            from sqlalchemy import text
            for _ in range(25):
                with database.transaction(alone="gallery") as connection:
                    n = connection.execute(text("SELECT generation FROM gallery")).scalar()
                    connection.execute(text("UPDATE gallery SET generation = :n"), {"n": n + 1})
        """
        finish([python(program, database.url) for _ in range(4)])
        assert StoreLedger(database).gallery().generation == 100

    def test_every_job_is_claimed_by_one_process(self, database: Database) -> None:
        queue = StoreQueue(database, ManualClock())
        for number in range(40):
            queue.enqueue(JobKind.ASSET, f"a{number}")
        program = """
            from facelabel.adapters.store.jobs import StoreQueue
            from facelabel.testing import ManualClock
            queue = StoreQueue(database, ManualClock())
            while job := queue.claim():
                print(job.key)
                assert queue.finish(job)
        """
        outputs = finish([python(program, database.url) for _ in range(2)])
        keys = [key for output in outputs for key in output.split()]
        assert sorted(keys) == sorted(f"a{number}" for number in range(40))
        assert queue.pending() == 0

    def test_a_reader_sees_one_moment(self, database: Database) -> None:
        ledger = StoreLedger(database)
        ledger.switch("one")
        count = text("SELECT generation FROM gallery")
        with database.read() as connection:
            before = connection.execute(count).scalar()
            ledger.switch("two")
            assert connection.execute(count).scalar() == before
        assert ledger.gallery().generation == 2

    def test_the_last_of_two_copies_unenrolled_at_once_leaves_the_face(
        self, database: Database
    ) -> None:
        ledger = StoreLedger(database)
        for round_ in range(10):
            start = threading.Barrier(2)

            def unenrol(asset_id: str, start: threading.Barrier = start) -> None:
                start.wait()
                ledger.unenrol("people", asset_id)

            face_id = f"f{round_}"
            for asset_id in "ab":
                ledger.enrol("people", Enrolment(asset_id, asset_id, 1, "digest", "Ann", face_id))
            threads = [threading.Thread(target=unenrol, args=(asset_id,)) for asset_id in "ab"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert list(ledger.faces_to_delete("people")) == [face_id]
            ledger.mark_deleted("people", [face_id])

    def test_a_follower_of_row_numbers_misses_none(self, database: Database) -> None:
        templates = StoreGalleries(database, ManualClock())
        templates.create("people", "model/1", 2)
        number = templates.find("people").number

        def add(name: str) -> None:
            for count in range(30):
                template = Template(some_face(), vector(1, count))
                templates.add("people", [NewFace(f"{name}-{count}", "", None, "Ann", template)])

        threads = [threading.Thread(target=add, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        while any(thread.is_alive() for thread in threads) or len(seen) < 90:
            seen += [row for row, _ in templates.vectors(number, seen[-1] if seen else 0, 100)]
            assert len(seen) == len(set(seen))
            time.sleep(0.001)
            if not any(thread.is_alive() for thread in threads):
                seen += [row for row, _ in templates.vectors(number, seen[-1], 100)]
                break
        assert len(seen) == 90

    def test_two_databases_of_one_process_do_not_deadlock(self, database: Database) -> None:
        other = Database(database.url)
        with database.read() as connection:
            connection.execute(text("SELECT generation FROM gallery"))
            StoreLedger(other).switch("next")
        other.close()
        assert StoreLedger(database).collection() == "next"


class TestDeath:
    """A process that is killed leaves all of a transaction or nothing."""

    def test_a_killed_transaction_leaves_nothing_and_no_lock(self, database: Database) -> None:
        program = """
            import time
            from facelabel.adapters.store.jobs import StoreQueue
            from facelabel.core.jobs import JobKind
            from facelabel.testing import ManualClock
            queue = StoreQueue(database, ManualClock())
            queue.enqueue(JobKind.ASSET, "promised")
            with database.transaction(alone="gallery") as connection:
                queue.enqueue_in(connection, JobKind.ASSET, "undone")
                print("ready", flush=True)
                time.sleep(3600)
        """
        with python(program, database.url) as process:
            assert process.stdout.readline() == "ready\n"
        StoreLedger(database).enrol("people", Enrolment("a", "a", 1, "d", "Ann", "f"))
        assert [job.key for job in StoreQueue(database, ManualClock()).jobs()] == ["promised"]

    def test_what_was_promised_survives_kills_at_any_moment(self, database: Database) -> None:
        program = """
            from facelabel.adapters.store.jobs import StoreQueue
            from facelabel.core.jobs import JobKind
            from facelabel.testing import ManualClock
            queue = StoreQueue(database, ManualClock())
            for number in range(1_000_000):
                queue.enqueue(JobKind.ASSET, f"{sys.argv[2]}-{number}")
                print(number, flush=True)
        """
        for round_ in range(3):
            with python(program, database.url, str(round_)) as process:
                promised = [process.stdout.readline() for _ in range(20 + 7 * round_)]
                process.kill()
                promised += process.communicate().split()
            keys = {job.key for job in StoreQueue(database, ManualClock()).jobs(limit=10**6)}
            assert {f"{round_}-{int(number)}" for number in promised} <= keys

    def test_a_lost_connection_is_unavailable_once(self, postgresql: Database) -> None:
        ledger = StoreLedger(postgresql)
        with pytest.raises(Unavailable), postgresql.transaction() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert ledger.gallery().generation == 0


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """It would get our tables otherwise; the message says which file."""
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE something (x)")
    with pytest.raises(ConfigurationError, match=r"theirs\.db.*another program"):
        Database(f"sqlite:///{path}")


def test_an_unescaped_password_is_not_shown() -> None:
    """Half of it would be taken for the host."""
    with pytest.raises(ConfigurationError, match="%40") as caught:
        Database("postgresql://me:hush@secret@host/x")
    assert "hush" not in str(caught.value)
    assert "secret" not in str(caught.value)


class Unwilling(sqlite3.Connection):
    """Raises whatever it is asked."""

    trouble: BaseException

    def cursor(self, *args: object, **options: object) -> NoReturn:
        """See :class:`sqlite3.Connection`."""
        raise self.trouble


class Entry:
    """What a pool keeps about a connection."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.info: dict[str, object] = {}


@pytest.mark.parametrize("trouble", [sqlite3.OperationalError("locked"), KeyboardInterrupt()])
def test_whatever_interrupts_the_setup_the_connection_is_closed(
    tmp_path: Path, trouble: BaseException
) -> None:
    """Not by SQLAlchemy before 2.1; and Python 3.13 tells of what nobody closed."""
    connection = sqlite3.connect(tmp_path / "x.db", factory=Unwilling)
    connection.trouble = trouble
    setup = _sqlite_setup(threading.Event(), migrating=False)
    with pytest.raises(type(trouble)):
        setup(cast("DBAPIConnection", connection), cast("ConnectionPoolEntry", Entry()))
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
