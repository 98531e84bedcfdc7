"""What a library of its own promises beyond: names of every kind, edits, search, folders."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from facelabel.adapters.store.library import ImageInfo, LocalLibrary
from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.media import (
    AssetKey,
    ChangeKind,
    DocumentKind,
    Edit,
    Every,
    Never,
    Order,
    Origin,
    Some,
    Upload,
    Where,
)
from facelabel.media import Test as By
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.database import Database
    from facelabel.media import Change, Condition
    from facelabel.model import Asset, Json

EVERYTHING = Every()
SECRETARY = Origin(id="key-1", request_id="r1", notification_urls=("http://127.0.0.1/hear",))
NAMES = ["a", "b", "c", "d", "e"]


def equals(field: str, value: str | float) -> Where:
    return Where(field, By.EQUALS, value)


def word(field: str, value: str) -> Where:
    return Where(field, By.TOKEN, value)


def prefix(field: str, value: str) -> Where:
    return Where(field, By.PREFIX, value)


class Bench:
    """A library, what it told, and short ways to fill and to ask it."""

    def __init__(self, database: Database, root: Path) -> None:
        """Start empty."""
        self.database = database
        self.root = root
        self.clock = ManualClock()
        self.told: list[Change] = []
        self.library = self.open()

    def open(self, *, fixed_folders: bool = False) -> LocalLibrary:
        def note(_: Connection, change: Change) -> None:
            self.told.append(change)

        return LocalLibrary(
            self.database,
            self.root,
            self.clock,
            on_change=note,
            check=lambda _: ImageInfo("json", 30, 40),
            fixed_folders=fixed_folders,
        )

    def put(self, public_id: str, data: bytes = b"{}", **values: Any) -> Asset:  # noqa: ANN401 - Upload's
        key = AssetKey(
            public_id, values.pop("resource_type", "image"), values.pop("type", "upload")
        )
        return self.library.put(Upload(key, data, values.pop("format", "jpg"), **values))[0]

    def find(self, condition: Condition, *order: Order) -> list[str]:
        page = self.library.select(condition, order or [Order("public_id")], limit=100, count=True)
        assert page.total == len(page.assets)
        assert page.cursor is None
        return [asset.public_id for asset in page.assets]

    def kinds(self) -> list[ChangeKind]:
        kinds = [change.kind for change in self.told]
        self.told.clear()
        return kinds

    def files(self) -> set[str]:
        return {path.name for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Return an empty library on either database."""
    return Bench(request.getfixturevalue(request.param), tmp_path / "originals")


@pytest.fixture
def library(bench: Bench) -> LocalLibrary:
    return bench.library


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


@pytest.fixture
def gallery(bench: Bench) -> Bench:
    """Return a library with pictures that differ in everything one can ask for."""
    bench.put("Zoë", tags=["Zoë Müller", "red"], folder="people", context={"alt": "At the SEA"})
    bench.clock.sleep(10)
    bench.put("zoo", tags=["zoo", "Red"], folder="people/animals", width=200, height=100)
    bench.clock.sleep(10)
    bench.put("ann", tags=["red"], folder="peoples", metadata={"people": ["Ann", "Bob"], "n": 5})
    bench.clock.sleep(10)
    bench.put("bob", b"1234", display_name="Bob at 100%_", metadata={"n": 40, "on": "2024-05-01"})
    bench.clock.sleep(10)
    bench.put("clip", resource_type="video", type="private", format="mp4", filename="Clip A.mp4")
    return bench


BEGIN = ManualClock().now()


