"""What it costs to learn one portrait, and to forget it, where many pictures were searched.

Before that: to count the names that would change by other rules, which is told before they do.

    python benchmarks/lookback.py [DATABASE-URL] [--pictures 50000] [--known 4799] [--part 5000]

Without a URL: SQLite in a temporary folder. Vectors are random, and the calibration is theirs:
two of them are as alike as it says as often as it says. Half of the four faces of each picture
are somebody known, and the one to be learnt is on a hundred pictures. Pictures lie in memory;
everything else is what runs in production. With 4,799 portraits known the first one learnt ends
within a step of what a name takes (4,800), the second one begins the next step. The full sweep
is measured on a part of the pictures, and its cost a picture told.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.core import calibration, naming
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy, NameTargets
from facelabel.core.model import Analysis, Basis, SearchRecord, Template
from facelabel.core.naming import Rules
from facelabel.core.quality import Comparable
from facelabel.core.serial import encode_analysis, encode_face
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.recognition import name_changes
from facelabel.recognition.live_gallery import SWEEP_KEY
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import MemoryLibrary, some_face

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from facelabel.core.model import Asset, Face

    Vectors = npt.NDArray[np.float32]

HOME, MODEL, DIMENSIONS = "cld-rekog", "random/1", 128
FACES, BATCH, WITH_NEWCOMER = 4, 500, 100
#: Dot products that two random unit vectors of 128 numbers reach at the rates of strangers, and
#: the similarities that stand for these rates.
ALIKE = ((0.42, 99.0), (0.376, 90.0), (0.328, 80.0), (0.273, 70.0), (0.206, 50.0))
CURVE = [((2 - 2 * dot) ** 0.5, similarity) for dot, similarity in ALIKE]
#: How alike the photos of one person are: the dot product's mean.
SAME = 0.6


class RandomEngine:
    """Sees in a portrait the vector that its bytes are."""

    model, dimensions = MODEL, DIMENSIONS
    comparable = Comparable()
    curve = repr(CURVE)

    def analyse(self, image: bytes) -> Analysis:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return Analysis(100, 100, (Template(some_face(), image),))

    def faces(self, image: bytes) -> Sequence[Face]:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return [template.face for template in self.analyse(image).templates]

    def similarity(self, distance: float) -> float:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return calibration.similarity(CURVE, distance)


def unit(vectors: Vectors) -> Vectors:
    """Scale each line to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


@dataclass
class People:
    """Who is known, and photos of them."""

    known: int
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def __post_init__(self) -> None:
        """Draw them; the last two are to be learnt."""
        self.centres = self.strangers(self.known + 2)

    def strangers(self, count: int) -> Vectors:
        """Draw somebody else's faces."""
        return unit(self.random.standard_normal((count, DIMENSIONS), np.float32))

    def photos(self, of: npt.NDArray[np.int64]) -> Vectors:
        """Draw another face of each of these people."""
        return unit(SAME * self.centres[of] + (1 - SAME**2) ** 0.5 * self.strangers(len(of)))

    def pictures(self, count: int, newcomers: int) -> Vectors:
        """Draw the faces of pictures: two known people and two strangers, or newcomers."""
        known = self.photos(self.random.integers(0, self.known, count * FACES))
        faces = known.reshape(count, FACES, DIMENSIONS)
        faces[:, 2:] = self.strangers(count * 2).reshape(count, 2, DIMENSIONS)
        for newcomer in (0, 1):
            new = self.photos(np.full(newcomers, self.known + newcomer))
            faces[newcomer * newcomers : (newcomer + 1) * newcomers, 2] = new
        return faces


