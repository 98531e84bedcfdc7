"""Collections and their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.errors import AlreadyExists
from facelabel.rekognition import serialize
from facelabel.rekognition.error_codes import existing_collection
from facelabel.web.rekognition_api import tokens

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Collections of a page, where the call does not say; Amazon documents no number.
PAGE = 4096
_OK = 200


def create(context: Context, given: Parameters) -> Json:
    """CreateCollection."""
    name = given["CollectionId"]
    try:
        made = context.collections.create(name, given.get("Tags", {}))
    except AlreadyExists:
        raise existing_collection(name) from None
    return {
        "StatusCode": _OK,
        "CollectionArn": serialize.short_arn(context.region, context.account, name),
        "FaceModelVersion": serialize.model_version(made.model),
    }


def describe(context: Context, given: Parameters) -> Json:
    """DescribeCollection."""
    found = context.collections.describe(given["CollectionId"])
    return {
        "FaceCount": found.faces,
        "UserCount": found.users,
        "FaceModelVersion": serialize.model_version(found.model),
        "CollectionARN": serialize.arn(context.region, context.account, found.name),
        "CreationTimestamp": found.created_at,
    }


def list_all(context: Context, given: Parameters) -> Json:
    """ListCollections."""
    limit = given.get("MaxResults") or PAGE
    after = tokens.after(context, "ListCollections", given)
    found = context.collections.collections(after, limit + 1)
    page = found[:limit]
    answer: Json = {
        "CollectionIds": [one.name for one in page],
        "FaceModelVersions": [serialize.model_version(one.model) for one in page],
    }
    if len(found) > limit:
        answer["NextToken"] = tokens.token(context, "ListCollections", given, page[-1].name)
    return answer


def delete(context: Context, given: Parameters) -> Json:
    """DeleteCollection."""
    context.collections.delete(given["CollectionId"])
    return {"StatusCode": _OK}


def list_tags(context: Context, given: Parameters) -> Json:
    """ListTagsForResource."""
    return {"Tags": {**context.collections.tags(_named(context, given))}}


def tag(context: Context, given: Parameters) -> Json:
    """TagResource."""
    context.collections.tag(_named(context, given), given["Tags"])
    return {}


def untag(context: Context, given: Parameters) -> Json:
    """UntagResource."""
    context.collections.untag(_named(context, given), given["TagKeys"])
    return {}


def _named(context: Context, given: Parameters) -> str:
    return serialize.collection_of(given["ResourceArn"], context.region, context.account)
