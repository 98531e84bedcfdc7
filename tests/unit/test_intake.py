"""The way in: only what is signed by us, and of about now, is read at all."""

from __future__ import annotations

import itertools
import json

import pytest

from facelabel.cloudinary import signing
from facelabel.cloudinary.notifications import Intake, Unverified
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.errors import Rejected
from facelabel.media.types import ApiKey
from facelabel.testing import ManualClock, MemoryInbox, MemoryQueue

OLD, NEW = ApiKey("1", "old secret"), ApiKey("2", "new secret")
UPLOAD = b'{"notification_type":"upload","asset_id":"a"}'


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def intake(clock: ManualClock) -> Intake:
    return Intake(lambda: [OLD, NEW], clock)


def signed(clock: ManualClock, body: bytes, key: ApiKey = OLD, off: int = 0) -> tuple[str, str]:
    """Timestamp and signature."""
    timestamp = str(int(clock.now()) + off)
    return timestamp, signing.sign_notification(body, timestamp, key.secret)


@pytest.mark.parametrize("key", [OLD, NEW])
def test_a_notification_signed_with_any_active_key_is_read(
    intake: Intake, clock: ManualClock, key: ApiKey
) -> None:
    delivery = intake.read(UPLOAD, *signed(clock, UPLOAD, key))
    assert delivery.requests == (JobRequest(JobKind.ASSET, "a"),)


def test_the_key_that_the_body_names_is_not_believed(intake: Intake, clock: ManualClock) -> None:
    body = b'{"notification_type":"upload","asset_id":"a","signature_key":"1"}'
    assert intake.read(body, *signed(clock, body, NEW)).requests
    with pytest.raises(Unverified):
        intake.read(body, *signed(clock, body, ApiKey("1", "guessed")))


def test_a_revoked_key_is_refused_from_then_on(clock: ManualClock) -> None:
    keys = [OLD, NEW]
    intake = Intake(lambda: keys, clock)
    intake.read(UPLOAD, *signed(clock, UPLOAD, OLD))
    keys.remove(OLD)
    with pytest.raises(Unverified):
        intake.read(UPLOAD, *signed(clock, UPLOAD, OLD))


@pytest.mark.parametrize("off", [-7201, 7201, 10**9])
def test_the_past_and_the_future_are_refused(intake: Intake, clock: ManualClock, off: int) -> None:
    with pytest.raises(Unverified):
        intake.read(UPLOAD, *signed(clock, UPLOAD, off=off))


def test_who_fetches_notifications_may_take_older_ones(clock: ManualClock) -> None:
    patient = Intake(lambda: [OLD], clock, window=86_400)
    assert patient.read(UPLOAD, *signed(clock, UPLOAD, off=-86_400)).requests
    with pytest.raises(Unverified):
        patient.read(UPLOAD, *signed(clock, UPLOAD, off=-86_401))
    hasty = Intake(lambda: [OLD], clock, window=60)
    with pytest.raises(Unverified):
        hasty.read(UPLOAD, *signed(clock, UPLOAD, off=-61))


def test_no_refusal_tells_what_is_wrong(intake: Intake, clock: ManualClock) -> None:
    timestamp, signature = signed(clock, UPLOAD)
    wrong = [
        (UPLOAD, timestamp, ""),
        (UPLOAD, "", signature),
        (UPLOAD, "now", signature),
        (UPLOAD, timestamp, "0" * 40),
        (UPLOAD + b" ", timestamp, signature),
        (UPLOAD, *signed(clock, UPLOAD, off=-8000)),
    ]
    messages = set()
    for body, stamp, given in wrong:
        with pytest.raises(Unverified) as refusal:
            intake.read(body, stamp, given)
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_a_pinned_algorithm(clock: ManualClock) -> None:
    intake = Intake(lambda: [OLD], clock, algorithm="sha256")
    timestamp, weak = signed(clock, UPLOAD)
    with pytest.raises(Unverified):
        intake.read(UPLOAD, timestamp, weak)
    strong = signing.sign_notification(UPLOAD, timestamp, OLD.secret, "sha256")
    assert intake.read(UPLOAD, timestamp, strong).requests


def test_nonsense_is_refused_only_after_its_signature(intake: Intake, clock: ManualClock) -> None:
    with pytest.raises(Unverified):
        intake.read(b"nonsense", "1", "2")
    with pytest.raises(Rejected) as refusal:
        intake.read(b"nonsense", *signed(clock, b"nonsense"))
    assert not isinstance(refusal.value, Unverified)


def test_order_and_repetition_do_not_matter(intake: Intake, clock: ManualClock) -> None:
    bodies = [
        json.dumps(content).encode()
        for content in (
            {"notification_type": "upload", "asset_id": "a"},
            {"notification_type": "delete", "resources": [{"asset_id": "a"}, {"asset_id": "b"}]},
            {"notification_type": "move", "resources": {"p": {"asset_id": "b"}}},
        )
    ]
    ends = set()
    for order in itertools.permutations([*bodies, bodies[0]]):
        queue = MemoryQueue(clock)
        inbox = MemoryInbox(queue)
        for body in order:
            inbox.take([intake.read(body, *signed(clock, body))])
        ends.add(frozenset((job.kind, job.key) for job in queue.jobs()))
    assert ends == {frozenset({(JobKind.ASSET, "a"), (JobKind.ASSET, "b")})}
