"""Cloudinary as the library keeps the promises of every library, over HTTP, in both folder modes.

The other side is our own server, which speaks Cloudinary's API.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from tests.contract.test_library import ANN, BOB, LibraryContract, ids, now

from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import Client
from facelabel.adapters.cloudinary.delivery import delivery_hosts
from facelabel.adapters.cloudinary.library import CloudinaryLibrary
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.fetcher import Fetcher
from facelabel.adapters.store.library import ImageInfo, LocalLibrary
from facelabel.adapters.store.messages import StoreMessages
from facelabel.cloudinary.transformations import Rendered
from facelabel.errors import NotFound, Rejected, UnreadableImage
from facelabel.media import ApiKey
from facelabel.testing import ManualClock, portrait
from facelabel.web.cloudinary_api import admin, delivery, explicit, tags, upload
from facelabel.web.cloudinary_api.context import Context, ImageHeader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.database import Database
    from facelabel.cloudinary.transformations import Transformation
    from facelabel.media import Change
    from facelabel.model import Asset
    from facelabel.ports import EditableLibrary

KEY = ApiKey("111122223333444", "abcdefghijklmnopqrstuvwxyz1")
#: Assets in one answer, so that a few are several pages.
PAGE = 10
#: What every JPEG begins with; the portraits of the contract are no images.
JPEG = b"\xff\xd8\xff"


class AsItIs:
    """A renderer that passes the file on behind the first bytes of a JPEG."""

    def render(
        self, data: bytes, transformation: Transformation, regions: object = None
    ) -> Rendered:
        return Rendered(JPEG + data, "jpg", 30, 40)


def inspect(data: bytes) -> ImageHeader:
    """Read the header of a portrait."""
    if not data.startswith(b"{"):
        raise UnreadableImage
    return ImageHeader("jpg", 30, 40)


@dataclass(frozen=True)
class Place:
    """Where a server keeps its things, and whom it tells of changes."""

    database: Database
    folder: Path
    clock: ManualClock
    changes: list[str]

    def context(self, *, fixed_folders: bool) -> Context:
        """A library of portraits."""
        return Context(
            media=LocalLibrary(
                self.database,
                self.folder / "originals",
                self.clock,
                on_change=self._note,
                check=lambda data: ImageInfo(*_values(inspect(data))),
                fixed_folders=fixed_folders,
            ),
            messages=StoreMessages(self.database, self.clock),
            renderer=AsItIs(),
            derived=DerivedCache(self.folder / "derived", 1 << 20),
            clock=self.clock,
            keys=lambda: [KEY],
            fetch=lambda url: (b"", url),
            inspect=inspect,
            detect=lambda _: (),
            fixed_folders=fixed_folders,
            scratch=str(self.folder / "uploads"),
        )

    def _note(self, _: Connection, change: Change) -> None:
        for pair in change.assets:
            asset = pair.after or pair.before
            if asset:
                self.changes.append(asset.asset_id)


def _values(header: ImageHeader) -> tuple[str, int, int]:
    return header.format, header.width, header.height


@contextmanager
def running(context: Context) -> Iterator[str]:
    """Serve on loopback; the URL."""
    parts = (upload, explicit, tags, admin, delivery)
    site = Starlette(routes=[route for part in parts for route in part.routes(context)])
    server = uvicorn.Server(uvicorn.Config(site, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def connected(url: str, clock: ManualClock) -> CloudinaryLibrary:
    """Return a library that talks to the server."""
    host = url.removeprefix("http://")
    account = Account("local", KEY.key, KEY.secret, upload_prefix=url, cname=host, secure=False)
    fetcher = Fetcher(
        max_bytes=1 << 20, timeout=10, allow_private=True, allowed_hosts=delivery_hosts(account)
    )

    def download(url: str) -> bytes:
        return fetcher.fetch(url).data.removeprefix(JPEG)

    client = Client(account, timeout=10, clock=clock)
    return CloudinaryLibrary(client, download, clock, page=PAGE)


class CloudinaryContract(LibraryContract):
    """A subclass says whether folders are a part of public_ids."""

    fixed_folders = False

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Stands near the real time, which requests are signed with."""
        return ManualClock(float(int(time.time())))

    @pytest.fixture
    def library(
        self, sqlite: Database, tmp_path: Path, clock: ManualClock, changes: list[str]
    ) -> Iterator[EditableLibrary]:
        place = Place(sqlite, tmp_path, clock, changes)
        with running(place.context(fixed_folders=self.fixed_folders)) as url:
            yield connected(url, clock)

    def test_an_upload_is_found_listed_and_fetched(
        self, library: EditableLibrary, clock: ManualClock
    ) -> None:
        asset = library.upload(
            ANN,
            folder="training/new",
            filename="Zoë Müller.jpg",
            tags=["faceLabel:Zoë", "red"],
            context={"caption": "At sea"},
        )
        assert asset.public_id == "training/new/Zoë Müller"
        assert (asset.folder, asset.filename) == ("training/new", "Zoë Müller.jpg")
        assert (asset.tags, asset.context) == (("faceLabel:Zoë", "red"), {"caption": "At sea"})
        assert (asset.created_at, asset.version) == (clock.now(), int(clock.now()))
        assert library.asset(asset.asset_id) == asset
        listed = dataclasses.replace(asset, etag="", filename="")  # lists do not tell these
        assert library.find(asset.public_id) == listed
        assert list(library.assets("training")) == [listed]
        assert library.fetch(asset) == ANN

    def test_what_is_not_there_is_not_found(self, library: EditableLibrary, ann: Asset) -> None:
        """By asset_id; what Cloudinary delivers it finds by its public_id."""
        for unknown in ("unknown", "0" * 32):
            assert library.asset(unknown) is library.find(unknown) is None
            for change in (
                partial(library.add_tags, unknown, ["a"]),
                partial(library.remove_tags, unknown, ["a"]),
                partial(library.set_context, unknown, {"a": "b"}),
                partial(library.set_context, unknown, {"a": None}),
                partial(library.set_metadata, unknown, "people", ["Ann"]),
                partial(library.move, unknown, "x"),
                partial(library.rename, unknown, "x"),
                partial(library.fetch, dataclasses.replace(ann, public_id="unknown")),
            ):
                with pytest.raises(NotFound):
                    change()

    def test_pictures_come_in_one_order_each_once(self, library: EditableLibrary) -> None:
        """In Cloudinary's own order."""
        names = {f"p{number:02}" for number in range(2 * PAGE + 1)}
        for name in names:
            library.upload(ANN, public_id=name)
        assert len(ids(library)) == len(names)
        assert {*ids(library)} == names
        assert ids(library) == ids(library)

    def test_pictures_may_change_while_they_are_listed(self, library: EditableLibrary) -> None:
        for number in range(2 * PAGE + 1):
            library.upload(ANN, folder="training", public_id=f"training/p{number:02}")
        listed = []
        for asset in library.assets("training"):
            listed.append(asset.public_id)
            library.add_tags(asset.asset_id, ["seen"])
            if len(listed) == 2:
                library.delete(asset.asset_id)
        assert sorted(listed) == [f"training/p{number:02}" for number in range(2 * PAGE + 1)]

    def test_the_same_public_id_replaces_tags_where_given(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        """In two steps, each told of, where all are taken away together with the content."""
        new = library.upload(ANN, folder="training", public_id=ann.public_id, tags=["two"])
        assert (new.tags, new.version) == (("two",), ann.version)
        assert changes == [ann.asset_id]
        assert library.upload(BOB, public_id=ann.public_id, tags=[]).tags == ()
        assert now(library, ann).tags == ()
        assert changes == [ann.asset_id] * 3

    def test_the_same_content_again_may_change_folder_and_file_name(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        """The folder; a file name goes along with new content."""
        new = library.upload(ANN, public_id=ann.public_id, folder="assets", filename="b.jpg")
        assert (new.asset_id, new.folder, new.version) == (ann.asset_id, "assets", ann.version)

    def test_a_replaced_picture_keeps_folder_and_file_name_that_are_not_given(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        new = library.upload(BOB, public_id=ann.public_id)
        assert (new.folder, new.filename) == ("training", "ann.jpg")
        new = library.upload(ANN, public_id=ann.public_id, folder="/assets/", filename="b.jpg")
        assert (new.asset_id, new.folder, new.filename) == (ann.asset_id, "assets", "b.jpg")

    def test_tags_are_added_and_removed(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        """Cloudinary sorts them."""
        library.add_tags(ann.asset_id, ["two", "one", "three"])
        assert {*now(library, ann).tags} == {"one", "two", "three"}
        library.remove_tags(ann.asset_id, ["one", "unknown"])
        assert {*now(library, ann).tags} == {"two", "three"}
        assert changes == [ann.asset_id] * 2

    def test_names_of_any_script_are_tags(self, library: EditableLibrary, ann: Asset) -> None:
        names = [
            "Zoë O'Neill",
            "दीपिका",
            "محمد",
            "李小龍",
            "🧑‍🚀 Ann",
            'a "b" & c=d|e%20',
            "x" * 255,
        ]
        library.add_tags(ann.asset_id, names)
        assert {*now(library, ann).tags} == {"one", *names}
        library.remove_tags(ann.asset_id, names)
        assert now(library, ann).tags == ("one",)

    def test_a_thousand_tags_are_written(self, library: EditableLibrary, ann: Asset) -> None:
        tags = {f"t{number}" for number in range(999)}
        library.add_tags(ann.asset_id, sorted(tags))
        assert {*now(library, ann).tags} == {"one", *tags}

    def test_context_of_any_characters_comes_back(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        values = {"caption": "a=b|c", "ключ": "1,2; \\x", "path": "C:\\a|b", "e": ""}
        library.set_context(ann.asset_id, values)
        assert now(library, ann).context == values
        library.set_context(ann.asset_id, {"caption": None, "path": None, "e": None})
        assert now(library, ann).context == {"ключ": "1,2; \\x"}
        library.set_context(ann.asset_id, {"ключ": None})
        assert now(library, ann).context == {}

    def test_ids_with_odd_characters_are_reached(self, library: EditableLibrary) -> None:
        for public_id in ("a/Zoë & Söhne", "a/x y,z;(1)", "a/o'neill.tar", "דוד/🧑‍🚀"):
            with contextlib.suppress(Rejected):  # what the server does not take as a name
                asset = library.upload(ANN, public_id=public_id)
                assert library.find(public_id) == dataclasses.replace(asset, etag="", filename="")
                assert library.fetch(asset) == ANN
                library.add_tags(asset.asset_id, ["seen"])
                assert library.move(asset.asset_id, "b").tags == ("seen",)


class TestDynamicFolders(CloudinaryContract):
    """Folders apart from public_ids: accounts since 2024."""


class TestFixedFolders(CloudinaryContract):
    """Folders as beginnings of public_ids: older accounts."""

    fixed_folders = True

    def test_folders_are_compared_by_path_segment(self, library: EditableLibrary) -> None:
        for folder in ("a", "a/b", "a/b/c", "ab", "a b", "A", "A/b", "a0", "", "x/a"):
            library.upload(portrait(folder), folder=folder, filename="x.jpg")
        assert {*ids(library, "a")} == {"a/x", "a/b/x", "a/b/c/x"}
        assert {*ids(library, "/a/b/")} == {"a/b/x", "a/b/c/x"}
        assert {*ids(library, "A")} == {"A/x", "A/b/x"}
        assert ids(library, "_") == []
        assert len(ids(library)) == 10

    def test_moving_changes_the_folder_alone(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        """And the public_id, whose beginning the folder is."""
        moved = library.move(ann.asset_id, "assets/old")
        assert moved == dataclasses.replace(ann, folder="assets/old", public_id="assets/old/ann")
        assert now(library, ann) == moved
        assert {*changes} == {ann.asset_id}

    def test_renaming_changes_the_public_id_alone(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        """And the folder, which is its beginning."""
        renamed = library.rename(ann.asset_id, "assets/Zoë")
        assert renamed == dataclasses.replace(ann, public_id="assets/Zoë", folder="assets")
        assert library.find(ann.public_id) is None
        assert {*changes} == {ann.asset_id}
