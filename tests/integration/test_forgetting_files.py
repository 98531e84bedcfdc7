"""SQLite's files hold nothing of what was deleted, whoever else has them open."""

from __future__ import annotations

import random
import re
import sqlite3
import uuid
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, update
from tests.waiting import until

from facelabel.adapters.store import forgetting, schema
from facelabel.adapters.store.database import Database
from facelabel.adapters.store.forgetting import Eraser
from facelabel.adapters.store.ledger import StoreLedger
from facelabel.model import NameState

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_folder_that_was_deleted_gets_no_file_back(tmp_path: Path) -> None:
    eraser = Eraser(tmp_path / "facelabel.db")
    eraser.stop()
    eraser.finish()
    assert not list(tmp_path.iterdir())
