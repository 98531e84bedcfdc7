"""The mean of a person's references is one reference more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core.model import EnrolledFace
from facelabel.gallery.searching import mean_vectors, with_means
from facelabel.testing import vector


def turned(degrees: float) -> bytes:
    return vector(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def apart(degrees: float) -> float:
    """The distance of two unit vectors at that angle."""
    return 2 * math.sin(math.radians(abs(degrees)) / 2)


def near(face: float, **people: tuple[float, ...]) -> list[tuple[EnrolledFace, float]]:
    """References at these angles, seen from a face, nearest first."""
    found = [
        (EnrolledFace(f"{person} {degrees:g}", person), apart(face - degrees))
        for person, angles in people.items()
        for degrees in angles
    ]
    return sorted(found, key=lambda one: one[1])


def test_it_is_of_length_one_and_in_the_middle() -> None:
    ((person, mean),) = mean_vectors({"Ann": [turned(0), turned(90), turned(45)]}).items()
    assert person == "Ann"
    assert mean.tolist() == pytest.approx([math.sqrt(0.5)] * 2)


def test_references_that_cancel_out_have_none() -> None:
    assert mean_vectors({"Ann": [vector(1, 0), vector(-1, 0)]}) == {}


def test_a_face_between_two_references_is_nearer_to_their_mean() -> None:
    found = with_means(
        turned(21),
        near(21, Ann=(0.0, 40.0), Ben=(30.0,)),
        mean_vectors({"Ann": [turned(0), turned(40)]}),
    )
    assert [face.face_id for face, _ in found] == ["Ann 40", "Ben 30", "Ann 0"]
    assert [distance for _, distance in found] == pytest.approx(
        [apart(1), apart(9), apart(21)], abs=1e-6
    )


def test_a_face_beside_a_reference_keeps_it() -> None:
    before = near(39, Ann=(0.0, 40.0), Ben=(30.0,))
    assert with_means(turned(39), before, mean_vectors({"Ann": [turned(0), turned(40)]})) == before


@given(
    st.floats(-180, 180),
    st.dictionaries(
        st.sampled_from(["Ann", "Ben", "Cid"]),
        st.lists(st.floats(-180, 180), min_size=1, max_size=4, unique=True).map(tuple),
    ),
)
def test_nobody_gets_farther_away_and_no_reference_is_lost(
    face: float, people: dict[str, tuple[float, ...]]
) -> None:
    before = near(face, **people)
    all_ = {person: [turned(one) for one in angles] for person, angles in people.items()}
    after = with_means(turned(face), before, mean_vectors(all_))
    assert {one.face_id for one, _ in after} == {one.face_id for one, _ in before}
    was, now = ({one.face_id: far for one, far in some} for some in (before, after))
    assert all(now[face_id] <= was[face_id] + 1e-6 for face_id in was)
    assert sorted(now.values()) == [far for _, far in after]
    for person, angles in people.items():
        moved = [a for a in angles if now[f"{person} {a:g}"] < was[f"{person} {a:g}"] - 1e-6]
        assert len(moved) <= 1  # the nearest alone stands for the mean
