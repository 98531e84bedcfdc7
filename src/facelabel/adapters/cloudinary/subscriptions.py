"""Being told of changes: triggers that call us, and a channel that we ask."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from cloudinary import api

from facelabel.core.clock import backoff
from facelabel.errors import AlreadyExists, FacelabelError, NotFound, Unavailable
from facelabel.media.types import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from facelabel.adapters.cloudinary.client import Client

    #: Body, timestamp and signature of a notification.
    Signed: TypeAlias = tuple[bytes, str, str]
    #: Verifies and enqueues; whether each was taken, or can never be.
    Deliver: TypeAlias = Callable[[list[Signed]], list[bool]]
    Pause: TypeAlias = Callable[[threading.Event, float], object]

log = logging.getLogger(__name__)

#: What changes who is to be enrolled or named.
EVENTS: tuple[str, ...] = tuple(
    kind for kind in ChangeKind if kind not in {ChangeKind.CREATE_FOLDER, ChangeKind.DELETE_FOLDER}
)
ALL = "all"
#: Receipts in one acknowledgement, at most.
RECEIPTS = 100
#: Seconds between two tries while Cloudinary, or our queue, cannot be reached.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """Where Cloudinary sends notifications of one event."""

    id: str
    uri: str
    event_type: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was done so that we are told."""

    created: tuple[Trigger, ...]
    #: Pointed elsewhere before.
    updated: tuple[Trigger, ...]
    #: Right as they were.
    kept: tuple[Trigger, ...]
    #: Of somebody else, and left alone.
    others: tuple[Trigger, ...]
    #: Of ours, to where nobody listens any more.
    removed: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A notification fetched from a channel; unless acknowledged it comes again."""

    receipt_handle: str
    #: The very bytes that were signed; None where they cannot be read.
    body: bytes | None = field(repr=False)
    timestamp: str
    signature: str


class Subscriptions:
    """The triggers and channels of an account."""

    def __init__(self, client: Client) -> None:
        """Those of the client's account."""
        self._client = client

    def triggers(self) -> tuple[Trigger, ...]:
        """Every trigger there is, whoever made it."""
        found = self._client.admin(api.triggers)
        return tuple(_trigger(raw) for raw in found.get("triggers", ()))

    def connect(
        self,
        uri: str,
        events: Iterable[str] = EVENTS,
        *,
        own: Collection[str] = (),
        former: Collection[str] = (),
    ) -> Report:
        """Have these events told to a URL, or to a channel, for :meth:`poll`.

        Doing it again changes nothing. Between two steps every event is told somewhere.

        Args:
            uri: of a webhook, or poll://channel.
            events: or ("all",), one trigger for everything.
            own: ids of triggers of ours: those that go elsewhere go to ``uri`` from now on, or are
                removed.
            former: addresses that were ours: the same for all triggers that go there.

        """
        there = self.triggers()
        kept = tuple(trigger for trigger in there if trigger.uri == uri)
        moving = [one for one in there if one not in kept and (one.id in own or one.uri in former)]
        others = tuple(one for one in there if one not in (*kept, *moving))
        covered = {trigger.event_type for trigger in kept}
        wanted = [] if ALL in covered else [event for event in events if event not in covered]
        updated, removed = [], []
        for trigger in moving:
            # One that is fetched cannot become one that is posted, nor the other way round.
            if trigger.event_type in wanted and _is_polled(trigger.uri) == _is_polled(uri):
                updated.append(self._pointed(trigger, uri))
                wanted.remove(trigger.event_type)
            else:
                removed.append(trigger)
        created = tuple(self._created(uri, event) for event in wanted)
        for trigger in removed:
            self._delete(trigger)
        return Report(created, tuple(updated), kept, others, tuple(removed))

    def remove(self, own: Collection[str], uris: Collection[str]) -> tuple[Trigger, ...]:
        """Delete the triggers of these ids, and those that go to these addresses; return them."""
        ours = [one for one in self.triggers() if one.id in own or one.uri in uris]
        for trigger in ours:
            self._delete(trigger)
        return tuple(ours)

    def poll(
        self, channel: str, *, limit: int = 50, wait: float = 20.0, visibility: float = 120.0
    ) -> list[Message]:
        """Fetch up to ``limit`` (100) messages, waiting for the first up to ``wait`` (60) seconds.

        They are hidden from others for ``visibility`` (600) seconds, or until acknowledged.
        """
        answer = self._client.poll(
            api.notifications,
            channel,
            max_messages=limit,
            wait_seconds=int(wait),
            visibility_timeout=int(visibility),
            wait=wait,
        )
        return [_message(raw) for raw in answer.get("messages", ())]

    def acknowledge(self, receipt_handles: Sequence[str]) -> None:
        """Have messages deleted; those that are gone are no error."""
        for at in range(0, len(receipt_handles), RECEIPTS):
            some = list(receipt_handles[at : at + RECEIPTS])
            self._client.poll(api.ack_notifications, some, wait=0.0)

    def _pointed(self, trigger: Trigger, uri: str) -> Trigger:
        raw = self._client.admin(api.update_trigger, trigger.id, uri)
        return _trigger({"id": trigger.id, "event_type": trigger.event_type, "uri": uri, **raw})

    def _created(self, uri: str, event: str) -> Trigger:
        uri_type = "poll" if _is_polled(uri) else None
        try:
            raw = self._client.admin(api.create_trigger, uri, event, uri_type=uri_type)
        except AlreadyExists:  # the answer to a first try was lost
            raw = {}
        return _trigger({"uri": uri, "event_type": event, **raw})

    def _delete(self, trigger: Trigger) -> None:
        with suppress(NotFound):  # the answer to a first try was lost
            self._client.admin(api.delete_trigger, trigger.id)


