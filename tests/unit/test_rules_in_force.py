"""By what names are decided: the rules in force, whatever a process has in its settings."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conftest import Bench
from tests.unit.test_convergence import Crash, Fate, fated

from facelabel.bootstrap import rules_in_force
from facelabel.core.label_policy import LabelPolicy, NameTargets
from facelabel.core.naming import Rules
from facelabel.recognition import name_changes
from facelabel.recognition.live_gallery import PaidSearchPolicy
from facelabel.recognition.name_changes import NameChanges
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import MemoryRecognizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import ProbeResult, SearchRecord
    from facelabel.recognition.pipeline import Pipeline

USUAL = LabelPolicy()
STRICT = LabelPolicy(rules=Rules(threshold=99.5))


def under(bench: Bench, policy: LabelPolicy) -> Pipeline:
    """What a process with other settings works with."""
    return replace(bench.pipeline, label_policy=policy)


def work(bench: Bench, policy: LabelPolicy) -> None:
    """Work what waits as a process with these settings does."""
    Worker(bench.queue, handlers(under(bench, policy)), bench.clock).drain()


def named(bench: Bench) -> str:
    """A picture with a name, decided by the usual rules, which are in force."""
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    rules_in_force.begin(bench.pipeline, USUAL)
    assert bench.names(photo) == {"Ann"}
    return photo


def test_names_stay_when_a_process_with_other_settings_works(bench: Bench) -> None:
    photo = named(bench)
    new = bench.upload("ann")
    bench.upload("bob", folder="training", tags=["faceLabel:Bob"])
    bench.pipeline.identifier.look_anew([photo])
    work(bench, STRICT)
    assert [bench.names(picture) for picture in (photo, new)] == [{"Ann"}, {"Ann"}]
    strict = under(bench, STRICT)
    assert not strict.identifier.unsearched([bench.asset(photo)])
    assert rules_in_force.others(strict) == rules_in_force.OtherRules(
        (rules_in_force.Setting("confidence_threshold", "80", "99.5"),), calibrated=False
    )


def test_names_change_when_that_is_agreed_to_for_everybody(bench: Bench) -> None:
    photo = named(bench)
    rules_in_force.agree(under(bench, STRICT), USUAL)
    bench.work()  # by a process whose settings are the former ones
    assert bench.names(photo) == set()
    assert rules_in_force.others(under(bench, STRICT)) is None
    rules_in_force.agree(bench.pipeline, USUAL)
    work(bench, STRICT)
    assert bench.names(photo) == {"Ann"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", range(1, 4))
def test_who_is_killed_while_agreeing_leaves_the_rest_to_others(
    bench: Bench, call: int, *, after: bool
) -> None:
    """All names are decided by the rules in force, whichever they are, once others have worked."""
    photo = named(bench)

    def kill() -> None:
        raise Crash

    fate = Fate(countdown=call, after=after, event=kill)
    strict = under(bench, STRICT)
    killed = replace(strict, ledger=fated(bench.ledger, fate), queue=fated(bench.queue, fate))
    with pytest.raises(Crash):
        rules_in_force.agree(killed, USUAL)
    bench.work()
    is_strict = bench.ledger.gallery().rules == STRICT.fingerprint
    assert bench.names(photo) == (set() if is_strict else {"Ann"})
    assert not bench.ledger.has_stale()


def test_what_is_paid_for_is_not_searched_again_for_other_rules() -> None:
    bench = Bench(paid_searches=PaidSearchPolicy(look_back=60, delay=1))
    bench.recognizer.size = 100
    photo = named(bench)
    bench.clock.sleep(120)
    searched = bench.recognizer.searched
    for policy, names in ((STRICT, set()), (USUAL, {"Ann"})):
        assert name_changes.under_settings(under(bench, policy)).unknown == []
        rules_in_force.agree(under(bench, policy), USUAL)
        bench.clock.sleep(10)
        bench.work()
        assert bench.names(photo) == names
    assert bench.recognizer.searched == searched


class Comparing(MemoryRecognizer):
    """Counts the pictures whose faces are compared with the portraits again."""

    compared = 0

    def search_stored(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        self.compared += len(searches)
        return super().search_stored(collection, searches)


def test_no_face_is_compared_again_to_count_the_names_that_change(bench: Bench) -> None:
    """Where what was seen is on record; not where similarities mean something else now."""
    recognizer = Comparing()
    bench.pipeline = replace(bench.pipeline, recognizer=recognizer)
    bench.worker = Worker(bench.queue, handlers(bench.pipeline), bench.clock)
    named(bench)
    recognizer.compared = 0
    for policy, changes in (
        (STRICT, NameChanges(removed=1, pictures=1)),
        (LabelPolicy(rules=Rules(margin=2)), NameChanges()),
        (LabelPolicy(targets=NameTargets(prefix="person:")), NameChanges(elsewhere=1)),
    ):
        assert name_changes.under_settings(under(bench, policy)) == changes
        assert recognizer.compared == 0
    name_changes.under_settings(under(bench, LabelPolicy(rules=Rules(calibration="0a1b"))))
    assert recognizer.compared == 1


def test_names_go_to_other_places_when_that_is_agreed_to(bench: Bench) -> None:
    photo = named(bench)
    policy = LabelPolicy(targets=NameTargets(prefix="person:"))
    bench.learn("bob")
    work(bench, policy)
    assert bench.names(photo) == {"Ann"}
    assert name_changes.under_settings(under(bench, policy)) == NameChanges(elsewhere=1)
    rules_in_force.agree(under(bench, policy), USUAL)
    bench.work()
    assert bench.names(photo) == {"Ann", "person:Ann"}
    told = rules_in_force.others(bench.pipeline)
    assert told
    assert (told.now, told.asked) == ("names_prefix person:", "names_prefix not set")


@given(
    st.floats(0, 100), st.floats(0, 100), st.lists(st.sets(st.sampled_from("abcdef")), max_size=6)
)
def test_as_many_names_change_as_was_told_before(
    first: float, second: float, pictures: list[set[str]]
) -> None:
    bench = Bench()
    for person in "abc":
        bench.learn(person)
    photos = [bench.upload(*sorted(people)) for people in pictures]
    before = LabelPolicy(rules=Rules(threshold=first, margin=1.01))
    after = LabelPolicy(rules=Rules(threshold=second, margin=1.01))
    bench.work()
    rules_in_force.begin(bench.pipeline, USUAL)
    for policy in (before, after, before):
        had = {photo: bench.names(photo) for photo in photos}
        told = name_changes.under_settings(under(bench, policy))
        assert {photo: bench.names(photo) for photo in photos} == had
        rules_in_force.agree(under(bench, policy), USUAL)
        bench.work()
        come = [bench.names(photo) - had[photo] for photo in photos]
        gone = [had[photo] - bench.names(photo) for photo in photos]
        changed = sum(bool(one or other) for one, other in zip(come, gone, strict=True))
        expected = NameChanges(sum(map(len, come)), sum(map(len, gone)), changed)
        assert told == expected
        assert bool(told) == bool(changed)


def test_a_name_that_a_person_typed_is_not_told_to_go(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann", tags=["Ann"])
    bench.work()
    rules_in_force.begin(bench.pipeline, USUAL)
    assert name_changes.under_settings(under(bench, STRICT)) == NameChanges()
    rules_in_force.agree(under(bench, STRICT), USUAL)
    bench.work()
    assert bench.names(photo) == {"Ann"}


class TestService:
    """A service cannot ask."""

    def test_the_first_settings_are_in_force(self, bench: Bench) -> None:
        rules_in_force.serve_by_settings(under(bench, STRICT))
        assert bench.ledger.gallery().rules == STRICT.fingerprint

    def test_a_change_of_its_settings_is_meant(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        photo = named(bench)
        with caplog.at_level(logging.WARNING):
            rules_in_force.serve_by_settings(under(bench, STRICT))
        assert "by confidence_threshold 99.5 from now on, by confidence_threshold 80" in caplog.text
        bench.work()
        assert bench.names(photo) == set()

    def test_what_somebody_else_agreed_to_stays(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        photo = named(bench)
        rules_in_force.agree(under(bench, STRICT), USUAL)  # for one run: settings stay as they are
        bench.work()
        with caplog.at_level(logging.WARNING):
            rules_in_force.serve_by_settings(bench.pipeline)
        assert "as was agreed to" in caplog.text
        bench.work()
        assert bench.names(photo) == set()

    def test_settings_that_were_brought_in_line_are_noted(self, bench: Bench) -> None:
        photo = named(bench)
        rules_in_force.agree(under(bench, STRICT), USUAL)
        rules_in_force.serve_by_settings(under(bench, STRICT))
        assert bench.ledger.gallery().configured == STRICT.fingerprint
        rules_in_force.serve_by_settings(bench.pipeline)  # the settings were changed back
        bench.work()
        assert bench.names(photo) == {"Ann"}


@given(
    st.builds(
        LabelPolicy,
        rules=st.builds(
            Rules,
            st.integers(0, 1000).map(lambda n: n / 10),
            st.integers(10, 1000).map(lambda n: n / 10),
            st.none() | st.integers(0, 100).map(lambda n: n / 100),
            st.sampled_from(["", "0a1b"]),
        ),
        targets=st.builds(
            NameTargets,
            st.booleans(),
            st.text(";:/@ab", max_size=3),
            st.text("ab_-", max_size=3),
            st.text(",;ab", max_size=3),
        ),
    )
)
def test_a_policy_is_read_from_its_fingerprint(policy: LabelPolicy) -> None:
    usual = LabelPolicy(rules=Rules(calibration=policy.rules.calibration))
    assert usual.under(policy.fingerprint) == policy
    assert usual.under(None) == usual
