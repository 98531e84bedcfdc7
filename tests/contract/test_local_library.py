"""The rules of the local library, beyond what any library on this computer promises."""

from __future__ import annotations

import os
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event
from tests.contract.test_library import NearLibraryContract, ids, now

from facelabel.adapters.store.library import asset_rows
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.originals import MARK, Originals, UnusedOriginals
from facelabel.adapters.store.library.transaction import Steps
from facelabel.adapters.store.sql.database import PAGE
from facelabel.errors import NotFound, OriginalMissing, Rejected, Unavailable, UnreadableImage
from facelabel.media.types import AssetChange, Compare, DocumentKind, ImageHeader, Where
from facelabel.testing import ManualClock, portrait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import Change


class Killed(BaseException):
    """The process is no more."""


class Dying(UnusedOriginals):
    """Its process is killed when the row is gone and the file is not."""

    def remove(self, etags: Sequence[str]) -> int:
        """Never returns."""
        raise Killed(etags)


def delete(asset: Asset, database: Database, clock: ManualClock, unused: UnusedOriginals) -> None:
    """Delete an asset as the library does, and its original as ``unused`` does."""
    with Steps(database, clock, unused, None, fixed_folders=False).begin() as step:
        step.delete([asset])


def check(data: bytes) -> ImageHeader:
    """Read the header of a portrait."""
    if not data.startswith(b"{"):
        raise UnreadableImage
    return ImageHeader("json", 30, 40)


