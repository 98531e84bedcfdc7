"""Calibration of a pack on a user's own labelled set: what similarity a distance stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from facelabel.core import calibration, false_matches
from facelabel.core.calibration import FALSE_MATCH_RATES
from facelabel.errors import Rejected
from facelabel.evaluation.rates import FARTHEST, STEP, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facelabel.evaluation.identification import Similarity
    from facelabel.evaluation.rates import Distances

    #: (L2 distance, similarity), nearest first.
    Points = Sequence[tuple[float, float]]

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
    #: False where it was extended from what was measured, or is the pack's own.
    measured: bool

    @property
    def needs(self) -> int:
        """How many pairs of two people would measure it."""
        return math.ceil(LEAST_COUNT / self.rate - 1e-6)

    @property
    def people(self) -> int:
        """Pictures of how many different people make so many pairs."""
        return math.ceil((1 + math.sqrt(1 + 8 * self.needs)) / 2)


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
    _require(impostor)
    return _falling(
        (level, rate, *_distance(impostor, rate)) for level, rate in FALSE_MATCH_RATES.items()
    )


def stricter(impostor: Distances, published: Points) -> tuple[FittedPoint, ...]:
    """Fit a pack that has a calibration to people who are more alike than those it was made from.

    Args:
        impostor: distances of pairs of two of these people.
        published: the pack's own (distance, similarity) points, nearest first.

    Returns:
        Points at which no similarity is reached from farther away than with ``published``, nor is
        one between them. Where enough pairs are expected they are quantiles. Beyond, the shape of
        the pack's own curve is kept, which far more pairs have shown, and it is moved as far as
        the rarest promise that could be counted is broken at the most (95 %): by as large a factor
        of the rate or by as much of the distance, whichever asks for more. Nothing where these
        people are not shown to be more alike.

    Raises:
        Rejected: there are too few pairs; the number needed is said.

    """
    _require(impostor)
    if (moved := _moved(impostor, published)) is None:
        return ()
    levels = {*FALSE_MATCH_RATES, *(level for _, level in published)}
    rates = {level: FALSE_MATCH_RATES.get(level) or false_matches.false_match_rate(level)
             for level in levels}  # fmt: skip
    points = []
    for level, rate in rates.items():
        if measured := rate * impostor.total >= LEAST_COUNT:
            own = _quantile(impostor, rate)
        else:
            own = moved.distance(published, level, rate)
        points.append((level, rate, min(own, calibration.distance(published, level)), measured))
    return _falling(points)


def _require(impostor: Distances) -> None:
    if impostor.total < LEAST_PAIRS:
        raise Rejected(
            f"a calibration needs {LEAST_PAIRS:,} pairs of pictures of two different people,"
            f" there are {impostor.total:,}: pictures of 46 different people are enough"
        )


def _falling(points: Iterable[tuple[float, float, float, bool]]) -> tuple[FittedPoint, ...]:
    """Points of (similarity, rate, distance, measured), nearest first."""
    found: list[FittedPoint] = []
    before = FARTHEST
    for level, rate, wanted, measured in sorted(points):
        # Strictly nearer than the point before, and never at 0, which is "identical".
        distance = min(wanted, before - STEP)
        distance = distance if distance > 0.0 else before / 2
        found.append(FittedPoint(distance, level, rate, measured))
        before = distance
    return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class _Moved:
    """How far the pack's curve has to be moved."""

    #: Times as often as promised.
    times: float
    #: Of distance, where that was counted.
    nearer: float

    def distance(self, published: Points, level: float, rate: float) -> float:
        """Where the similarity is reached that states a rate."""
        by_rate = calibration.distance(published, false_matches.similarity_at(rate / self.times))
        return min(by_rate, calibration.distance(published, level) - self.nearer)


def _moved(impostor: Distances, published: Points) -> _Moved | None:
    """Told by the rarest promise that LEAST_COUNT pairs break or keep; None where it is kept."""
    for level, rate in sorted(FALSE_MATCH_RATES.items(), reverse=True):
        distance = calibration.distance(published, level)
        found = share(impostor.within(distance), impostor.total)
        if found and found.count >= LEAST_COUNT:
            if found.low <= rate:
                return None
            times = found.high / rate
            kept = calibration.distance(published, false_matches.similarity_at(rate / times))
            return _Moved(times, distance - kept)
    return None


def pairs(points: Sequence[FittedPoint]) -> tuple[tuple[float, float], ...]:
    """The points as a pack keeps them: (distance, similarity)."""
    return tuple((point.distance, point.similarity) for point in points)


def curve(points: Sequence[FittedPoint]) -> Similarity:
    """Similarity by these points: linear between them, 100 at distance 0 and 0 at 2."""
    return partial(calibration.similarity, pairs(points))


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
