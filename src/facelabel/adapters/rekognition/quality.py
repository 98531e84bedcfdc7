"""Which faces are worth a search, and which one of a portrait is to be learnt.

Amazon filters by quality only in calls that are paid for; DetectFaces tells the measures alone.
These bars judge by them. Amazon does not publish its own, so what passes here may still be left
out there, with Amazon's reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.errors import UnusableFace
from facelabel.gallery import QualityFilter
from facelabel.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from facelabel.model import Face

_WORDS = {
    Reason.EXCEEDS_MAX_FACES: "one of too many",
    Reason.EXTREME_POSE: "turned too far away",
    Reason.LOW_BRIGHTNESS: "too dark",
    Reason.LOW_SHARPNESS: "too blurred",
    Reason.LOW_CONFIDENCE: "hardly a face",
    Reason.SMALL_BOUNDING_BOX: "too small",
    Reason.LOW_FACE_QUALITY: "of too poor quality",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """The least that a face must have."""

    confidence: float = 0.0
    sharpness: float = 0.0
    brightness: float = 0.0
    #: Pixels of the shorter side of the box.
    side: float = 0.0
    #: Degrees by which the head may be turned or nod.
    yaw: float = 180.0
    pitch: float = 180.0

    def reasons(self, face: Face, size: tuple[int, int]) -> Iterator[Reason]:
        """Yield what a face of a photo of that many pixels lacks."""
        if face.confidence < self.confidence:
            yield Reason.LOW_CONFIDENCE
        if min(face.box.width * size[0], face.box.height * size[1]) < self.side:
            yield Reason.SMALL_BOUNDING_BOX
        if face.sharpness < self.sharpness:
            yield Reason.LOW_SHARPNESS
        if face.brightness < self.brightness:
            yield Reason.LOW_BRIGHTNESS
        if abs(face.pose.yaw) > self.yaw or abs(face.pose.pitch) > self.pitch:
            yield Reason.EXTREME_POSE


_LOW = Bar(confidence=50, sharpness=2, brightness=5, side=20, yaw=75, pitch=60)
SEARCHED: Mapping[QualityFilter, Bar] = {
    QualityFilter.NONE: Bar(),
    QualityFilter.AUTO: _LOW,
    QualityFilter.LOW: _LOW,
    QualityFilter.MEDIUM: Bar(
        confidence=70, sharpness=10, brightness=15, side=30, yaw=60, pitch=45
    ),
    QualityFilter.HIGH: Bar(confidence=90, sharpness=40, brightness=30, side=50, yaw=45, pitch=40),
}
#: For learning: as the engine of our own asks for, blur apart, which Amazon measures its own way.
_LEARNT = Bar(confidence=70, sharpness=5, brightness=15, side=30, yaw=45, pitch=40)


def judged(face: Face, size: tuple[int, int], quality: QualityFilter) -> Face:
    """The face with the reasons not to search for it, if any."""
    return replace(face, reasons=tuple(SEARCHED[quality].reasons(face, size)))


def usable(faces: Sequence[Face], size: tuple[int, int]) -> Face:
    """Return the one face good enough to learn, others being too poor; UnusableFace.

    A large face that is too poor is not skipped for a smaller good one: the label may mean it.
    Faces that came with reasons, as our own detector gives them, are not judged again.
    """
    if not faces:
        raise UnusableFace("no face was found")
    measured = [
        replace(face, reasons=face.reasons or tuple(_LEARNT.reasons(face, size))) for face in faces
    ]
    if (many := sum(not face.reasons for face in measured)) > 1:
        raise UnusableFace(f"{many} faces were found where one is expected")
    clear = [face for face in measured if Reason.LOW_CONFIDENCE not in face.reasons]
    largest = max(clear or measured, key=lambda face: face.box.width * face.box.height)
    if largest.reasons:
        raise UnusableFace(why(largest.reasons))
    return largest


def why(reasons: Sequence[Reason]) -> str:
    """Say it to the owner of the photo."""
    words = " and ".join(_WORDS[reason] for reason in reasons)
    return f"the face is {words} ({', '.join(reasons)})"
