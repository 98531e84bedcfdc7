"""The matrix file between processes that die, compact and damage it."""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.forked import Piped
from tests.waiting import PATIENCE

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.sql.database import Database
from facelabel.core.model import Template
from facelabel.errors import Unavailable
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.rekognition.types import NewFace
from facelabel.testing import MemoryIndex, MemoryTemplates, some_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from facelabel.gallery.ports import Templates

DIMENSIONS = 16
PEOPLE = "people"


def unit(seed: int) -> bytes:
    """Return a random unit vector, the same for the same seed, in every process."""
    numbers = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (numbers / np.linalg.norm(numbers)).astype("<f4").tobytes()


def add(templates: Templates, seeds: Iterable[int]) -> None:
    """Add the faces of these seeds."""
    for seed in seeds:
        template = Template(some_face(), unit(seed))
        face = NewFace(f"face-{seed}", "", None, f"Person {seed}", template)
        templates.add(PEOPLE, [face])


def remove(templates: Templates, seeds: Iterable[int]) -> None:
    """Delete the faces of these seeds."""
    templates.delete(PEOPLE, [f"face-{seed}" for seed in seeds])


def number(templates: Templates) -> int:
    """Return the number of the one collection."""
    return templates.find(PEOPLE).number


def assert_exact(index: MatrixIndex, templates: Templates) -> None:
    """Compare with what looking at every vector gives."""
    asked = [unit(seed) for seed in (0, 1, 5000)]
    found = index.search(number(templates), asked, 20)
    truth = MemoryIndex(templates).search(number(templates), asked, 20)
    assert [[row for row, _ in hits] for hits in found] == [[r for r, _ in hits] for hits in truth]


@pytest.fixture
def memory() -> MemoryTemplates:
    """An in-memory store with three faces."""
    templates = MemoryTemplates()
    templates.create(PEOPLE, "model/1", DIMENSIONS)
    add(templates, range(3))
    return templates


@pytest.fixture
def file(memory: MemoryTemplates, tmp_path: Path) -> Path:
    """The matrix file of the three faces."""
    MatrixIndex(memory, tmp_path).search(number(memory), [unit(0)], 1)
    return tmp_path / f"{number(memory)}.matrix"


def test_a_tail_torn_at_any_byte_is_cut_or_derived_again(
    memory: MemoryTemplates, file: Path
) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert_exact(MatrixIndex(memory, file.parent), memory)
        assert file.read_bytes() == whole


def test_what_a_killed_append_left_behind_is_cut(memory: MemoryTemplates, file: Path) -> None:
    three = file.read_bytes()
    file.write_bytes(three + unit(3))
    assert_exact(MatrixIndex(memory, file.parent), memory)
    assert file.read_bytes() == three
    add(memory, [3, 4])
    for length in range(1, 2 * (8 + 4 * DIMENSIONS) + 1):
        file.write_bytes(three + bytes([255]) * length)
        assert_exact(MatrixIndex(memory, file.parent), memory)
        assert len(file.read_bytes()) == len(three) + 2 * (8 + 4 * DIMENSIONS)


def test_a_header_damaged_at_any_byte_is_not_believed(memory: MemoryTemplates, file: Path) -> None:
    whole = file.read_bytes()
    for at in range(64):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert_exact(MatrixIndex(memory, file.parent), memory)
        assert file.read_bytes() == whole


def test_the_file_of_a_store_that_was_put_back_from_a_backup_is_not_believed(
    memory: MemoryTemplates, file: Path
) -> None:
    older = MemoryTemplates()
    older.create(PEOPLE, "model/1", DIMENSIONS)
    add(older, [0, 7, 8])  # the same row numbers, other faces
    assert_exact(MatrixIndex(older, file.parent), older)


def test_deleted_vectors_are_gone_from_the_disk(memory: MemoryTemplates, tmp_path: Path) -> None:
    add(memory, range(3, 20))
    index = MatrixIndex(memory, tmp_path)
    assert_exact(index, memory)
    file = tmp_path / f"{number(memory)}.matrix"
    for seed in (19, 0, 7, 8, 9, 10, 11, 12):
        assert unit(seed) in file.read_bytes()
        remove(memory, [seed])
        assert_exact(index, memory)
        on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert unit(seed) not in on_disk
        assert unit(1) in on_disk


def test_faces_of_a_collection_that_another_process_dropped_are_let_go(tmp_path: Path) -> None:
    """A mapped file keeps its bytes readable for as long as it is mapped."""
    templates = MemoryTemplates()
    for collection in (PEOPLE, "others"):
        templates.create(collection, "model/1", DIMENSIONS)
    add(templates, range(3))
    ours, theirs = MatrixIndex(templates, tmp_path), MatrixIndex(templates, tmp_path)
    dropped = number(templates)
    ours.search(dropped, [unit(0)], 1)
    mapped = weakref.ref(ours._views[dropped].records)  # noqa: SLF001 - nobody else holds it
    theirs.drop(dropped)
    ours.search(templates.find("others").number, [unit(0)], 1)
    gc.collect()
    assert mapped() is None


