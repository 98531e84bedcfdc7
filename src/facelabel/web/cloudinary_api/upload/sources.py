"""Where an uploaded file comes from: the request, requests before it, another server, or a text.

A file that is uploaded in parts, each a request of its own, grows on disk in the order of its
parts; a part sent again overwrites itself. What nobody completes within a day is deleted, and all
unfinished files together have a limit. Uploads without a key have another one, and an hour, lest
anybody fill what the others need.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from facelabel.errors import Busy, Rejected, Unavailable
from facelabel.web.http import ApiError
from facelabel.web.http.budget import storing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import FilePart, Received
    from facelabel.web.http.budget import Lanes

_REMOTE = re.compile(r"https?://", re.IGNORECASE)
#: Bytes that tell an address from a file, blanks before it included.
_BEGINNING = 100
_DATA = re.compile(r"data:(?P<type>[\w.+/-]*)(?:;[\w.+=-]*)*;base64,", re.IGNORECASE)
#: Bytes that every part but the last one has at least.
SMALLEST = 5 << 20
#: Unfinished files on disk, in files of the largest size, and the seconds that they are kept …
_UNFINISHED = 10
_DAY = 86_400.0
#: … and of those who have no key.
_UNFINISHED_OPEN = 2
_HOUR = 3_600.0
_OPEN = "open"
_LOCK_SECONDS = 60.0
_PRIVATE = 0o600
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(-1|\*|\d{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it came."""

    data: bytes = field(repr=False)
    #: "" if it has none.
    filename: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A file that is not complete."""

    #: Bytes so far.
    received: int
    filename: str


def lanes(context: Context, received: Received) -> Lanes:
    """The threads for an upload: it waits for another server, or has its file in memory."""
    part, text = received.files.get("file"), ""
    if part is None:
        text = received.params.text("file")
    elif part.is_text:
        text = part.file.read(_BEGINNING).decode("latin-1")
        part.file.seek(0)
    return context.fetches if _REMOTE.match(text.lstrip()) else context.uploads


def whole(context: Context, received: Received) -> Source | Progress:
    """The file of an upload, or how far it has come if this was not its last part.

    Raises ApiError where there is none, where it is empty or too large or not to be had.
    """
    part, content_range = received.files.get("file"), received.headers.get("content-range")
    if part is None:
        source = _from_text(context, received.params.required("file").strip())
    elif part.is_text:
        source = _from_text(context, _read(part))
    elif content_range is None:
        source = Source(part.file.read(), part.filename)
    else:
        stored = _stored(context, received, part, content_range)
        if isinstance(stored, int):
            return Progress(stored, part.filename)
        source = Source(stored, part.filename)
    if not source.data:
        raise ApiError(400, "Empty file")
    if len(source.data) > context.max_file_bytes:
        raise _too_large(len(source.data), context.max_file_bytes)
    return source


def _too_large(size: int, largest: int) -> ApiError:
    """The refusal of a file."""
    return ApiError(400, f"File size too large. Got {size}. Maximum is {largest}.")


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


def _from_text(context: Context, text: str) -> Source:
    if _REMOTE.match(text):
        return _fetched(context, text)
    found = _DATA.match(text)
    if found is None:
        raise ApiError(400, f"Unsupported source URL: {text[:100]}")
    return Source(_decoded(text[found.end() :]), "")


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


# ---- in parts


def _stored(
    context: Context, received: Received, part: FilePart, content_range: str
) -> int | bytes:
    """Keep a part; the file if that was the last one, else its size so far."""
    place = _place(context.scratch, context.max_file_bytes, has_key=received.key is not None)
    upload_id = received.headers.get("x-unique-upload-id", "")
    owner = received.key.key if received.key else ""
    span = _span(content_range, part.size, context.max_file_bytes)
    if not upload_id and not (span.start == 0 and span.is_last):
        raise ApiError(400, "Missing header X-Unique-Upload-Id")
    return place.add(f"{owner}/{upload_id}", span, part.file)


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the file a part belongs."""

    start: int
    #: Behind the last byte.
    end: int
    #: Of the file; None while the client does not know it.
    total: int | None

    @property
    def is_last(self) -> bool:
        """Whether the file ends with this part."""
        return self.end == self.total


def _span(content_range: str, size: int, max_file: int) -> Span:
    """Read ``Content-Range: bytes 0-99/200`` of a part of ``size`` bytes; ApiError, 400."""
    found = _RANGE.fullmatch(content_range.strip())
    if not found:
        raise ApiError(400, f"Invalid Content-Range {content_range[:80]!r}")
    start, end = int(found[1]), int(found[2]) + 1
    total = int(found[3]) if found[3].isdigit() else None
    if end - start != size or (total is not None and end > total):
        raise ApiError(400, f"Content-Range {content_range[:80]!r} does not fit {size} bytes")
    if max(end, total or 0) > max_file:
        raise _too_large(max(end, total or 0), max_file)
    part = Span(start, end, total)
    if size < SMALLEST and not part.is_last:
        raise ApiError(400, "All parts except EOF-chunk must be larger than 5mb")
    return part


def _place(folder: str, max_file: int, *, has_key: bool) -> Place:
    """Where the unfinished files are of who has a key, or of who has none.

    ``max_file``: bytes of the largest file.
    """
    if has_key:
        return Place(Path(folder), _UNFINISHED * max_file, _DAY)
    return Place(Path(folder, _OPEN), _UNFINISHED_OPEN * max_file, _HOUR)


class Place:
    """Unfinished files in a folder."""

    def __init__(self, folder: Path, limit: int, seconds: float) -> None:
        """``limit``: bytes of all, each of which is kept for so many ``seconds``."""
        self._folder = folder
        self._limit = limit
        self._seconds = seconds

    def add(self, name: str, part: Span, data: BinaryIO) -> int | bytes:
        """Write a part; return the file if that was the last one, else its size so far.

        ``name`` tells files apart; it may be anything. Raises ApiError (400) for a part that does
        not follow the one before, Busy or NoRoom where there is no room.
        """
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()
        with storing("a part of an upload", str(self._folder)), _alone(path):
            self._make_room(path, part.total or part.end)
            received = _written(path, part, data)
            if not part.is_last:
                return received
            complete = path.read_bytes()
            path.unlink()
            return complete

    def _make_room(self, path: Path, needed: int) -> None:
        """At every part: whoever does not know the size yet may go on for ever."""
        others = [self._kept(other) for other in self._folder.iterdir() if other != path]
        if sum(others) + needed > self._limit:
            raise Busy("too many unfinished uploads: try again later")

    def _kept(self, path: Path) -> int:
        """Bytes of a file that is still wanted; an abandoned one is deleted."""
        try:
            status = path.stat()
            if not S_ISREG(status.st_mode):
                return 0
            # The file system's clock, whatever ours says.
            if time.time() - status.st_mtime < self._seconds:
                return status.st_size
            path.unlink()
        except FileNotFoundError:  # it was completed just now
            pass
        return 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS, mode=_PRIVATE):
            yield
    except Timeout:
        raise Busy("another part of this file is being written") from None


def _written(path: Path, part: Span, data: BinaryIO) -> int:
    """Write at the part's place; return how many bytes the file has."""
    if part.start > (path.stat().st_size if path.exists() else 0):
        raise ApiError(400, f"Part {part.start}-{part.end - 1} came out of order: send in turn")
    with path.open("r+b" if part.start else "wb") as file:
        file.seek(part.start)
        shutil.copyfileobj(data, file)
        file.truncate()
        return file.tell()
