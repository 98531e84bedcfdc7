"""Deciding again only what a change touches ends as deciding everything again does.

Everything that decides is real: database, search matrix, recogniser, pipeline. The engine reads
the vectors off its "images": of eight numbers, each a multiple of 2**-11, so that every dot
product is exact and both ways have to agree to the last digit.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.examples import examples
from tests.lives import work_off
from tests.unit.test_convergence import Crash, Fate, fated

from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.model import Analysis, SearchRecord, Template, Verdict
from facelabel.core.quality import Comparable
from facelabel.core.serial import encode_face
from facelabel.errors import UnreadableImage
from facelabel.gallery.footing import Note
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers
from facelabel.rekognition.types import NewFace
from facelabel.testing import ManualClock, MemoryLibrary, MemoryQueue, some_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import Asset, Basis, Face, NameState

    Step = tuple[str, int, int, int]

HOME, LABEL, LEASE = "cld-rekog", "faceLabel:", 60.0
DIMENSIONS, GRAIN = 8, 1 << 11
#: Who may be learnt and photographed; far from them, others who are known from the first.
SHOWN = 6


def numbers(*seed: object) -> list[float]:
    """Some direction, the same each time."""
    random = Random(repr(seed))
    return [random.gauss(0, 1) for _ in range(DIMENSIONS)]


def vector(person: int, take: int) -> bytes:
    """A photo of somebody, more or less like the others."""
    spread = 0.2 + 0.2 * (take % 4)
    centre, noise = numbers("person", person), numbers("take", person, take)
    mixed = [c + spread * n for c, n in zip(centre, noise, strict=True)]
    length = sum(x * x for x in mixed) ** 0.5
    rounded = [round(x / length * GRAIN) / GRAIN for x in mixed]
    return struct.pack(f"<{DIMENSIONS}f", *rounded)


def image(*faces: tuple[int, int]) -> bytes:
    """An "image" of these people, each in some take."""
    return json.dumps(faces).encode()


class TinyEngine:
    """Sees the faces of :func:`image`."""

    model, dimensions = "tiny/1", DIMENSIONS
    comparable = Comparable()
    fall = 30.0

    @property
    def curve(self) -> str:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return f"falls by {self.fall}"

    def analyse(self, data: bytes) -> Analysis:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        try:
            faces = json.loads(data)
        except ValueError as error:
            raise UnreadableImage from error
        templates = [
            Template(some_face(left=at / 10), vector(*face)) for at, face in enumerate(faces)
        ]
        return Analysis(100, 100, tuple(templates))

    def faces(self, data: bytes) -> Sequence[Face]:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return [template.face for template in self.analyse(data).templates]

    def similarity(self, distance: float) -> float:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return max(0.0, 100 - self.fall * distance)


class World:
    """A library that is searched with everything there is."""

    def __init__(self, folder: Path, known: int) -> None:
        """Know so many others already."""
        self.database = Database(f"sqlite:///{folder / 'facelabel.db'}", page=20)
        self.clock = ManualClock()
        self.templates = StoreGalleries(self.database, self.clock)
        self.ledger = StoreLedger(self.database)
        self.queue = MemoryQueue(self.clock, LEASE)
        self.library = MemoryLibrary(
            self.clock, lambda asset_id: self.queue.enqueue(JobKind.ASSET, asset_id)
        )
        self.index = MatrixIndex(self.templates, folder / "index", threads=1)
        self.engine = TinyEngine()
        self.recognizer = LocalRecognizer(
            lambda _: self.engine, self.templates, self.index, StoreProbes(self.database)
        )
        self.fate, self.crashes = Fate(), 0
        self.calm = self._worker(Fate())
        self.ill_fated = self._worker(self.fate)
        self.uploaded = 0
        self.pipeline.gallery.collection()
        self._know(known)

    def _worker(self, fate: Fate) -> Worker:
        queue = fated(self.queue, fate)
        self.pipeline = Pipeline(
            fated(self.library.silently(), fate), fated(self.recognizer, fate),
            fated(self.ledger, fate), queue, self.clock, LabelPolicy(),
            sweep_batch=4, confirm_batch=3,
        )  # fmt: skip
        return Worker(queue, handlers(self.pipeline), self.clock)

    def _know(self, count: int) -> None:
        rows = [
            {
                "collection_id": self.number,
                "face_id": f"known-{number}",
                "person": f"Known {number % max(1, count - 5)}",
                "asset_id": f"known-{number}",
                "digest": str(number),
                "vector": vector(1000 + number, 0),
                "face": encode_face(some_face()),
            }
            for number in range(count)
        ]
        if rows:
            with self.database.transaction() as connection:
                connection.execute(schema.template.insert(), rows)

    @property
    def number(self) -> int:
        """Of the collection."""
        return self.templates.find(HOME).number

    def pick(self, a: int, folder: str) -> Asset | None:
        """Some asset."""
        assets = list(self.library.assets(folder))
        return assets[a % len(assets)] if assets else None

    def upload(self, data: bytes, folder: str, tags: Sequence[str] = ()) -> None:
        """Upload a picture."""
        self.uploaded += 1
        self.library.upload(
            data, folder=folder, public_id=f"{folder}/p{self.uploaded:03}", tags=tags
        )

    # ---- what happens; a, b, c are any numbers

    def enrol(self, a: int, b: int, c: int) -> None:
        """Learn somebody from one photo, sometimes under another's name, sometimes a stranger."""
        name = f"Person {(a if c % 5 else b) % SHOWN}"
        who = a % SHOWN if b % 3 else 700 + a
        self.upload(image((who, b % 8)), "training", [LABEL + name])

    def unenrol(self, a: int, b: int, _c: int) -> None:
        """Delete a portrait, or its label."""
        if asset := self.pick(a, "training"):
            if b % 2:
                self.library.delete(asset.asset_id)
            else:
                self.library.remove_tags(asset.asset_id, [t for t in asset.tags if LABEL in t])

    def relabel(self, a: int, b: int, _c: int) -> None:
        """Say that a portrait shows somebody else."""
        if asset := self.pick(a, "training"):
            self.library.remove_tags(asset.asset_id, [t for t in asset.tags if LABEL in t])
            self.library.add_tags(asset.asset_id, [f"{LABEL}Person {b % SHOWN}"])

    def shoot(self, a: int, b: int, c: int) -> None:
        """Upload pictures."""
        for take in range(1 + c % 3):
            people = [(who, 8 + b + take) for who in range(SHOWN) if a >> who & 1]
            self.upload(image(*people[: 1 + c % 4]), "assets")

    def overwrite(self, a: int, b: int, c: int) -> None:
        """Put another picture in the place of one."""
        if asset := self.pick(a, "assets"):
            data = image((b % SHOWN, 8 + c))
            self.library.upload(data, folder="assets", public_id=asset.public_id)

    def delete(self, a: int, _b: int, _c: int) -> None:
        """Delete a picture."""
        if asset := self.pick(a, "assets"):
            self.library.delete(asset.asset_id)

    def refuse(self, a: int, b: int, _c: int) -> None:
        """Take a name away."""
        asset = self.pick(a, "assets")
        if asset and (names := [tag for tag in asset.tags if LABEL not in tag]):
            self.library.remove_tags(asset.asset_id, [names[b % len(names)]])

    def meddle(self, a: int, b: int, c: int) -> None:
        """A client adds or deletes faces, with a name or without, and the ledger is not told."""
        name = f"Known {a % 90}" if c % 3 else ""
        if b % 3:
            template = Template(some_face(), vector(a % SHOWN, b))
            self.templates.add(HOME, [NewFace(f"client-{a}-{b}", "", None, name, template)])
        else:
            self.templates.delete(HOME, [f"known-{number}" for number in range(a % 90, a % 90 + 3)])

    def work(self, a: int, _b: int, _c: int) -> None:
        """Take some turns."""
        for _ in range(a % 8 + 1):
            self.clock.time += 1
            self.turn(self.calm)

    def trouble(self, a: int, b: int, c: int) -> None:
        """Be killed at a certain call, or be overtaken by another worker."""
        self.fate.event = self._crash if c % 2 else self._overtake
        self.fate.countdown, self.fate.after = a % 16 + 1, bool(b % 2)
        self.clock.time += 4
        self.turn(self.ill_fated)
        self.fate.countdown = 0

    def _crash(self) -> None:
        self.crashes += 1
        if self.crashes < 8:
            raise Crash

    def _overtake(self) -> None:
        for _ in range(4):
            self.clock.time += 1
            self.turn(self.calm)

    def turn(self, worker: Worker) -> bool:
        """Let a worker take one turn; whether there was anything to do."""
        try:
            return worker.run_one() is not None
        except Crash:
            self.clock.time += LEASE + 1
            return True

    def drain(self) -> None:
        """Work until nothing is left."""
        work_off(lambda: self.turn(self.calm), self.queue, self.clock)

    def through(self, steps: Sequence[Step]) -> None:
        """Live through these steps."""
        for act, a, b, c in steps:
            getattr(self, act)(a, b, c)

    # ---- what should be

    def rows(self) -> dict[str, SearchRecord]:
        """Every search, but for when it was made and how often the gallery had changed."""
        assert not self.ledger.stale(self.ledger.gallery().generation, 1)
        found = self.ledger.searches(list(self.ledger.searched()))
        return {
            asset_id: dataclasses.replace(search, searched_at=0.0, generation=0)
            for asset_id, search in found.items()
        }

    def tags(self) -> dict[str, tuple[str, ...]]:
        """The names on every picture."""
        return {asset.asset_id: asset.tags for asset in self.library.assets("assets")}

    def sweep_all(self) -> None:
        """Have everything decided again, as nobody knows what changed."""
        self.ledger.changed()
        self.pipeline.gallery.schedule_sweep()
        self.drain()

    def decided_since(self, moment: float) -> int:
        """How many pictures were decided again."""
        found = self.ledger.searches(list(self.ledger.searched())).values()
        return sum(search.searched_at >= moment for search in found)


