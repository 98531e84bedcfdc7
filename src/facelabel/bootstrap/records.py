"""What is kept, for commands that only look at it: no face model, no picture is opened.

Also for a shell that completes what somebody types.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store import known
from facelabel.bootstrap import core, data_folder
from facelabel.media.ports import Directory
from facelabel.settings import given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.label_policy import LabelPolicy
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

    @property
    def label_policy(self) -> LabelPolicy:
        """Which pictures teach and which are searched, as was agreed to."""
        return core.label_policy(self.settings).learnt_by(self.ledger.gallery().learning)

    def library(self) -> Pictures:
        """The pictures; an account's SDK is loaded, where that is what has them."""
        if self.database is None or self.settings.on_cloudinary:
            from facelabel.bootstrap import remote  # noqa: PLC0415 - Cloudinary's SDK

            settings = core.agreed_settings(self.settings, self.ledger.gallery().learning)
            return remote.build(settings, self.queue, SystemClock()).library
        from facelabel.bootstrap import local  # noqa: PLC0415 - most of the store

        return local.kept(self.settings, self.database)


@contextmanager
def opened(settings: Settings) -> Iterator[Records]:
    """Open the store and close it afterwards.

    Raises ConfigurationError, Unavailable, and ForeignFolder if the data folder is another's.
    """
    data_folder.prepare(settings.data)
    if settings.faces == "rekognition":
        _check_rekognition()
    clock = SystemClock()
    if settings.table:
        from facelabel.bootstrap import amazon  # noqa: PLC0415 - Amazon's SDK

        stores = amazon.stores(settings, clock)
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


def _check_rekognition() -> None:
    """Refuse what whoever works would: no SDK, no region.

    The SDK is slow to load, and has to be only where its own files may name the region.
    """
    from facelabel.bootstrap.core import require_amazons_sdk  # noqa: PLC0415 - of the core

    require_amazons_sdk()
    if not os.environ.get("AWS_DEFAULT_REGION"):
        from facelabel.adapters.aws.clients import check_region  # noqa: PLC0415 - Amazon's SDK

        check_region("Amazon's rekognition")


def people(flags: Mapping[str, object], beginning: str) -> list[str]:
    """Names that begin so, of those who are known; any error is passed on."""
    return known.people(_store(flags), beginning)


def public_ids(flags: Mapping[str, object], beginning: str) -> list[str]:
    """Pictures that begin so; an account on Cloudinary is not asked. Any error is passed on."""
    return known.public_ids(_store(flags), beginning)


def _store(flags: Mapping[str, object]) -> str:
    """Where the database is, by the same sources as always; the other settings are not checked."""
    found = given.settings(flags)
    if "store" in found:
        return str(found["store"].value)
    if "data" in found:
        return given.database(Path(str(found["data"].value)).expanduser())
    return given.database(given.own_folder("data"))
