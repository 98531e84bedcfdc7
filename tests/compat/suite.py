"""Runs the official Python SDK's own tests against ``facelabel serve``: make compat SUITE=path.

SUITE is a checkout of the SDK's repository, which is not part of this one. Of its tests those
count that call the server; the others check the SDK alone. A failure that is not explained in
docs/compatibility.md fails the run.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "compatibility.md"
#: What was promised; the documentation has the number reached.
LEAST = 84
START_SECONDS = 60


def main(checkout: Path) -> int:
    """Run the suite, print what came of it; 1 if it is not as promised."""
    with tempfile.TemporaryDirectory() as folder, remote_image(checkout) as image:
        suite = copied(checkout, Path(folder))
        with server(Path(folder)) as (address, url):
            results = run(suite, address, url, image)
    called = {name: line for name, line in results.items() if line.get("calls")}
    failed = {name: line["failed"] for name, line in called.items() if "failed" in line}
    passed = len(called) - len(failed) - sum("skipped" in line for line in called.values())
    known = DOCUMENT.read_text("utf-8")
    unknown = [name for name in failed if short(name) not in known]
    for name, reason in failed.items():
        print(f"{'NEW ' if name in unknown else ''}{short(name)}: {reason[:160]}")
    print(f"{passed} of {len(called)} tests that call the server pass")
    return int(bool(unknown) or passed < LEAST)


def short(nodeid: str) -> str:
    """The name of a test without its file and class."""
    return nodeid.rpartition("::")[2]


def copied(checkout: Path, folder: Path) -> Path:
    """A copy of the tests without the SDK beside them: the installed one is to be tested."""
    if not (checkout / "test" / "helper_test.py").is_file():
        sys.exit(f"{checkout} is no checkout of cloudinary/pycloudinary: it has no test/")
    return Path(shutil.copytree(checkout / "test", folder / "suite" / "test")).parent


@contextlib.contextmanager
def remote_image(checkout: Path) -> Iterator[str]:
    """URL of the image that the suite has on the web, served from the checkout."""
    folder = checkout / "test" / "resources"
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/logo.png"
        httpd.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[str, str]]:
    """``facelabel serve`` with a data folder of its own: its address and its CLOUDINARY_URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDINARY")} | {
        "FACELABEL_DATA": str(folder / "data"),
        "FACELABEL_PORT": str(port),
        "FACELABEL_PRIVATE_URLS": "1",
        "FACELABEL_LIBRARY": "local",
    }
    program = [sys.executable, "-m", "facelabel"]
    process = subprocess.Popen([*program, "serve"], env=environment)
    try:
        wait(f"http://127.0.0.1:{port}/health", process)
        listed = subprocess.run([*program, "keys", "list", "--json"], env=environment, check=True,
                                capture_output=True)  # fmt: skip
        yield f"127.0.0.1:{port}", json.loads(listed.stdout)[0]["cloudinary_url"]
    finally:
        process.terminate()
        process.wait(30)


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.1)
    sys.exit("facelabel serve did not start")


def run(suite: Path, address: str, url: str, image: str) -> dict[str, dict[str, Any]]:
    """Run the tests; what became of each."""
    results = suite / "results.json"
    environment = os.environ | {
        "CLOUDINARY_URL": url,
        "CLD_TEST_ADDONS": "",
        "RUN_SEARCH_TESTS": "1",
        "COMPAT_SERVER": address,
        "COMPAT_RESULTS": str(results),
        "COMPAT_REMOTE_IMAGE": image,
        "PYTHONPATH": os.pathsep.join([str(suite), str(HERE)]),
    }
    options = ["-q", "-p", "plugin", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    subprocess.run([sys.executable, "-m", "pytest", "test", *options], cwd=suite, env=environment,
                   check=False, stdout=subprocess.DEVNULL)  # fmt: skip
    loaded: dict[str, dict[str, Any]] = json.loads(results.read_text())
    return loaded


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
