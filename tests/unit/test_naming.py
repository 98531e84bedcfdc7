"""Whose name on a picture is whose."""

from __future__ import annotations

import pytest

from facelabel.core import naming
from facelabel.core.model import NameState


def seen(*names: str) -> naming.NamesPresent:
    """Names that stand in the one place there is."""
    return naming.NamesPresent(frozenset(names), frozenset(names))


WRITING, WRITTEN = NameState.WRITING, NameState.WRITTEN
REMOVING, REFUSED = NameState.REMOVING, NameState.REFUSED


def test_marks_after_some_were_set_and_others_deleted() -> None:
    marks = {"Ann": WRITTEN, "Bob": REFUSED, "Cid": WRITTEN}
    states = {"Ann": REFUSED, "Bob": None, "Dan": WRITING, "Eve": None}
    assert naming.marked(marks, states) == {"Ann": REFUSED, "Cid": WRITTEN, "Dan": WRITING}
    assert naming.marked(marks, {}) == marks


@pytest.mark.parametrize(
    ("mark", "tagged", "new_content", "change"),
    [
        (WRITTEN, False, False, {"Ann": REFUSED}),
        (WRITTEN, False, True, {"Ann": None}),
        (WRITTEN, True, False, {}),
        (WRITTEN, True, True, {}),
        (REFUSED, True, False, {"Ann": None}),
        (REFUSED, False, False, {}),
        (REFUSED, False, True, {"Ann": None}),
        (WRITING, False, False, {}),
        (REMOVING, False, False, {}),
    ],
)
def test_what_people_decided_since_our_last_visit(
    mark: NameState, *, tagged: bool, new_content: bool, change: dict[str, NameState | None]
) -> None:
    tags = seen("Ann") if tagged else seen()
    assert naming.decisions({"Ann": mark}, tags, new_content=new_content) == change


def test_a_new_name_is_marked_before_and_after_it_is_written() -> None:
    plan = naming.plan({}, seen(), {"Ben", "Ann"})
    assert plan.add == ("Ann", "Ben")
    assert plan.remove == ()
    assert plan.before == {"Ann": WRITING, "Ben": WRITING}
    assert plan.after == {"Ann": WRITTEN, "Ben": WRITTEN}


def test_a_name_of_ours_is_marked_before_it_goes_and_forgotten_after() -> None:
    plan = naming.plan({"Ann": WRITTEN}, seen("Ann"), set())
    assert (plan.add, plan.remove) == ((), ("Ann",))
    assert plan.before == {"Ann": REMOVING}
    assert plan.after == {"Ann": None}


def test_a_typed_name_is_neither_removed_nor_made_ours() -> None:
    for wanted in (set[str](), {"Ann"}):
        assert naming.plan({}, seen("Ann"), wanted) == naming.NamePlan((), (), {}, {})


def test_a_refused_name_is_not_written() -> None:
    assert naming.plan({"Ann": REFUSED}, seen(), {"Ann"}) == naming.NamePlan((), (), {}, {})
    assert naming.refused({"Ann": REFUSED, "Ben": WRITTEN}) == {"Ann"}


def test_a_name_that_stands_as_it_should_costs_nothing() -> None:
    assert naming.plan({"Ann": WRITTEN}, seen("Ann"), {"Ann"}) == naming.NamePlan((), (), {}, {})


@pytest.mark.parametrize("mark", [WRITING, REMOVING])
@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_half_done_work_is_brought_to_its_end(
    mark: NameState, *, tagged: bool, wanted: bool
) -> None:
    tags, wish = ({"Ann"} if tagged else set()), ({"Ann"} if wanted else set())
    plan = naming.plan({"Ann": mark}, seen(*tags), wish)
    left = (tags | set(plan.add)) - set(plan.remove)
    marks = {"Ann": mark, **plan.before, **plan.after}
    assert left == wish
    assert marks["Ann"] is (WRITTEN if wanted else None)
    assert plan.before.get("Ann", mark) is (mark if wanted and tagged else marks_while(plan, mark))


def marks_while(plan: naming.NamePlan, mark: NameState) -> NameState:
    """What must be on record while the tag is touched."""
    if plan.add:
        return WRITING
    return REMOVING if plan.remove else mark
