"""What a transformation costs, told from sizes alone, before anything is done.

The unit is a nanosecond of one processor core; the numbers for a pixel were measured on pictures
of 25 megapixels and rounded. They need not be exact: they keep a short URL from being work for a
minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.cloudinary.steps import Effect, Rotation
from facelabel.errors import Rejected
from facelabel.rendering import effects, geometry
from facelabel.rendering.geometry import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facelabel.cloudinary.steps import Step
    from facelabel.cloudinary.transformations import Transformation
    from facelabel.rendering.geometry import Layout, Size

#: Of one picture: ten seconds.
MOST = 10_000_000_000
#: For each pixel that is read, and made, by resizing; cut out; laid on a canvas.
_READ, _RESAMPLED, _CUT, _LAID = 2, 20, 4, 35
#: Pixels that are read at most for one that is made, the picture being reduced before.
_REDUCTION = 10
_TURNED, _TILTED = 8, 160
_ROUNDED, _FRAMED, _FADED = 12, 45, 12
_PIXELATED, _GREY, _SEPIA = 13, 8, 20
#: A blur as it is, and one of a picture made smaller before and larger again.
_BLURRED, _BLURRED_COARSELY = 75, 30
_ENCODED: Mapping[str, int] = {"jpg": 25, "png": 55, "webp": 120, "gif": 330, "avif": 270}
_QUARTER = 90
_BY_ITSELF = frozenset({Rotation.AUTO_RIGHT, Rotation.AUTO_LEFT})


def price(transformation: Transformation, size: Size) -> int:
    """What a picture of that size takes, faces counting as all of it; Rejected if too much."""
    bill = Bill()
    for step in transformation.steps:
        size = bill.add(step, Subject(size))
    bill.encode(_likely_format(transformation), size)
    return bill.total


def _likely_format(transformation: Transformation) -> str:
    if transformation.format == "auto":
        return next(iter(transformation.accepts), "png")
    return transformation.format or "jpg"


class Bill:
    """Adds up; Rejected as soon as it is too much."""

    def __init__(self) -> None:
        """Nothing so far."""
        #: Nanoseconds.
        self.total = 0

    def add(self, step: Step, subject: Subject) -> Size:
        """Charge a step before it is done; return the size it makes."""
        size, cost = subject.size, 0
        if not _BY_ITSELF.isdisjoint(step.turns) and geometry.is_turned(step, size):
            cost += _TURNED * _pixels(size)
            size = (size[1], size[0])
        if step.resizes:
            layout = geometry.layout(step, Subject(size, subject.faces, subject.custom))
            cost += _laid_out(layout)
            size = layout.canvas
        cost += _effect(step, size, subject) + _finish(step, size)
        for turn in step.turns:
            degrees = 0.0 if isinstance(turn, Rotation) else turn
            size = geometry.turned(size, degrees)
            cost += _pixels(size) * (_TILTED if degrees % _QUARTER else _TURNED)
        self._charge(cost)
        margin = 2 * step.border.width if step.border else 0
        return size[0] + margin, size[1] + margin

    def encode(self, name: str, size: Size) -> None:
        """Charge the file."""
        self._charge(_ENCODED.get(name, _ENCODED["png"]) * _pixels(size))

    def _charge(self, cost: int) -> None:
        self.total += cost
        if self.total > MOST:
            raise Rejected(
                "the transformation takes too much work: ask for a smaller picture, fewer steps,"
                " or another format"
            )


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _laid_out(layout: Layout) -> int:
    read, made = int(layout.part.width * layout.part.height), _pixels(layout.size)
    if (round(layout.part.width), round(layout.part.height)) == layout.size:
        cost = _CUT * made
    else:
        cost = _READ * read + _RESAMPLED * (made + min(read, _REDUCTION * made))
    return cost + (_LAID * _pixels(layout.canvas) if layout.canvas != layout.size else 0)


def _effect(step: Step, size: Size, subject: Subject) -> int:
    """Of faces, each counts where it is; where they are not known, the whole picture."""
    match step.effect:
        case None:
            return 0
        case Effect.PIXELATE_FACES | Effect.BLUR_FACES:
            scale = _pixels(size) / _pixels(subject.size)
            faces = sum(face.width * face.height for face in subject.faces) * max(scale, 1.0)
            weight = _PIXELATED if step.effect is Effect.PIXELATE_FACES else _BLURRED
            return int(_CUT * _pixels(size) + weight * (faces or _pixels(size)))
        case Effect.BLUR:
            is_coarse = effects.is_coarse(effects.blur_radius(step.strength))
            return _pixels(size) * (_BLURRED_COARSELY if is_coarse else _BLURRED)
        case Effect.PIXELATE:
            return _pixels(size) * _PIXELATED
        case Effect.GRAYSCALE:
            return _pixels(size) * _GREY
        case Effect.SEPIA:
            return _pixels(size) * _SEPIA


def _finish(step: Step, size: Size) -> int:
    weights: Iterable[tuple[object, int]] = (
        (step.radius, _ROUNDED),
        (step.border and step.border.width, _FRAMED),
        (step.opacity < 100, _FADED),  # noqa: PLR2004 - per cent
        (step.background, _LAID),
    )
    return _pixels(size) * sum(weight for is_wanted, weight in weights if is_wanted)
