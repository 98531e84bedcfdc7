"""Delivery of originals, and of other images made of them while somebody waits.

::

    GET /<cloud>/<image|video|raw>/<upload|private|authenticated>/…

An image is made once, however many ask for it at the same moment, and then kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from facelabel.cloudinary import delivery_urls, signing, transformations
from facelabel.cloudinary.transformations import Regions, plain_format
from facelabel.core.model import Box
from facelabel.errors import NotFound, Rejected
from facelabel.media.types import RESOURCE_TYPES, AssetKey
from facelabel.web import http
from facelabel.web.access import policy
from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api, Requirement
from facelabel.web.cloudinary_api.delivery.render_queue import RenderQueue
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.http import ApiError, representation
from facelabel.web.http.representation import Representation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.datastructures import Headers
    from starlette.requests import Request

    from facelabel.cloudinary.delivery_urls import Address, Reading
    from facelabel.cloudinary.transformations import Transformation
    from facelabel.core.model import Asset, JsonValue
    from facelabel.media.ports import MediaLibrary
    from facelabel.web.cloudinary_api.context import Context

#: Images made at the same time; each may take most of a gigabyte.
_AT_ONCE = min(4, os.cpu_count() or 1)
#: These, and those waiting to be made; with more, a client had better come again.
_PLACES = 64
#: Bytes of an original that are in memory while it is sent.
_PIECE = 1 << 20
#: Changes when the same transformation makes another image than before.
_EDITION = 1
_UNAUTHORIZED = 401
_YEAR = 31_536_000
_BINARY = "application/octet-stream"
_TYPES: Mapping[str, str] = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "csv": "text/csv; charset=utf-8",
    "gif": "image/gif",
    "heic": "image/heic",
    "jpg": "image/jpeg",
    "json": "application/json",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "png": "image/png",
    "tif": "image/tiff",
    "txt": "text/plain; charset=utf-8",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "jpg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG"),
    "gif": re.compile(rb"GIF8"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "avif": re.compile(rb".{4}ftyp", re.DOTALL),
}


def routes(context: Context) -> list[ApiRoute]:
    """Every URL that delivers something."""
    endpoint = _Delivery(context).answer
    return [
        ApiRoute(
            Api.DELIVERY,
            f"/{{cloud}}/{kind}/{{path:path}}",
            partial(endpoint, kind),
            methods=["GET"],
        )
        for kind in sorted(RESOURCE_TYPES)
    ]


@dataclass(frozen=True)
class _Order:
    """What somebody asked for, found in the library."""

    asset: Asset
    transformation: Transformation
    #: Whether it is the file as it was uploaded.
    is_original: bool
    #: Whether the URL names this version of the asset.
    is_pinned: bool
    #: Whether the format depends on what the client accepts.
    varies: bool = False

    @cached_property
    def key(self) -> str:
        """Names the very bytes of the answer."""
        if self.is_original:
            return self.asset.etag
        given = (_regions_given(self.asset), self.transformation, _EDITION)
        return f"{self.asset.etag} {given!r}"


class _Delivery:
    """The endpoint, and the images that are being made."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._queue = RenderQueue(_AT_ONCE, _PLACES)

    async def answer(self, kind: str, request: Request) -> Response:
        """Deliver, or say why not."""
        request_id = uuid.uuid4().hex
        try:
            response = await self._delivered(kind, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            response = http.failed(error, request_id)
            response.headers["Cache-Control"] = "no-store"
        response.headers["X-Request-Id"] = request_id
        return response

    async def _delivered(self, kind: str, request: Request) -> Response:
        cloud, path = request.path_params["cloud"], f"{kind}/{request.path_params['path']}"
        accepts = request.headers.get("accept", "")
        is_open = policy.noted(request.scope) is Requirement.OPEN
        allowed = partial(_allowed, self._context, is_open=is_open)
        order = await run_in_threadpool(_order, self._context, cloud, path, accepts, allowed)
        known = _representation(order)
        same = representation.unchanged(request.headers, known)
        if same:
            return same
        if request.method == "HEAD" and order.is_original:
            await run_in_threadpool(self._context.media.fetch_part, order.asset, range(0))
            return representation.sized(known, order.asset.bytes, _media_type(order.asset))
        if order.is_original:
            return await self._original(order.asset, known, request.headers)
        kept = await run_in_threadpool(self._context.derived.get, order.asset.etag, order.key)
        data = kept or await self._made(order, self._context.budget.peers.of(request.scope))
        if request.method == "HEAD":
            return representation.sized(known, len(data), _sniffed(data))
        return representation.whole_or_part(request.headers, known, data, _sniffed(data))

    async def _original(self, asset: Asset, known: Representation, asked: Headers) -> Response:
        """The file, or a part of it, read as fast as the client takes it."""
        status, headers, part = representation.head(asked, known, asset.bytes, _media_type(asset))
        pieces = _pieces(self._context.media, asset, part)
        first = await run_in_threadpool(next, pieces, b"")  # what is wrong can still be said
        if len(first) == len(part):
            return Response(first, status, headers)
        lengthy = {**headers, "Content-Length": str(len(part))}
        return StreamingResponse(chain([first], pieces), status, lengthy)

    async def _made(self, order: _Order, client: str) -> bytes:
        return await self._queue.make(client, order.key, partial(_rendered, self._context, order))


# ---- what is asked for


def _order(
    context: Context,
    cloud: str,
    path: str,
    accepts: str,
    allowed: Callable[[Address], Sequence[Reading]],
) -> _Order:
    if cloud != context.cloud_name:
        raise NotFound(f"there is no cloud {cloud[:100]!r} here")
    address = delivery_urls.parse(path)
    asset, reading = _found(context, allowed(address))
    wanted = _in_format(_asked(context, reading), reading.format, asset)
    _check_kind(asset, wanted)
    if not wanted.keeps_file and asset.width and asset.height:
        context.renderer.price(wanted, (asset.width, asset.height))
    varies = wanted.format == "auto"
    return _Order(
        asset,
        wanted.accepting("webp") if varies and "image/webp" in accepts else wanted,
        is_original=wanted.keeps_file,
        is_pinned=reading.version == asset.version and not wanted.needs_faces,
        varies=varies,
    )


def _allowed(context: Context, address: Address, *, is_open: bool) -> Sequence[Reading]:
    """The readings that this client may see; the answer is the same whether they exist or not."""
    first = address.readings[0]
    if not address.signature and first.key.type == "upload" and is_open:
        return address.readings
    secrets = [key.secret for key in context.keys()]  # noqa: SIM118 - no mapping
    signed = [
        reading
        for reading in address.readings
        if signing.is_delivery(reading.signed, address.signature, secrets)
    ]
    if not signed:
        raise ApiError(_UNAUTHORIZED, "Invalid or missing signature of the delivery URL")
    return signed


def _found(context: Context, readings: Sequence[Reading]) -> tuple[Asset, Reading]:
    for reading in readings:
        asset = context.media.get(reading.key)
        if asset:
            return asset, reading
    for reading in readings:
        asset = _placeholder(context, reading)
        if asset:
            return asset, replace(reading, version=None)
    raise NotFound(f"Resource not found - {readings[0].key.public_id[:200]}")


def _placeholder(context: Context, reading: Reading) -> Asset | None:
    """The image that ``d_`` names, which is public as the ones of other URLs are."""
    if reading.key.resource_type != "image" or not reading.transformation:
        return None
    try:
        name = _asked(context, reading).placeholder
    except Rejected:  # not how this URL is meant
        return None
    return context.media.get(AssetKey(name)) if name else None


def _asked(context: Context, reading: Reading) -> Transformation:
    named = partial(attributes.named_transformation, context)
    return transformations.parse(reading.transformation, named)


def _in_format(asked: Transformation, extension: str, asset: Asset) -> Transformation:
    """The extension counts where no step names a format."""
    name = plain_format(extension)
    if asked.format or name in {"", plain_format(asset.format)}:
        return asked
    return asked.in_format(name)


def _check_kind(asset: Asset, wanted: Transformation) -> None:
    if asset.resource_type != "image" and not wanted.keeps_file:
        raise Rejected(
            f"transformations of the resource type {asset.resource_type} are unsupported"
        )


# ---- originals


def _pieces(media: MediaLibrary, asset: Asset, part: range) -> Iterator[bytes]:
    """The bytes of a part; a whole file that is not what was uploaded never comes to its end."""
    digest = hashlib.sha256()
    for start in part[::_PIECE]:
        piece = media.fetch_part(asset, range(start, min(start + _PIECE, part.stop)))
        digest.update(piece)
        is_end = start + len(piece) == asset.bytes == len(part)
        if is_end and digest.hexdigest() != asset.etag:
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        yield piece


# ---- making images; in a thread of their own pool


def _rendered(context: Context, order: _Order) -> bytes:
    data = context.media.fetch(order.asset)
    regions = _regions(context, order.asset, data) if order.transformation.needs_faces else None
    regions = regions or Regions((), _first_box(order.asset, "custom_coordinates"))
    made = context.renderer.render(data, order.transformation, regions).data
    context.derived.put(order.asset.etag, order.key, made)
    if context.media.asset(order.asset.asset_id) is None:  # deleted while we worked
        context.derived.drop(order.asset.etag)
    return made


def _regions(context: Context, asset: Asset, data: bytes) -> Regions:
    """Faces where somebody said they are, else where they were found."""
    given = _boxes(asset, "face_coordinates") or _detected(context, asset, data)
    return Regions(given, _first_box(asset, "custom_coordinates"))


def _detected(context: Context, asset: Asset, data: bytes) -> tuple[Box, ...]:
    kept = context.derived.get(asset.etag, "faces")
    if kept is not None:
        return tuple(Box(*corners) for corners in json.loads(kept))
    boxes = tuple(context.detect(data))
    rows = [(box.left, box.top, box.width, box.height) for box in boxes]
    context.derived.put(asset.etag, "faces", json.dumps(rows).encode())
    return boxes


def _regions_given(asset: Asset) -> tuple[JsonValue, JsonValue]:
    return asset.details.get("face_coordinates"), asset.details.get("custom_coordinates")


def _first_box(asset: Asset, name: str) -> Box | None:
    return next(iter(_boxes(asset, name)), None)


def _boxes(asset: Asset, name: str) -> tuple[Box, ...]:
    """Areas given in pixels of the original, as ratios."""
    rows = asset.details.get(name)
    if not isinstance(rows, list) or not asset.width or not asset.height:
        return ()
    return tuple(box for row in rows for box in _box(row, asset.width, asset.height))


def _box(row: JsonValue, width: int, height: int) -> list[Box]:
    match row:
        case [
            int() | float() as x,
            int() | float() as y,
            int() | float() as w,
            int() | float() as h,
        ]:
            return [Box(x / width, y / height, w / width, h / height)]
    return []


# ---- the answer


def _representation(order: _Order) -> Representation:
    digest = hashlib.sha256(order.key.encode("utf-8", "surrogatepass")).hexdigest()
    etag = order.asset.etag if order.is_original else digest[:32]
    modified = order.asset.updated_at or order.asset.created_at
    return Representation(etag, modified, _headers(order))


def _headers(order: _Order) -> dict[str, str]:
    scope = "public" if order.asset.type == "upload" else "private"
    lasting = f"{scope}, max-age={_YEAR}, immutable" if order.is_pinned else f"{scope}, no-cache"
    headers = {"Cache-Control": lasting}
    if order.varies:
        headers["Vary"] = "Accept"
    name = order.transformation.attachment
    if name is not None or (order.is_original and _media_type(order.asset) == _BINARY):
        headers["Content-Disposition"] = _attachment(order.asset, name or "")
    return headers


def _attachment(asset: Asset, name: str) -> str:
    base = name or asset.public_id.rpartition("/")[2]
    extension = f".{asset.format}" if asset.resource_type != "raw" and asset.format else ""
    return f"attachment; filename*=UTF-8''{quote(base + extension, safe='')}"


def _media_type(asset: Asset) -> str:
    """Of an original; whatever a browser may run or has to guess is only a file."""
    is_raw = asset.resource_type == "raw"
    extension = asset.public_id.rpartition(".")[2] if is_raw else asset.format
    return _TYPES.get(plain_format(extension), _BINARY)


def _sniffed(data: bytes) -> str:
    """Of an image that we made."""
    return next(_TYPES[name] for name, start in _SIGNATURES.items() if start.match(data))
