"""The webhook on a real web server, under real sockets: what is answered, and when."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from tests import loopback
from tests.waiting import PATIENCE, until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.jobs import StoreInbox, StoreQueue
from facelabel.cloudinary import signing
from facelabel.cloudinary.notifications import Intake
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.errors import Busy, ConfigurationError, Unavailable
from facelabel.media.types import ApiKey, Delivery
from facelabel.testing import MemoryInbox, MemoryQueue
from facelabel.web import webhook
from facelabel.web.http.budget import Budget, Pool
from facelabel.web.webhook import GroupCommitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import httpx2

    from facelabel.adapters.store.sql.database import Database
    from facelabel.cloudinary.ports import Inbox

KEYS = [ApiKey("1", "old secret"), ApiKey("2", "new secret")]
#: Bytes, far below the product's, so that tests are quick.
MAX_BODY = 300_000


@contextmanager
def serving(
    inbox: Inbox, patience: float = PATIENCE, budget: Budget | None = None
) -> Iterator[str]:
    """The webhook on a free port of this computer; its URL."""
    intake = Intake(lambda: KEYS, SystemClock())
    limits = replace(
        webhook.LIMITS, body=MAX_BODY, window=patience, patience=patience, budget=budget or Budget()
    )
    routes = webhook.routes(intake, inbox, limits)
    config = uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(SystemClock())


@pytest.fixture
def url(queue: MemoryQueue) -> Iterator[str]:
    with serving(MemoryInbox(queue)) as url:
        yield url


def upload(asset_id: str = "a", **more: object) -> bytes:
    return json.dumps({"notification_type": "upload", "asset_id": asset_id, **more}).encode()


def headers(body: bytes, key: ApiKey = KEYS[0], off: float = 0.0) -> dict[str, str]:
    timestamp = str(int(time.time() + off))
    return {
        "X-Cld-Timestamp": timestamp,
        "X-Cld-Signature": signing.sign_notification(body, timestamp, key.secret),
    }


def post(
    url: str, body: bytes, given: Mapping[str, str] | None = None, path: str = "/webhook"
) -> httpx2.Response:
    return loopback.post(url + path, content=body, headers=given or headers(body))


def keys(queue: MemoryQueue) -> list[str]:
    return sorted(job.key for job in queue.jobs(limit=1000))


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


@contextmanager
def half_sent(url: str, number: int, length: int) -> Iterator[list[socket.socket]]:
    """So many connections, of whose bodies the last byte does not come until the block ends."""
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url)) for _ in range(number)]
        for connection in connections:
            connection.sendall(head + b"x" * (length - 1))
        yield connections


def raw(url: str, head: str, pieces: Iterable[bytes]) -> bytes:
    """Send what no HTTP client would, then read until the other side has closed."""
    host = url.removeprefix("http://")
    with connect(url) as connection:
        connection.sendall(f"{head}\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:  # it has had enough of us
            pass
        return answer


@pytest.mark.parametrize("path", ["/webhook", "/cloudinary-rekog"])
@pytest.mark.parametrize("key", KEYS)
def test_a_signed_notification_is_enqueued(
    url: str, queue: MemoryQueue, path: str, key: ApiKey
) -> None:
    body = upload()
    answer = post(url, body, headers(body, key), path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert [(job.kind, job.key) for job in queue.jobs()] == [(JobKind.ASSET, "a")]


def test_what_does_not_concern_us_is_taken_and_forgotten(url: str, queue: MemoryQueue) -> None:
    assert post(url, b'{"notification_type":"eager"}').status_code == 200
    assert keys(queue) == []


def test_the_same_notification_again_is_taken_and_dropped(url: str, queue: MemoryQueue) -> None:
    body = upload()
    assert post(url, body).status_code == 200
    job = queue.claim()
    assert job is not None
    queue.finish(job)
    assert post(url, body, headers(body, KEYS[1])).status_code == 200
    assert keys(queue) == []


def unsigned() -> dict[str, dict[str, str]]:
    body = upload()
    good = headers(body)
    return {
        "wrong": {**good, "X-Cld-Signature": "0" * 40},
        "empty": {**good, "X-Cld-Signature": ""},
        "missing": {"X-Cld-Timestamp": good["X-Cld-Timestamp"]},
        "no timestamp": {"X-Cld-Signature": good["X-Cld-Signature"]},
        "nothing": {"X-Other": "1"},
        "stale": headers(body, off=-8000),
        "far future": headers(body, off=10**9),
        "huge timestamp": {**good, "X-Cld-Timestamp": "9" * 4000},
        "another key": headers(body, ApiKey("3", "guessed")),
        "another body": headers(body + b" "),
        "only v2": {"X-Cld-Signature_v2": "MC0CFQ", "X-Cld-Timestamp": good["X-Cld-Timestamp"]},
    }


@pytest.mark.parametrize("case", unsigned())
def test_what_is_not_signed_is_refused_without_a_reason(
    url: str, queue: MemoryQueue, case: str
) -> None:
    answer = post(url, upload(), unsigned()[case])
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "message": "The notification is not signed with a key of ours, or not of about now."
        }
    }
    assert keys(queue) == []


def test_the_second_signature_does_no_harm(url: str) -> None:
    body = upload()
    assert post(url, body, headers(body) | {"X-Cld-Signature_v2": "MC0CFQ"}).status_code == 200


def test_a_timestamp_in_other_digits_is_refused(url: str) -> None:
    body = upload()
    given = [(name.encode(), value.encode()) for name, value in headers(body).items()]
    digits = "".join(chr(ord(digit) + 0x630) for digit in given[0][1].decode())
    answer = loopback.post(
        f"{url}/webhook",
        content=body,
        headers=[(given[0][0], digits.encode()), given[1]],
        timeout=PATIENCE,
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"text":"from a template"}', b"\xff"])
def test_signed_nonsense(url: str, body: bytes) -> None:
    answer = post(url, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(url: str, method: str) -> None:
    assert loopback.request(method, f"{url}/webhook").status_code == 405


def test_a_large_body_is_read_beside_others(url: str, queue: MemoryQueue) -> None:
    body = upload(padding="x" * (MAX_BODY - 1000))
    assert post(url, body).status_code == 200
    assert keys(queue) == ["a"]


class TestHostileBodies:
    """Bodies that are too long, too slow, or no bodies."""

    def test_100_megabytes(self, url: str) -> None:
        """Refused for what the head says: hardly more is sent than the sockets hold."""
        pieces = iter([b"x" * 1_000_000] * 100)
        answer = raw(url, "POST /webhook HTTP/1.1\r\nContent-Length: 100000000", pieces)
        assert answer.startswith(b"HTTP/1.1 413 ") or not answer  # or cut off while sending
        assert len([*pieces]) > 50
        assert post(url, upload()).status_code == 200

    def test_just_too_large(self, url: str) -> None:
        answer = post(url, b" " * (MAX_BODY + 1))
        assert answer.status_code == 413
        assert answer.headers["connection"] == "close"
        assert answer.json() == {"error": {"message": "The notification is too large."}}

    def test_a_body_that_never_ends(self, url: str) -> None:
        head = "POST /webhook HTTP/1.1\r\nTransfer-Encoding: chunked"
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        answer = raw(url, head, [chunk] * 100)
        # Who goes on sending may meet the closed connection before the answer.
        assert b" 413 " in answer or not answer
        assert post(url, upload()).status_code == 200

    def test_a_body_that_never_comes(self, queue: MemoryQueue) -> None:
        with serving(MemoryInbox(queue), patience=0.1) as url:
            answer = raw(url, "POST /webhook HTTP/1.1\r\nContent-Length: 10", [b"x"])
        assert answer.startswith(b"HTTP/1.1 408 ")

    def test_a_body_that_breaks_off(self, url: str) -> None:
        with half_sent(url, 1, 10):
            pass
        assert post(url, upload()).status_code == 200

    def test_slow_senders_hold_nobody_up(self, url: str) -> None:
        with half_sent(url, 100, 2) as slow:
            assert post(url, upload()).status_code == 200
            answered, _, _ = select.select(slow, [], [], 0)
            assert answered == []

    def test_who_holds_the_room_and_sends_nothing_makes_room(self, queue: MemoryQueue) -> None:
        """Small ones have their own; of the large ones, the quietest goes, and hears of it."""
        budget = Budget(memory=Pool(8 * MAX_BODY, share=4 * MAX_BODY))
        with serving(MemoryInbox(queue), budget=budget) as url, half_sent(url, 4, MAX_BODY) as slow:
            until(lambda: budget.memory.held == 4 * (MAX_BODY - 1))
            assert post(url, upload(padding="x" * 1000)).status_code == 200
            until(lambda: post(url, upload(padding="x" * (MAX_BODY - 1000))).status_code == 200)
            answered, _, _ = select.select(slow, [], [], PATIENCE)
            assert [one.recv(13) for one in answered] == [b"HTTP/1.1 503 "]
        until(lambda: budget.memory.held == budget.small.held == 0)

    def test_a_crowd_of_the_quick_is_told_to_come_again(self, queue: MemoryQueue) -> None:
        budget = Budget(small=Pool(1), memory=Pool(1), looks=0)
        with serving(MemoryInbox(queue), budget=budget) as url:
            answer = post(url, upload())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")

    def test_what_nobody_signed_is_not_parsed(self, url: str, queue: MemoryQueue) -> None:
        """A parser would find that it is no JSON, which is answered 400."""
        for body in (b"[" * 100_000, b'{"a":' * 20_000, b"{}," * 90_000, b"1" * 200_000):
            assert post(url, body, headers(b"another")).status_code == 401
        assert keys(queue) == []


class FullDisk:
    """An inbox that cannot take anything in, for ever or for some transactions."""

    def __init__(self, error: Exception, times: int = 1_000) -> None:
        """Raise ``error`` so many times."""
        self.error = error
        self.times = times

    def take(self, _: Sequence[Delivery]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error


@pytest.mark.parametrize(
    "error", [Unavailable("the disk is full"), ConfigurationError("read-only")], ids=repr
)
def test_what_cannot_be_enqueued_is_to_be_sent_again(error: Exception) -> None:
    with serving(FullDisk(error)) as url:
        answer = post(url, upload())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert answer.json() == {"error": {"message": "not now, try again later"}}


def test_a_bug_is_no_success() -> None:
    with serving(FullDisk(ZeroDivisionError())) as url:
        assert post(url, upload()).status_code == 500


class GatedInbox:
    """Notes each transaction when the gate is open, and waits for that."""

    def __init__(self) -> None:
        """Nothing was taken yet."""
        self.taken: list[list[str]] = []
        self.threads: set[int] = set()
        self.begun = threading.Event()
        self.gate = threading.Event()

    def take(self, deliveries: Sequence[Delivery]) -> None:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        self.threads.add(threading.get_ident())
        self.taken.append([delivery.digest for delivery in deliveries])

    async def hold(self, gatherer: GroupCommitter, number: int) -> list[asyncio.Task[None]]:
        """Have the first one's transaction begin, and then all the others come."""
        first, *others = some(number)
        tasks = [asyncio.create_task(gatherer.take(first))]
        await asyncio.to_thread(self.begun.wait, PATIENCE)
        tasks += [asyncio.create_task(gatherer.take(one)) for one in others]
        await asyncio.sleep(0)  # each begins
        return tasks


