"""A server that plays Cloudinary on a bad day, and what talks to it and to our own."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from PIL import Image
from tests.waiting import PATIENCE

from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import Client, install
from facelabel.adapters.cloudinary.library import CloudinaryLibrary, delivery_hosts
from facelabel.adapters.fetcher import Fetcher
from facelabel.core.model import Asset
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import ApiServer


SECRET = "s3cret5ecret"
ID = "0123456789abcdef" * 2
OK: dict[str, Any] = {"status": "ok"}


@dataclass(frozen=True)
class Reply:
    """What a server does with one request."""

    status: int = 200
    body: object = field(default_factory=lambda: OK)
    headers: dict[str, str] = field(default_factory=dict)
    #: Seconds.
    delay: float = 0.0


#: Take the request and cut the connection.
CUT = Reply(status=0)
#: Take the request and say nothing.
HANG = Reply(status=-1)
#: Send a byte now and then.
DRIP = Reply(status=-2)


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str


class Stage:
    """A server that plays a script and then answers that all is well."""

    def __init__(self) -> None:
        """Start on a free port of this machine."""
        self.script: list[Reply] = []
        self.asked: list[Request] = []
        self.over = threading.Event()
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                stage.play(self)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - their names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def paths(self) -> list[str]:
        """What it was asked for, without the version and the cloud."""
        return [request.path.split("/", 3)[-1] for request in self.asked]

    def play(self, handler: BaseHTTPRequestHandler) -> None:
        """Note the request and do what the script says."""
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = dict(handler.headers.items())
        text = body.decode(errors="replace")
        path = unquote(parts.path)
        self.asked.append(Request(handler.command, path, parse_qs(parts.query), headers, text))
        reply = self.script.pop(0) if self.script else Reply()
        time.sleep(reply.delay)
        if reply.status > 0:
            with contextlib.suppress(OSError):  # who asked has had enough
                _send(handler, reply)
        else:
            handler.close_connection = True
            if reply.status < 0:
                self._stall(handler, drip=reply is DRIP)

    def _stall(self, handler: BaseHTTPRequestHandler, *, drip: bool) -> None:
        if drip:
            handler.send_response(200)
            handler.send_header("Content-Length", str(1 << 30))
            handler.end_headers()
        while not self.over.wait(0.05):
            try:
                handler.wfile.write(b" " * drip)
            except OSError:
                return

    def close(self) -> None:
        """End it."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    is_page = isinstance(reply.body, str)
    data = str(reply.body).encode() if is_page else json.dumps(reply.body).encode()
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "text/html" if is_page else "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def failure(status: int, message: str = "it is so", **headers: str) -> Reply:
    """An error as Cloudinary sends it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message}}, names)


def described(public_id: str = "training/ann", **more: object) -> Reply:
    """An asset as Cloudinary describes it."""
    raw = {
        "asset_id": ID, "public_id": public_id, "version": 7, "format": "jpg", "bytes": 3,
        "resource_type": "image", "type": "upload", "etag": "e", "tags": [], "asset_folder": "",
        "created_at": "2024-06-25T10:21:27Z",
    }  # fmt: skip
    return Reply(body={**raw, **more})


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server that misbehaves as told."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock on which waiting takes no time, a quarter past an hour."""
    return ManualClock(1_700_000_000.0 // 3600 * 3600 + 900)


def account(url: str, cloud: str = "demo", key: str = "123") -> Account:
    """Credentials for a server on this machine."""
    return Account(
        cloud, key, SECRET, upload_prefix=url, cname=url.removeprefix("http://"), secure=False
    )


@pytest.fixture(autouse=True, scope="session")
def _installed() -> None:
    """As bootstrap does before it builds a client."""
    install()


@pytest.fixture
def client(stage: Stage, clock: ManualClock) -> Client:
    """What calls the server."""
    return Client(account(stage.url), timeout=PATIENCE, clock=clock)


@pytest.fixture
def library(client: Client, clock: ManualClock) -> CloudinaryLibrary:
    """The pictures of the account, whose folders are apart from public_ids."""
    return CloudinaryLibrary(client, lambda _: b"", clock, folder_mode="dynamic")


@pytest.fixture
def connected(api_server: ApiServer) -> CloudinaryLibrary:
    """Return a library on our own server."""
    return connected_to(api_server, account_of(api_server))


def account_of(server: ApiServer) -> Account:
    """The account of a server of ours."""
    sdk = server.sdk
    host = server.url.removeprefix("http://")
    return Account(
        sdk["cloud_name"], sdk["api_key"], sdk["api_secret"],
        upload_prefix=server.url, cname=host, secure=False,
    )  # fmt: skip


def connected_to(server: ApiServer, of: Account) -> CloudinaryLibrary:
    """A library on a server, downloads being limited to that."""
    clock = ManualClock()
    fetcher = Fetcher(
        max_bytes=1 << 20, timeout=PATIENCE, allow_private=True, allowed_hosts=delivery_hosts(of)
    )
    client = Client(of, timeout=PATIENCE, clock=clock)
    return CloudinaryLibrary(client, lambda url: fetcher.fetch(url).data, clock)


def jpeg(width: int = 60, height: int = 40, *, orientation: int = 1) -> bytes:
    """A picture, brighter on its left."""
    image = Image.new("RGB", (width, height), "black")
    image.paste("white", (0, 0, width // 2, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    return buffer.getvalue()


def asset_named(public_id: str, **more: Any) -> Asset:  # noqa: ANN401 - of any field
    """An asset of version 7."""
    return dataclasses.replace(Asset(ID, public_id, "", 7, "png", 3, "e"), **more)
