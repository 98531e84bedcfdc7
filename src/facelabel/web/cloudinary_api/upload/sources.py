"""Where an uploaded file comes from: the request, another server, or a text."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.errors import Busy, Rejected, Unavailable
from facelabel.web.cloudinary_api.upload import chunks
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import FilePart, Received

_REMOTE = re.compile(r"https?://", re.IGNORECASE)
#: Bytes that tell an address from a file, blanks before it included.
_BEGINNING = 100
_DATA = re.compile(r"data:(?P<type>[\w.+/-]*)(?:;[\w.+=-]*)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it came."""

    data: bytes = field(repr=False)
    #: "" if it has none.
    filename: str


def whole(context: Context, received: Received) -> Source | chunks.Progress:
    """The file of an upload, or how far it has come if this was not its last part.

    Raises ApiError where there is none, where it is empty or too large or not to be had.
    """
    part = received.files.get("file")
    if part is None:
        return _from_text(context, received.params.required("file").strip())
    if part.is_text:
        return _from_text(context, _read(part))
    content_range = received.headers.get("content-range")
    if content_range is None:
        return _limited(context, Source(part.file.read(), part.filename))
    return _from_parts(context, received, part, content_range)


def _from_parts(
    context: Context, received: Received, part: FilePart, content_range: str
) -> Source | chunks.Progress:
    place = chunks.place(context.scratch, context.max_file_bytes, has_key=received.key is not None)
    upload_id = received.headers.get("x-unique-upload-id", "")
    owner = received.key.key if received.key else ""
    span = chunks.span(content_range, part.size, context.max_file_bytes)
    if not upload_id and not (span.start == 0 and span.is_last):
        raise ApiError(400, "Missing header X-Unique-Upload-Id")
    stored = place.add(f"{owner}/{upload_id}", span, part.file)
    if isinstance(stored, int):
        return chunks.Progress(stored, part.filename)
    return _limited(context, Source(stored, part.filename))


def _read(part: FilePart) -> str:
    """A text that was kept as a file."""
    try:
        text = part.file.read().decode().strip()
    except UnicodeDecodeError:
        raise ApiError(400, "Parameter 'file' is not Unicode text") from None
    if "\0" in text:
        raise ApiError(400, "Parameter 'file' has a NUL character in it")
    if not text:
        raise ApiError(400, "Missing required parameter - file")
    return text


def is_elsewhere(received: Received) -> bool:
    """Whether another server has the file, for which somebody will have to wait."""
    part = received.files.get("file")
    if part is None:
        return bool(_REMOTE.match(received.params.text("file").lstrip()))
    beginning = part.file.read(_BEGINNING) if part.is_text else b""
    part.file.seek(0)
    return bool(_REMOTE.match(beginning.decode("latin-1").lstrip()))


def _from_text(context: Context, text: str) -> Source:
    if _REMOTE.match(text):
        return _limited(context, _fetched(context, text))
    found = _DATA.match(text)
    if found is None:
        raise ApiError(400, f"Unsupported source URL: {text[:100]}")
    return _limited(context, Source(_decoded(text[found.end() :]), ""))


def _fetched(context: Context, url: str) -> Source:
    try:
        data, filename = context.fetch(url)
    except Rejected as error:
        raise ApiError(400, f"{_loading(url)} - {error}") from None
    except Unavailable as error:  # of a server that the client named itself
        raise Busy(f"{_loading(url)} - {error}", retry_after=error.retry_after) from error
    return Source(data, filename)


def _loading(url: str) -> str:
    """What is said of an address; what follows "?" may be a secret."""
    return f"Error in loading {url.partition('?')[0][:200]}"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, "Invalid base64 in the data URI") from None


def _limited(context: Context, source: Source) -> Source:
    if not source.data:
        raise ApiError(400, "Empty file")
    if len(source.data) > context.max_file_bytes:
        raise chunks.too_large(len(source.data), context.max_file_bytes)
    return source
