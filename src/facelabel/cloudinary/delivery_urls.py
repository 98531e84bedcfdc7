"""Delivery URLs, read.

::

    /<resource_type>/<type>/[s--SIGNATURE--/][step/…][v<version>/]<public_id>[.<format>]

Nothing says where the steps end and the public_id begins: a folder may be called ``w_100``. So a
URL has several readings, and the library knows which of them is an asset. A version settles it;
without one the longest public_id that exists is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from facelabel.cloudinary import transformations
from facelabel.errors import NotFound, Rejected
from facelabel.media.types import AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Characters of a path, percent-decoded.
MAX_LENGTH = 8192
RESOURCE_TYPES = frozenset({"image", "video", "raw"})
TYPES = frozenset({"upload", "private", "authenticated"})

_SIGNATURE = re.compile(r"s--.*--")
_VERSION = re.compile(r"v(\d{1,18})", re.ASCII)
_NAMED = re.compile(r"(.*[^/])\.(\w{1,10})", re.DOTALL | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand a URL."""

    key: AssetKey
    #: Steps as they stand in the URL; "" is the original.
    transformation: str
    #: None where the URL has none.
    version: int | None
    #: The extension; "" if there is none, or if it belongs to the public_id.
    format: str
    #: What a signature of the URL signs.
    signed: str


@dataclass(frozen=True, slots=True)
class Address:
    """A delivery URL below the cloud's name."""

    #: ``s--…--``, "" if there is none.
    signature: str
    #: The likeliest first; the first whose asset exists is meant.
    readings: tuple[Reading, ...]


def parse(path: str) -> Address:
    """Read what stands after the cloud's name, percent-decoded once.

    Raises NotFound for what cannot be a delivery URL, Rejected for one that is too long or has
    characters no public_id has.
    """
    if len(path) > MAX_LENGTH:
        raise Rejected(f"the path of a delivery URL has at most {MAX_LENGTH} characters")
    if _CONTROL.search(path):
        raise Rejected("a delivery URL has no control characters")
    segments = [part for part in path.split("/") if part]
    kind, rest = segments[:2], segments[2:]
    signature = rest.pop(0) if rest and _SIGNATURE.fullmatch(rest[0]) else ""
    if not rest or kind[0] not in RESOURCE_TYPES or kind[1] not in TYPES:
        raise NotFound("there is nothing at this address")
    return Address(signature, tuple(_readings(rest, *kind)))


def _readings(segments: Sequence[str], resource_type: str, type_: str) -> Iterator[Reading]:
    for steps, version, name in _splits(segments):
        for public_id, format_ in _names("/".join(name), resource_type):
            yield Reading(
                AssetKey(public_id, resource_type, type_),
                "/".join(steps),
                version,
                format_,
                _signed(steps, name),
            )


def _splits(segments: Sequence[str]) -> Iterator[tuple[Sequence[str], int | None, Sequence[str]]]:
    """Steps, version, parts of the name with extension."""
    most = _leading_steps(segments)
    marker = _VERSION.fullmatch(segments[most]) if most < len(segments) - 1 else None
    if marker:
        yield segments[:most], int(marker[1]), segments[most + 1 :]
    for count in range(most + 1):
        if segments[count:]:
            yield segments[:count], None, segments[count:]


def _leading_steps(segments: Sequence[str]) -> int:
    """How many of the first segments can be steps; the last segment is a name."""
    for index, segment in enumerate(segments[:-1]):
        if index == transformations.MAX_STEPS or not transformations.looks_like_step(segment):
            return index
    return max(len(segments) - 1, 0)


def _names(name: str, resource_type: str) -> Iterator[tuple[str, str]]:
    """Public_id and format; a raw file's extension is part of its public_id."""
    found = _NAMED.fullmatch(name)
    if found and resource_type != "raw":
        yield found[1], found[2]
    yield name, ""


def _signed(steps: Sequence[str], name: Sequence[str]) -> str:
    # Not unquoted first, as SDKs do: two public_ids would share one signature.
    escaped = quote("/".join(name), safe="_.-/:").replace("~", "%7E")
    return "/".join([*steps, escaped])
