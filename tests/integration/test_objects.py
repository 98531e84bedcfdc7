"""What stands for S3: a folder, and a server that lets anybody read."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.waiting import PATIENCE

from facelabel.adapters.objects import FolderObjects, HttpObjects
from facelabel.errors import Denied, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bucket, and a secret beside it."""
    (tmp_path / "secret").write_bytes(b"secret")
    bucket = tmp_path / "root" / "photos"
    (bucket / "2026").mkdir(parents=True)
    (bucket / "2026" / "ä b.jpg").write_bytes(b"photo")
    (bucket.parent / "photos-private").mkdir()
    (bucket.parent / "photos-private" / "x").write_bytes(b"secret")
    return bucket.parent


def test_an_object_is_a_file_in_its_bucket(folder: Path) -> None:
    objects = FolderObjects(folder)
    assert objects("photos", "2026/ä b.jpg") == b"photo"
    assert objects("photos", "2026/./../2026/ä b.jpg") == b"photo"


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("photos", "none"),
        ("none", "2026/ä b.jpg"),
        ("photos", "2026"),
        ("photos", "../../secret"),
        ("photos", "../photos-private/x"),
        ("photos", "/etc/passwd"),
        ("photos", "2026/../../../secret"),
        ("..", "secret"),
        (".", "photos/2026/ä b.jpg"),
        ("photos/2026", "ä b.jpg"),
        ("", "photos/2026/ä b.jpg"),
        ("photos", "nul\0"),
        ("photos", "\ud800"),
        ("photos", "x" * 1024),
    ],
)
def test_nothing_else_is_one(folder: Path, bucket: str, key: str) -> None:
    with pytest.raises(NotFound):
        FolderObjects(folder)(bucket, key)


def test_links_lead_nowhere_else(folder: Path) -> None:
    (folder / "photos" / "link").symlink_to(folder.parent / "secret")
    (folder / "out").symlink_to(folder.parent)
    os.mkfifo(folder / "photos" / "pipe")
    for bucket, key in (("photos", "link"), ("out", "secret"), ("photos", "pipe")):
        with pytest.raises(NotFound):
            FolderObjects(folder)(bucket, key)


def test_the_folder_knows_limits_and_no_versions(folder: Path) -> None:
    assert FolderObjects(folder, max_bytes=5)("photos", "2026/ä b.jpg") == b"photo"
    with pytest.raises(Rejected, match="more than 4 bytes"):
        FolderObjects(folder, max_bytes=4)("photos", "2026/ä b.jpg")
    with pytest.raises(NotFound):
        FolderObjects(folder)("photos", "2026/ä b.jpg", "v1")


class Bucket(BaseHTTPRequestHandler):
    """Answers by the path."""

    def do_GET(self) -> None:
        """Say which path was asked for, or fail as it says."""
        name = self.path.rpartition("/")[2]
        if name == "drip":
            self._drip()
            return
        status = int(name) if name.isdecimal() else 200
        body = self.path.encode() * (1000 if name == "large" else 1)
        self.send_response(status)
        self.send_header("Location", "/b/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):  # until nobody listens
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """URL of a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(endpoint: str) -> Iterator[HttpObjects]:
    """Objects of that server."""
    objects = HttpObjects(endpoint + "/", max_bytes=2000, patience=PATIENCE)
    yield objects
    objects.close()


def test_an_object_is_fetched_by_its_path(remote: HttpObjects) -> None:
    assert remote("b", "2026/ä b#?%.jpg") == b"/b/2026/%C3%A4%20b%23%3F%25.jpg"
    assert remote("b", "a.jpg", "v/1") == b"/b/a.jpg?versionId=v%2F1"


def test_what_the_server_says_is_heard(remote: HttpObjects) -> None:
    expected = {
        "404": NotFound, "302": NotFound, "403": Denied, "401": Denied, "503": Unavailable,
        "large": Rejected, "../other/x": NotFound, "a/./b": NotFound,
        "\ud800": NotFound,
    }  # fmt: skip
    for key, error in expected.items():
        with pytest.raises(error):
            remote("b", key)
    with pytest.raises(NotFound):
        remote("..", "b/x")
    with pytest.raises(NotFound):
        remote("b", "a.jpg", "\ud800")


def test_an_object_that_comes_too_slowly_is_for_later(endpoint: str) -> None:
    objects = HttpObjects(endpoint + "/", max_bytes=2000, patience=0.3)
    with pytest.raises(Unavailable):
        objects("b", "drip")
    objects.close()


def test_nobody_there_is_for_later() -> None:
    objects = HttpObjects("http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        objects("b", "x")
    objects.close()
