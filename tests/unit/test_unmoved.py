"""Which changes of the gallery touch what the local recogniser saw on a picture."""

from __future__ import annotations

import linecache
import math
import sys
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_local_recognizer import (
    HOME,
    CountingIndex,
    World,
    asset,
    shows,
)
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped] # it ships none

from facelabel.core.model import Noted, SearchRecord
from facelabel.gallery import footing
from facelabel.testing import MemoryIndex, MemoryTemplates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from _typeshed import TraceFunction

#: Sixteen are looked at: those up to 15 degrees from 0.
REACH = 15


@pytest.fixture
def world() -> World:
    """Thirty people, one a degree."""
    world = World()
    for degrees in range(30):
        world.learn(f"Person {degrees}", degrees)
    return world


def note(world: World, *degrees: float, name: str = "party", version: int = 1) -> Noted:
    """Look at a picture of faces at these angles."""
    image = f"{name} {version}".encode()
    world.engine.script[image] = shows(*degrees)
    found = world.recognizer.identify(HOME, image, asset(name, version)).note
    assert found is not None
    return Noted(name, version, found)


def stands(world: World, *noted: Noted) -> set[str]:
    """Those of the pictures that no change touched."""
    return set(world.recognizer.unmoved(HOME, noted))


def test_nothing_moves_without_a_change(world: World) -> None:
    assert stands(world, note(world, 0), note(world, name="nobody")) == {"party", "nobody"}


def test_a_reference_within_the_reach_of_a_face_touches_its_picture(world: World) -> None:
    near, far = note(world, 0), note(world, 0, 180, name="far")
    world.learn("Newcomer", 200)
    assert stands(world, near, far) == {"party"}


@pytest.mark.parametrize(("degrees", "touched"), [(REACH - 0.5, True), (REACH + 0.5, False)])
def test_the_reach_ends_with_the_farthest_that_was_looked_at(
    world: World, degrees: float, *, touched: bool
) -> None:
    party = note(world, 0)
    world.learn("Newcomer", -degrees)
    assert stands(world, party) == (set() if touched else {"party"})


def test_at_the_very_end_of_the_reach_it_may_touch(world: World) -> None:
    party = note(world, 0)
    world.learn("Newcomer", -REACH)
    assert stands(world, party) == set()


def test_where_all_were_looked_at_every_newcomer_touches() -> None:
    world = World()
    for degrees in range(15):
        world.learn(f"Person {degrees}", degrees)
    party = note(world, 0)
    world.learn("Newcomer", 180)
    assert stands(world, party) == set()


def test_a_reference_that_goes_touches_where_that_person_was_looked_at(world: World) -> None:
    party = note(world, 0)
    faces = {face.person: face.face_id for face in world.recognizer.faces(HOME)}
    world.recognizer.forget(HOME, [faces["Person 16"]])
    assert stands(world, party) == {"party"}
    world.recognizer.forget(HOME, [faces["Person 15"]])
    assert stands(world, party) == set()


def test_whatever_happens_to_somebody_who_was_looked_at_touches(world: World) -> None:
    """People are judged by all their references, near or not."""
    world.learn("Person 3", 170)
    away = world.learn("Person 3", 180)
    party, other = note(world, 0), note(world, 29.5, name="other")
    world.learn("Person 3", 190)
    assert stands(world, party, other) == {"other"}
    party = note(world, 0)
    world.recognizer.forget(HOME, [away.face_id])
    assert stands(world, party, other) == {"other"}


def test_somebody_who_stays_known_is_the_same_when_the_first_reference_goes(world: World) -> None:
    first = next(f for f in world.recognizer.faces(HOME) if f.person == "Person 3")
    world.learn("Person 3", 3.5)
    world.recognizer.forget(HOME, [first.face_id])
    party = note(world, 0)
    world.learn("Person 3", 180)
    assert stands(world, party) == set()


def test_a_face_without_a_name_takes_a_place_among_the_nearest(world: World) -> None:
    add = world.add_nameless
    add("far", 180)
    party = note(world, 0)
    add("farther", 190)
    world.templates.delete(HOME, ["far"])
    assert stands(world, party) == {"party"}
    add("near", -5)
    assert stands(world, party) == set()
    party = note(world, 0)
    world.templates.delete(HOME, ["near"])
    assert stands(world, party) == set()


