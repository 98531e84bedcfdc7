"""Who is this, of the people we know? Accuracy on a gallery, probes and strangers.

Also on sheets, pictures of several people. The people known are searched as the product does it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from facelabel.core import naming
from facelabel.core.calibration import FALSE_MATCH_RATES
from facelabel.core.model import Hit, ProbeFace
from facelabel.evaluation import photos
from facelabel.evaluation.photos import Problem
from facelabel.evaluation.rates import ALWAYS, GRID, NEVER, Distances, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from facelabel.core.model import Analysis, Face, FaceDecision, Template
    from facelabel.core.naming import Rules
    from facelabel.evaluation.fitting import FittedPoint
    from facelabel.evaluation.labelled import LabelledSet, Photo, Sheet, Tile
    from facelabel.evaluation.photos import Seen, Vectors
    from facelabel.evaluation.rates import Share
    from facelabel.inputs.walking import LeftOut

    #: 0..100 for an L2 distance.
    Similarity = Callable[[float], float]

FALSE_POSITIVE_RATES = (1e-1, 1e-2, 1e-3)
#: The threshold we would choose names no more strangers than this.
CHOSEN_RATE = 1e-2
#: Nearest people each face is compared with by name, as many as the product looks at first.
NEIGHBOURS = 16
#: Rows compared with all others at once: bounds the memory.
_BLOCK = 1024


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
        sheets=name_sheets(labelled, seen, namer) if namer else None,
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


# ---- the people known, searched as the product does


@dataclass(frozen=True, eq=False)
class Gallery:
    """References by row."""

    people: tuple[str, ...]
    vectors: Vectors
    #: Pictures that could not be learnt, and why.
    failures: tuple[tuple[Path, str], ...] = ()

    def refused(self, root: Path) -> tuple[Problem, ...]:
        """The pictures that could not be learnt."""
        return tuple(Problem(photos.name_under(root, file), why) for file, why in self.failures)

    def nearest(self, template: Template) -> tuple[str, float]:
        """The person of the nearest reference and its L2 distance."""
        found = self._distances([template])[0]
        return self.people[at := int(found.argmin())], float(found[at])

    def search(
        self, templates: Sequence[Template], similarity: Similarity
    ) -> tuple[ProbeFace, ...]:
        """Each face with the nearest reference of the people nearest to it."""
        if not templates:
            return ()
        found = self._distances(templates)
        return tuple(
            ProbeFace(template.face, tuple(self._hits(row, similarity)))
            for template, row in zip(templates, found, strict=True)
        )

    @cached_property
    def _several(self) -> list[tuple[list[int], Vectors]]:
        """The rows of each person with several references, and their mean."""
        rows = defaultdict(list)
        for row, person in enumerate(self.people):
            rows[person].append(row)
        several = [some for some in rows.values() if len(some) > 1]
        sums = [self.vectors[some].sum(axis=0) for some in several]
        return [
            (some, total / np.linalg.norm(total))
            for some, total in zip(several, sums, strict=True)
            if total.any()
        ]

    def _distances(self, templates: Sequence[Template]) -> Vectors:
        """Of each face and reference; where somebody's mean is nearer, it is the nearest's."""
        probes = photos.matrix(templates)
        found = photos.distances(probes, self.vectors)
        for rows, mean in self._several:
            own = found[:, rows]
            places = np.arange(len(own)), own.argmin(axis=1)
            own[places] = np.minimum(own[places], photos.distances(probes, mean[None])[:, 0])
            found[:, rows] = own
        return found

    def _hits(self, distances: Vectors, similarity: Similarity) -> Iterator[Hit]:
        people: set[str] = set()
        for row in np.argsort(distances, kind="stable"):
            person = self.people[row]
            if person in people:
                continue
            people.add(person)
            yield Hit(str(row), person, similarity(float(distances[row])))
            if len(people) == NEIGHBOURS:
                return


@dataclass(frozen=True, slots=True)
class Namer:
    """Names the faces of pictures by the matching that names them in the product."""

    gallery: Gallery
    rules: naming.Rules
    similarity: Similarity

    def name(self, seen: Seen) -> tuple[FaceDecision, ...]:
        """One decision for each face of the picture."""
        found = self.gallery.search(seen.templates, self.similarity)
        return naming.assign(found, self.rules, portraits=len(self.gallery.people))

    def names(self, seen: Seen) -> set[str]:
        """Everyone who is recognised on the picture."""
        return {face.name for face in self.name(seen) if face.name}


def build_gallery(pictures: Sequence[Photo], seen: Mapping[Path, Seen]) -> Gallery:
    """Learn from pictures by the rule of training."""
    learnt = [(photo, photos.usable(seen[photo.file])) for photo in pictures]
    people = [(photo.person, face) for photo, face in learnt if not isinstance(face, str)]
    return Gallery(
        people=tuple(person for person, _ in people),
        vectors=photos.matrix([face for _, face in people]),
        failures=tuple((photo.file, face) for photo, face in learnt if isinstance(face, str)),
    )


def compare_all(faces: Sequence[tuple[str, Template]]) -> tuple[Distances, Distances]:
    """Distances of all pairs of one person, and of all pairs of two."""
    vectors = photos.matrix([template for _, template in faces])
    numbers = {person: number for number, (person, _) in enumerate(faces)}
    who = np.array([numbers[person] for person, _ in faces])
    genuine = impostor = Distances.of([])
    for start in range(0, len(faces), _BLOCK):
        block = slice(start, start + _BLOCK)
        found = photos.distances(vectors[block], vectors[start:])
        later = np.triu(np.ones(found.shape, bool), k=1)
        same = who[block, None] == who[None, start:]
        genuine += Distances.of(found[later & same])
        impostor += Distances.of(found[later & ~same])
    return genuine, impostor


# ---- pictures of several people, known and not


@dataclass(frozen=True, slots=True)
class SheetReport:
    """How the faces on sheets were named."""

    sheets: int
    #: People on them, and how many of these were found.
    faces: int
    found: int
    #: Faces found where nobody is, or a second one in one tile.
    extra: int
    known: int
    known_named: int
    strangers: int
    strangers_named: int
    #: Known people given the name of somebody else, and names on what is no face.
    wrong_names: int


def name_sheets(
    labelled: LabelledSet, seen: Mapping[Path, Seen], namer: Namer
) -> SheetReport | None:
    """Name the faces of every sheet; None where there is none."""
    if not labelled.sheets:
        return None
    tiles = [
        (tile, faces)
        for sheet in labelled.sheets
        for tile, faces in _placed(sheet, seen[sheet.file], namer)
    ]
    inside = [(tile, faces) for tile, faces in tiles if tile]
    outside = [face for tile, faces in tiles if not tile for face in faces]
    known = [(tile.person, _named(faces)) for tile, faces in inside if tile.person]
    strangers = [_named(faces) for tile, faces in inside if not tile.person]
    return SheetReport(
        sheets=len(labelled.sheets),
        faces=len(inside),
        found=sum(bool(faces) for _, faces in inside),
        extra=len(outside) + sum(max(0, len(faces) - 1) for _, faces in inside),
        known=len(known),
        known_named=sum(person in names for person, names in known),
        strangers=len(strangers),
        strangers_named=sum(map(bool, strangers)),
        wrong_names=sum(bool(names - {person}) for person, names in known) + len(_named(outside)),
    )


def _placed(sheet: Sheet, seen: Seen, namer: Namer) -> list[tuple[Tile | None, list[FaceDecision]]]:
    """The named faces by the tile they lie in; None holds those in no tile."""
    placed: dict[Tile | None, list[FaceDecision]] = {tile: [] for tile in (*sheet.tiles, None)}
    if seen.analysis:
        for face in namer.name(seen):
            placed[_tile_of(face.face, sheet, seen.analysis)].append(face)
    return list(placed.items())


def _tile_of(face: Face, sheet: Sheet, picture: Analysis) -> Tile | None:
    x = (face.box.left + face.box.width / 2) * picture.width
    y = (face.box.top + face.box.height / 2) * picture.height
    return next((tile for tile in sheet.tiles if _inside(x, y, tile)), None)


def _inside(x: float, y: float, tile: Tile) -> bool:
    left, top, width, height = tile.area
    return left <= x < left + width and top <= y < top + height


def _named(faces: list[FaceDecision]) -> set[str]:
    return {face.name for face in faces if face.name}
