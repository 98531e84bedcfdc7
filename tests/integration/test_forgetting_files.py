"""SQLite's files hold nothing of what was deleted, whoever else has them open."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from tests.waiting import until

from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import Database
from facelabel.adapters.store.sql.forgetting import Eraser
from facelabel.core.model import NameState
from facelabel.media.types import Edit, ImageHeader
from facelabel.testing import ManualClock

PATIENCE = 120.0
NAME = "Wvutsr Qponm"
_NAMES = re.compile(rb"NAME[0-9a-f]{32}")


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def traces(path: Path, needle: bytes) -> set[str]:
    return {file.name for file in path.parent.iterdir() if needle in file.read_bytes()}


def test_a_name_leaves_the_log_while_the_database_is_open(sqlite: Database, tmp_path: Path) -> None:
    ledger = StoreLedger(sqlite)
    ledger.mark("picture", {NAME: NameState.WRITTEN})
    assert traces(tmp_path / "facelabel.db", NAME.encode())

    ledger.mark("picture", {NAME: None})

    until(lambda: not traces(tmp_path / "facelabel.db", NAME.encode()))


def test_a_reader_in_the_way_only_puts_it_off(sqlite: Database, tmp_path: Path) -> None:
    ledger, path = StoreLedger(sqlite), tmp_path / "facelabel.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        ledger.mark("picture", {NAME: NameState.WRITTEN})
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM name_mark").fetchone() == (1,)
        ledger.mark("picture", {NAME: None})
        eraser = Eraser(path)
        eraser.stop()
        assert not eraser.empty_log()
        assert eraser.empty_log() is False
        assert traces(path, NAME.encode())

    until(lambda: not traces(path, NAME.encode()))


def test_what_a_killed_process_left_goes_when_the_database_is_opened(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "facelabel.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    left = tmp_path / "left.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as dying:
        dying.execute("PRAGMA secure_delete = ON")
        dying.execute("INSERT INTO name_mark VALUES ('picture', ?, 'written')", [NAME])
        dying.execute("DELETE FROM name_mark")
        for file in (path, log_of(path)):  # as they were when it was killed
            file.with_name(file.name.replace("facelabel", "left")).write_bytes(file.read_bytes())
    assert NAME.encode() in log_of(left).read_bytes()

    with closing(Database(f"sqlite:///{left}")):
        until(lambda: not traces(left, NAME.encode()))


def shuffled(path: Path, seed: int) -> set[bytes]:
    """A table in which rows come, change and go; return the names that are left."""
    chance, left = random.Random(seed), dict[str, str]()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for setting in ("journal_mode = WAL", "secure_delete = ON", "synchronous = OFF"):
            database.execute(f"PRAGMA {setting}")
        database.execute("CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT, more TEXT)")
        database.execute("CREATE INDEX i ON t (name)")
        for _ in range(5000):
            if left and chance.random() < 0.5:
                gone = chance.choice(list(left))
                del left[gone]
                database.execute("DELETE FROM t WHERE id = ?", [gone])
            else:
                row = [uuid.UUID(int=chance.getrandbits(128)).hex for _ in range(2)]
                left[row[0]] = f"NAME{row[1]}"
                more = "x" * chance.randrange(300)
                database.execute("INSERT INTO t VALUES (?, ?, ?)", [row[0], left[row[0]], more])
        database.execute(f"PRAGMA user_version = {forgetting._FORGOTTEN}")  # noqa: SLF001 - of the file format
    return {name.encode() for name in left.values()}


def test_copies_that_moving_rows_left_in_the_pages_go_with_the_rewrite(tmp_path: Path) -> None:
    path, reached = tmp_path / "facelabel.db", False
    for seed in range(3):
        path.unlink(missing_ok=True)
        left = shuffled(path, seed)
        reached |= bool(set(_NAMES.findall(path.read_bytes())) - left)
        eraser = Eraser(path)
        eraser.stop()
        eraser.rewrite(PATIENCE)
        assert set(_NAMES.findall(path.read_bytes())) == left
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (0,)
    if not reached:
        pytest.skip("this SQLite leaves no copies behind")


def test_what_is_forgotten_during_a_rewrite_asks_for_another(sqlite: Database) -> None:
    marks = update(schema.gallery).values(generation=1)
    with sqlite.transaction() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 2")  # another process is at it
    with sqlite.transaction() as connection:
        connection.execute(marks)
        forgetting.note(connection)
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 1


def test_a_transaction_that_fails_forgets_nothing(sqlite: Database) -> None:
    with suppress(ZeroDivisionError), sqlite.transaction() as connection:
        forgetting.note(connection)
        _ = 1 / 0
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 0


def test_nothing_is_written_anew_where_nothing_was_forgotten(sqlite: Database) -> None:
    with sqlite.transaction() as connection:
        connection.execute(insert(schema.name_mark).values(asset_id="a", name="b", state="written"))
    with sqlite.read() as connection:
        assert connection.execute(select(schema.name_mark)).all()
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 0


def header(path: Path, name: str, value: int | None = None) -> int:
    """A number of the file's header; set before, if there is a value."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        if value is not None:
            database.execute(f"PRAGMA {name} = {value}")
        number: int = database.execute(f"PRAGMA {name}").fetchone()[0]
        return number


