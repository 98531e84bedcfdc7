"""The Upload API's upload: a file becomes an asset."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import params as wire
from facelabel.cloudinary import signing, transformations
from facelabel.cloudinary.transformations import plain_format
from facelabel.errors import UnreadableImage
from facelabel.media.types import RESOURCE_TYPES, AssetKey, Edit, Upload
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.cloudinary_api import auth
from facelabel.web.cloudinary_api.admin import listing, upload_presets
from facelabel.web.cloudinary_api.upload import attributes, breakpoints, sources
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.cloudinary_api.upload.attributes import Naming
    from facelabel.web.http import Params, Received

_LOG = logging.getLogger(__name__)
_KINDS = (*RESOURCE_TYPES, "auto")
#: What somebody without a key is told of an asset that others put there.
_OPEN = ("public_id", "resource_type", "type", "version", "created_at")
#: Calls of Cloudinary's Upload API that this library does not have.
_UNSUPPORTED = ("text", "sprite", "multi", "explode", "generate_archive", "create_slideshow")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,10})")
#: Files that are kept as they are, for they play no part in recognition.
_VIDEOS = frozenset({"mp4", "mov", "webm", "avi", "mkv", "ogv", "m4v", "mpg", "mpeg", "mp3", "wav"})


@dataclass(frozen=True, slots=True)
class Content:
    """A file and what it is."""

    data: bytes = field(repr=False)
    resource_type: str
    #: "" of a raw file: its extension belongs to the public_id.
    format: str = ""
    #: Pixels, upright; 0 unless it is an image.
    width: int = 0
    height: int = 0
    #: Why a file that might have been an image is kept as raw; "" for all others.
    not_an_image: str = ""


def routes(context: Context) -> list[ApiRoute]:
    """The upload of each resource type, and refusals of what else makes files."""
    uploads = {
        f"{kind}/upload": auth.uploading(
            context,
            partial(_upload, resource_type=kind),
            presets=True,
            lanes=partial(sources.lanes, context),
        )
        for kind in _KINDS
    }
    refusals = {
        f"{kind}/{name}": auth.uploading(context, partial(_refuse, name=name))
        for kind in _KINDS
        for name in _UNSUPPORTED
    }
    answers_of = {Api.UPLOAD: uploads, Api.CALL: refusals}
    return [
        ApiRoute(api, f"/v1_1/{{cloud}}/{path}", answer, methods=["POST"])
        for api, answers in answers_of.items()
        for path, answer in answers.items()
    ]


def _refuse(_context: Context, _received: Received, *, name: str) -> Json:
    raise ApiError(400, f"{name} is not supported by the local library")


def _upload(context: Context, received: Received, *, resource_type: str) -> Json:
    if received.key is None or received.params.text("upload_preset"):
        received = upload_presets.applied(context, received)
    params = received.params
    attributes.check_addons(params)
    source = sources.whole(context, received)
    if isinstance(source, sources.Progress):
        return _unfinished(source, params, resource_type)
    content = _content(context, source, params, resource_type)
    name = attributes.naming(
        params,
        source.filename,
        is_raw=content.resource_type == "raw",
        fixed_folders=context.fixed_folders,
    )
    asset, existed = _stored(context, received, name, content)
    why = {"not_an_image": content.not_an_image} if content.not_an_image else {}
    if params.flag("async"):
        return _pending(asset, params) | why
    return _answer(context, received, asset, existed=existed) | why


def _unfinished(progress: sources.Progress, params: Params, resource_type: str) -> Json:
    """The answer to a part: the SDK sends the public_id with the next one, instead of its own."""
    is_raw = resource_type == "raw"
    public_id = attributes.last_part(params, progress.filename, is_raw=is_raw)
    return {"done": False, "bytes": progress.received, "kind": "upload", "public_id": public_id}


def _content(
    context: Context, source: sources.Source, params: Params, resource_type: str
) -> Content:
    """What the file is; ApiError for what it should not be."""
    if resource_type == "raw":
        return Content(source.data, "raw")
    if resource_type == "video":
        return _video(source)
    try:
        header = context.inspect(source.data)
    except UnreadableImage as error:
        if resource_type == "auto":
            return _unreadable(source, str(error))
        raise ApiError(400, f"Invalid image file: {error}") from None
    image = Content(source.data, "image", header.format, header.width, header.height)
    if "transformation" in params or "format" in params:
        image = _transformed(context, image, params)
    if "allowed_formats" in params:
        _check_format(image.format, params)
    return image


def _unreadable(source: sources.Source, reason: str) -> Content:
    """A film by its name, else a raw file: nobody will look for faces in it, so it is said."""
    if _extension(source.filename) in _VIDEOS:
        return _video(source)
    _LOG.warning("a file of %d bytes is kept as raw: %s", len(source.data), reason)
    return Content(source.data, "raw", not_an_image=reason)


def _video(source: sources.Source) -> Content:
    extension = _extension(source.filename)
    if extension not in _VIDEOS:
        raise ApiError(400, "Unsupported video format or file")
    return Content(source.data, "video", extension)


def _extension(filename: str) -> str:
    found = _EXTENSION.search(filename, max(filename.rfind("."), 0))
    return found[1].lower() if found else ""


def _transformed(context: Context, image: Content, params: Params) -> Content:
    """The image as it is to be kept: an incoming transformation and a format that is asked for."""
    text, wanted = (
        params.text("transformation"),
        plain_format(params.text("format")),
    )
    if not text and wanted in {"", image.format}:
        return image
    steps = transformations.parse(text, partial(attributes.named_transformation, context))
    result = context.renderer.render(image.data, steps.in_format(wanted) if wanted else steps)
    return Content(result.data, "image", result.format, result.width, result.height)


def _check_format(name: str, params: Params) -> None:
    allowed = {plain_format(item) for item in wire.tags(params.values.get("allowed_formats"))}
    if allowed and name not in allowed:
        raise ApiError(400, f"Image file format {name} not allowed")


def _stored(
    context: Context, received: Received, name: Naming, content: Content
) -> tuple[Asset, bool]:
    params = received.params
    key = AssetKey(name.public_id, content.resource_type, attributes.delivery_type(params))
    overwrite = params.flag("overwrite", default=True)
    if not overwrite and (existing := context.media.get(key)):
        return existing, True
    metadata = attributes.settled_metadata(context.media, attributes.metadata(params), of=key)
    is_image, size = content.resource_type == "image", (content.width, content.height)
    return context.media.put(
        Upload(
            key=key,
            data=content.data,
            format=content.format,
            width=content.width,
            height=content.height,
            folder=name.folder,
            filename=name.filename,
            display_name=name.display_name,
            tags=attributes.tags(params),
            context=attributes.context(params),
            metadata=metadata,
            details=attributes.details(params, size if is_image else None),
            overwrite=overwrite,
        ),
        origin=received.origin,  # a preset, too, may say who is to hear of it
    )


def _pending(asset: Asset, params: Params) -> Json:
    """The answer to who does not want to wait; all is done nevertheless."""
    answer: Json = {
        "status": "pending",
        "resource_type": asset.resource_type,
        "type": asset.type,
        "public_id": asset.public_id,
    }
    batch_id = params.text("batch_id")
    return answer | ({"batch_id": batch_id} if batch_id else {})


def _answer(context: Context, received: Received, asset: Asset, *, existed: bool) -> Json:
    if existed and received.key is None:
        described = listing.described(context, asset)
        return {name: described[name] for name in _OPEN} | {"existing": True}
    answer = answered(context, asset, received)
    if existed:
        overwrite = received.params.flag("overwrite", default=True)
        answer |= {"overwritten": True} if overwrite else {"existing": True}
    if "content-range" in received.headers:
        answer["done"] = True
    return answer


def answered(context: Context, asset: Asset, received: Received) -> Json:
    """The answer to upload and explicit, signed with the key of the call, else the oldest one.

    Which derived images were asked for is noted on the asset.
    """
    params = received.params
    derived = listing.eager(context, asset, params) if params.text("eager") else []
    if derived:
        edit = Edit(set_details=listing.derived_details(derived))
        edited = context.media.edit([asset.asset_id], edit, origin=received.origin)
        asset = edited[0] if edited else asset
    key = received.key or context.keys()[0]
    answer = listing.described(context, asset)
    answer["signature"] = signing.sign_answer(asset.public_id, asset.version, key.secret)
    answer["api_key"] = key.key
    if params.flag("faces") or "face_coordinates" in params:
        answer["faces"] = listing.faces(context, asset)
    if asset.details.get("moderation"):
        answer["moderation"] = asset.details["moderation"]
    if derived:
        answer["eager"] = derived
    if "responsive_breakpoints" in params:
        answer |= breakpoints.answer(context, asset, params)
    return answer
