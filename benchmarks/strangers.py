"""Strangers given a name, by how many people are known: the rule on and off.

    python benchmarks/strangers.py DATA [--pack opencv-zoo] [--people 100 1000 10000]
        [--portraits 1] [--json]

DATA has a folder ``portraits`` (``gallery``, ``probe``, ``strangers``). Sets of ten thousand people
are not to be had, so most vectors are drawn: around the mean of the real ones, in so many
dimensions that two of them come as near as often as two people of the pack's calibration do (the
first table holds both side by side). A second picture of somebody drawn lies as far from the first
as those of a real person. The real people are among them. Everything else is the product: its
similarity, its matching, its rule.

With several portraits of each person everybody is drawn, and three ways to score a person are told
apart: the nearest portrait alone; that or the mean of all (the product); the same with the mean
counted as a portrait by the rule.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs

from facelabel.core import calibration, false_matches
from facelabel.core.calibration import FALSE_MATCH_RATES
from facelabel.core.model import Hit, ProbeFace
from facelabel.core.naming import Rules, assign
from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.images import Limits
from facelabel.testing import some_face

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from facelabel.engine.models.manifest import Pack

    Vectors = NDArray[np.float32]
    #: Of each searched face with each person.
    Scores = Callable[[Vectors], Vectors]

SEED = 20261127
#: Rates at which drawn pairs are held against the calibration.
RATES = (1e-2, 1e-3, 1e-4)
#: Hits of each face, as many as the product looks at.
NEIGHBOURS = 16
BLOCK = 500
#: Of a gallery, one in so many is real, as long as there are enough.
REAL_PART = 4


@dataclass(frozen=True, slots=True)
class Line:
    """What became of strangers and of people known, in percent."""

    people: int
    rule: str
    needed: float
    strangers_named: float
    known_named: float
    given_another_name: float


class World:
    """Real people, and others drawn to be as unlike each other."""

    def __init__(self, pack: Pack, gallery: Vectors, probes: Vectors, strangers: Vectors) -> None:
        """Fit what is drawn to the pack's calibration; rows of gallery and probes are people."""
        assert pack.calibration
        self.random = np.random.default_rng(SEED)
        self.gallery, self.probes, self.strangers = gallery, probes, strangers
        self.alike = (gallery * probes).sum(axis=1)
        common, dimensions = _fit(pack)
        everybody = np.concatenate([gallery, probes, strangers])
        centre = everybody.mean(axis=0)
        self._centre = centre / np.linalg.norm(centre)
        _, _, axes = np.linalg.svd(everybody - np.outer(everybody @ self._centre, self._centre))
        self._axes = axes[:dimensions].astype(np.float32)
        self._part = float(np.sqrt(common))

    def draw(self, count: int) -> Vectors:
        """So many people."""
        around = self.random.standard_normal((count, len(self._axes)), dtype=np.float32)
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        drawn: Vectors = (
            self._part * self._centre + np.sqrt(1 - self._part**2) * around @ self._axes
        )
        return drawn.astype(np.float32)

    def pictures(self, people: int, portraits: int) -> Vectors:
        """So many portraits of so many people, (people, portraits, dimensions).

        Two of one person are as alike as those of real people, two of two as those of two drawn.
        """
        count = (people, portraits, len(self._axes))
        person, light = (_unit(self.random.standard_normal(size, dtype=np.float32))
                         for size in ((people, 1, count[2]), count))  # fmt: skip
        light = _unit(light - (light * person).sum(axis=2, keepdims=True) * person)
        common = self._part**2
        alike = self.random.choice(self.alike, (people, portraits, 1))
        of_person = np.clip((alike - common) / (1 - common), 0, 1)
        around = np.sqrt(of_person) * person + np.sqrt(1 - of_person) * light
        drawn: Vectors = self._part * self._centre + np.sqrt(1 - common) * around @ self._axes
        return drawn.astype(np.float32)

    def again(self, people: Vectors) -> Vectors:
        """Another picture of each of them."""
        cosine = self.random.choice(self.alike, len(people))[:, None]
        other = self.draw(len(people))
        other -= (other * people).sum(axis=1, keepdims=True) * people
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        found: Vectors = (cosine * people + np.sqrt(1 - cosine**2) * other).astype(np.float32)
        return found


