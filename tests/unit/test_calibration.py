"""Similarity states the false match rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.adapters.engine.calibration import similarity, validate
from facelabel.adapters.engine.manifest import builtin_packs
from facelabel.chance import FALSE_MATCH_RATES
from facelabel.errors import ConfigurationError

CALIBRATED = [pack for pack in builtin_packs().values() if pack.calibration]
POINTS = ((0.5, 99.0), (1.0, 80.0), (1.5, 50.0))
distances = st.floats(min_value=0.0, max_value=2.0)


@pytest.mark.parametrize(
    ("distance", "expected"),
    [(0.0, 100.0), (0.25, 99.5), (0.5, 99.0), (0.75, 89.5), (1.25, 65.0), (1.75, 25.0), (2.0, 0.0)],
)
def test_linear_between_the_points(distance: float, expected: float) -> None:
    assert similarity(POINTS, distance) == pytest.approx(expected)


@pytest.mark.parametrize(("distance", "expected"), [(-1e-6, 100.0), (2.0000003, 0.0), (9.0, 0.0)])
def test_what_rounding_puts_outside_is_clamped(distance: float, expected: float) -> None:
    assert similarity(POINTS, distance) == expected


@given(distances, distances)
def test_farther_is_never_more_similar(first: float, second: float) -> None:
    near, far = sorted((first, second))
    assert 0.0 <= similarity(POINTS, far) <= similarity(POINTS, near) <= 100.0


@given(st.floats(min_value=0.0, max_value=1.999))
def test_strictly_falling(distance: float) -> None:
    assert similarity(POINTS, distance + 0.001) < similarity(POINTS, distance)


@pytest.mark.parametrize("pack", CALIBRATED, ids=lambda pack: pack.name)
def test_built_in_packs_state_every_false_match_rate(pack: object) -> None:
    points = next(each.calibration for each in CALIBRATED if each is pack)
    assert points
    assert [level for _, level in points] == list(FALSE_MATCH_RATES)


def test_the_measured_distance_of_one_stranger_pair_in_ten_thousand_is_80() -> None:
    packs = builtin_packs()
    classic, mobilefacenet = packs["classic"].calibration, packs["mobilefacenet"].calibration
    assert classic
    assert mobilefacenet
    assert similarity(classic, 0.338) == pytest.approx(80.0)
    assert similarity(mobilefacenet, 1.081) == pytest.approx(80.0)


@pytest.mark.parametrize(
    "points",
    [
        (),
        ((0.0, 99.0),),
        ((2.0, 50.0),),
        ((0.5, 100.0),),
        ((0.5, 0.0),),
        ((0.5, 80.0), (0.5, 70.0)),
        ((0.5, 80.0), (0.6, 80.0)),
        ((0.6, 80.0), (0.5, 90.0)),
    ],
)
def test_points_that_do_not_fall_are_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ConfigurationError):
        validate(points)
