"""Two machines with one PostgreSQL store: the same data folder, or none at all."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Inside
from tests.pooler import pgbouncer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program

    from facelabel.adapters.store.sql.database import Database


@pytest.fixture
def first(program: Program, postgresql: Database) -> Inside:
    """A machine with the store."""
    return machine(program, postgresql, "data")


def machine(program: Program, store: Database, folder: str) -> Inside:
    ours = {"FACELABEL_STORE": store.url, "FACELABEL_DATA": str(program.folder.parent / folder)}
    return Inside({**program.environment, **ours}, program.folder)


@pytest.fixture
def picture(samples: Path) -> Path:
    return samples / "biden.jpg"


def finding(facelabel: Inside, *, status: int, what: str = "installation") -> dict[str, object]:
    found = facelabel.json("doctor", status=status)
    return next(one for one in found if one["what"] == what)


def test_a_second_machine_with_another_folder_starts_nothing(
    program: Program, first: Inside, postgresql: Database, picture: Path
) -> None:
    """It would bury every job, and keep what is uploaded there to itself."""
    first("upload", picture)
    second = machine(program, postgresql, "elsewhere")
    for command in (["worker", "--once"], ["upload", str(picture)], ["library"], ["serve"]):
        said = second(*command, status=2)
        (line,) = [line for line in said.splitlines() if line]
        assert str(program.folder.parent / "elsewhere") in line
        assert "facelabel adopt" in line
    said = str(finding(second, status=1)["says"])
    identity = (
        (program.folder.parent / "data" / "originals" / "installation").read_text("ascii").strip()
    )
    assert f"id none there, {identity} in the store" in said
    assert first.json("jobs", "list") == []
    assert "1 picture searched, none with names" in first("worker", "--once")
    assert identity in str(finding(first, status=0)["says"])


def test_a_second_machine_with_the_folder_works(
    program: Program, first: Inside, postgresql: Database, picture: Path
) -> None:
    """The same place by another path, as where a disk is mounted elsewhere."""
    first("upload", picture)
    (program.folder.parent / "mounted").symlink_to(program.folder.parent / "data")
    second = machine(program, postgresql, "mounted")
    assert "1 picture searched, none with names" in second("worker", "--once")


def test_a_folder_that_moved_is_adopted(
    program: Program, first: Inside, postgresql: Database, picture: Path
) -> None:
    first("upload", picture)
    originals = program.folder.parent / "data" / "originals"
    second = machine(program, postgresql, "moved")
    assert "1 of the store's 1 originals are not in" in second("adopt", status=1)
    shutil.copytree(originals, program.folder.parent / "moved" / "originals", dirs_exist_ok=True)
    mark = program.folder.parent / "moved" / "originals" / "installation"
    mark.write_text("0123456789abcdef\n", "ascii")
    second("library", status=2)
    assert "1 of 1 originals there" in second("adopt")
    assert "1 picture searched, none with names" in second("worker", "--once")
    first("library", status=2)


def test_originals_that_are_away_are_waited_for(first: Inside, picture: Path) -> None:
    """One that is lost; and all of them, where their disk is not mounted."""
    first("upload", picture)
    originals = first.folder.parent / "data" / "originals"
    (original,) = originals.glob("??/*")
    away = original.rename(originals.parent / "away")
    assert "mounted" in first("worker", "--once", status=75)
    assert first.json("jobs", "list") == []
    assert "1 picture is still to be looked at, none failed" in str(first.json("doctor", status=1))
    assert "1 of 1 originals looked for are not in" in str(finding(first, status=1)["says"])
    away.rename(original)
    assert "assets/biden: searched, nobody recognised" in first("upload", picture, "--now")

    disk = originals.rename(originals.parent / "disk")
    for mount_point in (False, True):
        if mount_point:
            originals.mkdir()
        assert "facelabel adopt" in first("worker", "--once", status=2)
    originals.rmdir()
    disk.rename(originals)
    first("doctor")


def test_with_the_pictures_on_cloudinary_there_is_nothing_to_adopt(facelabel: Inside) -> None:
    settings = {
        "CLOUDINARY_URL": "cloudinary://key:secret@cloud",
        "FACELABEL_LIBRARY": "cloudinary",
    }
    elsewhere = Inside({**facelabel.environment, **settings}, facelabel.folder)
    assert "on Cloudinary" in elsewhere("adopt", status=1)


def test_a_pooler_that_shares_connections_is_told_of(
    first: Inside, postgresql: Database, pgbouncer_program: str, tmp_path: Path
) -> None:
    assert all(found["what"] != "pooler" for found in first.json("doctor"))
    with pgbouncer(pgbouncer_program, postgresql.url, "transaction", tmp_path) as url:
        first.environment["FACELABEL_STORE"] = url
        said = finding(first, status=1, what="pooler")
    assert "gives every transaction another connection" in str(said["says"])
    assert "SET lock_timeout = '30000ms'; ALTER ROLE" in str(said["advice"])
