"""What a worker spends on small photos with one face, and what two workers gain.

    python benchmarks/small_photos.py DATA [--pack NAME ...] [--json]

DATA is the folder with ``portraits``: a hundred people are learnt from ``gallery``, then the
photos of ``probe`` and ``strangers`` are uploaded and worked by ``facelabel worker --once``, a
process of its own, as users run it: queue, SQLite, originals, names. Its CPU time (user and
system, all threads) is what counts, less that of a worker with nothing to do. What the engine
takes for the same photos is measured beside it, in this process; the rest is around the model.
Two workers at once are measured by the clock against one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from facelabel import actions
from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.portraits import Portrait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.settings import Settings

    Row = dict[str, str | float]

#: The least of so many turns counts.
TURNS = 3
FACELABEL = (sys.executable, "-m", "facelabel")


def main() -> None:
    """Measure each pack and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--pack", nargs="+", default=["opencv-zoo", "mobilefacenet"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [_measured(options.data, pack) for pack in options.pack]
    print(json.dumps(rows, indent=2)) if options.json else _show(rows)


def _measured(data: Path, pack: str) -> Row:
    photos = sorted([*(data / "portraits/probe").glob("*.jpg"), *_strangers(data)])
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "FACELABEL_DATA": folder, "FACELABEL_PACK": pack}
        settings = configuration.load({"data": Path(folder), "pack": pack})
        _learn(sorted((data / "portraits/gallery").glob("*.jpg")), settings)
        idle = min(_cpu(environment) for _ in range(TURNS))
        alone, together, cpu = [], [], []
        for turn in range(TURNS):
            _upload(photos, f"{settings.face_recognition_folder}/alone{turn}", environment)
            start = time.perf_counter()
            cpu.append(_cpu(environment) - idle)
            alone.append(time.perf_counter() - start)
            _upload(photos, f"{settings.face_recognition_folder}/together{turn}", environment)
            together.append(_clock_of_two(environment))
        engine = _engine_alone(photos, settings)
    worker = 1000 * min(cpu) / len(photos)
    return {
        "pack": pack,
        "worker, CPU ms a photo": worker,
        "of it the engine": engine,
        "around it": worker - engine,
        "photos a second, one worker": len(photos) / min(alone),
        "two workers, times one": min(alone) / min(together),
    }


def _strangers(data: Path) -> Sequence[Path]:
    return list((data / "portraits/strangers").glob("*.jpg"))


def _learn(portraits: Sequence[Path], settings: Settings) -> None:
    with opened(settings) as app:
        added = [
            actions.add_portrait(app, Portrait(str(path), path.stem)).asset_id for path in portraits
        ]
        actions.work(app, added)


def _upload(photos: Sequence[Path], folder: str, environment: Mapping[str, str]) -> None:
    _run("upload", "--folder", folder, *map(str, photos), environment=environment)


def _cpu(environment: Mapping[str, str]) -> float:
    """CPU seconds of a worker that works what is due."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run("worker", "--once", environment=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _clock_of_two(environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    workers = [_worker(environment) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    return time.perf_counter() - start


def _worker(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*FACELABEL, "worker", "--once"], env=environment, stdout=subprocess.DEVNULL
    )


def _run(*arguments: str, environment: Mapping[str, str]) -> None:
    subprocess.run([*FACELABEL, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


def _engine_alone(photos: Sequence[Path], settings: Settings) -> float:
    """CPU ms a photo of the engine, with nothing around it."""
    images = [path.read_bytes() for path in photos]
    with opened(settings) as app:
        engine = app.engines(None)
        engine.analyse(images[0])
        times = []
        for _ in range(TURNS):
            start = time.process_time()
            for image in images:
                engine.analyse(image)
            times.append(time.process_time() - start)
    return 1000 * min(times) / len(images)


def _show(rows: Sequence[Row]) -> None:
    table = Table("what", *(str(row["pack"]) for row in rows))
    for what in list(rows[0])[1:]:
        table.add_row(what, *(f"{row[what]:.1f}" for row in rows))
    Console().print(table)


if __name__ == "__main__":
    main()
