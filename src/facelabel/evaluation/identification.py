"""Who is this, of the people we know? Accuracy on a gallery, probes and strangers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel.core.false_matches import FALSE_MATCH_RATES
from facelabel.evaluation import photos, sheets
from facelabel.evaluation.rates import ALWAYS, GRID, NEVER, Distances, share
from facelabel.evaluation.searching import Gallery, Namer, build_gallery, compare_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from facelabel.core.matching import Rules
    from facelabel.evaluation.fitting import FittedPoint
    from facelabel.evaluation.labelled import LabelledSet, Photo
    from facelabel.evaluation.photos import Problem, Seen
    from facelabel.evaluation.rates import Share
    from facelabel.evaluation.searching import Similarity
    from facelabel.evaluation.sheets import SheetReport
    from facelabel.inputs.walking import LeftOut

FALSE_POSITIVE_RATES = (1e-1, 1e-2, 1e-3)
#: The threshold we would choose names no more strangers than this.
CHOSEN_RATE = 1e-2


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens with the settings as they are, through the matching that names pictures."""

    #: Of so many portraits: the setting, or more.
    threshold: float
    margin: float
    #: Probes named after whom they show.
    tpir: Share | None
    #: Strangers given a name.
    fpir: Share | None
    #: Probes given the name of somebody else.
    misnamed: Share | None


@dataclass(frozen=True, slots=True)
class OpenSetPoint:
    """Probes that find their person first, at the threshold that names so many strangers."""

    fpir: float
    tpir: Share | None = None
    distance: float | None = None
    similarity: float | None = None
    #: Why there is no number.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """The lowest threshold that keeps to CHOSEN_RATE on these strangers."""

    distance: float
    #: Rounded up to a tenth, as one would write it into the settings.
    similarity: float | None
    tpir: Share | None
    fpir: Share | None


@dataclass(frozen=True, slots=True)
class FalseMatches:
    """Pairs of two people as alike as this: how often it should happen, and how often it did."""

    similarity: float
    distance: float
    expected: float
    measured: Share | None