def rest(path: Path, seconds: float = 1000.0) -> None:
    """Let no thread write the database anew meanwhile: as if somebody had just done so."""
    header(path, "application_id", int(time.time() + seconds - forgetting._EPOCH))  # noqa: SLF001 - of the file format


def forgotten(path: Path) -> int:
    """0 if nothing was forgotten since the database was written anew."""
    return header(path, "user_version")


def forget(database: Database) -> None:
    with database.transaction() as connection:
        forgetting.note(connection)


@pytest.fixture
def stopped(migrated_sqlite: Path, tmp_path: Path) -> Eraser:
    """Return an eraser that does what it is told to, and nothing by itself."""
    path = tmp_path / "facelabel.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    eraser = Eraser(path)
    eraser.stop()
    return eraser


def test_no_copy_of_the_database_comes_into_a_log_that_cannot_be_cut(
    stopped: Eraser, tmp_path: Path
) -> None:
    """Somebody who reads on and on would have it grow by the database with every try."""
    path = tmp_path / "facelabel.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS x")
        header(path, "user_version", 1)
        assert stopped.empty_log()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM large").fetchone()
        for _ in range(2):
            stopped.rewrite(at_once=True)
        assert log_of(path).stat().st_size < 100_000
        assert forgotten(path)
    stopped.rewrite(PATIENCE, at_once=True)
    assert not forgotten(path)


def test_all_processes_rest_together(stopped: Eraser, tmp_path: Path) -> None:
    path = tmp_path / "facelabel.db"
    header(path, "user_version", 1)
    rest(path)
    stopped.rewrite(PATIENCE)
    assert forgotten(path)
    rest(path, 2 * forgetting.LONGEST_REST)  # the clock went back
    until_then = header(path, "application_id")
    stopped.rewrite(PATIENCE)
    assert not forgotten(path)
    assert 0 < header(path, "application_id") < until_then


def test_who_forgot_nothing_writes_nothing_anew(migrated_sqlite: Path, tmp_path: Path) -> None:
    path = tmp_path / "facelabel.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    header(path, "user_version", 1)
    rest(path)
    with closing(Database(f"sqlite:///{path}")) as database, database.read() as connection:
        assert connection.execute(select(schema.name_mark)).all() == []
    assert forgotten(path)
    with closing(Database(f"sqlite:///{path}")) as database:
        forget(database)
    assert not forgotten(path)


