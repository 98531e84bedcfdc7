"""The 21 face operations by name, and what is said of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.errors import NotFound, TokenReused
from facelabel.rekognition import validation
from facelabel.rekognition.error_codes import Refusal, missing_collection, missing_face, reused
from facelabel.web.rekognition_api import collections, faces, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

_PREFIX = "RekognitionService."
OPERATIONS: Mapping[str, Callable[[Context, Parameters], Json]] = {
    "AssociateFaces": users.associate,
    "CompareFaces": faces.compare,
    "CreateCollection": collections.create,
    "CreateUser": users.create,
    "DeleteCollection": collections.delete,
    "DeleteFaces": faces.delete,
    "DeleteUser": users.delete,
    "DescribeCollection": collections.describe,
    "DetectFaces": faces.detect,
    "DisassociateFaces": users.disassociate,
    "IndexFaces": faces.index,
    "ListCollections": collections.list_all,
    "ListFaces": faces.list_all,
    "ListTagsForResource": collections.list_tags,
    "ListUsers": users.list_all,
    "SearchFaces": faces.search,
    "SearchFacesByImage": faces.search_image,
    "SearchUsers": users.search,
    "SearchUsersByImage": users.search_image,
    "TagResource": collections.tag,
    "UntagResource": collections.untag,
}


def named(context: Context, target: str) -> str:
    """The operation of an X-Amz-Target header.

    An operation of Rekognition's that there is not here is one that nobody may call: that error
    is declared for all of them, and no client tries it again.

    Raises:
        Refusal: UnknownOperationException or AccessDeniedException.

    """
    name = target.removeprefix(_PREFIX)
    if target.startswith(_PREFIX) and name in OPERATIONS:
        return name
    if target.startswith(_PREFIX) and name in validation.model().others:
        raise Refusal(
            "AccessDeniedException",
            f"User: arn:aws:iam::{context.account}:root is not authorized to perform: "
            f"rekognition:{name} on resource: *: Facelabel has the face operations only",
        )
    raise Refusal("UnknownOperationException", "The operation is not known")


def perform(context: Context, operation: str, params: Parameters) -> Json:
    """The answer to a checked call. Raises Refusal, and what the collections raise."""
    try:
        return OPERATIONS[operation](context, params)
    except NotFound:
        name = params.get("CollectionId")
        if name and not _exists(context, name):
            raise missing_collection(name) from None
        if operation in {"SearchFaces", "SearchUsers"} and "FaceId" in params:
            raise missing_face() from None
        raise
    except TokenReused:
        raise reused(params["ClientRequestToken"]) from None


def _exists(context: Context, collection: str) -> bool:
    try:
        context.collections.model(collection)
    except NotFound:
        return False
    return True
