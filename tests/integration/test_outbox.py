"""The outbox on both databases: what a change of the library sets going."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import cloudinary
import pytest
from cloudinary import utils
from sqlalchemy import insert

from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.library.transaction import Outbox, StoreMessages
from facelabel.adapters.store.sql import schema
from facelabel.core.jobs import Job, JobKind
from facelabel.core.model import Asset
from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey, AssetChange, Change, ChangeKind, DocumentKind, Origin
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Json

KEYS = [ApiKey("oldest", "old secret"), ApiKey("newest", "new secret")]
PICTURE = Asset("a" * 32, "assets/picture", "assets", 1, "jpg", 10, "0" * 64)
HOOK = "https://example.com/hook?token=secret"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(database: Database, clock: ManualClock) -> StoreQueue:
    return StoreQueue(database, clock)


@pytest.fixture
def outbox(queue: StoreQueue, clock: ManualClock) -> Outbox:
    return made(queue, clock, follows_up=True)


def made(
    queue: StoreQueue,
    clock: ManualClock,
    *,
    follows_up: bool = False,
    keys: Sequence[ApiKey] = KEYS,
) -> Outbox:
    return Outbox(
        queue, clock, keys=lambda: keys, cloud_name="local", base_url="http://127.0.0.1:8765",
        fixed_folders=False, follows_up=follows_up,
    )  # fmt: skip


def change(kind: ChangeKind = ChangeKind.UPLOAD, *notification_urls: str) -> Change:
    origin = Origin("oldest", notification_urls=notification_urls)
    return Change(kind, (AssetChange(PICTURE, PICTURE),), origin=origin)


def tell(database: Database, outbox: Outbox, what: Change) -> None:
    with database.transaction() as connection:
        outbox(connection, what)


def subscribe(database: Database, uri: str, event_type: str, **more: bool) -> None:
    body: Json = {"id": uri, "uri": uri, "event_type": event_type, **more}
    row = {"kind": DocumentKind.TRIGGER, "name": uri, "position": 1, "body": body}
    with database.transaction() as connection:
        connection.execute(insert(schema.document).values(row))


def notices(queue: StoreQueue) -> list[Job]:
    return [job for job in queue.jobs() if job.kind is JobKind.NOTIFY]


def urls(queue: StoreQueue) -> list[str]:
    return sorted(str(job.payload["url"]) for job in notices(queue))


def test_a_picture_that_changed_is_looked_at(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    tell(database, outbox, change())
    assert [(job.kind, job.key) for job in queue.jobs()] == [(JobKind.ASSET, PICTURE.asset_id)]


def test_it_is_looked_at_as_often_as_it_changes(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    for _ in range(2):  # within one tick of the clock
        tell(database, outbox, change())
        job = queue.claim()
        assert job is not None
        queue.finish(job)


def test_change_and_jobs_are_one_step(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    subscribe(database, "https://example.com", "all")

    def tell_and_fail() -> None:
        with database.transaction() as connection:
            outbox(connection, change())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tell_and_fail()
    assert queue.jobs() == []


def test_where_nobody_looks_only_subscribers_are_told(
    database: Database, queue: StoreQueue, clock: ManualClock
) -> None:
    subscribe(database, HOOK, "upload")
    tell(database, made(queue, clock), change())
    assert [job.kind for job in queue.jobs()] == [JobKind.NOTIFY]


def test_the_oldest_key_signs_and_the_official_sdk_verifies(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    subscribe(database, HOOK, "upload")
    tell(database, outbox, change())
    (job,) = notices(queue)
    body, timestamp, signature = (job.payload[name] for name in ("body", "timestamp", "signature"))
    content = json.loads(str(body))
    assert (content["notification_type"], content["signature_key"]) == ("upload", "oldest")
    cloudinary.config(cloud_name="local", api_key="oldest", api_secret=KEYS[0].secret)
    try:
        assert utils.verify_notification_signature(body, timestamp, signature, valid_for=10**10)
    finally:
        cloudinary.reset_config()


def test_without_any_key_nothing_can_be_signed(
    database: Database, queue: StoreQueue, clock: ManualClock
) -> None:
    subscribe(database, HOOK, "upload")
    outbox = made(queue, clock, follows_up=True, keys=[])
    with pytest.raises(ConfigurationError, match="key"):
        tell(database, outbox, change())
    assert queue.jobs() == []


def test_without_any_key_pictures_are_looked_at_where_nobody_is_told(
    database: Database, queue: StoreQueue, clock: ManualClock
) -> None:
    subscribe(database, HOOK, "delete")
    tell(database, made(queue, clock, follows_up=True, keys=[]), change())
    assert [(job.kind, job.key) for job in queue.jobs()] == [(JobKind.ASSET, PICTURE.asset_id)]


def test_each_change_of_tags_is_a_job_of_its_own(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    retagged = AssetChange(PICTURE, replace(PICTURE, tags=("new",)))
    for _ in range(2):  # within one tick of the clock
        tell(database, outbox, Change(ChangeKind.TAGS, (retagged,)))
    payload = {"asset_id": PICTURE.asset_id, "added": ["new"], "removed": []}
    assert [(job.kind, job.payload) for job in queue.jobs()] == [(JobKind.TAGS, payload)] * 2


def test_who_subscribed_to_what_happened_is_told(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    subscribe(database, "https://all.example", "all")
    subscribe(database, "https://upload.example", "upload")
    subscribe(database, "https://delete.example", "delete")
    tell(database, outbox, change(ChangeKind.UPLOAD))
    assert urls(queue) == ["https://all.example", "https://upload.example"]


def test_urls_given_with_a_call_stand_in_for_triggers_that_are_not_additive(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    subscribe(database, "https://plain.example", "all", additive=False)
    subscribe(database, "https://additive.example", "all", additive=True)
    tell(database, outbox, change(ChangeKind.UPLOAD, "https://own.example", "https://own.example"))
    assert urls(queue) == ["https://additive.example", "https://own.example"]


def test_a_channel_gets_a_message_instead(
    database: Database, queue: StoreQueue, clock: ManualClock, outbox: Outbox
) -> None:
    subscribe(database, "poll://faces", "upload")
    tell(database, outbox, change())
    assert notices(queue) == []
    box = StoreMessages(database, clock)
    (message,) = box.receive("faces")
    assert json.loads(json.dumps(message["payload"]))["asset_id"] == PICTURE.asset_id
    tell(database, outbox, change(ChangeKind.DELETE))
    assert box.receive("faces") == []


def test_every_asset_of_a_change_is_told_of(
    database: Database, queue: StoreQueue, outbox: Outbox
) -> None:
    subscribe(database, HOOK, "all")
    pairs = (AssetChange(None, PICTURE), AssetChange(None, PICTURE))
    tell(database, outbox, Change(ChangeKind.UPLOAD, pairs))
    assert urls(queue) == [HOOK, HOOK]