def test_who_ends_leaves_it_to_those_who_have_the_database_open(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    """Also if they are about to end, too, and forgot nothing."""
    path = tmp_path / "facelabel.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    rest(path)
    with closing(Database(f"sqlite:///{path}")) as other:
        with other.read():
            pass
        with closing(Database(f"sqlite:///{path}")) as database:
            forget(database)
        assert forgotten(path)
        rest(path, 0)
    assert not forgotten(path)


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_rewrite_of_ours_is_not_given_up_to_be_done_again(
    tmp_path: Path, *, is_ours: bool
) -> None:
    forgets, asked = threading.Event(), threading.Event()

    class Writing(sqlite3.Connection):
        """In the middle of it."""

        def interrupt(self) -> None:
            asked.set()

    eraser = Eraser(tmp_path / "facelabel.db", forgets)
    if is_ours:
        forgets.set()
    with closing(Writing(":memory:")) as writing:
        eraser._writing = writing  # noqa: SLF001 - as if its thread were at it
        eraser.stop()
    assert asked.is_set() is not is_ours


def test_a_rewrite_that_fails_is_put_off_and_told_once(
    stopped: Eraser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "facelabel.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_collation("unheard_of", lambda one, other: (one > other) - (one < other))
        database.execute("CREATE TABLE t (x TEXT COLLATE unheard_of)")
        database.execute("CREATE INDEX i ON t (x)")  # which nobody else can make
    header(path, "user_version", 1)
    started = time.monotonic()
    for _ in range(forgetting.FAILURES + 1):
        stopped.rewrite(PATIENCE)
    put_off = stopped._not_before - started  # noqa: SLF001 - threads wait for it
    assert put_off > 2**forgetting.FAILURES * forgetting.FAILED_REST
    (record,) = caplog.records
    assert "may still be read" in record.getMessage()
    assert str(path) in record.getMessage()
    assert forgotten(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux shows what is open")
def test_sqlites_own_temporary_files_are_in_the_data_folder(
    sqlite: Database, tmp_path: Path
) -> None:
    """A rewrite begins with a copy of everything; they have no name, so nobody else finds them."""
    assert sqlite.url
    with closing(sqlite3.connect(tmp_path / "facelabel.db", isolation_level=None)) as database:
        database.execute("PRAGMA temp.cache_size = 1")
        database.execute("CREATE TEMP TABLE t AS SELECT randomblob(1000000) AS x")
        opened = []
        for file in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the folder of the list itself
                opened.append(str(file.readlink()))
    own = [path for path in opened if "etilqs" in path]
    assert own
    assert all(path.startswith(f"{tmp_path}/") for path in own)
    assert not [*tmp_path.glob("etilqs*")]


def test_what_is_added_forgets_nothing(sqlite: Database, tmp_path: Path) -> None:
    """Nobody's words are gone, so that there is nothing to write the database anew for."""
    path = tmp_path / "facelabel.db"
    rest(path)
    library = LocalLibrary(
        sqlite, tmp_path / "originals", ManualClock(), on_change=None,
        check=lambda _: ImageHeader("jpg", 1, 1),
    )  # fmt: skip
    header(path, "user_version", 0)
    (ann,) = [library.upload(b"ann", public_id="ann").asset_id]
    library.edit([ann], Edit(add_tags=["a", "b"], set_context={"c": "d"}))
    library.edit([ann], Edit(add_tags=["e"], set_context={"f": "g"}))
    library.set_metadata(ann, "who", ["Ann"])
    header(path, "user_version", 0)  # its definition was changed
    library.edit([ann], Edit(set_metadata={"who": ["Ann", "Bob"]}))
    assert not forgotten(path)
    gone = [
        Edit(remove_tags=["a"]),
        Edit(set_context={"c": "h"}),
        Edit(set_metadata={"who": ["Bob"]}),
        Edit(public_id="bob"),
    ]
    for edit in gone:
        header(path, "user_version", 0)
        library.edit([ann], edit)
        assert forgotten(path), edit


def test_a_folder_that_was_deleted_gets_no_file_back(tmp_path: Path) -> None:
    eraser = Eraser(tmp_path / "facelabel.db")
    eraser.stop()
    eraser.finish()
    assert not list(tmp_path.iterdir())
