"""What every ledger promises."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from tests.conftest import PAGE
from tests.integration.aws.moto_server import new_table

from facelabel.adapters.aws import table
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.core.model import (
    Basis,
    Box,
    Candidate,
    Enrolment,
    Face,
    FaceDecision,
    GalleryState,
    NameState,
    Noted,
    OnRecord,
    Pose,
    Reason,
    Scope,
    SearchRecord,
    Template,
    Verdict,
)
from facelabel.core.serial import (
    decode_face,
    decode_named,
    decode_template,
    encode_face,
    encode_named,
    encode_template,
)
from facelabel.errors import Rejected
from facelabel.testing import MemoryLedger, some_face, vector

if TYPE_CHECKING:
    from facelabel.adapters.store.sql.database import Database
    from facelabel.recognition.ports import Ledger

LIVE = "people-1"


def enrolment(asset_id: str, face_id: str = "f1", person: str = "Ann") -> Enrolment:
    return Enrolment(asset_id, f"training/{asset_id}", 1, f"digest-{face_id}", person, face_id)


def search(asset_id: str, generation: int = 1, version: int = 1) -> SearchRecord:
    poor = replace(some_face(), pose=Pose(60.5, -1.25, 0.0), reasons=(Reason.EXTREME_POSE,))
    candidates = (Candidate("Zoë", 99.123456789, "f1"), Candidate("Bob", 12.5, "f2"))
    return SearchRecord(
        asset_id=asset_id,
        public_id=f"assets/{asset_id}",
        version=version,
        collection=LIVE,
        generation=generation,
        rules="80/5",
        model="memory/1",
        faces=(
            FaceDecision(some_face(), "Zoë", Verdict.NAMED, candidates),
            FaceDecision(poor, None, Verdict.NO_CANDIDATE),
        ),
        left_out=(poor,),
        searched_at=1_700_000_000.25,
    )


class LedgerContract:
    """The promises; a subclass provides the fixture ``ledger``."""

    #: More enrolments than the ledger reads at a time.
    many = 2 * PAGE + 2

    @pytest.fixture
    def live(self, ledger: Ledger) -> Ledger:
        ledger.switch(LIVE)
        return ledger

    def test_a_new_ledger_is_empty(self, ledger: Ledger) -> None:
        assert ledger.collection() is None
        assert ledger.gallery().generation == 0
        assert ledger.enrolment(LIVE, "a") is None
        assert list(ledger.enrolments(LIVE)) == []
        assert list(ledger.faces_to_delete(LIVE)) == []
        assert ledger.intention(LIVE, "a") is None
        assert ledger.search("a") is None
        assert ledger.names("a") == {}

    def test_switching_makes_a_collection_live_and_changes_the_gallery(
        self, ledger: Ledger
    ) -> None:
        ledger.switch("people-1")
        ledger.switch("people-2")
        assert (ledger.collection(), ledger.gallery().generation) == ("people-2", 2)

    def test_the_first_collection_is_begun_only_where_none_is_live(self, ledger: Ledger) -> None:
        assert ledger.begin("people-1") == "people-1"
        assert ledger.begin("people-1") == ledger.begin("people-2") == "people-1"
        assert (ledger.collection(), ledger.gallery().generation) == ("people-1", 1)
        ledger.switch("people-2")
        assert ledger.begin("people-1") == "people-2"

    def test_a_gallery_that_is_begun_asks_more_where_many_are_known(self, ledger: Ledger) -> None:
        assert ledger.gallery() == GalleryState()
        ledger.begin(LIVE)
        assert ledger.gallery() == GalleryState(LIVE, 1, weighs_strangers=True)

    def test_a_gallery_of_an_older_program_does_not(self, live: Ledger) -> None:
        assert live.gallery() == GalleryState(LIVE, 1)

    def test_the_rules_in_force_are_those_that_were_said_last(self, ledger: Ledger) -> None:
        assert ledger.gallery().rules is None
        ledger.decide_by("80/1.25", "80/1.25")
        assert ledger.gallery() == GalleryState(rules="80/1.25", configured="80/1.25")
        ledger.begin(LIVE)
        ledger.decide_by("95/1.25;tags,people:,,", "80/1.25")
        known = GalleryState(LIVE, 2, True, "95/1.25;tags,people:,,", "80/1.25")  # noqa: FBT003 - as it is kept
        assert ledger.gallery() == ledger.about("p").gallery == known

    def test_people_are_learnt_by_what_was_said_last(self, live: Ledger) -> None:
        before = live.gallery()
        assert (before.learning, before.learning_configured) == (None, None)
        live.decide_by("80/1.25", "80/1.25")
        for learning, configured in (("there", "there"), ("elsewhere", "there")):
            live.learn_by(learning, configured)
            known = GalleryState(
                before.collection, before.generation, before.weighs_strangers,
                "80/1.25", "80/1.25", learning, configured,
            )  # fmt: skip
            assert live.gallery() == live.about("p").gallery == known

    def test_other_rules_change_the_gallery_and_the_same_do_not(self, live: Ledger) -> None:
        generation = live.gallery().generation
        for rules, changes in (("80/1", 0), ("80/1", 0), ("95/1", 1), ("95/1", 1), ("80/1", 2)):
            live.decide_by(rules, "80/1")
            assert live.gallery().generation == generation + changes

    def test_searches_by_other_rules_differ(self, ledger: Ledger) -> None:
        for asset_id, rules in (("a", "80/1"), ("b", "95/1"), ("c", ";"), ("d", "80/1")):
            ledger.record(replace(search(asset_id), rules=rules))
        assert sorted(ledger.differing("80/1")) == ["b", "c"]
        assert sorted(ledger.differing("95/1")) == ["a", "c", "d"]

    def test_what_others_changed_counts(self, live: Ledger) -> None:
        before = live.gallery().generation
        live.changed()
        assert (live.collection(), live.gallery().generation) == (LIVE, before + 1)

    def test_an_enrolment_is_read_as_it_was_written(self, live: Ledger) -> None:
        line = enrolment("a", person="Zoë Müller")
        live.enrol(LIVE, line)
        assert live.enrolment(LIVE, "a") == line
        assert live.enrolment("other", "a") is None
        assert list(live.enrolments(LIVE)) == [line]
        assert list(live.enrolments("other")) == []

    def test_every_enrolment_is_listed_once(self, live: Ledger) -> None:
        lines = [enrolment(f"a{number:04}", f"f{number}") for number in range(self.many)]
        for line in lines:
            live.enrol(LIVE, line)
        assert list(live.enrolments(LIVE)) == lines

    def test_the_enrolments_that_hold_given_faces_are_found(self, live: Ledger) -> None:
        for asset_id, face_id in (("a", "f1"), ("b", "f1"), ("c", "f2"), ("d", "f3")):
            live.enrol(LIVE, enrolment(asset_id, face_id))
        held = live.enrolments(LIVE, ["f1", "f3", "f9"])
        assert sorted(line.asset_id for line in held) == ["a", "b", "d"]
        assert list(live.enrolments(LIVE, [])) == []

    def test_enrolling_changes_the_gallery(self, live: Ledger) -> None:
        before = live.gallery().generation
        live.enrol(LIVE, enrolment("a"))
        live.enrol(LIVE, enrolment("a", "f2"))
        live.unenrol(LIVE, "a")
        assert live.gallery().generation == before + 3

    def test_what_changes_nothing_is_no_change_of_the_gallery(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        before = live.gallery().generation
        live.enrol(LIVE, enrolment("a"))
        assert live.unenrol(LIVE, "unknown") is None
        live.begin_enrolment(LIVE, "a", "Ann")
        live.record(search("p"))
        assert live.gallery().generation == before

    def test_a_collection_that_is_not_live_changes_no_gallery(self, live: Ledger) -> None:
        before = live.gallery().generation
        live.enrol("next", enrolment("a"))
        live.unenrol("next", "a")
        assert live.gallery().generation == before

    def test_a_replaced_face_is_left_over(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a", "f1"))
        live.enrol(LIVE, enrolment("a", "f2"))
        assert list(live.faces_to_delete(LIVE)) == ["f1"]
        assert list(live.faces_to_delete("other")) == []

    def test_an_unenrolled_face_is_left_over(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        assert live.unenrol(LIVE, "a") == enrolment("a")
        assert live.enrolment(LIVE, "a") is None
        assert list(live.faces_to_delete(LIVE)) == ["f1"]

    def test_a_face_is_left_over_only_by_its_last_holder(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        live.enrol(LIVE, enrolment("copy"))
        live.enrol("other", enrolment("a"))
        live.unenrol(LIVE, "a")
        assert list(live.faces_to_delete(LIVE)) == []
        live.unenrol(LIVE, "copy")
        assert list(live.faces_to_delete(LIVE)) == ["f1"]

    def test_a_changed_line_about_the_same_face_leaves_nothing_over(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        live.enrol(LIVE, replace(enrolment("a"), version=2))
        assert list(live.faces_to_delete(LIVE)) == []
        assert list(live.enrolments(LIVE)) == [replace(enrolment("a"), version=2)]

    def test_what_is_there_no_more_is_not_replaced(self, live: Ledger) -> None:
        first, second = enrolment("a", "f1"), enrolment("a", "f2", person="Ben")
        renamed = replace(first, public_id="moved")
        assert not live.enrol(LIVE, renamed, instead_of=first)
        assert live.enrolment(LIVE, "a") is None
        assert live.enrol(LIVE, first)
        assert live.enrol(LIVE, second, instead_of=first)
        live.begin_enrolment(LIVE, "a", "Cid")
        before = live.gallery()
        assert not live.enrol(LIVE, renamed, instead_of=first)
        assert (live.enrolment(LIVE, "a"), live.gallery()) == (second, before)
        assert (live.intention(LIVE, "a"), list(live.faces_to_delete(LIVE))) == ("Cid", ["f1"])
        assert live.enrol(LIVE, second, instead_of=second)
        assert (live.intention(LIVE, "a"), live.gallery()) == (None, before)

    def test_a_leftover_enrolled_again_is_none(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        live.unenrol(LIVE, "a")
        live.enrol(LIVE, enrolment("b"))
        assert list(live.faces_to_delete(LIVE)) == []

    def test_leftovers_are_cleared(self, live: Ledger) -> None:
        for number in range(3):
            live.enrol(LIVE, enrolment("a", f"f{number}"))
        live.mark_deleted("other", ["f0"])
        live.mark_deleted(LIVE, ["f0", "unknown"])
        assert list(live.faces_to_delete(LIVE)) == ["f1"]
        live.mark_deleted(LIVE, [])
        assert list(live.faces_to_delete(LIVE)) == ["f1"]

    def test_clearing_changes_the_gallery_of_the_live_collection(self, live: Ledger) -> None:
        for number in range(4):
            live.enrol(LIVE, enrolment("a", f"f{number}"))
            live.enrol("other", enrolment("a", f"f{number}"))
        before = live.gallery().generation
        live.mark_deleted("other", ["f0"])
        live.mark_deleted(LIVE, [])
        assert live.gallery().generation == before
        live.mark_deleted(LIVE, ["f0", "f1", "f0"])
        assert live.gallery().generation == before + 1
        live.mark_deleted(LIVE, ["f2"])
        assert live.gallery().generation == before + 2
        assert (list(live.faces_to_delete(LIVE)), list(live.faces_to_delete("other"))) == (
            [],
            ["f1", "f2"],
        )

    def test_an_intention_stands_until_the_enrolment_or_the_unenrolment(self, live: Ledger) -> None:
        live.begin_enrolment(LIVE, "a", "Ann")
        live.begin_enrolment(LIVE, "a", "Bob")
        assert live.intention(LIVE, "a") == "Bob"
        assert live.intention(LIVE, "b") is live.intention("other", "a") is None
        live.enrol(LIVE, enrolment("a"))
        assert live.intention(LIVE, "a") is None
        live.begin_enrolment(LIVE, "a", "Cid")
        live.enrol(LIVE, enrolment("a"))
        assert live.intention(LIVE, "a") is None
        live.begin_enrolment(LIVE, "b", "Dan")
        live.unenrol(LIVE, "b")
        assert live.intention(LIVE, "b") is None

    def test_holders_of_the_same_picture_are_found(self, live: Ledger) -> None:
        for asset_id in ("b", "a"):
            live.enrol(LIVE, enrolment(asset_id))
        live.enrol(LIVE, enrolment("c", "f2"))
        live.enrol("other", enrolment("d"))
        found = live.holders(LIVE, "digest-f1")
        assert {line.asset_id for line in found} == {"a", "b"}
        assert list(live.holders(LIVE, "unknown")) == []

    def test_purging_deletes_a_collection_but_not_the_searches_in_it(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        live.enrol(LIVE, enrolment("a", "f2"))
        live.begin_enrolment(LIVE, "b", "Bob")
        live.record(search("p"))
        live.enrol("next", enrolment("a", "f9"))
        live.switch("next")
        live.purge(LIVE)
        assert list(live.enrolments(LIVE)) == []
        assert list(live.faces_to_delete(LIVE)) == []
        assert live.intention(LIVE, "b") is None
        assert list(live.enrolments("next")) == [enrolment("a", "f9")]
        assert live.search("p") == search("p")

    def test_the_live_collection_is_not_purged(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("a"))
        with pytest.raises(Rejected, match=LIVE):
            live.purge(LIVE)
        assert live.enrolment(LIVE, "a")

    def test_a_search_is_read_as_it_was_written(self, ledger: Ledger) -> None:
        ledger.record(search("p"))
        assert ledger.search("p") == search("p")
        assert ledger.search("q") is None

    def test_a_newer_search_replaces_and_an_older_one_is_dropped(self, ledger: Ledger) -> None:
        ledger.record(search("p", generation=5, version=2))
        newest = replace(search("p", generation=5, version=2), rules="90/5")
        ledger.record(newest)
        ledger.record(search("p", generation=4, version=2))
        ledger.record(search("p", generation=6, version=1))
        assert ledger.search("p") == newest
        ledger.record(search("p", generation=4, version=3))
        assert ledger.search("p") == search("p", generation=4, version=3)

    def test_searches_are_revised_where_nobody_knew_better(self, ledger: Ledger) -> None:
        for asset_id, generation in (("p", 1), ("q", 2), ("r", 3)):
            ledger.record(search(asset_id, generation))
        ledger.record(search("s", 1, version=2))
        again = [replace(search(asset_id, 2), rules="90/5") for asset_id in "tsrqp"]
        ledger.revise([(one, None) for one in again])
        assert {i: one.rules for i, one in ledger.searches("pqrst").items()} == {
            "p": "90/5", "q": "80/5", "r": "80/5", "s": "80/5",
        }  # fmt: skip
        ledger.revise([(search("s", 1, version=3), None)])
        assert ledger.search("s") == search("s", 1, version=3)
        ledger.revise([])

    def test_a_picture_that_was_forgotten_meanwhile_is_not_revised(self, ledger: Ledger) -> None:
        for asset_id in "pq":
            ledger.record(search(asset_id))
        ledger.forget_asset("p")
        ledger.revise([(search(asset_id, 2), None) for asset_id in "pq"])
        assert ledger.searches("pq") == {"q": search("q", 2)}
        assert [line.asset_id for line in ledger.stale(9, 9)] == list(ledger.searched()) == ["q"]

    def test_several_searches_are_read_at_once(self, ledger: Ledger) -> None:
        for asset_id in "pqr":
            ledger.record(search(asset_id))
        ids = ["p", *(f"unknown-{number}" for number in range(1200)), "r"]
        assert ledger.searches(ids) == {"p": search("p"), "r": search("r")}
        assert ledger.searches([]) == {}

    def test_stale_searches_come_oldest_first(self, ledger: Ledger) -> None:
        for asset_id, generation in (("new", 3), ("old", 1), ("middle", 2), ("older", 0)):
            ledger.record(search(asset_id, generation))
        assert [line.asset_id for line in ledger.stale(3, 10)] == ["older", "old", "middle"]
        assert [line.asset_id for line in ledger.stale(3, 2)] == ["older", "old"]
        assert list(ledger.stale(0, 10)) == []

    def test_of_one_generation_the_search_made_first_comes_first(self, ledger: Ledger) -> None:
        for asset_id, moment in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
            ledger.record(replace(search(asset_id), searched_at=moment))
        assert [line.asset_id for line in ledger.stale(2, 10)] == ["b", "c", "a"]

    def test_marks_are_set_and_deleted(self, ledger: Ledger) -> None:
        ledger.mark("p", {"Ann": NameState.WRITING, "Zoë": NameState.REFUSED})
        ledger.mark("p", {"Ann": NameState.WRITTEN, "Bob": None})
        assert ledger.names("p") == {"Ann": NameState.WRITTEN, "Zoë": NameState.REFUSED}
        ledger.mark("p", {"Ann": None})
        assert ledger.names("p") == {"Zoë": NameState.REFUSED}
        assert ledger.names("q") == {}

    def test_the_pictures_of_a_name_are_those_that_we_wrote_it_on(self, ledger: Ledger) -> None:
        for key, state in (
            ("written", NameState.WRITTEN), ("on its way", NameState.WRITING),
            ("going", NameState.REMOVING), ("not them", NameState.REFUSED),
        ):  # fmt: skip
            ledger.record(search(key), None, {"Ann": state, "Zoë": NameState.WRITTEN})
        ledger.record(search("of others"), None, {"Bob": NameState.WRITTEN})
        assert sorted(ledger.named("Ann")) == ["going", "on its way", "written"]
        assert list(ledger.named("Nobody")) == []

    def test_names_are_marked_with_the_search_that_says_so(self, ledger: Ledger) -> None:
        ledger.mark("p", {"Zoë": NameState.WRITTEN})
        ledger.record(search("p"), None, {"Ann": NameState.WRITING, "Zoë": NameState.REMOVING})
        assert ledger.search("p") == search("p")
        assert ledger.names("p") == {"Ann": NameState.WRITING, "Zoë": NameState.REMOVING}

    def test_names_are_marked_though_a_newer_search_is_on_record(self, ledger: Ledger) -> None:
        ledger.record(search("p", generation=2))
        ledger.record(search("p", generation=1), None, {"Ann": NameState.WRITING})
        assert ledger.search("p") == search("p", generation=2)
        assert ledger.names("p") == {"Ann": NameState.WRITING}

    def test_a_search_is_stale_when_the_gallery_changed_since(self, live: Ledger) -> None:
        assert not live.has_stale()
        now = live.gallery().generation
        live.record(search("p", generation=now))
        assert not live.has_stale()
        live.changed()
        assert live.has_stale()
        live.record(search("p", generation=now + 1))
        assert not live.has_stale()

    def test_of_an_asset_nobody_knows_there_is_the_gallery_alone(self, ledger: Ledger) -> None:
        assert ledger.about("p") == OnRecord(GalleryState())
        ledger.begin(LIVE)
        ledger.enrol(LIVE, enrolment("a"))
        ledger.begin_enrolment(LIVE, "b", "Ann")
        ledger.record(search("q"))
        ledger.mark("q", {"Ann": NameState.WRITTEN})
        assert ledger.about("p") == OnRecord(GalleryState(LIVE, 2, weighs_strangers=True))

    def test_everything_about_an_asset_is_read_at_once(self, live: Ledger) -> None:
        live.enrol(LIVE, enrolment("p", face_id="f1"))
        live.enrol(LIVE, enrolment("p", face_id="f2"))
        live.begin_enrolment(LIVE, "p", "Zoë")
        live.record(search("p"), None, {"Ann": NameState.WRITTEN, "Bob": NameState.REFUSED})
        assert live.about("p") == OnRecord(
            live.gallery(),
            enrolment("p", face_id="f2"),
            "Zoë",
            has_faces_to_delete=True,
            search=search("p"),
            marks={"Ann": NameState.WRITTEN, "Bob": NameState.REFUSED},
        )

    def test_what_another_collection_knows_of_an_asset_is_not_about_it(self, live: Ledger) -> None:
        live.enrol("next", enrolment("p", face_id="f1"))
        live.enrol("next", enrolment("p", face_id="f2"))
        live.begin_enrolment("next", "p", "Zoë")
        assert live.about("p") == OnRecord(live.gallery())

    def test_a_picture_that_is_gone_is_forgotten(self, ledger: Ledger) -> None:
        for asset_id in "pq":
            ledger.record(search(asset_id))
            ledger.mark(asset_id, {"Ann": NameState.WRITTEN})
        ledger.forget_asset("p")
        ledger.forget_asset("unknown")
        assert ledger.search("p") is None
        assert ledger.names("p") == {}
        assert ledger.search("q") == search("q")
        assert ledger.names("q") == {"Ann": NameState.WRITTEN}


SCOPE = Scope(5, LIVE, "80/5")


def basis(note: bytes = b"note", below: float = 70.0, upto: float = 90.0) -> Basis:
    return Basis(note, below, upto)


class StandingContract(LedgerContract):
    """What those promise that keep what searches rest on."""

    def noted(self, ledger: Ledger, scope: Scope = SCOPE, needed: float = 80.0) -> dict[str, bytes]:
        return {one.asset_id: one.note for one in ledger.noted(scope, needed, 10)}

    def test_what_a_search_rests_on_is_noted_with_it(self, ledger: Ledger) -> None:
        ledger.record(search("p", version=7), basis(b"p"))
        for asset_id in "qrs":
            ledger.record(search(asset_id, generation=0))
        ledger.revise([(search("r"), basis(b"r")), (search("s"), None)])
        assert sorted(ledger.noted(SCOPE, 80, 10), key=lambda one: one.asset_id) == [
            Noted("p", 7, b"p"), Noted("r", 1, b"r"),
        ]  # fmt: skip
        assert len(ledger.noted(SCOPE, 80, 1)) == 1

    def test_only_stale_searches_of_the_scope_are_noted(self, ledger: Ledger) -> None:
        ledger.record(search("p", generation=4), basis())
        assert self.noted(ledger) == {"p": b"note"}
        assert self.noted(ledger, replace(SCOPE, generation=4)) == {}
        assert self.noted(ledger, replace(SCOPE, collection="people-2")) == {}
        assert self.noted(ledger, replace(SCOPE, rules="80/6")) == {}

    def test_only_decisions_that_stay_the_same_are_noted(self, ledger: Ledger) -> None:
        ledger.record(search("p"), basis(below=70, upto=90))
        found = {needed: self.noted(ledger, needed=needed) for needed in (70, 70.1, 90, 90.1)}
        assert [needed for needed, noted in found.items() if noted] == [70.1, 90]

    def test_a_search_replaces_what_the_former_one_rested_on(self, ledger: Ledger) -> None:
        ledger.record(search("p"), basis(b"first"))
        ledger.record(search("p"), basis(b"second"))
        ledger.record(search("p", generation=0), basis(b"older"))
        assert self.noted(ledger) == {"p": b"second"}
        ledger.record(search("p"))
        assert self.noted(ledger) == {}

    def test_what_stands_is_brought_to_the_generation(self, ledger: Ledger) -> None:
        for asset_id in "pqr":
            ledger.record(replace(search(asset_id), portraits=7), basis())
        some = [one for one in ledger.noted(SCOPE, 80, 10) if one.asset_id != "r"]
        ledger.confirm(SCOPE, 8, some, {"p": b"newer", "unasked": b""})
        brought = replace(search("p", generation=5), portraits=8)
        untouched = {i: replace(search(i), portraits=7) for i in "qr"}
        assert ledger.searches("pqr") == {"p": brought, **untouched}
        assert [one.asset_id for one in ledger.stale(5, 10)] == ["q", "r"]
        # What does not stand is not asked about again; of what was not asked nothing changed.
        assert self.noted(ledger) == {"r": b"note"}
        assert self.noted(ledger, replace(SCOPE, generation=6)) == {"p": b"newer", "r": b"note"}
        ledger.confirm(SCOPE, None, ledger.noted(SCOPE, 80, 10), {"r": b"note"})
        assert ledger.search("r") == search("r", generation=5)
        ledger.confirm(SCOPE, 8, (), {})

    def test_what_was_recorded_meanwhile_is_left_alone(self, ledger: Ledger) -> None:
        for asset_id in "pqrst":
            ledger.record(search(asset_id), basis())
        read = ledger.noted(SCOPE, 80, 10)
        ledger.record(search("p"), basis(b"another look"))
        ledger.record(search("q", version=2), basis())
        ledger.record(replace(search("r"), rules=";"))
        ledger.record(search("s", generation=9), basis())
        ledger.forget_asset("t")
        before = ledger.searches("pqrst")
        for unmoved in ({one.asset_id: one.note for one in read}, {}):
            ledger.confirm(SCOPE, 8, read, unmoved)
            assert ledger.searches("pqrst") == before
        assert self.noted(ledger) == {"p": b"another look", "q": b"note"}
        assert self.noted(ledger, replace(SCOPE, generation=10))["s"] == b"note"

    def test_a_search_does_not_stand_when_a_name_is_refused_or_allowed_again(
        self, ledger: Ledger
    ) -> None:
        for states, stands in (
            ({"Ann": NameState.WRITING, "Bob": NameState.WRITTEN}, True),
            ({"Ann": NameState.WRITTEN, "Bob": None}, True),
            ({"Ann": NameState.REFUSING}, False),
            ({"Ann": NameState.REFUSED, "Bob": NameState.WRITING}, True),
            ({"Ann": None}, False),
        ):
            ledger.record(search("p"), basis())
            ledger.record(search("q"), basis())
            ledger.mark("p", states)
            assert set(self.noted(ledger)) == ({"p", "q"} if stands else {"q"})

    def test_nothing_stands_when_nobody_knows_what_changed(self, live: Ledger) -> None:
        live.record(search("p"), basis())
        live.changed()
        assert self.noted(live) == {}
        assert live.search("p") == search("p")


class StoreLedgerContract(StandingContract):
    """What it costs those in a database."""

    @pytest.fixture
    def ledger(self, database: Database) -> Ledger:
        return StoreLedger(database)

    def test_names_are_read_once_where_they_are_marked(self, ledger: Ledger) -> None:
        ledger.mark("p", {"Ann": NameState.WRITTEN})
        said: list[str] = []

        def note(*arguments: object) -> None:
            said.append(str(arguments[2]).lstrip())

        event.listen(Engine, "before_cursor_execute", note)
        try:
            ledger.mark("p", {"Ann": NameState.REFUSED, "Bob": NameState.WRITING})
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert sum("name_mark" in one and one.startswith("SELECT") for one in said) == 1


class TestMemoryLedger(StandingContract):
    """In memory."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        return MemoryLedger()


