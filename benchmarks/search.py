"""Exact search side by side: ours and the libraries a person would otherwise take.

    python benchmarks/search.py [--sizes 100000 1000000] [--rounds 15] [--json]

Every contestant answers the same questions in turn, round after round, so that whatever else the
machine does hits all of them; medians are compared. Memory is what a fresh process grows by. A
library counts as exact-quality when its recall@1 is 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numkong
import numpy as np
import psutil
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships none
from usearch.compiled import MetricKind
from usearch.index import search as usearch_exact

from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.testing import MemoryTemplates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Matrix = npt.NDArray[Any]
    SearchRecord = Callable[[Matrix], Matrix]

DIMENSIONS = 128
PHOTOS_PER_PERSON = 5
NEIGHBOURS = 16
BATCHES = (1, 20)
THREADS = 2
BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Line:
    """How one contestant did on one task."""

    vectors: int
    batch: int
    contestant: str
    milliseconds: float
    ours_takes: float
    recall_at_1: float
    memory: float


class VectorFile(MemoryTemplates):
    """A store whose vectors lie in a plain file, so that it takes no memory of its own."""

    def __init__(self, path: Path) -> None:
        """Read from that file; its one collection has the number 1."""
        super().__init__()
        self.create("people", "random/1", DIMENSIONS)
        self._path = path

    def vectors(
        self,
        collection_id: int,  # noqa: ARG002 - there is one collection
        after: int,
        limit: int,
    ) -> Sequence[tuple[int, bytes]]:
        """Row ``n`` is the n-th vector."""
        size = 4 * DIMENSIONS
        with self._path.open("rb") as file:
            file.seek(after * size)
            data = file.read(limit * size)
        return [(after + 1 + at // size, data[at : at + size]) for at in range(0, len(data), size)]


def unit(vectors: Matrix) -> Matrix:
    """Scale each line to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def people(count: int) -> Matrix:
    """Return unit vectors in clusters, as the photos of people are."""
    random = np.random.default_rng(count)
    faces = np.empty((count, DIMENSIONS), np.float32)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        centres = unit(random.standard_normal((-(-size // PHOTOS_PER_PERSON), DIMENSIONS)))
        noise = unit(random.standard_normal((size, DIMENSIONS)))
        faces[start : start + size] = unit(
            np.repeat(centres, PHOTOS_PER_PERSON, axis=0)[:size] + 0.6 * noise
        )
    return faces


def probes(faces: Matrix, count: int) -> Matrix:
    """Return new photos of people who are there."""
    random = np.random.default_rng(1)
    chosen = faces[random.integers(0, len(faces), count)]
    return unit(chosen + 0.5 * unit(random.standard_normal(chosen.shape)))


def load(path: Path) -> Matrix:
    """Read the whole matrix."""
    return np.fromfile(path, np.float32).reshape(-1, DIMENSIONS)


def ours(path: Path) -> SearchRecord:
    """Build the product's own index."""
    index = MatrixIndex(VectorFile(path), path.parent / f"index-{path.stem}", threads=THREADS)

    def search(queries: Matrix) -> Matrix:
        found = index.search(1, [query.tobytes() for query in queries], NEIGHBOURS)
        return np.array([[row - 1 for row, _ in hits] for hits in found])

    search(probes(np.ones((1, DIMENSIONS)), 1))
    return search


def naive(path: Path) -> SearchRecord:
    """One NumPy product, with BLAS's own threads."""
    faces = load(path)

    def search(queries: Matrix) -> Matrix:
        return np.argpartition(-(queries @ faces.T), NEIGHBOURS, axis=1)[:, :NEIGHBOURS]

    return search


def faiss_flat(path: Path) -> SearchRecord:
    """faiss, float32."""
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(load(path))
    return lambda queries: np.asarray(index.search(queries, NEIGHBOURS)[1])


def faiss_fp16(path: Path) -> SearchRecord:
    """faiss, scalar quantizer, float16."""
    kind = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(DIMENSIONS, kind, faiss.METRIC_INNER_PRODUCT)
    faces = load(path)
    index.train(faces[:1000])
    index.add(faces)
    return lambda queries: np.asarray(index.search(queries, NEIGHBOURS)[1])


def usearch(path: Path) -> SearchRecord:
    """usearch, exact, float32."""
    faces = load(path)

    def search(queries: Matrix) -> Matrix:
        found = usearch_exact(
            faces, queries, NEIGHBOURS, MetricKind.IP, exact=True, threads=THREADS
        )
        return np.asarray(found.keys).reshape(len(queries), -1)

    return search


def numkong_packed(path: Path, number: type[np.floating[Any]]) -> SearchRecord:
    """NumKong's packed products in the same blocks as ours."""
    faces = load(path).astype(number)
    starts = range(0, len(faces), BLOCK)
    blocks = [numkong.dots_pack(faces[start : start + BLOCK]) for start in starts]
    pool = ThreadPoolExecutor(THREADS)

    def best(start: int, asked: Matrix) -> tuple[Matrix, Matrix]:
        scores = np.asarray(numkong.dots_packed(asked, blocks[start // BLOCK]))
        top = np.argpartition(scores, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
        return top + start, np.take_along_axis(scores, top, axis=1)

    def search(queries: Matrix) -> Matrix:
        found = list(pool.map(partial(best, asked=queries.astype(number)), starts))
        rows = np.concatenate([rows for rows, _ in found], axis=1)
        order = np.argsort(-np.concatenate([scores for _, scores in found], axis=1), axis=1)
        return np.take_along_axis(rows, order[:, :NEIGHBOURS], axis=1)

    return search


def numkong_f32(path: Path) -> SearchRecord:
    """NumKong, float32."""
    return numkong_packed(path, np.float32)


def numkong_f16(path: Path) -> SearchRecord:
    """NumKong, float16."""
    return numkong_packed(path, np.float16)


SMALL = "small.f32"
#: Seconds in which the threads of the contestant before come to rest: OpenMP's spin a while. A
#: search that is not timed then wakes the next one's.
PAUSE = 0.05
OURS = "facelabel (exact, float32, mapped)"
CONTESTANTS: dict[str, Callable[[Path], SearchRecord]] = {
    OURS: ours,
    "naive NumPy": naive,
    "faiss IndexFlatIP": faiss_flat,
    "faiss fp16": faiss_fp16,
    "usearch exact": usearch,
    "NumKong float32": numkong_f32,
    "NumKong float16": numkong_f16,
}


def growth(name: str, path: Path) -> float:
    """Return the bytes this fresh process grows by while it builds and searches.

    A small matrix is searched first: code and BLAS's own work space, some 20 MB, are there
    whatever the size.
    """
    asked = people(max(BATCHES))
    CONTESTANTS[name](path.with_name(SMALL))(asked)
    before = psutil.Process().memory_info().rss
    search = CONTESTANTS[name](path)
    for _ in range(3):
        search(asked)
    return float(psutil.Process().memory_info().rss - before)


def memory(name: str, path: Path) -> float:
    """Return :func:`growth` in a process of its own, as a multiple of the raw float32."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(growth, (name, path)) / path.stat().st_size


def timings(searches: dict[str, SearchRecord], asked: Matrix, rounds: int) -> dict[str, float]:
    """Return each contestant's median milliseconds, all of them taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(rounds + 1):
        for name, search in searches.items():
            time.sleep(PAUSE)
            search(asked)
            started = time.perf_counter()
            search(asked)
            taken[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def recall(found: Matrix, truth: Matrix, asked: Matrix, faces: Matrix) -> float:
    """Return the share of probes whose nearest face (or one as near) came back first."""
    scores = np.einsum("qkd,qd->qk", faces[found].astype(float), asked.astype(float))
    return float(np.mean(scores.max(axis=1) >= truth - 1e-6))


def compare(path: Path, rounds: int) -> list[Line]:
    """Measure every contestant on one matrix."""
    used = {name: memory(name, path) for name in CONTESTANTS}
    faces = load(path)
    searches = {name: build(path) for name, build in CONTESTANTS.items()}
    found = {name: quality(search, faces) for name, search in searches.items()}
    lines = []
    for batch in BATCHES:
        asked = probes(faces, batch)
        times = timings(searches, asked, rounds)
        lines += [
            Line(
                vectors=len(faces),
                batch=batch,
                contestant=name,
                milliseconds=times[name],
                ours_takes=times[OURS] / times[name],
                recall_at_1=found[name],
                memory=used[name],
            )
            for name in searches
        ]
    return lines


def quality(search: SearchRecord, faces: Matrix) -> float:
    """Return recall@1 over 200 probes."""
    asked = probes(faces, 200)
    truth = np.array([np.max(faces @ probe) for probe in asked])
    found = np.concatenate([search(asked[at : at + 20]) for at in range(0, len(asked), 20)])
    return recall(found[:, :1], truth, asked, faces)


def show(lines: list[Line]) -> None:
    """Print the table and what it means."""
    head = f"{'ms':>8} {'ours/it':>8} {'recall@1':>9} {'RAM/raw':>8}"
    print(f"{'vectors':>9} {'faces':>5}  {'':36}{head}")
    for line in lines:
        print(
            f"{line.vectors:>9,} {line.batch:>5}  {line.contestant:36}{line.milliseconds:>8.1f}"
            f" {line.ours_takes:>8.2f} {line.recall_at_1:>9.3f} {line.memory:>8.2f}"
        )
    exact = [line for line in lines if line.recall_at_1 == 1]
    worst = max(line.ours_takes for line in exact)
    used = max(line.memory for line in lines if line.contestant == OURS)
    print(f"against the best exact library of each task: {worst:.2f}x its time (target: 2.00)")
    print(f"memory: {used:.2f}x the raw float32 (target: 1.30)")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print the lines as JSON")
    chosen = parser.parse_args()
    faiss.omp_set_num_threads(THREADS)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(THREADS, "blas"):
        people(10_000).tofile(Path(folder, SMALL))
        for size in chosen.sizes:
            path = Path(folder, f"{size}.f32")
            people(size).tofile(path)
            lines += compare(path, chosen.rounds)
    if chosen.json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        show(lines)


if __name__ == "__main__":
    main()
