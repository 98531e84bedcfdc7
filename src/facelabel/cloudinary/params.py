"""How Cloudinary's parameters are written: booleans, tags, context, metadata, coordinates.

Every function raises Rejected for what cannot be read.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import JsonValue

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
#: A separator not escaped. A backslash is not escaped itself: a value that ends with one, and
#: is not the last, cannot be told from one that goes on.
_PIPE = re.compile(r"(?<!\\)\|")
_EQUALS = re.compile(r"(?<!\\)=")
_ESCAPED = re.compile(r"\\([=|])")
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
_BOX = 4
#: Regions of one picture.
REGIONS = 1000


def text(value: JsonValue) -> str:
    """A single value as it stands in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        raise Rejected("a list was given where one value is expected")
    return "" if value is None else str(value)


def boolean(value: str) -> bool:
    """1 or true, 0 or false: Cloudinary's own clients send either."""
    lower = value.strip().lower()
    if lower not in _YES | _NO:
        raise Rejected(f"{value[:40]!r} is neither true nor false")
    return lower in _YES


def tags(value: JsonValue) -> list[str]:
    """Tags of a list or of one text with commas, each once, in their order.

    A comma cannot be escaped, in neither form: it always separates.
    """
    texts = value if isinstance(value, list) else [value]
    parts = [part.strip() for item in texts for part in text(item).split(",")]
    return list(dict.fromkeys(part for part in parts if part))


def context(value: str) -> dict[str, str]:
    r"""Contextual metadata: ``key=value|key=value``, "=" and "|" in a value with a backslash."""
    return dict(_pair(part, "context") for part in _PIPE.split(value) if part)


def metadata(value: str) -> dict[str, str]:
    """Structured metadata by external_id: as context, the value of a set being a JSON list."""
    return dict(_pair(part, "metadata") for part in _PIPE.split(value) if part)


def coordinates(value: str) -> list[list[float]]:
    """Regions ``x,y,width,height|…`` in pixels of the original."""
    regions = [_region(part) for part in value.split("|") if part]
    if len(regions) > REGIONS:
        raise Rejected(f"there may be {REGIONS} regions")
    return regions


def clipped(regions: Sequence[Sequence[float]], width: int, height: int) -> list[list[float]]:
    """Regions no larger than a picture, as Cloudinary cuts those of an upload."""
    return [[x, y, min(w, width), min(h, height)] for x, y, w, h in regions]


def _pair(part: str, what: str) -> tuple[str, str]:
    found = _EQUALS.search(part)
    if not found or not found.start():
        raise Rejected(f"Invalid {what}: {part[:80]!r} is no key=value")
    key, item = part[: found.start()], part[found.end() :]
    return _unescaped(key), _unescaped(item)


def _unescaped(part: str) -> str:
    return _ESCAPED.sub(r"\1", part)


def _region(part: str) -> list[float]:
    numbers = [number.strip() for number in part.split(",")]
    if len(numbers) != _BOX or not all(map(_NUMBER.fullmatch, numbers)):
        raise Rejected(f"Invalid coordinates {part[:80]!r}: x,y,width,height are expected")
    return [_number(number) for number in numbers]


def _number(digits: str) -> float:
    value = float(digits)
    return int(value) if math.floor(value) == value else value
