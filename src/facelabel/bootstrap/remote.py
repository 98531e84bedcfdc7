"""Pictures on Cloudinary: the account, its notifications, and how to be told of changes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.client import Client, install
from facelabel.adapters.cloudinary.library import CloudinaryLibrary, delivery_hosts
from facelabel.adapters.cloudinary.subscriptions import Poller, Report, Subscriptions, Trigger
from facelabel.adapters.enqueuing_library import EnqueuingLibrary
from facelabel.bootstrap.core import limits
from facelabel.cloudinary.notifications import Intake, Unverified
from facelabel.errors import ConfigurationError, Rejected

__all__ = ["Remote", "Report", "Trigger", "build"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from facelabel.cloudinary.ports import Inbox
    from facelabel.core.clock import Clock
    from facelabel.media.ports import EditableLibrary, Library
    from facelabel.media.types import Delivery
    from facelabel.recognition.ports import Queue
    from facelabel.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that one call, or one download, may take.
CALL_SECONDS = 60.0
#: Seconds a notification may have waited in a channel: its age says nothing where we fetch it
#: ourselves, from Cloudinary and with our key.
POLL_WINDOW = 30 * 86_400.0
#: Where Cloudinary itself delivers from; another host is the user's own choice, wherever it is.
_PUBLIC = ".cloudinary.com"


@dataclass(frozen=True, slots=True)
class Remote:
    """An account on Cloudinary."""

    #: Changes made here are followed up by jobs.
    library: EditableLibrary
    for_pipeline: Library
    intake: Intake
    subscriptions: Subscriptions
    client: Client

    def tidy(self) -> int:
        """Nothing of ours lies around."""
        return 0

    def poller(self, channel: str, inbox: Inbox) -> Poller:
        """What fetches notifications from a channel and takes them in."""
        patient = replace(self.intake, window=POLL_WINDOW)
        return Poller(self.subscriptions, channel, lambda signed: _taken_in(patient, inbox, signed))


def build(settings: Settings, queue: Queue, clock: Clock) -> Remote:
    """Wire the account; nothing is asked of it yet. ConfigurationError if none is set."""
    if settings.cloudinary_url is None:
        raise ConfigurationError("CLOUDINARY_URL is not set")
    account = Account.parse(settings.cloudinary_url.get_secret_value())
    install()
    client = Client(account, timeout=CALL_SECONDS, clock=clock)
    library = CloudinaryLibrary(
        client,
        _download(settings, account),
        clock,
        transformation=settings.transformation_params,
        folder_mode=settings.folder_mode,
    )
    return Remote(
        library=EnqueuingLibrary(library, queue),
        for_pipeline=library,
        intake=account.intake(settings.more_keys, settings.signature_algorithm, clock),
        subscriptions=Subscriptions(client),
        client=client,
    )


def _download(settings: Settings, account: Account) -> Callable[[str], bytes]:
    from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - most commands fetch nothing

    hosts = delivery_hosts(account)
    own = not all((urlsplit(f"//{host}").hostname or "").endswith(_PUBLIC) for host in hosts)
    fetcher = Fetcher(
        max_bytes=limits(settings).bytes,
        timeout=CALL_SECONDS,
        allowed_hosts=hosts,
        allow_private=own,
    )
    return lambda url: fetcher.fetch(url).data


def _taken_in(intake: Intake, inbox: Inbox, signed: list[tuple[bytes, str, str]]) -> list[bool]:
    """Whether each message need not come again."""
    read = [_read(intake, *message) for message in signed]
    inbox.take([delivery for delivery in read if not isinstance(delivery, bool)])
    return [delivery is not False for delivery in read]


def _read(intake: Intake, body: bytes, timestamp: str, signature: str) -> Delivery | bool:
    """The message; True if it can never be read, False if another key may verify it one day."""
    try:
        return intake.read(body, timestamp, signature)
    except Unverified:
        log.warning("a notification of the channel is not signed with a key of ours; it stays")
        return False
    except Rejected as rejection:
        log.warning("a notification of the channel cannot be read: %s", rejection)
        return True
