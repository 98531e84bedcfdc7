"""Where searches are paid for: when a picture is searched again, and when not."""

from __future__ import annotations

import pytest
from tests.unit.conftest import Bench

from facelabel.core.jobs import JobKind
from facelabel.recognition.live_gallery import PaidSearchPolicy
from facelabel.testing import portrait

HOUR = 3600.0
THRIFT = PaidSearchPolicy(look_back=HOUR, delay=300.0)


@pytest.fixture
def bench() -> Bench:
    """Return an empty library whose recogniser keeps nothing of the pictures it saw."""
    return Bench(paid_searches=THRIFT)


def later(bench: Bench, seconds: float = 2 * HOUR) -> None:
    """Let time pass, and what was waiting for it be worked."""
    bench.clock.sleep(seconds)
    bench.work()


def test_old_pictures_are_not_searched_again_when_somebody_is_learnt(bench: Bench) -> None:
    bench.learn("ann")
    party = bench.upload("ann", "bob")
    bench.work()
    assert bench.names(party) == {"Ann"}
    later(bench)
    searched = bench.recognizer.searched
    bench.learn("bob")
    later(bench)
    assert bench.recognizer.searched == searched
    assert bench.names(party) == {"Ann"}
    bench.pipeline.identifier.look_anew([party])
    bench.queue.enqueue(JobKind.ASSET, party)
    bench.work()
    assert bench.names(party) == {"Ann", "Bob"}


def test_new_pictures_with_unnamed_faces_are(bench: Bench) -> None:
    party = bench.upload("ann", "bob")
    known = bench.upload()
    bench.work()
    bench.learn("ann")
    bench.learn("bob")
    assert bench.names(party) == set()
    searched = bench.recognizer.searched
    later(bench, THRIFT.delay + 1)
    assert bench.names(party) == {"Ann", "Bob"}
    assert bench.recognizer.searched == searched + 2
    assert bench.names(known) == set()


def test_a_forgotten_name_is_withdrawn_and_only_its_pictures_searched_again(bench: Bench) -> None:
    bench.learn("ann")
    of_bob = bench.learn("bob")
    with_bob, without = bench.upload("ann", "bob"), bench.upload("ann")
    bench.work()
    later(bench)
    searched = bench.recognizer.searched
    bench.library.delete(of_bob)
    bench.work()
    later(bench)
    assert bench.names(with_bob) == {"Ann"}
    assert bench.names(without) == {"Ann"}
    assert bench.recognizer.searched == searched + 2


def test_another_portrait_of_the_forgotten_still_gives_the_name(bench: Bench) -> None:
    first = bench.learn("bob")
    party = bench.upload("bob")
    bench.work()
    again = portrait("bob") + b" "  # another file
    bench.library.upload(again, folder="training", public_id="other", tags=["faceLabel:Bob"])
    bench.work()
    later(bench)
    searched = bench.recognizer.searched
    bench.library.delete(first)
    bench.work()
    later(bench)
    assert bench.names(party) == {"Bob"}
    assert bench.recognizer.searched == searched + 1


def test_what_a_person_decided_costs_nothing(bench: Bench) -> None:
    bench.learn("ann")
    party = bench.upload("ann")
    bench.work()
    later(bench)
    searched = bench.recognizer.searched
    bench.library.remove_tags(party, ["Ann"])
    bench.work()
    assert bench.names(party) == set()
    bench.library.add_tags(party, ["Ann"])
    bench.work()
    later(bench)
    assert bench.names(party) == {"Ann"}
    assert bench.recognizer.searched == searched


def test_another_picture_under_the_same_name_is_searched(bench: Bench) -> None:
    bench.learn("ann")
    bench.learn("bob")
    party = bench.upload("ann", name="assets/party")
    bench.work()
    bench.upload("bob", name="assets/party")
    bench.work()
    assert bench.names(party) == {"Bob"}


def test_a_collection_stays_for_a_while_when_another_takes_its_place(bench: Bench) -> None:
    bench.learn("ann")
    party = bench.upload("ann")
    bench.work()
    old = bench.pipeline.gallery.collection()
    new = bench.reconciler.request_rebuild()
    bench.work()
    assert bench.pipeline.gallery.collection() == new
    assert set(bench.recognizer.collections()) == {old, new}
    later(bench, THRIFT.grace + 1)
    assert list(bench.recognizer.collections()) == [new]
    assert bench.names(party) == {"Ann"}
    assert bench.people() == ["Ann"]


def test_the_last_of_several_rebuilds_stays(bench: Bench) -> None:
    bench.learn("ann")
    for _ in range(2):
        newest = bench.reconciler.request_rebuild()
        bench.work()
        bench.clock.sleep(60)
    later(bench, THRIFT.grace + 1)
    later(bench, THRIFT.grace + 1)
    assert bench.pipeline.gallery.collection() == newest
    assert list(bench.recognizer.collections()) == [newest]
