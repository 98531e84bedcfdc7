"""Notifications in numbers: every one answered in time, none lost, none doubled, kill -9 or not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sqlalchemy import select
from tests.waiting import until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.keys import KeyRing
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.cloudinary import signing
from facelabel.core.jobs import JobState
from facelabel.media.types import ImageHeader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from facelabel.media.types import ApiKey

RATE = 200  # notifications a second
SERVER = Path(__file__).with_name("load_server.py")


@dataclass(frozen=True)
class Site:
    """A data folder full of pictures, and the server on it."""

    folder: Path
    key: ApiKey
    asset_ids: Sequence[str]

    @property
    def notes(self) -> Path:
        """Every search of the recogniser."""
        return self.folder / "notes"

    @contextmanager
    def serving(
        self, seconds: float = 0.0, lease: float = 60.0
    ) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """The server's process and port; killed in the end. A search takes that long."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDINARY")}
        arguments = map(str, (self.folder, self.notes, seconds, lease))
        with subprocess.Popen(
            [sys.executable, str(SERVER), *arguments],
            stdout=subprocess.PIPE, text=True, env=environment,
        ) as process:  # fmt: skip
            try:
                assert process.stdout
                yield process, int(process.stdout.readline())
            finally:
                process.kill()

    @contextmanager
    def database(self) -> Iterator[Database]:
        with closing(Database(f"sqlite:///{self.folder / 'facelabel.db'}")) as database:
            yield database

    def drain(self) -> None:
        """Wait until the worker has nothing left to do."""
        with self.database() as database:
            queue = StoreQueue(database, SystemClock())
            while left := queue.pending():
                until(lambda left=left: queue.pending() < left)  # type: ignore[misc]
            assert queue.jobs(JobState.DEAD) == []

    def searched(self) -> set[str]:
        """Every picture that has a search on record."""
        with self.database() as database, database.read() as connection:
            return set(connection.execute(select(schema.search.c.asset_id)).scalars())


@dataclass
class Sender:
    """Sends signed notifications at a steady rate, as many connections as it takes."""

    port: int
    key: ApiKey
    #: Seconds each answer took.
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    #: Assets whose notification was answered 200.
    taken: set[str] = field(default_factory=set)
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def send_all(self, asset_ids: Sequence[str]) -> None:
        start, tasks = time.perf_counter(), []
        for number, asset_id in enumerate(asset_ids):
            await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(self.send(asset_id)))
        await asyncio.gather(*tasks)
        for _, writer in self._idle:
            await _close(writer)

    async def send(self, asset_id: str) -> None:
        """One notification; a broken connection is no answer."""
        body = notification(asset_id)
        start = time.perf_counter()
        try:
            status = await self._post(body)
        except (OSError, EOFError):
            self.statuses[0] += 1
            return
        self.times.append(time.perf_counter() - start)
        self.statuses[status] += 1
        if status == 200:
            self.taken.add(asset_id)

    async def _post(self, body: bytes) -> int:
        """Over an idle connection, unless the server has closed it; else over a new one."""
        while self._idle:
            with suppress(OSError, EOFError):
                return await self._post_over(*self._idle.pop(), body)
        return await self._post_over(*await asyncio.open_connection("127.0.0.1", self.port), body)

    async def _post_over(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> int:
        try:
            status = await self._exchange(reader, writer, body)
        except (OSError, EOFError):
            await _close(writer)
            raise
        self._idle.append((reader, writer))
        return status

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> int:
        timestamp = str(int(time.time()))
        signature = signing.sign_notification(body, timestamp, self.key.secret)
        head = (
            "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Cld-Timestamp: {timestamp}\r\nX-Cld-Signature: {signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
        return int(answer.split()[1])

    def percentile(self, share: float) -> float:
        """Milliseconds within which that share of the answers came."""
        return 1000 * sorted(self.times)[int(share * (len(self.times) - 1))]


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def notification(asset_id: str) -> bytes:
    content = {
        "notification_type": "upload",
        "timestamp": "2024-06-25T10:21:27+00:00",
        "request_id": asset_id,
        "asset_id": asset_id,
        "public_id": f"assets/{asset_id}",
        "version": 1719310887,
        "resource_type": "image",
        "type": "upload",
        "tags": [],
        "secure_url": f"https://res.cloudinary.com/demo/image/upload/v1719310887/{asset_id}.jpg",
        "asset_folder": "assets",
        "notification_context": {
            "triggered_at": "2024-06-25T10:21:27.272126Z",
            "triggered_by": {"source": "api", "id": "614335564976464"},
        },
    }
    return json.dumps(content).encode()


def site(folder: Path, pictures: int) -> Site:
    """A library of so many pictures, all alike, that nobody has looked at."""
    folder.mkdir()
    keys = KeyRing(folder / "keys.json")
    keys.ensure()
    image = BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    with closing(Database(f"sqlite:///{folder / 'facelabel.db'}")) as database:
        library = LocalLibrary(
            database, folder / "originals", SystemClock(), on_change=None,
            check=lambda _: ImageHeader("png", 8, 8),
        )  # fmt: skip
        asset_ids = [
            library.upload(image.getvalue(), folder="assets", public_id=f"assets/{n}").asset_id
            for n in range(pictures)
        ]
    return Site(folder, keys()[0], asset_ids)


def assert_each_was_searched_once(place: Site) -> None:
    assert place.searched() == set(place.asset_ids)
    searches = Counter(place.notes.read_text().split())
    assert searches == Counter(place.asset_ids)


def load(folder: Path, seconds: int) -> Sender:
    """A notification for every picture; then some of them again, as after a lost answer."""
    place = site(folder, RATE * seconds)
    with place.serving() as (_, port):
        sender = Sender(port, place.key)
        asyncio.run(sender.send_all(place.asset_ids))
        assert sender.statuses == {200: len(place.asset_ids)}
        place.drain()
        again = Sender(port, place.key)
        asyncio.run(again.send_all(place.asset_ids[:RATE]))
        place.drain()
    assert_each_was_searched_once(place)
    return sender


def kill_in_the_middle(folder: Path, seconds: int) -> None:
    """Kill -9 after half of the notifications; what was answered 200 is done after a restart."""
    place = site(folder, RATE * seconds)

    async def send_and_kill(sender: Sender, process: subprocess.Popen[str]) -> None:
        *most, last = place.asset_ids
        sending = asyncio.create_task(sender.send_all(most))
        while len(sender.taken) < len(most) / 2:
            assert process.poll() is None
            await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        await sending
        await sender.send(last)

    with place.serving(lease=2.0) as (process, port):
        sender = Sender(port, place.key)
        asyncio.run(send_and_kill(sender, process))
    assert 0 < len(sender.taken) < len(place.asset_ids)
    with place.serving(lease=2.0):
        place.drain()
    assert sender.taken <= place.searched()


@pytest.mark.soak
def test_a_minute_of_load(tmp_path: Path) -> None:
    sender = load(tmp_path / "data", seconds=60)
    print(f"p50 {sender.percentile(0.5):.1f} ms, p99 {sender.percentile(0.99):.1f} ms")  # noqa: T201
    assert sender.percentile(0.99) <= 50


@pytest.mark.soak
def test_kill_in_the_middle_of_a_minute(tmp_path: Path) -> None:
    kill_in_the_middle(tmp_path / "data", seconds=60)
