"""Faces and what was decided about them, as JSON.

Reading looks keys up by name, so a line written by a newer version, with more in it, still reads.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from facelabel.core.model import (
    Analysis,
    Box,
    Candidate,
    Face,
    FaceDecision,
    Pose,
    Reason,
    SearchRecord,
    Template,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facelabel.core.model import Json


def encode_face(face: Face) -> Json:
    """A face as plain JSON."""
    box, pose = face.box, face.pose
    return {
        "box": [box.left, box.top, box.width, box.height],
        "landmarks": [list(point) for point in face.landmarks],
        "confidence": face.confidence,
        "sharpness": face.sharpness,
        "brightness": face.brightness,
        "pose": [pose.yaw, pose.pitch, pose.roll],
        "reasons": [str(reason) for reason in face.reasons],
    }


def decode_face(data: Any) -> Face:  # noqa: ANN401 - JSON
    """The face that :func:`encode_face` wrote."""
    return Face(
        box=Box(*data["box"]),
        landmarks=tuple((x, y) for x, y in data["landmarks"]),
        confidence=data["confidence"],
        sharpness=data["sharpness"],
        brightness=data["brightness"],
        pose=Pose(*data["pose"]),
        reasons=tuple(Reason(reason) for reason in data["reasons"]),
    )


def decode_faces(data: Iterable[Any]) -> tuple[Face, ...]:
    """Several faces."""
    return tuple(decode_face(face) for face in data)


def encode_template(template: Template) -> Json:
    """A template as plain JSON, without its vector, which is bytes."""
    return {**encode_face(template.face), "norms": list(template.norms)}


def decode_template(data: Any, vector: bytes) -> Template:  # noqa: ANN401 - JSON
    """The template of this vector; older ones say nothing of norms."""
    return Template(decode_face(data), vector, tuple(data.get("norms", ())))


def encode_named(named: FaceDecision) -> Json:
    """A face with its name as plain JSON; the verdict by its key, as its wording may change."""
    return {
        "face": encode_face(named.face),
        "name": named.name,
        "verdict": named.verdict.name,
        "candidates": [
            {"person": one.person, "similarity": one.similarity, "face_id": one.face_id}
            for one in named.candidates
        ],
    }


def decode_named(data: Any) -> FaceDecision:  # noqa: ANN401 - JSON
    """The face that :func:`encode_named` wrote."""
    return FaceDecision(
        face=decode_face(data["face"]),
        name=data["name"],
        verdict=Verdict[data["verdict"]],
        candidates=tuple(_candidate(candidate) for candidate in data["candidates"]),
    )


def _candidate(data: Any) -> Candidate:  # noqa: ANN401 - JSON
    return Candidate(data["person"], data["similarity"], data["face_id"])


def encode_search(search: SearchRecord) -> Json:
    """A search as plain JSON."""
    plain = {field.name: getattr(search, field.name) for field in fields(search)}
    plain["faces"] = [encode_named(face) for face in search.faces]
    plain["left_out"] = [encode_face(face) for face in search.left_out]
    return plain


def decode_search(data: Mapping[str, Any]) -> SearchRecord:
    """The search that :func:`encode_search` wrote."""
    plain = {field.name: data[field.name] for field in fields(SearchRecord) if field.name in data}
    plain["faces"] = tuple(decode_named(face) for face in data["faces"])
    plain["left_out"] = decode_faces(data["left_out"])
    return SearchRecord(**plain)


def encode_analysis(analysis: Analysis) -> Json:
    """An analysis without its vectors, which are bytes."""
    return {
        "width": analysis.width,
        "height": analysis.height,
        "faces": [encode_template(template) for template in analysis.templates],
        "left_out": [encode_face(face) for face in analysis.left_out],
    }


def decode_analysis(data: Any, vectors: bytes) -> Analysis:  # noqa: ANN401 - JSON
    """The analysis of these vectors, which lie end to end, all of one length."""
    faces = data["faces"]
    length = len(vectors) // max(len(faces), 1)
    return Analysis(
        width=data["width"],
        height=data["height"],
        templates=tuple(
            decode_template(face, vectors[at * length : (at + 1) * length])
            for at, face in enumerate(faces)
        ),
        left_out=decode_faces(data["left_out"]),
    )