@dataclass(frozen=True, slots=True)
class Identification:
    """How well known people are told from each other and from strangers."""

    model: str
    people: int
    references: int
    probes: int
    strangers: int
    genuine_pairs: int
    impostor_pairs: int
    rank_1: Share | None
    #: None where the pack is not calibrated.
    rule: Rule | None
    points: tuple[OpenSetPoint, ...]
    chosen: ChosenThreshold | None
    false_matches: tuple[FalseMatches, ...]
    sheets: SheetReport | None
    #: Portraits that could not be learnt: the people are not known, their probes are failures.
    not_enrolled: tuple[Problem, ...]
    #: Probes, strangers and sheets without a face; each is a failure.
    undetected: tuple[Problem, ...]
    #: What was fitted to these very pictures, where that was asked for.
    calibration: tuple[FittedPoint, ...] = ()
    #: What lies in the folders and was not looked at.
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything compared with everything, before any threshold."""

    gallery: Gallery
    #: Nearest reference of each probe whose nearest is of the right person; NEVER for the others.
    known: Distances
    #: Nearest reference of each stranger; ALWAYS for those without a face.
    strangers: Distances
    #: Pairs of pictures, whatever their part, of one person and of two.
    genuine: Distances
    impostor: Distances


def score(labelled: LabelledSet, seen: Mapping[Path, Seen]) -> Scores:
    """Search each probe and stranger, and compare all pictures with each other."""
    gallery = build_gallery(labelled.gallery, seen)
    genuine, impostor = compare_all(
        [(photo.person, seen[photo.file].templates[0]) for photo in labelled.photos
         if seen[photo.file].templates]
    )  # fmt: skip
    return Scores(
        gallery,
        Distances.of([_as_known(gallery, photo, seen[photo.file]) for photo in labelled.probes]),
        Distances.of([_as_stranger(gallery, seen[photo.file]) for photo in labelled.strangers]),
        genuine,
        impostor,
    )


def _as_known(gallery: Gallery, probe: Photo, seen: Seen) -> float:
    if not seen.templates or not gallery.people:
        return NEVER
    person, distance = gallery.nearest(seen.templates[0])
    return distance if person == probe.person else NEVER


def _as_stranger(gallery: Gallery, seen: Seen) -> float:
    if not seen.templates:
        return ALWAYS
    return gallery.nearest(seen.templates[0])[1] if gallery.people else NEVER


def report(
    labelled: LabelledSet,
    seen: Mapping[Path, Seen],
    scores: Scores,
    rules: Rules,
    model: str,
    similarity: Similarity | None,
) -> Identification:
    """Put the scores into numbers.

    Args:
        labelled: the set.
        seen: what was seen in each of its files.
        scores: what :func:`score` made of them.
        rules: threshold and margin to try.
        model: whose vectors these are.
        similarity: the pack's calibration, None if it has none.

    """
    gallery = scores.gallery
    namer = Namer(gallery, rules, similarity) if similarity else None
    searched = [photo.file for photo in (*labelled.probes, *labelled.strangers)]
    searched += [sheet.file for sheet in labelled.sheets]
    return Identification(
        model=model,
        people=len(set(gallery.people)),
        references=len(gallery.people),
        probes=len(labelled.probes),
        strangers=len(labelled.strangers),
        genuine_pairs=scores.genuine.total,
        impostor_pairs=scores.impostor.total,
        rank_1=share(int(scores.known.accepted[-1]), scores.known.total),
        rule=_rule(labelled, seen, namer) if namer else None,
        points=tuple(_point(scores, rate, similarity) for rate in FALSE_POSITIVE_RATES),
        chosen=_chosen(scores, similarity),
        false_matches=_false_matches(scores.impostor, similarity) if similarity else (),
        sheets=sheets.report(labelled, seen, namer) if namer else None,
        not_enrolled=gallery.refused(labelled.root),
        undetected=photos.problems(searched, seen, labelled.root),
    )


def _rule(labelled: LabelledSet, seen: Mapping[Path, Seen], namer: Namer) -> Rule:
    probes = [(probe.person, namer.names(seen[probe.file])) for probe in labelled.probes]
    strangers = [seen[stranger.file] for stranger in labelled.strangers]
    right = sum(person in names for person, names in probes)
    wrong = sum(bool(names - {person}) for person, names in probes)
    named = sum(not stranger.templates or bool(namer.names(stranger)) for stranger in strangers)
    return Rule(
        threshold=namer.rules.needed(len(namer.gallery.people)),
        margin=namer.rules.margin,
        tpir=share(right, len(probes)),
        fpir=share(named, len(strangers)),
        misnamed=share(wrong, len(probes)),
    )


def _point(scores: Scores, rate: float, similarity: Similarity | None) -> OpenSetPoint:
    needed = round(1 / rate)
    if scores.strangers.total < needed:
        there = scores.strangers.total
        return OpenSetPoint(rate, reason=f"needs {needed:,} strangers, there are {there:,}")
    if (distance := scores.strangers.widest(rate)) is None:
        return OpenSetPoint(rate, reason="too many strangers have an undetected face")
    return OpenSetPoint(
        fpir=rate,
        tpir=share(scores.known.within(distance), scores.known.total),
        distance=distance,
        similarity=similarity(distance) if similarity else None,
    )


def _chosen(scores: Scores, similarity: Similarity | None) -> ChosenThreshold | None:
    """Choose on the strangers; None without any, or where too many have no face."""
    if not scores.strangers.total:
        return None
    if (distance := scores.strangers.widest(CHOSEN_RATE)) is None:
        return None
    level = None
    if similarity:
        level = min(100.0, np.ceil(similarity(distance) * 10) / 10)
        distance = distance_of(similarity, level)
    return ChosenThreshold(
        distance=distance,
        similarity=level,
        tpir=share(scores.known.within(distance), scores.known.total),
        fpir=share(scores.strangers.within(distance), scores.strangers.total),
    )


def _false_matches(impostor: Distances, similarity: Similarity) -> tuple[FalseMatches, ...]:
    lines = []
    for level, expected in sorted(FALSE_MATCH_RATES.items()):
        distance = distance_of(similarity, level)
        measured = share(impostor.within(distance), impostor.total)
        lines.append(FalseMatches(level, distance, expected, measured))
    return tuple(lines)


def distance_of(similarity: Similarity, level: float) -> float:
    """Return the largest distance of GRID whose similarity is still ``level``."""
    # A point of the calibration may lie a rounding error beyond its distance in GRID.
    at = bisect_right(GRID, -level + 1e-6, key=lambda d: -similarity(float(d))) - 1
    return float(GRID[max(at, 0)])
