"""The Admin API: everything about the environment as a whole, and the routes of all of it."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import assets
from facelabel.media.types import RESOURCE_TYPES
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.cloudinary_api.admin import (
    asset_changes,
    calls,
    field_definitions,
    folders,
    listing,
    named_transformations,
    resources,
    search,
    triggers,
    upload_presets,
)
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Received

_DAY = re.compile(r"\d{1,2}-\d{1,2}-\d{4}", re.ASCII)
#: Of Cloudinary's Admin API, but not of this library. Their names may hide more below.
_UNSUPPORTED = {
    "streaming_profiles": "Streaming profiles",
    "upload_mappings": "Upload mappings",
    "metadata_rules": "Metadata rules",
    "derived_resources": "Deleting derived images by id",
    "resources/visual_search": "Visual search",
    "resources/related_assets": "Related assets",
    "resources/backup": "Choosing among backups",
    "resources/{resource_type}/publish_resources": "Publishing",
    "resources/{resource_type}/{type}/update_access_mode": "Access modes",
}
_METHODS = ["GET", "POST", "PUT", "DELETE"]


def routes(context: Context) -> list[ApiRoute]:
    """All calls of the Admin API, names before placeholders."""
    get = partial(calls.route, context, "GET")
    return [
        get("ping", _ping),
        get("config", _config),
        get("usage", _usage),
        get("usage/{date}", _usage),
        get("tags/{resource_type}", _tags),
        *(route for path, name in _UNSUPPORTED.items() for route in _refusals(context, path, name)),
        *search.routes(context),
        *folders.routes(context),
        *field_definitions.routes(context),
        *upload_presets.routes(context),
        *named_transformations.routes(context),
        *triggers.routes(context),
        *resources.routes(context),
        *asset_changes.routes(context),
    ]


def _refusals(context: Context, path: str, name: str) -> list[ApiRoute]:
    def refuse(_context: Context, _received: Received) -> Json:
        """ApiError, whatever is asked."""
        raise ApiError(400, f"{name}: not supported by the local library")

    endpoint = auth.admin(context, refuse)
    paths = (f"/v1_1/{{cloud}}/{path}", f"/v1_1/{{cloud}}/{path}/{{rest:path}}")
    return [ApiRoute(Api.ADMIN, each, endpoint, methods=_METHODS) for each in paths]


def _ping(_context: Context, _received: Received) -> Json:
    return {"status": "ok"}


def _config(context: Context, received: Received) -> Json:
    mode = "fixed" if context.fixed_folders else "dynamic"
    settings: Json = {"settings": {"folder_mode": mode}} if received.params.flag("settings") else {}
    return {"cloud_name": context.cloud_name, **settings}


def _usage(context: Context, received: Received) -> Json:
    """What is stored now, whatever day is asked for; what nobody counts here is null."""
    if "date" in received.path and not _DAY.fullmatch(received.path["date"]):
        raise ApiError(400, "Invalid date, write dd-mm-yyyy")
    usage = context.media.usage()
    uncounted: Json = {"usage": None}
    return {
        "plan": "Local",
        "last_updated": assets.iso(context.clock.now())[:10],
        "date_requested": assets.iso(context.clock.now()),
        "transformations": uncounted,
        "objects": {"usage": usage["objects"]},
        "bandwidth": uncounted,
        "storage": {"usage": usage["bytes"]},
        "requests": None,
        "resources": usage["objects"],
        "derived_resources": None,
        "media_limits": {"image_max_size_bytes": context.max_file_bytes},
    }


def _tags(context: Context, received: Received) -> Json:
    resource_type = received.path["resource_type"]
    if resource_type not in RESOURCE_TYPES:
        raise ApiError(400, f"Invalid resource type {resource_type[:40]}")
    found = context.media.tags(resource_type, received.params.text("prefix"))
    names, cursor = calls.cut(found, received.params)
    return listing.with_cursor({"tags": [*names]}, cursor)
