"""Calibration of a pack on a user's own labelled set: what similarity a distance stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel.chance import FALSE_MATCH_RATES
from facelabel.errors import Rejected
from facelabel.evaluation.rates import FARTHEST, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.evaluation.rates import Distances
    from facelabel.evaluation.searching import Similarity

#: With fewer pairs of two people nothing rarer than one in a hundred is measured.
LEAST_PAIRS = 1_000
#: A rate counts as measured when so many pairs lie below its distance.
LEAST_COUNT = 10
#: The line into what could not be measured goes through so many decades that could.
DECADES = 2.0
#: Beyond this rate distances no longer say anything about a tail.
_BULK = 0.3


@dataclass(frozen=True, slots=True)
class FittedPoint:
    """A point of a calibration."""

    distance: float
    similarity: float
    #: False match rate that the similarity states.
    rate: float
    #: False where it lies on the line drawn through what was measured.
    measured: bool


def fit(impostor: Distances) -> tuple[FittedPoint, ...]:
    """Find the distance at which ``impostor`` pairs reach each false match rate, nearest first.

    Returns:
        Points with strictly rising distances. Down to the rate that LEAST_COUNT pairs reach they
        are quantiles. Beyond, log10 of the rate falls with the distance along the line through
        the last DECADES measured: rates fall faster the nearer two faces are, so the line asks
        for nearer faces than are needed, and fewer strangers pass than the number states.

    Raises:
        Rejected: there are too few pairs; the number needed is said.

    """
    if impostor.total < LEAST_PAIRS:
        raise Rejected(
            f"a calibration needs {LEAST_PAIRS:,} pairs of pictures of two different people,"
            f" there are {impostor.total:,}: pictures of 46 different people are enough"
        )
    points: list[FittedPoint] = []
    before = FARTHEST
    for level, rate in sorted(FALSE_MATCH_RATES.items()):
        distance, measured = _distance(impostor, rate)
        # Strictly nearer than the point before, and never at 0, which is "identical".
        distance = min(distance, before - STEP)
        distance = distance if distance > 0.0 else before / 2
        points.append(FittedPoint(distance, level, rate, measured))
        before = distance
    return tuple(reversed(points))


def pairs(points: Sequence[FittedPoint]) -> tuple[tuple[float, float], ...]:
    """The points as a pack keeps them: (distance, similarity)."""
    return tuple((point.distance, point.similarity) for point in points)


def curve(points: Sequence[FittedPoint]) -> Similarity:
    """Similarity by these points: linear between them, 100 at distance 0 and 0 at 2."""
    distances = [0.0, *(point.distance for point in points), FARTHEST]
    levels = [100.0, *(point.similarity for point in points), 0.0]
    return lambda distance: float(np.interp(distance, distances, levels))


def _distance(impostor: Distances, rate: float) -> tuple[float, bool]:
    """The distance of a rate, and whether it was measured."""
    rarest = LEAST_COUNT / impostor.total
    if rate >= rarest:
        return _quantile(impostor, rate), True
    edge, common = _quantile(impostor, rarest), min(rarest * 10**DECADES, _BULK)
    per_decade = (_quantile(impostor, common) - edge) / math.log10(common / rarest)
    return edge - per_decade * math.log10(rarest / rate), False


def _quantile(impostor: Distances, rate: float) -> float:
    return impostor.widest(rate) or 0.0
