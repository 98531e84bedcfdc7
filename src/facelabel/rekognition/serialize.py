"""Faces, users and collections as Amazon Rekognition writes them in its answers.

What the engine cannot know (age, emotions, glasses …) is absent, never made up.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING

from facelabel.rekognition.error_codes import invalid, missing_collection
from facelabel.rekognition.types import LANDMARKS

if TYPE_CHECKING:
    from facelabel.core.model import Box, Face, Json
    from facelabel.rekognition.types import (
        Association,
        Comparison,
        Deletion,
        FaceMatch,
        FaceRecord,
        FailedFace,
        ImageUserSearch,
        Indexed,
        User,
        UserMatch,
    )

_ARN = re.compile(r"(?:arn:)?aws:rekognition:([\w-]+):(\d{12}):collection/([\w.-]+)", re.ASCII)


@functools.lru_cache(64)
def model_version(model: str) -> str:
    """The FaceModelVersion of a model of ours: digits and a dot, as Amazon's pattern wants.

    Before the dot stands the number after the slash ("mobilefacenet/1": 1; without any: 0), after
    it a number made of the whole name, so that two models never have the same version.
    """
    number = model.partition("/")[2]
    major = number if re.fullmatch(r"[0-9]+", number) else "0"
    return f"{major}.{int.from_bytes(hashlib.sha256(model.encode()).digest()[:4])}"


def arn(region: str, account: str, collection: str) -> str:
    """The resource name of a collection, as DescribeCollection gives it."""
    return f"arn:aws:rekognition:{region}:{account}:collection/{collection}"


def short_arn(region: str, account: str, collection: str) -> str:
    """The same as CreateCollection gives it: without the first part."""
    return arn(region, account, collection).removeprefix("arn:")


def collection_of(resource: str, region: str, account: str) -> str:
    """The collection that an ARN of either form names.

    Raises:
        Refusal: InvalidParameterException, or ResourceNotFoundException for one of elsewhere.

    """
    found = _ARN.fullmatch(resource)
    if found is None:
        raise invalid()
    if found.group(1, 2) != (region, account):
        raise missing_collection(found[3])
    return found[3]


def bounding_box(box: Box) -> Json:
    """BoundingBox."""
    return {"Left": box.left, "Top": box.top, "Width": box.width, "Height": box.height}


def face_detail(face: Face) -> Json:
    """FaceDetail with the attributes of DEFAULT; a ComparedFace has the same."""
    pairs = zip(LANDMARKS, face.landmarks, strict=True)
    pose = face.pose
    return {
        "BoundingBox": bounding_box(face.box),
        "Landmarks": [{"Type": name, "X": x, "Y": y} for name, (x, y) in pairs],
        "Pose": {"Roll": pose.roll, "Yaw": pose.yaw, "Pitch": pose.pitch},
        "Quality": {"Brightness": face.brightness, "Sharpness": face.sharpness},
        "Confidence": face.confidence,
    }


def face(record: FaceRecord) -> Json:
    """Face."""
    written: Json = {
        "FaceId": record.face_id,
        "BoundingBox": bounding_box(record.box),
        "ImageId": record.image_id,
        "ExternalImageId": record.external_image_id,
        "Confidence": record.confidence,
        "IndexFacesModelVersion": model_version(record.model),
        "UserId": record.user_id,
    }
    return _present(written)


def indexed(indexed: Indexed) -> Json:
    """IndexFacesResponse."""
    return {
        "FaceRecords": [
            {"Face": face(one.record), "FaceDetail": face_detail(one.detail)}
            for one in indexed.faces
        ],
        "FaceModelVersion": model_version(indexed.model),
        "UnindexedFaces": [
            {"Reasons": [*one.reasons], "FaceDetail": face_detail(one)} for one in indexed.unindexed
        ],
    }


def face_match(match: FaceMatch) -> Json:
    """FaceMatch."""
    return {"Similarity": match.similarity, "Face": face(match.record)}


def comparison(compared: Comparison) -> Json:
    """CompareFacesResponse."""
    source = compared.source
    return {
        "SourceImageFace": {
            "BoundingBox": bounding_box(source.box),
            "Confidence": source.confidence,
        },
        "FaceMatches": [
            {"Similarity": match.similarity, "Face": face_detail(match.face)}
            for match in compared.matches
        ],
        "UnmatchedFaces": [face_detail(one) for one in compared.unmatched],
    }


def user(user: User) -> Json:
    """User, and MatchedUser."""
    return {"UserId": user.user_id, "UserStatus": user.status}


def user_match(match: UserMatch) -> Json:
    """UserMatch."""
    return {"Similarity": match.similarity, "User": user(match.user)}


def image_user_search(search: ImageUserSearch) -> Json:
    """SearchUsersByImageResponse; without a usable face there is no SearchedFace."""
    searched = search.searched
    written: Json = {
        "UserMatches": [user_match(match) for match in search.matches],
        "FaceModelVersion": model_version(search.model),
        "SearchedFace": {"FaceDetail": face_detail(searched)} if searched else None,
        "UnsearchedFaces": [
            {"FaceDetails": face_detail(one), "Reasons": [*one.reasons] or ["FACE_NOT_LARGEST"]}
            for one in search.unsearched
        ],
    }
    return _present(written)


def deletion(deletion: Deletion) -> Json:
    """DeleteFacesResponse."""
    return {
        "DeletedFaces": [*deletion.deleted],
        "UnsuccessfulFaceDeletions": [failed_face(failed) for failed in deletion.failed],
    }


def association(done: Association, kind: str) -> Json:
    """AssociateFacesResponse or DisassociateFacesResponse; ``kind``: the part before -Faces."""
    noun = {"Associate": "Association", "Disassociate": "Disassociation"}[kind]
    return {
        f"{kind}dFaces": [{"FaceId": face_id} for face_id in done.face_ids],
        f"UnsuccessfulFace{noun}s": [failed_face(failed) for failed in done.failed],
        "UserStatus": done.status,
    }


def failed_face(failed: FailedFace) -> Json:
    """UnsuccessfulFaceDeletion, -Association or -Disassociation."""
    written: Json = {
        "FaceId": failed.face_id,
        "UserId": failed.user_id,
        "Confidence": failed.confidence,
        "Reasons": [*failed.reasons],
    }
    return _present(written)


def _present(written: Json) -> Json:
    return {name: value for name, value in written.items() if value is not None}
