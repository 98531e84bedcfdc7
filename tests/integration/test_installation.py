"""A store and the data folder that holds its originals know each other."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from facelabel.adapters.store.installation import NEWEST, Installation
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.originals import MARK, Originals, UnusedOriginals
from facelabel.adapters.store.library.transaction import Steps
from facelabel.adapters.store.sql.database import Database
from facelabel.errors import ConfigurationError, ForeignFolder, Rejected, Unavailable
from facelabel.media.types import ImageHeader
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Return an empty database of either kind."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Database)
    return made


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return an empty data folder."""
    return folder(tmp_path, "here")


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def mark(data: Path, identity: bytes) -> None:
    (data / "originals").mkdir(exist_ok=True)
    (data / "originals" / MARK).write_bytes(identity)


def pair(database: Database, data: Path) -> Installation:
    return Installation(database, data, Originals(data / "originals"))


def library(database: Database, data: Path, clock: ManualClock | None = None) -> LocalLibrary:
    return LocalLibrary(
        database,
        data / "originals",
        clock or ManualClock(),
        on_change=None,
        check=lambda _: ImageHeader("jpg", 1, 1),
    )


def upload(database: Database, data: Path, count: int = 1) -> None:
    for number in range(count):
        library(database, data).upload(f"picture {number}".encode(), filename=f"{number}.jpg")


def forget_ids(database: Database, data: Path) -> None:
    """Make it an installation from before there were ids."""
    (data / "originals" / MARK).unlink(missing_ok=True)
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM installation"))


def test_a_new_store_and_a_new_folder_belong_together(database: Database, here: Path) -> None:
    first = pair(database, here).check()
    assert (here / "originals" / MARK).read_text("ascii") == f"{first}\n"
    assert pair(database, here).check() == first
    upload(database, here)
    assert pair(database, here).check() == first


def test_another_folder_is_refused_with_both_ids_and_what_helps(
    database: Database, here: Path, tmp_path: Path
) -> None:
    """An empty one, with pictures in the store and without; and one of another store."""
    first = pair(database, here).check()
    empty = folder(tmp_path, "empty")
    for _ in range(2):
        with pytest.raises(ForeignFolder) as refused:
            pair(database, empty).check()
        for word in (str(empty), first, "none", "facelabel adopt", "mounted"):
            assert word in str(refused.value)
        assert not list(empty.iterdir())
        upload(database, here)
    mark(empty, b"0123456789abcdef\n")
    with pytest.raises(ForeignFolder, match=rf"id 0123456789abcdef there, {first} in the store"):
        pair(database, empty).check()


def test_a_copy_of_the_folder_is_the_folder(database: Database, here: Path, tmp_path: Path) -> None:
    first = pair(database, here).check()
    upload(database, here)
    shutil.copytree(here, tmp_path / "copy")
    assert pair(database, tmp_path / "copy").check() == first
    (tmp_path / "copy" / "originals" / MARK).unlink()  # the originals prove it
    assert pair(database, tmp_path / "copy").check() == first
    assert (tmp_path / "copy" / "originals" / MARK).exists()


def upload_one_by_one(database: Database, data: Path, count: int, clock: ManualClock) -> None:
    for _ in range(count):
        clock.time += 1
        library(database, data, clock).upload(str(clock.time).encode(), filename=f"{clock.time}")


