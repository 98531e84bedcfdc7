"""The account on Cloudinary, and who may speak for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.adapters.cloudinary.account import Account
from facelabel.cloudinary.notifications import Intake
from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.cloudinary.signing import Algorithm
    from facelabel.core.clock import Clock
    from facelabel.settings import Settings

ALGORITHMS: Mapping[str, Algorithm | None] = {"any": None, "sha1": "sha1", "sha256": "sha256"}


def intake(account: Account, more_keys: Sequence[ApiKey], algorithm: str, clock: Clock) -> Intake:
    """What verifies the notifications of an account on Cloudinary.

    ``more_keys`` may sign besides the account's; ``algorithm``: sha1, sha256 or any.
    """
    keys = (ApiKey(account.api_key, account.api_secret), *more_keys)
    return Intake(lambda: keys, clock, ALGORITHMS[algorithm])


def account(settings: Settings) -> Account:
    """The account on Cloudinary; ConfigurationError if none is set."""
    if settings.cloudinary_url is None:
        raise ConfigurationError("CLOUDINARY_URL is not set")
    return Account.parse(settings.cloudinary_url.get_secret_value())
