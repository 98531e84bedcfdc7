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


def create(context: Context, params: Parameters) -> Json:
    """CreateCollection."""
    name = params["CollectionId"]
    try:
        made = context.collections.create(name, params.get("Tags", {}))
    except AlreadyExists:
        raise existing_collection(name) from None
    return {
        "StatusCode": _OK,
        "CollectionArn": serialize.short_arn(context.region, context.account, name),
        "FaceModelVersion": serialize.model_version(made.model),
    }


def describe(context: Context, params: Parameters) -> Json:
    """DescribeCollection."""
    found = context.collections.describe(params["CollectionId"])
    return {
        "FaceCount": found.faces,
        "UserCount": found.users,
        "FaceModelVersion": serialize.model_version(found.model),
        "CollectionARN": serialize.arn(context.region, context.account, found.name),
        "CreationTimestamp": found.created_at,
    }


def list_all(context: Context, params: Parameters) -> Json:
    """ListCollections."""
    limit = params.get("MaxResults") or PAGE
    after = tokens.after(context, "ListCollections", params)
    found = context.collections.collections(after, limit + 1)
    page = found[:limit]
    answer: Json = {
        "CollectionIds": [one.name for one in page],
        "FaceModelVersions": [serialize.model_version(one.model) for one in page],
    }
    if len(found) > limit:
        answer["NextToken"] = tokens.token(context, "ListCollections", params, page[-1].name)
    return answer


def delete(context: Context, params: Parameters) -> Json:
    """DeleteCollection."""
    context.collections.delete(params["CollectionId"])
    return {"StatusCode": _OK}


def list_tags(context: Context, params: Parameters) -> Json:
    """ListTagsForResource."""
    return {"Tags": {**context.collections.tags(_named(context, params))}}


def tag(context: Context, params: Parameters) -> Json:
    """TagResource."""
    context.collections.tag(_named(context, params), params["Tags"])
    return {}


def untag(context: Context, params: Parameters) -> Json:
    """UntagResource."""
    context.collections.untag(_named(context, params), params["TagKeys"])
    return {}


def _named(context: Context, params: Parameters) -> str:
    return serialize.collection_of(params["ResourceArn"], context.region, context.account)
