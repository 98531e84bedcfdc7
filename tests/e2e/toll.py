"""A gate before what stands for Amazon: it counts the calls that come through, and may kill.

A process that dies here dies between two known lines of its program: its call has arrived and
nothing was done yet, or it was done and the answer is not out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.waiting import PATIENCE

from facelabel.adapters.rekognition.rate import PRICES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program


@dataclass(frozen=True)
class Moment:
    """When a process dies."""

    #: "": any.
    operation: str
    #: Which of its calls of that operation, from 1.
    number: int
    #: Whether Amazon has done what it was asked.
    answered: bool


@dataclass
class Blow:
    """A death to come."""

    moment: Moment
    #: Calls of the operation that have come meanwhile.
    came: int = 0
    #: The process: its calls may begin before anybody knows its number.
    victim: SimpleQueue[int] = field(default_factory=SimpleQueue)
    struck: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def fall(self) -> None:
        """Kill; return when nobody is there any more to see how the connection ends."""
        os.kill(self.victim.get(timeout=PATIENCE), signal.SIGKILL)
        self.struck.set()
        assert self.over.wait(PATIENCE)


class Toll:
    """Calls by operation, as they came over the wire and were handed on."""

    def __init__(self, behind: str) -> None:
        """``behind``: URL of whom calls are handed to."""
        self.behind = urlsplit(behind).netloc
        self.url = ""
        self._calls: Counter[str] = Counter()
        self._blow: Blow | None = None
        self._lock = threading.Lock()

    @property
    def calls(self) -> Counter[str]:
        """All calls so far, free ones included."""
        with self._lock:
            return self._calls.copy()

    @property
    def paid(self) -> int:
        """Those that have a price."""
        return sum(count for operation, count in self.calls.items() if operation in PRICES)

    def kill(self, program: Program, moment: Moment, *command: str | Path) -> bool:
        """Run a command that dies at that moment; False if it ended before."""
        with self._lock:
            blow = self._blow = Blow(moment)
        try:
            with program.started(*command) as process:
                blow.victim.put(process.pid)
                ended = process.wait(PATIENCE)
        finally:
            with self._lock:
                self._blow = None
            blow.over.set()
        assert ended == (-signal.SIGKILL if blow.struck.is_set() else 0)
        return blow.struck.is_set()

    def came(self, operation: str) -> Blow | None:
        """Note a call; the death it brings, if it does."""
        with self._lock:
            blow, falls = self._blow, False
            if blow and blow.moment.operation in {"", operation}:
                blow.came += 1
                falls = blow.came == blow.moment.number
            if not (blow and falls and not blow.moment.answered):
                self._calls[operation] += 1
            return blow if falls else None


@contextlib.contextmanager
def toll(behind: str) -> Iterator[Toll]:
    """Stand before a server for the time of the block."""
    gate = Toll(behind)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), _handler(gate)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        gate.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield gate
        finally:
            server.shutdown()
            thread.join()


def _handler(gate: Toll) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            blow = gate.came(self.headers["X-Amz-Target"].rpartition(".")[2])
            if blow and not blow.moment.answered:
                self._end(blow)
                return
            status, content = self._handed_on(body)
            if blow:
                self._end(blow)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            with contextlib.suppress(ConnectionError):  # another call of a process that died
                self.end_headers()
                self.wfile.write(content)

        def _end(self, blow: Blow) -> None:
            blow.fall()
            self.close_connection = True

        def _handed_on(self, body: bytes) -> tuple[int, bytes]:
            with contextlib.closing(HTTPConnection(gate.behind, timeout=PATIENCE)) as connection:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                return answer.status, answer.read()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler
