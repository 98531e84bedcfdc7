"""Are these two pictures of one person? Accuracy on a list of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel.evaluation import photos, rates
from facelabel.evaluation.rates import ALWAYS, GRID, NEVER, Distances

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from facelabel.evaluation.lfw import Pair
    from facelabel.evaluation.photos import Problem, Seen
    from facelabel.evaluation.rates import EqualError
    from facelabel.evaluation.searching import Similarity

FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is accepted at the threshold that lets so many impostors pass."""

    far: float
    tar: float | None = None
    distance: float | None = None
    #: None where the pack is not calibrated.
    similarity: float | None = None
    #: Why there is no number.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Folds:
    """Share of right decisions over the folds, each with the threshold best on the others."""

    accuracy: float
    standard_error: float
    folds: int
    #: Mean of the thresholds chosen.
    distance: float
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Verification:
    """How well pairs of one person are told from pairs of two."""

    model: str
    pictures: int
    genuine: int
    impostor: int
    accuracy: Folds
    equal_error: EqualError
    points: tuple[OperatingPoint, ...]
    #: Each pair with one of these counts as a wrong decision.
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Distances of the pairs of one person, and of two, by fold."""

    genuine: tuple[Distances, ...]
    impostor: tuple[Distances, ...]


def score(pairs: Sequence[Pair], seen: Mapping[Path, Seen]) -> Scores:
    """Compare the subjects of each pair."""
    folds = max(pair.fold for pair in pairs) + 1
    found: dict[tuple[bool, int], list[float]] = {
        (same, fold): [] for same in (True, False) for fold in range(folds)
    }
    for pair in pairs:
        found[pair.same, pair.fold].append(_distance(pair, seen))
    return Scores(
        tuple(Distances.of(found[True, fold]) for fold in range(folds)),
        tuple(Distances.of(found[False, fold]) for fold in range(folds)),
    )


def _distance(pair: Pair, seen: Mapping[Path, Seen]) -> float:
    left, right = photos.subject(seen[pair.left]), photos.subject(seen[pair.right])
    if left is None or right is None:
        return NEVER if pair.same else ALWAYS
    return float(photos.distances(photos.matrix([left]), photos.matrix([right]))[0, 0])


def together(folds: Collection[Distances]) -> Distances:
    """All pairs of these folds."""
    return sum(folds, start=Distances.of([]))


def report(
    scores: Scores,
    model: str,
    seen: Mapping[Path, Seen],
    root: Path,
    similarity: Similarity | None,
) -> Verification:
    """Put the scores into numbers; without a ``similarity`` thresholds are distances alone."""
    genuine, impostor = together(scores.genuine), together(scores.impostor)
    return Verification(
        model=model,
        pictures=len(seen),
        genuine=genuine.total,
        impostor=impostor.total,
        accuracy=_folds(scores, similarity),
        equal_error=rates.equal_error(genuine, impostor),
        points=tuple(
            operating_point(genuine, impostor, far, similarity) for far in FALSE_ACCEPT_RATES
        ),
        problems=photos.problems(sorted(seen), seen, root),
    )


def _folds(scores: Scores, similarity: Similarity | None) -> Folds:
    genuine, impostor = together(scores.genuine), together(scores.impostor)
    chosen = [
        rates.best_threshold(
            Distances(genuine.counts - own.counts), Distances(impostor.counts - other.counts)
        )
        for own, other in zip(scores.genuine, scores.impostor, strict=True)
    ]
    right = [
        rates.accuracy(own, other, at)
        for own, other, at in zip(scores.genuine, scores.impostor, chosen, strict=True)
    ]
    spread = float(np.std(right, ddof=1)) / len(right) ** 0.5 if len(right) > 1 else 0.0
    distance = float(GRID[chosen].mean())
    return Folds(
        accuracy=float(np.mean(right)),
        standard_error=spread,
        folds=len(right),
        distance=distance,
        similarity=similarity(distance) if similarity else None,
    )


def operating_point(
    genuine: Distances, impostor: Distances, far: float, similarity: Similarity | None
) -> OperatingPoint:
    """Share of genuine pairs accepted where at most ``far`` of the impostors are."""
    needed = round(1 / far)
    if impostor.total < needed:
        return OperatingPoint(
            far, reason=f"needs {needed:,} pairs of two people, there are {impostor.total:,}"
        )
    if (distance := impostor.widest(far)) is None:
        return OperatingPoint(far, reason="too many pairs of two people have an undetected face")
    return OperatingPoint(
        far=far,
        tar=genuine.within(distance) / max(genuine.total, 1),
        distance=distance,
        similarity=similarity(distance) if similarity else None,
    )
