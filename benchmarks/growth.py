"""How cost grows with faces per photo and with people known; cold start; a worker's memory.

    python benchmarks/growth.py DATA [--pack NAME] [--json] [--plot docs/images/growth.svg]

DATA is the folder with ``portraits/gallery`` and ``portraits/probe``. Faces per photo: sheets
tiled from probe portraits. People known: as many random unit vectors in a real SQLite store and
its search matrix, one per person. Everything runs warm, median of several rounds, except the
cold start, which is a whole new process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import sqlalchemy
from PIL import Image

from facelabel import actions
from facelabel import settings as configuration
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.bootstrap.app import opened
from facelabel.inputs.portraits import Portrait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.bootstrap.app import App

FACES = (1, 2, 4, 8, 16, 32, 64, 100)
PEOPLE = (100, 1_000, 10_000, 100_000)
TILE = (200, 245)
ROUNDS = 5


def sheet(portraits: Sequence[Path], columns: int = 10) -> bytes:
    """Portraits tiled into one picture, as a JPEG."""
    columns = min(columns, len(portraits))
    rows = -(-len(portraits) // columns)
    picture = Image.new("RGB", (columns * TILE[0], rows * TILE[1]), "white")
    for number, path in enumerate(portraits):
        with Image.open(path) as portrait:
            tile = portrait.convert("RGB").resize(TILE, Image.Resampling.LANCZOS)
        picture.paste(tile, (number % columns * TILE[0], number // columns * TILE[1]))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def median_seconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median wall time of a call after one that warms up."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def know_strangers(app: App, people: int, dimensions: int) -> None:
    """Bring the collection to so many people with random unit vectors, written in bulk."""
    collection = app.pipeline.collection()
    known = sum(1 for _ in app.recognizer.faces(collection))
    rng = np.random.default_rng(people)
    vectors = rng.standard_normal((max(1, people - known), dimensions)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    database = Database(app.settings.store_url)
    columns = schema.collection.c
    with database.transaction() as connection:
        number = connection.scalar(sqlalchemy.select(columns.id).where(columns.name == collection))
        same: dict[str, object] = {
            "collection_id": number,
            "asset_id": "",
            "digest": "",
            "face": {},
        }
        rows = []
        for index, vector in enumerate(vectors):
            name = f"stranger-{people}-{index}"
            rows.append({**same, "face_id": name, "person": name, "vector": vector.tobytes()})
        connection.execute(sqlalchemy.insert(schema.template), rows)
    database.close()


def by_faces(app: App, probes: Sequence[Path]) -> dict[int, float]:
    """Seconds for one photo with so many faces, detection to names."""
    sheets = {count: sheet(probes[:count]) for count in FACES if count <= len(probes)}
    return {
        count: median_seconds(partial(actions.identify, app, data))
        for count, data in sheets.items()
    }


def by_people(app: App, probes: Sequence[Path], dimensions: int) -> dict[int, float]:
    """Seconds for a photo with eight faces while so many people are known."""
    data, seconds = sheet(probes[:8]), {}
    for people in PEOPLE:
        know_strangers(app, people, dimensions)
        seconds[people] = median_seconds(lambda: actions.identify(app, data))
    return seconds


def cold_start(photo: Path, environment: dict[str, str]) -> float:
    """Median seconds of ``facelabel identify`` as a new process."""
    command = [sys.executable, "-m", "facelabel", "identify", str(photo)]
    return median_seconds(
        lambda: subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    )


def worker_memory(photos: Sequence[Path], environment: dict[str, str]) -> float:
    """Peak resident MB of ``facelabel worker --once`` searching these photos."""
    command = [sys.executable, "-m", "facelabel"]
    subprocess.run(
        [*command, "upload", *map(str, photos)], env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    worker = psutil.Popen(
        [*command, "worker", "--once"], env=environment, stdout=subprocess.DEVNULL
    )
    peak = 0
    while worker.poll() is None:
        try:
            peak = max(peak, worker.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    return peak / 1e6


def plot(results: dict[str, dict[int, float]], path: str) -> None:
    """Both curves side by side."""
    import matplotlib as mpl  # noqa: PLC0415 - only for the plot

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    titles = {"faces": "faces in the photo", "people": "people known (photo with 8 faces)"}
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        axis.plot(list(results[name]), [1000 * s for s in results[name].values()], marker="o")
        axis.set(xlabel=title, ylabel="ms per photo", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[1].set_xscale("log")
    figure.savefig(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pack", default="mobilefacenet")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    probes = sorted((arguments.data / "portraits" / "probe").glob("*.jpg"))
    groups = sorted((arguments.data / "portraits" / "groups").glob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        settings = configuration.load({"data": Path(folder), "pack": arguments.pack})
        environment = {**os.environ, "FACELABEL_DATA": folder, "FACELABEL_PACK": arguments.pack}
        with opened(settings) as app:
            portraits = sorted((arguments.data / "portraits" / "gallery").glob("*.jpg"))
            learnt = [
                actions.add_portrait(app, Portrait(str(path), path.stem)).asset_id
                for path in portraits
            ]
            actions.work(app, learnt)
            model = app.recognizer.model(app.pipeline.collection())
            dimensions = app.engines(model).dimensions
            faces = by_faces(app, probes)
            cold, memory = cold_start(probes[0], environment), worker_memory(groups, environment)
            people = by_people(app, probes, dimensions)
    results = {"faces": faces, "people": people}
    if arguments.plot:
        plot(results, arguments.plot)
    if arguments.json:
        print(json.dumps({**results, "cold_seconds": cold, "worker_mb": memory}))
        return
    print(f"pack {model}, {settings.threads} threads, {len(portraits)} people known at first")
    print(f"cold `facelabel identify`: {cold:.2f} s; worker's peak memory: {memory:.0f} MB")
    for name, seconds in results.items():
        print(f"{name:>10}  ms per photo")
        for count, value in seconds.items():
            print(f"{count:>10,}  {1000 * value:.0f}")


if __name__ == "__main__":
    main()