class World:
    """A library that was searched."""

    def __init__(self, url: str, folder: Path, people: People) -> None:
        """Learn everybody but the newcomers."""
        self.database = Database(url)
        clock = SystemClock()
        self.templates = StoreGalleries(self.database, clock)
        self.ledger = StoreLedger(self.database)
        self.recognizer = LocalRecognizer(
            lambda _: RandomEngine(),
            self.templates,
            MatrixIndex(self.templates, folder),
            StoreProbes(self.database),
        )
        self.queue = StoreQueue(self.database, clock)
        self.library = MemoryLibrary(clock)
        self.pipeline = Pipeline(
            self.library, self.recognizer, self.ledger, self.queue, clock, LabelPolicy()
        )
        self.worker = Worker(self.queue, handlers(self.pipeline), clock)
        self.people = people
        self.pipeline.gallery.collection()
        rows = [
            {
                "collection_id": self.templates.find(HOME).number,
                "face_id": f"face-{number}",
                "person": f"Person {number}",
                "asset_id": f"portrait-{number}",
                "digest": str(number),
                "vector": centre.tobytes(),
                "face": encode_face(some_face()),
            }
            for number, centre in enumerate(people.centres[: people.known])
        ]
        with self.database.transaction() as connection:
            connection.execute(schema.template.insert(), rows)

    def fill(self, count: int) -> None:
        """Put pictures there, as if each had been searched."""
        faces = self.people.pictures(count, WITH_NEWCOMER)
        for start in range(0, count, BATCH):
            assets = [
                self.library.upload(b"%d" % number, folder="assets", public_id=f"assets/{number}")
                for number in range(start, min(start + BATCH, count))
            ]
            self._keep(assets, faces[start : start + BATCH])
            self._record(assets)

    def _keep(self, assets: Sequence[Asset], faces: Vectors) -> None:
        seen = Analysis(
            100, 100, tuple(Template(some_face(at / FACES), b"") for at in range(FACES))
        )
        rows = [
            {
                "asset_id": asset.asset_id,
                "version": asset.version,
                "model": MODEL,
                "analysis": encode_analysis(seen),
                "vectors": vectors.tobytes(),
            }
            for asset, vectors in zip(assets, faces, strict=True)
        ]
        with self.database.transaction(durable=False) as connection:
            connection.execute(schema.kept.insert(), rows)

    def _record(self, assets: Sequence[Asset]) -> None:
        generation, rules = self.ledger.gallery().generation, self.pipeline.gallery.rules()
        first = [
            SearchRecord(a.asset_id, a.public_id, a.version, HOME, -1, "", "", (), ())
            for a in assets
        ]
        probe_results = self.recognizer.search_stored(HOME, first)
        for search in first:
            probe_result = probe_results[search.asset_id]
            faces, portraits = probe_result.faces, probe_result.portraits
            line = SearchRecord(
                search.asset_id, search.public_id, search.version, HOME, generation,
                self.pipeline.label_policy.fingerprint, probe_result.model,
                naming.assign(faces, rules, portraits=portraits), portraits=portraits,
            )  # fmt: skip
            assert probe_result.note is not None
            basis = Basis(probe_result.note, *naming.standing(faces, rules, portraits))
            self.ledger.record(line, basis)

    def quiet(self) -> int:
        """Work until nothing is left; how many jobs that took."""
        jobs = 0
        while self.queue.next_due() is not None:
            if self.worker.run_one() is None:
                time.sleep(0.01)
            else:
                jobs += 1
        return jobs

    def learn(self, newcomer: int) -> None:
        """Learn one more."""
        name = f"Newcomer {newcomer}"
        asset = self.library.upload(
            self.people.centres[self.people.known + newcomer].tobytes(),
            folder="training", public_id=f"training/{name}", tags=[f"faceLabel:{name}"],
        )  # fmt: skip
        self.queue.enqueue(JobKind.ASSET, asset.asset_id)

    def forget(self, newcomer: int) -> None:
        """Forget one again."""
        asset = self.library.find(f"training/Newcomer {newcomer}")
        assert asset
        self.library.delete(asset.asset_id)
        self.queue.enqueue(JobKind.ASSET, asset.asset_id)


class Watch:
    """Counts seconds, and what was decided again."""

    def __init__(self, world: World) -> None:
        """Start."""
        self.world = world
        self.moment, self.clock = time.time(), time.perf_counter()
        self.cpu = time.process_time()

    def tell(self, what: str, jobs: int, pictures: int = 0) -> None:
        """Say what it took."""
        cpu, clock = time.process_time() - self.cpu, time.perf_counter() - self.clock
        newer = schema.standing.c.searched_at >= self.moment
        with self.world.database.read() as connection:
            again = len(connection.execute(schema.standing.select().where(newer)).all())
        print(
            f"{what:<44} {cpu:6.1f} CPU s, {clock:6.1f} s, {jobs} jobs, {again} decided again",
            flush=True,
        )
        if pictures:
            each = cpu / max(again, 1)
            print(f"{'':<44} {1000 * each:.2f} CPU ms each, {each * pictures:.0f} CPU s for all")


def count(world: World) -> None:
    """Count the names that would change by other rules."""
    policy = world.pipeline.label_policy
    for what, other in (
        ("another threshold", replace(policy, rules=Rules(threshold=99))),
        ("another margin", replace(policy, rules=Rules(margin=1.5))),
        ("another place for names", replace(policy, targets=NameTargets(prefix="person:"))),
        ("another calibration", replace(policy, rules=Rules(calibration="0a1b"))),
    ):
        watch = Watch(world)
        found = name_changes.under_settings(replace(world.pipeline, label_policy=other))
        watch.tell(f"count names by {what}", 0)
        print(f"{'':<44} {found}", flush=True)


def measure(world: World, pictures: int, part: int) -> None:
    """Count; learn, cross a step, forget; then a part of a full sweep."""
    world.pipeline.ledger.decide_by(world.pipeline.label_policy.fingerprint, "")
    count(world)
    for what, act, newcomer in (
        ("learn one portrait", world.learn, 0),
        ("learn one portrait, which crosses a step", world.learn, 1),
        ("forget one portrait, back across the step", world.forget, 1),
        ("forget one portrait", world.forget, 0),
    ):
        watch = Watch(world)
        act(newcomer)
        watch.tell(what, world.quiet())
    world.ledger.changed()  # nobody knows what changed
    watch, turns = Watch(world), -(-part // world.pipeline.sweep_batch)
    for _ in range(turns):
        world.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
        world.worker.run_one()
    watch.tell(f"full sweep, {turns} turns of it", turns, pictures)


def main() -> None:
    """Build the library, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--known", type=int, default=4_799)
    parser.add_argument("--part", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.url or f"sqlite:///{folder}/facelabel.db"
        world = World(url, Path(folder) / "index", People(asked.known))
        watch = Watch(world)
        world.fill(asked.pictures)
        watch.tell(f"search {asked.pictures} pictures", 0)
        measure(world, asked.pictures, asked.part)
        world.database.close()


if __name__ == "__main__":
    main()
