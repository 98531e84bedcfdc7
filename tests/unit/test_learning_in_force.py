"""By what people are learnt: what was agreed to, whatever a process has in its settings."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conftest import Bench

from facelabel.bootstrap import learning_in_force
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.recognition import learning_changes
from facelabel.recognition.learning_changes import LearningChanges
from facelabel.recognition.worker import Worker, handlers

if TYPE_CHECKING:
    from facelabel.recognition.pipeline import Pipeline

USUAL = LabelPolicy()
#: Whoever learns by one of these forgets everybody.
OTHERS = [
    LabelPolicy(training="people"),
    LabelPolicy(prefix="who"),
    LabelPolicy(recognition="training/2026"),
]
FEW, MANY = 3, 12


def under(bench: Bench, policy: LabelPolicy) -> Pipeline:
    """What a process with other settings works with."""
    return replace(bench.pipeline, label_policy=policy)


def work(bench: Bench, policy: LabelPolicy) -> None:
    """Compare library and gallery, and work what waits, as a process with these settings does."""
    bench.queue.enqueue(JobKind.RECONCILE, "all")
    for key in [line.asset_id for line in bench.ledger.enrolments("cld-rekog")]:
        bench.queue.enqueue(JobKind.ASSET, key)
    Worker(bench.queue, handlers(under(bench, policy)), bench.clock).drain()


def known(bench: Bench, people: int) -> list[str]:
    """Have so many people known, learnt by the usual settings; return who."""
    for number in range(people):
        bench.upload(
            f"p{number}", folder="training/2026", tags=[f"faceLabel:P{number:02}"],
            name=f"training/2026/{number}",
        )  # fmt: skip
    bench.work()
    learning_in_force.begin(bench.pipeline, USUAL, USUAL)
    return bench.people()


@pytest.mark.parametrize("policy", OTHERS)
def test_a_process_with_other_settings_forgets_nobody(bench: Bench, policy: LabelPolicy) -> None:
    people = known(bench, FEW)
    work(bench, policy)
    assert bench.people() == people


@pytest.mark.parametrize("policy", OTHERS)
def test_who_is_told_to_be_forgotten_is_forgotten_when_that_is_agreed_to(
    bench: Bench, policy: LabelPolicy
) -> None:
    people = known(bench, FEW)
    changes = learning_changes.between(bench.pipeline, under(bench, policy))
    assert (len(changes.forgotten), changes.people_forgotten) == (FEW, FEW)
    assert not changes.learnt
    learning_in_force.agree(bench.pipeline, policy, policy, changes)
    bench.work()  # by a process whose settings are the former ones
    assert bench.people() == []
    back = learning_changes.between(under(bench, policy), bench.pipeline)
    assert (len(back.learnt), back.people_learnt) == (FEW, FEW)
    assert not back.forgotten
    learning_in_force.agree(bench.pipeline, USUAL, USUAL, back)
    work(bench, policy)
    assert bench.people() == people


def test_what_is_searched_may_be_another_folder_unless_it_says_who_teaches(bench: Bench) -> None:
    known(bench, FEW)
    for recognition, differs in (("photos", False), ("", False), ("training/2026", True)):
        policy = LabelPolicy(recognition=recognition)
        others = learning_in_force.others(bench.pipeline, policy)
        assert bool(others) == differs
        in_force = policy.learnt_by(USUAL.learning)
        assert in_force.recognition == ("assets" if differs else recognition)


def test_portraits_that_would_show_somebody_else_are_counted(bench: Bench) -> None:
    tags = ["faceLabel:Ann", "who:Anne"]
    asset_id = bench.upload("ann", folder="training", tags=tags)
    bench.work()
    changes = learning_changes.between(bench.pipeline, under(bench, LabelPolicy(prefix="who")))
    ann, anne = {asset_id: "Ann"}, {asset_id: "Anne"}
    assert changes == LearningChanges(known=ann, forgotten=ann, learnt=anne)
    assert (changes.people_forgotten, changes.people_learnt) == (1, 1)


def test_what_has_drifted_anyway_is_not_counted(bench: Bench) -> None:
    known(bench, FEW)
    one, *_ = (line.asset_id for line in bench.ledger.enrolments("cld-rekog"))
    bench.library.silently().move(one, "elsewhere")
    changes = learning_changes.between(bench.pipeline, under(bench, LabelPolicy(prefix="who")))
    assert len(changes.forgotten) == FEW - 1


class TestBegin:
    """A store that does not know yet by what it learnt."""

    def test_where_nobody_is_known_the_command_says_it(self, bench: Bench) -> None:
        policy = LabelPolicy(training="people")
        learning_in_force.begin(bench.pipeline, policy, USUAL)
        assert bench.ledger.gallery().learning == policy.learning

    def test_where_people_are_known_no_flag_of_a_run_says_it(self, bench: Bench) -> None:
        bench.learn("ann")
        learning_in_force.begin(bench.pipeline, LabelPolicy(training="people"), USUAL)
        assert bench.ledger.gallery().learning == USUAL.learning
        work(bench, LabelPolicy(training="people"))
        assert bench.people() == ["Ann"]


class TestService:
    """A service cannot ask."""

    def test_a_change_of_its_settings_by_which_few_are_forgotten_is_meant(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        known(bench, FEW)
        wanted = under(bench, LabelPolicy(training="people"))
        with caplog.at_level(logging.WARNING):
            assert learning_in_force.serve_by_settings(bench.pipeline, wanted)
        assert "learnt by training_folder people from now on, by training_folder training" in (
            caplog.text
        )
        bench.work()
        assert bench.people() == []

    def test_more_are_never_forgotten_unasked(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        people = known(bench, MANY)
        policy = LabelPolicy(training="people")
        for _ in range(2):  # it is started again
            with caplog.at_level(logging.WARNING):
                wanted = under(bench, policy)
                assert not learning_in_force.serve_by_settings(bench.pipeline, wanted)
            assert f"{MANY} portraits are forgotten of {MANY} that are in the library" in (
                caplog.text
            )
            caplog.clear()
            work(bench, policy)
            assert bench.people() == people

    def test_what_somebody_else_agreed_to_stays(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        known(bench, FEW)
        policy = LabelPolicy(training="people")
        learning_in_force.agree(bench.pipeline, policy, USUAL, LearningChanges())
        with caplog.at_level(logging.WARNING):
            assert not learning_in_force.serve_by_settings(under(bench, policy), bench.pipeline)
        assert "as was agreed to" in caplog.text
        assert bench.ledger.gallery().learning == policy.learning

    def test_settings_that_were_brought_in_line_are_noted(self, bench: Bench) -> None:
        people = known(bench, FEW)
        policy = LabelPolicy(training="people")
        learning_in_force.agree(bench.pipeline, policy, USUAL, LearningChanges())
        assert not learning_in_force.serve_by_settings(under(bench, policy), under(bench, policy))
        assert bench.ledger.gallery().learning_configured == policy.learning
        # The settings were changed back.
        assert learning_in_force.serve_by_settings(under(bench, policy), bench.pipeline)
        bench.work()
        assert bench.people() == people


FOLDERS = st.sampled_from(["", "a", "a/b", "a/b/c", "b"])


@given(
    *(
        st.builds(
            LabelPolicy,
            training=FOLDERS,
            recognition=FOLDERS,
            prefix=st.text("fF", min_size=1, max_size=2),
            label_field=st.sampled_from(["", "who"]),
            folder_mode=st.sampled_from(["", "auto", "fixed"]),
        )
        for _ in range(2)
    )
)
def test_the_same_pictures_teach_by_what_was_agreed_to(
    policy: LabelPolicy, agreed: LabelPolicy
) -> None:
    bench = Bench()
    for folder in ("", "a", "a/b", "a/b/c", "b", "ab"):
        bench.upload("ann", folder=folder, tags=["f:Ann"], name=f"{folder}/x")
    pictures = list(bench.library.assets(""))
    in_force = policy.learnt_by(agreed.learning)
    for asset in pictures:
        assert in_force.is_training(asset) == agreed.is_training(asset)
        assert in_force.labels(asset) == agreed.labels(asset)
    assert in_force.learnt_by(agreed.learning) == in_force
    assert policy.learnt_by(None) == policy
    assert (in_force.rules, in_force.targets) == (policy.rules, policy.targets)
