"""The outbox: follows changes of the library up, in the transaction of the change.

Pictures are looked at by the same jobs that a notification of Cloudinary's asks for. Whoever
subscribed is told in Cloudinary's words, signed like Cloudinary's, over HTTP, by a job that is
retried, or fetches it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from facelabel.adapters.store.library import channels
from facelabel.adapters.store.library.channels import POLL, Signed
from facelabel.adapters.store.sql import schema
from facelabel.cloudinary import notifications, signing
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.core.names import ERROR_KEY
from facelabel.errors import ConfigurationError
from facelabel.media.types import ChangeKind, DocumentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.jobs import StoreQueue
    from facelabel.core.clock import Clock
    from facelabel.core.model import Json
    from facelabel.media.types import ApiKey, AssetChange, Change

_DOCUMENT = schema.document.c
#: Made once: it is asked with every change.
_TRIGGERS = (
    select(_DOCUMENT.body)
    .where(_DOCUMENT.kind == DocumentKind.TRIGGER)
    .order_by(_DOCUMENT.position)
)


_ABOUT_FOLDERS = frozenset({
    ChangeKind.MOVE_FOLDER, ChangeKind.CREATE_FOLDER, ChangeKind.DELETE_FOLDER
})  # fmt: skip


def requests(change: Change, change_id: str) -> Iterator[JobRequest]:
    """The jobs that a change calls for: those that the notifications of it would ask for.

    ``change_id`` tells this change from all others: each change of tags is a job of its own.
    """
    if change.kind is ChangeKind.MOVE_FOLDER:
        yield JobRequest(JobKind.FOLDER, change.to_path)
    if change.kind in _ABOUT_FOLDERS:
        return
    for number, one in enumerate(change.assets):
        asset = one.before if change.kind is ChangeKind.DELETE else one.after
        if asset is None or asset.resource_type != "image":
            continue
        if change.kind is ChangeKind.CONTEXT and not _concerns(one):
            continue
        if change.kind is ChangeKind.TAGS and (one.added_tags or one.removed_tags):
            tags: Json = {"added": [*one.added_tags], "removed": [*one.removed_tags]}
            payload = {"asset_id": asset.asset_id} | tags
            yield JobRequest(JobKind.TAGS, f"{change_id}:{number}", payload)
        else:
            yield JobRequest(JobKind.ASSET, asset.asset_id)


def _concerns(one: AssetChange) -> bool:
    """Whether more changed in the context than why the picture was refused, which we wrote."""
    before = one.before.context if one.before else {}
    after = one.after.context if one.after else {}
    return {key for key, _ in {*before.items()} ^ {*after.items()}} != {ERROR_KEY}


@dataclass(frozen=True, slots=True)
class Outbox:
    """Follows every change up: what a local library is built with."""

    queue: StoreQueue
    clock: Clock
    _: KW_ONLY
    #: The active keys, the oldest first; that one signs.
    keys: Callable[[], Sequence[ApiKey]]
    cloud_name: str
    #: Where the library's files are delivered from.
    base_url: str
    fixed_folders: bool
    #: Whether pictures that changed are to be looked at; else only subscribers are told.
    follows_up: bool = False

    def __call__(self, connection: Connection, change: Change, /) -> None:
        """Put everything that a change calls for into its own transaction."""
        jobs = [*requests(change, uuid.uuid4().hex)] if self.follows_up else []
        urls = _destinations(connection, change)
        told = self._notifications(change) if urls else []
        for url in urls:
            if url.startswith(POLL):
                batch, now = change.origin.batch_id, self.clock.now()
                channels.add(connection, url.removeprefix(POLL), told, now, batch)
            else:
                jobs += [_notify_job(one, url) for one in told]
        self.queue.enqueue_all_in(connection, jobs)

    def _notifications(self, change: Change) -> list[Signed]:
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


def _signed(content: Json, timestamp: str, key: ApiKey) -> Signed:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Signed(body, timestamp, signing.sign_notification(body, timestamp, key.secret))


def _destinations(connection: Connection, change: Change) -> list[str]:
    """Where to send it: URLs given with the call stand in for triggers that are not additive."""
    own = change.origin.notification_urls
    subscribed = [
        trigger["uri"]
        for trigger in connection.execute(_TRIGGERS).scalars()
        if trigger["event_type"] in {"all", change.kind} and (not own or trigger.get("additive"))
    ]
    return list(dict.fromkeys([*own, *subscribed]))


def _notify_job(told: Signed, url: str) -> JobRequest:
    payload: Json = {
        "url": url,
        "body": told.body.decode(),
        "timestamp": told.timestamp,
        "signature": told.signature,
    }
    return JobRequest(JobKind.NOTIFY, uuid.uuid4().hex, payload)
