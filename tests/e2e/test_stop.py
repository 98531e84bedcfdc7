"""A server that is told to stop does so, whatever it is at."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.e2e.test_load import Sender, site
from tests.waiting import PATIENCE, until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.core.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facelabel.media.types import ApiKey

#: What service managers and container engines wait for before they kill.
SECONDS = 10.0
#: A search that takes longer than anybody waits.
LONG = 10 * PATIENCE


@contextlib.contextmanager
def polling(port: int, key: ApiKey) -> Iterator[None]:
    """Wait for a message that does not come."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(_poll(key, 0))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(_poll(key, 60))  # longer it may not
        yield


def _poll(key: ApiKey, seconds: int) -> bytes:
    credentials = base64.b64encode(f"{key.key}:{key.secret}".encode()).decode()
    target = f"/v2/notifications/local/messages?channel=none&wait_seconds={seconds}"
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {credentials}"
    return f"{head}\r\n\r\n".encode()


@contextlib.contextmanager
def uploading(port: int) -> Iterator[None]:
    """Send a file byte by byte."""
    over = threading.Event()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"POST /v1_1/local/image/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        )

        def send() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.1):
                    connection.sendall(b"a")

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def stop_in_the_middle(folder: Path) -> float:
    """Tell a server to stop that is at a poll, an upload and a search; how many seconds it took."""
    place = site(folder, pictures=1)
    with place.database() as database, place.serving(LONG) as (process, port):
        queue = StoreQueue(database, SystemClock())
        with polling(port, place.key), uploading(port):
            _notify(port, place.key, place.asset_ids[0])
            until(place.notes.read_text)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            took = time.monotonic() - start
        (job,) = queue.jobs(JobState.READY)
        assert (job.token, job.tries) == (None, 0)
        assert job.run_at <= time.time()
    return took


def test_a_poll_an_upload_and_a_search_do_not_keep_it(tmp_path: Path) -> None:
    stop_in_the_middle(tmp_path / "data")


@pytest.mark.soak
def test_it_stops_before_it_is_killed(tmp_path: Path) -> None:
    """Measured were 5.5 s."""
    assert stop_in_the_middle(tmp_path / "data") < SECONDS - 2


def _notify(port: int, key: ApiKey, asset_id: str) -> None:
    sender = Sender(port, key)
    asyncio.run(sender.send_all([asset_id]))
    assert sender.statuses == {200: 1}