class LocalLibraryContract(NearLibraryContract):
    """What the local library promises beyond; a subclass provides ``database``."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "originals"

    @pytest.fixture
    def library(
        self, database: Database, root: Path, clock: ManualClock, changes: list[str]
    ) -> LocalLibrary:
        def note(_: Connection, change: Change) -> None:
            concerned = [pair.after or pair.before for pair in change.assets]
            changes.extend(asset.asset_id for asset in concerned if asset)

        return LocalLibrary(database, root, clock, on_change=note, check=check)

    def files(self, root: Path) -> list[str]:
        return sorted(path.name for path in root.rglob("*") if path.is_file())

    def test_the_header_says_format_and_size(self, ann: Asset) -> None:
        assert (ann.format, ann.width, ann.height) == ("json", 30, 40)

    def test_what_is_no_image_is_refused_and_leaves_nothing(
        self, library: LocalLibrary, root: Path, changes: list[str]
    ) -> None:
        with pytest.raises(UnreadableImage):
            library.upload(b"GIF87a?", filename="x.gif")
        assert (ids(library), self.files(root), changes) == ([], [], [])

    def test_equal_contents_are_one_file_until_the_last_is_deleted(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        copy = library.upload(self.ANN, public_id="copy")
        assert self.files(root) == [ann.etag]
        library.delete(ann.asset_id)
        assert self.files(root) == [ann.etag]
        library.delete(copy.asset_id)
        assert self.files(root) == []

    def test_a_replaced_original_is_removed(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        new = library.upload(self.BOB, public_id=ann.public_id)
        assert self.files(root) == [new.etag]
        with pytest.raises(NotFound, match="training/ann"):
            library.fetch(ann)

    def test_a_change_that_cannot_be_followed_up_does_not_happen(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset
    ) -> None:
        def refuse(_: Connection, __: Change) -> None:
            raise ZeroDivisionError

        library = LocalLibrary(database, root, clock, on_change=refuse, check=check)
        for change in (
            lambda: library.upload(self.BOB, folder="training", filename="bob.jpg"),
            lambda: library.upload(self.BOB, public_id=ann.public_id),
            lambda: library.add_tags(ann.asset_id, ["two"]),
            lambda: library.remove_tags(ann.asset_id, ["one"]),
            lambda: library.set_context(ann.asset_id, {"k": "v"}),
            lambda: library.set_metadata(ann.asset_id, "people", ["Ann"]),
            lambda: library.move(ann.asset_id, "assets"),
            lambda: library.rename(ann.asset_id, "other"),
            lambda: library.delete(ann.asset_id),
        ):
            with pytest.raises(ZeroDivisionError):
                change()
        assert list(library.assets("")) == [ann]
        assert library.documents.get(DocumentKind.METADATA_FIELD, "people") is None
        assert self.files(root) == [ann.etag]
        assert library.fetch(ann) == self.ANN

    def test_without_a_follow_up_changes_are_silent(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset, changes: list[str]
    ) -> None:
        ours = LocalLibrary(database, root, clock, on_change=None, check=check)
        ours.add_tags(ann.asset_id, ["Ann"])
        ours.delete(ann.asset_id)
        assert changes == []

    def test_a_damaged_original_is_reported_and_mended_by_uploading_again(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        path = root / ann.etag[:2] / ann.etag
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(Rejected, match=r"training/ann.*damaged"):
            library.fetch(ann)
        library.upload(self.ANN, folder="training", filename="ann.jpg")
        assert library.fetch(ann) == self.ANN

    def test_an_original_that_is_not_to_be_found_is_looked_for_again(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        """The asset is not gone: whoever asks is told where the file should be."""
        path = root / ann.etag[:2] / ann.etag
        away = path.rename(root.parent / "away")
        with pytest.raises(OriginalMissing, match=rf"training/ann.*not in {root}"):
            library.fetch(ann)
        with pytest.raises(OriginalMissing):
            library.fetch_part(ann, range(1))
        away.rename(path)
        assert library.fetch(ann) == self.ANN

    @pytest.mark.parametrize("mount_point", [False, True])
    def test_a_disk_that_is_not_mounted_takes_no_originals(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset, *, mount_point: bool
    ) -> None:
        """They would lie below its mount point, and be gone once it is back."""
        (root / MARK).touch()
        library = LocalLibrary(database, root, clock, on_change=None, check=check)
        away = root.rename(root.parent / "away")
        if mount_point:
            root.mkdir()
        with pytest.raises(Unavailable, match=r"originals: .* mounted"):
            library.upload(self.BOB, folder="training", filename="bob.jpg")
        with pytest.raises(OriginalMissing):
            library.fetch(ann)
        assert library.unused.sweep(-1) == 0
        if mount_point:
            root.rmdir()
        away.rename(root)
        assert (ids(library), library.fetch(ann)) == ([ann.public_id], self.ANN)

    def test_files_without_an_asset_are_swept_once_they_are_old(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        orphan = root / "ab" / ("ab" * 32)
        unplaced = root / "ab" / "0123.tmp"
        orphan.parent.mkdir()
        for path in (orphan, unplaced):
            path.write_bytes(b"{}")
        assert library.unused.sweep() == 0
        for path in (orphan, unplaced, root / ann.etag[:2] / ann.etag):
            os.utime(path, (0, 0))
        assert library.unused.sweep() == 2
        assert self.files(root) == [ann.etag]

    def test_many_files_without_an_asset_are_kept_and_told_of_once(
        self, library: LocalLibrary, root: Path, ann: Asset, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The database is older than they are: it was put back from a backup."""
        (root / "ab").mkdir()
        others = [f"ab{number:062x}" for number in range(12)]
        for digest in others:
            (root / "ab" / digest).write_bytes(b"{}")
            os.utime(root / "ab" / digest, (0, 0))
        assert (library.unused.sweep(), library.unused.sweep()) == (0, 0)
        assert self.files(root) == sorted([ann.etag, *others])
        (record,) = caplog.records
        for words in (f"12 files in {root}", "none is deleted", "facelabel adopt --force"):
            assert words in record.getMessage()
        for digest in others[:4]:
            (root / "ab" / digest).unlink()
        assert library.unused.sweep() == 8
        assert f"8 files in {root}" in caplog.records[-1].getMessage()

    @pytest.mark.parametrize("point", ["before", "during", "aside"])
    def test_what_a_killed_deletion_left_goes_with_the_next_look(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset, point: str
    ) -> None:
        """The original, whatever it is called by then, and what was made of it."""
        derived = {ann.etag}
        living = LocalLibrary(
            database, root, clock, on_change=None, check=check, on_removed=derived.discard
        )

        def killed(*_: object) -> None:
            raise Killed

        kind = Dying if point == "before" else UnusedOriginals
        with pytest.raises(Killed):
            delete(ann, database, clock, kind(database, Originals(root), killed))
        place = root / ann.etag[:2] / ann.etag
        if point == "aside":  # where nobody was left to put it back
            place.rename(place.with_name(f"{ann.etag}.0123.tmp"))
        assert living.unused.sweep() == 1
        assert (self.files(root), derived) == ([], set())
        assert living.unused.release() == 0

    def test_what_was_noted_to_go_and_came_back_stays(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset
    ) -> None:
        dying = Dying(database, Originals(root), lambda _: None)
        with pytest.raises(Killed):
            delete(ann, database, clock, dying)
        living = LocalLibrary(database, root, clock, on_change=None, check=check)
        again = living.upload(self.ANN, public_id="again")
        assert living.unused.release() == 0
        assert living.fetch(again) == self.ANN

    def test_what_is_deleted_while_the_disk_is_away_goes_once_it_is_back(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset
    ) -> None:
        (root / MARK).touch()
        library = LocalLibrary(database, root, clock, on_change=None, check=check)
        away = root.rename(root.parent / "away")
        library.delete(ann.asset_id)
        assert library.unused.sweep() == 0
        away.rename(root)
        assert library.unused.sweep() == 1
        assert self.files(root) == [MARK]

    def test_a_large_folder_is_moved_page_by_page(
        self, database: Database, library: LocalLibrary, ann: Asset
    ) -> None:
        """Nobody is silent in the middle of a change until all of it is worked out."""
        pictures = [
            replace(ann, asset_id=f"{number:032x}", public_id=f"{number}", folder="old", tags=())
            for number in range(PAGE + 1)
        ]
        with database.transaction(alone="library") as connection:
            asset_rows.write(connection, [AssetChange(None, picture) for picture in pictures])
        written = []

        def count(*execution: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
            _, _, statement, parameters, _, executemany = execution
            if statement.startswith("UPDATE asset "):
                written.append(len(parameters) if executemany else 1)

        event.listen(Engine, "before_cursor_execute", count)
        try:
            library.folders.rename("old", "new")
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        assert written == [PAGE, 1]
        assert library.tally(Where("folder", Compare.EQUALS, "new"), "folder") == {"new": PAGE + 1}

    def test_another_installations_disk_in_its_place_takes_no_originals(
        self, database: Database, root: Path, clock: ManualClock, ann: Asset
    ) -> None:
        (root / MARK).write_text("0123456789abcdef\n")
        library = LocalLibrary(database, root, clock, on_change=None, check=check)
        (root / MARK).write_text("fedcba9876543210\n")
        with pytest.raises(Unavailable, match=r"mounted\? .*adopt"):
            library.upload(self.BOB, folder="training", filename="bob.jpg")
        library.delete(ann.asset_id)
        assert self.files(root) == sorted([ann.etag, MARK])

    def test_deleting_and_uploading_at_once_never_loses_a_file(
        self, library: LocalLibrary, root: Path
    ) -> None:
        start = threading.Barrier(2)

        def upload_and_delete(name: str) -> None:
            start.wait()
            for _ in range(25):
                asset = library.upload(self.ANN, public_id=name)
                assert library.fetch(asset) == self.ANN
                library.delete(asset.asset_id)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(upload_and_delete, ["one", "two"]))
        assert self.files(root) == []

    def test_one_name_uploaded_by_many_at_once_is_one_picture(self, library: LocalLibrary) -> None:
        contents = [portrait(f"person {number}") for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda data: library.upload(data, public_id="same"), contents))
        (asset,) = library.assets("")
        assert library.fetch(asset) in contents

    def test_tags_added_by_many_at_once_are_all_there(
        self, library: LocalLibrary, ann: Asset
    ) -> None:
        tags = [f"tag {number}" for number in range(24)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda tag: library.add_tags(ann.asset_id, [tag]), tags))
        assert set(now(library, ann).tags) == {"one", *tags}

    @pytest.mark.parametrize(
        ("folder", "filename", "public_id"),
        [
            ("", "photo.jpg", "photo"),
            ("training/", "archive.tar.gz", "training/archive.tar"),
            ("a", r"C:\Photos\me.jpg", "a/me"),
            ("a", "/home/me/100%?.jpg", "a/100__"),
            ("a", "", "a/image"),
            ("a", " .. ", "a/image"),
            ("a", "Zoe\u0308.jpg", "a/Zoë"),
            ("a", "bad\udc80name.jpg", "a/bad_name"),
            ("a", "tab\there.jpg", "a/tab_here"),
            ("a", "x" * 300, "a/" + "x" * (255 - 7 - 2)),
        ],
    )
    def test_a_public_id_is_made_of_folder_and_file_name(
        self, library: LocalLibrary, folder: str, filename: str, public_id: str
    ) -> None:
        asset = library.upload(self.ANN, folder=folder, filename=filename)
        assert asset.public_id == public_id
        assert library.find(public_id) == asset

    def test_every_picture_of_one_long_name_finds_its_place(self, library: LocalLibrary) -> None:
        pictures = [portrait(f"person {number}") for number in range(5)]
        first = [library.upload(data, filename="x" * 300).public_id for data in pictures]
        again = [library.upload(data, filename="x" * 300).public_id for data in pictures]
        assert first == again
        assert len(set(first)) == 5
        assert max(len(public_id) for public_id in first) == 255

    @pytest.mark.parametrize(
        "public_id",
        [
            *("", "/a", "a/", "a//b", ".", "..", "a/../b", " a", "a ", "a/ b", "x" * 256),
            *("a?b", "a&b", "a#b", "a\\b", "a%b", "a<b", "a>b", "a+b", "a\nb", "a\0b", "a\udc80b"),
        ],
    )
    def test_a_bad_public_id_or_folder_is_refused(
        self, library: LocalLibrary, ann: Asset, public_id: str
    ) -> None:
        with pytest.raises(Rejected, match="public_id"):
            library.upload(self.ANN, public_id=public_id)
        with pytest.raises(Rejected, match="public_id"):
            library.rename(ann.asset_id, public_id)
        assert library.find(public_id) is None
        if public_id.strip("/") not in {"", "a"}:
            with pytest.raises(Rejected, match="folder"):
                library.move(ann.asset_id, public_id)
        assert list(library.assets("")) == [ann]

    @pytest.mark.parametrize("tag", ["", " ", "a,b", "a\nb", "a\0b", "a\udc80", "x" * 256])
    def test_a_bad_tag_is_refused(self, library: LocalLibrary, ann: Asset, tag: str) -> None:
        with pytest.raises(Rejected, match="tag"):
            library.add_tags(ann.asset_id, ["fine", tag])
        with pytest.raises(Rejected, match="tag"):
            library.upload(self.BOB, tags=[tag])
        assert list(library.assets("")) == [ann]

    def test_a_tag_is_stripped_and_normalised(self, library: LocalLibrary, ann: Asset) -> None:
        library.add_tags(ann.asset_id, [" Zoe\u0308 ", "Zoë", "x" * 255])
        assert now(library, ann).tags == ("one", "Zoë", "x" * 255)
        library.remove_tags(ann.asset_id, [unicodedata.normalize("NFD", "Zoë")])
        assert now(library, ann).tags == ("one", "x" * 255)

    def test_an_asset_has_at_most_a_thousand_tags(self, library: LocalLibrary, ann: Asset) -> None:
        library.add_tags(ann.asset_id, [f"t{number}" for number in range(999)])
        with pytest.raises(Rejected, match="1000"):
            library.add_tags(ann.asset_id, ["one too many"])
        library.add_tags(ann.asset_id, ["one", "t5"])
        assert len(now(library, ann).tags) == 1000

    @pytest.mark.parametrize(
        "values", [{"": "v"}, {"k\n": "v", "a\nb": "v"}, {"k": "x" * 1025}, {"k": "a\0b"}]
    )
    def test_bad_context_is_refused(
        self, library: LocalLibrary, ann: Asset, values: dict[str, str]
    ) -> None:
        with pytest.raises(Rejected, match="context"):
            library.set_context(ann.asset_id, values)
        assert now(library, ann) == ann

    def test_a_metadata_field_is_made_with_the_names_as_its_values(
        self, library: LocalLibrary, ann: Asset
    ) -> None:
        for names in (["Ann", "Bob"], ["Bob", "Cid"]):
            library.set_metadata(ann.asset_id, "people", names)
        choices = [
            {"external_id": name, "value": name, "state": "active"}
            for name in ("Ann", "Bob", "Cid")
        ]
        assert library.documents.get(DocumentKind.METADATA_FIELD, "people") == {
            "external_id": "people",
            "label": "people",
            "type": "set",
            "mandatory": False,
            "default_value": None,
            "validation": None,
            "datasource": {"values": choices},
            "allow_dynamic_list_values": True,
        }

    def define(self, library: LocalLibrary, kind: str, *, is_open: bool = False) -> None:
        choices: list[JsonValue] = [
            {"external_id": "id-a", "value": "Ann", "state": "active"},
            {"external_id": "id-b", "value": "Bob", "state": "inactive"},
        ]
        field: Json = {"external_id": "people", "label": "People", "type": kind}
        if kind in {"set", "enum"}:
            field["datasource"] = {"values": choices}
            field["allow_dynamic_list_values"] = is_open
        library.documents.change(DocumentKind.METADATA_FIELD, "people", lambda _: field)

    @pytest.mark.parametrize(
        ("kind", "names", "kept"),
        [("set", ["Ann"], ["id-a"]), ("enum", ["Ann"], "id-a"), ("string", ["Zoë"], "Zoë")],
    )
    def test_a_field_that_a_person_defined_keeps_its_ids(
        self, library: LocalLibrary, ann: Asset, kind: str, names: list[str], kept: object
    ) -> None:
        self.define(library, kind)
        library.set_metadata(ann.asset_id, "people", names)
        assert now(library, ann).metadata == {"people": kept}
        library.set_metadata(ann.asset_id, "people", [])
        assert now(library, ann).metadata == {}

    @pytest.mark.parametrize(
        ("kind", "names"),
        [
            ("set", ["Zoë"]),
            ("set", ["Bob"]),
            ("set", [""]),
            ("set", ["x" * 256]),
            ("enum", ["Ann", "Bob"]),
            ("string", ["Ann", "Bob"]),
            ("integer", ["5"]),
            ("date", ["2024-01-01"]),
        ],
    )
    def test_values_that_a_field_does_not_take_are_refused(
        self, library: LocalLibrary, ann: Asset, kind: str, names: list[str]
    ) -> None:
        self.define(library, kind)
        with pytest.raises(Rejected, match="people"):
            library.set_metadata(ann.asset_id, "people", names)
        assert now(library, ann) == ann

    def test_a_value_that_was_taken_away_comes_back_where_the_field_is_open(
        self, library: LocalLibrary, ann: Asset
    ) -> None:
        self.define(library, "set", is_open=True)
        library.set_metadata(ann.asset_id, "people", ["Bob", "Ann"])
        assert now(library, ann).metadata == {"people": ["id-b", "id-a"]}

    def test_a_field_has_at_most_three_thousand_values(
        self, library: LocalLibrary, ann: Asset
    ) -> None:
        for start in range(0, 3000, 600):
            names = [f"person {number}" for number in range(start, start + 600)]
            library.set_metadata(ann.asset_id, "people", names)
        with pytest.raises(Rejected, match="3000"):
            library.set_metadata(ann.asset_id, "people", ["one too many"])
        library.set_metadata(ann.asset_id, "people", ["person 7"])

    def test_context_has_at_most_a_thousand_keys(self, library: LocalLibrary, ann: Asset) -> None:
        library.set_context(ann.asset_id, {f"k{number}": "v" for number in range(1000)})
        with pytest.raises(Rejected, match="1000"):
            library.set_context(ann.asset_id, {"one too many": "v"})


class TestSqliteLibrary(LocalLibraryContract):
    """On SQLite."""

    @pytest.fixture
    def database(self, sqlite: Database) -> Database:
        return sqlite


class TestPostgresqlLibrary(LocalLibraryContract):
    """On PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql: Database) -> Database:
        return postgresql
