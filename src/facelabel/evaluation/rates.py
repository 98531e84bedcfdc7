"""Distances of very many pairs, and the error rates they come to at each threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Counts: TypeAlias = npt.NDArray[np.int64]

#: Distances are told apart to this: a fortieth of a point of similarity at most.
STEP = 1e-4
#: L2 distance of two opposite unit vectors.
FARTHEST = 2.0
#: The thresholds looked at.
GRID: Floats = np.linspace(0.0, FARTHEST, round(FARTHEST / STEP) + 1)
#: Distance of a pair that no threshold accepts.
NEVER = math.inf
#: Distance of a pair that every threshold accepts.
ALWAYS = 0.0
#: Standard deviations that hold 95 % of a normal distribution.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with the 95 % interval of Wilson."""

    count: int
    of: int
    rate: float
    low: float
    high: float


def share(count: int, of: int) -> Share | None:
    """Return ``count`` of ``of``; None where there was nothing to count."""
    if not of:
        return None
    rate, spread = count / of, _Z * _Z / of
    middle = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread * spread / 4) / (1 + spread)
    return Share(count, of, rate, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, eq=False)
class Distances:
    """Pairs counted by their L2 distance: however many there are, it takes the same memory."""

    #: How many lie at most at GRID[i], but beyond GRID[i - 1]; the last ones lie beyond all.
    counts: Counts

    @classmethod
    def of(cls, distances: npt.ArrayLike) -> Distances:
        """Count distances of 0..2, ALWAYS or NEVER."""
        found = np.asarray(distances, np.float64).ravel()
        # What rounding puts a hair beyond a threshold still lies at it.
        bins = np.ceil(np.minimum(found, FARTHEST + 1) / STEP - 1e-3).astype(np.int64)
        return cls(np.bincount(np.clip(bins, 0, GRID.size), minlength=GRID.size + 1))

    def __add__(self, other: Distances) -> Distances:
        return Distances(self.counts + other.counts)

    @cached_property
    def total(self) -> int:
        """How many pairs there are."""
        return int(self.counts.sum())

    @cached_property
    def accepted(self) -> Counts:
        """How many pairs each threshold of GRID accepts."""
        return np.cumsum(self.counts[:-1])

    @cached_property
    def rates(self) -> Floats:
        """Share of the pairs that each threshold of GRID accepts."""
        return self.accepted / max(self.total, 1)

    def within(self, distance: float) -> int:
        """How many pairs lie at most that far apart."""
        return int(self.accepted[int(distance / STEP + 1e-3)])

    def widest(self, rate: float) -> float | None:
        """Return the largest threshold that accepts no more than ``rate``; None if all do."""
        at = int(np.searchsorted(self.rates, rate, side="right")) - 1
        return None if at < 0 else float(GRID[at])


@dataclass(frozen=True, slots=True)
class EqualError:
    """Where as many genuine pairs are rejected as impostors are accepted."""

    rate: float
    distance: float


def equal_error(genuine: Distances, impostor: Distances) -> EqualError:
    """Return the equal error rate and its threshold."""
    rejected = 1.0 - genuine.rates
    at = int(np.argmin(np.abs(rejected - impostor.rates)))
    return EqualError(float((rejected[at] + impostor.rates[at]) / 2), float(GRID[at]))


def best_threshold(genuine: Distances, impostor: Distances) -> int:
    """Return the index in GRID with the most right decisions, the middle one of several."""
    right = genuine.accepted + (impostor.total - impostor.accepted)
    best = np.flatnonzero(right == right.max())
    return int(best[best.size // 2])


def accuracy(genuine: Distances, impostor: Distances, at: int) -> float:
    """Share of right decisions with the threshold GRID[at]."""
    right = int(genuine.accepted[at]) + impostor.total - int(impostor.accepted[at])
    return right / max(genuine.total + impostor.total, 1)
