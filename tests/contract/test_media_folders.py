"""Folders and documents of a library of its own, on either database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.contract.media_bench import EVERYTHING, SECRETARY, Bench, equals, prefix, word

from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.media.types import ChangeKind, DocumentKind, Edit

if TYPE_CHECKING:
    from facelabel.adapters.store.library.library import LocalLibrary
    from facelabel.core.model import Json


class TestFolders:
    """Folders that were made, and those that assets lie in."""

    def paths(self, library: LocalLibrary, parent: str = "") -> list[str]:
        return [folder.path for folder in library.folders(parent)]

    def test_a_folder_exists_when_made_or_when_an_asset_is_in_it(self, bench: Bench) -> None:
        library = bench.library
        bench.put("me", folder="b/c/d")
        library.create_folder("a/x")
        assert self.paths(library) == ["a", "b"]
        assert self.paths(library, "b") == ["b/c"]
        assert self.paths(library, "/b/c/") == ["b/c/d"]
        assert self.paths(library, "b/c/d") == []
        every = [folder.path for folder in library.all_folders()]
        assert every == ["a", "a/x", "b", "b/c", "b/c/d"]
        assert len({folder.external_id for folder in library.all_folders()}) == 5
        with pytest.raises(NotFound, match="Can't find folder with path c"):
            library.folders("c")

    def test_making_a_folder_again_is_no_change(self, bench: Bench) -> None:
        made = bench.library.acting(SECRETARY).create_folder("/a/b/")
        assert (made.path, made.name) == ("a/b", "b")
        told = [(c.kind, c.to_path, c.origin) for c in bench.told]
        assert told == [(ChangeKind.CREATE_FOLDER, path, SECRETARY) for path in ("a", "a/b")]
        assert bench.library.create_folder("a/b") == made
        assert len(bench.told) == 2
        for bad in ("", "/", "a//b", "a?", "..", "x" * 256):
            with pytest.raises(Rejected):
                bench.library.create_folder(bad)

    def test_a_folder_in_use_is_made_without_a_change(self, bench: Bench) -> None:
        asset = bench.put("me", folder="a")
        (seen,) = bench.library.all_folders()
        bench.told.clear()
        assert bench.library.create_folder("a") == seen
        assert bench.told == []
        bench.library.delete(asset.asset_id)
        assert list(bench.library.all_folders()) == [seen]

    def test_a_folder_moves_with_all_that_is_in_it(self, bench: Bench) -> None:
        library = bench.library
        made = library.create_folder("a/empty")
        inside = [bench.put("1", folder="a"), bench.put("2", folder="a/b")]
        bench.put("3", folder="ab")
        bench.told.clear()
        bench.clock.sleep(1)
        moved = library.acting(SECRETARY).rename_folder("a", "new/a")
        assert moved.path == "new/a"
        assert [f.path for f in library.all_folders()] == [
            *("ab", "new", "new/a", "new/a/b", "new/a/empty"),
        ]
        assert library.folders("new/a")[1].external_id == made.external_id
        (change,) = bench.told
        told = (change.kind, change.from_path, change.to_path, change.origin)
        assert told == (ChangeKind.MOVE_FOLDER, "a", "new/a", SECRETARY)
        assert [pair.before for pair in change.assets] == inside
        after = [library.asset(asset.asset_id) for asset in inside]
        assert [pair.after for pair in change.assets] == after
        assert bench.find(prefix("folder", "new")) == ["1", "2"]
        assert bench.find(word("folder", "new")) == ["1", "2"]

    def test_a_folder_does_not_move_onto_another_or_into_itself(self, bench: Bench) -> None:
        bench.put("1", folder="a")
        bench.put("2", folder="b")
        for to, error in (("b", AlreadyExists), ("a", AlreadyExists), ("a/c", Rejected)):
            with pytest.raises(error):
                bench.library.rename_folder("a", to)
        with pytest.raises(NotFound):
            bench.library.rename_folder("c", "d")
        with pytest.raises(Rejected, match="longer"):
            bench.library.rename_folder("a", "x" * 300)
        assert bench.find(equals("folder", "a")) == ["1"]

    def test_an_empty_folder_is_deleted_with_those_below(self, bench: Bench) -> None:
        library = bench.library
        library.create_folder("a/b/c")
        bench.told.clear()
        asset = bench.put("me", folder="a/b")
        with pytest.raises(Rejected, match="not empty"):
            library.delete_folder("a")
        library.delete(asset.asset_id)
        bench.told.clear()
        gone = library.acting(SECRETARY).delete_folder("a/b")
        assert [folder.path for folder in gone] == ["a/b", "a/b/c"]
        assert self.paths(library) == ["a"]
        assert self.paths(library, "a") == []
        (change,) = bench.told
        told = (change.kind, change.from_path, change.origin)
        assert told == (ChangeKind.DELETE_FOLDER, "a/b", SECRETARY)
        with pytest.raises(NotFound):
            library.delete_folder("a/b")


class TestFixedFolders:
    """Where the folder is the beginning of the public_id."""

    @pytest.fixture
    def library(self, bench: Bench) -> LocalLibrary:
        bench.library = bench.open(fixed_folders=True)
        return bench.library

    def test_the_folder_is_taken_from_the_public_id(
        self, bench: Bench, library: LocalLibrary
    ) -> None:
        assert bench.put("a/b/me", folder="elsewhere").folder == "a/b"
        asset = library.upload(b"{}", folder="training", filename="ann.jpg")
        assert (asset.public_id, asset.folder) == ("training/ann", "training")
        assert library.rename(asset.asset_id, "x/ann").folder == "x"

    def test_moving_is_renaming(self, bench: Bench, library: LocalLibrary) -> None:
        asset = bench.put("a/me")
        bench.told.clear()
        moved = library.move(asset.asset_id, "b/c")
        assert (moved.public_id, moved.folder) == ("b/c/me", "b/c")
        assert bench.kinds() == [ChangeKind.RENAME]
        assert library.move(asset.asset_id, "").public_id == "me"
        bench.put("d/me")
        with pytest.raises(AlreadyExists):
            library.move(asset.asset_id, "d")
        ids = [bench.put("e/you").asset_id, bench.put("f/you").asset_id]
        with pytest.raises(AlreadyExists):
            library.edit(ids, Edit(folder="g"))

    def test_a_folder_moves_with_the_names_in_it(self, bench: Bench, library: LocalLibrary) -> None:
        bench.put("a/1")
        bench.put("a/b/2")
        library.rename_folder("a", "c")
        assert bench.find(EVERYTHING) == ["c/1", "c/b/2"]
        assert bench.find(prefix("folder", "c")) == ["c/1", "c/b/2"]

    def test_a_library_kept_otherwise_is_brought_into_line(self, bench: Bench) -> None:
        bench.put("a/b/me", folder="elsewhere")
        bench.told.clear()
        fixed = bench.open(fixed_folders=True)
        assert [asset.folder for asset in fixed.assets("")] == ["a/b"]
        assert [asset.public_id for asset in fixed.assets("a")] == ["a/b/me"]
        assert bench.find(word("folder", "elsewhere")) == []
        assert bench.told == []
        again = bench.open()
        assert [asset.folder for asset in again.assets("")] == ["a/b"]


class TestDocuments:
    """Small things kept by kind and name."""

    def test_a_document_is_made_changed_and_deleted(self, library: LocalLibrary) -> None:
        kind = DocumentKind.UPLOAD_PRESET

        def count(old: Json | None) -> Json:
            return {"n": (old or {"n": 0})["n"] + 1}  # type: ignore[operator] # a number

        assert library.document(kind, "p") is None
        assert library.change_document(kind, "p", count) == {"n": 1}
        assert library.change_document(kind, "p", count) == library.document(kind, "p") == {"n": 2}
        assert library.document(DocumentKind.TRIGGER, "p") is None
        assert library.change_document(kind, "p", lambda _: None) is None
        assert library.document(kind, "p") is None
        assert library.documents(kind) == {}

    def test_documents_come_in_the_order_made(self, library: LocalLibrary) -> None:
        kind = DocumentKind.TRIGGER
        for name in ("c", "a", "b"):
            library.change_document(kind, name, lambda _: {})
        library.change_document(kind, "c", lambda _: {"changed": True})
        library.change_document(DocumentKind.UPLOAD_PRESET, "d", lambda _: {})
        assert list(library.documents(kind)) == ["c", "a", "b"]

    def test_what_goes_wrong_goes_through(self, library: LocalLibrary) -> None:
        kind = DocumentKind.TRIGGER
        library.change_document(kind, "a", lambda _: {"old": True})

        def fail(_: Json | None) -> Json:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            library.change_document(kind, "a", fail)
        assert library.document(kind, "a") == {"old": True}

    def test_changes_at_once_are_all_made(self, library: LocalLibrary) -> None:
        def add(number: int) -> None:
            name = f"n{number}"
            library.change_document(DocumentKind.TRIGGER, "a", lambda old: {**(old or {}), name: 1})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(20)))
        assert len(library.document(DocumentKind.TRIGGER, "a") or {}) == 20

    @pytest.mark.parametrize("name", ["", "x" * 256, "a\0b", "a\udc80"])
    def test_a_bad_name_is_refused(self, library: LocalLibrary, name: str) -> None:
        with pytest.raises(Rejected):
            library.change_document(DocumentKind.TRIGGER, name, lambda _: {})
        assert library.document(DocumentKind.TRIGGER, name) is None
