"""What a shell offers: by prefix, few, read and nothing else."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.known import fill, go_live, learn

from facelabel.adapters.store import known

if TYPE_CHECKING:
    from pathlib import Path

    from facelabel.adapters.store.sql.database import Database

PEOPLE = ("John Doe", "Jöhn Ångström", "Joe's", "100%", "日本 太郎", "John O_x")
PICTURES = (
    "assets/party",
    "assets/party 2",
    "assets/Päty",
    "training/john",
    "100%/a_b",
    "日本/富士",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Either database, with people and pictures."""
    found: Database = request.getfixturevalue(request.param)
    learn(found, PEOPLE)
    learn(found, ["Johanna of another collection"], "old")
    fill(found, PICTURES)
    go_live(found)
    return found


@pytest.mark.parametrize(
    ("beginning", "people", "pictures"),
    [
        ("", sorted(PEOPLE), sorted(PICTURES)),
        ("John", ["John Doe", "John O_x"], []),
        ("assets/party", [], ["assets/party", "assets/party 2"]),
        ("assets/p", [], ["assets/party", "assets/party 2"]),
        ("日本", ["日本 太郎"], ["日本/富士"]),
        ("100%", ["100%"], ["100%/a_b"]),
        ("%", [], []), ("_", [], []), ("J%", [], []), ("nobody", [], []),
        ("Joe'", ["Joe's"], []),
    ],
)  # fmt: skip
def test_what_begins_so(
    database: Database, beginning: str, people: list[str], pictures: list[str]
) -> None:
    """Letter for letter, in any alphabet; nothing stands for anything else."""
    assert known.people(database.url, beginning) == people
    assert known.public_ids(database.url, beginning) == pictures


def test_what_a_pooler_needs_is_no_obstacle(postgresql: Database) -> None:
    """It stands in the address and is ours."""
    learn(postgresql, PEOPLE)
    go_live(postgresql)
    url = f"{postgresql.url}&prepare_threshold=none"
    assert known.people(url, "日") == ["日本 太郎"]


def test_few_of_many(sqlite: Database) -> None:
    """The first and the last: a shell fills in what all begin with."""
    many = [f"{number:05}" for number in range(50_000)]
    learn(sqlite, many[:3000])
    fill(sqlite, many)
    go_live(sqlite)
    assert known.public_ids(sqlite.url, "") == [*many[:99], many[-1]]
    assert known.public_ids(sqlite.url, "123") == [*many[12300:12399], "12399"]
    assert known.people(sqlite.url, "0") == [*many[:99], many[2999]]


def test_pictures_are_found_by_their_index(sqlite: Database) -> None:
    """However many there are, no more are read than are offered."""
    for order, limit in (("ASC", 100), ("DESC", 1)):
        statement = known._PICTURES.format(order=order, limit=limit)  # noqa: SLF001 - how it is asked
        with sqlite.read() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("a", "b")).all()
        steps = [step[-1] for step in plan]
        assert len(steps) == 1
        assert "SEARCH asset USING COVERING INDEX" in steps[0]
        assert "(public_id>? AND public_id<?)" in steps[0]


def test_elsewhere_it_is_the_portraits(sqlite: Database) -> None:
    """Of an account's pictures there is no list here."""
    learn(sqlite, PEOPLE)
    go_live(sqlite)
    assert known.public_ids(sqlite.url, "portrait/Jo") == [
        "portrait/Joe's", "portrait/John Doe", "portrait/John O_x"
    ]  # fmt: skip


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """What is in a folder: size and time of change, by name."""
    entries = ((entry.name, entry.stat()) for entry in os.scandir(folder))
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in entries}


def test_nothing_is_written(sqlite: Database, tmp_path: Path) -> None:
    """Neither beside a database that is at rest nor beside one in use."""
    learn(sqlite, PEOPLE)
    go_live(sqlite)
    in_use = files(tmp_path)
    assert "facelabel.db-wal" in in_use
    assert known.people(sqlite.url, "") == sorted(PEOPLE)  # what is in the log alone, too
    assert files(tmp_path) == in_use
    sqlite.close()
    at_rest = files(tmp_path)
    assert at_rest.keys() == {"facelabel.db"}
    assert known.people(sqlite.url, "") == sorted(PEOPLE)
    assert files(tmp_path) == at_rest


def test_nothing_is_made(tmp_path: Path) -> None:
    """Where there is no database there is an error, and still none."""
    with pytest.raises(sqlite3.Error):
        known.people(f"sqlite:///{tmp_path / 'data' / 'facelabel.db'}", "")
    assert not list(tmp_path.iterdir())
