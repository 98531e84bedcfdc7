"""Messages that wait to be fetched, on both databases; the official SDK verifies them."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cloudinary
import pytest
from cloudinary import utils
from sqlalchemy import func, select

from facelabel.adapters.store.library import transaction
from facelabel.adapters.store.library.transaction import Signed, StoreMessages
from facelabel.adapters.store.sql import schema
from facelabel.cloudinary import signing
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Json

SECRET = "abcd"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(database: Database, clock: ManualClock) -> StoreMessages:
    return StoreMessages(database, clock)


def put(database: Database, clock: ManualClock, channel: str, *names: str) -> None:
    timestamp = str(int(clock.now()))
    bodies = [json.dumps({"name": name}, ensure_ascii=False).encode() for name in names]
    signed = [
        Signed(body, timestamp, signing.sign_notification(body, timestamp, SECRET))
        for body in bodies
    ]
    with database.transaction() as connection:
        transaction.add_messages(connection, channel, signed, clock.now())


def names(received: Sequence[Json]) -> list[object]:
    return [json.loads(json.dumps(message["payload"]))["name"] for message in received]


def handles(received: Sequence[Json]) -> list[str]:
    return [str(message["receipt_handle"]) for message in received]


def test_a_message_is_byte_exact_and_verified_by_the_official_sdk(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "Zoë ✨")
    (message,) = box.receive("faces")
    assert message.keys() == {
        "receipt_handle", "payload", "signed_payload", "signature", "timestamp",
    }  # fmt: skip
    assert message["payload"] == {"name": "Zoë ✨"}
    signed = str(message["signed_payload"])
    assert "=" not in signed
    body = base64.urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
    assert body == '{"name": "Zoë ✨"}'.encode()
    cloudinary.config(cloud_name="local", api_key="key", api_secret=SECRET)
    try:
        assert utils.verify_notification(message, valid_for=10**10)
        assert not utils.verify_notification({**message, "timestamp": "1"}, valid_for=10**10)
    finally:
        cloudinary.reset_config()


def test_messages_come_in_order_up_to_a_limit(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "a", "b", "c")
    put(database, clock, "others", "x")
    assert names(box.receive("faces", limit=2)) == ["a", "b"]
    assert names(box.receive("faces")) == ["c"]
    assert box.receive("nobody's") == []


def test_what_is_not_acknowledged_comes_again(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "a", "b")
    first = box.receive("faces", visibility=30)
    assert box.acknowledge(handles(first)[:1]) == [True]
    clock.sleep(29)
    assert box.receive("faces") == []
    clock.sleep(1)
    again = box.receive("faces", visibility=30)
    assert names(again) == ["b"]
    assert again[0] == first[1]
    assert box.acknowledge(handles(first)[1:]) == [True]
    clock.sleep(60)
    assert box.receive("faces") == []


def test_each_handle_is_answered_for(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "a", "b")
    one, two = handles(box.receive("faces"))
    assert box.acknowledge(["unknown", two, one, two]) == [False, True, True, True]
    assert box.acknowledge([one]) == [False]
    assert box.acknowledge([]) == []


def test_two_receivers_at_once_get_different_messages(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", *map(str, range(60)))
    start = threading.Barrier(6)

    def receive(_: int) -> list[object]:
        start.wait()
        return [name for _ in range(5) for name in names(box.receive("faces", limit=2))]

    with ThreadPoolExecutor(6) as pool:
        received = [name for some in pool.map(receive, range(6)) for name in some]
    assert sorted(received, key=str) == sorted(map(str, range(60)))


def test_a_batch_can_be_received_alone(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "a", "b")
    with database.transaction() as connection:
        last = select(func.max(schema.message.c.id)).scalar_subquery()
        connection.execute(
            schema.message.update().where(schema.message.c.id == last).values(batch_id="7")
        )
    (message,) = box.receive("", batch_id="7")
    assert (message["batch_id"], message["payload"]) == ("7", {"name": "b"})
    assert names(box.receive("faces")) == ["a"]


def test_messages_that_nobody_fetches_are_dropped_in_the_end(
    database: Database, clock: ManualClock, box: StoreMessages
) -> None:
    put(database, clock, "faces", "old")
    clock.sleep(transaction.KEPT + 1)
    put(database, clock, "faces", "new")
    put(database, clock, "faces")
    assert names(box.receive("faces")) == ["new"]
