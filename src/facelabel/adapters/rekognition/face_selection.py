"""Which faces are worth a search, and which one of a portrait is to be learnt.

Amazon filters by quality only in calls that are paid for; DetectFaces tells the measures alone.
These bars judge by them. Amazon does not publish its own, so what passes here may still be left
out there, with Amazon's reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.core import quality
from facelabel.core.quality import QualityThresholds
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Face

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
