"""Client-side lists: which pictures have a tag, for the page that shows them.

::

    GET /<cloud>/<image|video|raw>/list/[v<version>/]<tag>.json

A tag may be a person's name, so unlike pictures these are never there for everybody.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from facelabel.cloudinary import assets
from facelabel.media.types import RESOURCE_TYPES, And, Compare, Order, Where
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from starlette.responses import Response

    from facelabel.core.model import Asset, Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Received

#: Pictures in a list, the newest first.
LONGEST = 1000
_VERSION = re.compile(r"v\d{1,18}/", re.ASCII)


def routes(context: Context) -> list[ApiRoute]:
    """A list of each resource type."""
    return [
        ApiRoute(
            Api.LIST,
            f"/{{cloud}}/{kind}/list/{{tag:path}}.json",
            auth.listing(context, partial(_list, resource_type=kind)),
            methods=["GET"],
        )
        for kind in RESOURCE_TYPES
    ]


def _list(context: Context, received: Received, *, resource_type: str) -> Response:
    tag = _VERSION.sub("", received.path["tag"], count=1)
    conditions = {"resource_type": resource_type, "type": "upload", "tags": tag}
    tagged = And(tuple(Where(name, Compare.EQUALS, value) for name, value in conditions.items()))
    newest = Order("created_at", descending=True)
    found = context.media.select(tagged, (newest,), limit=LONGEST).assets
    if not found:
        raise ApiError(404, f"Resource not found - {tag[:200]}")
    updated = max(asset.updated_at or asset.created_at for asset in found)
    answer = {"resources": [*map(_entry, found)], "updated_at": assets.iso(updated)}
    return JSONResponse(answer, headers={"Cache-Control": "private, no-cache"})


def _entry(asset: Asset) -> Json:
    entry: Json = {
        "public_id": asset.public_id,
        "version": asset.version,
        "format": asset.format,
        "width": asset.width,
        "height": asset.height,
        "type": asset.type,
        "created_at": assets.iso(asset.created_at),
    }
    return entry | ({"context": {"custom": {**asset.context}}} if asset.context else {})
