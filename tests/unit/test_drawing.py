"""Where names go on a picture."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from facelabel.rendering.drawing import place

if TYPE_CHECKING:
    from facelabel.rendering.drawing import Rectangle

IMAGE = (400, 300)


def boxes() -> st.SearchStrategy[Rectangle]:
    """Boxes of faces, some of them over the edge."""
    corner = st.tuples(st.integers(-20, 390), st.integers(-20, 290))
    return st.builds(
        lambda at, side: (at[0], at[1], at[0] + side, at[1] + side), corner, st.integers(10, 200)
    )


def test_a_name_stands_under_its_box() -> None:
    assert place((90, 20), (100, 50, 150, 110), IMAGE, []) == (100, 110, 190, 130)


def test_neighbours_cover_no_name_of_each_other() -> None:
    """Three heads side by side, with names that are wider than they are."""
    taken: list[Rectangle] = []
    for left in (100, 140, 180):
        taken.append(place((90, 20), (left, 50, left + 38, 110), IMAGE, taken))
    assert taken[0][1] == 110
    for one, other in itertools.combinations(taken, 2):
        assert one[3] <= other[1] or other[3] <= one[1]


def test_a_name_over_the_edge_stands_above_or_is_pulled_in() -> None:
    assert place((90, 20), (350, 200, 390, 295), IMAGE, []) == (310, 180, 400, 200)
    assert place((90, 20), (0, -5, 400, 305), IMAGE, []) == (0, 280, 90, 300)


@given(st.lists(boxes(), max_size=8))
def test_names_stay_inside(found: list[Rectangle]) -> None:
    taken: list[Rectangle] = []
    for box in found:
        plate = place((90, 20), box, IMAGE, taken)
        assert plate[0] >= 0
        assert plate[1] >= 0
        assert plate[2] <= IMAGE[0]
        assert plate[3] <= IMAGE[1]
        taken.append(plate)