def test_what_was_seen_is_not_looked_at_again(world: World) -> None:
    """A note is brought up to date with what did not touch it."""
    party = note(world, 0)
    stranger = world.learn("Stranger", 180)
    world.recognizer.forget(HOME, [stranger.face_id])
    world.learn("Stranger", 180)
    newer = replace(party, note=world.recognizer.unmoved(HOME, [party])["party"])
    assert newer.note != party.note
    read = [footing.Note.unpack(one.note) for one in (party, newer)]
    positions = [one.position for one in read if one]
    assert positions[1] == footing.Position(*world.templates.position(1))
    assert positions[0] != positions[1]
    assert stands(world, newer) == {"party"}
    assert len(newer.note) == len(party.note)
    world.learn("Newcomer", 5.5)
    assert stands(world, newer) == set()


def test_pictures_noted_at_different_times_are_judged_by_what_came_since(world: World) -> None:
    earlier = note(world, 0)
    world.learn("Newcomer", 3.5)
    later = note(world, 0, name="later")
    world.recognizer.forget(HOME, [world.learn("Passing", 200).face_id])
    assert stands(world, earlier, later) == {"later"}


def test_another_collection_number_of_people_or_scheme_is_another_look(world: World) -> None:
    party = note(world, 0)
    other = world.recogniser(min_people=3)
    assert other.unmoved(HOME, [party]) == {}
    read = footing.Note.unpack(party.note)
    assert read is not None
    assert read.pack() == party.note
    for wrong in (b"", b"\0" + party.note[1:], party.note[:-1], party.note + b"\0"):
        assert footing.Note.unpack(wrong) is None
        assert stands(world, replace(party, note=wrong)) == set()
    world.recognizer.drop(HOME)
    world.recognizer.create(HOME)
    assert stands(world, party) == set()


def test_by_another_curve_the_same_distance_is_another_similarity(world: World) -> None:
    party = note(world, 0)
    world.engine.fall = 45.0
    assert stands(world, party) == set()
    again = note(world, 0)
    assert stands(world, again) == {"party"}
    world.engine.fall = 50.0
    assert stands(world, again) == set()
    assert stands(world, party) == {"party"}


def test_pictures_kept_of_another_version_or_not_at_all_are_not_known(world: World) -> None:
    party = note(world, 0)
    assert stands(world, replace(party, version=2)) == set()
    world.engine.script[b"two"] = shows(0, 1)
    world.recognizer.identify(HOME, b"two", asset("party"))
    assert stands(world, party) == set()  # of as many faces as there are, or of none
    world.recognizer.discard("party")
    assert stands(world, party) == set()


def test_a_look_during_which_the_gallery_changed_has_no_note(world: World) -> None:
    class Busy(MemoryIndex):
        def search(
            self,
            collection_id: int,
            vectors: Sequence[bytes],
            count: int,
            position: tuple[int, int] | None = None,
        ) -> Sequence[Sequence[tuple[int, float]]]:
            found = super().search(collection_id, vectors, count, position)
            world.learn("Newcomer", 180)
            return found

    world.engine.script[b"party"] = shows(0)
    busy = world.recogniser(Busy(world.templates))
    assert busy.identify(HOME, b"party", asset("party")).note is None
    assert len(busy.identify(HOME, b"party", asset("party")).faces) == 1
    line = SearchRecord("party", "party", 1, HOME, 1, "80/1", "", ())
    assert world.recognizer.search_stored(HOME, [line])["party"].note is not None


def test_after_very_many_newcomers_nothing_is_told_apart(world: World) -> None:
    world.recognizer = world.recogniser(most_added=3)
    party = note(world, 0)
    for number in range(3):
        world.learn("Newcomer", 180 + number)
    assert stands(world, party) == {"party"}
    world.learn("Newcomer", 190)
    assert stands(world, party) == set()


def test_a_picture_too_far_behind_leaves_the_others_what_they_rest_on(world: World) -> None:
    world.recognizer = world.recogniser(most_added=3)
    behind = note(world, 0, name="behind")
    world.learn("Newcomer", 180)
    party, other = note(world, 0), note(world, 29, name="other")
    for number in range(2):
        world.learn("Newcomer", 190 + number)
    world.learn("Last", 35)
    assert stands(world, behind, party, other) == {"party"}


