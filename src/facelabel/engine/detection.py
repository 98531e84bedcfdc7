"""Pixels to faces: two detectors, and the looks at a picture that find faces of every size.

A detector is good at faces of a few dozen to a few hundred pixels, but a portrait's face may be
thousands of pixels wide and a face in a crowd ten. So a picture is looked at small first. While
a look shows small faces, or none, the search steps closer, as far as the smallest face needs; if
the first one shows a face that fills the frame, or none, it steps back; if it shows faces of a
middling size only, the background gets a look. A portrait takes one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from facelabel.engine.devices import Device
from facelabel.engine.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from facelabel.engine.network import Floats, Pixels

#: Both networks halve their input five times.
_STRIDE = 32
#: Two boxes that overlap by this much (intersection over union) show the same face.
_SAME_FACE = 0.3
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


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces in pixels of the picture searched, its top left corner being (0, 0)."""

    #: (n, 4): left, top, right, bottom; may leave the picture.
    boxes: Floats
    #: (n, 5, 2): (x, y) of left eye, right eye, nose, left and right mouth corner.
    landmarks: Floats
    #: (n,), 0..1.
    scores: Floats

    def __len__(self) -> int:
        """How many faces."""
        return len(self.scores)

    @property
    def sides(self) -> Floats:
        """(n,): geometric mean of width and height."""
        size = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 0)
        sides: Floats = np.sqrt(size.prod(axis=1))
        return sides

    def moved(self, shift: float, scale: float) -> Detections:
        """Return the faces with every coordinate c at ``(c + shift) * scale``."""
        return Detections(
            (self.boxes + shift) * scale, (self.landmarks + shift) * scale, self.scores
        )


def distinct(parts: Sequence[Detections], ranks: Sequence[Floats]) -> Detections:
    """Return all faces of the parts, each once, the best ranked first.

    ``ranks``: of each part (n,), a number for each face, the higher the better. A face stands for
    those ranked lower whose boxes overlap with its own by :data:`_SAME_FACE`.
    """
    boxes = np.concatenate([part.boxes for part in parts])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.argsort(-np.concatenate(ranks), kind="stable")
    left: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        left.append(best)
        shared = intersection(boxes[best], boxes[order])
        union = areas[best] + areas[order] - shared
        order = order[shared / union < _SAME_FACE]
    which = np.array(left, dtype=np.intp)
    landmarks, scores = [part.landmarks for part in parts], [part.scores for part in parts]
    return Detections(boxes[which], np.concatenate(landmarks)[which], np.concatenate(scores)[which])


def intersection(box: Floats, others: Floats) -> Floats:
    """Area that one box (4,) shares with each of others (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared: Floats = np.maximum(high - low, 0).prod(axis=1)
    return shared


class Detector(Protocol):
    """Finds the faces that are about 10 to 300 pixels wide."""

    @property
    def exact(self) -> float:
        """Pixels of the largest face on which the landmarks are where they should be."""

    def detect(self, pixels: Pixels) -> Detections:
        """Find faces in an (h, w, 3) RGB picture, the best score first, each once."""


class CenterFace:
    """CenterFace: every fourth pixel says whether a face's centre is there, and how large it is."""

    exact = 200.0
    _STEP = 4

    def __init__(
        self, model: Path, *, score: float, threads: int, device: Device = Device.CPU
    ) -> None:
        """Take the converted model (any size) and the lowest score of a face, 0..1."""
        self._network = Network(model, threads=threads, device=device)
        self._score = score

    def detect(self, pixels: Pixels) -> Detections:
        """Find faces in an (h, w, 3) RGB picture, the best score first, each once."""
        heat, scale, offset, points = (out[0] for out in self._network.run(_tensor(pixels)))
        rows, columns = np.nonzero(heat[0] > self._score)
        at = np.stack([rows, columns], axis=1)
        size = np.exp(scale[:, rows, columns].T) * self._STEP
        corner = (at + offset[:, rows, columns].T + 0.5) * self._STEP - size / 2
        landmarks = points[:, rows, columns].T.reshape(-1, 5, 2) * size[:, None] + corner[:, None]
        boxes = np.hstack([corner[:, ::-1], (corner + size)[:, ::-1]])
        found = Detections(
            boxes.astype(np.float32),
            landmarks[:, :, ::-1].astype(np.float32),
            heat[0][rows, columns],
        )
        return distinct([found], [found.scores])


