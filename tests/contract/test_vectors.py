"""What every :class:`~facelabel.gallery.ports.VectorIndex` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from facelabel.core.model import Template
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.rekognition.types import NewFace
from facelabel.testing import MemoryIndex, MemoryTemplates, some_face

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from facelabel.gallery.ports import Templates, VectorIndex

DIMENSIONS = 8


def unit(seed: int) -> bytes:
    """Return a random unit vector, the same for the same seed."""
    numbers = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (numbers / np.linalg.norm(numbers)).astype("<f4").tobytes()


def add(templates: Templates, collection: str, *vectors: bytes) -> list[str]:
    """Add faces with these vectors; return their ids."""
    ids = [f"{collection}-{vector.hex()}" for vector in vectors]
    for face_id, vector in zip(ids, vectors, strict=True):
        template = Template(some_face(), vector)
        templates.add(collection, [NewFace(face_id, "", None, "Ann", template)])
    return ids


def numbered(templates: Templates, collection: str) -> int:
    """Return the number of a collection."""
    return templates.find(collection).number


class IndexContract:
    """The promises; a subclass makes the index."""

    def index(self, templates: Templates, folder: Path) -> VectorIndex:
        raise NotImplementedError

    @pytest.fixture
    def templates(self) -> MemoryTemplates:
        made = MemoryTemplates()
        made.create("people", "model/1", DIMENSIONS)
        return made

    @pytest.fixture
    def people(self, templates: MemoryTemplates) -> int:
        return numbered(templates, "people")

    def test_nothing_is_near_in_an_empty_collection(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        found = self.index(templates, tmp_path).search(people, [unit(1), unit(2)], 3)
        assert [list(hits) for hits in found] == [[], []]

    def test_the_nearest_come_first_with_their_distance(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        near = np.frombuffer(unit(1), "<f4") + np.float32(0.1) * np.frombuffer(unit(2), "<f4")
        add(templates, "people", unit(3), (near / np.linalg.norm(near)).tobytes(), unit(1))
        rows = [row for row, _ in templates.vectors(people, 0, 9)]
        (hits,) = self.index(templates, tmp_path).search(people, [unit(1)], 3)
        assert [row for row, _ in hits] == rows[::-1]
        assert hits[0][1] == pytest.approx(0, abs=1e-3)
        expected = np.frombuffer(unit(3), "<f4") - np.frombuffer(unit(1), "<f4")
        assert hits[2][1] == pytest.approx(float(np.linalg.norm(expected)), rel=1e-4)

    def test_asking_for_more_than_there_are_gives_all(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        add(templates, "people", unit(1), unit(2))
        assert [
            len(hits) for hits in self.index(templates, tmp_path).search(people, [unit(3)], 9)
        ] == [2]

    def test_no_face_asked_for_gives_no_answer(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        add(templates, "people", unit(1))
        assert list(self.index(templates, tmp_path).search(people, [], 3)) == []

    def test_a_face_is_found_as_soon_as_it_is_added_and_never_once_it_is_deleted(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        index = self.index(templates, tmp_path)
        for seed in range(8):
            (face_id,) = add(templates, "people", unit(seed))
            (hits,) = index.search(people, [unit(seed)], 1)
            assert hits[0][1] == pytest.approx(0, abs=1e-3)
            templates.delete("people", [face_id])
            assert list(index.search(people, [unit(seed)], 1)[0]) == []

    def test_collections_do_not_mix(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        templates.create("others", "model/1", DIMENSIONS)
        others = numbered(templates, "others")
        add(templates, "people", unit(1))
        add(templates, "others", unit(2), unit(3))
        index = self.index(templates, tmp_path)
        assert len(index.search(people, [unit(2)], 9)[0]) == 1
        assert len(index.search(others, [unit(2)], 9)[0]) == 2

    def test_a_dropped_collection_is_derived_anew(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        add(templates, "people", unit(1))
        index = self.index(templates, tmp_path)
        before = index.search(people, [unit(2)], 1)
        index.drop(people)
        index.drop(people)
        assert index.search(people, [unit(2)], 1) == before

    def test_a_position_asked_for_just_now_is_up_to_when_it_sees(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        index = self.index(templates, tmp_path)
        (first,) = add(templates, "people", unit(1))
        assert len(index.search(people, [unit(1)], 9, templates.position(people))[0]) == 1
        add(templates, "people", unit(2))
        assert len(index.search(people, [unit(1)], 9, templates.position(people))[0]) == 2
        templates.delete("people", [first])
        assert len(index.search(people, [unit(1)], 9, templates.position(people))[0]) == 1


class TestMemoryIndex(IndexContract):
    """The fake."""

    def index(self, templates: Templates, folder: Path) -> VectorIndex:
        return MemoryIndex(templates)


class TestMatrixIndex(IndexContract):
    """The matrix file."""

    def index(self, templates: Templates, folder: Path) -> VectorIndex:
        return MatrixIndex(templates, folder)

    def test_a_vector_of_another_length_is_an_error(
        self, templates: MemoryTemplates, people: int, tmp_path: Path
    ) -> None:
        add(templates, "people", unit(1))
        index = self.index(templates, tmp_path)
        with pytest.raises(ValueError, match="a vector of 4 bytes among vectors of 32"):
            index.search(people, [bytes(4)], 1)


Step = tuple[str, int]
STEPS = st.lists(st.tuples(st.sampled_from(["add", "delete", "search"]), st.integers(0, 30)))


@examples(60)
@given(steps=STEPS, count=st.integers(1, 12))
def test_any_history_gives_what_looking_at_every_vector_gives(
    steps: Sequence[Step], count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two processes' worth of indexes over one folder, each searched now and then."""
    templates = MemoryTemplates()
    templates.create("people", "model/1", DIMENSIONS)
    people = numbered(templates, "people")
    folder = tmp_path_factory.mktemp("index")
    indexes = [MatrixIndex(templates, folder, threads=1) for _ in range(2)]
    ids: list[str] = []
    for action, number in [*steps, ("search", 0), ("search", 1)]:
        if action == "add":
            ids += add(templates, "people", unit(number))
        elif action == "delete":
            templates.delete("people", ids[number : number + 1])
        else:
            asked = [unit(number), unit(number + 100)]
            found = indexes[number % 2].search(people, asked, count)
            same(found, MemoryIndex(templates).search(people, asked, count))


def same(
    found: Sequence[Sequence[tuple[int, float]]], expected: Sequence[Sequence[tuple[int, float]]]
) -> None:
    """Compare results; distances from float32 products carry its rounding."""
    assert [[row for row, _ in hits] for hits in found] == [
        [row for row, _ in hits] for hits in expected
    ]
    for hits, truth in zip(found, expected, strict=True):
        assert [d for _, d in hits] == pytest.approx([d for _, d in truth], abs=1e-3)