class TestSelect:
    """Conditions."""

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (EVERYTHING, "Zoë ann bob clip zoo"),
            (Some(()), ""),
            (Never(Some(())), "Zoë ann bob clip zoo"),
            (equals("public_id", "Zoë"), "Zoë"),
            (equals("public_id", "Zoe\u0308"), "Zoë"),
            (equals("public_id", "zoë"), ""),
            (prefix("public_id", "zo"), "zoo"),
            (prefix("public_id", "Zo"), "Zoë"),
            (prefix("public_id", "z%"), ""),
            (prefix("public_id", ""), "Zoë ann bob clip zoo"),
            (word("public_id", "zOË"), "Zoë"),
            (Where("public_id", By.LESS, "b"), "Zoë ann"),
            (Where("public_id", By.GREATER_OR_EQUAL, "clip"), "clip zoo"),
            (Where("filename", By.EXISTS), "clip"),
            (word("filename", "a"), "clip"),
            (word("filename", "clip a"), "clip"),
            (word("filename", "a clip"), ""),
            (equals("filename", "clip a.mp4"), ""),
            (equals("resource_type", "video"), "clip"),
            (equals("type", "private"), "clip"),
            (word("format", "MP4"), "clip"),
            (equals("display_name", "Bob at 100%_"), "bob"),
            (word("display_name", "100"), "bob"),
            (word("display_name", "%"), ""),
            (equals("folder", "people"), "Zoë"),
            (prefix("folder", "people"), "Zoë zoo"),
            (prefix("folder", "people/"), "Zoë zoo"),
            (prefix("folder", ""), "Zoë ann bob clip zoo"),
            (word("folder", "animals"), "zoo"),
            (Where("folder", By.EXISTS), "Zoë ann zoo"),
            (equals("tags", "red"), "Zoë ann"),
            (word("tags", "red"), "Zoë ann zoo"),
            (word("tags", "müller"), "Zoë"),
            (word("tags", "mü"), ""),
            (prefix("tags", "Zoë M"), "Zoë"),
            (prefix("tags", "R"), "zoo"),
            (Where("tags", By.EXISTS), "Zoë ann zoo"),
            (equals("context.alt", "At the SEA"), "Zoë"),
            (equals("context.alt", "at the sea"), ""),
            (word("context.alt", "sea"), "Zoë"),
            (prefix("context.alt", "At"), "Zoë"),
            (Where("context.alt", By.EXISTS), "Zoë"),
            (equals("context.unknown", ""), ""),
            (equals("metadata.people", "Bob"), "ann"),
            (Where("metadata.n", By.GREATER, 5), "bob"),
            (Where("metadata.n", By.GREATER_OR_EQUAL, 5), "ann bob"),
            (equals("metadata.n", "5"), "ann"),
            (equals("metadata.n", 5.0), "ann"),
            (Where("metadata.on", By.LESS, "2024-06"), "bob"),
            (equals("details.x", 1), ""),
            (equals("bytes", 4), "bob"),
            (equals("bytes", "4"), "bob"),
            (Where("width", By.EXISTS), "zoo"),
            (equals("aspect_ratio", 2), "zoo"),
            (Where("aspect_ratio", By.LESS, 1), "Zoë ann bob clip"),
            (Where("pixels", By.GREATER, 19_999), "zoo"),
            (Where("created_at", By.GREATER, BEGIN + 10), "ann bob clip"),
            (Where("uploaded_at", By.LESS_OR_EQUAL, BEGIN + 10), "Zoë zoo"),
            (Where("updated_at", By.LESS, BEGIN + 10), "Zoë"),
            (Where("version", By.GREATER, 0), "Zoë ann bob clip zoo"),
            (word("", "zoë"), "Zoë"),
            (word("", "sea"), "Zoë"),
            (word("", "red"), "Zoë ann zoo"),
            (word("", "bob"), "bob"),
            (word("", "animals"), "zoo"),
            (Never(equals("context.alt", "x")), "Zoë ann bob clip zoo"),
            (Never(equals("metadata.n", 5)), "Zoë bob clip zoo"),
            (Never(Where("metadata.n", By.LESS, 10)), "Zoë bob clip zoo"),
            (Never(Where("aspect_ratio", By.GREATER, 0)), "Zoë ann bob clip"),
            (Never(equals("tags", "red")), "bob clip zoo"),
            (Never(Where("tags", By.EXISTS)), "bob clip"),
            (Never(Never(equals("tags", "red"))), "Zoë ann"),
            (Every((word("tags", "red"), Never(equals("tags", "red")))), "zoo"),
            (Some((equals("public_id", "bob"), prefix("folder", "peoples"))), "ann bob"),
        ],
    )
    def test_a_condition_holds_for(
        self, gallery: Bench, condition: Condition, expected: str
    ) -> None:
        assert gallery.find(condition) == expected.split()

    @pytest.mark.parametrize(
        "condition",
        [
            equals("unknown", "x"),
            equals("context.", "x"),
            equals("bytes", "many"),
            equals("public_id", "a\0b"),
            equals("tags", "a\udc80b"),
            equals("context.a\0b", "x"),
            word("", "a\0b"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, bench: Bench, condition: Condition) -> None:
        with pytest.raises(Rejected):
            bench.find(condition)

    def test_a_condition_nested_without_end_is_refused(self, bench: Bench) -> None:
        condition: Condition = EVERYTHING
        for _ in range(5_000):
            condition = Never(condition)
        with pytest.raises(Rejected, match="deep"):
            bench.find(condition)

    def test_what_changed_is_found_by_what_it_is_now(self, gallery: Bench) -> None:
        asset = gallery.library.find("ann")
        assert asset is not None
        edit = Edit(remove_tags=["red"], add_tags=["blue"], set_metadata={"people": ["Cid"]})
        gallery.library.edit([asset.asset_id], edit)
        assert gallery.find(word("tags", "red")) == ["Zoë", "zoo"]
        assert gallery.find(word("", "blue")) == ["ann"]
        assert gallery.find(equals("metadata.people", "Bob")) == []
        assert gallery.find(equals("metadata.people", "Cid")) == ["ann"]
        gallery.library.delete(asset.asset_id)
        assert gallery.find(word("", "blue")) == []

    def test_the_newest_come_first(self, gallery: Bench) -> None:
        page = gallery.library.select(EVERYTHING, limit=3)
        assert [asset.public_id for asset in page.assets] == ["clip", "bob", "ann"]
        assert page.total == -1
        page = gallery.library.select(EVERYTHING, limit=3, cursor=page.cursor)
        assert [asset.public_id for asset in page.assets] == ["zoo", "Zoë"]
        assert page.cursor is None

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ([Order("bytes", descending=True), Order("public_id")], "bob Zoë ann clip zoo"),
            ([Order("bytes"), Order("public_id", descending=True)], "zoo clip ann Zoë bob"),
            ([Order("metadata.n", descending=True), Order("public_id")], "bob ann Zoë clip zoo"),
            ([Order("context.alt"), Order("public_id")], "ann bob clip zoo Zoë"),
            ([Order("folder"), Order("created_at", descending=True)], "clip bob Zoë zoo ann"),
        ],
    )
    def test_an_order_goes_on_from_page_to_page(
        self, gallery: Bench, order: list[Order], expected: str
    ) -> None:
        assert listed(gallery, order, limit=1) == expected.split()
        assert listed(gallery, order, limit=2) == expected.split()
        assert gallery.find(EVERYTHING, *order) == expected.split()

    def test_ties_are_broken(self, bench: Bench) -> None:
        names = [f"p{number}" for number in range(30)]
        for name in names:
            bench.put(name)
        for order in ([], [Order("bytes")], [Order("folder", descending=True), Order("format")]):
            assert sorted(listed(bench, order, limit=4)) == sorted(names)

    def test_nothing_is_skipped_while_assets_come_and_go(self, bench: Bench) -> None:
        chance = random.Random(1)
        for number in range(60):
            bench.put(f"p{number:03}")
        seen: list[str] = []
        doomed = [f"p{number:03}" for number in range(60)]
        chance.shuffle(doomed)
        cursor, staying = None, set(doomed[30:])
        for name in doomed[:30]:
            page = bench.library.select(EVERYTHING, [Order("public_id")], limit=5, cursor=cursor)
            seen += [asset.public_id for asset in page.assets]
            gone = bench.library.get(AssetKey(name))
            assert gone is not None
            bench.library.delete(gone.asset_id)
            bench.put(f"p{chance.randrange(60):03}x")
            cursor = page.cursor
            if cursor is None:
                break
        assert cursor is None
        assert len(seen) == len(set(seen))
        assert staying <= set(seen)

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "nonsense",
            "é",
            "bnVsbA",
            "W10",
            "WzEsMl0",
            "e30",
            "=",
            "[" * 10_000,
            "W1siLWNyZWF0ZWRfYXQiXSxbMSwyXV0",
        ],  # the order, with a number for an asset_id
    )
    def test_a_cursor_that_is_none_of_ours_is_refused(self, bench: Bench, cursor: str) -> None:
        with pytest.raises(Rejected, match="next_cursor"):
            bench.library.select(EVERYTHING, limit=1, cursor=cursor)

    def test_a_cursor_of_another_order_is_refused(self, gallery: Bench) -> None:
        cursor = gallery.library.select(EVERYTHING, [Order("bytes")], limit=1).cursor
        for order in ([], [Order("version")], [Order("bytes", descending=True)]):
            with pytest.raises(Rejected, match="next_cursor"):
                gallery.library.select(EVERYTHING, order, limit=1, cursor=cursor)

    def test_some_fields_are_not_sorted_by(self, bench: Bench) -> None:
        for order in ([Order("tags")], [Order("")], [Order("x")], [Order("bytes")] * 11):
            with pytest.raises(Rejected, match="sorted"):
                bench.library.select(EVERYTHING, order, limit=1)

    def test_values_are_counted(self, gallery: Bench) -> None:
        library = gallery.library
        assert library.tally(EVERYTHING, "resource_type") == {"image": 4, "video": 1}
        counts = {"Red": 1, "Zoë Müller": 1, "red": 2, "zoo": 1}
        assert library.tally(EVERYTHING, "tags") == counts
        assert library.tally(prefix("folder", "peoples"), "metadata.people") == {"Ann": 1, "Bob": 1}
        assert library.tally(EVERYTHING, "bytes") == {"2": 4, "4": 1}
        with pytest.raises(Rejected, match="unknown"):
            library.tally(EVERYTHING, "unknown")

    def test_tags_are_listed_by_the_alphabet(self, gallery: Bench) -> None:
        assert gallery.library.tags("image") == ["Red", "Zoë Müller", "red", "zoo"]
        assert gallery.library.tags("image", "z") == ["zoo"]
        assert gallery.library.tags("video") == []

    def test_usage_is_counted(self, gallery: Bench) -> None:
        assert gallery.library.usage() == {"objects": 5, "bytes": 12}


def listed(bench: Bench, order: Sequence[Order], limit: int) -> list[str]:
    """Go through all pages."""
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = bench.library.select(EVERYTHING, order, limit=limit, cursor=cursor)
        assert len(page.assets) <= limit
        names += [asset.public_id for asset in page.assets]
        cursor = page.cursor
        if cursor is None:
            return names


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
