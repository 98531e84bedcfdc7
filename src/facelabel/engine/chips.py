"""Faces cut out of a picture: upright chips, what is measured on them, and their vectors.

Chips have the same size, and the landmarks always in the same place. Positions are continuous: the
top left pixel covers (0, 0) to (1, 1). Complex numbers stand for points, so that a similarity
transform (turn, scale, shift) is ``z -> factor * z + shift``.

What makes a face too poor to enrol was set on 266 portraits, all of which pass, and on copies of
them blurred, darkened and shrunk until they could not serve any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facelabel.core.model import Box, Face, Pose
from facelabel.core.quality import SHARP, QualityThresholds
from facelabel.engine.devices import Device
from facelabel.engine.models.manifest import ARCFACE_TEMPLATE
from facelabel.engine.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from facelabel.engine.detection import Detections
    from facelabel.engine.models import manifest
    from facelabel.engine.network import Floats, Pixels

    Points = Sequence[tuple[float, float]] | Floats

#: Makes complex numbers of (x, y).
_AXES = np.array([1, 1j])
#: Pixels around a chip's footprint in the picture that interpolation reaches into.
_SURROUNDINGS = 2
GOOD = QualityThresholds(
    # Whole faces in the open score 85 and more; covered or cut-off ones less.
    confidence=70,
    sharpness=SHARP,
    # A fifth of the light leaves every portrait under this; the darkest skin in full light has 27.
    brightness=15,
    # In the original: smaller faces are enlarged fourfold and more.
    side=30,
    # Beyond, an eye or the chin disappears.
    yaw=45,
    pitch=40,
)

#: Width and height of the part of a chip with nothing but face in it, and where its landmarks are.
#: One kind of chip whatever the pack, so that the numbers mean the same for every model.
_INNER = (72, 80)
_TEMPLATE = np.array(ARCFACE_TEMPLATE, np.float32) - np.array([20, 24], np.float32)
#: Share of fine detail in all contrast at which a face counts as half sharp.
_HALF_SHARP = 0.05
#: The landmarks of a head seen from the front, in chip pixels: x right and y down from between
#: the eyes, z towards the viewer. Mean of what both detectors see on 400 portraits; the tip of
#: the nose stands 27 mm before the eyes, the corners of the mouth 2 mm.
_HEAD = np.array(
    [(-19.0, 0.0, 0.0), (19.0, 0.0, 0.0), (0.0, 21.0, 15.0), (-16.5, 37.0, 1.0), (16.5, 37.0, 1.0)]
)
_FROM_HEAD = np.linalg.pinv(_HEAD - _HEAD.mean(axis=0))


@dataclass(frozen=True, slots=True)
class Similarity:
    """A turn, a scale and a shift of the plane; never a mirror image."""

    factor: complex
    shift: complex

    @classmethod
    def fit(cls, source: Points, target: Points) -> Similarity:
        """Return the transform that brings source points nearest to target points (Umeyama)."""
        start, end = (np.asarray(points, np.float64) @ _AXES for points in (source, target))
        centred = start - start.mean()
        spread = float(np.square(np.abs(centred)).sum())
        # Landmarks that all coincide have no direction and no size: leave them as they are.
        factor = complex((centred.conj() * (end - end.mean())).sum() / spread) if spread else 1 + 0j
        return cls(factor, complex(end.mean() - factor * start.mean()))

    def __call__(self, points: Points) -> npt.NDArray[np.complex128]:
        """Return points (n, 2) transformed, as complex numbers (n,)."""
        plane: npt.NDArray[np.complex128] = np.asarray(points, np.float64) @ _AXES
        return self.factor * plane + self.shift


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
    to_picture = Similarity(1 / to_chip.factor, -to_chip.shift / to_chip.factor)
    box = _footprint(picture, to_picture, size)
    if box is None:
        return Image.new(mode, size)
    # Smaller if the chip is: one that hits every tenth pixel shows moire.
    factor = min(1.0, abs(to_chip.factor))
    reduced = max(1, round((box[2] - box[0]) * factor)), max(1, round((box[3] - box[1]) * factor))
    part = picture.resize(reduced, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    part = part.convert(mode)
    right, down = part.width / (box[2] - box[0]), part.height / (box[3] - box[1])
    turn, shift = to_picture.factor, to_picture.shift - complex(box[0], box[1])
    across = (turn.real * right, -turn.imag * right, shift.real * right)
    along = (turn.imag * down, turn.real * down, shift.imag * down)
    return part.transform(size, Image.Transform.AFFINE, (*across, *along), Image.Resampling.BICUBIC)


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


# ---- how good a face is


def measured(picture: Image.Image, size: tuple[int, int], found: Detections) -> list[Face]:
    """Return the faces found in an RGB picture, in the same order.

    ``size``: pixels of the original, as the picture may have been reduced.
    """
    boxes = (found.boxes.reshape(-1, 2, 2) / picture.size).tolist()
    ratios = (found.landmarks / picture.size).tolist()
    faces = []
    for at, ((left, top), (right, bottom)) in enumerate(boxes):
        inner = chip(picture, found.landmarks[at], _TEMPLATE, _INNER, "L")
        light = np.asarray(inner, np.float32)
        face = Face(
            box=Box(left, top, right - left, bottom - top),
            landmarks=tuple((x, y) for x, y in ratios[at]),
            confidence=100 * min(1.0, float(found.scores[at])),
            sharpness=sharpness(light),
            brightness=float(light.mean()) / 2.55,
            pose=pose(found.landmarks[at]),
        )
        reasons = GOOD.reasons(face, size)
        faces.append(replace(face, reasons=tuple(reasons)))
    return faces


def sharpness(light: Floats) -> float:
    """Return 0..100 for the luma (h, w) of a face: how much of its contrast is fine detail.

    Measured against the face's own contrast, so that soft light is not taken for blur.
    """
    inner = light[1:-1, 1:-1]
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    # One grey level of contrast is the least that is no rounding.
    detail = float((4 * inner - around).var()) / max(1.0, float(light.var()))
    return 100 * detail / (detail + _HALF_SHARP)


def pose(landmarks: Floats) -> Pose:
    """Return where a head with these landmarks (5, 2) points.

    The head of an average person is turned until its landmarks, seen from afar, lie on these.
    """
    across, down = (landmarks - landmarks.mean(axis=0)).T.astype(np.float64) @ _FROM_HEAD.T
    across, down = (axis / max(float(np.linalg.norm(axis)), 1e-9) for axis in (across, down))
    towards = float(np.cross(across, down)[2])
    return Pose(
        yaw=math.degrees(math.atan2(across[2], towards)),
        pitch=math.degrees(math.atan2(-down[2], math.hypot(across[2], towards))),
        roll=math.degrees(math.atan2(down[0], across[0])),
    )


# ---- chips to unit vectors


class Embeddings:
    """The embedders of a pack, whose vectors are put together."""

    def __init__(
        self,
        models: Sequence[Path],
        pack: manifest.Pack,
        *,
        threads: int,
        device: Device = Device.CPU,
    ) -> None:
        """Take the converted models, in the order of the pack."""
        total = sum(recipe.weight for recipe in pack.embedders)
        self._parts = [
            (
                recipe,
                Embedding(model, recipe, threads=threads, device=device),
                math.sqrt(recipe.weight / total),
            )
            for model, recipe in zip(models, pack.embedders, strict=True)
        ]

    def embed(self, picture: Image.Image, landmarks: Floats) -> tuple[Floats, Floats]:
        """Embed the faces with these landmarks (n, 5, 2).

        Returns:
            Unit vectors (n, dimensions), and how long those of each embedder were before they
            were scaled to one, (n, embedders). Each embedder has a scale of its own, and half of
            a vector that says nothing is enough to make two people alike: so the lengths are not
            put together.

        """
        vectors, norms = [], []
        for recipe, embedding, factor in self._parts:
            raw = embedding.embed(chips(picture, landmarks, recipe.template, recipe.size))
            norms.append(np.linalg.norm(raw, axis=1, keepdims=True))
            # A vector of zeros, which no face gives, stays one.
            vectors.append(factor * raw / np.maximum(norms[-1], np.finfo(np.float32).tiny))
        return np.concatenate(vectors, axis=1), np.concatenate(norms, axis=1)


class Embedding:
    """A face recognition network, used as its pack's manifest says."""

    def __init__(
        self,
        model: Path,
        recipe: manifest.Embedder,
        *,
        threads: int,
        device: Device = Device.CPU,
    ) -> None:
        """Take the converted model, whose batch dimension is free."""
        shape = (None, 3, recipe.size, recipe.size)
        self._network = Network(model, threads=threads, device=device, expects=shape)
        self._batch = device.batch
        self._mean = np.array(recipe.mean, np.float32)
        self._scale = np.float32(recipe.scale)
        self._channels = slice(None) if recipe.order == "RGB" else slice(None, None, -1)
        self._dimensions = recipe.dimensions
        self._views = recipe.views

    def embed(self, chips: Pixels) -> Floats:
        """Return the vectors (n, dimensions), of any length, of RGB chips (n, size, size, 3).

        With two views each is the mean of the face and its mirror image: what the two sides of a
        face have in common is the person, the rest is light and pose. The mean, not the sum, so
        that lengths say the same with one view and with two.
        """
        if not len(chips):
            return np.empty((0, self._dimensions), np.float32)
        views = (chips, chips[:, :, ::-1])[: self._views]
        all_ = np.stack(views, axis=1).reshape(-1, *chips.shape[1:])
        raw = []
        for start in range(0, len(all_), self._batch):
            some = all_[start : start + self._batch, ..., self._channels].astype(np.float32)
            scaled = (some - self._mean) / self._scale
            tensor = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
            raw.append(self._network.run(tensor)[0].reshape(len(some), -1))
        mean: Floats = np.concatenate(raw).reshape(len(chips), self._views, -1).mean(axis=1)
        return mean
