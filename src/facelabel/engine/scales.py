"""Search a picture for faces of every size.

A detector is good at faces of a few dozen to a few hundred pixels, but a portrait's face may be
thousands of pixels wide and a face in a crowd ten. So a picture is looked at small first. While
a look shows small faces, or none, the search steps closer, as far as the smallest face needs; if
the first one shows a face that fills the frame, or none, it steps back; if it shows faces of a
middling size only, the background gets a look. A portrait takes one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facelabel.engine.detection import Detections, distinct, intersection, merged

if TYPE_CHECKING:
    import numpy.typing as npt

    from facelabel.engine.detection import Detector
    from facelabel.engine.network import Floats

#: Pixels of a face, as the detector sees it, from which on its landmarks are exact; how far up
#: they are is the detector's own.
_EXACT = 40.0
#: A smaller face is looked at more closely; there may be others, smaller still.
_SMALL = 24.0
#: Where the first look shows no face smaller than this, a quarter of the picture, it is a
#: portrait; else people in the background may be too small to be seen from here.
_PORTRAIT = 104.0
#: The look at the background. Faces of 25 pixels in it are found.
_BACKGROUND = 1280.0
#: How large the smallest face becomes by stepping closer; where the picture has not the pixels
#: for it, the second number, well above the one that would ask for another step.
_AIM, _ENOUGH = 60.0, 32.0
#: A look that is not this much closer than the one before shows nothing new.
_STEP = 1.5
#: Pixels of the closest look. Faces 20 pixels wide are found in it; CenterFace needs 300 bytes for
#: each pixel, and this keeps the process under 700 MB.
_CLOSEST = 1_750_000
#: A picture is not enlarged more than this: that shows no more faces.
_ENLARGED = 2.0
#: A smaller box shares this much of its area with the face it is a part or a shadow of.
_INSIDE = 0.7


@dataclass(frozen=True, slots=True)
class _DetectionPass:
    """How large the detector sees the picture, in pixels."""

    #: The longer side of the picture itself.
    side: float
    #: Black around it: a face cut off by the frame is found as one in the open.
    margin: int = 0


_FIRST = _DetectionPass(416, margin=32)
_COARSE = _DetectionPass(160, margin=80)


def find_faces(detector: Detector, picture: Image.Image) -> Detections:
    """Return each face of an RGB picture once, the largest first."""
    passes = [_passed(detector, picture, _FIRST)]
    if passes[0].largest > detector.exact or not passes[0].largest:
        passes.append(_passed(detector, picture, _COARSE))
    side = _closer(passes[0], picture)
    if not side and passes[0].smallest < _PORTRAIT:
        side = _background(picture)
    while side:
        passes.append(_passed(detector, picture, _DetectionPass(side)))
        side = _closer(passes[-1], picture)
    return _merged(passes, detector.exact)


@dataclass(frozen=True, slots=True)
class _PassResult:
    """What one look found, in pixels of the picture."""

    faces: Detections
    #: How many pixels of the look one pixel of the picture made.
    scale: float
    #: How large the detector saw each face, in pixels; and the smallest and the largest, 0 without
    #: faces.
    sizes: Floats
    smallest: float
    largest: float


def _passed(detector: Detector, picture: Image.Image, look: _DetectionPass) -> _PassResult:
    scale = look.side / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    # The gap lets Pillow halve a large picture roughly before it resamples it well.
    small = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    margin = ((look.margin, look.margin), (look.margin, look.margin), (0, 0))
    faces = detector.detect(np.pad(np.asarray(small), margin)).moved(-look.margin, 1 / scale)
    sizes = faces.sides * np.float32(scale)
    smallest = float(sizes.min()) if len(sizes) else 0.0
    return _PassResult(faces, scale, sizes, smallest, float(sizes.max(initial=0)))


def _closer(seen: _PassResult, picture: Image.Image) -> float | None:
    """Return the side of the next look; None if this one shows nothing small or was the closest."""
    enlarged = min(_ENLARGED, math.sqrt(_CLOSEST / (picture.width * picture.height)))
    closest = enlarged * max(picture.size)
    side = seen.scale * max(picture.size)
    smallest = max(seen.smallest, 1.0)
    if smallest >= _SMALL or side >= closest:
        return None
    # Enlarging a picture adds no detail, so it is done as far as it must be.
    aim = max(min(side * _AIM / smallest, max(picture.size)), side * _ENOUGH / smallest)
    return min(closest, max(side * _STEP, aim))


def _background(picture: Image.Image) -> float | None:
    """Return the side of the look at the background; None if the first one missed nothing."""
    side = min(_BACKGROUND, max(picture.size))
    return side if side > _STEP * _FIRST.side else None


def _merged(passes: list[_PassResult], exact: float) -> Detections:
    """Keep each face as the look saw it in which its size was the most comfortable."""
    faces = merged([look.faces for look in passes])
    low, high = np.log2((_EXACT, exact))
    power = np.log2(np.maximum(np.concatenate([look.sizes for look in passes]), 1))
    # How many times too small or too large, as a power of two; 0 for a comfortable size.
    discomfort = np.maximum(0, np.maximum(low - power, power - high))
    faces = faces.take(distinct(faces.boxes, faces.scores - discomfort))
    faces = faces.take(np.argsort(-faces.sides, kind="stable"))
    return faces.take(~_parts(faces))


def _parts(faces: Detections) -> npt.NDArray[np.bool_]:
    """Which faces, largest first, lie in a larger one: an eye or a mouth taken for a face."""
    area = faces.sides**2
    parts = [
        bool((intersection(box, faces.boxes[:index]) > _INSIDE * area[index]).any())
        for index, box in enumerate(faces.boxes)
    ]
    return np.array(parts, dtype=np.bool_)