class TestSqliteLedger(StoreLedgerContract):
    """On SQLite."""

    @pytest.fixture
    def database(self, sqlite: Database) -> Database:
        return sqlite


class TestPostgresqlLedger(StoreLedgerContract):
    """On PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql: Database) -> Database:
        return postgresql


class TestDynamoLedger(LedgerContract):
    """On DynamoDB, which reads by the megabyte: that is tested apart."""

    many = 102

    @pytest.fixture
    def ledger(self) -> Ledger:
        return DynamoLedger(new_table())

    def test_nothing_is_noted(self, ledger: Ledger) -> None:
        ledger.record(search("p"), basis())
        assert list(ledger.noted(SCOPE, 80, 10)) == []
        ledger.confirm(SCOPE, 8, [Noted("p", 1, b"note")], {"p": b"note"})
        assert ledger.search("p") == search("p")


numbers = st.floats(allow_nan=False)
points = st.lists(st.tuples(numbers, numbers), min_size=5, max_size=5).map(tuple)
faces = st.builds(
    Face,
    box=st.builds(Box, *[numbers] * 4),
    landmarks=points,
    confidence=numbers,
    sharpness=numbers,
    brightness=numbers,
    pose=st.builds(Pose, *[numbers] * 3),
    reasons=st.lists(st.sampled_from(Reason)).map(tuple),
)
candidates = st.lists(st.builds(Candidate, similarity=numbers)).map(tuple)


@given(st.builds(FaceDecision, face=faces, candidates=candidates))
def test_a_named_face_reads_as_it_was_written(named: FaceDecision) -> None:
    assert decode_named(json.loads(json.dumps(encode_named(named)))) == named


searches = st.builds(
    SearchRecord,
    faces=st.lists(st.builds(FaceDecision, face=faces, candidates=candidates)).map(tuple),
)


@given(searches)
def test_a_search_is_unpacked_as_it_was_packed(found: SearchRecord) -> None:
    assert table.unpack_search(table.pack_search(found)) == found


def test_a_template_reads_as_it_was_written_and_as_it_was_before_norms() -> None:
    template = Template(some_face(), vector(1, 0), (12.25, 3.5))
    written = json.loads(json.dumps(encode_template(template)))
    assert decode_template(written, template.vector) == template
    before = encode_face(template.face)
    assert decode_template(before, template.vector) == replace(template, norms=())


def test_what_a_newer_version_added_is_passed_over() -> None:
    assert decode_face({**encode_face(some_face()), "age": 37}) == some_face()
