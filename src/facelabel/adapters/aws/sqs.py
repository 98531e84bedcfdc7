"""Jobs and notifications on SQS: a queue, and a queue of dead letters.

A message is a job as JSON. What SQS cannot do, and what is done instead:

* It knows no keys: a job asked for twice is two messages. They are harmless, because a job only
  says what to look at. Workers keep off each other by :class:`~.leases.AssetLocks`; sweeps, which
  every job asks for, are sent once while one waits, see :class:`~.leases.Waiting`.
* It hands out in no order, any kind of job, and at times one job twice.
* What waits cannot be listed, only counted, and the count lags: :meth:`SqsQueue.jobs` lists the
  dead letters.
* It counts every receipt as a try: a try that is not to count goes back as a new message.
* A delay is whole seconds, 900 at most.

A lease is a visibility timeout. A job whose worker dies again and again is moved to the dead
letters by SQS itself (its redrive policy), so ``maxReceiveCount`` has to be more than the tries
of the worker.

A :class:`Channel` is one queue of SQS: letters in and out, ten at a time.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from facelabel.adapters.aws import clients
from facelabel.adapters.aws.sqs_messages import BATCH, Letter, batches, to_message
from facelabel.adapters.aws.table import chunks
from facelabel.core.clock import RetryPolicy
from facelabel.core.jobs import Job, JobKind, JobRequest, JobState
from facelabel.errors import QuotaExceeded, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.model import Json
    from facelabel.media.types import Delivery

log = logging.getLogger(__name__)

#: Bytes of a job, which leaves room in a message for its reason.
MAX_JOB = 192 << 10
#: Seconds.
_LONGEST_DELAY = 900
_LONGEST_LEASE = 43_200
#: Seconds for which dead letters are out of other people's sight while they are gone through.
_PEEK = 300
#: Waiting, waiting for their delay to end, in somebody's hands.
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)
#: What SQS says of a letter that somebody else has now, or nobody.
_LOST = {
    "InvalidParameterValue",  # older than the 12 hours that a letter may be in hand
    "MessageNotInflight",
    "ReceiptHandleIsInvalid",
}


class WaitingJobs(Protocol):
    """Knows of jobs that wait; see :class:`facelabel.adapters.aws.leases.Waiting`."""

    def note(self, kind: JobKind, key: str, due: float) -> bool:
        """Whether a job due at that time has to be sent."""

    def sent(self, kind: JobKind, key: str, due: float) -> None:
        """Note that it was sent."""

    def clear(self, kind: JobKind, key: str) -> None:
        """Note that a job begins."""


class KnownReceipts(Protocol):
    """Knows notifications; see :class:`facelabel.adapters.aws.leases.Receipts`."""

    def known(self, digests: Iterable[str]) -> frozenset[str]:
        """Those of the digests that were noted."""

    def note(self, digests: Iterable[str]) -> None:
        """Know these from now on."""


class SqsQueue:
    """The queue on SQS: :class:`facelabel.recognition.ports.Queue` as far as SQS goes."""

    #: Over two hours or so: each try starts a function, which is paid for.
    retries = RetryPolicy(first=30.0, longest=1800.0, tries=8)

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - botocore makes its classes at run time
        url: str,
        dead_url: str,
        clock: Clock,
        *,
        waiting: WaitingJobs,
        lease: float = 360.0,
        wait: int = 1,
    ) -> None:
        """Use the queue and the one of dead letters at these URLs.

        ``lease``: seconds, rounded up. ``wait``: seconds that SQS waits for a message; with none
        it may say that there is none where there is.
        """
        self._jobs = Channel(client, url, wait)
        self._dead = Channel(client, dead_url, wait)
        self._clock = clock
        self._waiting = waiting
        self._lease = math.ceil(lease)

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """Promise a job; on return it is in the queue. A sweep that waits already is enough."""
        self._send([JobRequest(kind, key, payload or {})], min(delay, _LONGEST_DELAY))

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """Promise several jobs, ten in a call; fails part way if SQS does."""
        # Of several alike the newest counts.
        self._send(list({(one.kind, one.key): one for one in requests}.values()), 0.0)

    def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
        """Lease a job, counting the try; None if there is none.

        Raises ValueError for some ``kinds`` only: SQS cannot choose.
        """
        if kinds:
            raise ValueError("a queue on SQS hands out jobs of every kind")
        while letters := self._jobs.receive(1, self._lease):
            try:
                job = letters[0].job()
            except Rejected as rejection:
                self._put_aside(letters[0], rejection)
                continue
            return replace(self.begin(job), run_at=self._clock.now() + self._lease)
        return None

    def begin(self, job: Job) -> Job:
        """Note that a job received begins now; who asks for it from now on asks for another."""
        if job.kind is JobKind.SWEEP:
            self._waiting.clear(job.kind, job.key)
        return job

    def heartbeat(self, job: Job) -> bool:
        """Extend the lease; False if it was lost."""
        return self._jobs.hide(_token(job), self._lease)

    def finish(self, job: Job) -> bool:
        """Delete a done job; SQS does not tell whether the lease was lost."""
        return self._jobs.delete(_token(job))

    def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
        """Give the job back, to be claimed again after ``delay`` seconds.

        The reason is lost. False if the lease was lost.
        """
        if counted:
            return self._jobs.hide(_token(job), min(math.ceil(delay), _LONGEST_LEASE))
        again = to_message(_request(job), tries=job.tries - 1, reason=reason)
        self._jobs.send([again], min(math.ceil(delay), _LONGEST_DELAY))
        return self._jobs.delete(_token(job))

    def bury(self, job: Job, reason: str) -> bool:
        """Move the job to the dead letters, with its reason."""
        self._dead.send([to_message(_request(job), tries=job.tries, reason=reason)])
        return self._jobs.delete(_token(job))

    def pending(self, kinds: Collection[JobKind] = ()) -> int:
        """About how many jobs of whatever kind wait or run."""
        del kinds
        return sum(self._jobs.counts())

    def next_due(self) -> float | None:
        """Now, if a job is due: SQS tells of no times, only how many wait.

        Of those that wait for their delay to end, a sweep most often, the latest possible time.
        """
        visible, delayed, _ = self._jobs.counts()
        if visible:
            return self._clock.now()
        return self._clock.now() + _LONGEST_DELAY if delayed else None

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """Dead letters, the oldest first; what waits or runs cannot be listed.

        They are out of sight of others meanwhile, and so are those that somebody else lists.
        """
        if state is JobState.READY:
            return []
        letters: list[Letter] = []
        try:
            for batch in self._dead.all(_PEEK):
                letters += batch
                if len(letters) >= limit:
                    break
            dead = map(Letter.dead, filter(_readable, letters))
            return sorted(dead, key=lambda job: job.enqueued_at)[:limit]
        finally:
            self._dead.show(letters)

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """Send dead jobs (all, without ids) again, with no tries; returns how many."""

        def send_again(letters: Sequence[Letter]) -> list[Letter]:
            """Send those that can be read as new messages; return them."""
            readable = [letter for letter in letters if _readable(letter)]
            self._jobs.send(to_message(_request(letter.job())) for letter in readable)
            return readable

        return self._settle(job_ids, send_again)

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """Delete dead jobs (all, without ids); returns how many."""
        return self._settle(job_ids, list)

    def _put_aside(self, letter: Letter, rejection: Rejected) -> None:
        """Move a letter that is no job to the dead letters, where nothing reads it."""
        log.error("%s", rejection)
        self._dead.send([letter.body])
        self._jobs.delete(letter.receipt_handle)

    def _send(self, requests: Iterable[JobRequest], delay: float) -> None:
        due = self._clock.now() + delay
        news = [one for one in requests if self._is_news(one, due)]
        sweeps = [one for one in news if one.kind is JobKind.SWEEP]
        try:
            self._jobs.send(map(_body, news), math.ceil(delay))
        except Exception:
            for one in sweeps:
                self._waiting.clear(one.kind, one.key)
            raise
        for one in sweeps:
            self._waiting.sent(one.kind, one.key, due)

    def _is_news(self, request: JobRequest, due: float) -> bool:
        """Whether it has to be sent; a sweep does not while one waits that starts as soon."""
        return request.kind is not JobKind.SWEEP or self._waiting.note(
            request.kind, request.key, due
        )

    def _settle(
        self, job_ids: Iterable[int] | None, settle: Callable[[list[Letter]], list[Letter]]
    ) -> int:
        """Settle the chosen dead letters and delete what is settled; leave the others."""
        wanted = None if job_ids is None else set(job_ids)
        count = 0
        others: list[Letter] = []
        try:
            for some in self._dead.all(_PEEK):
                chosen = [one for one in some if wanted is None or one.job_id in wanted]
                settled = settle(chosen)
                others += [one for one in some if one not in settled]
                self._dead.delete_all(settled)
                count += len(settled)
        finally:
            self._dead.show(others)
        return count


class SqsInbox:
    """Takes notifications into a queue; implements :class:`facelabel.cloudinary.ports.Inbox`."""

    def __init__(self, queue: SqsQueue, receipts: KnownReceipts) -> None:
        """Enqueue what has no receipt yet."""
        self._queue = queue
        self._receipts = receipts

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Enqueue the jobs of each delivery that did not come before; on return SQS has them.

        The receipt is written last: whoever dies before it loses nothing, and the notification
        that comes again is then enqueued twice, as are two alike at the same moment.
        """
        known = self._receipts.known(one.digest for one in deliveries)
        new = {one.digest: one for one in deliveries if one.digest not in known}
        self._queue.enqueue_all([request for one in new.values() for request in one.requests])
        self._receipts.note(new)


