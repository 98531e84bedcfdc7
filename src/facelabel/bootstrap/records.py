"""What is kept, for commands that only look at it: no face model, no picture is opened."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from facelabel.adapters.clock import SystemClock
from facelabel.bootstrap import data_folder
from facelabel.media.ports import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Asset
    from facelabel.recognition.ports import Ledger, Queue
    from facelabel.settings import Settings


class Pictures(Directory, Protocol):
    """What there is in the library."""

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, in a stable order, fetched page by page."""


@dataclass(frozen=True, slots=True)
class Records:
    """Ledger, queue and library of an installation."""

    settings: Settings
    ledger: Ledger
    queue: Queue
    #: None where DynamoDB is the store.
    database: Database | None

    @property
    def is_remote(self) -> bool:
        """Whether the pictures are in an account on Cloudinary, which is asked over the network."""
        return self.database is None or self.settings.on_cloudinary

    def library(self) -> Pictures:
        """The pictures; an account's SDK is loaded, where that is what has them."""
        if self.database is None or self.settings.on_cloudinary:
            from facelabel.bootstrap import remote  # noqa: PLC0415 - Cloudinary's SDK

            return remote.build(self.settings, self.queue, SystemClock()).library
        from facelabel.bootstrap import local  # noqa: PLC0415 - most of the store

        return local.kept(self.settings, self.database)


@contextmanager
def opened(settings: Settings) -> Iterator[Records]:
    """Open the store and close it afterwards.

    Raises ConfigurationError, Unavailable, and ForeignFolder if the data folder is another's.
    """
    data_folder.prepare(settings.data)
    clock = SystemClock()
    if settings.table:
        from facelabel.bootstrap import aws  # noqa: PLC0415 - Amazon's SDK

        stores = aws.build(settings, clock)
        yield Records(settings, stores.ledger, stores.queue, None)
        return
    from facelabel.adapters.store.jobs import StoreQueue  # noqa: PLC0415 - same
    from facelabel.adapters.store.ledger.ledger import StoreLedger  # noqa: PLC0415 - same
    from facelabel.adapters.store.sql.database import Database  # noqa: PLC0415 - SQLAlchemy

    with closing(Database(settings.store_url)) as database:
        if not settings.on_cloudinary:
            from facelabel.bootstrap import local  # noqa: PLC0415 - same

            local.installation(settings, database).check()
        queue = StoreQueue(database, clock, settings.lease)
        yield Records(settings, StoreLedger(database), queue, database)
