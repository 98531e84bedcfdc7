"""Blurred faces that are taken for one person, and what the rule of quality leaves of them.

    python benchmarks/blurred.py DATA [--packs opencv-zoo …] [--models FOLDER] [--json]

DATA has the folders ``portraits``, ``families`` and ``groups``. Two kinds of pairs, each of two
different people, both out of pictures that are treated alike or not at all:

* one portrait of each person, all of them against each other;
* all faces of one photo (the sheets of ``portraits``, the photos of ``groups``, the family): as
  all faces of a photo are different people.

Each picture is looked at as it is, and in copies: blurred by a Gaussian of several percent of a
face's width, shrunk until a face has so many pixels, or both. Grain on top of the blur, which looks
like detail, is counted apart: all of these faces are blurred, and sharpness is deceived. Everything
else is the product: its detection, its vectors, its similarity and its rule
(``facelabel.core.quality.Comparable``). ``costs`` counts the faces of untouched files, sharp enough,
that the rule's norm takes away.

The limits of the packs were set with these pictures, so the numbers "after" are those of a
development set.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import re
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs
from PIL import Image, ImageFilter

from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.images import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from facelabel.core.model import Template
    from facelabel.core.quality import Comparable
    from facelabel.engine.models.manifest import Pack

    Vectors = NDArray[np.float32]
    Copies = Sequence[tuple[int, int, int]]

SEED = 20261127
#: (percent of a face's width, pixels a face is shrunk to, standard deviation of the grain); 0: not.
PLAIN = (
    (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0), (6, 0, 0), (8, 0, 0), (12, 0, 0),
    (0, 60, 0), (0, 40, 0), (0, 30, 0), (0, 20, 0),
    (3, 60, 0), (6, 60, 0), (3, 40, 0), (6, 40, 0), (3, 30, 0), (6, 30, 0),
)  # fmt: skip
GRAINY = ((3, 0, 8), (4, 0, 8), (6, 0, 8), (4, 60, 4), (6, 60, 4), (6, 60, 8))
#: Wider faces are shrunk to this first; the embedders see 112 to 150 pixels.
WIDEST = 200
SHARPNESS = (0, 10, 20, 40, 60, 101)
#: Least norm of a pair, in parts of the pack's limit (or of the median, where it has none).
NORMS = (0, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 9)
LEVELS = (80.0, 90.0)


@dataclass(frozen=True, slots=True)
class Found:
    """One face of one picture."""

    #: Pairs are made within a pool, of two people.
    pool: str
    person: str
    #: Blur, pixels and grain of the copy.
    copy: tuple[int, int, int]
    template: Template


@dataclass(frozen=True, slots=True)
class Line:
    """Pairs of two different people."""

    pack: str
    kind: str
    what: str
    pairs: int
    reach_80: int
    reach_90: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Faces of pictures as they are."""

    pack: str
    faces: int
    sharp: int
    #: Sharp ones that the rule's norm takes away.
    refused: int


class Camera:
    """Takes the pictures anew."""

    def __init__(self, engine: Engine) -> None:
        """See with this engine."""
        self._engine = engine
        self._random = np.random.default_rng(SEED)

    def pictures(
        self, file: Path, copies: Copies, least: int = 1
    ) -> Iterator[tuple[tuple[int, int, int], tuple[Template, ...]]]:
        """The faces of each copy of a file with so many, by what was done to it."""
        image, faces = Image.open(file).convert("RGB"), self._engine.analyse(file.read_bytes())
        width = _face_width(image, faces.templates)
        if len(faces.templates) < least:
            return
        first = min(1.0, WIDEST / width)
        image, width = (
            image.resize(_scaled(image.size, first), Image.Resampling.LANCZOS),
            width * first,
        )
        for copy in copies:
            blur, pixels, grain = copy
            scale = min(1.0, (pixels or WIDEST) / width)
            made = image.resize(_scaled(image.size, scale), Image.Resampling.LANCZOS)
            made = made.filter(ImageFilter.GaussianBlur(width * scale * blur / 100))
            yield copy, self._see(self._grainy(made, grain) if grain else made)

    def _see(self, image: Image.Image) -> tuple[Template, ...]:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=92)
        return self._engine.analyse(file.getvalue()).templates

    def _grainy(self, image: Image.Image, deviation: int) -> Image.Image:
        pixels = np.asarray(image, np.float32)
        noise = self._random.standard_normal(pixels.shape, np.float32) * deviation
        return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _face_width(image: Image.Image, faces: Sequence[Template]) -> float:
    widths = [template.face.box.width * image.width for template in faces]
    return float(np.median(widths)) if widths else 0.0


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def portraits(camera: Camera, data: Path, copies: Copies) -> Iterator[Found]:
    """One portrait of each person, whose largest face is meant."""
    files = {_person(file): file
             for folder in ("portraits/gallery", "portraits/strangers", "families")
             for file in sorted((data / folder).iterdir(), reverse=True)
             if file.stem != "identification1"}  # fmt: skip
    for person, file in files.items():
        for copy, faces in camera.pictures(file, copies):
            if faces:
                yield Found("portraits", person, copy, faces[0])


def _person(file: Path) -> str:
    """Official portraits are named by an id, those of families by the person and a number."""
    return re.sub(r"\d$", "", file.stem) if file.parent.name == "families" else file.stem


def photos(camera: Camera, data: Path, copies: Copies) -> Iterator[Found]:
    """All faces of each photo of several people."""
    files = [*sorted((data / "portraits" / "groups").glob("*.jpg")),
             *sorted((data / "groups").glob("*.jpg")),
             data / "families" / "identification1.jpg"]  # fmt: skip
    for file in files:
        for copy, faces in camera.pictures(file, copies, least=2):
            for at, template in enumerate(faces):
                yield Found(f"{file}{copy}", str(at), copy, template)


