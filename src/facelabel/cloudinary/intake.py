"""Takes a notification in: makes sure that it is Cloudinary's, and reads what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.cloudinary import notifications, signing
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.core.clock import Clock
    from facelabel.media.types import ApiKey, Delivery


#: Where notifications are taken; the second path is the original app's.
PATHS = ("/webhook", "/cloudinary-rekog")


class Unverified(Rejected):
    """The notification is not signed with a key of ours, or not of about now."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Verifies notifications and reads them; the same for the web and for polling."""

    #: Every key whose signature is accepted; asked each time, as keys may be rotated. All are
    #: tried, whichever one the body names: it is not to be believed before it is verified.
    keys: Callable[[], Sequence[ApiKey]]
    clock: Clock
    #: The only hash accepted; None takes SHA-1 and SHA-256.
    algorithm: signing.Algorithm | None = None
    #: Seconds a notification may be old, or ahead of our clock.
    window: float = signing.WINDOW
    #: Keys that never change, besides those.
    more_keys: Sequence[ApiKey] = ()

    def read(self, body: bytes, timestamp: str, signature: str) -> Delivery:
        """Return what the notification asks for.

        ``body`` is what came, byte by byte. Raises Unverified without telling what is wrong,
        Rejected for a signed body that is none of Cloudinary's.
        """
        secrets = [key.secret for key in (*self.keys(), *self.more_keys)]
        if not signing.is_notification(
            body,
            timestamp,
            signature,
            secrets=secrets,
            now=self.clock.now(),
            window=self.window,
            algorithm=self.algorithm,
        ):
            raise Unverified
        return notifications.read(body)
