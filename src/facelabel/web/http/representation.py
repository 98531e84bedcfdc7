"""Bytes as an HTTP answer: conditions, ranges and what browsers may do with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers

_OK, _PARTIAL, _NOT_MODIFIED, _UNSATISFIABLE = 200, 206, 304, 416
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)
#: Whatever a file says it is, it never becomes a page that acts for this server.
_INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Representation:
    """What is known of an answer before its bytes are."""

    #: Names these very bytes; without quotes.
    etag: str
    #: Seconds since the epoch.
    modified: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """With those that every answer has."""
        modified = datetime.fromtimestamp(int(self.modified), UTC)
        return {
            **_INERT,
            "ETag": f'"{self.etag}"',
            "Last-Modified": format_datetime(modified, usegmt=True),
            "Accept-Ranges": "bytes",
            **self.headers,
        }


def unchanged(asked: Headers, known: Representation) -> Response | None:
    """The answer to a client that has the bytes already; None if it has not."""
    if not _has(asked, known):
        return None
    return Response(status_code=_NOT_MODIFIED, headers=known.all_headers)


def sized(known: Representation, size: int, media_type: str) -> Response:
    """The answer to HEAD."""
    headers = known.all_headers | {"Content-Length": str(size), "Content-Type": media_type}
    return Response(headers=headers)


class Head(NamedTuple):
    """An answer but for its bytes."""

    status: int
    headers: Mapping[str, str]
    #: Which bytes of the whole follow.
    part: range


def head(asked: Headers, known: Representation, size: int, media_type: str) -> Head:
    """What to answer: everything, or a range; several ranges at once are answered with everything.

    ``size``: bytes of everything.
    """
    headers = known.all_headers | {"Content-Type": media_type}
    found = _RANGE.fullmatch(asked.get("range", "").strip())
    if found is None or not _is_current(asked, known):
        return Head(_OK, headers, range(size))
    part = _part(found, size)
    if not part:
        return Head(_UNSATISFIABLE, _INERT | {"Content-Range": f"bytes */{size}"}, part)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return Head(_PARTIAL, headers, part)


def whole_or_part(asked: Headers, known: Representation, data: bytes, media_type: str) -> Response:
    """The bytes, or those of a range."""
    status, headers, part = head(asked, known, len(data), media_type)
    return Response(data[part.start : part.stop], status, headers)


def _has(asked: Headers, known: Representation) -> bool:
    """If-None-Match counts before If-Modified-Since, which is only exact to the second."""
    if "if-none-match" in asked:
        tags = asked["if-none-match"].split(",")
        return any(tag.strip().removeprefix("W/") in {"*", f'"{known.etag}"'} for tag in tags)
    since = _time(asked.get("if-modified-since", ""))
    return since is not None and int(known.modified) <= since


def _is_current(asked: Headers, known: Representation) -> bool:
    """Whether the range asked for belongs to these bytes."""
    condition = asked.get("if-range")
    return condition is None or condition == f'"{known.etag}"'


def _part(found: re.Match[str], size: int) -> range:
    if found[3]:
        return range(max(0, size - int(found[3])), size)
    stop = min(int(found[2]) + 1, size) if found[2] else size
    return range(int(found[1]), stop)


def _time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