def untouched(engine: Engine, data: Path) -> list[Template]:
    """Every face of every file."""
    folders = ("portraits/gallery", "portraits/probe", "portraits/strangers", "portraits/groups")
    return [
        template
        for folder in (*folders, "families", "groups")
        for file in sorted((data / folder).glob("*.jpg"))
        for template in engine.analyse(file.read_bytes()).templates
    ]


class Pairs:
    """All pairs of two people in each pool."""

    def __init__(self, pack: Pack, kind: str, found: Iterable[Found]) -> None:
        """Compare everybody with everybody of the pool."""
        self._pack, self._kind = pack, kind
        pools = defaultdict(list)
        for face in found:
            pools[face.pool].append(face)
        parts = [_compared(faces) for faces in pools.values() if len(faces) > 1]
        self._cosine, self._sharpness, self._norms = map(np.concatenate, zip(*parts, strict=True))
        self._limits = {level: 1 - distance**2 / 2 for distance, level in pack.calibration or ()}

    def lines(self, rule: Comparable) -> Iterator[Line]:
        """By sharpness and by norm, and before and after each half of the rule."""
        yield self._line("all", np.full(self._cosine.shape, fill_value=True))
        for low, high in itertools.pairwise(SHARPNESS):
            these = (self._sharpness >= low) & (self._sharpness < high)
            yield self._line(f"sharpness {low} to {high - 1}", these)
        for at, least in enumerate(rule.norms):
            unit = least or float(np.median(self._norms[:, at]))
            for least_part, most in itertools.pairwise(NORMS):
                norms = self._norms[:, at] / unit
                these = (norms >= least_part) & (norms < most)
                what = f"norm {at + 1} {least_part * unit:.1f} to {most * unit:.1f}"
                yield self._line(what, these)
        sharp = self._sharpness >= rule.sharpness
        clear = np.all(self._norms >= np.array(rule.norms), axis=1)
        yield self._line("norm alone", clear)
        yield self._line("sharpness alone", sharp)
        yield self._line("the rule", sharp & clear)

    def _line(self, what: str, these: NDArray[np.bool_]) -> Line:
        cosine = self._cosine[these]
        reached = [int((cosine >= self._limits[level]).sum()) for level in LEVELS]
        return Line(self._pack.name, self._kind, what, int(these.sum()), reached[0], reached[1])


def _compared(faces: Sequence[Found]) -> tuple[Vectors, Vectors, Vectors]:
    """Cosine, the lesser sharpness and the lesser norms of each pair of two people."""
    vectors = np.stack([np.frombuffer(face.template.vector, "<f4") for face in faces])
    sharpness = np.array([face.template.face.sharpness for face in faces], np.float32)
    norms = np.array([face.template.norms for face in faces], np.float32)
    people = np.array([face.person for face in faces])
    one, other = np.nonzero(np.triu(people[:, None] != people[None], k=1))
    return (
        (vectors @ vectors.T)[one, other],
        np.minimum(sharpness[one], sharpness[other]),
        np.minimum(norms[one], norms[other]),
    )


def cost(pack: Pack, faces: Sequence[Template]) -> Cost:
    """How many sharp faces the norm takes away."""
    blurred = replace(pack.comparable, norms=())
    sharp = [face for face in faces if not any(blurred.reasons(face))]
    refused = sum(any(pack.comparable.reasons(face)) for face in sharp)
    return Cost(pack.name, len(faces), len(sharp), refused)


def measure(pack: Pack, data: Path, models: Path) -> tuple[list[Line], Cost]:
    """All pairs of a pack."""
    engine = _engine(pack, data, models)
    camera = Camera(engine)
    kinds = {"one portrait each": portraits, "one photo": photos}
    lines = [
        line
        for copies, how in ((PLAIN, ""), (GRAINY, ", grain"))
        for kind, found in kinds.items()
        for line in Pairs(pack, kind + how, found(camera, data, copies)).lines(pack.comparable)
    ]
    return lines, cost(pack, untouched(engine, data))


def _engine(pack: Pack, data: Path, models: Path) -> Engine:
    store = ModelStore(models)
    if not store.installed(pack):
        own = any(file.yours for file in pack.files)
        store.install(pack, data / "models") if own else store.pull(pack)
    paths = store.paths(pack)
    return Engine(pack, paths.detector, paths.embedders, limits=Limits(), threads=2)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    packs: Mapping[str, Pack] = builtin_packs()
    parser.add_argument("--packs", nargs="+", default=list(packs), choices=list(packs))
    parser.add_argument(
        "--models", type=Path, default=platformdirs.user_cache_path("facelabel") / "models"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured = [measure(packs[name], options.data, options.models) for name in options.packs]
    if options.json:
        print(json.dumps([{"pairs": [asdict(line) for line in lines], "cost": asdict(costs)}
                          for lines, costs in measured], indent=1))  # fmt: skip
        return 0
    for lines, costs in measured:
        for line in lines:
            rates = [f"{count:8,} ({count / line.pairs:.1e})" if line.pairs else f"{count:8}"
                     for count in (line.reach_80, line.reach_90)]  # fmt: skip
            print(f"{line.pack:14}{line.kind:26}{line.what:22}{line.pairs:11,} pairs"
                  f"   80: {rates[0]}   90: {rates[1]}")  # fmt: skip
        print(f"{costs.pack:14}costs: {costs.refused} of {costs.sharp} sharp faces"
              f" ({costs.faces} in all)")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
