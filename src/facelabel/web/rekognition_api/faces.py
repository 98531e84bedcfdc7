"""Faces: those of a collection, those of an image, and those that resemble each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.rekognition import serialize
from facelabel.rekognition.types import QualityFilter
from facelabel.web.rekognition_api import tokens
from facelabel.web.rekognition_api.inputs import image

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Per cent, as Amazon documents.
THRESHOLD = 80.0
#: Faces of a page and of a search, where the call does not say; Amazon documents no number.
PAGE = 4096


def index(context: Context, given: Parameters) -> Json:
    """IndexFaces."""
    done = context.collections.index(
        given["CollectionId"],
        image(context, given["Image"]),
        given.get("ExternalImageId"),
        max_faces=given.get("MaxFaces"),
        quality=QualityFilter(given.get("QualityFilter", QualityFilter.AUTO)),
    )
    return serialize.indexed(done)


def list_all(context: Context, given: Parameters) -> Json:
    """ListFaces."""
    name = given["CollectionId"]
    found, following = context.collections.faces(
        name,
        int(tokens.after(context, "ListFaces", given) or 0),
        given.get("MaxResults") or PAGE,
        face_ids=given.get("FaceIds"),
        user_id=given.get("UserId"),
    )
    answer: Json = {
        "Faces": [serialize.face(one) for one in found],
        "FaceModelVersion": model_version(context, name),
    }
    if following is not None:
        answer["NextToken"] = tokens.token(context, "ListFaces", given, str(following))
    return answer


def delete(context: Context, given: Parameters) -> Json:
    """DeleteFaces."""
    done = context.collections.delete_faces(given["CollectionId"], given["FaceIds"])
    return serialize.deletion(done)


def search(context: Context, given: Parameters) -> Json:
    """SearchFaces."""
    found = context.collections.search(
        given["CollectionId"],
        given["FaceId"],
        threshold=given.get("FaceMatchThreshold", THRESHOLD),
        limit=given.get("MaxFaces", PAGE),
    )
    return {
        "SearchedFaceId": given["FaceId"],
        "FaceMatches": [serialize.face_match(match) for match in found],
        "FaceModelVersion": model_version(context, given["CollectionId"]),
    }


def search_image(context: Context, given: Parameters) -> Json:
    """SearchFacesByImage."""
    found = context.collections.search_image(
        given["CollectionId"],
        image(context, given["Image"]),
        threshold=given.get("FaceMatchThreshold", THRESHOLD),
        limit=given.get("MaxFaces", PAGE),
        quality=QualityFilter(given.get("QualityFilter", QualityFilter.NONE)),
    )
    return {
        "SearchedFaceBoundingBox": serialize.bounding_box(found.searched.box),
        "SearchedFaceConfidence": found.searched.confidence,
        "FaceMatches": [serialize.face_match(match) for match in found.matches],
        "FaceModelVersion": serialize.model_version(found.model),
    }


def detect(context: Context, given: Parameters) -> Json:
    """DetectFaces; attributes that are asked for and that nobody here knows are absent."""
    found = context.collections.detect(image(context, given["Image"]))
    return {"FaceDetails": [serialize.face_detail(face) for face in found]}


def compare(context: Context, given: Parameters) -> Json:
    """CompareFaces."""
    compared = context.collections.compare(
        image(context, given["SourceImage"]),
        image(context, given["TargetImage"]),
        threshold=given.get("SimilarityThreshold", THRESHOLD),
        quality=QualityFilter(given.get("QualityFilter", QualityFilter.NONE)),
    )
    return serialize.comparison(compared)


def model_version(context: Context, collection: str) -> str:
    """The FaceModelVersion of a collection."""
    return serialize.model_version(context.collections.model(collection))