def _request(job: Job) -> JobRequest:
    return JobRequest(job.kind, job.key, job.payload)


def _token(job: Job) -> str:
    """The receipt of a job in hand."""
    if job.token is None:
        raise ValueError(f"job {job.job_id} is in nobody's hands")
    return job.token


def _body(request: JobRequest) -> str:
    body = to_message(request)
    if len(body) > MAX_JOB:
        raise QuotaExceeded(f"{request.kind} {request.key}: a job of {len(body)} bytes is too much")
    return body


def _readable(letter: Letter) -> bool:
    try:
        letter.job()
    except Rejected as rejection:
        log.warning("a dead letter is passed over: %s", rejection)
        return False
    return True


class Channel:
    """A queue by its URL; may be shared between threads."""

    def __init__(self, client: Any, url: str, wait: int) -> None:  # noqa: ANN401 - botocore makes its classes at run time
        """``wait``: seconds that SQS waits for a letter before it says that there is none."""
        self._client = client
        self._url = url
        self._wait = wait
        self._title = f"the SQS queue {url.rpartition('/')[2]!r}"

    def send(self, bodies: Iterable[str], delay: int = 0) -> None:
        """Send letters; Unavailable if SQS did not take them all."""
        for some in batches(bodies):
            entries = [
                {"Id": str(at), "MessageBody": body, "DelaySeconds": delay}
                for at, body in enumerate(some)
            ]
            self._all("send_message_batch", entries)

    def receive(self, limit: int, hidden: int) -> list[Letter]:
        """Up to ``limit`` letters (10 at most), nobody else's for so many seconds."""
        answer = self._call(
            "receive_message",
            MaxNumberOfMessages=min(limit, BATCH),
            VisibilityTimeout=hidden,
            WaitTimeSeconds=self._wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [
            Letter(found["Body"], found["Attributes"], found["MessageId"], found["ReceiptHandle"])
            for found in answer.get("Messages", [])
        ]

    def all(self, hidden: int) -> Iterator[list[Letter]]:
        """Every letter there is to be had, some at a time; see :meth:`receive`."""
        while some := self.receive(BATCH, hidden):
            yield some

    def hide(self, receipt_handle: str, seconds: int) -> bool:
        """Let nobody else have the letter for so long; False if it is not ours any more."""
        return self._ours(
            "change_message_visibility",
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=seconds,
        )

    def delete(self, receipt_handle: str) -> bool:
        """Delete a letter; False if SQS says that it is not ours any more."""
        return self._ours("delete_message", ReceiptHandle=receipt_handle)

    def show(self, letters: Sequence[Letter]) -> None:
        """Let others have these; whatever is not ours any more they have already."""
        for some in chunks(letters, BATCH):
            entries = [{**entry, "VisibilityTimeout": 0} for entry in _entries(some)]
            self._call("change_message_visibility_batch", Entries=entries)

    def delete_all(self, letters: Sequence[Letter]) -> None:
        """Delete letters; Unavailable if SQS did not delete them all."""
        for some in chunks(letters, BATCH):
            self._all("delete_message_batch", _entries(some))

    def counts(self) -> tuple[int, ...]:
        """About how many letters wait, wait for their delay to end, and are in hand."""
        answer = self._call("get_queue_attributes", AttributeNames=[*_COUNTS])
        return tuple(int(answer["Attributes"][name]) for name in _COUNTS)

    def _ours(self, operation: str, **request: str | int) -> bool:
        try:
            self._call(operation, **request)
        except ClientError as error:
            if clients.Refusal.of(error).code.rpartition(".")[2] not in _LOST:
                raise
            return False
        return True

    def _all(self, operation: str, entries: Sequence[Mapping[str, Any]]) -> None:
        failed = self._call(operation, Entries=entries).get("Failed", [])
        if failed:
            first = clients.Refusal(failed[0]["Code"], message=failed[0].get("Message", ""))
            raise first.meaning_for_store(self._title) or Unavailable(
                f"{self._title}: {len(failed)} letters failed: {first.code}"
            )

    def _call(self, operation: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        with clients.translated(self._title):
            return getattr(self._client, operation)(QueueUrl=self._url, **request)


def _entries(letters: Iterable[Letter]) -> list[dict[str, Any]]:
    return [
        {"Id": str(at), "ReceiptHandle": letter.receipt_handle} for at, letter in enumerate(letters)
    ]
