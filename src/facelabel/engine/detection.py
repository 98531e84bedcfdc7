"""Two face detectors: pixels to boxes, five landmarks and scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from facelabel.engine.devices import Device
from facelabel.engine.network import Network

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from facelabel.engine.network import Floats, Pixels

#: Both networks halve their input five times.
_STRIDE = 32
#: Two boxes that overlap by this much (intersection over union) show the same face.
_SAME_FACE = 0.3


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

    def take(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Detections:
        """Return the faces selected by indices or a mask."""
        return Detections(self.boxes[which], self.landmarks[which], self.scores[which])

    def moved(self, shift: float, scale: float) -> Detections:
        """Return the faces with every coordinate c at ``(c + shift) * scale``."""
        return Detections(
            (self.boxes + shift) * scale, (self.landmarks + shift) * scale, self.scores
        )


def merged(parts: list[Detections]) -> Detections:
    """Return all faces of the parts, duplicates included."""
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


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
        return found.take(distinct(found.boxes, found.scores))


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
        found = merged([self._faces(tensor.shape[3] // grid[0], *grid) for grid in grids])
        return found.take(distinct(found.boxes, found.scores))

    def _faces(
        self, columns: int, step: int, face: Floats, object_: Floats, box: Floats, points: Floats
    ) -> Detections:
        scores = np.sqrt(np.clip(face[:, 0], 0, 1) * np.clip(object_[:, 0], 0, 1))
        which = np.flatnonzero(scores > self._score)
        anchor = np.stack([which % columns, which // columns], axis=1).astype(np.float32)
        centre = (anchor + box[which, :2]) * step
        half = np.exp(box[which, 2:]) * step / 2
        landmarks = (anchor[:, None] + points[which].reshape(-1, 5, 2)) * step
        return Detections(np.hstack([centre - half, centre + half]), landmarks, scores[which])


def _tensor(pixels: Pixels) -> Floats:
    """Return the picture as (1, 3, h, w), padded with black to sizes the networks accept."""
    height, width = (math.ceil(side / _STRIDE) * _STRIDE for side in pixels.shape[:2])
    tensor = np.zeros((1, 3, height, width), np.float32)
    tensor[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels.transpose(2, 0, 1)
    return tensor


def distinct(boxes: Floats, rank: Floats) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes no better ranked one stands for, best first.

    A box stands for another where they overlap by :data:`_SAME_FACE`.
    """
    order = np.argsort(-rank, kind="stable")
    left: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        left.append(best)
        order = order[overlap(boxes[best], boxes[order]) < _SAME_FACE]
    return np.array(left, dtype=np.intp)


def overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box (4,) with others (n, 4)."""
    shared = intersection(box, others)
    return shared / (_area(box) + _area(others) - shared)


def intersection(box: Floats, others: Floats) -> Floats:
    """Area that one box (4,) shares with each of others (n, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared: Floats = np.maximum(high - low, 0).prod(axis=1)
    return shared


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    return area
