"""Large files are read from disk as a client takes them, and only the part that it asked for."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from tests import loopback
from tests.waiting import PATIENCE

from facelabel.media.types import AssetKey, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.core.model import Asset

SIZE = 24 << 20
#: Bytes of memory that a delivery may take, whatever the size of the file.
LITTLE = 8 << 20


@pytest.fixture(scope="module")
def content() -> bytes:
    """What the file holds: nothing that repeats."""
    return os.urandom(SIZE)


@pytest.fixture
def stored(api_server: ApiServer, content: bytes) -> Asset:
    """The file in the library."""
    upload = Upload(AssetKey("film.bin", "raw"), content, "", 0, 0)
    return api_server.context.media.put(upload)[0]


def test_a_range_is_all_that_is_read(api_server: ApiServer, stored: Asset, content: bytes) -> None:
    with _little_memory():
        answer = loopback.get(
            _url(api_server, stored), headers={"Range": f"bytes={SIZE - 7}-"}, timeout=PATIENCE
        )
    assert answer.status_code == 206
    assert answer.headers["content-length"] == "7"
    assert answer.headers["content-range"] == f"bytes {SIZE - 7}-{SIZE - 1}/{SIZE}"
    assert answer.content == content[-7:]


def test_the_whole_goes_out_piece_by_piece(
    api_server: ApiServer, stored: Asset, content: bytes
) -> None:
    place = 0
    with (
        _little_memory(),
        httpx.stream("GET", _url(api_server, stored), timeout=PATIENCE) as answer,
    ):
        assert answer.headers["content-length"] == str(SIZE)
        for piece in answer.iter_raw():
            assert piece == content[place : place + len(piece)]
            place += len(piece)
    assert place == SIZE


def test_a_range_longer_than_a_piece(api_server: ApiServer, stored: Asset, content: bytes) -> None:
    start, last = 1_000, 5_000_000
    answer = loopback.get(
        _url(api_server, stored), headers={"Range": f"bytes={start}-{last}"}, timeout=PATIENCE
    )
    assert answer.status_code == 206
    assert answer.content == content[start : last + 1]


def test_a_damaged_file_never_comes_to_its_end(
    api_server: ApiServer, stored: Asset, tmp_path: Path
) -> None:
    with (tmp_path / "originals" / stored.etag[:2] / stored.etag).open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"damaged")
    with pytest.raises(httpx.RemoteProtocolError):
        loopback.get(_url(api_server, stored))


def test_a_file_cut_short_is_an_error(api_server: ApiServer, stored: Asset, tmp_path: Path) -> None:
    os.truncate(tmp_path / "originals" / stored.etag[:2] / stored.etag, 100)
    answer = loopback.get(_url(api_server, stored))
    assert answer.status_code == 400
    assert "damaged: upload it again" in answer.headers["x-cld-error"]


def _url(server: ApiServer, asset: Asset) -> str:
    cloud = server.context.cloud_name
    return f"{server.url}/{cloud}/raw/upload/v{asset.version}/{asset.public_id}"


@contextmanager
def _little_memory() -> Iterator[None]:
    """The block, server included, takes little memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()
