"""How good a face is: sharpness, brightness, pose, and what makes it too poor to enrol.

The limits were set on 266 portraits, all of which pass, and on copies of them blurred, darkened
and shrunk until they could not serve any more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from facelabel.core.model import Box, Face, Pose
from facelabel.core.quality import SHARP, QualityThresholds
from facelabel.engine.alignment import chip
from facelabel.engine.models.manifest import ARCFACE_TEMPLATE

if TYPE_CHECKING:
    from facelabel.engine.detection import Detections
    from facelabel.engine.network import Floats
    from facelabel.engine.pixels import Picture

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


def measured(picture: Picture, found: Detections) -> list[Face]:
    """Return the faces found in ``picture.image``, in the same order."""
    boxes = (found.boxes.reshape(-1, 2, 2) / picture.image.size).tolist()
    ratios = (found.landmarks / picture.image.size).tolist()
    faces = []
    for at, ((left, top), (right, bottom)) in enumerate(boxes):
        inner = chip(picture.image, found.landmarks[at], _TEMPLATE, _INNER, "L")
        light = np.asarray(inner, np.float32)
        face = Face(
            box=Box(left, top, right - left, bottom - top),
            landmarks=tuple((x, y) for x, y in ratios[at]),
            confidence=100 * min(1.0, float(found.scores[at])),
            sharpness=sharpness(light),
            brightness=float(light.mean()) / 2.55,
            pose=pose(found.landmarks[at]),
        )
        reasons = GOOD.reasons(face, (picture.width, picture.height))
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
