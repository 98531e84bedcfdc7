"""What the Python API adds to the face models: one session beside the engine alone.

    python benchmarks/api.py DATA [--pack NAME] [--pictures 100] [--rounds 5] [--json]

DATA is the folder with ``portraits`` and ``groups``. The people of ``portraits/gallery`` are
learnt; then the same bytes are looked at in three ways: by the engine alone (``analyse``: decode,
detect, embed), by :meth:`Session.identify`, and by the call ``facelabel.identify``, which opens
everything anew. Two sets of pictures: ``portraits/probe``, of 40,000 pixels, where the models take
least and what is around them counts most; and ``groups``, photos of up to 12 megapixels. Engine
and session go through a set in turns, and of each picture the round with the least time counts:
CPU time is user and system, of all threads.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.table import Table

import facelabel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel import Session

    Row = dict[str, str | float]

T = TypeVar("T")

#: Pictures that the call is shown which opens everything anew.
FEW = 10


@dataclass(frozen=True)
class Spent:
    """Milliseconds."""

    cpu: float
    clock: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--pack", default="opencv-zoo")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sets = {
        "portraits": sorted((options.data / "portraits/probe").glob("*.jpg")),
        "photos": sorted((options.data / "groups").glob("*.jpg")),
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = facelabel.load_settings(data=Path(folder), pack=options.pack, device="cpu")
        rows = []
        with facelabel.open(settings) as faces:
            gallery = sorted((options.data / "portraits/gallery").glob("*.jpg"))
            faces.index([facelabel.Portrait(str(path), path.stem) for path in gallery])
            for name, paths in sets.items():
                cycle = itertools.islice(itertools.cycle(paths), options.pictures)
                images = [path.read_bytes() for path in cycle]
                rows.append({"set": name, **_measured(faces, images, options.rounds)})
        for row, paths in zip(rows, sets.values(), strict=True):
            anew = _spent(lambda path: facelabel.identify(path, settings=settings), paths[:FEW])
            row["facelabel.identify, clock"] = statistics.median(one.clock for one in anew)
    print(json.dumps(rows, indent=2)) if options.json else _show(rows)
    return 0


def _measured(faces: Session, images: Sequence[bytes], rounds: int) -> Row:
    ways: dict[str, Callable[[bytes], object]] = {
        "engine": faces._active().engine().analyse,  # noqa: SLF001 - what is around it is measured
        "session": faces.identify,
    }
    for way in ways.values():
        way(images[0])
    taken: dict[str, list[list[Spent]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(_spent(way, images))
    row: Row = {"pictures": len(images)}
    for measure in ("cpu", "clock"):
        least = {
            name: statistics.fmean(
                min(getattr(one, measure) for one in picture)
                for picture in zip(*taken[name], strict=True)
            )
            for name in ways
        }
        row |= {f"{name}, {measure}": milliseconds for name, milliseconds in least.items()}
        row[f"added, {measure}, %"] = 100 * (least["session"] / least["engine"] - 1)
    return row


def _spent(way: Callable[[T], object], images: Sequence[T]) -> list[Spent]:
    """What each picture of a loop took."""
    spent = []
    for image in images:
        cpu, clock = time.process_time(), time.perf_counter()
        way(image)
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        spent.append(Spent(1000 * cpu, 1000 * clock))
    return spent


def _show(rows: Sequence[Row]) -> None:
    table = Table("ms a picture", *(str(row["set"]) for row in rows))
    for what in list(rows[0])[1:]:
        table.add_row(what, *(f"{row[what]:.1f}" for row in rows))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
