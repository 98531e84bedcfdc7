"""A server that is told to stop does so within ten seconds, whatever it is at."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from tests.e2e.served import until
from tests.e2e.test_load import Sender, site

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.queue import StoreQueue
from facelabel.model import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facelabel.media import ApiKey

#: What service managers and container engines wait for before they kill.
SECONDS = 10.0
#: A search, a poll and an upload that take longer than anybody waits.
LONG = 60.0


@contextlib.contextmanager
def polling(port: int, key: ApiKey) -> Iterator[None]:
    """Wait for a message that does not come."""
    credentials = base64.b64encode(f"{key.key}:{key.secret}".encode()).decode()
    target = f"/v2/notifications/local/messages?channel=none&wait_seconds={LONG:.0f}"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Basic {credentials}\r\n\r\n".encode()
        )
        connection.settimeout(1.5)
        with contextlib.suppress(TimeoutError):
            raise AssertionError(connection.recv(1000))
        yield


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
        yield
        over.set()
        thread.join()


def test_a_poll_an_upload_and_a_search_do_not_keep_it(tmp_path: Path) -> None:
    place = site(tmp_path / "data", pictures=1)
    with place.database() as database, place.serving(LONG) as (process, port):
        queue = StoreQueue(database, SystemClock())
        with polling(port, place.key), uploading(port):
            _notify(port, place.key, place.asset_ids[0])
            until(place.notes.read_text)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(3 * SECONDS)
            took = time.monotonic() - start
        print(f"{took:.1f} s")  # noqa: T201
        assert took < SECONDS - 2  # on a machine with nothing else to do: 5.5
        (job,) = queue.jobs(JobState.READY)
        assert (job.token, job.tries) == (None, 0)
        assert job.run_at <= time.time()


def _notify(port: int, key: ApiKey, asset_id: str) -> None:
    sender = Sender(port, key)
    asyncio.run(sender.send_all([asset_id]))
    assert sender.statuses == {200: 1}
