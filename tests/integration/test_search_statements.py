"""How often a search asks the database, which costs more than to answer it does."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.unit.test_local_recognizer import HOME, ScriptedEngine, asset, shows

from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.adapters.store.sql.database import Database
from facelabel.gallery import LocalCollections
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.rekognition.types import QualityFilter
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Return an empty database of either kind."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Database)
    return made


class World:
    """Both sides of the gallery over one engine."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Learn two people, by one portrait each."""
        clock = ManualClock()
        self.engine = ScriptedEngine()
        galleries = StoreGalleries(database, clock)
        index = MatrixIndex(galleries, folder, threads=1)
        probes = StoreProbes(database)
        self.recognizer = LocalRecognizer(lambda _: self.engine, galleries, index, probes)
        users = StoreUsers(database, clock)
        self.collections = LocalCollections(lambda _: self.engine, galleries, users, index)
        self.recognizer.create(HOME)
        self.learn("Ann", 0)
        self.learn("Bob", 60)
        self.engine.script[b"party"] = shows(1, 59)

    def learn(self, person: str, degrees: float) -> None:
        """Learn a portrait."""
        image = f"{person} {degrees}".encode()
        self.engine.script[image] = shows(degrees)
        self.recognizer.enrol(HOME, image, person, asset(f"{person} {degrees}"))


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path / "vectors")


@contextmanager
def questions() -> Iterator[list[str]]:
    """Every SELECT that is sent to any database meanwhile."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_search_asks_for_the_collection_its_position_and_the_faces(world: World) -> None:
    world.recognizer.identify(HOME, b"party", asset())
    with questions() as asked:
        seen = world.recognizer.identify(HOME, b"party", asset())
    assert [face.hits[0].person for face in seen.faces] == ["Ann", "Bob"]
    assert seen.note is not None
    assert len(asked) == 3


def test_once_more_where_somebody_near_has_several_portraits(world: World) -> None:
    world.learn("Ann", 2)
    world.recognizer.identify(HOME, b"party", asset())
    with questions() as asked:
        seen = world.recognizer.identify(HOME, b"party", asset())
    assert seen.faces[0].hits[0].similarity == pytest.approx(100)  # the mean of 0 and 2 degrees
    assert seen.note is not None
    assert len(asked) == 4


def test_a_client_that_searches_asks_as_often(world: World) -> None:
    def search() -> list[str | None]:
        found = world.collections.search_image(
            HOME, b"party", threshold=0, limit=9, quality=QualityFilter.NONE
        )
        return [match.record.external_image_id for match in found.matches]

    search()
    with questions() as asked:
        assert len(search()) == 2
    assert len(asked) == 3


@contextmanager
def between(questions_before: int, act: Callable[[], None]) -> Iterator[None]:
    """Have another thread act once, after so many questions and before the next one."""
    number, acting = count(), threading.Lock()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if acting.locked() or not statement.startswith("SELECT"):
            return
        if next(number) == questions_before:
            with acting:
                other = threading.Thread(target=act)
                other.start()
                other.join()

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("questions_before", range(4))
def test_who_is_forgotten_between_two_questions(
    world: World, database: Database, tmp_path: Path, questions_before: int
) -> None:
    """By another process: the answer is one of before or after, and is known to be in doubt."""
    world.learn("Ann", 2)
    ann = [one.face_id for one in world.recognizer.faces(HOME) if one.person == "Ann"]
    world.recognizer.identify(HOME, b"party", asset())

    def forget() -> None:
        with closing(Database(database.url)) as theirs:
            galleries = StoreGalleries(theirs, ManualClock())
            index = MatrixIndex(galleries, tmp_path / "vectors", threads=1)
            probes = StoreProbes(theirs)
            LocalRecognizer(lambda _: world.engine, galleries, index, probes).forget(HOME, ann)

    with between(questions_before, forget):
        seen = world.recognizer.identify(HOME, b"party", asset())
    found = [{hit.person for hit in face.hits} for face in seen.faces]
    before_the_position = questions_before < 2
    assert (seen.note is not None) == before_the_position
    assert found == [{"Bob"} if questions_before < 3 else {"Ann", "Bob"}] * 2
    after = world.recognizer.identify(HOME, b"party", asset())
    assert [{hit.person for hit in face.hits} for face in after.faces] == [{"Bob"}] * 2
    assert after.portraits == 1
