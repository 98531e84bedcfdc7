"""What commands cost before they do anything: CPU time, time by the clock, memory.

    python benchmarks/startup.py [PHOTO] [--before SOURCES] [--turns 9]

Each command is started as a shell does it, in a data folder with 200 people and 1,000 pictures;
names are completed among 5,000 people and 50,000 pictures. They are rows in the database, and one
file is the original of all. With PHOTO also `identify`, which needs face models in the cache.
SOURCES: a folder with another version of the package, which takes turns with this one. The least
of all turns is told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCES = Path(__file__).parents[1] / "src"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one start."""

    seconds: float
    cpu: float
    megabytes: float


def fill(folder: Path, people: int, pictures: int) -> None:
    """Make a data folder: people known by one portrait each, and pictures with long names.

    In a process of its own: to the peak of a process counts that of who started it.
    """
    from sqlalchemy import select  # noqa: PLC0415 - see above

    from facelabel.adapters.clock import SystemClock  # noqa: PLC0415
    from facelabel.adapters.store.library.library import LocalLibrary  # noqa: PLC0415
    from facelabel.adapters.store.sql import schema  # noqa: PLC0415
    from facelabel.adapters.store.sql.database import Database  # noqa: PLC0415
    from facelabel.media.types import ImageHeader  # noqa: PLC0415

    folder.mkdir(mode=0o700)
    portraits = [
        {"collection": "live", "asset_id": f"p{n}", "public_id": f"training/{n}", "version": 1,
         "digest": str(n), "person": f"Person {n:05}", "face_id": str(n)}
        for n in range(people)
    ]  # fmt: skip
    with closing(Database(f"sqlite:///{folder / 'facelabel.db'}")) as database:
        library = LocalLibrary(
            database, folder / "originals", SystemClock(), on_change=None,
            check=lambda _: ImageHeader("jpg", 1, 1),
        )  # fmt: skip
        first = library.upload(b"one file for all", folder="assets", filename="picture.jpg")
        with database.transaction() as connection:
            row = connection.execute(select(schema.asset)).mappings().one()
            assets = [
                {**row, "asset_id": f"{n:032x}", "public_id": f"{first.public_id} {n:05}"}
                for n in range(1, pictures)
            ]
            connection.execute(schema.asset.insert(), assets)
            connection.execute(schema.enrolment.insert(), portraits)
            connection.execute(schema.gallery.update().values(collection="live"))


def completing(line: str) -> dict[str, str]:
    """What Zsh's script says: both versions understand it."""
    words = line.split(" ")
    return {
        "_FACELABEL_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)
    }  # fmt: skip


def start(arguments: Sequence[str], environment: Mapping[str, str], sources: Path) -> Cost:
    """Run a command of these sources; SystemExit if it fails."""
    # The first start compiles, as an installation does.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "facelabel", *arguments],
        env={**kept, **environment, "PYTHONPATH": str(sources)},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    memory = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, memory)


def least(costs: Sequence[Cost]) -> str:
    """The best of each, as cells of a table."""
    cpu = min(cost.cpu for cost in costs)
    seconds = min(cost.seconds for cost in costs)
    return f"{cpu:.2f} s | {seconds:.2f} s | {min(cost.megabytes for cost in costs):.0f} MB"


def main() -> None:
    """Take turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--turns", type=int, default=9)
    given = parser.parse_args()
    versions = {"now": SOURCES} | ({"before": given.before} if given.before else {})
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary, "small"), Path(temporary, "large")
        for how in ((small, 200, 1000), (large, 5000, 50_000)):
            filling = multiprocessing.get_context("spawn").Process(target=fill, args=how)
            filling.start()
            filling.join()
        here, there = ({"FACELABEL_DATA": str(folder)} for folder in (small, large))
        commands: dict[str, tuple[list[str], Mapping[str, str]]] = {
            "`--version`": (["--version"], here),
            "`--help`": (["--help"], here),
            "`people --help`": (["people", "--help"], here),
            "complete `peo`": ([], {**here, **completing("facelabel peo")}),
            "complete `library --person Person 12`": (
                [], {**there, **completing("facelabel library --person Person\\ 12")}
            ),
            "complete `show assets/`": ([], {**there, **completing("facelabel show assets/")}),
            "`people`, 200": (["people"], here),
            "`library`, 1,000 pictures": (["library"], here),
            "`jobs list`": (["jobs", "list"], here),
        }  # fmt: skip
        if given.photo:
            nobody = {"FACELABEL_DATA": str(Path(temporary, "nobody"))}
            commands["`identify` a photo"] = (["identify", given.photo], nobody)
        costs: dict[tuple[str, str], list[Cost]] = {}
        for _ in range(given.turns):
            for name, (arguments, environment) in commands.items():
                for version, sources in versions.items():
                    cost = start(arguments, environment, sources)
                    costs.setdefault((name, version), []).append(cost)
    print("| " + " | ".join(["command", *(f"{v}: CPU | clock | memory" for v in versions)]) + " |")
    print("|---" * (1 + 3 * len(versions)) + "|")
    for name in commands:
        print("| " + " | ".join([name, *(least(costs[name, v]) for v in versions)]) + " |")


if __name__ == "__main__":
    main()
