"""Images as Amazon takes them: a whole photo, and crops of its faces.

And which faces are worth a search, and which one of a portrait is to be learnt. Amazon filters by
quality only in calls that are paid for; DetectFaces tells the measures alone. These bars judge by
them. Amazon does not publish its own, so what passes here may still be left out there, with
Amazon's reason.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from facelabel.core import quality
from facelabel.core.model import Box
from facelabel.core.quality import QualityThresholds
from facelabel.errors import UnreadableImage
from facelabel.images import decoding
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Face
    from facelabel.images import Limits

MAX_BYTES = 5 << 20
#: Pixels of the longer side, more than which shows no more faces.
MAX_SIDE = 4096
#: Amazon refuses images that have less on a side.
MIN_SIDE = 80
#: Crops are enlarged to this: faces of 40 pixels are the least that is found.
MIN_CROP_SIDE = 160
#: Crops of less show no face that could be recognised.
_MIN_PIXELS = 16
_QUALITY, _SMALLER = 95, 0.75
#: Part of both boxes together that they share at least if they are of one face.
_SAME_FACE = 0.3
_LOW = QualityThresholds(confidence=50, sharpness=2, brightness=5, side=20, yaw=75, pitch=60)
SEARCHED: Mapping[QualityFilter, QualityThresholds] = {
    QualityFilter.NONE: QualityThresholds(),
    QualityFilter.AUTO: _LOW,
    QualityFilter.LOW: _LOW,
    QualityFilter.MEDIUM: QualityThresholds(
        confidence=70, sharpness=10, brightness=15, side=30, yaw=60, pitch=45
    ),
    QualityFilter.HIGH: QualityThresholds(
        confidence=90, sharpness=40, brightness=30, side=50, yaw=45, pitch=40
    ),
}
#: For learning: as the engine of our own asks for, blur apart, which Amazon measures its own way.
_LEARNT = QualityThresholds(confidence=70, sharpness=5, brightness=15, side=30, yaw=45, pitch=40)


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a photo as a JPEG."""

    data: bytes
    #: Where it lies in the photo.
    area: Box

    def shows(self, found: Box, face: Box) -> bool:
        """Whether a box found in the crop is around this face of the photo."""
        return is_same(_within(found, self.area), face)


class Photo:
    """An upright photo; threads may share it."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Decode any format that is read; UnreadableImage."""
        self._image, _ = decoding.decode(data, limits, max_side=MAX_SIDE)
        if min(self._image.size) * MAX_SIDE < max(self._image.size) * MIN_SIDE:
            width, height = self._image.size
            raise UnreadableImage(f"{width} x {height} pixels are too narrow for a face")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._image.size

    @cached_property
    def jpeg(self) -> bytes:
        """The whole photo within Amazon's limits, without its metadata."""
        return _jpeg(_enlarged(self._image, MIN_SIDE))

    def crop(self, face: Box, padding: float) -> Crop | None:
        """The surroundings of a face, ``padding`` of its size on each side; None: too small."""
        left, top, right, bottom = _pixels(face, padding, self._image.size)
        if min(right - left, bottom - top) < _MIN_PIXELS:
            return None
        part = self._image.crop((left, top, right, bottom))
        width, height = self._image.size
        area = Box(left / width, top / height, part.width / width, part.height / height)
        return Crop(_jpeg(_enlarged(part, MIN_CROP_SIDE)), area)


def is_same(one: Box, other: Box) -> bool:
    """Whether two boxes are around one face."""
    return _overlap(one, other) >= _SAME_FACE


def _overlap(one: Box, other: Box) -> float:
    """The part of two boxes together that belongs to both, 0..1."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    together = one.width * one.height + other.width * other.height - shared
    return shared / together if together > 0 else 0.0


def _within(found: Box, area: Box) -> Box:
    """A box that is a ratio of the area, as one of the photo."""
    return Box(
        area.left + found.left * area.width,
        area.top + found.top * area.height,
        found.width * area.width,
        found.height * area.height,
    )


def _pixels(face: Box, padding: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the padded box, cut off where the photo ends."""
    width, height = size
    left, top = face.left - padding * face.width, face.top - padding * face.height
    right, bottom = left + (1 + 2 * padding) * face.width, top + (1 + 2 * padding) * face.height
    return (
        max(0, round(left * width)),
        max(0, round(top * height)),
        min(width, round(right * width)),
        min(height, round(bottom * height)),
    )


def _enlarged(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    return _scaled(image, scale) if scale > 1 else image


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    size = (math.ceil(image.width * scale), math.ceil(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    """Encode, smaller where it would be over the limit."""
    while True:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=_QUALITY)
        if out.tell() <= MAX_BYTES:
            return out.getvalue()
        image = _scaled(image, _SMALLER)


def judged(face: Face, size: tuple[int, int], chosen: QualityFilter) -> Face:
    """The face with the reasons not to search for it, if any."""
    return replace(face, reasons=tuple(SEARCHED[chosen].reasons(face, size)))


def usable(faces: Sequence[Face], size: tuple[int, int]) -> Face:
    """Return the one face good enough to learn; UnusableFace.

    Faces that came with reasons, as our own detector gives them, are not judged again.
    """
    largest_first = sorted(faces, key=lambda face: -face.box.width * face.box.height)
    measured = [
        replace(face, reasons=face.reasons or tuple(_LEARNT.reasons(face, size)))
        for face in largest_first
    ]
    return measured[quality.select_enrolment_face(measured)]
