"""The outbox: tells of changes of the library, in the transaction of the change.

A change is told in Cloudinary's words and signed like Cloudinary's. Our own webhook gets it in
process, verified and read as if it had come from outside; so pictures are worked in one way only.
Whoever else subscribed gets it over HTTP, by a job that is retried, or fetches it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select

from facelabel.adapters.store.library import messages
from facelabel.adapters.store.library.messages import POLL, Signed
from facelabel.adapters.store.sql import schema
from facelabel.cloudinary import notifications, signing
from facelabel.core.model import JobKind, JobRequest
from facelabel.errors import ConfigurationError
from facelabel.media.types import DocumentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.jobs.queue import StoreQueue
    from facelabel.core.model import Json
    from facelabel.media.types import ApiKey, Change, Delivery
    from facelabel.ports import Clock

_DOCUMENT = schema.document.c


class Intake(Protocol):
    """Verifies and reads a notification."""

    def read(self, body: bytes, timestamp: str, signature: str, /) -> Delivery:
        """Return what it asks for."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Tells of every change: what a local library is built with."""

    queue: StoreQueue
    clock: Clock
    _: KW_ONLY
    #: The active keys, the oldest first; that one signs.
    keys: Callable[[], Sequence[ApiKey]]
    cloud_name: str
    #: Where the library's files are delivered from.
    base_url: str
    fixed_folders: bool
    #: Our own webhook's; None where nobody here works the pictures.
    intake: Intake | None = None

    def __call__(self, connection: Connection, change: Change, /) -> None:
        """Put everything that a change calls for into its own transaction."""
        told = self._told(change)
        urls = _destinations(connection, change)
        channels = [url.removeprefix(POLL) for url in urls if url.startswith(POLL)]
        addresses = [url for url in urls if not url.startswith(POLL)]
        asked = [request for one in told for request in self._asked(one)]
        sent = [_sending(one, url) for one in told for url in addresses]
        self.queue.enqueue_all_in(connection, [*asked, *sent])
        for channel in channels:
            messages.add(connection, channel, told, self.clock.now(), change.origin.batch_id)

    def _told(self, change: Change) -> list[Signed]:
        key = next(iter(self.keys()), None)
        if key is None:
            raise ConfigurationError("there is no API key to sign notifications with")
        at = self.clock.now()
        bodies = notifications.build(
            change,
            cloud_name=self.cloud_name,
            base_url=self.base_url,
            api_key=key.key,
            at=at,
            fixed_folders=self.fixed_folders,
        )
        return [_signed(body, str(int(at)), key) for body in bodies]

    def _asked(self, told: Signed) -> Sequence[JobRequest]:
        """What our own webhook makes of it; there is no receipt, as it comes exactly once."""
        if self.intake is None:
            return ()
        return self.intake.read(told.body, told.timestamp, told.signature).requests


def _signed(content: Json, timestamp: str, key: ApiKey) -> Signed:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Signed(body, timestamp, signing.sign_notification(body, timestamp, key.secret))


def _destinations(connection: Connection, change: Change) -> list[str]:
    """Where to send it: URLs given with the call stand in for triggers that are not additive."""
    own = change.origin.notification_urls
    triggers = connection.execute(
        select(_DOCUMENT.body)
        .where(_DOCUMENT.kind == DocumentKind.TRIGGER)
        .order_by(_DOCUMENT.position)
    ).scalars()
    subscribed = [
        trigger["uri"]
        for trigger in triggers
        if trigger["event_type"] in {"all", change.kind} and (not own or trigger.get("additive"))
    ]
    return list(dict.fromkeys([*own, *subscribed]))


def _sending(told: Signed, url: str) -> JobRequest:
    payload: Json = {
        "url": url,
        "body": told.body.decode(),
        "timestamp": told.timestamp,
        "signature": told.signature,
    }
    return JobRequest(JobKind.NOTIFY, uuid.uuid4().hex, payload)
