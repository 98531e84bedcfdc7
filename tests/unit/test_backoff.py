"""Pauses that grow, spread, and end somewhere."""

from __future__ import annotations

import pytest

from facelabel.core.clock import RetryPolicy, backoff


@pytest.mark.parametrize(
    ("tries", "expected"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (12, 10.0), (10_000, 10.0)]
)
def test_each_pause_is_twice_as_long_up_to_the_longest(tries: int, expected: float) -> None:
    assert backoff(tries, 2.0, 10.0, lambda: 0.5) == expected


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 4.0), (0.5, 8.0), (1.0, 12.0)])
def test_half_of_it_more_or_less(chance: float, expected: float) -> None:
    assert backoff(3, 2.0, 100.0, lambda: chance) == expected


def test_pauses_are_spread() -> None:
    pauses = {backoff(3, 2.0) for _ in range(100)}
    assert len(pauses) > 50
    assert 4.0 <= min(pauses) < 6.0
    assert 10.0 < max(pauses) <= 12.0


def test_a_policy_is_given_up_when_it_says() -> None:
    """Two seconds to ten minutes, which is forty minutes or so in all."""
    policy = RetryPolicy()
    waits = sum(min(policy.longest, policy.first * 2**tries) for tries in range(policy.tries - 1))
    assert 30 * 60 < waits < 50 * 60
    assert {0.5 <= policy.delay(1) / policy.first <= 1.5 for _ in range(50)} == {True}