def _unit(vectors: Vectors) -> Vectors:
    found: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def _fit(pack: Pack) -> tuple[float, int]:
    """The share of all vectors that everybody has in common, and the dimensions of the rest.

    Two directions drawn in n dimensions have a cosine of density (1 - t^2)^((n - 3) / 2).
    """
    distances = {similarity: distance for distance, similarity in pack.calibration or ()}
    levels = {r: level for level, r in FALSE_MATCH_RATES.items() if r in RATES}
    wanted = {rate: 1 - distances[level] ** 2 / 2 for rate, level in levels.items()}
    cosine = np.array([wanted[rate] for rate in RATES])
    fits = []
    for dimensions in range(10, 257):
        drawn = _quantiles(dimensions)
        common = float(((cosine - drawn) * (1 - drawn)).sum() / ((1 - drawn) ** 2).sum())
        common = max(0.0, common)
        error = np.abs(common + (1 - common) * drawn - cosine).max()
        fits.append((error, common, dimensions))
    _, common, dimensions = min(fits)
    return common, dimensions


def _quantiles(dimensions: int) -> NDArray[np.float64]:
    """The cosines that pairs of directions reach at :data:`RATES`."""
    cosine = np.linspace(-1, 1, 200_001)
    density = np.maximum(0, 1 - cosine**2) ** ((dimensions - 3) / 2)
    beyond = 1 - np.cumsum(density) / density.sum()
    return np.array([np.interp(-rate, -beyond, cosine) for rate in RATES])


def embedded(pack: Pack, folder: Path) -> dict[str, Vectors]:
    """The largest face of each portrait, by set; gallery and probe in one order of people."""
    store = ModelStore(platformdirs.user_cache_path("facelabel") / "models")
    store.pull(pack)
    paths = store.paths(pack)
    engine = Engine(pack, paths.detector, paths.embedders, limits=Limits(), threads=2)
    sets = {}
    for name in ("gallery", "probe", "strangers"):
        files = sorted((folder / name).iterdir())
        found = [engine.analyse(file.read_bytes()).templates[0].vector for file in files]
        sets[name] = np.stack([np.frombuffer(vector, "<f4") for vector in found])
    return sets


def rates(world: World, pack: Pack) -> list[tuple[float, float]]:
    """(rate of the calibration, rate of drawn pairs) at each distance."""
    one, other = world.draw(4_000), world.draw(20_000)
    distances = {level: distance for distance, level in pack.calibration or ()}
    wanted = [(rate, distances[level]) for level, rate in FALSE_MATCH_RATES.items()
              if rate in RATES]  # fmt: skip
    counts = [0] * len(wanted)
    for start in range(0, len(other), BLOCK):
        cosine = one @ other[start : start + BLOCK].T
        for at, (_, distance) in enumerate(wanted):
            counts[at] += int((cosine >= 1 - distance**2 / 2).sum())
    pairs = len(one) * len(other)
    return [(rate, count / pairs) for (rate, _), count in zip(wanted, counts, strict=True)]


def names(
    pack: Pack, scores: Scores, probes: Vectors, rules: Rules, portraits: int
) -> list[int | None]:
    """Whom the product names in each of some pictures with one face: people by number."""
    points = pack.calibration or ()
    found: list[int | None] = []
    for start in range(0, len(probes), BLOCK):
        cosine = scores(probes[start : start + BLOCK])
        nearest = np.argpartition(-cosine, min(NEIGHBOURS, cosine.shape[1] - 1))[:, :NEIGHBOURS]
        for row, columns in zip(cosine, nearest, strict=True):
            hits = tuple(
                Hit(str(at), str(at), calibration.similarity(points, _distance(row[at])))
                for at in columns
            )
            face = ProbeFace(some_face(), hits)
            (named,) = assign([face], rules, portraits=portraits)
            found.append(None if named.name is None else int(named.name))
    return found


def _distance(cosine: float) -> float:
    return float(np.sqrt(max(0.0, 2 - 2 * float(cosine))))


