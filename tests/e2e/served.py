"""``facelabel serve`` in a process of its own, and Cloudinary's official SDK to talk to it."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import cloudinary.api
import cloudinary.uploader
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program
    from tests.forked import Forked


@dataclass
class Served:
    """A running server."""

    program: Program
    port: int
    process: Forked

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cloudinary_url(self) -> str:
        """What an SDK needs to know."""
        listed = self.program.json("keys", "list")
        return str(listed[0]["cloudinary_url"])

    def cloud(self) -> Cloud:
        """The SDK, set up for this server."""
        return Cloud.of(self.cloudinary_url)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def serving(program: Program, *, port: int = 0, log: Path | None = None) -> Iterator[Served]:
    """Start the server on a free port, or on that one; end it with the block."""
    port = port or free_port()
    started = replace(program, environment={**program.environment, "FACELABEL_PORT": str(port)})
    process = started.start("serve", output=log or program.folder / "serve.log")
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/health", process)
        yield Served(started, port, process)
    finally:
        end(process)


def end(process: Forked) -> None:
    """Tell a process to stop; kill it if it does not."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for_answer(url: str, process: Forked) -> None:
    """Return when somebody answers."""

    def answers() -> bool:
        assert process.poll() is None, "facelabel serve ended"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=PATIENCE).close()
            return True
        return False

    until(answers)


def status(url: str, body: bytes | None = None, **headers: str) -> int:
    """What a request is answered; GET, or POST with a body."""
    request = urllib.request.Request(
        url, body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@dataclass(frozen=True)
class Cloud:
    """The official SDK with its credentials in every call, so that several servers may run."""

    options: dict[str, Any]

    @classmethod
    def of(cls, url: str) -> Cloud:
        """Read a CLOUDINARY_URL."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return cls({
            "cloud_name": parts.hostname, "api_key": parts.username,
            "api_secret": parts.password, "timeout": PATIENCE, **query,
        })  # fmt: skip

    def upload(self, file: object, **options: object) -> dict[str, Any]:
        """Upload a file."""
        answer: dict[str, Any] = cloudinary.uploader.upload(file, **self.options, **options)
        return answer

    def call(self, name: str, *args: object, **options: object) -> Any:  # noqa: ANN401 - JSON
        """Call a function of the SDK's uploader, or of its api, by name."""
        function = getattr(cloudinary.uploader, name, None) or getattr(cloudinary.api, name)
        return function(*args, **self.options, **options)

    def tags(self, public_id: str) -> set[str]:
        """The tags of a picture as it is now."""
        asset = cloudinary.api.resource(public_id, **self.options)
        return set(asset.get("tags", ()))


def people_known(served: Served) -> dict[str, int]:
    """Who is enrolled, and from how many photos."""
    return {line["name"]: len(line["portraits"]) for line in served.program.json("people")}


def text_of(path: Path) -> str:
    """What a log says."""
    return path.read_text("utf-8", "replace")


def as_json(value: object) -> str:
    """JSON."""
    return json.dumps(value)
