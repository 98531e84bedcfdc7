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
from tests.contract.test_library import LibraryContract, now
from tests.waiting import PATIENCE, until

from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import Client, install
from facelabel.adapters.cloudinary.library import CloudinaryLibrary, delivery_hosts
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.fetcher import Fetcher
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.transaction import StoreMessages
from facelabel.cloudinary.transformations import Rendered
from facelabel.errors import NotFound, Rejected, UnreadableImage
from facelabel.media.types import ApiKey, ImageHeader
from facelabel.testing import ManualClock
from facelabel.web import cloudinary_api
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded
from facelabel.web.cloudinary_api.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.cloudinary.transformations import Transformation
    from facelabel.core.model import Asset
    from facelabel.media.ports import EditableLibrary
    from facelabel.media.types import Change

KEY = ApiKey("111122223333444", "abcdefghijklmnopqrstuvwxyz1")
#: Assets in one answer, so that a few are several pages.
PAGE = 10
#: What every JPEG begins with; the portraits of the contract are no images.
JPEG = b"\xff\xd8\xff"


class AsItIs:
    """A renderer that passes the file on behind the first bytes of a JPEG."""

    def price(self, transformation: Transformation, size: tuple[int, int]) -> int:
        return 0

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
                check=lambda data: ImageHeader(*_values(inspect(data))),
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
    site = guarded(cloudinary_api.routes(context), Policy())
    server = uvicorn.Server(uvicorn.Config(site, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def connected(url: str, clock: ManualClock) -> CloudinaryLibrary:
    """Return a library that talks to the server."""
    host = url.removeprefix("http://")
    account = Account("local", KEY.key, KEY.secret, upload_prefix=url, cname=host, secure=False)
    fetcher = Fetcher(
        max_bytes=1 << 20,
        timeout=PATIENCE,
        allow_private=True,
        allowed_hosts=delivery_hosts(account),
    )

    def download(url: str) -> bytes:
        return fetcher.fetch(url).data.removeprefix(JPEG)

    install()
    client = Client(account, timeout=PATIENCE, clock=clock)
    return CloudinaryLibrary(client, download, clock, page=PAGE)


def as_listed(asset: Asset) -> Asset:
    """What a list says of an asset."""
    return dataclasses.replace(asset, etag="", filename="")


class CloudinaryContract(LibraryContract):
    """Over HTTP."""

    many = 2 * PAGE + 1

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

    def test_an_upload_is_found_listed_and_fetched(self, library: EditableLibrary) -> None:
        """Lists of Cloudinary's tell neither etag nor file name."""
        asset = library.upload(
            self.ANN,
            folder="training/new",
            filename="Zoë Müller.jpg",
            tags=["faceLabel:Zoë", "red"],
            context={"caption": "At sea"},
        )
        assert (asset.public_id, asset.folder) == ("training/new/Zoë Müller", "training/new")
        assert (asset.filename, asset.bytes) == ("Zoë Müller.jpg", len(self.ANN))
        assert (asset.tags, asset.context) == (("faceLabel:Zoë", "red"), {"caption": "At sea"})
        assert library.asset(asset.asset_id) == asset
        assert library.find(asset.public_id) == as_listed(asset)
        assert list(library.assets("training")) == [as_listed(asset)]
        assert library.fetch(asset) == self.ANN

    def test_an_id_that_could_be_one_is_not_found(self, library: EditableLibrary) -> None:
        unknown = "0" * 32
        assert library.asset(unknown) is None
        library.delete(unknown)
        for change in (
            partial(library.add_tags, unknown, ["a"]),
            partial(library.set_context, unknown, {"a": None}),
            partial(library.set_metadata, unknown, "people", ["Ann"]),
            partial(library.move, unknown, "x"),
        ):
            with pytest.raises(NotFound):
                change()

    def test_a_file_name_goes_along_with_new_content(
        self, library: EditableLibrary, ann: Asset
    ) -> None:
        assert (
            library.upload(self.ANN, public_id=ann.public_id, filename="b.jpg").filename
            == "ann.jpg"
        )
        assert library.upload(self.BOB, public_id=ann.public_id).filename == "ann.jpg"
        assert (
            library.upload(self.ANN, public_id=ann.public_id, filename="c.jpg").filename == "c.jpg"
        )

    def test_a_write_is_one_change(
        self, library: EditableLibrary, ann: Asset, changes: list[str]
    ) -> None:
        library.asset(ann.asset_id)
        for change in (
            partial(library.upload, self.ANN, public_id=ann.public_id, tags=["two"]),
            partial(library.upload, self.BOB, public_id=ann.public_id, context={"k": "v"}),
            partial(library.add_tags, ann.asset_id, ["three", "four"]),
            partial(library.remove_tags, ann.asset_id, ["two", "three"]),
            partial(library.set_context, ann.asset_id, {"k": "w", "l": "x"}),
            partial(library.set_context, ann.asset_id, {"k": None}),
            partial(library.set_metadata, ann.asset_id, "people", ["Ann", "Bob"]),
            partial(library.delete, ann.asset_id),
        ):
            changes.clear()
            change()
            assert changes == [ann.asset_id]

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
                asset = library.upload(self.ANN, public_id=public_id)
                assert library.find(public_id) == as_listed(asset)
                assert library.fetch(asset) == self.ANN
                library.add_tags(asset.asset_id, ["seen"])
                assert library.move(asset.asset_id, "b").tags == ("seen",)


class TestDynamicFolders(CloudinaryContract):
    """Folders apart from public_ids: accounts since 2024."""


class TestFixedFolders(CloudinaryContract):
    """Folders as beginnings of public_ids: older accounts."""

    fixed_folders = True
