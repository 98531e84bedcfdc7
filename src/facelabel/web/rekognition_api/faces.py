"""Faces: those of a collection, those of an image, and those that resemble each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.errors import Denied, NotFound, Rejected
from facelabel.rekognition import serialize, validation
from facelabel.rekognition.error_codes import invalid, missing_object, too_large
from facelabel.rekognition.types import QualityFilter
from facelabel.web.rekognition_api import tokens

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Per cent, as Amazon documents.
THRESHOLD = 80.0
#: Faces of a page and of a search, where the call does not say; Amazon documents no number.
PAGE = 4096


def index(context: Context, params: Parameters) -> Json:
    """IndexFaces."""
    done = context.collections.index(
        params["CollectionId"],
        image(context, params["Image"]),
        params.get("ExternalImageId"),
        max_faces=params.get("MaxFaces"),
        quality=QualityFilter(params.get("QualityFilter", QualityFilter.AUTO)),
    )
    return serialize.indexed(done)


def list_all(context: Context, params: Parameters) -> Json:
    """ListFaces."""
    name = params["CollectionId"]
    found, following = context.collections.faces(
        name,
        int(tokens.after(context, "ListFaces", params) or 0),
        params.get("MaxResults") or PAGE,
        face_ids=params.get("FaceIds"),
        user_id=params.get("UserId"),
    )
    answer: Json = {
        "Faces": [serialize.face(one) for one in found],
        "FaceModelVersion": model_version(context, name),
    }
    if following is not None:
        answer["NextToken"] = tokens.token(context, "ListFaces", params, str(following))
    return answer


def delete(context: Context, params: Parameters) -> Json:
    """DeleteFaces."""
    done = context.collections.delete_faces(params["CollectionId"], params["FaceIds"])
    return serialize.deletion(done)


def search(context: Context, params: Parameters) -> Json:
    """SearchFaces."""
    found = context.collections.search(
        params["CollectionId"],
        params["FaceId"],
        threshold=params.get("FaceMatchThreshold", THRESHOLD),
        limit=params.get("MaxFaces", PAGE),
    )
    return {
        "SearchedFaceId": params["FaceId"],
        "FaceMatches": [serialize.face_match(match) for match in found],
        "FaceModelVersion": model_version(context, params["CollectionId"]),
    }


def search_image(context: Context, params: Parameters) -> Json:
    """SearchFacesByImage."""
    found = context.collections.search_image(
        params["CollectionId"],
        image(context, params["Image"]),
        threshold=params.get("FaceMatchThreshold", THRESHOLD),
        limit=params.get("MaxFaces", PAGE),
        quality=QualityFilter(params.get("QualityFilter", QualityFilter.NONE)),
    )
    return {
        "SearchedFaceBoundingBox": serialize.bounding_box(found.searched.box),
        "SearchedFaceConfidence": found.searched.confidence,
        "FaceMatches": [serialize.face_match(match) for match in found.matches],
        "FaceModelVersion": serialize.model_version(found.model),
    }


def detect(context: Context, params: Parameters) -> Json:
    """DetectFaces; attributes that are asked for and that nobody here knows are absent."""
    found = context.collections.detect(image(context, params["Image"]))
    return {"FaceDetails": [serialize.face_detail(face) for face in found]}


def compare(context: Context, params: Parameters) -> Json:
    """CompareFaces."""
    compared = context.collections.compare(
        image(context, params["SourceImage"]),
        image(context, params["TargetImage"]),
        threshold=params.get("SimilarityThreshold", THRESHOLD),
        quality=QualityFilter(params.get("QualityFilter", QualityFilter.NONE)),
    )
    return serialize.comparison(compared)


def model_version(context: Context, collection: str) -> str:
    """The FaceModelVersion of a collection."""
    return serialize.model_version(context.collections.model(collection))


def image(context: Context, params: Parameters) -> bytes:
    """The file of an Image, checked as far as Rekognition's limits go.

    Raises:
        Refusal: InvalidParameterException, InvalidS3ObjectException, ImageTooLargeException or
            InvalidImageFormatException.

    """
    if ("Bytes" in params) == ("S3Object" in params):
        raise invalid()
    data: bytes = params["Bytes"] if "Bytes" in params else _fetched(context, params["S3Object"])
    validation.check_image(data)
    return data


def _fetched(context: Context, place: Parameters) -> bytes:
    if context.fetch_object is None or not {"Bucket", "Name"} <= set(place):
        raise missing_object()
    try:
        data = context.fetch_object(place["Bucket"], place["Name"], place.get("Version"))
    except (NotFound, Denied):
        raise missing_object() from None
    except Rejected:
        raise too_large() from None
    if len(data) > validation.MAX_OBJECT:
        raise too_large()
    return data
