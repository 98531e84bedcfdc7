"""What a library of its own promises beyond: names of every kind, edits, deletion."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.media_bench import EVERYTHING, NAMES, SECRETARY, Bench, word

from facelabel.errors import AlreadyExists, Rejected
from facelabel.media.types import AssetKey, ChangeKind, Edit, Origin, Upload

if TYPE_CHECKING:
    from facelabel.adapters.store.library.library import LocalLibrary


class TestNames:
    """An asset is known by resource_type, type and public_id."""

    def test_assets_of_different_kinds_share_a_public_id(self, bench: Bench) -> None:
        kinds = [
            *itertools.product(["image", "video", "raw"], ["upload", "private", "authenticated"])
        ]
        for resource_type, kind in kinds:
            data = f"{resource_type} {kind}".encode()
            bench.put("same", data, resource_type=resource_type, type=kind)
        for resource_type, kind in kinds:
            asset = bench.library.get(AssetKey("same", resource_type, kind))
            assert asset is not None
            assert bench.library.fetch(asset) == f"{resource_type} {kind}".encode()
        assert len(list(bench.library.assets(""))) == 3
        found = bench.library.find("same")
        assert found is not None
        assert (found.resource_type, found.type) == ("image", "upload")

    def test_an_image_is_found_whatever_its_delivery_type(self, bench: Bench) -> None:
        bench.put("movie", resource_type="video")
        assert bench.library.find("movie") is None
        assert bench.library.find("x\0") is bench.library.get(AssetKey("x\udc80")) is None
        private = bench.put("secret", type="private")
        assert bench.library.find("secret") == private

    @pytest.mark.parametrize(
        "key",
        [
            AssetKey("v1/me"),
            AssetKey("v1700000000/a/b"),
            AssetKey("a?b"),
            AssetKey("a", "auto"),
            AssetKey("a", "image", "fetch"),
        ],
    )
    def test_a_name_that_no_url_could_tell_is_refused(
        self, library: LocalLibrary, key: AssetKey
    ) -> None:
        with pytest.raises(Rejected):
            library.put(Upload(key, b"{}", "jpg"))
        assert library.usage()["objects"] == 0

    def test_what_only_looks_like_a_version_is_a_name(self, bench: Bench) -> None:
        for name in ("v1", "v1x/a", "a/v1/b", "vv1/a"):
            assert bench.put(name).public_id == name

    def test_a_folder_that_looks_like_a_version_takes_uploads(self, library: LocalLibrary) -> None:
        asset = library.upload(b"{}", folder="v2024", filename="me.jpg")
        assert (asset.folder, asset.public_id) == ("v2024", "_v2024/me")


class TestPut:
    """A file is stored with all that is known about it."""

    def test_everything_is_kept(self, bench: Bench) -> None:
        upload = Upload(
            AssetKey("a/me", type="private"),
            b"data",
            "png",
            3,
            4,
            folder="b/c",
            filename="Me.png",
            display_name="It's me",
            tags=["one", "two"],
            context={"alt": "I"},
            metadata={"people": ["Ann", "Zoë"], "stars": 5},
            details={"face_coordinates": [[1, 2, 3, 4]], "nested": {"a": None}},
        )
        asset, existed = bench.library.put(upload)
        assert not existed
        expected = {
            "type": "private",
            "format": "png",
            "width": 3,
            "height": 4,
            "bytes": 4,
            "folder": "b/c",
            "filename": "Me.png",
            "display_name": "It's me",
            "tags": ("one", "two"),
            "context": {"alt": "I"},
            "metadata": {"people": ["Ann", "Zoë"], "stars": 5},
            "details": {"face_coordinates": [[1, 2, 3, 4]], "nested": {"a": None}},
            "created_at": bench.clock.now(),
            "updated_at": bench.clock.now(),
            "version": int(bench.clock.now()),
        }
        assert {name: getattr(asset, name) for name in expected} == expected
        assert bench.library.asset(asset.asset_id) == bench.library.get(upload.key) == asset

    def test_an_asset_is_shown_by_the_end_of_its_public_id(self, bench: Bench) -> None:
        assert bench.put("a/b/me").display_name == "me"

    def test_what_is_not_given_stays(self, bench: Bench) -> None:
        old = bench.put(
            "me",
            b"old",
            folder="a",
            filename="me.jpg",
            display_name="Me",
            tags=["one"],
            context={"a": "1"},
            metadata={"people": ["Ann"], "stars": 5},
            details={"x": 1},
        )
        bench.clock.sleep(10)
        new = bench.put("me", b"new", metadata={"stars": 4}, details={"y": 2})
        expected = dataclasses.replace(
            old,
            etag=new.etag,
            version=old.version + 10,
            updated_at=old.updated_at + 10,
            metadata={"people": ["Ann"], "stars": 4},
            details={"x": 1, "y": 2},
        )
        assert new == expected
        assert bench.files() == {new.etag}

    def test_what_is_given_replaces(self, bench: Bench) -> None:
        bench.put("me", folder="a", tags=["one"], context={"a": "1"}, metadata={"f": "x"})
        new = bench.put("me", folder="b", tags=[], context={"b": "2"}, metadata={"f": None})
        assert (new.folder, new.tags, new.context, new.metadata) == ("b", (), {"b": "2"}, {})

    def test_without_overwriting_nothing_changes(self, bench: Bench) -> None:
        old = bench.put("me", b"old")
        bench.told.clear()
        upload = Upload(AssetKey("me"), b"new", "png", tags=["x"], overwrite=False)
        assert bench.library.put(upload) == (old, True)
        assert bench.told == []
        assert bench.files() == {old.etag}
        upload = dataclasses.replace(upload, key=AssetKey("you"))
        assert bench.library.put(upload)[1] is False

    def test_an_upload_is_told_once(self, bench: Bench) -> None:
        asset = bench.library.acting(SECRETARY).put(Upload(AssetKey("me"), b"1", "jpg"))[0]
        (change,) = bench.told
        assert (change.kind, change.origin) == (ChangeKind.UPLOAD, SECRETARY)
        assert [(pair.before, pair.after) for pair in change.assets] == [(None, asset)]
        bench.told.clear()
        bench.put("me", b"1", format="jpg")
        assert bench.told == []
        new = bench.put("me", b"2", tags=["x"], folder="y")
        (change,) = bench.told
        assert [(pair.before, pair.after) for pair in change.assets] == [(asset, new)]
        assert change.origin == Origin()

    @pytest.mark.parametrize(
        "values",
        [
            {"tags": ["a,b"]},
            {"tags": ["x" * 256]},
            {"tags": [f"t{n}" for n in range(10_000)]},
            {"context": {"k": "x" * 1025}},
            {"metadata": {"": "x"}},
            {"metadata": {"x" * 256: "x"}},
            {"metadata": {f"f{n}": 1 for n in range(1001)}},
            {"details": {"x": "y" * 1_000_001}},
            {"folder": "a//b"},
            {"display_name": "a\nb"},
            {"display_name": "x" * 256},
        ],
    )
    def test_what_is_not_allowed_is_refused(self, bench: Bench, values: dict[str, Any]) -> None:
        with pytest.raises(Rejected):
            bench.put("me", **values)
        assert (bench.library.usage(), bench.files()) == ({"objects": 0, "bytes": 0}, set())


class TestEdit:
    """Many things of many assets in one step."""

    def test_all_of_an_edit_happens(self, bench: Bench) -> None:
        asset = bench.put("me", tags=["a", "b"], context={"x": "1"}, metadata={"f": "1", "g": "2"})
        bench.clock.sleep(5)
        edit = Edit(
            add_tags=["c", "a"],
            remove_tags=["b"],
            set_context={"x": None, "y": "2"},
            set_metadata={"f": None, "h": ["3"]},
            set_details={"d": {"e": 1}},
            folder="new",
            display_name="You",
            public_id="you",
            type="authenticated",
        )
        bench.told.clear()
        (edited,) = bench.library.edit([asset.asset_id], edit)
        assert edited == dataclasses.replace(
            asset,
            tags=("a", "c"),
            context={"y": "2"},
            metadata={"g": "2", "h": ["3"]},
            details={"d": {"e": 1}},
            folder="new",
            display_name="You",
            public_id="you",
            type="authenticated",
            updated_at=asset.updated_at + 5,
        )
        assert bench.library.asset(asset.asset_id) == edited
        assert [change.assets for change in bench.told] == [bench.told[0].assets] * 6
        assert bench.kinds() == [
            ChangeKind.RENAME,
            ChangeKind.MOVE,
            ChangeKind.DISPLAY_NAME,
            ChangeKind.TAGS,
            ChangeKind.CONTEXT,
            ChangeKind.METADATA,
        ]

    def test_tags_and_context_are_replaced_before_they_are_added_to(self, bench: Bench) -> None:
        asset = bench.put("me", tags=["a", "b"], context={"x": "1"})
        edit = Edit(tags=["n", "o"], add_tags=["p"], remove_tags=["o"])
        assert bench.library.edit([asset.asset_id], edit)[0].tags == ("n", "p")
        edit = Edit(context={"n": "1", "o": "2"}, set_context={"o": None})
        assert bench.library.edit([asset.asset_id], edit)[0].context == {"n": "1"}

    def test_one_change_carries_every_asset_it_changed(self, bench: Bench) -> None:
        one, two, three = (bench.put(name, tags=tags) for name, tags in
                           (("1", ["x"]), ("2", []), ("3", [])))  # fmt: skip
        bench.told.clear()
        ids = [three.asset_id, "0" * 32, "nonsense\0", one.asset_id, two.asset_id, one.asset_id]
        edited = bench.library.acting(SECRETARY).edit(ids, Edit(add_tags=["x"]))
        assert [asset.public_id for asset in edited] == ["3", "1", "2"]
        (change,) = bench.told
        assert (change.kind, change.origin) == (ChangeKind.TAGS, SECRETARY)
        assert [pair.before for pair in change.assets] == [three, two]
        assert [pair.after for pair in change.assets] == [edited[0], edited[2]]

    def test_what_changes_nothing_is_not_told(self, bench: Bench) -> None:
        asset = bench.put("me", tags=["a"], context={"x": "1"}, folder="f")
        bench.told.clear()
        bench.clock.sleep(5)
        edit = Edit(add_tags=["a"], folder="/f/", public_id="me", set_context={"z": None})
        assert bench.library.edit([asset.asset_id], edit) == (asset,)
        assert bench.told == []

    def test_details_are_kept_and_nobody_is_told(self, bench: Bench) -> None:
        asset = bench.put("me")
        bench.told.clear()
        bench.library.edit([asset.asset_id], Edit(set_details={"moderation": [1]}))
        assert bench.told == []
        (edited,) = bench.library.edit([asset.asset_id], Edit(set_details={"x": 1}))
        assert edited.details == {"moderation": [1], "x": 1}

    def test_a_bad_edit_changes_no_asset(self, bench: Bench) -> None:
        full = bench.put("full", tags=[f"t{n}" for n in range(1000)])
        asset = bench.put("me")
        bench.told.clear()
        with pytest.raises(Rejected, match="1000"):
            bench.library.edit([asset.asset_id, full.asset_id], Edit(add_tags=["x"]))
        assert bench.library.asset(asset.asset_id) == asset
        assert bench.told == []

    def test_a_taken_name_is_given_only_by_overwriting(self, bench: Bench) -> None:
        me, you = bench.put("me", b"me"), bench.put("you", b"you")
        movie = bench.put("film", resource_type="video")
        assert bench.library.rename(me.asset_id, "film").public_id == "film"
        with pytest.raises(AlreadyExists, match="you"):
            bench.library.edit([me.asset_id], Edit(public_id="you"))
        bench.told.clear()
        (renamed,) = bench.library.edit([me.asset_id], Edit(public_id="you", overwrite=True))
        assert bench.library.get(AssetKey("you")) == renamed
        assert bench.library.asset(you.asset_id) is None
        assert bench.library.asset(movie.asset_id) == movie
        assert you.etag not in bench.files()
        assert bench.kinds() == [ChangeKind.DELETE, ChangeKind.RENAME]

    def test_one_name_is_not_given_to_two(self, bench: Bench) -> None:
        ids = [bench.put(name).asset_id for name in ("a", "b")]
        with pytest.raises(AlreadyExists):
            bench.library.edit(ids, Edit(public_id="c", overwrite=True))
        assert bench.find(EVERYTHING) == ["a", "b"]

    def test_two_hundred_add_a_tag_at_once_and_none_is_lost(self, bench: Bench) -> None:
        asset = bench.put("me")
        start = threading.Barrier(8)

        def add(worker: int) -> None:
            start.wait()
            for number in range(25):
                bench.library.add_tags(asset.asset_id, [f"{worker}-{number}"])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        tagged = bench.library.asset(asset.asset_id)
        assert tagged is not None
        assert len(tagged.tags) == len(set(tagged.tags)) == 200


class TestDelete:
    """Assets go, all in one step, and may come back."""

    def test_many_are_deleted_in_one_change(self, bench: Bench) -> None:
        assets = [bench.put(name, name.encode()) for name in NAMES]
        bench.told.clear()
        ids = [asset.asset_id for asset in assets[:3]]
        gone = bench.library.acting(SECRETARY).delete_all([*ids, "f" * 32, "nonsense"])
        assert gone == tuple(assets[:3])
        (change,) = bench.told
        assert (change.kind, change.origin) == (ChangeKind.DELETE, SECRETARY)
        assert [(pair.before, pair.after) for pair in change.assets] == [(a, None) for a in gone]
        assert bench.files() == {asset.etag for asset in assets[3:]}
        assert bench.library.delete_all(ids) == ()
        assert len(bench.told) == 1

    def test_a_backup_brings_an_asset_back_as_it_was(self, bench: Bench) -> None:
        values: dict[str, Any] = {"tags": ["a"], "context": {"b": "c"}, "metadata": {"d": ["e"]}}
        asset = bench.put("me", b"mine", **values)
        bench.library.delete_all([asset.asset_id], keep_backup=True)
        assert bench.library.get(AssetKey("me")) is None
        assert bench.library.backup(AssetKey("me")) == asset
        assert bench.library.backup(AssetKey("me", "raw")) is None
        assert bench.library.backup(AssetKey("me\0")) is None
        assert bench.library.sweep_orphans(min_age=-60) == 0
        bench.told.clear()
        restored = bench.library.restore(AssetKey("me"))
        assert restored == asset == bench.library.asset(asset.asset_id)
        assert bench.library.fetch(asset) == b"mine"
        assert bench.find(word("tags", "a")) == ["me"]
        assert bench.kinds() == [ChangeKind.UPLOAD]
        assert bench.library.restore(AssetKey("me")) is None

    def test_without_a_backup_nothing_comes_back(self, bench: Bench) -> None:
        asset = bench.put("me")
        bench.library.delete_all([asset.asset_id])
        assert bench.library.restore(AssetKey("me")) is None
        assert bench.files() == set()

    def test_the_last_backup_of_a_name_is_kept(self, bench: Bench) -> None:
        for data in (b"first", b"second"):
            asset = bench.put("me", data)
            bench.library.delete_all([asset.asset_id], keep_backup=True)
        assert bench.files() == {asset.etag}
        restored = bench.library.restore(AssetKey("me"))
        assert restored is not None
        assert bench.library.fetch(restored) == b"second"

    def test_a_backup_does_not_push_another_asset_out(self, bench: Bench) -> None:
        asset = bench.put("me", b"old")
        bench.library.delete_all([asset.asset_id], keep_backup=True)
        other = bench.put("me", b"new")
        with pytest.raises(AlreadyExists):
            bench.library.restore(AssetKey("me"))
        assert bench.library.get(AssetKey("me")) == other
        bench.library.delete(other.asset_id)
        assert bench.library.restore(AssetKey("me")) == asset
