"""Sends notifications to whoever subscribed to them, as often and as patiently as Cloudinary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from facelabel.core.jobs import Outcome, OutcomeKind
from facelabel.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import Job

#: Sent once, and again about 3, 6 and 9 minutes after the try before.
TRIES = 4
PAUSE = 180.0
#: Seconds for which a subscriber that did not answer is not waited for again: what others are to
#: be told stands behind it.
SILENCE = 60.0


class Post(Protocol):
    """Sends a body to a URL."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str], /) -> int:
        """Return the HTTP status answered; Unavailable, or Rejected for a forbidden address."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Works the jobs of kind NOTIFY."""

    post: Post
    clock: Clock
    #: Until when we believe that a subscriber, by its address, does not answer.
    _silent: dict[str, float] = field(default_factory=dict, init=False)

    def __call__(self, job: Job, /) -> Outcome:
        """Send the job's notification; any answer but a 2xx is a failure.

        Raises Unavailable with the time of the next try, Rejected after the last one.
        """
        try:
            status = self._send(job)
        except Unavailable as trouble:
            raise _failure(job, str(trouble)) from trouble
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
            raise _failure(job, f"the subscriber answered {status}")
        return Outcome(OutcomeKind.NOTIFIED)

    def _send(self, job: Job) -> int:
        payload = {name: str(value) for name, value in job.payload.items()}
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Cloudinary",
            "X-Cld-Timestamp": payload["timestamp"],
            "X-Cld-Signature": payload["signature"],
        }
        subscriber = urlsplit(payload["url"]).netloc
        if self.clock.now() < self._silent.get(subscriber, 0.0):
            raise Unavailable("the subscriber did not answer a moment ago")
        try:
            return self.post(payload["url"], payload["body"].encode(), headers)
        except Unavailable:
            self._silent[subscriber] = self.clock.now() + SILENCE
            raise


def _failure(job: Job, reason: str) -> Rejected | Unavailable:
    if job.tries >= TRIES:
        return Rejected(f"{reason}; sent {job.tries} times")
    return Unavailable(reason, retry_after=PAUSE * job.tries)
