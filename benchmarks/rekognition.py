"""Rekognition's operations over HTTP beside the same work without it, in one run.

    python benchmarks/rekognition.py DATA [--models FOLDER] [--turns 3] [--json]

DATA holds the labelled photos (``portraits``, ``groups``, ``models``). The one side is Amazon's
SDK calling ``facelabel serve`` with signatures that are verified; the other calls the same
collections, on the same database, in this process and with as many threads. They take turns.

Three processes share the cores: the server, this one, and one for the clients. A call over HTTP
is slower than one in process by what the server adds *and* by what the SDK takes to encode and
sign, which on Amazon's service no core of ours would pay. So the overhead is counted in CPU time
of the server's process alone against CPU time of this one, the least of all turns; rate and
latencies are by the clock, with the clients' work in them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from itertools import cycle, islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import platformdirs
import psutil
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facelabel.rekognition.ports import FaceCollections
    from facelabel.settings import Settings

    #: Does one call with a photo.
    Call = Callable[[Path], object]

PACK = "mobilefacenet"
#: At once.
CLIENTS = (1, 4, 16)
#: How many photos a turn calls with, by the folder they are in.
CALLS = {"portraits": 96, "groups": 17}
#: Calls a second: where Amazon allows least and most.
QUOTAS = {"IndexFaces": (5, 50), "SearchFacesByImage": (5, 50), "DetectFaces": (25, 100)}
#: The collection that is searched.
PEOPLE = "people"
THRESHOLD, MATCHES = 80.0, 4096


@dataclass(frozen=True, slots=True)
class Task:
    """What both sides do in a turn."""

    operation: str
    collection: str
    photos: Sequence[Path]
    #: Threads that call.
    clients: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What the calls of one turn took, in seconds."""

    wall: float
    cpu: float
    #: Of each call.
    waits: list[float]


@dataclass(frozen=True, slots=True)
class Side:
    """One side in all its turns."""

    #: Calls a second in the best turn.
    rate: float
    #: Milliseconds, over all turns.
    p50: float
    p99: float
    #: Milliseconds of CPU a call, the least of all turns.
    cpu: float


@dataclass(frozen=True, slots=True)
class Row:
    """An operation, on photos of a kind, with so many clients."""

    operation: str
    photos: str
    clients: int
    served: Side
    inside: Side

    @property
    def overhead(self) -> float:
        """Per cent of CPU that a call over HTTP takes more."""
        return 100 * (self.served.cpu / self.inside.cpu - 1)


class Inside:
    """The collections called in this process."""

    def __init__(self, collections: FaceCollections) -> None:
        """``collections`` are those that the server has, too."""
        self._collections = collections

    def turn(self, task: Task) -> Turn:
        """Do it once."""
        before = time.process_time()
        wall, waits = _timed(self._call(task), task)
        return Turn(wall, time.process_time() - before, waits)

    def _call(self, task: Task) -> Call:
        if task.operation == "IndexFaces":
            return lambda photo: self._collections.index(
                task.collection, _bytes(photo), _unheard_of(),
                max_faces=None, quality=QualityFilter.AUTO,
            )  # fmt: skip
        if task.operation == "SearchFacesByImage":
            return lambda photo: self._collections.search_image(
                task.collection, _bytes(photo), threshold=THRESHOLD, limit=MATCHES,
                quality=QualityFilter.NONE,
            )  # fmt: skip
        return lambda photo: self._collections.detect(_bytes(photo))


@dataclass(frozen=True, slots=True)
class Served:
    """The server, called by clients in a process of their own."""

    server: psutil.Process
    clients: Executor
    url: str
    key: str
    secret: str

    def turn(self, task: Task) -> Turn:
        """Do it once."""
        before = self._cpu()
        asked = self.clients.submit(_remote, self.url, self.key, self.secret, task)
        wall, waits = asked.result()
        return Turn(wall, self._cpu() - before, waits)

    def _cpu(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)


def main() -> None:
    """Measure everything and print it."""
    options = _options()
    _install(options)
    with tempfile.TemporaryDirectory() as folder:
        settings = configuration.load(
            {"data": Path(folder), "models": options.models, "pack": PACK}
        )
        with opened(settings) as app:
            assert app.local_faces is not None
            assert app.keys is not None
            collections, key = app.local_faces.collections, app.keys.add()
            photos = _photos(options.data, collections)
            with _clients() as clients, _server(settings) as (server, url):
                there = Served(server, clients, url, key.key, key.secret)
                rows = _measured((there, Inside(collections)), collections, photos, options.turns)
                _show(list(rows), as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--models", type=Path, default=platformdirs.user_cache_path("facelabel") / "models"
    )
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _install(options: argparse.Namespace) -> None:
    pack, store, local = builtin_packs()[PACK], ModelStore(options.models), options.data / "models"
    if not store.installed(pack):
        there = (local / pack.embedders[0].file.name).exists()
        store.install(pack, local) if there else store.pull(pack)


