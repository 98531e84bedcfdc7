"""How good a face must be: bars, and which one face of a portrait is to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.core.model import Reason
from facelabel.errors import UnusableFace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.core.model import Face, Template

#: The least sharpness of a face that can be told from others. One blurred by a Gaussian of 3 % of
#: its width has 25 at most, portraits 57 and more.
SHARP = 40.0
_WORDS: Mapping[Reason, str] = {
    Reason.EXCEEDS_MAX_FACES: "one of too many",
    Reason.EXTREME_POSE: "turned too far away",
    Reason.LOW_BRIGHTNESS: "too dark",
    Reason.LOW_SHARPNESS: "too blurred",
    Reason.LOW_CONFIDENCE: "hardly a face",
    Reason.SMALL_BOUNDING_BOX: "too small",
    Reason.LOW_FACE_QUALITY: "of too poor quality",
}


@dataclass(frozen=True, slots=True)
class QualityThresholds:
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
        """Yield what a face of a picture of that many pixels, (width, height), lacks."""
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


@dataclass(frozen=True, slots=True)
class Comparable:
    """What a face must be to be compared with faces that nobody enrolled.

    To an embedder all faces that are blurred enough are one person. A searched face may be
    blurred all the same: it is compared with portraits, which are not, and two blurred faces are
    needed to be alike. Whatever takes both sides of a comparison from any picture (groups of
    unknown faces, references out of a crowd, two photos compared) asks here first. What cannot be
    compared is not somebody else: nothing is known about it.
    """

    sharpness: float = SHARP
    #: Of each embedder the least :attr:`~facelabel.core.model.Template.norms`; 0 where it is not
    #: known. Sharpness alone is deceived by grain, which looks like detail and shows no face.
    norms: tuple[float, ...] = ()

    def reasons(self, template: Template) -> Iterator[Reason]:
        """Yield what stands against it; nothing where the face can be compared.

        Of faces stored before norms were, sharpness alone is judged.
        """
        if template.face.sharpness < self.sharpness:
            yield Reason.LOW_SHARPNESS
        # One embedder that sees nobody is enough: its part alone makes two people alike.
        if any(norm < least for norm, least in zip(template.norms, self.norms, strict=False)):
            yield Reason.LOW_FACE_QUALITY


def select_enrolment_face(faces: Sequence[Face], more: int = 0) -> int:
    """Return the place of the one face good enough to learn, all others being too poor.

    A large face that is too poor is not skipped for a smaller good one: the label may mean it.
    Raises UnusableFace with the reason.

    Args:
        faces: largest first, each with the reasons against it.
        more: good faces that are not among these.

    """
    if not faces:
        raise UnusableFace("no face was found")
    if (many := more + sum(not face.reasons for face in faces)) > 1:
        raise UnusableFace(f"{many} faces were found where one is expected")
    clear = (at for at, face in enumerate(faces) if Reason.LOW_CONFIDENCE not in face.reasons)
    largest = next(clear, 0)
    if faces[largest].reasons:
        raise UnusableFace(explain(faces[largest].reasons))
    return largest


def explain(reasons: Sequence[Reason]) -> str:
    """Say it to the owner of the picture."""
    return f"the face is {' and '.join(words(reasons))}"


def words(reasons: Iterable[Reason]) -> list[str]:
    """What is wrong with a face, as people say it: "too blurred"."""
    return [_WORDS[reason] for reason in reasons]
