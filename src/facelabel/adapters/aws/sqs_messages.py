"""Jobs as messages of SQS."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from facelabel.core.jobs import Job, JobKind, JobRequest, JobState
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from facelabel.core.model import Json

#: Messages of one call, and bytes of all of them: the least that SQS took in any region.
BATCH = 10
MAX_BYTES = 256 << 10
#: Characters of a reason that are kept, from its end.
_REASON = 8_000
#: Bytes of a UUID that make a job's number: short enough to be typed, and yet each its own.
_NUMBER = 6
_RECEIVED, _SENT = "ApproximateReceiveCount", "SentTimestamp"


def to_message(request: JobRequest, *, tries: int = 0, reason: str = "") -> str:
    """The body of a job's message: JSON in ASCII, as SQS does not take every character.

    ``tries``: those before this message, where they are to count.
    """
    body: Json = {"kind": str(request.kind), "key": request.key, "payload": request.payload}
    if tries:
        body["tries"] = tries
    if reason:
        body["reason"] = reason[-_REASON:]
    return json.dumps(body, separators=(",", ":"))


def batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    """The bodies, as many at a time as one call takes."""
    batch: list[str] = []
    for body in bodies:
        if len(batch) == BATCH or sum(map(len, batch)) + len(body) > MAX_BYTES:
            yield batch
            batch = []
        batch.append(body)
    if batch:
        yield batch


def from_message(
    body: str, attributes: Mapping[str, str], *, message_id: str, receipt_handle: str
) -> Job:
    """The job of a message received; Rejected if it is none.

    Args:
        body: see :func:`to_message`.
        attributes: ``ApproximateReceiveCount`` and ``SentTimestamp``, as SQS gives them.
        message_id: a UUID, stays the same; the job's number is made of it.
        receipt_handle: another one with every receipt; becomes the job's token.

    """
    try:
        data = json.loads(body)
        kind, key, payload = JobKind(data["kind"]), str(data["key"]), dict(data["payload"])
        tries, reason = int(data.get("tries", 0)), str(data.get("reason", ""))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise Rejected(f"message {message_id} is no job of ours: {error!r}") from error
    return Job(
        job_id=_number(message_id),
        kind=kind,
        key=key,
        payload=payload,
        state=JobState.READY,
        tries=tries + int(attributes[_RECEIVED]),
        run_at=0.0,
        token=receipt_handle,
        reason=reason,
        enqueued_at=int(attributes[_SENT]) / 1000,
    )


def from_record(record: Mapping[str, Any]) -> Job:
    """The job of a record as Lambda gets it; Rejected if it is none."""
    return from_message(
        record["body"],
        record["attributes"],
        message_id=record["messageId"],
        receipt_handle=record["receiptHandle"],
    )


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it was received."""

    body: str
    attributes: Mapping[str, str]
    message_id: str
    receipt_handle: str

    @property
    def job_id(self) -> int:
        """The number of its job."""
        return _number(self.message_id)

    def job(self) -> Job:
        """The job; Rejected if it is none."""
        return from_message(
            self.body,
            self.attributes,
            message_id=self.message_id,
            receipt_handle=self.receipt_handle,
        )

    def dead(self) -> Job:
        """The job of a dead letter; Rejected if it is none.

        One without a reason was moved by SQS. Looking at a dead letter is no try.
        """
        job = self.job()
        reason = job.reason or "started again and again and never finished: it kills its worker"
        tries = job.tries - int(self.attributes[_RECEIVED]) if job.reason else job.tries
        return replace(job, state=JobState.DEAD, token=None, reason=reason, tries=tries)


def _number(message_id: str) -> int:
    return int.from_bytes(uuid.UUID(message_id).bytes[:_NUMBER])
