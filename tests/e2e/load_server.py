"""``facelabel serve`` with a recogniser that costs nothing: what remains is the way of a job.

Run as a program: data folder, the file in which every search is noted by its asset_id, how many
seconds a search takes, and a lease. Prints the port it listens on.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel import settings
from facelabel.bootstrap.app import opened
from facelabel.testing import MemoryRecognizer, portrait
from facelabel.web.serving import server

if TYPE_CHECKING:
    from facelabel.core.model import Asset, ProbeResult


class Noting(MemoryRecognizer):
    """Sees the same person in every picture, and notes which ones it was shown."""

    def __init__(self, notes: Path, seconds: float) -> None:
        """Append to this file; take so many seconds for each search."""
        super().__init__()
        self._seconds = seconds
        self._notes = notes.open("a", buffering=1)

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> ProbeResult:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        assert asset is not None
        self._notes.write(f"{asset.asset_id}\n")
        time.sleep(self._seconds)
        return super().identify(collection, portrait("Ann"), asset)


def main(data: Path, notes: Path, seconds: float, lease: float) -> None:
    """Serve until killed."""
    chosen = settings.load({"data": data, "host": "127.0.0.1", "port": 0, "lease": lease})
    recognizer = Noting(notes, seconds)
    recognizer.create(chosen.rekognition_collection)
    with server.bind(chosen) as listener, opened(chosen) as app:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - the test reads it
        pipeline = replace(app.pipeline, recognizer=recognizer)
        server.serve(replace(app, pipeline=pipeline), listener)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