def some(number: int) -> list[Delivery]:
    return [Delivery(str(n), (JobRequest(JobKind.ASSET, str(n)),)) for n in range(number)]


class TestGatherer:
    """Group commit."""

    def test_what_comes_during_a_transaction_shares_the_next(self) -> None:
        inbox = GatedInbox()

        async def take_all() -> None:
            tasks = await inbox.hold(GroupCommitter(inbox), 50)
            inbox.gate.set()
            await asyncio.gather(*tasks)

        asyncio.run(take_all())
        assert inbox.taken == [["0"], [str(n) for n in range(1, 50)]]
        assert len(inbox.threads) == 1

    def test_nobody_is_answered_before_the_transaction_has_ended(self) -> None:
        inbox = GatedInbox()

        async def take_all() -> None:
            tasks = await inbox.hold(GroupCommitter(inbox), 3)
            assert not any(task.done() for task in tasks)
            inbox.gate.set()
            for number, task in enumerate(tasks):
                await task
                assert str(number) in {digest for group in inbox.taken for digest in group}

        asyncio.run(take_all())

    def test_there_is_an_end_to_waiting(self) -> None:
        inbox = GatedInbox()

        async def take_all() -> list[BaseException | None]:
            tasks = await inbox.hold(GroupCommitter(inbox, max_waiting=3), 5)
            inbox.gate.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = asyncio.run(take_all())
        assert [type(result) for result in results] == [type(None)] * 4 + [Busy]

    def test_one_failure_is_told_to_all_who_shared_it_and_to_nobody_else(self) -> None:
        inbox = FullDisk(Unavailable("full"), times=1)
        outcomes = []

        async def take_all() -> None:
            gatherer = GroupCommitter(inbox)
            outcomes.extend(
                await asyncio.gather(*map(gatherer.take, some(3)), return_exceptions=True)
            )
            await gatherer.take(some(1)[0])

        asyncio.run(take_all())
        assert outcomes == [inbox.error] * 3

    def test_one_who_gave_up_does_not_take_the_others_along(self) -> None:
        inbox = GatedInbox()

        async def take_all() -> None:
            tasks = await inbox.hold(GroupCommitter(inbox), 3)
            tasks[0].cancel()
            inbox.gate.set()
            await asyncio.gather(*tasks[1:])

        asyncio.run(take_all())
        assert [digest for group in inbox.taken for digest in group] == ["0", "1", "2"]


def test_a_burst_on_a_real_database_is_taken_whole(sqlite: Database) -> None:
    clock = SystemClock()
    queue = StoreQueue(sqlite, clock)

    def send(url: str, turn: int) -> set[int]:
        with loopback.client() as client:
            bodies = [upload(str(n % 300)) for n in range(turn * 20, turn * 20 + 40)]
            answers = [
                client.post(f"{url}/webhook", content=body, headers=headers(body))
                for body in bodies
            ]
        return {answer.status_code for answer in answers}

    with serving(StoreInbox(sqlite, queue, clock)) as url, ThreadPoolExecutor(15) as pool:
        assert set.union(*pool.map(send, [url] * 15, range(15))) == {200}
    assert sorted(job.key for job in queue.jobs(limit=1000)) == sorted(map(str, range(300)))