def test_of_faces_that_are_equally_near_the_first_comes_first(tmp_path: Path) -> None:
    templates = MemoryTemplates()
    templates.create(PEOPLE, "model/1", DIMENSIONS)
    template = Template(some_face(), unit(1))
    templates.add(
        PEOPLE, [NewFace(f"face-{copy}", "", None, "Ann", template) for copy in range(40)]
    )
    (hits,) = MatrixIndex(templates, tmp_path).search(number(templates), [unit(1)], 40)
    rows = [row for row, _ in hits]
    assert rows == sorted(rows)


def test_the_dead_are_left_behind_once_they_are_a_quarter(
    memory: MemoryTemplates, tmp_path: Path
) -> None:
    add(memory, range(3, 100))
    index = MatrixIndex(memory, tmp_path)
    assert_exact(index, memory)
    file = tmp_path / f"{number(memory)}.matrix"
    full = file.stat().st_size
    remove(memory, range(24))
    assert_exact(index, memory)
    assert file.stat().st_size == full
    remove(memory, [24])
    assert_exact(index, memory)
    assert file.stat().st_size == 64 + 75 * (8 + 4 * DIMENSIONS)
    remove(memory, range(100))
    assert_exact(index, memory)
    assert file.stat().st_size == 64
    add(memory, [200])
    assert_exact(index, memory)


def test_what_a_killed_compaction_left_behind_is_deleted(
    memory: MemoryTemplates, file: Path
) -> None:
    file.with_suffix(".new").write_bytes(unit(0))
    assert_exact(MatrixIndex(memory, file.parent), memory)
    assert not file.with_suffix(".new").exists()


def test_dropping_deletes_every_file(memory: MemoryTemplates, file: Path) -> None:
    MatrixIndex(memory, file.parent).drop(number(memory))
    assert list(file.parent.iterdir()) == []


def test_a_reader_keeps_its_rows_while_another_compacts(
    memory: MemoryTemplates, tmp_path: Path
) -> None:
    add(memory, range(3, 50))
    reader, writer = MatrixIndex(memory, tmp_path), MatrixIndex(memory, tmp_path)
    assert_exact(reader, memory)
    for seed in range(40):
        remove(memory, [seed])
        add(memory, [seed + 100])
        assert_exact(writer, memory)
        if seed % 7 == 0:
            assert_exact(reader, memory)


class Interrupted(MemoryTemplates):
    """Lets something happen right after a reader has looked for changes."""

    def __init__(self) -> None:
        """Let nothing happen yet."""
        super().__init__()
        self.then: Callable[[], object] | None = None

    def position(self, collection_id: int) -> tuple[int, int]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = super().position(collection_id)
        then, self.then = self.then, None
        if then:
            then()
        return found


