"""Notifications over HTTP to a real server, as often as Cloudinary sends them."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.waiting import PATIENCE

from facelabel.adapters.fetcher import Fetcher
from facelabel.adapters.notifier import Notifier
from facelabel.core.jobs import Job, JobKind, JobState
from facelabel.errors import Rejected, Unavailable
from facelabel.recognition.worker import Worker
from facelabel.testing import ManualClock, MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODY = json.dumps({"notification_type": "upload", "name": "Zoë"}, ensure_ascii=False)


@dataclass
class Subscriber:
    """Notes what it is sent; answers with these statuses, then 200."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    #: (path, headers, body)
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    #: Bytes of an answer's body.
    answer: int = 2
    #: Somebody did not read the whole of one.
    was_cut_off: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sent = {name.lower(): value for name, value in self.headers.items()}
                subscriber.received.append((self.path, sent, body))
                self.send_response(subscriber.statuses.pop(0) if subscriber.statuses else 200)
                for name, value in subscriber.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(subscriber.answer))
                self.end_headers()
                try:
                    self.wfile.write(b"x" * subscriber.answer)
                except OSError:
                    subscriber.was_cut_off.set()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def serving(subscriber: Subscriber) -> Iterator[Subscriber]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), subscriber.handler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    subscriber.url = f"http://127.0.0.1:{server.server_port}/hook?token=secret"
    try:
        yield subscriber
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with serving(Subscriber()) as started:
        yield started


def notifier(*, allow_private: bool = True) -> Notifier:
    post = Fetcher(max_bytes=1, timeout=PATIENCE, allow_private=allow_private).post
    return Notifier(post, ManualClock())


def job(url: str, tries: int = 1) -> Job:
    payload = {"url": url, "body": BODY, "timestamp": "1315060510", "signature": "25f7"}
    return Job(1, JobKind.NOTIFY, "n", {**payload}, JobState.READY, tries, 0.0)


def test_the_notification_arrives_byte_by_byte_with_its_headers(subscriber: Subscriber) -> None:
    assert notifier()(job(subscriber.url)).kind == "notified"
    ((path, headers, body),) = subscriber.received
    assert path == "/hook?token=secret"
    assert body == BODY.encode()
    assert headers["x-cld-timestamp"] == "1315060510"
    assert headers["x-cld-signature"] == "25f7"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Cloudinary"
    assert subscriber.url.startswith(f"http://{headers['host']}/")


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_is_any_2xx(subscriber: Subscriber, status: int) -> None:
    subscriber.statuses, subscriber.answer = [status], 0
    assert notifier()(job(subscriber.url)).kind == "notified"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 429, 500, 503])
def test_everything_else_is_tried_again(subscriber: Subscriber, status: int) -> None:
    subscriber.statuses = [status]
    with pytest.raises(Unavailable, match=str(status)):
        notifier()(job(subscriber.url))


def test_a_redirect_is_not_followed(subscriber: Subscriber) -> None:
    with serving(Subscriber()) as elsewhere:
        subscriber.statuses, subscriber.headers = [307], {"Location": elsewhere.url}
        with pytest.raises(Unavailable):
            notifier()(job(subscriber.url))
        assert elsewhere.received == []


def test_a_long_answer_is_not_read(subscriber: Subscriber) -> None:
    subscriber.answer = 50_000_000
    assert notifier()(job(subscriber.url)).kind == "notified"
    assert subscriber.was_cut_off.wait(PATIENCE)


def test_it_is_sent_again_after_3_6_and_9_minutes_and_then_given_up(
    subscriber: Subscriber,
) -> None:
    subscriber.statuses = [500] * 9
    clock = ManualClock()
    queue = MemoryQueue(clock)
    queue.enqueue(JobKind.NOTIFY, "n", job(subscriber.url).payload)
    worker = Worker(queue, {JobKind.NOTIFY: notifier()}, clock)
    waits = []
    while worker.run_one():
        due = queue.next_due()
        if due is None:
            break
        waits.append(due - clock.now())
        clock.time = due
    assert waits == [180, 360, 540]
    assert len(subscriber.received) == 4
    (dead,) = queue.jobs(JobState.DEAD)
    assert dead.reason == "the subscriber answered 500; sent 4 times"


def test_a_subscriber_that_is_back_gets_it(subscriber: Subscriber) -> None:
    subscriber.statuses = [503]
    with pytest.raises(Unavailable):
        notifier()(job(subscriber.url))
    notifier()(job(subscriber.url, tries=2))
    assert len({body for _, _, body in subscriber.received}) == 1


def test_nobody_there(subscriber: Subscriber) -> None:
    with serving(Subscriber()) as gone:
        pass
    with pytest.raises(Unavailable) as trouble:
        notifier()(job(gone.url, tries=2))
    assert trouble.value.retry_after == 360
    with pytest.raises(Rejected) as end:
        notifier()(job(gone.url, tries=4))
    assert "token" not in f"{trouble.value}{end.value}"


def test_whoever_did_not_answer_holds_up_the_others_only_once() -> None:
    clock, asked = ManualClock(), list[str]()

    def post(url: str, _body: bytes, _headers: Mapping[str, str]) -> int:
        asked.append(url)
        if "dead" in url:
            raise Unavailable("took too long")
        return 200

    send = Notifier(post, clock)
    for path in ("one", "two", "three"):
        with pytest.raises(Unavailable):
            send(job(f"http://dead.example.com/{path}"))
    assert send(job("http://live.example.com/")).kind == "notified"
    assert asked == ["http://dead.example.com/one", "http://live.example.com/"]
    clock.time += 61
    with pytest.raises(Unavailable, match="took too long"):
        send(job("http://dead.example.com/two", tries=2))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "https://10.0.0.1/"],
)
def test_private_addresses_are_refused_for_good(url: str) -> None:
    with pytest.raises(Rejected, match="public internet"):
        notifier(allow_private=False)(job(url))


@pytest.mark.parametrize("url", ["ftp://example.com", "file:///etc/passwd", "nonsense", ""])
def test_only_web_addresses_are_told(url: str) -> None:
    with pytest.raises(Rejected):
        notifier()(job(url))