@contextmanager
def world(migrated: Path, known: int) -> Iterator[World]:
    """A world of its own, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated, Path(folder) / "facelabel.db")
        one = World(Path(folder), known)
        with closing(one.database):
            yield one


ACTS = (
    "enrol", "enrol", "unenrol", "relabel", "shoot", "shoot", "overwrite", "delete", "refuse",
    "meddle", "work", "work", "trouble",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), *[st.integers(0, 255)] * 3), min_size=4, max_size=24
)
#: Of portraits known from the first: few, and around the steps of what a name takes.
KNOWN = st.sampled_from([3, 20, 97, 98, 99, 100, 101, 148, 149, 150, 151])


@settings(
    parent=examples(200),
    max_examples=max(12, examples(1000).max_examples // 4),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(known=KNOWN, first=STEPS, then=STEPS)
def test_what_is_left_alone_is_what_a_full_sweep_would_leave(
    migrated_sqlite: Path, known: int, first: list[Step], then: list[Step]
) -> None:
    with world(migrated_sqlite, known) as one:
        for take in range(8):
            one.shoot(1 << take % SHOWN | take, 10 * take, 1)
        one.through(first)
        one.drain()
        one.through(then)
        one.enrol(1, 9, 0)  # whatever clients did before is seen with the next change
        one.drain()
        rows, tags = one.rows(), one.tags()
        one.sweep_all()
        assert (rows, tags) == (one.rows(), one.tags())


#: Everything but what the ledger is not told of: that waits for the next change.
TOLD = st.lists(
    st.tuples(st.sampled_from(sorted({*ACTS} - {"meddle"})), *[st.integers(0, 255)] * 3),
    min_size=4, max_size=24,
)  # fmt: skip


@settings(
    parent=examples(200),
    max_examples=max(12, examples(1000).max_examples // 4),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(known=KNOWN, steps=TOLD)
# Another worker sweeps when somebody is unenrolled, and not forgotten yet.
@example(
    3,
    [
        ("enrol", 0, 0, 1), ("work", 7, 0, 0), ("work", 7, 0, 0), ("work", 7, 0, 0),
        ("enrol", 5, 0, 1), ("unenrol", 0, 1, 0), ("work", 0, 0, 0), ("trouble", 7, 0, 0),
    ],
)  # fmt: skip
def test_nothing_waits_for_another_change(
    migrated_sqlite: Path, known: int, steps: list[Step]
) -> None:
    with world(migrated_sqlite, known) as one:
        one.shoot(63, 0, 2)
        one.shoot(21, 3, 5)
        one.through(steps)
        one.drain()
        rows, tags = one.rows(), one.tags()
        one.sweep_all()
        assert (rows, tags) == (one.rows(), one.tags())


def photographed(one: World, pictures: int = 40) -> None:
    """Learn three, and put pictures of all there."""
    for person in range(3):
        one.upload(image((person, 0)), "training", [f"{LABEL}Person {person}"])
    for number in range(pictures):
        one.upload(image((number % SHOWN, 8 + number), (2, 90 + number)), "assets")
    one.drain()


@pytest.mark.parametrize("known", [96, 146])
def test_across_a_step_only_faces_between_both_thresholds_are_decided_again(
    migrated_sqlite: Path, known: int
) -> None:
    with world(migrated_sqlite, known) as one:
        photographed(one)
        one.upload(image((700, 0)), "training", [f"{LABEL}Far away"])
        one.drain()
        before, moment = one.rows(), one.clock.time + 1
        assert {search.portraits for search in before.values()} == {known + 4}
        one.clock.time += 2
        one.upload(image((701, 0)), "training", [f"{LABEL}Farther away"])
        one.drain()
        after = one.rows()
        assert {search.portraits for search in after.values()} == {known + 5}
        assert 0 < one.decided_since(moment) < len(after)
        lost = [i for i in after if after[i].names < before[i].names]
        assert lost
        verdicts = {face.verdict for i in lost for face in after[i].faces}
        assert Verdict.SUGGESTED in verdicts
        one.sweep_all()
        assert one.rows() == after
        farther = one.library.find(f"training/p{one.uploaded:03}")
        assert farther
        moment = one.clock.time = one.clock.time + 1
        one.library.delete(farther.asset_id)
        one.drain()
        assert one.rows() == before
        assert 0 < one.decided_since(moment) < len(after)


def test_a_portrait_of_somebody_on_no_picture_has_hardly_any_decided_again(
    migrated_sqlite: Path,
) -> None:
    with world(migrated_sqlite, 120) as one:
        photographed(one)
        moment = one.clock.time = one.clock.time + 1
        one.upload(image((700, 0)), "training", [f"{LABEL}Far away"])
        one.drain()
        assert one.decided_since(moment) < 20
        one.sweep_all()
        assert one.decided_since(one.clock.time) <= 40


class Dying(StoreLedger):
    """Its process is killed when it has noted what a person decided."""

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        super().mark(asset_id, states)
        raise Crash


@pytest.mark.parametrize("typed_back", [False, True])
def test_what_a_person_decided_counts_though_the_process_died_before_it_was_searched_again(
    migrated_sqlite: Path, *, typed_back: bool
) -> None:
    with world(migrated_sqlite, 120) as one:
        photographed(one)
        named = [asset for asset in one.library.assets("assets") if asset.tags]
        for asset in named:
            one.library.remove_tags(asset.asset_id, asset.tags)
        if typed_back:
            one.drain()
            for asset in named:
                one.library.add_tags(asset.asset_id, asset.tags)
        dying = dataclasses.replace(one.pipeline, ledger=Dying(one.database))
        for _ in named:
            one.turn(Worker(one.queue, handlers(dying), one.clock))
        one.drain()
        one.upload(image((700, 0)), "training", [f"{LABEL}Far away"])
        one.drain()
        rows = one.rows()
        one.sweep_all()
        assert rows == one.rows()


class Late(StoreLedger):
    """Something happens elsewhere before this process records what it decided."""

    def __init__(self, database: Database, event: Callable[[], None]) -> None:
        """``event``: what happens, once."""
        super().__init__(database)
        self._event = event

    def record(
        self,
        search: SearchRecord,
        basis: Basis | None = None,
        states: Mapping[str, NameState | None] = MappingProxyType({}),
    ) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        event, self._event = self._event, lambda: None
        event()
        super().record(search, basis, states)


def test_what_a_person_decided_counts_though_another_worker_was_quicker(
    migrated_sqlite: Path,
) -> None:
    with world(migrated_sqlite, 120) as one:
        photographed(one, 12)
        named = [asset for asset in one.library.assets("assets") if asset.tags == ("Person 2",)]
        one.library.remove_tags(named[0].asset_id, ["Person 2"])

        def overtake() -> None:
            one.upload(image((700, 0)), "training", [f"{LABEL}Far away"])
            one.drain()

        late = dataclasses.replace(one.pipeline, ledger=Late(one.database, overtake))
        one.turn(Worker(one.queue, handlers(late), one.clock))
        one.drain()
        rows, tags = one.rows(), one.tags()
        assert "Person 2" not in tags[named[0].asset_id]
        one.queue.enqueue(JobKind.ASSET, named[0].asset_id)
        one.drain()
        one.sweep_all()
        assert (rows, tags) == (one.rows(), one.tags())


def test_another_curve_reaches_every_picture_with_the_next_change(migrated_sqlite: Path) -> None:
    with world(migrated_sqlite, 120) as one:
        photographed(one, 12)
        before = one.rows()
        one.engine.fall = 45.0
        one.upload(image((701, 0)), "training", [f"{LABEL}Far away"])
        one.drain()
        rows = one.rows()
        assert any(rows[i].names < before[i].names for i in rows)
        one.sweep_all()
        assert rows == one.rows()


def noted_rows(one: World) -> dict[str, set[int]]:
    """Row numbers in what each search rests on."""
    with one.database.read() as connection:
        rows = connection.execute(select(schema.standing.c.asset_id, schema.standing.c.note)).all()
    notes = {asset_id: Note.unpack(bytes(note)) for asset_id, note in rows}
    return {i: {row for (row,) in struct.iter_unpack("<q", n.rows)} for i, n in notes.items() if n}


def test_what_a_search_rests_on_goes_with_the_picture_and_with_the_person(
    migrated_sqlite: Path,
) -> None:
    with world(migrated_sqlite, 20) as one:
        photographed(one, 6)
        portrait = one.pick(0, "training")
        assert portrait
        enrolled = one.templates.enrolled(one.number)
        face = next(f for f in enrolled if f.asset_id == portrait.asset_id)
        ((row, _),) = one.templates.vectors_of(one.number, [face.face_id]).values()
        references, _ = one.templates.references(one.number, [row])
        row = references[row].first_row
        assert any(row in rows for rows in noted_rows(one).values())
        one.library.delete(portrait.asset_id)
        picture = one.pick(0, "assets")
        assert picture
        one.library.delete(picture.asset_id)
        one.drain()
        left = noted_rows(one)
        assert set(left) == {asset.asset_id for asset in one.library.assets("assets")}
        assert not any(row in rows for rows in left.values())