def test_a_face_erased_in_the_middle_of_a_search_is_not_returned(tmp_path: Path) -> None:
    templates = Interrupted()
    templates.create(PEOPLE, "model/1", DIMENSIONS)
    add(templates, range(10))
    reader, writer = MatrixIndex(templates, tmp_path), MatrixIndex(templates, tmp_path)
    assert_exact(reader, templates)
    assert_exact(writer, templates)

    def forget() -> None:
        remove(templates, [3])
        assert_exact(writer, templates)

    templates.then = forget
    (hits,) = reader.search(number(templates), [unit(3)], 10)
    assert sorted(row for row, _ in hits) == [1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_many_blocks_and_a_big_batch(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((20_000, DIMENSIONS)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = MatrixIndex(Rows(vectors), tmp_path)
    asked = vectors[::113]
    for count in (1, 10, 9000):
        found = index.search(1, [vector.tobytes() for vector in asked], count)
        scores = asked @ vectors.T
        assert [hits[0][0] for hits in found] == (scores.argmax(axis=1) + 1).tolist()
        assert {len(hits) for hits in found} == {count}
        worst = [hits[-1][1] for hits in found]
        least = np.partition(scores, -count, axis=1)[:, -count]
        expected = np.sqrt(np.maximum(0, 2 - 2 * least))
        assert worst == pytest.approx(expected, abs=1e-3)


class Rows(MemoryTemplates):
    """A store of one collection, quick to fill: row n is line n - 1 of an array."""

    def __init__(self, vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
        """Hold these vectors."""
        super().__init__()
        self.create(PEOPLE, "model/1", DIMENSIONS)
        self._vectors = vectors

    def vectors(self, collection_id: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        lines = self._vectors[after : after + limit]
        return [(after + 1 + at, line.tobytes()) for at, line in enumerate(lines)]


def test_a_folder_that_cannot_be_made_is_told(memory: MemoryTemplates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="the search matrix cannot be written"):
        MatrixIndex(memory, tmp_path / "file" / "index").search(number(memory), [unit(0)], 1)


# --- several processes, over the real store ---------------------------------------------------


def open_store(folder: Path) -> StoreGalleries:
    """Open the database of that folder."""
    return StoreGalleries(Database(f"sqlite:///{folder / 'test.db'}"), SystemClock())


@pytest.fixture
def store(tmp_path: Path) -> StoreGalleries:
    """A database with 40 faces."""
    templates = open_store(tmp_path)
    templates.create(PEOPLE, "model/1", DIMENSIONS)
    add(templates, range(40))
    return templates


#: A process of its own.
OTHER = """
import sys
from pathlib import Path
from tests.integration.test_vectors import main
main(sys.argv[1], Path(sys.argv[2]))
"""


@contextmanager
def process(role: str, folder: Path) -> Iterator[Piped]:
    """Run :func:`main` in another process until the block ends; it has begun when we enter."""
    with Piped(OTHER, role, str(folder)) as child:
        assert child.stdout.readline() == "ready\n"
        yield child


def ask(child: Piped, seed: int) -> float | None:
    """Return the distance of the face nearest to that seed's, as another process sees it."""
    child.stdin.write(f"{seed}\n")
    child.stdin.flush()
    hits = json.loads(child.stdout.readline())
    return float(hits[0][1]) if hits else None


def test_another_process_sees_faces_at_once(store: StoreGalleries, tmp_path: Path) -> None:
    ours = MatrixIndex(store, tmp_path / "index")
    with process("answer", tmp_path) as child:
        for seed in range(100, 110):
            assert (ask(child, seed) or 0) > 0.1
            add(store, [seed])
            assert ask(child, seed) == pytest.approx(0, abs=1e-3)
            remove(store, [seed, *range(4 * (seed - 100), 4 * (seed - 99))])  # we compact
            assert_exact(ours, store)
            assert ask(child, seed) is None or (ask(child, seed) or 0) > 0.1


def test_another_process_searches_while_we_compact(store: StoreGalleries, tmp_path: Path) -> None:
    ours = MatrixIndex(store, tmp_path / "index")
    with process("watch", tmp_path) as child:
        for round_ in range(12):
            seeds = range(1000 + 100 * round_, 1030 + 100 * round_)
            add(store, seeds)
            assert_exact(ours, store)
            remove(store, seeds)
            assert_exact(ours, store)
        answered = child.communicate("stop\n")
    assert json.loads(answered) > 0
    assert child.returncode == 0


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.soak)])
def test_a_process_killed_at_any_moment_does_no_harm(
    store: StoreGalleries, tmp_path: Path, rounds: int
) -> None:
    chance = random.Random(2)
    add(store, range(40, 100))
    for round_ in range(rounds):
        with process("churn", tmp_path) as child:
            time.sleep(chance.uniform(0, 0.05))
            add(store, [10_000 + round_])
            remove(store, [round_])
            time.sleep(chance.uniform(0, 0.05))
            child.kill()
            child.wait(timeout=PATIENCE)
        assert_exact(MatrixIndex(store, tmp_path / "index"), store)


def main(role: str, folder: Path) -> None:
    """Be the other process."""
    templates = open_store(folder)
    index = MatrixIndex(templates, folder / "index")
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    {"answer": answer, "watch": watch, "churn": churn}[role](index, number(templates))


def answer(index: MatrixIndex, people: int) -> None:
    """Search for each seed that comes in."""
    for line in sys.stdin:
        print(json.dumps(index.search(people, [unit(int(line))], 1)[0]), flush=True)  # noqa: T201


def watch(index: MatrixIndex, people: int) -> None:
    """Search for face 0, which never goes away, until told to stop; print how often."""
    told = threading.Thread(target=sys.stdin.readline, daemon=True)
    told.start()
    times = 0
    is_told = False
    while not is_told:
        is_told = not told.is_alive()
        ((_, distance),) = index.search(people, [unit(0)], 1)[0]
        assert distance < 1e-3
        times += 1
    print(times, flush=True)  # noqa: T201 - the answer


def churn(index: MatrixIndex, people: int) -> None:
    """Derive the file again and again, to be killed in the middle."""
    while True:
        index.search(people, [unit(0)], 1)
        index.drop(people)


def test_what_killed_processes_had_yet_to_erase_is_erased_at_the_start(
    memory: MemoryTemplates, file: Path
) -> None:
    remove(memory, [1])
    assert unit(1) in file.read_bytes()

    MatrixIndex(memory, file.parent).settle()

    content = file.read_bytes()
    assert (unit(0) in content, unit(1) in content) == (True, False)


def test_the_file_of_a_collection_that_is_gone_goes_at_the_start(
    memory: MemoryTemplates, file: Path
) -> None:
    torn = file.with_name("77.new")  # a process died while it wrote this
    torn.write_bytes(unit(0))
    memory.drop(PEOPLE)

    MatrixIndex(memory, file.parent).settle()

    assert not file.exists()
    assert not torn.exists()
