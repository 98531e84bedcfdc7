"""The library of our own: store, notifications, images made of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.store.installation import Installation
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.library.originals import Originals
from facelabel.adapters.store.library.transaction import Outbox, StoreMessages
from facelabel.bootstrap.core import base_url, limits
from facelabel.cloudinary.notifications import Intake
from facelabel.media.types import ImageHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.adapters.keys import KeyRing
    from facelabel.adapters.store.jobs import StoreQueue
    from facelabel.adapters.store.sql.database import Database
    from facelabel.cloudinary.ports import Renderer
    from facelabel.core.model import Box
    from facelabel.engine.engines import Engines
    from facelabel.images import Limits
    from facelabel.media.ports import Library, MediaLibrary, Messages
    from facelabel.settings import Settings

#: Of the data folder: the pictures as they were uploaded.
ORIGINALS = "originals"


@dataclass(frozen=True, slots=True)
class Local:
    """The library of our own and what it takes to serve it."""

    #: Changes made here are followed up by jobs, and told to subscribers.
    library: MediaLibrary
    #: What the pipeline changes here is told to subscribers alone.
    for_pipeline: Library
    intake: Intake
    messages: Messages
    keys: KeyRing
    renderer: Renderer
    derived: DerivedCache
    #: Format, width and height of an image; UnreadableImage.
    inspect: Callable[[bytes], ImageHeader]
    #: Boxes of the faces of an image, as ratios of the upright image.
    detect: Callable[[bytes], Sequence[Box]]
    #: Deletes the originals that are noted to go …
    release: Callable[[], int]
    #: … and, with a look at every file, what killed processes left; returns how many.
    tidy: Callable[[], int]
    #: The data folder and the store, which belong together.
    installation: Installation
    #: The id they share.
    identity: str
    #: Where this computer's server is reached.
    base_url: str


def installation(settings: Settings, database: Database) -> Installation:
    """The data folder and the store, which may not belong together."""
    return Installation(database, settings.data, Originals(settings.data / ORIGINALS))


def kept(settings: Settings, database: Database) -> LocalLibrary:
    """The library for who only looks at it: nothing follows a change."""
    return LocalLibrary(
        database, settings.data / ORIGINALS, SystemClock(), on_change=None,
        check=_inspecting(limits(settings)), fixed_folders=settings.folder_mode == "fixed",
    )  # fmt: skip


def _inspecting(allowed: Limits) -> Callable[[bytes], ImageHeader]:
    def inspect(data: bytes) -> ImageHeader:
        """Format, width and height of an image; UnreadableImage."""
        from facelabel.images import decoding  # noqa: PLC0415 - Pillow, where a picture is read

        return ImageHeader(*decoding.inspect(data, allowed))

    return inspect


def build(
    settings: Settings,
    database: Database,
    queue: StoreQueue,
    engines: Engines,
    keys: KeyRing,
) -> Local:
    """Wire the local library; a first key is made. ForeignFolder if the folder is another's."""
    from facelabel.rendering.renderer import PillowRenderer  # noqa: PLC0415 - Pillow, NumPy

    pair = installation(settings, database)
    identity = pair.check()
    allowed, fixed = limits(settings), settings.folder_mode == "fixed"
    clock = SystemClock()
    keys.ensure()
    derived = DerivedCache(settings.data / "derived", settings.derived_mb << 20)
    intake = Intake(keys, clock, more_keys=settings.more_keys)

    check = _inspecting(allowed)

    def library(*, follows_up: bool) -> LocalLibrary:
        """The library with what follows its changes."""
        outbox = Outbox(
            queue, clock, keys=keys, cloud_name=settings.cloud_name, base_url=base_url(settings),
            fixed_folders=fixed, follows_up=follows_up,
        )  # fmt: skip
        return LocalLibrary(
            database, settings.data / ORIGINALS, clock, on_change=outbox, check=check,
            fixed_folders=fixed, on_removed=derived.drop,
        )  # fmt: skip

    media = library(follows_up=True)
    return Local(
        library=media,
        for_pipeline=library(follows_up=False),
        intake=intake,
        messages=StoreMessages(database, clock),
        keys=keys,
        renderer=PillowRenderer(allowed, engines.detect),
        derived=derived,
        inspect=check,
        detect=engines.detect,
        release=media.unused.release,
        tidy=media.unused.sweep,
        installation=pair,
        identity=identity,
        base_url=base_url(settings),
    )
