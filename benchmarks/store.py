"""Jobs, uploads and ledger lines a second, each durable when its call returns.

    python benchmarks/store.py [DATABASE-URL]

Without a URL: SQLite in a temporary folder. The last line enqueues while a worker in another
process claims and finishes.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.library import transaction
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobKind
from facelabel.core.model import Candidate, FaceDecision, SearchRecord, Verdict
from facelabel.media.types import ImageHeader
from facelabel.testing import some_face

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 1000
IMAGE = bytes(200_000)


def rate(name: str, act: Callable[[int], object], count: int = COUNT) -> None:
    """Do something ``count`` times and print how often a second."""
    started = time.perf_counter()
    for number in range(count):
        act(number)
    print(f"{name:<42} {count / (time.perf_counter() - started):8.0f} /s", flush=True)


def claim_and_finish(queue: StoreQueue) -> bool:
    """Work one job that asks for nothing."""
    job = queue.claim()
    return job is not None and queue.finish(job)


def search(number: int) -> SearchRecord:
    """Return a search of a picture with four faces."""
    candidates = (Candidate("Ann", 99.0, "f1"), Candidate("Bob", 20.0, "f2"))
    faces = (FaceDecision(some_face(), "Ann", Verdict.NAMED, candidates),) * 4
    return SearchRecord(str(number), str(number), 1, "people", number, "80/5", "model/1", faces)


def work(url: str) -> None:
    """Be a worker until ended."""
    queue = StoreQueue(Database(url), SystemClock())
    while True:
        if not claim_and_finish(queue):
            time.sleep(0.01)


def measure_queue(queue: StoreQueue) -> None:
    """A job's whole life, then its parts."""

    def live(number: int) -> None:
        queue.enqueue(JobKind.ASSET, str(number))
        claim_and_finish(queue)

    rate("enqueue, claim and finish a job", live)
    rate("enqueue", lambda number: queue.enqueue(JobKind.ASSET, str(number)))
    rate("claim and finish", lambda _: claim_and_finish(queue))


def measure_library(database: Database, queue: StoreQueue, root: Path) -> None:
    """Uploads of different contents, each with the job that follows it up."""
    library = LocalLibrary(
        database,
        root,
        SystemClock(),
        on_change=lambda connection, change: queue.enqueue_all_in(
            connection, [*transaction.requests(change, "a change")]
        ),
        check=lambda _: ImageHeader("jpg", 640, 480),
    )
    rate(
        "upload 200 kB with a tag",
        lambda number: library.upload(
            number.to_bytes(4) + IMAGE, folder="assets", filename=f"{number}.jpg", tags=["red"]
        ),
        300,
    )
    rate("list a picture", lambda _: sum(1 for _ in library.assets("assets")), 10)


def measure_ledger(ledger: StoreLedger) -> None:
    """Searches written, and the oldest of them asked for."""
    rate("record a search of four faces", lambda number: ledger.record(search(number)))
    rate("the 100 oldest stale searches", lambda _: ledger.stale(COUNT, 100), 20)


def measure_with_worker(queue: StoreQueue, url: str) -> None:
    """Enqueue while another process works."""
    worker = multiprocessing.get_context("spawn").Process(target=work, args=(url,), daemon=True)
    worker.start()
    time.sleep(2)
    rate("enqueue while a worker runs", lambda n: queue.enqueue(JobKind.ASSET, f"busy-{n}"))
    worker.terminate()
    worker.join()


def main() -> None:
    """Measure everything once."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/facelabel.db"
        database = Database(url)
        queue = StoreQueue(database, SystemClock())
        measure_queue(queue)
        measure_library(database, queue, Path(folder) / "originals")
        measure_ledger(StoreLedger(database))
        measure_with_worker(queue, url)
        database.close()


if __name__ == "__main__":
    main()
