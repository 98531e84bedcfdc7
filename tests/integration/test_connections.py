"""Connections of a real server, of which there are only so many."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests import loopback
from tests.waiting import PATIENCE, until

from facelabel.testing import ManualClock
from facelabel.web.access import policy
from facelabel.web.http.budget import Peers
from facelabel.web.serving.connections import Acceptor, Connection, Lobby, Seldom, Unrepeated
from facelabel.web.serving.server import _Server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from starlette.requests import Request

#: A request whose body lacks its last byte.
HALF = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"

WORK = b"GET /work HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Site:
    """A server with few places, and what happens there."""

    def __init__(self, lobby: Lobby) -> None:
        """Not started yet."""
        self.lobby = lobby
        self.gate = threading.Event()
        self.entered: list[str] = []
        self.address = ("", 0)

    async def _read(self, request: Request) -> Response:
        await request.body()
        return PlainTextResponse("read")

    async def _others(self, request: Request) -> Response:
        return PlainTextResponse(str(request.scope["state"][policy.OTHERS]))

    def _work(self, request: Request) -> Response:
        """In a thread, until the gate opens."""
        self.entered.append(request.url.path)
        assert self.gate.wait(PATIENCE)
        return PlainTextResponse("done")

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    @contextmanager
    def running(self) -> Iterator[Site]:
        routes = [
            Route("/health", self._health),
            Route("/others", self._others),
            Route("/work", self._work),
            Route("/read", self._read, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None)
        server = _Server(config, self.lobby, threading.Event())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = listener.getsockname()
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                yield self
            finally:
                self.gate.set()
                server.should_exit = server.force_exit = True
                thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def health(self) -> str:
        return loopback.get(f"{self.url}/health").text

    @contextmanager
    def held(self, number: int, text: bytes = HALF) -> Iterator[list[socket.socket]]:
        """So many connections, each of which has sent something and does nothing more."""
        with ExitStack() as stack:
            connections = []
            for _ in range(number):
                connection = stack.enter_context(socket.create_connection(self.address, PATIENCE))
                connection.sendall(text)
                connections.append(connection)
            yield connections


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended it."""
    connection.settimeout(0)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(PATIENCE)


@pytest.mark.parametrize("text", [HALF, b"", b"GET /he", b"POST /read HTTP/1.1\r\nHost: x\r\n"])
def test_quiet_connections_make_room(text: bytes) -> None:
    """Of 60 there is room for 20: who came first go first."""
    with Site(Lobby(20)).running() as site, site.held(60, text) as connections:
        for _ in range(30):
            assert site.health() == "ok"
        assert len(site.lobby) <= 20
        until(lambda: sum(map(is_closed, connections)) >= 40)
        assert is_closed(connections[0])


def test_a_byte_now_and_then_does_not_help() -> None:
    """Whoever asks for something is heard later than they."""
    with Site(Lobby(20)).running() as site, site.held(60) as connections:
        for turn in range(5):
            for connection in connections[turn::7]:
                try:
                    connection.sendall(b"x")
                except ConnectionError:
                    continue
            assert site.health() == "ok"


def test_who_is_worked_for_is_not_ended() -> None:
    lobby = Lobby(6, share=3, clock=lambda: 20 * time.monotonic())  # a second is soon over
    with (
        Site(lobby).running() as site,
        site.held(5, WORK) as busy,
    ):
        until(lambda: len(site.entered) == 5)
        with site.held(20):
            assert site.health() == "ok"
            site.gate.set()
            for connection in busy:
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_more_than_there_is_room_for_wait_until_there_is(caplog: pytest.LogCaptureFixture) -> None:
    """They are not refused, and nobody writes a line for each."""
    with Site(Lobby(4)).running() as site, site.held(14, WORK) as connections:
        until(lambda: "more have to wait" in caplog.text)
        assert len(site.entered) <= 4
        site.gate.set()
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert caplog.text.count("more have to wait") == 1


class Guest(Connection):
    """A connection without a socket."""

    def __init__(self, lobby: Lobby, host: str) -> None:
        """From that address; what is left out of it is not looked at."""
        self.host = self.peer = host
        self.ended = False
        self.heard = lobby.clock()
        self.transport = self  # type: ignore[assignment]

    is_waited_for = True
    is_answered = False  # an answer that nobody reads

    def abort(self) -> None:
        self.ended = True


def guests(lobby: Lobby, clock: ManualClock, *hosts: str) -> list[Guest]:
    found = []
    for host in hosts:
        clock.sleep(1)
        assert lobby.is_open
        found.append(Guest(lobby, host))
        lobby.enter(found[-1])
    return found


