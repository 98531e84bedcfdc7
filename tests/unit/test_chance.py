"""What is asked of a face where many are known."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core import false_matches
from facelabel.engine.models.manifest import builtin_packs

rates = st.floats(min_value=1e-9, max_value=1.0)
sizes = st.integers(min_value=0, max_value=3_000_000)


def test_a_similarity_is_what_its_rate_says() -> None:
    for similarity, rate in false_matches.FALSE_MATCH_RATES.items():
        assert false_matches.similarity_at(rate) == pytest.approx(similarity)
    assert false_matches.similarity_at(1.0) == 0.0
    assert false_matches.similarity_at(0.0) == 100.0


@given(rates, rates)
def test_the_rarer_the_more_alike(one: float, other: float) -> None:
    rare, often = sorted((one, other))
    assert false_matches.similarity_at(rare) >= false_matches.similarity_at(often)


@pytest.mark.parametrize(
    ("portraits", "size"),
    [(0, 100), (1, 100), (100, 100), (101, 150), (151, 200), (201, 300), (301, 400), (812, 1200),
     (10_000, 12_800), (200_000, 204_800)],
)  # fmt: skip
def test_a_gallery_counts_in_steps(portraits: int, size: int) -> None:
    assert false_matches.step(portraits) == size


@given(sizes)
def test_a_step_is_no_less_and_at_most_half_as_much_again(portraits: int) -> None:
    assert portraits <= false_matches.step(portraits) <= max(100, 1.5 * portraits)


@given(sizes, sizes)
def test_more_portraits_never_ask_for_less(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert false_matches.needed(few, 0.01) <= false_matches.needed(many, 0.01)


@pytest.mark.parametrize(
    ("portraits", "similarity"), [(100, 80.0), (150, 81.8), (1000, 90.7), (1559, 91.8)]
)
def test_at_one_percent(portraits: int, similarity: float) -> None:
    assert false_matches.needed(portraits, 0.01) == pytest.approx(similarity, abs=0.05)


def test_a_chance_of_one_asks_for_nothing_much() -> None:
    assert false_matches.needed(100, 1.0) == pytest.approx(50.0)


def test_beyond_what_was_measured_the_curve_goes_on_at_the_safe_side() -> None:
    """Of each pack the last measured power of ten takes fewer points than is assumed of others."""
    assert not false_matches.is_extended(9_600, 0.01)
    assert false_matches.is_extended(10_000, 0.01)
    assert false_matches.is_extended(1_200, 0.001)
    ten, hundred = false_matches.similarity_at(1e-7), false_matches.similarity_at(1e-8)
    assert hundred - ten == pytest.approx(ten - 99.0)
    for pack in builtin_packs().values():
        assert pack.calibration
        (last, _), (before, _) = pack.calibration[:2]
        assert (before - last) / last < ten - 99.0


def test_the_curve_has_no_gaps() -> None:
    powers = [10 ** -(at / 50) for at in range(451)]
    similarities = [false_matches.similarity_at(rate) for rate in powers]
    assert all(0 <= b - a < 0.8 for a, b in itertools.pairwise(similarities))
