"""The other benchmarks before and after a change: every figure of theirs side by side, in one run.

    python benchmarks/before_after.py BEFORE [DATA] [--turns 3] [--only engine search …]

BEFORE is a checkout of this repository with an environment of its own (`make .venv/facelabel
.venv/bench` there); the checkout that this file is in comes after it, with the environment that
runs this program. DATA is the folder with ``portraits`` and ``groups``. Both checkouts run their
own copy of a benchmark, in turns, so that what else the machine does meets both; of each figure
the median of its turns is told, and after : before. CPU time is of the whole benchmark, user and
system, with its children. A figure that one of the two does not print is left out, a benchmark
that one cannot run is named.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AFTER = Path(__file__).parents[1]
#: What each benchmark is given; "DATA" stands for the folder, without which it is left out.
BENCHMARKS = {
    "engine": ("engine.py", "DATA", "--json"),
    "search": ("search.py", "--sizes", "100000", "--json"),
    "store": ("store.py",),
    "rekognition": ("rekognition.py", "DATA", "--turns", "1", "--json"),
    "small_photos": ("small_photos.py", "DATA", "--pack", "opencv-zoo", "--json"),
    "functions": ("-m", "benchmarks.functions", "DATA"),
}
#: Numbers that say what was measured, and are no figures.
_NAMES = ("vectors", "batch", "clients")
_NUMBER = re.compile(r"\d[\d,]*\.?\d*")
CPU = "CPU s, the whole benchmark"


def figures(output: str) -> dict[str, float]:
    """Every number that a benchmark printed, by its path in JSON or the text of its line."""
    try:
        return dict(_leaves(json.loads(output), ()))
    except ValueError:
        found: dict[str, float] = {}
        for line in output.splitlines():
            text = " ".join(_NUMBER.sub("#", line).split())
            for at, number in enumerate(_NUMBER.findall(line), start=1):
                found[f"{text} [{at}]"] = float(number.replace(",", ""))
        return found


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if isinstance(value, list):
        for entry in value:
            yield from _leaves(entry, path)
    elif isinstance(value, dict):
        names = (f"{key} {text}" if key in _NAMES else text for key, text in value.items()
                 if isinstance(text, str) or key in _NAMES)  # fmt: skip
        where = (*path, *names)
        for key, below in value.items():
            if key not in _NAMES:
                yield from _leaves(below, (*where, key))
    elif isinstance(value, (int, float)):
        yield ", ".join(path), float(value)


def run(tree: Path, python: Path, arguments: Sequence[str]) -> dict[str, float]:
    """One turn of one benchmark in one checkout; RuntimeError with its last line if it fails."""
    script = [arg if arg.startswith("-") else f"benchmarks/{arg}" for arg in arguments[:1]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [python, *script, *arguments[1:]], cwd=tree, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**figures(ended.stdout), CPU: seconds}


def compare(
    name: str, trees: Sequence[tuple[Path, Path]], arguments: Sequence[str], turns: int
) -> None:
    """Print a table of everything that both checkouts print, the one before first."""
    turned: list[list[dict[str, float]]] = [[] for _ in trees]
    for _ in range(turns):
        for (tree, python), results in zip(trees, turned, strict=True):
            try:
                results.append(run(tree, python, arguments))
            except RuntimeError as trouble:
                print(f"\n## {name}\n\nnot compared: {tree} cannot run it: {trouble}", flush=True)
                return
    print(f"\n## {name}\n\n| what | before | after | after : before |\n|---|---|---|---|")
    for what in turned[0][0]:
        if all(what in result for results in turned for result in results):
            was, now = (statistics.median(one[what] for one in results) for results in turned)
            ratio = f"{now / was:.2f}" if was else ""
            print(f"| {what} | {was:,.4g} | {now:,.4g} | {ratio} |", flush=True)


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    options = parser.parse_args()
    before = options.before.resolve()
    trees = ((before, before / ".venv/bin/python"), (AFTER, Path(sys.executable)))
    for name in options.only:
        if "DATA" in BENCHMARKS[name] and options.data is None:
            continue
        given = [str(options.data.resolve()) if arg == "DATA" else arg for arg in BENCHMARKS[name]]
        compare(name, trees, given, options.turns)
    print(f"\nload average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
