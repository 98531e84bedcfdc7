"""Being told of changes by an account on Cloudinary: which triggers are ours, and where they go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.adapters.cloudinary.own_triggers import Connection, OwnTriggers
from facelabel.cloudinary.notifications import PATHS
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facelabel.adapters.cloudinary.subscriptions import Report, Trigger
    from facelabel.bootstrap.remote import Remote
    from facelabel.settings import Settings

#: File of the data folder.
NOTES = "triggers.json"
_POLL = "poll://"


@dataclass(slots=True)
class Triggers:
    """The triggers of an account, sorted by whose they are."""

    #: Ours, and where we were last connected.
    ours: list[Trigger] = field(default_factory=list)
    #: Ours, and elsewhere: nobody listens there any more.
    dead: list[Trigger] = field(default_factory=list)
    #: At an address of our settings, and not noted as ours: perhaps an earlier version made them.
    probable: list[Trigger] = field(default_factory=list)
    #: Somebody else's.
    others: list[Trigger] = field(default_factory=list)

    @property
    def maybe(self) -> Counter[str]:
        """Addresses where a Facelabel may listen, ours or another, with how many go there."""
        return Counter(
            one.uri
            for one in (*self.probable, *self.others)
            if one.uri.startswith(_POLL) or one.uri.endswith(PATHS)
        )


class Connector:
    """Connects this installation with an account, and tells its own triggers from others'."""

    def __init__(self, remote: Remote, settings: Settings) -> None:
        """Nothing is asked of the account yet."""
        self._subscriptions = remote.subscriptions
        self._own = OwnTriggers(settings.data / NOTES, remote.client.account.cloud_name)
        self._channel, self._url = settings.poll_channel, settings.public_url.rstrip("/")

    @property
    def connected(self) -> str:
        """Where notifications go since we last connected; "" where we never did."""
        return self._own.read().uri

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where we listen by the settings."""
        channel = (f"{_POLL}{self._channel}",) if self._channel else ()
        return (*channel, *(addresses(self._url) if self._url else ()))

    def triggers(self) -> Triggers:
        """What there is; changes nothing."""
        noted, found = self._own.read(), Triggers()
        for trigger in self._subscriptions.triggers():
            if trigger.uri == noted.uri:
                found.ours.append(trigger)
            elif trigger.id in noted.ids:
                found.dead.append(trigger)
            elif trigger.uri in self.addresses:
                found.probable.append(trigger)
            else:
                found.others.append(trigger)
        return found

    def connect(self, *, poll: bool, former: Iterable[str] = ()) -> Report:
        """Have changes told to us; what of ours goes elsewhere is pointed here, or removed.

        ``former``: addresses or channels whose triggers are ours, too. Raises Rejected where it is
        not known at which address, or in which channel.
        """
        uri = self._target(poll=poll)
        report = self._subscriptions.connect(uri, own=self._own.read().ids, former=_all(former))
        made = (*report.created, *report.updated, *report.kept)
        self._own.write(Connection(uri, tuple(trigger.id for trigger in made if trigger.id)))
        return report

    def remove(self, former: Iterable[str] = ()) -> tuple[Trigger, ...]:
        """Delete all triggers that are ours, and those that go to a former address of ours."""
        noted = self._own.read()
        uris = (*filter(None, [noted.uri]), *_all(former))
        removed = self._subscriptions.remove(noted.ids, uris)
        if noted != Connection():
            self._own.write(Connection())
        return removed

    def _target(self, *, poll: bool) -> str:
        if poll and not self._channel:
            raise Rejected(
                "which channel? Any word will do: set poll_channel (FACELABEL_POLL_CHANNEL)"
            )
        if not poll and not self._url:
            raise Rejected(
                "at which address does Cloudinary reach `facelabel serve`? Set public_url, such as"
                " https://faces.example.com; without one, `facelabel connect --poll`"
            )
        return f"{_POLL}{self._channel}" if poll else self._url + PATHS[0]


def addresses(former: str) -> tuple[str, ...]:
    """Where triggers may go that were made for a public address or a channel."""
    former = former.rstrip("/")
    if former.startswith(_POLL) or former.endswith(PATHS):
        return (former,)
    if "://" not in former:
        return (f"{_POLL}{former}",)
    return tuple(former + path for path in PATHS)


def _all(former: Iterable[str]) -> Sequence[str]:
    return [uri for one in former for uri in addresses(one)]
