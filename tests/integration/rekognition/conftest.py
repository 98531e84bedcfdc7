"""A server that answers as Amazon does, by a script, and notes what it was asked."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from botocore.session import Session, get_session
from PIL import Image

from facelabel.adapters.rekognition.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Raw: TypeAlias = dict[str, Any]

KEYS = ("AKIDEXAMPLE", "v3rySecretIndeed")


@dataclass(frozen=True)
class Refusal:
    """An error, as Amazon words it; or the bytes of whatever else answers."""

    code: str
    message: str = ""
    status: int = 400
    raw: bytes = b""

    def body(self) -> bytes:
        """What is sent."""
        return self.raw or json.dumps({"__type": self.code, "Message": self.message}).encode()


@dataclass(frozen=True)
class Asked:
    """A call that came."""

    at: float
    operation: str
    parameters: Raw

    def image(self) -> Image.Image:
        """The image sent."""
        return Image.open(io.BytesIO(self.data()))

    def data(self) -> bytes:
        """The image sent, as a file."""
        return base64.b64decode(self.parameters["Image"]["Bytes"])


@dataclass
class Stage:
    """Answers each operation as it was told to; before that, plays what is in the script."""

    answers: dict[str, Callable[[Asked], Raw | Refusal]] = field(default_factory=dict)
    #: By operation: how the next calls are answered.
    script: dict[str, list[Raw | Refusal]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    #: Seconds that an answer takes.
    delay: float = 0.0
    #: Calls under way at one time, at most.
    most: int = 0
    url: str = ""
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def operations(self) -> list[str]:
        """What was called, in order."""
        return [asked.operation for asked in self.asked]

    def calls(self, operation: str) -> list[Asked]:
        """The calls of an operation."""
        return [asked for asked in self.asked if asked.operation == operation]

    def answer(self, asked: Asked) -> Raw | Refusal:
        """Note the call and answer it."""
        with self._lock:
            self.asked.append(asked)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            planned = self.script.get(asked.operation)
            reply = planned.pop(0) if planned else None
        time.sleep(self.delay)
        if reply is None:
            reply = self.answers[asked.operation](asked)
        with self._lock:
            self._under_way -= 1
        return reply


@contextlib.contextmanager
def served(stage: Stage) -> Iterator[None]:
    """Serve it on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].removeprefix("RekognitionService.")
            reply = stage.answer(Asked(time.monotonic(), operation, json.loads(body)))
            refused = isinstance(reply, Refusal)
            content = reply.body() if isinstance(reply, Refusal) else json.dumps(reply).encode()
            self.send_response(reply.status if isinstance(reply, Refusal) else 200)
            self.send_header(
                "Content-Type", "text/html" if refused else "application/x-amz-json-1.1"
            )
            self.send_header("Content-Length", str(len(content)))
            with contextlib.suppress(ConnectionError):  # who asked has had enough
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stage.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Amazon, as the test wants it."""
    stage = Stage()
    with served(stage):
        yield stage


class Naps:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        """Begin awake."""
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        """Note it."""
        self.seconds.append(seconds)


@pytest.fixture
def naps() -> Naps:
    """Note how long the client would have slept."""
    return Naps()


@pytest.fixture(scope="session")
def session() -> Session:
    """The SDK's own: it reads its description of the service once."""
    return get_session()


@pytest.fixture
def client(stage: Stage, naps: Naps, session: Session) -> Client:
    """A client of the server, in no hurry and without waiting."""
    return Client(
        "eu-central-1", endpoint=stage.url, keys=KEYS, rate=1000.0, sleep=naps, session=session
    )


@pytest.fixture
def refusal() -> type[Refusal]:
    """Errors."""
    return Refusal


@pytest.fixture
def keys() -> tuple[str, str]:
    """Key id and secret of the client."""
    return KEYS
