"""What every library promises, what one on this computer does beyond, and the local one's rules."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from facelabel.adapters.store.library import ImageInfo, LocalLibrary
from facelabel.errors import AlreadyExists, NotFound, Rejected, UnreadableImage
from facelabel.media import DocumentKind
from facelabel.testing import ManualClock, MemoryLibrary, portrait

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.database import Database
    from facelabel.media import Change
    from facelabel.model import Asset, Json, JsonValue
    from facelabel.ports import EditableLibrary

ANN, BOB = portrait("Ann"), portrait("Bob")


def ids(library: EditableLibrary, folder: str = "") -> list[str]:
    return [asset.public_id for asset in library.assets(folder)]


def now(library: EditableLibrary, asset: Asset) -> Asset:
    current = library.asset(asset.asset_id)
    assert current is not None
    return current


def known(asset: Asset | None) -> dict[str, object]:
    """What any library says of an asset, whatever the order of tags means to it."""
    assert asset is not None
    names = ("asset_id", "public_id", "folder", "version", "bytes", "etag", "created_at")
    values = {name: getattr(asset, name) for name in names}
    return values | {"tags": sorted(asset.tags), "context": dict(asset.context)}


class LibraryContract:
    """The promises, near or far; a subclass provides ``library``.

    A library may sort tags, take its own etags, tell the time in whole seconds and say more than
    once that something changed.
    """

    #: Whether a folder is the beginning of the public_ids in it.
    fixed_folders = False
    #: More than are listed in one page.
    many = 502

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def changes(self) -> list[str]:
        return []

    @pytest.fixture
    def ann(self, library: EditableLibrary, changes: list[str]) -> Asset:
        asset = library.upload(ANN, folder="training", filename="ann.jpg", tags=["one"])
        changes.clear()
        return asset

    def test_an_upload_is_found_listed_and_fetched(self, library: EditableLibrary) -> None:
        asset = library.upload(
            ANN,
            folder="training/new",
            filename="Zoë Müller.jpg",
            tags=["faceLabel:Zoë", "red"],
            context={"caption": "At sea"},
        )
        assert (asset.public_id, asset.folder) == ("training/new/Zoë Müller", "training/new")
        assert (asset.resource_type, asset.type) == ("image", "upload")
        assert set(asset.tags) == {"faceLabel:Zoë", "red"}
        assert asset.context == {"caption": "At sea"}
        assert asset.bytes == len(ANN)
        found = library.find(asset.public_id)
        assert known(library.asset(asset.asset_id)) == known(found) == known(asset)
        assert list(map(known, library.assets("training"))) == [known(asset)]
        assert library.fetch(asset) == ANN

    def test_what_is_not_there_is_not_found(self, library: EditableLibrary, ann: Asset) -> None:
        assert library.asset("unknown") is library.find("unknown") is None
        gone = dataclasses.replace(ann, asset_id="unknown", public_id="unknown", etag="0" * 64)
        for change in (
            lambda: library.add_tags("unknown", ["a"]),
            lambda: library.remove_tags("unknown", ["a"]),
            lambda: library.set_context("unknown", {"a": "b"}),
            lambda: library.set_metadata("unknown", "people", ["Ann"]),
            lambda: library.move("unknown", "x"),
            lambda: library.rename("unknown", "x"),
            lambda: library.fetch(gone),
        ):
            with pytest.raises(NotFound):
                change()

    def test_folders_are_compared_by_path_segment(self, library: EditableLibrary) -> None:
        for folder in ("a", "a/b", "a/b/c", "ab", "a b", "A", "A/b", "a0", "", "x/a"):
            public_id = f"{folder}/me" if folder else "me"
            library.upload(portrait(folder), folder=folder, public_id=public_id)
        assert sorted(ids(library, "a")) == ["a/b/c/me", "a/b/me", "a/me"]
        assert sorted(ids(library, "a/b")) == ["a/b/c/me", "a/b/me"]
        assert sorted(ids(library, "/a/b/")) == ["a/b/c/me", "a/b/me"]
        assert sorted(ids(library, "A")) == ["A/b/me", "A/me"]
        assert ids(library, "_") == []
        assert len(ids(library)) == 10

    def test_pictures_come_in_one_order_each_once(self, library: EditableLibrary) -> None:
        names = [f"p{number:04}" for number in range(self.many)]
        for name in reversed(names):
            library.upload(ANN, public_id=name)
        listed = ids(library)
        assert sorted(listed) == names
        assert ids(library) == listed

    def test_the_same_upload_again_is_the_same_picture(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        again = library.upload(ANN, folder="training", filename="ann.jpg", tags=["one"])
        assert (again.asset_id, again.public_id) == (ann.asset_id, ann.public_id)
        assert ids(library) == ["training/ann"]

    def test_another_picture_of_the_same_file_name_gets_its_own_id(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        other = library.upload(BOB, folder="training", filename="ann.jpg")
        assert other.asset_id != ann.asset_id
        assert other.public_id.startswith("training/ann_")
        assert (library.fetch(ann), library.fetch(other)) == (ANN, BOB)

    def test_the_same_public_id_replaces_content_and_keeps_tags(
        self, library: EditableLibrary, ann: Asset, clock: ManualClock
    ) -> None:
        clock.sleep(100)
        new = library.upload(BOB, folder="training", public_id=ann.public_id)
        assert (new.asset_id, new.created_at) == (ann.asset_id, ann.created_at)
        assert new.version >= ann.version + 100
        assert new.etag != ann.etag
        assert new.tags == ("one",)
        assert library.fetch(new) == BOB

    def test_the_same_public_id_replaces_tags_where_given(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        new = library.upload(ANN, folder="training", public_id=ann.public_id, tags=["two"])
        assert new.tags == ("two",)
        assert library.upload(BOB, public_id=ann.public_id, tags=[]).tags == ()
        assert now(library, ann).tags == ()

    def test_the_same_content_under_the_same_name_gets_the_tags_in_addition(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        again = library.upload(ANN, folder="training", filename="ann.jpg", tags=["two"])
        assert set(again.tags) == {"one", "two"}
        assert known(now(library, ann)) == known(again)

    def test_a_replaced_picture_keeps_the_folder_that_is_not_given(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        assert library.upload(BOB, public_id=ann.public_id).folder == "training"
        moved = library.upload(BOB, public_id=ann.public_id, folder="/assets/")
        assert moved.folder == ("training" if self.fixed_folders else "assets")

    def test_an_upload_sets_context_key_by_key(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_context(ann.asset_id, {"a": "1", "b": "2"})
        for data in (ANN, BOB):
            new = library.upload(data, public_id=ann.public_id, context={"b": data.hex()})
            assert new.context == {"a": "1", "b": data.hex()}

    @pytest.mark.parametrize(
        ("filename", "public_id"), [("archive.tar.gz", "archive.tar"), ("me", "me"), ("", "image")]
    )
    def test_a_public_id_is_the_file_name_without_its_ending(
        self, library: EditableLibrary, filename: str, public_id: str
    ) -> None:
        asset = library.upload(ANN, folder="/a/", filename=filename)
        assert (asset.public_id, asset.folder) == (f"a/{public_id}", "a")

    def test_tags_are_added_and_removed(self, library: EditableLibrary, ann: Asset) -> None:
        library.add_tags(ann.asset_id, ["two", "one", "three"])
        assert set(now(library, ann).tags) == {"one", "two", "three"}
        library.remove_tags(ann.asset_id, ["one", "unknown"])
        assert set(now(library, ann).tags) == {"two", "three"}
        assert len(now(library, ann).tags) == 2

    def test_what_changes_nothing_is_no_error(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_context(ann.asset_id, {"k": "v"})
        before = known(now(library, ann))
        library.add_tags(ann.asset_id, ["one"])
        library.add_tags(ann.asset_id, [])
        library.remove_tags(ann.asset_id, ["unknown"])
        library.remove_tags(ann.asset_id, [])
        library.set_context(ann.asset_id, {"k": "v", "unknown": None})
        library.move(ann.asset_id, "training")
        library.rename(ann.asset_id, ann.public_id)
        library.delete("unknown")
        assert known(now(library, ann)) == before

    def test_tags_do_not_grow_the_version(self, library: EditableLibrary, ann: Asset) -> None:
        library.add_tags(ann.asset_id, ["two"])
        assert now(library, ann).version == ann.version

    def test_context_is_set_key_by_key(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_context(ann.asset_id, {"a": "1", "b": "2"})
        library.set_context(ann.asset_id, {"a": None, "c": "3 = | \\ ü"})
        assert now(library, ann).context == {"b": "2", "c": "3 = | \\ ü"}

    def test_the_values_of_a_metadata_field_are_replaced(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        for names in (["Zoë Müller"], ["Smith, John", "Zoë Müller", "a|b=c"], ["Ann"]):
            library.set_metadata(ann.asset_id, "people", names)
            assert people(now(library, ann)) == sorted(names)
        assert known(now(library, ann)) == known(ann)

    def test_a_metadata_field_is_cleared(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_metadata(ann.asset_id, "people", ["Ann"])
        library.set_metadata(ann.asset_id, "people", [])
        assert people(now(library, ann)) == []

    def test_metadata_of_two_pictures_is_apart(self, library: EditableLibrary, ann: Asset) -> None:
        bob = library.upload(BOB, public_id="bob")
        library.set_metadata(ann.asset_id, "people", ["Ann", "Ann"])
        library.set_metadata(bob.asset_id, "people", ["Bob"])
        assert (people(now(library, ann)), people(now(library, bob))) == (["Ann"], ["Bob"])

    def test_metadata_outlives_new_content(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_metadata(ann.asset_id, "people", ["Ann"])
        assert people(library.upload(BOB, public_id=ann.public_id)) == ["Ann"]

    def test_a_moved_picture_is_the_same(self, library: EditableLibrary, ann: Asset) -> None:
        moved = library.move(ann.asset_id, "assets/old")
        public_id = "assets/old/ann" if self.fixed_folders else ann.public_id
        expected = {**known(ann), "folder": "assets/old", "public_id": public_id}
        assert known(moved) == known(now(library, ann)) == expected
        assert (ids(library, "assets"), ids(library, "training")) == ([public_id], [])

    def test_a_renamed_picture_is_the_same(self, library: EditableLibrary, ann: Asset) -> None:
        renamed = library.rename(ann.asset_id, "assets/Zoë")
        folder = "assets" if self.fixed_folders else ann.folder
        expected = {**known(ann), "folder": folder, "public_id": "assets/Zoë"}
        assert known(renamed) == known(now(library, ann)) == expected
        assert library.find(ann.public_id) is None

    def test_a_taken_name_is_not_given(self, library: EditableLibrary, ann: Asset) -> None:
        library.upload(BOB, public_id="bob")
        with pytest.raises(AlreadyExists, match="bob"):
            library.rename(ann.asset_id, "bob")
        assert known(now(library, ann)) == known(ann)

    def test_a_deleted_picture_is_gone(self, library: EditableLibrary, ann: Asset) -> None:
        library.delete(ann.asset_id)
        library.delete(ann.asset_id)
        assert library.asset(ann.asset_id) is library.find(ann.public_id) is None
        assert ids(library) == []
        with pytest.raises(NotFound):
            library.fetch(ann)

    def test_a_copy_outlives_its_original(self, library: EditableLibrary, ann: Asset) -> None:
        copy = library.upload(ANN, public_id="copy")
        library.delete(ann.asset_id)
        assert library.fetch(copy) == ANN

    def test_a_comma_in_a_tag_is_refused(self, library: EditableLibrary, ann: Asset) -> None:
        with pytest.raises(Rejected, match="comma"):
            library.add_tags(ann.asset_id, ["fine", "Smith, John"])
        assert now(library, ann).tags == ("one",)

    def test_pictures_may_change_while_they_are_listed(self, library: EditableLibrary) -> None:
        for number in range(self.many):
            library.upload(ANN, public_id=f"p{number:04}")
        listed = []
        for asset in library.assets(""):
            listed.append(asset.public_id)
            library.add_tags(asset.asset_id, ["seen"])
            if len(listed) == 10:
                library.delete(asset.asset_id)
        assert sorted(listed) == [f"p{number:04}" for number in range(self.many)]


def people(asset: Asset) -> list[str]:
    """The names in the metadata field "people"."""
    names = asset.metadata.get("people", [])
    assert isinstance(names, list)
    return sorted(map(str, names))


class NearLibraryContract(LibraryContract):
    """What a library on this computer promises beyond: exact changes, times and order."""

    def test_an_upload_is_described(self, library: EditableLibrary, clock: ManualClock) -> None:
        asset = library.upload(ANN, filename="Zoë Müller.jpg", tags=["red", "a"])
        assert (asset.filename, asset.tags) == ("Zoë Müller.jpg", ("red", "a"))
        assert asset.etag == hashlib.sha256(ANN).hexdigest()
        assert (asset.created_at, asset.version) == (clock.now(), int(clock.now()))
        assert library.asset(asset.asset_id) == library.find(asset.public_id) == asset
        assert list(library.assets("")) == [asset]

    def test_pictures_come_by_public_id(self, library: EditableLibrary) -> None:
        for name in ("b", "C", "a/b", "a", "ä"):
            library.upload(ANN, public_id=name)
        assert ids(library) == ["C", "a", "a/b", "b", "ä"]

    def test_every_change_is_told_once(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        for change in (
            lambda: library.upload(BOB, folder="training", public_id=ann.public_id, tags=["x"]),
            lambda: library.upload(BOB, public_id=ann.public_id, tags=["one"]),
            lambda: library.upload(BOB, folder="training", filename="ann.jpg", tags=["two"]),
            lambda: library.upload(BOB, public_id=ann.public_id, context={"a": "1"}),
            lambda: library.add_tags(ann.asset_id, ["three", "four"]),
            lambda: library.remove_tags(ann.asset_id, ["one", "three"]),
            lambda: library.set_context(ann.asset_id, {"a": "2", "b": "3"}),
            lambda: library.set_metadata(ann.asset_id, "people", ["Ann", "Bob"]),
            lambda: library.set_metadata(ann.asset_id, "people", []),
            lambda: library.move(ann.asset_id, "assets"),
            lambda: library.rename(ann.asset_id, "other"),
            lambda: library.delete(ann.asset_id),
        ):
            changes.clear()
            change()
            assert changes == [ann.asset_id]

    def test_what_changes_nothing_is_not_told(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        library.set_context(ann.asset_id, {"k": "v"})
        library.set_metadata(ann.asset_id, "people", ["Ann"])
        before = now(library, ann)
        changes.clear()
        for change in (
            lambda: library.upload(ANN, folder="training", filename="ann.jpg", tags=["one"]),
            lambda: library.upload(ANN, public_id=ann.public_id),
            lambda: library.add_tags(ann.asset_id, ["one"]),
            lambda: library.add_tags(ann.asset_id, []),
            lambda: library.remove_tags(ann.asset_id, ["unknown"]),
            lambda: library.set_context(ann.asset_id, {"k": "v", "unknown": None}),
            lambda: library.set_metadata(ann.asset_id, "people", ["Ann"]),
            lambda: library.set_metadata(ann.asset_id, "unknown", []),
            lambda: library.move(ann.asset_id, "training"),
            lambda: library.rename(ann.asset_id, ann.public_id),
            lambda: library.delete("unknown"),
        ):
            change()
            assert changes == []
        assert now(library, ann) == before

    def test_what_is_refused_is_not_told(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        library.upload(BOB, public_id="bob")
        changes.clear()
        with pytest.raises(AlreadyExists):
            library.rename(ann.asset_id, "bob")
        with pytest.raises(Rejected):
            library.add_tags(ann.asset_id, ["a,b"])
        assert (now(library, ann), changes) == (ann, [])

    def test_the_version_grows_though_the_clock_stands(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        assert library.upload(ANN, public_id=ann.public_id, tags=["two"]).version == ann.version
        assert library.upload(BOB, public_id=ann.public_id).version == ann.version + 1

    def test_the_same_content_again_may_change_folder_and_file_name(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        new = library.upload(ANN, public_id=ann.public_id, folder="assets", filename="b.jpg")
        assert new == dataclasses.replace(ann, folder="assets", filename="b.jpg")
        assert library.upload(BOB, public_id=ann.public_id).filename == "b.jpg"

    def test_moving_and_renaming_change_nothing_else(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        moved = library.move(ann.asset_id, "assets/old")
        assert moved == dataclasses.replace(ann, folder="assets/old")
        renamed = library.rename(ann.asset_id, "assets/Zoë")
        assert renamed == dataclasses.replace(moved, public_id="assets/Zoë") == now(library, ann)

    def test_tags_keep_the_order_they_were_added_in(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        library.add_tags(ann.asset_id, ["c", "b", "one"])
        library.remove_tags(ann.asset_id, ["one"])
        library.add_tags(ann.asset_id, ["a", "one"])
        assert now(library, ann).tags == ("c", "b", "a", "one")


class TestMemoryLibrary(NearLibraryContract):
    """In memory."""

    @pytest.fixture
    def library(self, clock: ManualClock, changes: list[str]) -> EditableLibrary:
        return MemoryLibrary(clock, changes.append)


def check(data: bytes) -> ImageInfo:
    """Read the header of a portrait."""
    if not data.startswith(b"{"):
        raise UnreadableImage
    return ImageInfo("json", 30, 40)


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
        copy = library.upload(ANN, public_id="copy")
        assert self.files(root) == [ann.etag]
        library.delete(ann.asset_id)
        assert self.files(root) == [ann.etag]
        library.delete(copy.asset_id)
        assert self.files(root) == []

    def test_a_replaced_original_is_removed(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        new = library.upload(BOB, public_id=ann.public_id)
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
            lambda: library.upload(BOB, folder="training", filename="bob.jpg"),
            lambda: library.upload(BOB, public_id=ann.public_id),
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
        assert library.document(DocumentKind.METADATA_FIELD, "people") is None
        assert self.files(root) == [ann.etag]
        assert library.fetch(ann) == ANN

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
        library.upload(ANN, folder="training", filename="ann.jpg")
        assert library.fetch(ann) == ANN

    def test_files_without_an_asset_are_swept_once_they_are_old(
        self, library: LocalLibrary, root: Path, ann: Asset
    ) -> None:
        orphan = root / "ab" / ("ab" * 32)
        unplaced = root / "ab" / "0123.tmp"
        orphan.parent.mkdir()
        for path in (orphan, unplaced):
            path.write_bytes(b"{}")
        assert library.sweep_orphans() == 0
        for path in (orphan, unplaced, root / ann.etag[:2] / ann.etag):
            os.utime(path, (0, 0))
        assert library.sweep_orphans() == 2
        assert self.files(root) == [ann.etag]

    def test_deleting_and_uploading_at_once_never_loses_a_file(
        self, library: LocalLibrary, root: Path
    ) -> None:
        start = threading.Barrier(2)

        def upload_and_delete(name: str) -> None:
            start.wait()
            for _ in range(25):
                asset = library.upload(ANN, public_id=name)
                assert library.fetch(asset) == ANN
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
        asset = library.upload(ANN, folder=folder, filename=filename)
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
            library.upload(ANN, public_id=public_id)
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
            library.upload(BOB, tags=[tag])
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
        assert library.document(DocumentKind.METADATA_FIELD, "people") == {
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
        library.change_document(DocumentKind.METADATA_FIELD, "people", lambda _: field)

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