class YuNet:
    """YuNet: three grids of anchors, each anchor with class and objectness scores."""

    exact = 280.0
    _STEPS = (8, 16, 32)

    def __init__(
        self, model: Path, *, score: float, threads: int, device: Device = Device.CPU
    ) -> None:
        """Take the converted model (any size) and the lowest score of a face, 0..1."""
        self._network = Network(model, threads=threads, device=device)
        self._score = score

    def detect(self, pixels: Pixels) -> Detections:
        """Find faces in an (h, w, 3) RGB picture, the best score first, each once."""
        tensor = _tensor(pixels[:, :, ::-1])
        outputs = [out[0] for out in self._network.run(tensor)]
        # The outputs come as class, objectness, boxes, landmarks, each for the three grids.
        grids = zip(self._STEPS, outputs[:3], outputs[3:6], outputs[6:9], outputs[9:], strict=True)
        found = []
        for step, face, object_, box, points in grids:
            scores = np.sqrt(np.clip(face[:, 0], 0, 1) * np.clip(object_[:, 0], 0, 1))
            which = np.flatnonzero(scores > self._score)
            columns = tensor.shape[3] // step
            anchor = np.stack([which % columns, which // columns], axis=1).astype(np.float32)
            centre = (anchor + box[which, :2]) * step
            half = np.exp(box[which, 2:]) * step / 2
            landmarks = (anchor[:, None] + points[which].reshape(-1, 5, 2)) * step
            boxes = np.hstack([centre - half, centre + half])
            found.append(Detections(boxes, landmarks, scores[which]))
        return distinct(found, [part.scores for part in found])


def _tensor(pixels: Pixels) -> Floats:
    """Return the picture as (1, 3, h, w), padded with black to sizes the networks accept."""
    height, width = (math.ceil(side / _STRIDE) * _STRIDE for side in pixels.shape[:2])
    tensor = np.zeros((1, 3, height, width), np.float32)
    tensor[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels.transpose(2, 0, 1)
    return tensor


# ---- faces of every size


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
        background = min(_BACKGROUND, max(picture.size))
        # Else the first look missed nothing of it.
        side = background if background > _STEP * _FIRST.side else None
    while side:
        passes.append(_passed(detector, picture, _DetectionPass(side)))
        side = _closer(passes[-1], picture)
    return _each_once(passes, detector.exact)


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


def _each_once(passes: list[_PassResult], exact: float) -> Detections:
    """Keep each face as the look saw it in which its size was the most comfortable."""
    low, high = np.log2((_EXACT, exact))
    ranks = []
    for look in passes:
        power = np.log2(np.maximum(look.sizes, 1))
        # How many times too small or too large, as a power of two; 0 for a comfortable size.
        discomfort = np.maximum(0, np.maximum(low - power, power - high))
        ranks.append(look.faces.scores - discomfort)
    faces = distinct([look.faces for look in passes], ranks)
    sides = faces.sides
    order = np.argsort(-sides, kind="stable")
    boxes, area = faces.boxes[order], sides[order] ** 2
    # What lies in a larger one is an eye or a mouth taken for a face.
    parts = [
        bool((intersection(box, boxes[:index]) > _INSIDE * area[index]).any())
        for index, box in enumerate(boxes)
    ]
    whole = order[~np.array(parts, dtype=np.bool_)]
    return Detections(faces.boxes[whole], faces.landmarks[whole], faces.scores[whole])
