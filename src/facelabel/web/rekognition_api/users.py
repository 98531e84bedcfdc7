"""Users: people made of several faces of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.rekognition import serialize
from facelabel.rekognition.error_codes import invalid
from facelabel.rekognition.types import QualityFilter
from facelabel.web.rekognition_api import tokens
from facelabel.web.rekognition_api.faces import image, model_version

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Per cent, as Amazon documents.
SEARCH_THRESHOLD = 80.0
ASSOCIATE_THRESHOLD = 75.0
#: Users of a page and of a search, where the call does not say; Amazon documents no number.
PAGE = 500


def create(context: Context, params: Parameters) -> Json:
    """CreateUser."""
    context.collections.create_user(
        params["CollectionId"], params["UserId"], params.get("ClientRequestToken")
    )
    return {}


def delete(context: Context, params: Parameters) -> Json:
    """DeleteUser."""
    context.collections.delete_user(
        params["CollectionId"], params["UserId"], params.get("ClientRequestToken")
    )
    return {}


def list_all(context: Context, params: Parameters) -> Json:
    """ListUsers."""
    limit = params.get("MaxResults", PAGE)
    after = tokens.after(context, "ListUsers", params)
    found = context.collections.users(params["CollectionId"], after, limit + 1)
    page = found[:limit]
    answer: Json = {"Users": [serialize.user(one) for one in page]}
    if len(found) > limit:
        answer["NextToken"] = tokens.token(context, "ListUsers", params, page[-1].user_id)
    return answer


def associate(context: Context, params: Parameters) -> Json:
    """AssociateFaces."""
    done = context.collections.associate(
        params["CollectionId"],
        params["UserId"],
        params["FaceIds"],
        threshold=params.get("UserMatchThreshold", ASSOCIATE_THRESHOLD),
        token=params.get("ClientRequestToken"),
    )
    return serialize.association(done, "Associate")


def disassociate(context: Context, params: Parameters) -> Json:
    """DisassociateFaces."""
    done = context.collections.disassociate(
        params["CollectionId"],
        params["UserId"],
        params["FaceIds"],
        token=params.get("ClientRequestToken"),
    )
    return serialize.association(done, "Disassociate")


def search(context: Context, params: Parameters) -> Json:
    """SearchUsers, by exactly one of FaceId and UserId."""
    if ("FaceId" in params) == ("UserId" in params):
        raise invalid()
    found = context.collections.search_users(
        params["CollectionId"],
        face_id=params.get("FaceId"),
        user_id=params.get("UserId"),
        threshold=params.get("UserMatchThreshold", SEARCH_THRESHOLD),
        limit=params.get("MaxUsers", PAGE),
    )
    by = "FaceId" if "FaceId" in params else "UserId"
    return {
        "UserMatches": [serialize.user_match(match) for match in found],
        "FaceModelVersion": model_version(context, params["CollectionId"]),
        f"Searched{by.removesuffix('Id')}": {by: params[by]},
    }


def search_image(context: Context, params: Parameters) -> Json:
    """SearchUsersByImage."""
    found = context.collections.search_users_image(
        params["CollectionId"],
        image(context, params["Image"]),
        threshold=params.get("UserMatchThreshold", SEARCH_THRESHOLD),
        limit=params.get("MaxUsers", PAGE),
        quality=QualityFilter(params.get("QualityFilter", QualityFilter.NONE)),
    )
    return serialize.image_user_search(found)
