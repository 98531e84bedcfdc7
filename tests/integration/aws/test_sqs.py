"""What the queue and the inbox do on SQS beyond what every queue promises."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from tests.integration.aws.moto_server import client, new_queues

from facelabel.adapters.aws.leases import Receipts, Waiting
from facelabel.adapters.aws.sqs import MAX_JOB, Channel, SqsInbox, SqsQueue
from facelabel.adapters.aws.sqs_messages import MAX_BYTES, from_message, from_record, to_message
from facelabel.adapters.clock import SystemClock
from facelabel.core.jobs import JobKind, JobRequest, JobState
from facelabel.errors import ConfigurationError, QuotaExceeded, Rejected
from facelabel.media.types import Delivery

if TYPE_CHECKING:
    from facelabel.adapters.aws.table import Table
    from facelabel.core.jobs import Job

ATTRIBUTES = {"ApproximateReceiveCount": "2", "SentTimestamp": "1700000000250"}
MESSAGE_ID = "019340de-1111-7222-8333-444455556666"


@pytest.fixture
def urls() -> tuple[str, str]:
    return new_queues(most_receives=3)


@pytest.fixture
def queue(urls: tuple[str, str], table: Table) -> SqsQueue:
    return make(urls, table)


@pytest.fixture
def inbox(queue: SqsQueue, table: Table) -> SqsInbox:
    return SqsInbox(queue, Receipts(table, SystemClock()))


def make(urls: tuple[str, str], table: Table) -> SqsQueue:
    clock = SystemClock()
    waiting = Waiting(table, clock)
    return SqsQueue(client("sqs"), *urls, clock, waiting=waiting, lease=60, wait=0)


def claimed(queue: SqsQueue) -> Job:
    job = queue.claim()
    assert job is not None
    return job


def all_keys(queue: SqsQueue) -> list[str]:
    keys = []
    while job := queue.claim():
        keys.append(job.key)
        queue.finish(job)
    return sorted(keys)


# ---- messages


def test_a_job_is_read_from_its_message_and_from_lambdas_record() -> None:
    request = JobRequest(JobKind.TAGS, "Zoë \ud83d\0", {"added": ["Zoë"], "n": 1.5})
    body = to_message(request, tries=4, reason="busy")
    assert body.isascii()
    job = from_message(body, ATTRIBUTES, message_id=MESSAGE_ID, receipt_handle="r")
    assert (job.kind, job.key, job.payload) == (request.kind, request.key, request.payload)
    assert (job.tries, job.reason, job.token) == (6, "busy", "r")
    assert (job.state, job.enqueued_at) == (JobState.READY, 1_700_000_000.25)
    assert 0 < job.job_id < 2**48
    record = {
        "body": body, "attributes": ATTRIBUTES, "messageId": MESSAGE_ID, "receiptHandle": "r",
    }  # fmt: skip
    assert from_record(record) == job


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "[]", "null", "7", "{}",
        '{"kind": "asset", "key": "a"}',
        '{"kind": "shell", "key": "a", "payload": {}}',
        '{"kind": "asset", "key": "a", "payload": 7}',
        '{"kind": "asset", "key": "a", "payload": {}, "tries": "many"}',
    ],
)  # fmt: skip
def test_what_is_no_job_is_refused(body: str) -> None:
    with pytest.raises(Rejected, match=MESSAGE_ID):
        from_message(body, ATTRIBUTES, message_id=MESSAGE_ID, receipt_handle="r")


# ---- the queue


def test_a_sweep_is_sent_once_while_one_waits(queue: SqsQueue) -> None:
    for _ in range(5):
        queue.enqueue(JobKind.SWEEP, "all")
    queue.enqueue_all([JobRequest(JobKind.SWEEP, "all"), JobRequest(JobKind.ASSET, "a")])
    assert queue.pending() == 2


def test_a_sweep_asked_for_while_one_runs_is_another_one(queue: SqsQueue) -> None:
    queue.enqueue(JobKind.SWEEP, "all")
    sweep = claimed(queue)
    queue.enqueue(JobKind.SWEEP, "all")
    queue.finish(sweep)
    assert all_keys(queue) == ["all"]


def test_a_sweep_wanted_sooner_is_sent(queue: SqsQueue) -> None:
    queue.enqueue(JobKind.SWEEP, "all", delay=300)
    queue.enqueue(JobKind.SWEEP, "all", delay=300)
    queue.enqueue(JobKind.SWEEP, "all")
    assert queue.pending() == 2
    assert claimed(queue).kind is JobKind.SWEEP


def test_a_sweep_that_could_not_be_sent_is_sent_the_next_time(
    queue: SqsQueue, urls: tuple[str, str], table: Table
) -> None:
    gone = make((urls[0] + "-gone", urls[1]), table)
    with pytest.raises(ConfigurationError, match="-gone"):
        gone.enqueue(JobKind.SWEEP, "all")
    queue.enqueue(JobKind.SWEEP, "all")
    assert queue.pending() == 1


def test_long_delays_are_cut_to_what_sqs_takes(queue: SqsQueue) -> None:
    queue.enqueue(JobKind.ASSET, "a", delay=5_000)
    assert (queue.pending(), queue.claim()) == (1, None)
    queue.enqueue(JobKind.ASSET, "b")
    assert queue.retry(claimed(queue), "told to wait", 5_000, counted=False)
    queue.enqueue(JobKind.ASSET, "c")
    assert queue.retry(claimed(queue), "busy", 20_000)
    assert (queue.pending(), queue.claim()) == (3, None)


def test_jobs_are_sent_in_calls_as_large_as_sqs_takes(queue: SqsQueue) -> None:
    payload = "x" * (MAX_JOB - 100)
    queue.enqueue_all([JobRequest(JobKind.ASSET, str(n), {"p": payload}) for n in range(3)])
    queue.enqueue_all([JobRequest(JobKind.ASSET, f"small{n}") for n in range(25)])
    assert len(all_keys(queue)) == 28


class Scales:
    """A client that takes letters and notes how many came at a time."""

    def __init__(self) -> None:
        """Start with none."""
        self.batches: list[int] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: list[object]) -> dict[str, str]:  # noqa: N803 - boto3's names
        """Take some."""
        self.batches.append(len(Entries))
        return {}


def test_no_call_holds_more_than_sqs_takes() -> None:
    scales = Scales()
    half = "x" * (MAX_BYTES // 2)
    Channel(scales, "https://sqs/1/q", 0).send([half, half, half, "x", *"y" * 25])
    assert scales.batches == [2, 10, 10, 7]


def test_a_job_too_large_is_refused_and_one_with_a_long_reason_is_buried(queue: SqsQueue) -> None:
    with pytest.raises(QuotaExceeded, match="too much"):
        queue.enqueue(JobKind.ASSET, "a", {"p": "x" * MAX_JOB})
    queue.enqueue(JobKind.ASSET, "a", {"p": "x" * (MAX_JOB - 100)})
    assert queue.bury(claimed(queue), "ö" * 1_000_000 + "\0\udc80the end")
    (dead,) = queue.jobs(JobState.DEAD)
    assert dead.reason.endswith("ö\0\udc80the end")
    assert len(dead.reason) < 10_000


def test_only_some_kinds_cannot_be_had(queue: SqsQueue) -> None:
    with pytest.raises(ValueError, match="every kind"):
        queue.claim([JobKind.ASSET])


def test_a_job_that_kills_its_worker_becomes_a_dead_letter_and_comes_back(
    queue: SqsQueue, urls: tuple[str, str]
) -> None:
    queue.enqueue(JobKind.ASSET, "a", {"n": 1})
    for tries in (1, 2, 3):
        job = claimed(queue)
        assert job.tries == tries
        _expire(urls[0], job)
    assert queue.claim() is None, "SQS moves it"
    (dead,) = queue.jobs()
    assert (dead.key, dead.state, dead.token) == ("a", JobState.DEAD, None)
    assert "kills its worker" in dead.reason
    assert dead.tries >= 3
    assert queue.revive() == 1
    again = claimed(queue)
    assert (again.payload, again.tries, again.reason) == ({"n": 1}, 1, "")
    assert list(queue.jobs()) == []


def test_a_revived_job_may_die_again_with_another_reason(queue: SqsQueue) -> None:
    queue.enqueue(JobKind.ASSET, "a")
    queue.bury(claimed(queue), "no face")
    queue.revive()
    queue.bury(claimed(queue), "two faces")
    (dead,) = queue.jobs()
    assert (dead.reason, dead.tries) == ("two faces", 1)


def test_looking_at_dead_letters_changes_nothing(queue: SqsQueue) -> None:
    for key in "ab":
        queue.enqueue(JobKind.ASSET, key)
        queue.bury(claimed(queue), "because")
    before = list(queue.jobs())
    assert [list(queue.jobs()) for _ in range(4)] == [before] * 4


def test_many_dead_letters(queue: SqsQueue) -> None:
    for number in range(25):
        queue.enqueue(JobKind.ASSET, f"{number:02}")
        queue.bury(claimed(queue), "because")
    dead = queue.jobs()
    assert [job.key for job in dead] == [f"{number:02}" for number in range(25)]
    assert queue.drop([dead[24].job_id, dead[0].job_id]) == 2
    assert queue.revive() == 23
    assert len(all_keys(queue)) == 23


def test_a_message_that_is_no_job_is_put_aside(queue: SqsQueue, urls: tuple[str, str]) -> None:
    client("sqs").send_message(QueueUrl=urls[0], MessageBody="hello")
    queue.enqueue(JobKind.ASSET, "a")
    assert claimed(queue).key == "a"
    assert list(queue.jobs()) == []
    assert queue.revive() == 0
    assert queue.drop() == 1


def test_what_needs_a_job_in_hand_does_not_take_another(queue: SqsQueue) -> None:
    queue.enqueue(JobKind.ASSET, "a")
    queue.bury(claimed(queue), "because")
    (dead,) = queue.jobs()
    with pytest.raises(ValueError, match="nobody's hands"):
        queue.finish(dead)


def test_a_job_deleted_by_somebody_else_is_lost(queue: SqsQueue, urls: tuple[str, str]) -> None:
    queue.enqueue(JobKind.ASSET, "a")
    job = claimed(queue)
    client("sqs").purge_queue(QueueUrl=urls[0])
    assert not queue.heartbeat(job)
    assert not queue.retry(job, "late", 0.0)


# ---- the inbox


def delivery(name: str, *asset_ids: str) -> Delivery:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Delivery(digest, tuple(JobRequest(JobKind.ASSET, key) for key in asset_ids or (name,)))


def test_every_job_of_a_delivery_is_enqueued(inbox: SqsInbox, queue: SqsQueue) -> None:
    inbox.take([delivery("one", "a", "b"), delivery("two", "c")])
    assert all_keys(queue) == ["a", "b", "c"]


def test_nothing_to_take_is_fine(inbox: SqsInbox, queue: SqsQueue) -> None:
    inbox.take([])
    inbox.take([Delivery("0" * 64, ())])
    assert queue.pending() == 0


def test_a_notification_that_comes_again_is_dropped(inbox: SqsInbox, queue: SqsQueue) -> None:
    inbox.take([delivery("a")])
    assert all_keys(queue) == ["a"]
    inbox.take([delivery("a"), delivery("b"), delivery("a")])
    assert all_keys(queue) == ["b"]


def test_a_notification_whose_jobs_were_not_taken_comes_again(
    queue: SqsQueue, urls: tuple[str, str], table: Table
) -> None:
    receipts = Receipts(table, SystemClock())
    broken = SqsInbox(make((urls[0] + "-gone", urls[1]), table), receipts)
    with pytest.raises(ConfigurationError):
        broken.take([delivery("a")])
    SqsInbox(queue, receipts).take([delivery("a")])
    assert all_keys(queue) == ["a"]


def test_many_at_once(inbox: SqsInbox, queue: SqsQueue) -> None:
    inbox.take([delivery(str(n)) for n in range(150)])
    assert queue.pending() == 150


def _expire(url: str, job: Job) -> None:
    """Have the lease of a job end, as if its worker had died long ago."""
    client("sqs").change_message_visibility(
        QueueUrl=url, ReceiptHandle=job.token, VisibilityTimeout=0
    )


def test_a_body_is_json_that_a_person_can_read() -> None:
    body = to_message(JobRequest(JobKind.ASSET, "a", {"n": 1}))
    assert json.loads(body) == {"kind": "asset", "key": "a", "payload": {"n": 1}}
