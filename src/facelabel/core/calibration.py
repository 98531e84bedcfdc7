"""What a similarity means, and the curves that give the distances of a model that meaning.

A similarity states how often two strangers reach it. A pack's calibration lists L2 distances of
unit vectors with the similarity each stands for. Two points need no measuring and belong to every
pack: identical is 100, opposite is 0.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Points = tuple[tuple[float, float], ...]

#: How often two strangers reach a similarity: 80 is reached by one pair in ten thousand.
FALSE_MATCH_RATES: Final[Mapping[float, float]] = MappingProxyType(
    {99: 1e-6, 90: 1e-5, 80: 1e-4, 70: 1e-3, 50: 1e-2}
)
_IDENTICAL = (0.0, 100.0)
_OPPOSITE = (2.0, 0.0)


def linear(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return y at x on the lines through points (x, y), x ascending; level beyond both ends."""
    right = bisect_left(points, x, key=itemgetter(0))
    if right == len(points):
        return points[-1][1]
    (end, there) = points[right]
    if not right or end == x:
        return there
    (start, here) = points[right - 1]
    return here + (there - here) * (x - start) / (end - start)


def validate(points: Sequence[tuple[float, float]]) -> None:
    """Refuse points that do not fall strictly from (0, 100) to (2, 0): ConfigurationError."""
    if not points:
        raise ConfigurationError("a calibration needs at least one point")
    for (near, high), (far, low) in itertools.pairwise(curve(points)):
        if not (near < far and high > low):
            raise ConfigurationError(
                "distances must rise from 0 to 2 while similarities fall from 100 to 0,"
                f" which ({near:g}, {high:g}), ({far:g}, {low:g}) do not"
            )


def curve(points: Sequence[tuple[float, float]]) -> Points:
    """A pack's points with the two that belong to every pack."""
    return (_IDENTICAL, *points, _OPPOSITE)


def similarity(points: Sequence[tuple[float, float]], distance: float) -> float:
    """Return the similarity, 0..100, of two unit vectors at an L2 distance.

    ``points`` are a pack's (distance, similarity) pairs, distances ascending. Linear between
    them, strictly falling from 100 at distance 0 to 0 at 2; what rounding puts outside 0..2 is
    clamped.
    """
    return linear(curve(points), distance)


def distance(points: Sequence[tuple[float, float]], level: float) -> float:
    """Return the L2 distance, 0..2, of a similarity of 0..100: :func:`similarity`'s inverse."""
    return linear([(-similarity, distance) for distance, similarity in curve(points)], -level)


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
