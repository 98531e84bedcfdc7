"""Amazon's JSON read as our words.

What an answer does not tell of a face, as searches leave out most of it, is 0 or empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from facelabel.core.model import Box, EnrolledFace, Face, Hit, Pose, Reason
from facelabel.rekognition.external_ids import decode, hash_of
from facelabel.rekognition.types import LANDMARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Raw: TypeAlias = Mapping[str, Any]

#: Not a fault: a search looks at the largest face only.
_NOT_LARGEST = "FACE_NOT_LARGEST"
_REASONS = frozenset(Reason)


def box(raw: Raw) -> Box:
    """Read a BoundingBox."""
    left, top, width, height = (float(raw[key]) for key in ("Left", "Top", "Width", "Height"))
    return Box(left, top, width, height)


def face(detail: Raw, reasons: Iterable[str] = ()) -> Face:
    """Read a FaceDetail, with the reasons it was left out for; unknown ones are poor quality."""
    quality, pose = detail.get("Quality") or {}, detail.get("Pose") or {}
    return Face(
        box=box(detail["BoundingBox"]),
        landmarks=_landmarks(detail.get("Landmarks") or ()),
        confidence=float(detail.get("Confidence", 0.0)),
        sharpness=float(quality.get("Sharpness", 0.0)),
        brightness=float(quality.get("Brightness", 0.0)),
        pose=Pose(*(float(pose.get(axis, 0.0)) for axis in ("Yaw", "Pitch", "Roll"))),
        reasons=tuple(_reason(told) for told in reasons if told != _NOT_LARGEST),
    )


def _reason(told: str) -> Reason:
    return Reason(told) if told in _REASONS else Reason.LOW_FACE_QUALITY


def _landmarks(told: Sequence[Raw]) -> tuple[tuple[float, float], ...]:
    places = {mark.get("Type"): (float(mark["X"]), float(mark["Y"])) for mark in told}
    found = tuple(places[kind] for kind in LANDMARKS if kind in places)
    return found if len(found) == len(LANDMARKS) else ()


def enrolled(record: Raw) -> EnrolledFace | None:
    """Read a Face of a collection; None: it was indexed without saying whose it is."""
    external_id = record.get("ExternalImageId")
    if not external_id:
        return None
    return EnrolledFace(record["FaceId"], decode(external_id), asset_hash=hash_of(external_id))


def hits(matches: Iterable[Raw]) -> tuple[Hit, ...]:
    """Read FaceMatches, leaving out faces of nobody."""
    read = ((enrolled(match["Face"]), float(match["Similarity"])) for match in matches)
    return tuple(
        Hit(known.face_id, known.person, similarity) for known, similarity in read if known
    )
