"""One queue of SQS: letters in and out, ten at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from facelabel.adapters.aws import aws_errors
from facelabel.adapters.aws.sqs_messages import BATCH, Letter, batches
from facelabel.adapters.aws.table import chunks
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
            if aws_errors.code(error).rpartition(".")[2] not in _LOST:
                raise
            return False
        return True

    def _all(self, operation: str, entries: Sequence[Mapping[str, Any]]) -> None:
        failed = self._call(operation, Entries=entries).get("Failed", [])
        if failed:
            name = failed[0]["Code"]
            trouble = aws_errors.by_code(name, self._title, failed[0].get("Message", ""))
            raise trouble or Unavailable(f"{self._title}: {len(failed)} letters failed: {name}")

    def _call(self, operation: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        with aws_errors.translated(self._title):
            return getattr(self._client, operation)(QueueUrl=self._url, **request)


def _entries(letters: Iterable[Letter]) -> list[dict[str, Any]]:
    return [
        {"Id": str(at), "ReceiptHandle": letter.receipt_handle} for at, letter in enumerate(letters)
    ]
