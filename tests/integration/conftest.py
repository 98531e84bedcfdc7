"""The local library behind a real web server on loopback, in a thread."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from tests.waiting import PATIENCE, until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.fetcher import Fetcher
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.transaction import StoreMessages
from facelabel.images import Limits, decoding
from facelabel.media.types import ApiKey, ImageHeader
from facelabel.rendering.renderer import PillowRenderer
from facelabel.web import cloudinary_api
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded
from facelabel.web.cloudinary_api.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Box

KEY = ApiKey("111122223333444", "abcdefghijklmnopqrstuvwxyz1")


@dataclass(frozen=True)
class ApiServer:
    """A running server."""

    url: str
    context: Context

    @property
    def sdk(self) -> dict[str, str]:
        """What a call of the official SDK needs to come here, and nowhere else."""
        return {
            "cloud_name": self.context.cloud_name,
            "api_key": KEY.key,
            "api_secret": KEY.secret,
            "upload_prefix": self.url,
        }

    def at(self, path: str) -> str:
        """The URL of a call."""
        return f"{self.url}/v1_1/{self.context.cloud_name}/{path}"


@pytest.fixture
def context(sqlite: Database, tmp_path: Path) -> Context:
    """A library on SQLite and what is around it; nobody finds faces."""
    clock, limits = SystemClock(), Limits()

    def check(data: bytes) -> ImageHeader:
        return ImageHeader(*decoding.inspect(data, limits))

    def detect(_: bytes) -> Sequence[Box]:
        return ()

    def inspect(data: bytes) -> ImageHeader:
        return ImageHeader(*decoding.inspect(data, limits))

    def fetch(url: str) -> tuple[bytes, str]:
        fetched = Fetcher(max_bytes=10 << 20, timeout=PATIENCE).fetch(url)
        return fetched.data, fetched.filename

    return Context(
        media=LocalLibrary(sqlite, tmp_path / "originals", clock, on_change=None, check=check),
        messages=StoreMessages(sqlite, clock),
        renderer=PillowRenderer(limits, detect),
        derived=DerivedCache(tmp_path / "derived", 100 << 20),
        clock=clock,
        keys=lambda: [KEY],
        fetch=fetch,
        inspect=inspect,
        detect=detect,
        scratch=str(tmp_path / "uploads"),
    )


@pytest.fixture(scope="session")
def shared() -> Iterator[Switch]:
    """A server that every test puts its own library behind: starting one takes its time."""
    switch = Switch()
    with _running(switch) as url:
        switch.url = url
        yield switch


@pytest.fixture
def serve(shared: Switch) -> Iterator[Callable[[Context], ApiServer]]:
    """Return what starts a server; all are stopped at the end of the test."""
    with ExitStack() as stack:
        free = [shared]

        def start(context: Context) -> ApiServer:
            site = guarded(cloudinary_api.routes(context), Policy())
            if not free:
                return ApiServer(stack.enter_context(_running(site)), context)
            switch = free.pop()
            switch.site = site
            return ApiServer(switch.url, context)

        yield start


@pytest.fixture
def api_server(context: Context, serve: Callable[[Context], ApiServer]) -> ApiServer:
    """A server of an empty library."""
    return serve(context)


class Switch:
    """An application that another one can take the place of."""

    def __init__(self) -> None:
        """Start with one that knows nothing."""
        self.site: ASGIApp = Starlette()
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application of the moment answer."""
        await self.site(scope, receive, send)


@contextmanager
def _running(site: ASGIApp) -> Iterator[str]:
    """Serve on loopback; yield the URL."""
    server = uvicorn.Server(uvicorn.Config(site, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        thread.join()


def _port(server: uvicorn.Server) -> int:
    until(lambda: server.started)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