def test_a_copy_is_told_by_the_originals_it_lacks(
    database: Database, here: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One may be lost, some are worth a word, and with none of the newest nothing starts."""
    clock = ManualClock()
    first = pair(database, here).check()
    upload_one_by_one(database, here, 12, clock)
    other = tmp_path / "copy"
    shutil.copytree(here, other)
    told = []
    for _ in range(NEWEST - 1):
        upload_one_by_one(database, here, 1, clock)
        assert pair(database, other).check() == first
        told.append(len(caplog.records))
    assert told == [0, *range(1, NEWEST - 1)]
    message = caplog.records[0].getMessage()
    assert f"2 of the newest {NEWEST} originals are not in {other}" in message
    upload_one_by_one(database, here, 1, clock)
    with pytest.raises(ForeignFolder, match="a copy of the folder that another machine has"):
        pair(database, other).check()
    assert pair(database, other).looked_for()[0] >= NEWEST
    assert pair(database, here).check() == first


def test_an_adoption_by_force_has_the_others_deleted(database: Database, here: Path) -> None:
    """It is how somebody says that nobody wants them."""
    pictures = library(database, here)
    kept = pictures.upload(b"kept", filename="kept.jpg")
    others = [here / "originals" / "ab" / f"ab{number:062x}" for number in range(30)]
    others[0].parent.mkdir(exist_ok=True)
    for path in others:
        path.write_bytes(b"of nobody")
    assert pair(database, here).adopt(force=True).others == 30
    assert library(database, here).unused.sweep() == 30
    assert not any(path.exists() for path in others)
    assert library(database, here).fetch(kept) == b"kept"


def test_an_installation_from_before_is_taken_over_silently(
    database: Database, here: Path, tmp_path: Path
) -> None:
    """By the folder with the originals, even if it lost some; not by whoever comes first."""
    library(database, here)
    upload(database, here, 5)
    forget_ids(database, here)
    with pytest.raises(ForeignFolder):
        pair(database, folder(tmp_path, "other")).check()
    for path in [*(here / "originals").glob("??/*")][:2]:
        path.unlink()
    assert pair(database, here).check()


def test_an_empty_store_does_not_take_the_originals_of_another(
    database: Database, here: Path
) -> None:
    """It would delete them: they are of no picture that it knows."""
    original = here / "originals" / "ab" / ("ab" * 32)
    original.parent.mkdir(parents=True)
    original.write_bytes(b"precious")
    for given in ("", "0123456789abcdef\n"):
        if given:
            (here / "originals" / MARK).write_text(given, "ascii")
        with pytest.raises(ForeignFolder, match=r"of another store.*adopt --force"):
            pair(database, here).check()
    with pytest.raises(Rejected, match=r"0 of the store's 0 originals .* 1 files there"):
        pair(database, here).adopt()
    assert pair(database, here).adopt(force=True).others == 1
    assert pair(database, here).check()


def test_a_new_store_for_a_folder_without_originals_takes_its_id(
    database: Database, here: Path
) -> None:
    mark(here, b"0123456789abcdef\n")
    assert pair(database, here).check() == "0123456789abcdef"


def test_a_folder_is_adopted_and_the_former_one_is_refused(
    database: Database, here: Path, tmp_path: Path
) -> None:
    former = pair(database, here).check()
    upload(database, here, 3)
    moved = folder(tmp_path, "moved")
    shutil.copytree(here / "originals", moved / "originals")
    mark(moved, b"0123456789abcdef\n")
    with pytest.raises(ForeignFolder):
        pair(database, moved).check()
    census = pair(database, moved).adopt()
    assert (census.wanted, census.missing, census.others) == (3, 0, 0)
    assert pair(database, moved).check() not in {former, "0123456789abcdef"}
    with pytest.raises(ForeignFolder):
        pair(database, here).check()


def test_a_folder_that_lacks_originals_is_adopted_only_by_force(
    database: Database, here: Path, tmp_path: Path
) -> None:
    pair(database, here).check()
    upload(database, here, 3)
    (gone, *_) = (here / "originals").glob("??/*")
    gone.unlink()
    with pytest.raises(Rejected, match="1 of the store's 3 originals"):
        pair(database, here).adopt()
    assert pair(database, here).adopt(force=True).missing == 1
    assert pair(database, here).looked_for() == (1, 3)


def test_many_originals_are_counted_page_by_page(database: Database, here: Path) -> None:
    """Each once, however many pictures have it, and backups, too."""
    pictures = library(database, here)
    for number in range(30):
        data = f"{number // 2}".encode()
        pictures.upload(data, public_id=str(number))
    asset = pictures.find("29")
    assert asset
    pictures.delete_all([asset.asset_id], keep_backup=True)
    census = pair(database, here).census()
    assert (census.wanted, census.missing, census.others) == (15, 0, 0)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_an_id_that_cannot_be_read_is_said(database: Database, here: Path, content: bytes) -> None:
    mark(here, content)
    with pytest.raises(ConfigurationError, match=MARK):
        pair(database, here).check()


def test_an_upload_that_lost_the_lock_takes_nobodys_original(
    postgresql: Database, here: Path
) -> None:
    """Stopped between its look and its deletion, it comes back when others rely on the file."""
    ours = library(postgresql, here)
    asset = ours.upload(b"picture", filename="one.jpg")

    class Stopped(Originals):
        """Its process is stopped here, and the server ends its session meanwhile."""

        def removed(self, digests):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - as its parent
            with postgresql.transaction() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state ="
                        " 'idle in transaction' AND pid <> pg_backend_pid()"
                        " AND datname = current_database()"
                    )
                )
            with closing(Database(postgresql.url)) as other:
                library(other, here).upload(b"picture", filename="two.jpg")
            return super().removed(digests)

    unused = UnusedOriginals(postgresql, Stopped(here / "originals"), lambda _: None)
    steps = Steps(postgresql, ManualClock(), unused, None, fixed_folders=False)
    with pytest.raises(Unavailable), steps.begin() as step:
        step.delete([asset])
    (left,) = ours.assets("")
    assert left.public_id == "two"
    assert library(postgresql, here).fetch(left) == b"picture"
