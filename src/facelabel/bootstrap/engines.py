"""Face models as the settings want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.bootstrap.core import limits
from facelabel.engine.engines import EngineOptions, Engines
from facelabel.errors import NotFound

if TYPE_CHECKING:
    from facelabel.engine.engines import Notice, Progress
    from facelabel.recognition.ports import Ledger, Recognizer
    from facelabel.settings import Settings


def build(settings: Settings, progress: Progress, notice: Notice) -> Engines:
    """Face engines by model name; nothing is loaded yet."""
    return Engines(
        settings.pack,
        settings.models,
        settings.data / "calibration",
        EngineOptions(limits(settings), settings.max_faces, settings.threads, settings.device),
        progress=progress,
        notice=notice,
    )


def live_model(ledger: Ledger, recognizer: Recognizer) -> str | None:
    """What the live collection was made with; None where there is none, or it is elsewhere."""
    live = ledger.collection()
    try:
        return recognizer.model(live) if live else None
    except NotFound:
        return None
