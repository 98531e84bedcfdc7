"""Cloudinary's official Node SDK talks to ``facelabel serve`` as it does to Cloudinary."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from tests.e2e.served import serving
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def photos_on_the_web(photos: Path) -> Iterator[str]:
    """URL of the folder of portraits."""
    handler = functools.partial(Quiet, directory=str(photos / "people"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{httpd.server_address[1]}"
        finally:
            httpd.shutdown()


def test_everything_the_node_sdk_is_used_for(
    program: Program, node_sdk: Path, photos: Path, tmp_path: Path, photos_on_the_web: str
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(13_000_000))
    program.environment["FACELABEL_PRIVATE_URLS"] = "1"
    # Nobody is learnt, so that the tags of the scenario are its own.
    program.environment["FACELABEL_TRAINING_FOLDER"] = "portraits"
    with serving(program) as served:
        environment = {**os.environ, "CLOUDINARY_URL": served.cloudinary_url}
        photo = photos / "people" / "Hopper1.jpg"
        arguments = [photo, large, f"{photos_on_the_web}/Hopper1.jpg"]
        result = subprocess.run(
            ["node", "scenario.mjs", *map(str, arguments)], cwd=node_sdk, env=environment,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "all as it should be" in result.stdout
