"""What it costs to compare faces with the means of people's references, too.

    python benchmarks/means.py [--references 200000] [--portraits 5] [--rounds 15] [--json]

A collection in SQLite, searched by the product's recogniser with an engine that sees drawn faces at
no cost; beside it the same recogniser without means, in turn, so that whatever else the machine
does hits both. Medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import insert

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.core.model import Analysis, Template
from facelabel.core.quality import Comparable
from facelabel.core.serial import encode_template
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.testing import some_face

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from facelabel.core.model import Face

    Vectors = NDArray[np.float32]

COLLECTION, MODEL, DIMENSIONS = "people", "drawn/1", 128
FACES = (1, 20)
#: How far a picture of somebody lies beside another, against the length of the vector.
LIGHT = 0.6


class Drawn:
    """An engine that sees, in each "image", as many people as its first byte says."""

    model, dimensions, comparable = MODEL, DIMENSIONS, Comparable()
    curve = "100 - 50 * distance"

    def __init__(self, people: int) -> None:
        """Draw the people."""
        self.random = np.random.default_rng(1)
        self.people = _unit(self.random.standard_normal((people, DIMENSIONS), dtype=np.float32))

    def pictures(self, people: Vectors) -> Vectors:
        """A picture of each."""
        light = self.random.standard_normal(people.shape, dtype=np.float32)
        return _unit(people + LIGHT / np.sqrt(DIMENSIONS, dtype=np.float32) * light)

    def analyse(self, image: bytes) -> Analysis:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        some = self.people[self.random.integers(0, len(self.people), image[0])]
        vectors = self.pictures(some).astype("<f4")
        return Analysis(9, 9, tuple(Template(some_face(), one.tobytes()) for one in vectors))

    def faces(self, image: bytes) -> Sequence[Face]:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return [template.face for template in self.analyse(image).templates]

    def similarity(self, distance: float) -> float:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return 100 - 50 * distance


class Without(StoreGalleries):
    """Knows everybody by one reference alone, as it says: no mean is made of any."""

    def vectors_of_people(
        self,
        collection_id: int,
        people: Collection[str],  # noqa: ARG002 - it has none of anybody
        most: int,  # noqa: ARG002 - the same
    ) -> tuple[Mapping[str, Sequence[bytes]], tuple[int, int]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        return {}, self.position(collection_id)


def _unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def fill(database: Database, engine: Drawn, number: int, portraits: int) -> None:
    """Learn so many portraits of everybody, as rows."""
    face = encode_template(Template(some_face(), b""))
    for portrait in range(portraits):
        vectors = engine.pictures(engine.people).astype("<f4")
        rows = [
            {
                "collection_id": number, "face_id": f"{portrait}-{at}", "person": f"Person {at}",
                "digest": "", "vector": vector.tobytes(), "face": face,
            }
            for at, vector in enumerate(vectors)
        ]  # fmt: skip
        with database.transaction() as connection:
            connection.execute(insert(schema.template), rows)


def measure(folder: Path, references: int, portraits: int, rounds: int) -> list[dict[str, float]]:
    """Milliseconds of a search, with means and without."""
    database = Database(f"sqlite:///{folder / 'benchmark.db'}")
    clock = SystemClock()
    templates, engine = StoreGalleries(database, clock), Drawn(references // portraits)
    templates.create(COLLECTION, MODEL, DIMENSIONS)
    fill(database, engine, templates.find(COLLECTION).number, portraits)
    index = MatrixIndex(templates, folder / "vectors")
    sides = [
        LocalRecognizer(lambda _: engine, kind(database, clock), index, StoreProbes(database))
        for kind in (StoreGalleries, Without)
    ]
    lines = []
    for faces in FACES:
        taken: list[list[float]] = [[], []]
        for _ in range(rounds + 1):
            for side, times in zip(sides, taken, strict=True):
                start = time.perf_counter()
                side.identify(COLLECTION, bytes([faces]))
                times.append(1000 * (time.perf_counter() - start))
        with_means, without = (round(statistics.median(times[1:]), 1) for times in taken)
        lines.append({"faces": faces, "with_means": with_means, "without": without})
    database.close()
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--references", type=int, default=200_000)
    parser.add_argument("--portraits", type=int, default=5, help="of each person")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(Path(folder), options.references, options.portraits, options.rounds)
    if options.json:
        print(json.dumps(lines))
        return 0
    for line in lines:
        print("{faces} faces: {with_means} ms with means, {without} ms without".format(**line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
