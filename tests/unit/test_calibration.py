"""Similarity states the false match rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core.false_matches import FALSE_MATCH_RATES
from facelabel.engine.calibration import distance, similarity, stricter, validate
from facelabel.engine.models.manifest import builtin_packs
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


@st.composite
def curves(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Points that fall from (0, 100) to (2, 0), many at the usual similarities."""
    levels = st.one_of(st.sampled_from([500, 700, 800, 900, 990]), st.integers(1, 999))
    similar = draw(st.lists(levels, min_size=1, max_size=6, unique=True))
    count = len(similar)
    far = draw(st.lists(st.integers(1, 1999), min_size=count, max_size=count, unique=True))
    falling = sorted((level / 10 for level in similar), reverse=True)
    return tuple(zip(sorted(n / 1000 for n in far), falling, strict=True))


@given(curves(), st.floats(0.0, 100.0))
def test_the_distance_of_a_similarity(
    points: tuple[tuple[float, float], ...], level: float
) -> None:
    assert similarity(points, distance(points, level)) == pytest.approx(level, abs=1e-6)
    assert all(distance(points, known) == far for far, known in points)


@given(curves(), curves(), distances)
def test_a_stricter_calibration_is_nowhere_looser(
    own: tuple[tuple[float, float], ...], published: tuple[tuple[float, float], ...], far: float
) -> None:
    """Than either, at the points and between them; where it says nothing new nothing changes."""
    used = stricter(own, published)
    validate(used)
    assert similarity(used, far) <= similarity(published, far) + 1e-9
    if used != published:
        assert similarity(used, far) <= similarity(own, far) + 1e-9
    assert stricter(used, published) == used
    assert stricter(published, published) == published


def test_each_similarity_takes_the_smaller_distance() -> None:
    published = ((0.5, 90.0), (1.0, 80.0))
    assert stricter(((1.9, 99.0),), published) == published
    assert stricter(((0.4, 90.0), (0.9, 80.0)), published) == ((0.4, 90.0), (0.9, 80.0))
    assert stricter(((0.4, 90.0), (1.5, 80.0)), published) == ((0.4, 90.0), (1.0, 80.0))
    assert stricter(((0.9, 80.0),), published) == ((0.45, 90.0), (0.9, 80.0))


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
