"""A server under siege, by somebody who has no key: who has one is answered as before.

Both sides come from one address, as they do behind a proxy; that is the harder case.
"""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests import loopback
from tests.e2e.served import serving
from tests.waiting import PATIENCE, until

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from tests.e2e.conftest import Program
    from tests.e2e.served import Served

pytestmark = pytest.mark.soak

MEGABYTE = 1 << 20
#: Bytes of an ordinary photo.
PHOTO = 201_000
#: Seconds of a siege, and between two bytes of one who only pretends to send.
LONG = 32.0
NOW_AND_THEN = 4.0
UPLOAD = (
    b"POST /v1_1/local/image/upload HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 104000000\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
)
NOTIFICATION = b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
#: Milliseconds that nobody waits longer for somebody else's body.
LONGER = 50.0
#: Answers that are timed with each body, and as many without.
ROUNDS = 300


@pytest.fixture
def served(program: Program) -> Iterator[Served]:
    with serving(program) as served:
        yield served


@contextmanager
def besieged(served: Served, head: bytes, *sizes: int) -> Iterator[None]:
    """A connection for each size, that sends so many bytes, and then one now and then."""
    over = threading.Event()
    with ExitStack() as stack:
        connections = []
        for size in sizes:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            connections.append(connection)
            send(connection, head)
            for _ in range(size // MEGABYTE):
                send(connection, b"x" * MEGABYTE)

        def trickle() -> None:
            while not over.wait(NOW_AND_THEN):
                for connection in connections:
                    send(connection, b"x")

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            yield
        finally:
            over.set()
            trickling.join()


def send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it was shown the door
        connection.sendall(data)


def genuine(served: Served, seconds: float) -> dict[str, list[int]]:
    """What those who have a key are answered meanwhile."""
    cloud, secret = served.cloud(), urlsplit(served.cloudinary_url).password or ""
    answers: dict[str, list[int]] = {"upload": [], "notification": [], "health": []}
    end = time.monotonic() + seconds
    with loopback.client() as client:
        while time.monotonic() < end:
            number = len(answers["upload"])
            made = cloud.upload(
                io.BytesIO(os.urandom(PHOTO)), resource_type="raw", public_id=f"photo {number}"
            )
            answers["upload"].append(200 if made["bytes"] == PHOTO else 0)
            body = json.dumps({"notification_type": "upload", "asset_id": str(number)}).encode()
            stamp = str(int(time.time()))
            signature = signing.sign_notification(body, stamp, secret)
            headers = {"X-Cld-Timestamp": stamp, "X-Cld-Signature": signature}
            noted = client.post(f"{served.url}/webhook", content=body, headers=headers)
            answers["notification"].append(noted.status_code)
            answers["health"].append(client.get(f"{served.url}/health").status_code)
    return answers


@pytest.mark.parametrize(
    ("head", "sizes"),
    [
        pytest.param(UPLOAD, [97 * MEGABYTE] * 5 + [27 * MEGABYTE], id="six large uploads"),
        pytest.param(UPLOAD, [97 * MEGABYTE] * 20, id="twenty, twice a client's share of the disk"),
        pytest.param(UPLOAD, [0] * 1000, id="a thousand uploads of a byte"),
        pytest.param(NOTIFICATION, [0] * 1000, id="a thousand notifications of a byte"),
    ],
)
def test_who_has_a_key_is_answered_as_before(served: Served, head: bytes, sizes: list[int]) -> None:
    with besieged(served, head, *sizes):
        answers = genuine(served, LONG)
    for kind, statuses in answers.items():
        assert set(statuses) == {200}, kind
        assert len(statuses) >= 10, kind


#: Sends a body again and again, from a process of its own; prints a line when it has begun.
SENDER = """
import socket, sys
port, path, kind, name = int(sys.argv[1]), *sys.argv[2:]
L = 8 << 20
PART = b'--b\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n'
bodies = {
    "lists": lambda: b'{"a":[' + (b"[" * 900 + b'""' + b"]" * 900 + b",") * 4400 + b"1]}",
    "objects": lambda: b'{"a":[' + b"{}," * (L // 3 - 20) + b"1]}",
    "numbers": lambda: b'{"a":[' + b"1," * (L // 2 - 20) + b"1]}",
    "names": lambda: b"{" + b",".join(b'"%07d":1' % n for n in range(L // 12 - 20)) + b"}",
    "quotes": lambda: b'{"a":"' + b'\\\\"' * (L // 2 - 20) + b'"}',
    "a long text": lambda: b'{"file":"' + b"A" * (L - 100) + b'"}',
    "ampersands": lambda: b"&" * 1_000_000,
    "percents": lambda: b"a=" + b"%" * (L - 10),
    "escapes": lambda: b"file=" + (b"A" * 90 + b"%2B") * 80_000,
    "tiny parts": lambda: (PART + b"1\\r\\n") * 100_000,
    "a huge header": lambda: b"--b\\r\\nX: " + b"x" * (L - 20),
    "no end": lambda: PART + b"x" * (L - 100),
}
body = bodies[name]()[:L]
head = f"POST {path} HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: {kind}\\r\\n"
head += f"X-Amz-Target: RekognitionService.ListFaces\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
first = True
while True:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        try:
            connection.sendall(head.encode() + body)
            connection.recv(65536)
        except OSError:
            pass
    if first:
        print("begun", flush=True)
        first = False
"""
UPLOADING, ENDPOINT, WEBHOOK = "/v1_1/local/image/upload", "/", "/webhook"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
BODIES = [
    *((UPLOADING, JSON, name) for name in
      ("lists", "objects", "numbers", "names", "quotes", "a long text")),
    *((UPLOADING, FORM, name) for name in ("ampersands", "percents", "escapes")),
    *((UPLOADING, MULTIPART, name) for name in ("tiny parts", "a huge header", "no end")),
    *((ENDPOINT, "application/x-amz-json-1.1", name) for name in ("lists", "objects", "quotes")),
    *((WEBHOOK, JSON, name) for name in ("lists", "objects")),
]  # fmt: skip


@pytest.mark.parametrize(("path", "kind", "name"), BODIES)
def test_nobody_waits_for_a_hostile_body(served: Served, path: str, kind: str, name: str) -> None:
    """Timed in turns with and without, so that whatever else the computer does is in both."""
    before, during = [], []
    with loopback.client() as client:
        for _ in range(3):
            before += timed(client, served.url)
            with sending(served, path, kind, name):
                during += timed(client, served.url)
    longer = {
        what: measure(during) - measure(before)
        for what, measure in (("median", statistics.median), ("99 %", ninety_nine))
    }
    logging.getLogger(__name__).warning("%s to %s: milliseconds longer: %s", name, path, longer)
    assert max(longer.values()) < LONGER, longer


def timed(client: httpx2.Client, url: str) -> list[float]:
    """Milliseconds that answers took."""
    found = []
    for _ in range(ROUNDS // 3):
        start = time.perf_counter()
        assert client.get(f"{url}/health").status_code == 200
        found.append((time.perf_counter() - start) * 1000)
    return found


def ninety_nine(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


@contextmanager
def sending(served: Served, path: str, kind: str, name: str) -> Iterator[None]:
    """A program that sends a body again and again until the block ends."""
    command = [sys.executable, "-c", SENDER, str(served.port), path, kind, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        try:
            assert sender.stdout
            assert sender.stdout.readline() == b"begun\n"
            yield
        finally:
            sender.kill()


def test_where_descriptors_are_few_nobody_is_kept_out(program: Program) -> None:
    """And nobody writes a traceback for each connection that there is no room for."""
    log = program.folder / "serve.log"
    with serving(program, log=log) as served:
        subprocess.run(
            ["prlimit", f"--pid={served.process.pid}", "--nofile=64:64"],
            check=True,
            timeout=PATIENCE,
        )
        with besieged(served, NOTIFICATION, *[0] * 120), loopback.client() as client:
            until(lambda: client.get(f"{served.url}/health").status_code == 200)
    text = log.read_text()
    assert "Traceback" not in text
    assert len(text.splitlines()) < 20
