"""What every library promises, what one on this computer does beyond, and the local one's rules."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.conftest import PAGE

from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.testing import ManualClock, MemoryLibrary, portrait

if TYPE_CHECKING:
    from facelabel.core.model import Asset
    from facelabel.media.ports import EditableLibrary


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
    many = 2 * PAGE + 2
    #: Two pictures.
    ANN, BOB = portrait("Ann"), portrait("Bob")

    def picture(self, name: str) -> bytes:
        """A picture of its own."""
        return portrait(name)

    def listed(self, asset: Asset | None) -> dict[str, object]:
        """What a list says of an asset."""
        return known(asset)

    def assert_shows(self, fetched: bytes, data: bytes) -> None:
        """What was fetched is the picture that was uploaded."""
        assert fetched == data

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def changes(self) -> list[str]:
        return []

    @pytest.fixture
    def ann(self, library: EditableLibrary, changes: list[str]) -> Asset:
        asset = library.upload(self.ANN, folder="training", filename="ann.jpg", tags=["one"])
        changes.clear()
        return asset

    def test_an_upload_is_found_listed_and_fetched(self, library: EditableLibrary) -> None:
        asset = library.upload(
            self.ANN,
            folder="training/new",
            filename="Zoë Müller.jpg",
            tags=["faceLabel:Zoë", "red"],
            context={"caption": "At sea"},
        )
        assert (asset.public_id, asset.folder) == ("training/new/Zoë Müller", "training/new")
        assert (asset.resource_type, asset.type) == ("image", "upload")
        assert set(asset.tags) == {"faceLabel:Zoë", "red"}
        assert asset.context == {"caption": "At sea"}
        assert asset.bytes == len(self.ANN)
        found = library.find(asset.public_id)
        assert known(library.asset(asset.asset_id)) == known(asset)
        assert self.listed(found) == self.listed(asset)
        assert list(map(self.listed, library.assets("training"))) == [self.listed(asset)]
        self.assert_shows(library.fetch(asset), self.ANN)

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
            library.upload(self.picture(folder), folder=folder, public_id=public_id)
        assert sorted(ids(library, "a")) == ["a/b/c/me", "a/b/me", "a/me"]
        assert sorted(ids(library, "a/b")) == ["a/b/c/me", "a/b/me"]
        assert sorted(ids(library, "/a/b/")) == ["a/b/c/me", "a/b/me"]
        assert sorted(ids(library, "A")) == ["A/b/me", "A/me"]
        assert ids(library, "_") == []
        assert len(ids(library)) == 10

    def test_what_begins_so_is_told_without_a_look_at_all(self, library: EditableLibrary) -> None:
        for name in ("john-1", "john-2", "johnny", "Ann", "jo_n", "jo*n", "x/john", "🐈 cat"):
            library.upload(self.picture(name), folder="a", public_id=f"a/{name}")

        def found(text: str, limit: int = 10) -> list[str]:
            return [asset.public_id for asset in library.beginning(text, limit)]

        assert found("a/john") == ["a/john-1", "a/john-2", "a/johnny"]
        assert len(found("a/john", 2)) == 2
        assert found("a/jo_") == ["a/jo_n"]
        assert found("a/jo*") == ["a/jo*n"]
        assert found("a/🐈") == ["a/🐈 cat"]
        assert len(found("")) == 8
        # With "b" an asset_id may begin.
        assert found("a/JOHN") == found("john") == found("y") == []

    def test_the_folders_below_a_folder(self, library: EditableLibrary) -> None:
        for folder in ("training", "assets/2025/may", "assets/Zoë (and) Ann", "assets 2", "Assets"):
            library.upload(self.picture(folder), folder=folder, public_id=f"{folder}/me")
        library.upload(self.picture("root"), public_id="me")
        assert sorted(library.subfolders()) == ["Assets", "assets", "assets 2", "training"]
        assert sorted(library.subfolders("assets")) == ["assets/2025", "assets/Zoë (and) Ann"]
        assert library.subfolders("/assets/2025/") == ["assets/2025/may"]
        assert list(library.subfolders("training")) == list(library.subfolders("nowhere")) == []

    def test_pictures_come_in_one_order_each_once(self, library: EditableLibrary) -> None:
        names = [f"p{number:04}" for number in range(self.many)]
        for name in reversed(names):
            library.upload(self.ANN, public_id=name)
        listed = ids(library)
        assert sorted(listed) == names
        assert ids(library) == listed

    def test_the_same_upload_again_is_the_same_picture(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        again = library.upload(self.ANN, folder="training", filename="ann.jpg", tags=["one"])
        assert (again.asset_id, again.public_id) == (ann.asset_id, ann.public_id)
        assert ids(library) == ["training/ann"]

    @pytest.mark.parametrize("named", [False, True])
    def test_it_is_told_where_this_very_content_was_there(
        self, library: EditableLibrary, ann: Asset, *, named: bool
    ) -> None:
        told: list[str] = []
        public_id = ann.public_id if named else None
        for data, what in ((self.BOB, "other"), (self.ANN, "same"), (self.ANN, "again")):
            library.upload(
                data, folder="training", filename="ann.jpg", public_id=public_id,
                on_existing=partial(told.append, what),
            )  # fmt: skip
        assert told == (["again"] if named else ["same", "again"])

    def test_another_picture_of_the_same_file_name_gets_its_own_id(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        other = library.upload(self.BOB, folder="training", filename="ann.jpg")
        assert other.asset_id != ann.asset_id
        assert other.public_id.startswith("training/ann_")
        self.assert_shows(library.fetch(ann), self.ANN)
        self.assert_shows(library.fetch(other), self.BOB)

    def test_the_same_public_id_replaces_content_and_keeps_tags(
        self, library: EditableLibrary, ann: Asset, clock: ManualClock
    ) -> None:
        clock.sleep(100)
        new = library.upload(self.BOB, folder="training", public_id=ann.public_id)
        assert (new.asset_id, new.created_at) == (ann.asset_id, ann.created_at)
        assert new.version > ann.version
        assert new.etag != ann.etag
        assert new.tags == ("one",)
        self.assert_shows(library.fetch(new), self.BOB)

    def test_the_same_public_id_replaces_tags_where_given(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        new = library.upload(self.ANN, folder="training", public_id=ann.public_id, tags=["two"])
        assert new.tags == ("two",)
        assert library.upload(self.BOB, public_id=ann.public_id, tags=[]).tags == ()
        assert now(library, ann).tags == ()

    def test_the_same_content_under_the_same_name_gets_the_tags_in_addition(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        again = library.upload(self.ANN, folder="training", filename="ann.jpg", tags=["two"])
        assert set(again.tags) == {"one", "two"}
        assert known(now(library, ann)) == known(again)

    def test_a_replaced_picture_keeps_the_folder_that_is_not_given(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        assert library.upload(self.BOB, public_id=ann.public_id).folder == "training"
        moved = library.upload(self.BOB, public_id=ann.public_id, folder="/assets/")
        assert moved.folder == ("training" if self.fixed_folders else "assets")

    def test_an_upload_sets_context_key_by_key(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_context(ann.asset_id, {"a": "1", "b": "2"})
        for data in (self.ANN, self.BOB):
            value = hashlib.sha256(data).hexdigest()
            new = library.upload(data, public_id=ann.public_id, context={"b": value})
            assert new.context == {"a": "1", "b": value}

    @pytest.mark.parametrize(
        ("filename", "public_id"), [("archive.tar.gz", "archive.tar"), ("me", "me"), ("", "image")]
    )
    def test_a_public_id_is_the_file_name_without_its_ending(
        self, library: EditableLibrary, filename: str, public_id: str
    ) -> None:
        asset = library.upload(self.ANN, folder="/a/", filename=filename)
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
        bob = library.upload(self.BOB, public_id="bob")
        library.set_metadata(ann.asset_id, "people", ["Ann", "Ann"])
        library.set_metadata(bob.asset_id, "people", ["Bob"])
        assert (people(now(library, ann)), people(now(library, bob))) == (["Ann"], ["Bob"])

    def test_metadata_outlives_new_content(self, library: EditableLibrary, ann: Asset) -> None:
        library.set_metadata(ann.asset_id, "people", ["Ann"])
        assert people(library.upload(self.BOB, public_id=ann.public_id)) == ["Ann"]

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
        library.upload(self.BOB, public_id="bob")
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
        copy = library.upload(self.ANN, public_id="copy")
        library.delete(ann.asset_id)
        self.assert_shows(library.fetch(copy), self.ANN)

    def test_a_comma_in_a_tag_is_refused(self, library: EditableLibrary, ann: Asset) -> None:
        with pytest.raises(Rejected, match="comma"):
            library.add_tags(ann.asset_id, ["fine", "Smith, John"])
        assert now(library, ann).tags == ("one",)

    def test_pictures_may_change_while_they_are_listed(self, library: EditableLibrary) -> None:
        for number in range(self.many):
            library.upload(self.ANN, public_id=f"p{number:04}")
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
        asset = library.upload(self.ANN, filename="Zoë Müller.jpg", tags=["red", "a"])
        assert (asset.filename, asset.tags) == ("Zoë Müller.jpg", ("red", "a"))
        assert asset.etag == hashlib.sha256(self.ANN).hexdigest()
        assert (asset.created_at, asset.version) == (clock.now(), int(clock.now()))
        assert library.asset(asset.asset_id) == library.find(asset.public_id) == asset
        assert list(library.assets("")) == [asset]

    def test_pictures_of_a_folder_come_by_public_id(self, library: EditableLibrary) -> None:
        for name in ("b", "C", "a/b", "a", "ä"):
            library.upload(self.ANN, public_id=name)
        assert ids(library) == ["C", "a", "a/b", "b", "ä"]

    def test_every_change_is_told_once(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        for change in (
            lambda: library.upload(
                self.BOB, folder="training", public_id=ann.public_id, tags=["x"]
            ),
            lambda: library.upload(self.BOB, public_id=ann.public_id, tags=["one"]),
            lambda: library.upload(self.BOB, folder="training", filename="ann.jpg", tags=["two"]),
            lambda: library.upload(self.BOB, public_id=ann.public_id, context={"a": "1"}),
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
            lambda: library.upload(self.ANN, folder="training", filename="ann.jpg", tags=["one"]),
            lambda: library.upload(self.ANN, public_id=ann.public_id),
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
        library.upload(self.BOB, public_id="bob")
        changes.clear()
        with pytest.raises(AlreadyExists):
            library.rename(ann.asset_id, "bob")
        with pytest.raises(Rejected):
            library.add_tags(ann.asset_id, ["a,b"])
        assert (now(library, ann), changes) == (ann, [])

    def test_the_version_grows_though_the_clock_stands(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        assert (
            library.upload(self.ANN, public_id=ann.public_id, tags=["two"]).version == ann.version
        )
        assert library.upload(self.BOB, public_id=ann.public_id).version == ann.version + 1

    def test_the_same_content_again_may_change_folder_and_file_name(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        new = library.upload(self.ANN, public_id=ann.public_id, folder="assets", filename="b.jpg")
        assert new == dataclasses.replace(ann, folder="assets", filename="b.jpg")
        assert library.upload(self.BOB, public_id=ann.public_id).filename == "b.jpg"

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
