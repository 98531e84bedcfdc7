"""What every store of templates, and every store of probes, promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from tests.conftest import PAGE

from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.adapters.store.sql import schema
from facelabel.core.model import Analysis, Asset, EnrolledFace, Template
from facelabel.errors import AlreadyExists, NotFound
from facelabel.rekognition.types import Gallery, NewFace, Reference
from facelabel.testing import ManualClock, MemoryProbes, MemoryTemplates, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from facelabel.adapters.store.sql.database import Database
    from facelabel.gallery.ports import Probes, Templates

MODEL = "memory/1"


def face(number: int, person: str = "Ann") -> EnrolledFace:
    return EnrolledFace(f"f{number}", person, f"a{number}")


def template(number: int) -> Template:
    return Template(some_face(), vector(1.0, number))


def new(number: int, person: str = "Ann") -> NewFace:
    """Return :func:`face` on its way into a collection."""
    one = face(number, person)
    return NewFace(one.face_id, f"digest-{number}", None, person, template(number), one.asset_id)


def asset(asset_id: str, version: int = 1) -> Asset:
    return Asset(asset_id, f"assets/{asset_id}", "assets", version, "jpg", 100, "etag")


class TemplatesContract:
    """The promises; a subclass provides the fixture ``templates``."""

    @pytest.fixture
    def people(self, templates: Templates) -> int:
        """Return the number of an empty collection "people"."""
        templates.create("people", MODEL, 2)
        return self.number(templates)

    def number(self, templates: Templates, collection: str = "people") -> int:
        return templates.find(collection).number

    def add(self, templates: Templates, *numbers: int, collection: str = "people") -> None:
        for number in numbers:
            templates.add(collection, [new(number)])

    def test_there_are_no_collections_at_first(self, templates: Templates) -> None:
        assert list(templates.names()) == []
        with pytest.raises(NotFound, match="people"):
            templates.find("people")

    def test_a_collection_keeps_its_model(self, templates: Templates, people: int) -> None:
        with pytest.raises(AlreadyExists, match="people"):
            templates.create("people", "other/1", 128)
        made = templates.create("next", "other/1", 128)
        assert (made.name, made.model, made.faces, made.users) == ("next", "other/1", 0, 0)
        found = templates.find("people")
        assert found == Gallery(people, None, MODEL)
        assert sorted(templates.names()) == ["next", "people"]
        assert people != self.number(templates, "next")
        assert found.numbers == [people]

    def test_nothing_is_added_to_or_read_from_a_collection_that_is_not_there(
        self, templates: Templates
    ) -> None:
        with pytest.raises(NotFound, match="people"):
            self.add(templates, 1)
        with pytest.raises(NotFound, match="people"):
            templates.drop("people")
        with pytest.raises(NotFound, match="people"):
            templates.delete("people", ["f1"])

    def test_a_vector_of_another_length_is_refused(self, templates: Templates, people: int) -> None:
        with pytest.raises(ValueError, match="2 dimensions"):
            templates.add(
                "people", [new(2), replace(new(1), template=Template(some_face(), vector(1, 2, 3)))]
            )
        assert list(templates.enrolled(people)) == []

    def test_faces_come_in_the_order_added(self, templates: Templates, people: int) -> None:
        self.add(templates, 3, 1, 2)
        assert list(templates.enrolled(people)) == [face(3), face(1), face(2)]
        assert set(templates.enrolled(people, ["f2", "unknown", "f3"])) == {face(2), face(3)}
        assert list(templates.enrolled(people, [])) == []

    def test_every_face_is_listed_once(self, templates: Templates, people: int) -> None:
        many = range(2 * PAGE + 2)
        self.add(templates, *many)
        assert list(templates.enrolled(people)) == [face(number) for number in many]

    def test_a_face_without_an_image_is_a_face(self, templates: Templates, people: int) -> None:
        templates.add("people", [replace(new(1, "Zoë"), asset_id=None)])
        assert list(templates.enrolled(people)) == [EnrolledFace("f1", "Zoë")]

    def test_the_same_face_again_changes_nothing(self, templates: Templates, people: int) -> None:
        self.add(templates, 1)
        before = templates.vectors(people, 0, 10)
        other = NewFace("f1", "other", None, "Bob", template(2), "a1")
        records = templates.add("people", [other, new(2), other])
        assert [record.face_id for record in records] == ["f1", "f2", "f1"]
        assert records[0] == records[2] == templates.add("people", [new(1)])[0]
        templates.delete("people", ["f2"])
        assert list(templates.enrolled(people)) == [face(1)]
        assert templates.vectors(people, 0, 10) == before

    def test_collections_are_apart(self, templates: Templates, people: int) -> None:
        templates.create("next", MODEL, 2)
        self.add(templates, 1, 2)
        self.add(templates, 1, collection="next")
        templates.delete("next", ["f1", "f2"])
        assert list(templates.enrolled(people)) == [face(1), face(2)]
        assert list(templates.enrolled(self.number(templates, "next"))) == []
        assert list(templates.deletions(people, 0)) == []

    def test_vectors_come_by_row_number_and_page(self, templates: Templates, people: int) -> None:
        self.add(templates, 1, 2, 3)
        everything = list(templates.vectors(people, 0, 10))
        rows = [row for row, _ in everything]
        assert rows == sorted(rows)
        assert [vector for _, vector in everything] == [template(n).vector for n in (1, 2, 3)]
        assert list(templates.vectors(people, 0, 2)) == everything[:2]
        assert list(templates.vectors(people, rows[1], 2)) == everything[2:]
        assert list(templates.vectors(people + 1000, 0, 10)) == []

    def test_references_of_rows(self, templates: Templates, people: int) -> None:
        self.add(templates, 1, 2)
        one, two = (row for row, _ in templates.vectors(people, 0, 10))
        templates.delete("people", ["f1"])
        reference = Reference(face(2), two, has_others=False)
        position = templates.position(people)
        assert templates.references(people, [one, two, 10**6]) == ({two: reference}, position)
        assert templates.references(people, [one]) == ({}, position)
        assert templates.references(people + 1000, [two]) == ({}, (0, 0))
        assert templates.vectors_of(people, ["f1", "f2", "f3"]) == {"f2": (two, template(2).vector)}
        assert templates.vectors_of(people, []) == templates.vectors_of(people + 1000, ["f2"]) == {}

    def test_a_deleted_face_leaves_its_row_number(self, templates: Templates, people: int) -> None:
        self.add(templates, 1, 2, 3)
        one, two, three = (row for row, _ in templates.vectors(people, 0, 10))
        templates.delete("people", ["f2", "unknown"])
        ((first, row, _),) = templates.deletions(people, 0)
        assert row == two
        templates.delete("people", ["f3", "f2", "f1"])
        deletions = templates.deletions(people, first)
        assert {row for _, row, _ in deletions} == {one, three}
        numbers = [number for number, _, _ in deletions]
        assert numbers == sorted(numbers)
        assert list(templates.enrolled(people)) == []
        assert list(templates.vectors(people, 0, 10)) == []

    def test_a_position_tells_of_every_change(self, templates: Templates, people: int) -> None:
        assert templates.position(people) == templates.position(people + 1000) == (0, 0)
        seen = [templates.position(people)]
        for change in (1, 2, "f2", 2, "f1"):
            if isinstance(change, str):
                templates.delete("people", [change])
            else:
                self.add(templates, change)
            seen.append(templates.position(people))
        assert len(set(seen)) == len(seen)
        newest = templates.vectors(people, 0, 10)[-1][0]
        assert seen[-1] == (newest, templates.deletions(people, 0)[-1][0])
        self.add(templates, 1)
        templates.create("next", MODEL, 2)
        self.add(templates, 9, collection="next")
        assert templates.position(people) == (newest + 1, seen[-1][1])

    def test_a_person_is_the_first_row_there_is(self, templates: Templates, people: int) -> None:
        for number, person in enumerate(("Ann", "Bob", "Ann", "", "Bob", "")):
            templates.add("people", [new(number, person)])
        rows = [row for row, _ in templates.vectors(people, 0, 10)]
        asked = [*rows, *range(10**6, 10**6 + 1200)]

        def people_at(number: int = people) -> dict[str, set[tuple[int, bool]]]:
            found: dict[str, set[tuple[int, bool]]] = {}
            references, position = templates.references(number, asked)
            assert position == templates.position(number)
            for one in references.values():
                if one.face.person:
                    found.setdefault(one.face.person, set()).add((one.first_row, one.has_others))
            return found

        assert people_at() == {"Ann": {(rows[0], True)}, "Bob": {(rows[1], True)}}
        assert people_at(people + 1000) == {}
        assert templates.references(people, ())[0] == {}
        templates.delete("people", ["f0", "f3"])
        assert people_at() == {"Ann": {(rows[2], False)}, "Bob": {(rows[1], True)}}
        templates.delete("people", ["f1", "f4"])
        assert people_at() == {"Ann": {(rows[2], False)}}
        departed = templates.deletions(people, 0)
        assert {(row, first) for _, row, first in departed} == {
            (rows[0], rows[0]), (rows[3], rows[3]), (rows[1], rows[1]), (rows[4], rows[1]),
        }  # fmt: skip
        assert list(templates.deletions(people, departed[1][0])) == list(departed[2:])

    def test_so_many_faces_come_after_a_row(self, templates: Templates, people: int) -> None:
        assert templates.row_before(people, 0) == templates.row_before(people, 3) == 0
        self.add(templates, 1, 2, 3, 4)
        templates.create("next", MODEL, 2)
        self.add(templates, 9, collection="next")
        templates.delete("people", ["f3"])
        rows = [row for row, _ in templates.vectors(people, 0, 10)]
        assert [templates.row_before(people, newest) for newest in range(5)] == [
            rows[2], rows[1], rows[0], 0, 0,
        ]  # fmt: skip
        assert templates.row_before(people + 1000, 0) == 0

    def test_a_row_number_is_never_used_again(self, templates: Templates, people: int) -> None:
        self.add(templates, 1)
        ((first, _),) = templates.vectors(people, 0, 10)
        templates.delete("people", ["f1"])
        self.add(templates, 1)
        ((second, _),) = templates.vectors(people, first, 10)
        assert second > first

    def test_many_faces_are_deleted_at_once(self, templates: Templates, people: int) -> None:
        self.add(templates, *range(20))
        ids = [f"f{number}" for number in range(40_000)]
        templates.delete("people", ids[1:])
        assert list(templates.enrolled(people, ids)) == [face(0)]
        assert len(templates.deletions(people, 0)) == 19

    def test_a_dropped_collection_is_gone_and_its_number_with_it(
        self, templates: Templates, people: int
    ) -> None:
        self.add(templates, 1, 2)
        templates.delete("people", ["f1"])
        templates.drop("people")
        with pytest.raises(NotFound, match="people"):
            templates.drop("people")
        with pytest.raises(NotFound, match="people"):
            templates.find("people")
        assert list(templates.vectors(people, 0, 10)) == []
        assert list(templates.deletions(people, 0)) == []
        templates.create("people", "other/1", 2)
        assert (again := self.number(templates)) > people
        assert list(templates.enrolled(again)) == list(templates.enrolled(people)) == []

    def test_the_vectors_of_people_with_several_faces(
        self, templates: Templates, people: int
    ) -> None:
        owners = {1: "Ann", 2: "Ben", 3: "Ann", 4: "Cid", 5: "Ann", 6: "Cid", 7: ""}
        for number, person in owners.items():
            templates.add("people", [new(number, person)])
        templates.create("other", MODEL, 2)
        templates.add("other", [new(8, "Ben")])
        ann, cid = ([template(n).vector for n in some] for some in ((1, 3, 5), (4, 6)))
        everybody = {"Ann", "Ben", "Cid", "Dan", *(f"unknown {n}" for n in range(1200))}

        def of(some: Collection[str], most: int) -> dict[str, Sequence[bytes]]:
            vectors, position = templates.vectors_of_people(people, some, most)
            assert position == templates.position(people)
            return dict(vectors)

        assert of(everybody, 9) == {"Ann": ann, "Cid": cid}
        assert of({"Ann", "Cid"}, 2) == {"Cid": cid}
        assert of({"Ben"}, 9) == {}
        assert of((), 9) == {}
        templates.delete("people", ["f4"])
        assert of({"Cid"}, 9) == {}


class ProbesContract:
    """The promises; a subclass provides the fixture ``probes``."""

    def test_what_was_seen_in_a_picture_is_kept(self, probes: Probes) -> None:
        seen = Analysis(640, 480, (template(1), template(2)), (some_face(),))
        nothing = Analysis(10, 10, ())
        probes.keep(asset("p", version=7), MODEL, seen)
        probes.keep(asset("q"), MODEL, nothing)
        ids = ["p", *(f"unknown-{number}" for number in range(1200)), "q"]
        assert probes.kept(ids, MODEL) == {"p": (7, seen), "q": (1, nothing)}
        assert probes.kept(ids, "other/1") == probes.kept([], MODEL) == {}
        vectors = template(1).vector + template(2).vector
        assert probes.kept_vectors(ids, MODEL) == {"p": (7, vectors), "q": (1, b"")}
        assert probes.kept_vectors(ids, "other/1") == {}

    def test_what_the_embedders_made_of_a_face_is_kept(self, probes: Probes) -> None:
        seen = Analysis(640, 480, (replace(template(1), norms=(12.5, 0.25)), template(2)))
        probes.keep(asset("p"), MODEL, seen)
        assert probes.kept(["p"], MODEL) == {"p": (1, seen)}

    def test_what_was_kept_is_replaced_and_discarded(self, probes: Probes) -> None:
        seen = Analysis(640, 480, (template(1),))
        probes.keep(asset("p"), MODEL, seen)
        again = replace(seen, templates=())
        probes.keep(asset("p", version=2), "other/1", again)
        assert probes.kept(["p"], MODEL) == {}
        assert probes.kept(["p"], "other/1") == {"p": (2, again)}
        probes.discard("p")
        probes.discard("p")
        assert probes.kept(["p"], "other/1") == {}


class StoreTemplatesContract(TemplatesContract):
    """Of those that processes of an older program write to, too."""

    @pytest.fixture
    def templates(self, database: Database) -> Templates:
        return StoreGalleries(database, ManualClock())

    def test_of_a_face_that_an_older_program_deleted_it_is_not_known_whose_it_was(
        self, templates: Templates, people: int, database: Database
    ) -> None:
        self.add(templates, 1, 2, 3)
        rows = [row for row, _ in templates.vectors(people, 0, 10)]
        templates.delete("people", ["f2"])
        with database.transaction() as connection:
            connection.execute(update(schema.template_deletion).values(first_row=None))
        templates.delete("people", ["f3"])
        departed = [(row, first) for _, row, first in templates.deletions(people, 0)]
        assert departed == [(rows[1], None), (rows[2], rows[0])]


class StoreProbesContract(ProbesContract):
    """In a database."""

    @pytest.fixture
    def probes(self, database: Database) -> Probes:
        return StoreProbes(database)


class TestMemoryTemplates(TemplatesContract):
    """In memory."""

    @pytest.fixture
    def templates(self) -> Templates:
        return MemoryTemplates()


class TestMemoryProbes(ProbesContract):
    """In memory."""

    @pytest.fixture
    def probes(self) -> Probes:
        return MemoryProbes()


class TestSqliteTemplates(StoreTemplatesContract, StoreProbesContract):
    """On SQLite."""

    @pytest.fixture
    def database(self, sqlite: Database) -> Database:
        return sqlite


class TestPostgresqlTemplates(StoreTemplatesContract, StoreProbesContract):
    """On PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql: Database) -> Database:
        return postgresql