class Poller:
    """Fetches notifications, hands them over, and acknowledges those that are safe."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        channel: str,
        deliver: Deliver,
        *,
        wait: float = 20.0,
        visibility: float = 120.0,
        pause: Pause = threading.Event.wait,
    ) -> None:
        """``deliver``: True for each that was taken or can never be, so that it comes no more.

        ``wait``: seconds that one request waits for a message, and stopping may take.
        ``visibility``: seconds after which what was not acknowledged comes again. ``pause``:
        waits so many seconds, or until told to stop.
        """
        self._subscriptions = subscriptions
        self._channel = channel
        self._deliver = deliver
        self._wait = wait
        self._visibility = visibility
        self._pause = pause

    def run(self, stop: threading.Event) -> None:
        """Go on until told to stop; while nothing works, try again, less and less often."""
        failures = 0
        while not stop.is_set():
            try:
                self.turn()
                failures = 0
            except FacelabelError as error:
                failures += 1
                seconds = _seconds(failures, error)
                log.warning("notifications are not fetched, again in %.0f s: %s", seconds, error)
                self._pause(stop, seconds)
            except Exception:  # a bug, which may be the machine's: this thread has to go on
                failures += 1
                log.exception("notifications are not fetched")
                self._pause(stop, LONGEST_PAUSE)

    def turn(self) -> int:
        """Fetch once and hand over what came; returns how many messages."""
        messages = self._subscriptions.poll(
            self._channel, wait=self._wait, visibility=self._visibility
        )
        readable = [m for m in messages if m.body is not None]
        done = [m.receipt_handle for m in messages if m.body is None]
        if done:
            log.warning("%d notifications could not be read and are dropped", len(done))
        if readable:
            taken = self._deliver([(m.body or b"", m.timestamp, m.signature) for m in readable])
            done += [m.receipt_handle for m, ok in zip(readable, taken, strict=True) if ok]
        self._subscriptions.acknowledge(done)
        return len(messages)


def _seconds(failures: int, error: FacelabelError) -> float:
    asked = error.retry_after if isinstance(error, Unavailable) else None
    # Unspread: there is one poller for a channel.
    return asked or backoff(failures, FIRST_PAUSE, LONGEST_PAUSE, lambda: 0.5)


def _is_polled(uri: str) -> bool:
    return uri.startswith("poll://")


def _trigger(raw: dict[str, Any]) -> Trigger:
    return Trigger(
        str(raw.get("id", "")),
        str(raw.get("uri", "")),
        str(raw.get("event_type", "")),
    )


def _message(raw: dict[str, Any]) -> Message:
    return Message(
        str(raw.get("receipt_handle", "")),
        _decoded(raw.get("signed_payload")),
        str(raw.get("timestamp", "")),
        str(raw.get("signature", "")),
    )


def _decoded(text: object) -> bytes | None:
    """Base64 for URLs, without its padding."""
    try:
        padded = str(text) + "=" * (-len(str(text)) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True) if text else None
    except (binascii.Error, ValueError):
        return None
