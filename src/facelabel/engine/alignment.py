"""Turn faces into chips: upright, same size, the landmarks always in the same place.

Positions are continuous: the top left pixel covers (0, 0) to (1, 1). Complex numbers stand for
points, so that a similarity transform (turn, scale, shift) is ``z -> factor * z + shift``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from facelabel.engine.network import Floats, Pixels

    Points = Sequence[tuple[float, float]] | Floats

#: Pixels around a chip's footprint in the picture that interpolation reaches into.
_SURROUNDINGS = 2


@dataclass(frozen=True, slots=True)
class Similarity:
    """A turn, a scale and a shift of the plane; never a mirror image."""

    factor: complex
    shift: complex

    @classmethod
    def fit(cls, source: Points, target: Points) -> Similarity:
        """Return the transform that brings source points nearest to target points (Umeyama)."""
        start, end = _plane(source), _plane(target)
        centred = start - start.mean()
        spread = float(np.square(np.abs(centred)).sum())
        # Landmarks that all coincide have no direction and no size: leave them as they are.
        factor = complex((centred.conj() * (end - end.mean())).sum() / spread) if spread else 1 + 0j
        return cls(factor, complex(end.mean() - factor * start.mean()))

    @property
    def inverse(self) -> Similarity:
        """The transform that undoes this one."""
        return Similarity(1 / self.factor, -self.shift / self.factor)

    def __call__(self, points: Points) -> npt.NDArray[np.complex128]:
        """Transform points."""
        return self.factor * _plane(points) + self.shift


def _plane(points: Points) -> npt.NDArray[np.complex128]:
    pairs = np.asarray(points, dtype=np.float64)
    return pairs[..., 0] + 1j * pairs[..., 1]


def chips(picture: Image.Image, landmarks: Floats, template: Points, size: int) -> Pixels:
    """Cut (n, size, size, 3) chips out of an RGB picture; black where it has no pixels.

    ``landmarks`` (n, 5, 2) are in pixels of the picture, ``template`` (5, 2) in pixels of a chip.
    """
    cut = [np.asarray(chip(picture, points, template, (size, size))) for points in landmarks]
    return np.stack(cut) if cut else np.empty((0, size, size, 3), np.uint8)


def chip(
    picture: Image.Image,
    landmarks: Points,
    template: Points,
    size: tuple[int, int],
    mode: str = "RGB",
) -> Image.Image:
    """Cut one chip of that width and height out of a picture, in Pillow's mode "RGB" or "L"."""
    to_chip = Similarity.fit(landmarks, template)
    to_picture = to_chip.inverse
    box = _footprint(picture, to_picture, size)
    if box is None:
        return Image.new(mode, size)
    part = _shrunk(picture, box, abs(to_chip.factor)).convert(mode)
    right, down = part.width / (box[2] - box[0]), part.height / (box[3] - box[1])
    turn, shift = to_picture.factor, to_picture.shift - complex(box[0], box[1])
    across = (turn.real * right, -turn.imag * right, shift.real * right)
    along = (turn.imag * down, turn.real * down, shift.imag * down)
    return part.transform(size, Image.Transform.AFFINE, (*across, *along), Image.Resampling.BICUBIC)


def _shrunk(picture: Image.Image, box: tuple[int, int, int, int], factor: float) -> Image.Image:
    """Cut out a box, made smaller if the chip is: one that hits every tenth pixel shows moire."""
    left, top, right, bottom = box
    factor = min(1.0, factor)
    size = max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))
    return picture.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)


def _footprint(
    picture: Image.Image, to_picture: Similarity, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Return the part of the picture that a chip shows (left, top, right, bottom), None if none."""
    width, height = size
    corners = to_picture([(0, 0), (width, 0), (0, height), (width, height)])
    left = max(0, int(corners.real.min()) - _SURROUNDINGS)
    top = max(0, int(corners.imag.min()) - _SURROUNDINGS)
    right = min(picture.width, int(corners.real.max()) + 1 + _SURROUNDINGS)
    bottom = min(picture.height, int(corners.imag.max()) + 1 + _SURROUNDINGS)
    return (left, top, right, bottom) if left < right and top < bottom else None
