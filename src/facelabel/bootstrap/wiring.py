"""The way of a picture, and who works its jobs: wired alike for server, commands and functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.bootstrap.core import label_policy
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers, one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from facelabel.bootstrap.core import Stores
    from facelabel.core.clock import Clock
    from facelabel.core.jobs import JobKind
    from facelabel.media.ports import Library
    from facelabel.recognition.live_gallery import PaidSearchPolicy
    from facelabel.recognition.ports import Recognizer
    from facelabel.recognition.worker import Handler, Hold
    from facelabel.settings import Settings


def pipeline(
    settings: Settings,
    library: Library,
    recognizer: Recognizer,
    stores: Stores,
    clock: Clock,
    *,
    paid_searches: PaidSearchPolicy | None = None,
    calibration: str = "",
) -> Pipeline:
    """The way of a picture.

    ``library``: one whose changes nobody follows up. ``paid_searches``: where they are paid for.
    ``calibration``: tells apart what similarities mean by the user's own calibrations.
    """
    rules = label_policy(settings, calibration)
    return Pipeline(library, recognizer, stores.ledger, stores.queue, clock, rules, paid_searches)


def worker(
    settings: Settings,
    way: Pipeline,
    hold: Hold | None,
    *,
    more: Mapping[JobKind, Handler] | None = None,
    kinds: Collection[JobKind] = (),
) -> Worker:
    """Who works the queue of a pipeline.

    ``hold``: a lock on an asset, where the queue may hand out two jobs about one; such a queue
    cannot choose by ``kinds``. ``more``: handlers in addition to, or instead of, the pipeline's.
    """
    every = {**handlers(way), **(more or {})}
    return Worker(
        way.queue,
        one_at_a_time(every, hold) if hold else every,
        way.clock,
        heartbeat=settings.lease / 3,
        kinds=() if hold else kinds,
    )
