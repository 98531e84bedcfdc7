"""One change of the library: what is written, followed up and told, in one transaction.

Pictures are looked at by the same jobs that a notification of Cloudinary's asks for. Whoever
subscribed is told in Cloudinary's words, signed like Cloudinary's: over HTTP, by a job that is
retried; or fetches it, as from Cloudinary's poll://channel. Such a message is hidden for a while
once it is handed out, and comes again if nobody acknowledged it meanwhile. Its receipt handle stays
the same: a receiver that was slow, but did its work, may still say so.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import uuid
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sqlalchemy import delete, insert, select, true, update

from facelabel.adapters.store.library import asset_rows
from facelabel.adapters.store.library.asset_edits import changes_by_kind, in_fixed_folder
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.adapters.store.sql.schema import message
from facelabel.cloudinary import notifications, signing
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.core.names import ERROR_KEY
from facelabel.errors import AlreadyExists, ConfigurationError
from facelabel.media.types import NOBODY, AssetChange, AssetKey, Change, ChangeKind, DocumentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, RowMapping

    from facelabel.adapters.store.jobs import StoreQueue
    from facelabel.adapters.store.library.originals import UnusedOriginals
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Asset, Json
    from facelabel.media.types import ApiKey, Origin


#: An asset before and after an edit.
Pair: TypeAlias = "tuple[Asset, Asset]"
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
#: Begins the URL of a destination that is polled; the rest is its channel.
POLL = "poll://"
#: Seconds after which a message that nobody acknowledged is dropped.
KEPT = 3 * 86_400.0


class OnChange(Protocol):
    """Told of every change, inside its transaction."""

    def __call__(self, connection: Connection, change: Change, /) -> None:
        """Follow the change up, for example with a job that commits together with it."""


@dataclasses.dataclass
class LibraryTransaction:
    """A transaction that holds the library's lock."""

    connection: Connection
    now: float
    origin: Origin
    on_change: OnChange | None
    #: Whether an asset's folder is a part of its public_id.
    fixed_folders: bool
    #: Originals that may have lost their last user.
    freed: set[str] = dataclasses.field(default_factory=set)

    def store(self, before: Asset | None, after: Asset) -> Asset:
        """Write an uploaded asset and tell of it."""
        (stored,), changes = self._write([(before, after)])
        if changes:
            self.emit(ChangeKind.UPLOAD, changes)
        return stored

    def edit(self, edits: Sequence[Pair], *, overwrite: bool = False) -> tuple[Asset, ...]:
        """Write edited assets and tell of every aspect that changed.

        Raises AlreadyExists if a new name is taken, unless who has it may be overwritten.
        """
        if self.fixed_folders:
            edits = [(before, in_fixed_folder(before, after)) for before, after in edits]
        self._make_way(edits, overwrite=overwrite)
        edited, changes = self._write(edits)
        for kind, concerned in changes_by_kind(changes):
            if not (kind is ChangeKind.MOVE and self.fixed_folders):  # it is a rename there
                self.emit(kind, concerned)
        return edited

    def move(self, edits: Iterable[Pair], from_path: str, to_path: str) -> None:
        """Write assets whose folder was moved, and tell of the folder.

        They are worked out and written some at a time: who is silent for long in the middle of a
        change is given up by PostgreSQL.
        """
        changes = [change for some in batches(edits) for change in self._write(some)[1]]
        self.emit(ChangeKind.MOVE_FOLDER, changes, from_path, to_path)

    def delete(self, gone: Sequence[Asset]) -> None:
        """Delete assets and tell of it."""
        changes = tuple(AssetChange(asset, None) for asset in gone)
        if changes:
            asset_rows.write(self.connection, changes)
            self.freed.update(asset.etag for asset in gone)
            self.emit(ChangeKind.DELETE, changes)

    def emit(
        self,
        kind: ChangeKind,
        changes: Sequence[AssetChange] = (),
        from_path: str = "",
        to_path: str = "",
    ) -> None:
        """Tell who wants to know."""
        if self.on_change:
            change = Change(kind, tuple(changes), from_path, to_path, self.origin)
            self.on_change(self.connection, change)

    def _write(
        self, edits: Sequence[tuple[Asset | None, Asset]]
    ) -> tuple[tuple[Asset, ...], tuple[AssetChange, ...]]:
        """Write what differs; return all assets as they now are, and the real changes."""
        after, changes = [], []
        for old, new in edits:
            placed = in_fixed_folder(old, new) if self.fixed_folders else new
            if placed != old:
                placed = dataclasses.replace(placed, updated_at=self.now)
                changes.append(AssetChange(old, placed))
                if old and old.etag != placed.etag:
                    self.freed.add(old.etag)
            after.append(placed)
        asset_rows.write(self.connection, changes)
        return tuple(after), tuple(changes)

    def _make_way(self, edits: Sequence[Pair], *, overwrite: bool) -> None:
        """See to it that the new names are free."""
        keys = [(AssetKey.of(before), AssetKey.of(after)) for before, after in edits]
        renamed = [new for old, new in keys if new != old]
        if len(set(renamed)) < len(renamed):
            raise AlreadyExists(f"two assets cannot both be {renamed[0].public_id!r}")
        for key in renamed:
            holder = asset_rows.named(self.connection, key)
            if holder and not overwrite:
                raise AlreadyExists(f"there is an asset {key.public_id!r} already")
            if holder:
                self.delete([holder])


