"""What a worker spends on small photos with one face, and what two workers gain.

    python benchmarks/small_photos.py DATA [--pack NAME ...] [--json]

DATA is the folder with ``portraits``: a hundred people are learnt from ``gallery``, then the
photos of ``probe`` and ``strangers`` are uploaded and worked by ``facelabel worker --once``, a
process of its own, as users run it: queue, SQLite, originals, names. Its CPU time (user and
system, all threads) is what counts, less that of a worker with one photo to work: starting and
loading the models. What the engine takes for the same photos is measured beside it, in this
process; the rest is around the model, and with it what the engine loses to caches that others
fill. So the rest is also measured by itself: by a worker in this process whose engine has seen the
same bytes before and answers at once. Two workers at once are measured by the clock against one,
less what it takes them to start, each photo three times.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from rich.console import Console
from rich.table import Table

from facelabel import actions
from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.engine.engine import Engine
from facelabel.inputs.portraits import Portrait

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Analysis
    from facelabel.settings import Settings

    Row = dict[str, str | float]

#: The least of so many turns counts.
TURNS = 3
#: Times that each photo is worked in a turn.
COPIES = 3
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
        turns = [_turn(photos, f"assets/{turn}", environment) for turn in range(TURNS)]
        engine, rest = _engine_alone(photos, settings), _rest_alone(photos, settings)
    cpu, alone, together = (min(column) for column in zip(*turns, strict=True))
    worker = 1000 * cpu
    return {
        "pack": pack,
        "worker, CPU ms a photo": worker,
        "of it the engine": engine,
        "around it": worker - engine,
        "the rest by itself": rest,
        "photos a second, one worker": 1 / alone,
        "two workers, times one": alone / together,
    }


def _turn(
    photos: Sequence[Path], folder: str, environment: Mapping[str, str]
) -> tuple[float, float, float]:
    """Seconds a photo: CPU of a worker, one worker by the clock, two by the clock."""
    one = photos[:1]
    _upload(one, f"{folder}/start", environment)
    start = _run_workers(1, environment)
    _upload(one, f"{folder}/start of two", environment)
    start_of_two = _run_workers(2, environment)
    _upload_all(photos, f"{folder}/alone", environment)
    alone = _run_workers(1, environment)
    _upload_all(photos, f"{folder}/together", environment)
    together = _run_workers(2, environment)
    more = COPIES * len(photos) - 1
    return (
        (alone.cpu - start.cpu) / more,
        (alone.clock - start.clock) / more,
        (together.clock - start_of_two.clock) / more,
    )


def _strangers(data: Path) -> Sequence[Path]:
    return list((data / "portraits/strangers").glob("*.jpg"))


def _learn(portraits: Sequence[Path], settings: Settings) -> None:
    with opened(settings) as app:
        added = [
            actions.add_portrait(app, Portrait(str(path), path.stem)).asset_id for path in portraits
        ]
        actions.work(app, added)


def _upload_all(photos: Sequence[Path], folder: str, environment: Mapping[str, str]) -> None:
    for copy in range(COPIES):
        _upload(photos, f"{folder}/{copy}", environment)


def _upload(photos: Sequence[Path], folder: str, environment: Mapping[str, str]) -> None:
    _run("upload", "--folder", folder, *map(str, photos), environment=environment)


@dataclass(frozen=True)
class Spent:
    """What workers took, in seconds, until nothing was left."""

    cpu: float
    clock: float


def _run_workers(count: int, environment: Mapping[str, str]) -> Spent:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [*FACELABEL, "worker", "--once"]
    workers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(count)
    ]
    assert [worker.wait() for worker in workers] == [0] * count
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock)


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


def _rest_alone(photos: Sequence[Path], settings: Settings) -> float:
    """CPU ms a photo of a worker whose engine has seen each of them before."""
    known: dict[bytes, Analysis] = {}
    look = Engine.analyse

    def analyse(engine: Engine, image: bytes) -> Analysis:
        if image not in known:
            known[image] = look(engine, image)
        return known[image]

    times = []
    with opened(settings) as app, mock.patch.object(Engine, "analyse", analyse):
        for turn in range(TURNS + 1):  # the first is to see them
            for at, path in enumerate(photos):
                name = f"assets/rest/{turn}/{at}"
                app.library.upload(path.read_bytes(), folder="assets", public_id=name)
            worker, start = app.worker(), time.process_time()
            worker.drain()
            times.append(time.process_time() - start)
    return 1000 * min(times[1:]) / len(photos)


def _show(rows: Sequence[Row]) -> None:
    table = Table("what", *(str(row["pack"]) for row in rows))
    for what in list(rows[0])[1:]:
        table.add_row(what, *(f"{row[what]:.1f}" for row in rows))
    Console().print(table)


if __name__ == "__main__":
    main()