def measure(world: World, pack: Pack, people: int, probes: int) -> list[Line]:
    """The rule on and off among so many people."""
    # These are official portraits, more alike than the calibration's people: a few of them.
    real = world.gallery[: min(len(world.gallery), people // REAL_PART)]
    drawn = world.draw(people - len(real))
    gallery = np.concatenate([real, drawn])
    some = world.random.choice(len(gallery), min(probes // 4, len(gallery)), replace=False)
    known = [(int(at), vector) for at, vector in zip(some, world.again(gallery[some]), strict=True)]
    known += [(at, vector) for at, vector in enumerate(world.probes[: len(real)])]
    strangers = np.concatenate([world.strangers, world.draw(probes - len(world.strangers))])
    lines = []
    for name, rules in (("threshold 80", Rules(80, 1.25, 0.0)), ("1 %", Rules(80, 1.25, 0.01))):
        told = names(pack, lambda some: some @ gallery.T, strangers, rules, len(gallery))
        pictures = np.stack([vector for _, vector in known])
        given = names(pack, lambda some: some @ gallery.T, pictures, rules, len(gallery))
        right = sum(at == found for (at, _), found in zip(known, given, strict=True))
        wrong = sum(found not in (None, at) for (at, _), found in zip(known, given, strict=True))
        lines.append(
            Line(
                people, name, round(rules.needed(len(gallery)), 1),
                _percent(sum(one is not None for one in told), len(told)),
                _percent(right, len(known)), _percent(wrong, len(known)),
            )
        )  # fmt: skip
    return lines


def measure_several(
    world: World, pack: Pack, people: int, portraits: int, probes: int
) -> list[Line]:
    """Among people with several portraits each, scored in three ways."""
    pictures = world.pictures(people, portraits + 1)
    gallery, searched = pictures[:, :-1], pictures[: probes // 4, -1]
    means = _unit(gallery.sum(axis=1))
    flat = gallery.reshape(people * portraits, -1)

    def nearest(some: Vectors) -> Vectors:
        found: Vectors = (some @ flat.T).reshape(len(some), people, portraits).max(axis=2)
        return found

    def or_mean(some: Vectors) -> Vectors:
        found: Vectors = np.maximum(nearest(some), some @ means.T)
        return found

    strangers, rules = world.draw(probes), Rules(80, 1.25, false_matches.STRANGERS)
    ways = (
        ("nearest", nearest, portraits),
        ("or mean", or_mean, portraits),
        ("counted", or_mean, portraits + 1),
    )
    lines = []
    for name, scores, each in ways:
        told = names(pack, scores, strangers, rules, people * each)
        given = names(pack, scores, searched, rules, people * each)
        right = sum(at == found for at, found in enumerate(given))
        wrong = sum(found not in (None, at) for at, found in enumerate(given))
        lines.append(
            Line(
                people, f"{name} of {portraits}", round(rules.needed(people * each), 1),
                _percent(sum(one is not None for one in told), len(told)),
                _percent(right, len(searched)), _percent(wrong, len(searched)),
            )
        )  # fmt: skip
    return lines


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pack", default="opencv-zoo", choices=sorted(builtin_packs()))
    parser.add_argument("--people", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--portraits", type=int, default=1, help="of each person")
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pack = builtin_packs()[options.pack]
    sets = embedded(pack, options.data / "portraits")
    world = World(pack, sets["gallery"], sets["probe"], sets["strangers"])
    drawn = rates(world, pack)
    lines = [
        line
        for people in options.people
        for line in (
            measure(world, pack, people, options.probes)
            if options.portraits == 1
            else measure_several(world, pack, people, options.portraits, options.probes)
        )
    ]
    if options.json:
        print(json.dumps({"rates": drawn, "lines": [asdict(line) for line in lines]}))
        return 0
    print(f"{pack.model}: pairs of two people")
    for rate, found in drawn:
        print(f"  calibration {rate:.0e}   drawn {found:.2e}   x{found / rate:.2f}")
    print("people   rule          needs  strangers named  known named  given another name")
    for line in lines:
        print(f"{line.people:>6}   {line.rule:12} {line.needed:6.1f} {line.strangers_named:14.2f} %"
              f" {line.known_named:10.2f} % {line.given_another_name:14.2f} %")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