class Steps:
    """Begins changes: one at a time, and what a change leaves without a user goes after it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        unused: UnusedOriginals,
        on_change: OnChange | None,
        *,
        fixed_folders: bool,
    ) -> None:
        """``fixed_folders``: whether an asset's folder is a part of its public_id."""
        self._database = database
        self._clock = clock
        self._unused = unused
        self._on_change = on_change
        self._fixed_folders = fixed_folders

    @contextmanager
    def begin(self, origin: Origin = NOBODY) -> Iterator[LibraryTransaction]:
        """A change that commits at the end of the block; until then it holds the library's lock."""
        with self._database.transaction(alone=LOCK) as connection:
            now, fixed = self._clock.now(), self._fixed_folders
            step = LibraryTransaction(connection, now, origin, self._on_change, fixed)
            yield step
            freed = self._unused.note(connection, step.freed) if step.freed else []
        if freed:
            self._unused.remove(freed)


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
        # URLs given with the call stand in for triggers that are not additive.
        own = change.origin.notification_urls
        subscribed = [
            trigger["uri"]
            for trigger in connection.execute(_TRIGGERS).scalars()
            if trigger["event_type"] in {"all", change.kind}
            and (not own or trigger.get("additive"))
        ]
        urls = list(dict.fromkeys([*own, *subscribed]))
        told = self._notifications(change) if urls else []
        for url in urls:
            if url.startswith(POLL):
                batch, now = change.origin.batch_id, self.clock.now()
                add_messages(connection, url.removeprefix(POLL), told, now, batch)
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


def _notify_job(told: Signed, url: str) -> JobRequest:
    payload: Json = {
        "url": url,
        "body": told.body.decode(),
        "timestamp": told.timestamp,
        "signature": told.signature,
    }
    return JobRequest(JobKind.NOTIFY, uuid.uuid4().hex, payload)


@dataclass(frozen=True, slots=True)
class Signed:
    """A notification ready to go out."""

    body: bytes
    #: Seconds since the epoch, decimal.
    timestamp: str
    signature: str


class StoreMessages:
    """Messages in the database; implements :class:`facelabel.media.ports.Messages`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Hand out the messages of this database."""
        self._database = database
        self._clock = clock

    def receive(
        self, channel: str, *, batch_id: str = "", limit: int = 10, visibility: float = 30.0
    ) -> Sequence[Json]:
        """Hand out messages, hidden from others for ``visibility`` seconds, the oldest first.

        Of the channel, of the batch, or of both, where given.
        """
        now = self._clock.now()
        waiting = (
            select(message.c.id)
            .where(
                message.c.channel == channel if channel else true(),
                message.c.batch_id == batch_id if batch_id else true(),
                message.c.visible_at <= now,
            )
            .order_by(message.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            if connection.execute(waiting).first() is None:
                return []  # without the lock that writing takes, however often somebody asks
        free = waiting.with_for_update(skip_locked=True)
        claim = update(message).where(message.c.id.in_(free.scalar_subquery()))
        # Not waited for: what a power cut takes back is handed out again.
        with self._database.transaction(durable=False) as connection:
            claimed = connection.execute(
                claim.values(visible_at=now + visibility).returning(message)
            ).mappings()
            return [_message(row) for row in sorted(claimed, key=lambda row: int(row["id"]))]

    def acknowledge(self, receipt_handles: Sequence[str]) -> Sequence[bool]:
        """Delete messages; whether each was there."""
        there: set[str] = set()
        with self._database.transaction() as connection:
            forgetting.note(connection)
            for some in batches(sorted(set(receipt_handles))):
                gone = delete(message).where(message.c.handle.in_(some)).returning(message.c.handle)
                there.update(connection.execute(gone).scalars())
        return [handle in there for handle in receipt_handles]


def add_messages(
    connection: Connection, channel: str, told: Sequence[Signed], now: float, batch_id: str = ""
) -> None:
    """Put notifications into a channel, in the caller's transaction; drop its forgotten ones.

    ``batch_id``: that of the call they tell of, by which they can be asked for too.
    """
    is_forgotten = (message.c.channel == channel, message.c.visible_at < now - KEPT)
    connection.execute(delete(message).where(*is_forgotten))
    if told:
        rows = [
            {
                "handle": uuid.uuid4().hex,
                "channel": channel,
                "batch_id": batch_id,
                "signed_payload": base64.urlsafe_b64encode(one.body).rstrip(b"=").decode(),
                "signature": one.signature,
                "timestamp": int(one.timestamp),
                "visible_at": now,
                "created_at": now,
            }
            for one in told
        ]
        connection.execute(insert(message), rows)


def _message(row: RowMapping) -> Json:
    signed = str(row["signed_payload"])
    body = base64.urlsafe_b64decode(signed + "=" * (-len(signed) % 4))
    batch: Json = {"batch_id": row["batch_id"]} if row["batch_id"] else {}
    return {
        "receipt_handle": row["handle"],
        **batch,
        "payload": json.loads(body),
        "signed_payload": signed,
        "signature": row["signature"],
        "timestamp": str(row["timestamp"]),
    }
