"""Similarity that states a false match rate.

A pack's calibration lists L2 distances of unit vectors with the similarity each stands for. Two
points need no measuring and belong to every pack: identical is 100, opposite is 0.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Points = tuple[tuple[float, float], ...]

_IDENTICAL = (0.0, 100.0)
_OPPOSITE = (2.0, 0.0)


def validate(points: Sequence[tuple[float, float]]) -> None:
    """Refuse points that do not fall strictly from (0, 100) to (2, 0): ConfigurationError."""
    if not points:
        raise ConfigurationError("a calibration needs at least one point")
    for (near, high), (far, low) in itertools.pairwise((_IDENTICAL, *points, _OPPOSITE)):
        if not (near < far and high > low):
            raise ConfigurationError(
                "distances must rise from 0 to 2 while similarities fall from 100 to 0,"
                f" which ({near:g}, {high:g}), ({far:g}, {low:g}) do not"
            )


def similarity(points: Sequence[tuple[float, float]], distance: float) -> float:
    """Return the similarity, 0..100, of two unit vectors at an L2 distance.

    ``points`` are a pack's (distance, similarity) pairs, distances ascending. Linear between
    them, strictly falling from 100 at distance 0 to 0 at 2; what rounding puts outside 0..2 is
    clamped.
    """
    if distance <= 0.0:
        return 100.0
    curve = (_IDENTICAL, *points, _OPPOSITE)
    right = bisect_left(curve, distance, key=lambda point: point[0])
    if right == len(curve):
        return 0.0
    (near, high), (far, low) = curve[right - 1], curve[right]
    return high + (low - high) * (distance - near) / (far - near)


def distance(points: Sequence[tuple[float, float]], level: float) -> float:
    """Return the L2 distance, 0..2, of a similarity of 0..100: :func:`similarity`'s inverse."""
    curve = (_IDENTICAL, *points, _OPPOSITE)
    right = bisect_left(curve, -level, key=lambda point: -point[1])
    far, low = curve[right]
    if low == level:
        return far
    near, high = curve[right - 1]
    return near + (far - near) * (high - level) / (high - low)


def stricter(own: Points, published: Points) -> Points:
    """Return ``own`` where it is stricter than ``published``, which holds everywhere else.

    No similarity is reached from farther away than with either: at each one that either states
    it is the smaller distance, and between two of them a straight line runs below both where
    they cross. Exactly ``published`` where ``own`` is nowhere stricter.
    """
    levels = sorted({level for _, level in (*own, *published)}, reverse=True)
    both = [(distance(own, level), distance(published, level)) for level in levels]
    if all(mine >= theirs for mine, theirs in both):
        return published
    return tuple((min(pair), level) for pair, level in zip(both, levels, strict=True))