def _photos(data: Path, collections: FaceCollections) -> dict[str, list[Path]]:
    """Photos with a face in them, by kind; those of the portraits are made known."""
    folders = {"portraits": data / "portraits/gallery", "groups": data / "groups"}
    collections.create(PEOPLE, {})
    for path in sorted(folders["portraits"].glob("*.jpg")):
        collections.index(
            PEOPLE, path.read_bytes(), path.stem, max_faces=1, quality=QualityFilter.NONE
        )
    return {
        kind: [path for path in sorted(folder.glob("*.jpg")) if collections.detect(_bytes(path))]
        for kind, folder in folders.items()
    }


def _clients() -> Executor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[psutil.Process, str]]:
    """``facelabel serve``, and where it listens."""
    environment = {
        **os.environ, "FACELABEL_DATA": str(settings.data), "FACELABEL_PORT": "0",
        "FACELABEL_MODELS": str(settings.models), "FACELABEL_PACK": PACK,
    }  # fmt: skip
    command = [sys.executable, "-m", "facelabel", "serve"]
    with psutil.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, cwd=settings.data
    ) as process:
        try:
            found = re.search(r"http://[^;\s]+", process.stdout.readline())
            assert found, "facelabel serve did not start"
            yield process, found[0]
        finally:
            process.terminate()


def _measured(
    sides: tuple[Served, Inside],
    collections: FaceCollections,
    photos: dict[str, list[Path]],
    turns: int,
) -> Iterator[Row]:
    for operation, kind, clients in product(QUOTAS, CALLS, CLIENTS):
        these = list(islice(cycle(photos[kind]), CALLS[kind]))
        taken: list[list[Turn]] = [[], []]
        for number, at in product(range(turns + 1), range(len(sides))):
            some = these if number else these[:clients]  # the first warms up
            task = Task(operation, _collection(collections, operation), some, clients)
            taken[at].append(sides[at].turn(task))
        yield Row(operation, kind, clients, *(_summed(timed[1:]) for timed in taken))


def _collection(collections: FaceCollections, operation: str) -> str:
    """The one to search, or an empty one to index into: no turn finds more than another."""
    if operation != "IndexFaces":
        return PEOPLE
    return collections.create(uuid.uuid4().hex, {}).name


def _summed(turns: Sequence[Turn]) -> Side:
    calls = len(turns[0].waits)
    centiles = statistics.quantiles([wait for turn in turns for wait in turn.waits], n=100)
    return Side(
        rate=calls / min(turn.wall for turn in turns),
        p50=1000 * centiles[49],
        p99=1000 * centiles[98],
        cpu=1000 * min(turn.cpu for turn in turns) / calls,
    )


def _remote(url: str, key: str, secret: str, task: Task) -> tuple[float, list[float]]:
    """What the clients' process does in a turn."""
    client = _client(url, key, secret)

    def call(photo: Path) -> object:
        image = {"Bytes": _bytes(photo)}
        if task.operation == "IndexFaces":
            return client.index_faces(
                CollectionId=task.collection, Image=image, ExternalImageId=_unheard_of()
            )
        if task.operation == "SearchFacesByImage":
            return client.search_faces_by_image(CollectionId=task.collection, Image=image)
        return client.detect_faces(Image=image)

    return _timed(call, task)


def _timed(call: Call, task: Task) -> tuple[float, list[float]]:
    """Seconds for all calls of a task, and for each."""

    def timed(photo: Path) -> float:
        start = time.perf_counter()
        call(photo)
        return time.perf_counter() - start

    with ThreadPoolExecutor(task.clients) as pool:
        start = time.perf_counter()
        waits = list(pool.map(timed, task.photos))
        return time.perf_counter() - start, waits


@cache
def _client(url: str, key: str, secret: str) -> Any:  # noqa: ANN401 - it has no types
    """One for all threads, with a connection for each."""
    return boto3.client(
        "rekognition", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=key, aws_secret_access_key=secret,
        config=Config(max_pool_connections=max(CLIENTS), retries={"total_max_attempts": 1}),
    )  # fmt: skip


@cache
def _bytes(photo: Path) -> bytes:
    return photo.read_bytes()


def _unheard_of() -> str:
    """An external id that makes the faces of a photo new ones."""
    return uuid.uuid4().hex


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(row) | {"overhead": row.overhead} for row in rows], indent=2))
        return
    table = Table("operation", "photos", "clients", "calls/s", "in process", "p50 ms",
                  "in process", "p99 ms", "in process", "CPU ms", "in process", "overhead %",
                  "Amazon's quota")  # fmt: skip
    for row in rows:
        pairs = zip(asdict(row.served).values(), asdict(row.inside).values(), strict=True)
        numbers = [f"{number:.1f}" for pair in pairs for number in pair]
        quota = "{}-{}".format(*QUOTAS[row.operation])
        table.add_row(row.operation, row.photos, str(row.clients), *numbers,
                      f"{row.overhead:+.0f}", quota)  # fmt: skip
    Console(width=180).print(table)
    print("load average", *(f"{load:.1f}" for load in psutil.getloadavg()))


if __name__ == "__main__":
    main()