def test_a_deletion_that_does_not_say_whose_it_was_may_touch_all_before_it(world: World) -> None:
    class Former(MemoryTemplates):
        """Somebody deletes with an older program, too."""

        unsaid = 0

        def deletions(
            self, collection_id: int, after: int
        ) -> Sequence[tuple[int, int, int | None]]:
            return [
                (number, row, None if number == self.unsaid else first)
                for number, row, first in super().deletions(collection_id, after)
            ]

    templates = Former()
    world.templates, world.index = templates, CountingIndex(templates)
    world.recognizer = world.recogniser()
    world.recognizer.create(HOME)
    for degrees in range(30):
        world.learn(f"Person {degrees}", degrees)
    away = world.learn("Person 3", 180)
    before = note(world, 0, name="before")
    templates.unsaid = 1
    world.recognizer.forget(HOME, [away.face_id])
    after = note(world, 0, name="after")
    world.recognizer.forget(HOME, [world.learn("Passing", 200).face_id])
    assert stands(world, before, after) == {"after"}


def test_many_newcomers_are_compared_block_by_block(world: World) -> None:
    party, other = note(world, 0), note(world, 100, name="other")
    for number in range(2 * footing.BLOCK):
        world.learn("Newcomer", 180 + number / 100)
    world.learn("Last", 99)
    assert stands(world, party, other) == {"party"}


def crowds(world: World, pictures: int, faces: int) -> list[Noted]:
    """Pictures of many people at 0 degrees, as if they had been looked at."""
    read = footing.Note.unpack(note(world, 0).note)
    assert read is not None
    reaches = [math.radians(REACH)] * faces
    made = footing.Note.of(
        read.collection, read.people, world.engine.curve, read.position, reaches, set()
    )
    for number in range(pictures):
        world.probes.keep(asset(f"crowd {number}"), world.engine.model, shows(*[0] * faces))
    return [Noted(f"crowd {number}", 1, made.pack()) for number in range(pictures)]


@pytest.mark.parametrize(
    ("faces", "portions"),
    [
        ((), [0]),
        ((footing.FACES,), [1]),
        ((footing.FACES - 1, 1, 1), [2, 1]),
        ((0, footing.FACES + 1, 0, footing.FACES, 0), [1, 1, 3]),
    ],
)
def test_pictures_are_taken_by_their_faces(faces: Sequence[int], portions: Sequence[int]) -> None:
    looks = [
        footing.Look(str(at), 1, footing.Note.of(1, 2, "", footing.Position(0, 0), [1] * of, set()))
        for at, of in enumerate(faces)
    ]
    taken = list(footing.portions(looks))
    assert [len(some) for some in taken] == portions
    assert [look for some in taken for look in some] == looks


def test_memory_does_not_grow_with_the_pictures_considered_together(world: World) -> None:
    noted = crowds(world, 60, 500)
    for number in range(footing.BLOCK):
        world.learn("Newcomer", 180 + number / 100)
    peaks = []
    for some in (noted[:20], noted):
        tracemalloc.start()
        assert len(stands(world, *some)) == len(some)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    world.learn("Last", 5)
    assert stands(world, *noted) == set()


def test_products_start_no_threads(world: World) -> None:
    threads: list[int] = []

    def watch(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        """Look at the threads whenever a product is about to be made."""
        here = frame.f_code.co_filename == footing.__file__
        if event == "line" and " @ " in linecache.getline(footing.__file__, frame.f_lineno):
            threads.extend(blas["num_threads"] for blas in threadpool_info() if is_blas(blas))
        return watch if here else None

    def is_blas(library: dict[str, object]) -> bool:
        return library["user_api"] == "blas"

    party = note(world, 0)
    world.learn("Newcomer", 180)
    before = sys.gettrace()
    with threadpool_limits(2, "blas"):
        sys.settrace(watch)
        try:
            assert stands(world, party) == {"party"}
        finally:
            sys.settrace(before)
        assert {blas["num_threads"] for blas in threadpool_info() if is_blas(blas)} == {2}
    assert set(threads) == {1}


def test_rounding_is_on_the_safe_side(world: World) -> None:
    """The same product of two vectors may come out otherwise where another way computed it."""
    party = note(world, 0)
    read = footing.Note.unpack(party.note)
    assert read is not None
    reach = 2 * math.sin(math.radians(REACH / 2))
    slightly_less = footing.Note.of(
        read.collection, read.people, world.engine.curve, read.position, [reach * (1 - 1e-7)], set()
    )
    world.learn("Newcomer", -REACH)
    assert stands(world, replace(party, note=slightly_less.pack())) == set()