def test_who_has_more_than_a_share_makes_room_itself() -> None:
    clock = ManualClock()
    lobby = Lobby(10, clock=clock.now)
    others = guests(lobby, clock, *"bcde")
    many = guests(lobby, clock, *"a" * 8)
    assert [guest.ended for guest in many] == [True] * 3 + [False] * 5
    assert not any(guest.ended for guest in others)


def test_there_are_never_more_than_the_limit() -> None:
    """A client whose own are all being worked on takes the place of somebody who is silent."""
    clock = ManualClock()
    lobby = Lobby(10, clock=clock.now)
    others = guests(lobby, clock, *"bcdef")
    for guest in guests(lobby, clock, *"a" * 5):
        guest.is_waited_for = False
    guests(lobby, clock, "a")
    assert [guest.ended for guest in others] == [True] + [False] * 4
    assert len(lobby) == 10


def test_who_does_not_read_an_answer_goes_after_who_sends_nothing() -> None:
    clock = ManualClock()
    lobby = Lobby(3, share=3, clock=clock.now)
    first, second, _ = guests(lobby, clock, *"abc")
    first.is_answered = True
    guests(lobby, clock, "d")
    assert (first.ended, second.ended) == (False, True)


def test_a_proxy_of_ours_stands_for_many() -> None:
    from ipaddress import ip_network  # noqa: PLC0415 - here alone

    clock = ManualClock()
    lobby = Lobby(10, peers=Peers([ip_network("10.0.0.1")]), clock=clock.now)
    assert not any(guest.ended for guest in guests(lobby, clock, *["10.0.0.1"] * 10))
    guests(lobby, clock, "10.0.0.1")
    assert len(lobby) == 10


def test_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    seldom = Seldom(clock.now)
    for _ in range(1000):
        seldom.warn("there are %d", 7)
        clock.sleep(0.125)
    assert caplog.messages == ["there are 7", *["there are 7 (and 479 times before)"] * 2]


def test_what_any_client_may_cause_is_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock, logger = ManualClock(), logging.getLogger("test.unrepeated")
    logger.addFilter(Unrepeated(clock.now))
    for _ in range(100):
        logger.warning("Invalid HTTP request received.")
        logger.warning("Unsupported upgrade request.")
        logger.error("a bug")
        clock.sleep(1.0)
    assert caplog.messages.count("Invalid HTTP request received.") == 2
    assert caplog.messages.count("Unsupported upgrade request.") == 2
    assert caplog.messages.count("a bug") == 100


def test_a_connection_of_our_own_is_known() -> None:
    with Site(Lobby(10)).running() as site:
        assert loopback.get(f"{site.url}/others").text == "False"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can open a socket as somebody else")
def test_another_users_connection_is_known() -> None:
    os.seteuid(65534)
    try:
        client = socket.socket()
    finally:
        os.seteuid(0)
    with Site(Lobby(10)).running() as site, client:
        client.connect(site.address)
        client.sendall(b"GET /others HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"True")


class Exhausted(socket.socket):
    """A listener for whose connections the system has no descriptors, a hundred times."""

    left = 100

    def accept(self) -> tuple[socket.socket, object]:
        """As the system's."""
        Exhausted.left -= 1
        if Exhausted.left >= 0:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_system_without_descriptors_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio  # noqa: PLC0415 - here alone

    Exhausted.left = 3
    came = []

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            came.append(transport)
            transport.close()

    async def run() -> None:
        with Exhausted() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            acceptor = Acceptor(listener, Lobby(10), Greeting)
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            assert await reader.read() == b""
            writer.close()
            acceptor.close()
            await acceptor.wait_closed()

    asyncio.run(run())
    assert len(came) == 1
    assert [record.exc_info for record in caplog.records] == [None]
    assert "could not be accepted: Too many open files" in caplog.text


DESCRIPTORS = """
import resource, sys
from facelabel.web.serving.connections import connections
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(connections(1000), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(64, 64, "16 64 64"), (256, 1024, "256 1024 1024"), (1024, 8192, "1000 4000 8192"),
     (8192, 8192, "1000 8192 8192")],
)  # fmt: skip
def test_there_are_no_more_connections_than_descriptors(
    soft: int, hard: int, expected: str
) -> None:
    command = [sys.executable, "-c", DESCRIPTORS, str(soft), str(hard)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.strip() == expected


def test_who_is_told_to_stop_before_it_listens_stops() -> None:
    """A signal may come while everything is still being put together."""
    config = uvicorn.Config(Starlette(), lifespan="off", log_config=None)
    stop = threading.Event()
    server = _Server(config, Lobby(1), stop)
    server.handle_exit(signal.SIGTERM, None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Signals are a main thread's; in it uvicorn would send itself this one again.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        thread.join()
    assert stop.is_set()
