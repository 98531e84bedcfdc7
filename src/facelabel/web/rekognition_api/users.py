"""Users: people made of several faces of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.rekognition import serialize
from facelabel.rekognition.error_codes import invalid
from facelabel.rekognition.types import QualityFilter
from facelabel.web.rekognition_api import tokens
from facelabel.web.rekognition_api.faces import model_version
from facelabel.web.rekognition_api.inputs import image

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Per cent, as Amazon documents.
SEARCH_THRESHOLD = 80.0
ASSOCIATE_THRESHOLD = 75.0
#: Users of a page and of a search, where the call does not say; Amazon documents no number.
PAGE = 500


def create(context: Context, given: Parameters) -> Json:
    """CreateUser."""
    context.collections.create_user(
        given["CollectionId"], given["UserId"], given.get("ClientRequestToken")
    )
    return {}


def delete(context: Context, given: Parameters) -> Json:
    """DeleteUser."""
    context.collections.delete_user(
        given["CollectionId"], given["UserId"], given.get("ClientRequestToken")
    )
    return {}


def list_all(context: Context, given: Parameters) -> Json:
    """ListUsers."""
    limit = given.get("MaxResults", PAGE)
    after = tokens.after(context, "ListUsers", given)
    found = context.collections.users(given["CollectionId"], after, limit + 1)
    page = found[:limit]
    answer: Json = {"Users": [serialize.user(one) for one in page]}
    if len(found) > limit:
        answer["NextToken"] = tokens.token(context, "ListUsers", given, page[-1].user_id)
    return answer


def associate(context: Context, given: Parameters) -> Json:
    """AssociateFaces."""
    done = context.collections.associate(
        given["CollectionId"],
        given["UserId"],
        given["FaceIds"],
        threshold=given.get("UserMatchThreshold", ASSOCIATE_THRESHOLD),
        token=given.get("ClientRequestToken"),
    )
    return serialize.association(done, "Associate")


def disassociate(context: Context, given: Parameters) -> Json:
    """DisassociateFaces."""
    done = context.collections.disassociate(
        given["CollectionId"],
        given["UserId"],
        given["FaceIds"],
        token=given.get("ClientRequestToken"),
    )
    return serialize.association(done, "Disassociate")


def search(context: Context, given: Parameters) -> Json:
    """SearchUsers, by exactly one of FaceId and UserId."""
    if ("FaceId" in given) == ("UserId" in given):
        raise invalid()
    found = context.collections.search_users(
        given["CollectionId"],
        face_id=given.get("FaceId"),
        user_id=given.get("UserId"),
        threshold=given.get("UserMatchThreshold", SEARCH_THRESHOLD),
        limit=given.get("MaxUsers", PAGE),
    )
    by = "FaceId" if "FaceId" in given else "UserId"
    return {
        "UserMatches": [serialize.user_match(match) for match in found],
        "FaceModelVersion": model_version(context, given["CollectionId"]),
        f"Searched{by.removesuffix('Id')}": {by: given[by]},
    }


def search_image(context: Context, given: Parameters) -> Json:
    """SearchUsersByImage."""
    found = context.collections.search_users_image(
        given["CollectionId"],
        image(context, given["Image"]),
        threshold=given.get("UserMatchThreshold", SEARCH_THRESHOLD),
        limit=given.get("MaxUsers", PAGE),
        quality=QualityFilter(given.get("QualityFilter", QualityFilter.NONE)),
    )
    return serialize.image_user_search(found)
