"""Being told of changes: triggers, and a channel that is polled, on a server of our own."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from typing import TYPE_CHECKING

import pytest
from cloudinary import api, uploader
from tests.integration.cloudinary.conftest import Reply, Stage, account, jpeg
from tests.integration.conftest import KEY
from tests.waiting import PATIENCE

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import Client
from facelabel.adapters.cloudinary.subscriptions import EVENTS, Poller, Subscriptions
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.transaction import Outbox
from facelabel.cloudinary import signing
from facelabel.errors import Unavailable
from facelabel.media.types import ImageHeader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.adapters.store.sql.database import Database
    from facelabel.web.cloudinary_api.context import Context

    Signed = tuple[bytes, str, str]

URL = "https://faces.example.com/webhook"
CHANNEL = "faces"


@pytest.fixture
def server(
    context: Context, sqlite: Database, tmp_path: Path, serve: Callable[[Context], ApiServer]
) -> ApiServer:
    """A server that tells of changes."""
    outbox = Outbox(
        StoreQueue(sqlite, context.clock, 60.0), context.clock, keys=lambda: [KEY],
        cloud_name=context.cloud_name, base_url=context.base_url, fixed_folders=False,
    )  # fmt: skip

    def check(data: bytes) -> ImageHeader:
        return ImageHeader(*dataclasses.astuple(context.inspect(data)))

    originals = tmp_path / "originals"
    media = LocalLibrary(sqlite, originals, context.clock, on_change=outbox, check=check)
    return serve(dataclasses.replace(context, media=media))


@pytest.fixture
def subscriptions(server: ApiServer) -> Subscriptions:
    """The triggers and channels of the server."""
    sdk = server.sdk
    there = Account(sdk["cloud_name"], sdk["api_key"], sdk["api_secret"], upload_prefix=server.url)
    return Subscriptions(Client(there, timeout=PATIENCE, clock=SystemClock()))


def on(stage: Stage) -> Subscriptions:
    """The channels of a server that misbehaves."""
    return Subscriptions(Client(account(stage.url), timeout=PATIENCE, clock=SystemClock()))


def test_connecting_twice_is_connecting_once(subscriptions: Subscriptions) -> None:
    first = subscriptions.connect(URL)
    assert [trigger.event_type for trigger in first.created] == [*EVENTS]
    assert {trigger.uri for trigger in first.created} == {URL}
    assert (first.kept, first.updated, first.others) == ((), (), ())
    second = subscriptions.connect(URL)
    assert (second.created, second.updated, second.others) == ((), (), ())
    assert second.kept == first.created == subscriptions.triggers()


def test_triggers_of_others_are_left_alone(subscriptions: Subscriptions, server: ApiServer) -> None:
    api.create_trigger("https://example.com/x", "upload", **server.sdk)
    theirs = subscriptions.triggers()
    assert subscriptions.connect(URL).others == theirs
    report = subscriptions.connect(f"poll://{CHANNEL}")
    assert {trigger.uri for trigger in report.others} == {URL, "https://example.com/x"}
    assert theirs[0] in subscriptions.triggers()


def test_what_is_missing_is_added(subscriptions: Subscriptions) -> None:
    subscriptions.connect(URL, ["upload"])
    report = subscriptions.connect(URL, ["upload", "delete"])
    assert [trigger.event_type for trigger in report.created] == ["delete"]
    assert [trigger.event_type for trigger in report.kept] == ["upload"]


def test_one_trigger_for_everything_covers_each(subscriptions: Subscriptions) -> None:
    assert len(subscriptions.connect(URL, ["all"]).created) == 1
    assert subscriptions.connect(URL).created == ()


def test_a_former_address_is_replaced(subscriptions: Subscriptions) -> None:
    former = subscriptions.connect("https://old.example.com/webhook").created
    report = subscriptions.connect(URL, former=["https://old.example.com/webhook"])
    assert [trigger.id for trigger in report.updated] == [trigger.id for trigger in former]
    assert report.created == ()
    assert {trigger.uri for trigger in subscriptions.triggers()} == {URL}


def upload(server: ApiServer, *names: str) -> None:
    """Have something to tell of."""
    for name in names:
        uploader.upload(jpeg(), public_id=name, **server.sdk)


def test_a_polled_message_is_signed_and_stays_until_acknowledged(
    subscriptions: Subscriptions, server: ApiServer
) -> None:
    report = subscriptions.connect(f"poll://{CHANNEL}")
    assert {trigger.uri for trigger in report.created} == {"poll://faces"}
    upload(server, "ann")
    (message,) = subscriptions.poll(CHANNEL, wait=0, visibility=600)
    assert message.body
    assert json.loads(message.body)["public_id"] == "ann"
    secret = KEY.secret
    assert signing.sign_notification(message.body, message.timestamp, secret) == message.signature
    assert subscriptions.poll(CHANNEL, wait=0) == []
    upload(server, "bea")
    (message,) = subscriptions.poll(CHANNEL, wait=0, visibility=1)
    (again,) = subscriptions.poll(CHANNEL, wait=20)
    assert again.body == message.body
    subscriptions.acknowledge([again.receipt_handle])
    assert subscriptions.poll(CHANNEL, wait=0) == []


def test_a_poller_acknowledges_what_was_taken(
    subscriptions: Subscriptions, server: ApiServer
) -> None:
    subscriptions.connect(f"poll://{CHANNEL}")
    upload(server, "ann", "bea", "cleo")
    delivered: list[str] = []

    def deliver(signed: list[Signed]) -> list[bool]:
        names = [json.loads(body)["public_id"] for body, _, _ in signed]
        delivered.extend(names)
        return [name != "bea" or delivered.count("bea") > 1 for name in names]

    poller = Poller(subscriptions, CHANNEL, deliver, wait=20, visibility=1)
    assert [poller.turn(), poller.turn()] == [3, 1]
    assert subscriptions.poll(CHANNEL, wait=1) == []
    assert delivered == ["ann", "bea", "cleo", "bea"]


def test_a_poller_runs_until_it_is_stopped(subscriptions: Subscriptions, server: ApiServer) -> None:
    subscriptions.connect(f"poll://{CHANNEL}")
    stop = threading.Event()
    delivered: list[Signed] = []

    def deliver(signed: list[Signed]) -> list[bool]:
        delivered.extend(signed)
        if len(delivered) == 2:
            stop.set()
        return [True] * len(signed)

    thread = threading.Thread(
        target=Poller(subscriptions, CHANNEL, deliver, wait=1).run, args=[stop]
    )
    thread.start()
    upload(server, "ann", "bea")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert subscriptions.poll(CHANNEL, wait=0) == []


def message(handle: str, payload: object) -> dict[str, object]:
    """A message as the service sends it."""
    return {
        "receipt_handle": handle, "payload": {}, "signed_payload": payload,
        "signature": "s", "timestamp": "1",
    }  # fmt: skip


@pytest.mark.parametrize("payload", ["", None, "a", "in valid", "ünlesbar", 7])
def test_what_cannot_be_read_is_acknowledged_and_not_delivered(
    stage: Stage, payload: object
) -> None:
    good = base64.urlsafe_b64encode(b'{"a":"\xff?"}').decode().rstrip("=")
    stage.script = [Reply(body={"messages": [message("bad", payload), message("good", good)]})]
    delivered: list[Signed] = []

    def deliver(signed: list[Signed]) -> list[bool]:
        delivered.extend(signed)
        return [False]

    assert Poller(on(stage), CHANNEL, deliver).turn() == 2
    assert delivered == [(b'{"a":"\xff?"}', "1", "s")]
    assert json.loads(stage.asked[1].body) == {"receipt_handles": ["bad"]}


def test_an_empty_answer_has_no_messages(stage: Stage) -> None:
    stage.script = [Reply(body={})]
    assert on(stage).poll(CHANNEL) == []
    asked = stage.asked[0]
    assert asked.path == "/v2/notifications/demo/messages"
    assert asked.query["wait_seconds"] == ["20"]


def test_many_receipts_go_in_several_calls(stage: Stage) -> None:
    on(stage).acknowledge([f"r{number}" for number in range(201)])
    counts = [len(json.loads(request.body)["receipt_handles"]) for request in stage.asked]
    assert counts == [100, 100, 1]


@pytest.mark.parametrize("trouble", [Unavailable("the disk is full"), ZeroDivisionError()])
def test_nothing_is_acknowledged_while_it_cannot_be_taken(
    stage: Stage, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stage.script = [Reply(body={"messages": [message("r", "YQ")]})] * 2
    stop = threading.Event()
    tries: list[int] = []

    def deliver(signed: list[Signed]) -> list[bool]:
        tries.append(len(signed))
        if len(tries) == 1:
            raise trouble
        stop.set()
        return [True]

    pauses: list[float] = []
    Poller(on(stage), CHANNEL, deliver, pause=lambda _, seconds: pauses.append(seconds)).run(stop)
    assert tries == [1, 1]
    assert len(pauses) == 1
    assert [request.method for request in stage.asked] == ["GET", "GET", "POST"]
    assert caplog.records


def test_pauses_grow_while_nothing_works(stage: Stage) -> None:
    stop = threading.Event()
    pauses: list[float] = []

    def pause(_: threading.Event, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            stop.set()

    def deliver(_: list[Signed]) -> list[bool]:
        raise Unavailable

    stage.script = [Reply(body={"messages": [message("r", "YQ")]})] * 9
    Poller(on(stage), CHANNEL, deliver, pause=pause).run(stop)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
