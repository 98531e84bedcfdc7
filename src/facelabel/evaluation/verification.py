"""Are these two pictures of one person? Accuracy on a list of pairs.

Lists are LFW's ``pairs.txt`` with its folders, and plain ones of that form.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel.errors import NotFound, Rejected
from facelabel.evaluation import photos, rates
from facelabel.evaluation.rates import ALWAYS, GRID, NEVER, Distances
from facelabel.inputs import reading
from facelabel.inputs.lookup import Lookup
from facelabel.inputs.walking import is_picture

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from facelabel.evaluation.identification import Similarity
    from facelabel.evaluation.photos import Problem, Seen
    from facelabel.evaluation.rates import EqualError

FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
#: A list larger than this is no list of pairs.
MAX_LIST_BYTES = 64 << 20
MAX_PAIRS = 1_000_000
FOLDS = 10
#: How many fields a pair of one person, and a pair of two people, has.
_GENUINE, _IMPOSTOR = 3, 4
#: A threshold is chosen on other pairs than it is tried on.
_LEAST = 2


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


# ---- reading lists of pairs


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, of one person or of two."""

    left: Path
    right: Path
    same: bool
    #: Counted from 0; thresholds are chosen on the other folds.
    fold: int


def read_pairs(listed: Path, root: Path) -> tuple[Pair, ...]:
    """Read a list of pairs of pictures that lie under ``root`` as ``Name/Name_0001.jpg``.

    A line is ``Name n m``, two pictures of one person, or ``Name n Name m``, of two people; fields
    are separated by tabs (or by blanks, where names have none). The first line may be LFW's
    header: folds and pairs of each kind in a fold. Without folds, pairs are dealt to ten in turn.

    Raises NotFound if the list or a picture is not there, Rejected naming the line at fault.
    """
    rows = [(number, _fields(line)) for number, line in enumerate(_lines(listed), start=1)]
    rows = [(number, fields) for number, fields in rows if fields]
    header = rows.pop(0)[1] if rows and all(field.isdecimal() for field in rows[0][1]) else []
    pairs, pictures = [], _Pictures(root)
    dealt = {True: 0, False: 0}
    for number, fields in rows:
        left, right, same = pictures.of(fields, f"{listed} line {number}")
        pairs.append(Pair(left, right, same, _fold(header, dealt[same])))
        dealt[same] += 1
    _check(listed, header, dealt)
    _check_files(pairs, root)
    return tuple(pairs)


def _lines(listed: Path) -> list[str]:
    try:
        lines = reading.read(listed, MAX_LIST_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Rejected(f"{listed} is no text in UTF-8: {error}") from error
    except FileNotFoundError as error:
        raise NotFound(f"{listed} {reading.explain(error)}") from error
    except OSError as error:
        raise Rejected(f"{listed} {reading.explain(error)}") from error
    if len(lines) > MAX_PAIRS:
        raise Rejected(f"{listed} has more than {MAX_PAIRS:,} lines")
    return lines


def _fields(line: str) -> list[str]:
    parts = line.strip().split("\t") if "\t" in line.strip() else line.split()
    return [part.strip() for part in parts]


def _fold(header: list[str], dealt: int) -> int:
    """Return the fold of a pair, ``dealt`` of its kind coming before it."""
    if len(header) > 1 and int(header[0]) > 1:
        return dealt // max(int(header[1]), 1)
    return dealt % FOLDS


class _Pictures:
    """The pictures below a folder, by name and number."""

    def __init__(self, root: Path) -> None:
        self._lookup = Lookup(root)

    def of(self, fields: list[str], where: str) -> tuple[Path, Path, bool]:
        """The two of a pair, and whether they show one person."""
        if len(fields) == _GENUINE:
            name, first, second = fields
            return self._file(name, first, where), self._file(name, second, where), True
        if len(fields) == _IMPOSTOR:
            left, first, right, second = fields
            pair = self._file(left, first, where), self._file(right, second, where)
            return *pair, left == right
        raise Rejected(f"{where}: expected 3 or 4 fields, as in pairs.txt, but found {len(fields)}")

    def _file(self, name: str, number: str, where: str) -> Path:
        if not number.isdecimal() or len(number) > 9:  # noqa: PLR2004 - more is no number of a picture
            raise Rejected(f"{where}: {number!r} is not the number of a picture")
        if not name or name in {".", ".."} or "/" in name or "\\" in name:
            raise Rejected(f"{where}: {name!r} is not the name of a folder")
        stem = f"{name}_{int(number):04d}"
        jpeg = self._lookup(f"{name}/{stem}.jpg")
        if os.path.lexists(jpeg):
            return jpeg
        others = sorted(self._lookup(name).glob(f"{glob.escape(stem)}.*"))
        return next(filter(is_picture, others), jpeg)


def _check(listed: Path, header: list[str], dealt: dict[bool, int]) -> None:
    if min(dealt.values()) < _LEAST:
        raise Rejected(
            f"{listed} has {dealt[True]} pairs of one person and {dealt[False]} of two:"
            f" at least {_LEAST} of each are needed"
        )
    if header:
        folds, each = (int(header[0]), int(header[1])) if len(header) > 1 else (1, int(header[0]))
        if dealt != dict.fromkeys(dealt, folds * each):
            raise Rejected(
                f"{listed} says {folds * each} pairs of each kind but has {dealt[True]} of one"
                f" person and {dealt[False]} of two"
            )


def _check_files(pairs: list[Pair], root: Path) -> None:
    absent = sorted(
        {f for pair in pairs for f in (pair.left, pair.right) if not reading.is_file(f)}
    )
    if absent:
        raise NotFound(
            f"{len(absent)} pictures are not under {root}: the first, {absent[0]},"
            f" {reading.explain_unreadable(absent[0])}"
        )
