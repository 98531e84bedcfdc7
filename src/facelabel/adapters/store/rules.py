"""What public_ids, folders, tags and context may look like: Cloudinary's rules.

Text is compared after normalisation to NFC, so that a name typed on a Mac and the same name
typed elsewhere are one. Every function raises Rejected, saying what is wrong.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Characters in a public_id, a folder, a tag, a context key.
LENGTH = 255
TAGS = 1000
CONTEXT_KEYS = 1000
CONTEXT_VALUE = 1024

_FORBIDDEN = "?&#\\%<>+"
_CLEANED = re.compile(f"[{re.escape(_FORBIDDEN)}]")
_UNPRINTABLE = {"Cc", "Cs"}  # control characters, halves of surrogate pairs


def public_id(text: str) -> str:
    """The public_id, normalised."""
    return _path(unicodedata.normalize("NFC", text), "public_id")


def folder(text: str) -> str:
    """The folder, normalised, without the slashes around it; "" is the root."""
    path = unicodedata.normalize("NFC", text).strip("/")
    return _path(path, "folder") if path else ""


def file_name(text: str) -> str:
    """The last part of a path of any system, fit to be kept; this one never refuses."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1])
    return "".join("_" if _is_unprintable(char) else char for char in name)[:LENGTH]


def default_public_id(in_folder: str, filename: str, suffix: int) -> str:
    """A public_id made of folder and file name, leaving room for ``suffix`` characters."""
    stem = _CLEANED.sub("_", PurePosixPath(file_name(filename)).stem).strip()
    stem = stem if stem not in {"", "..", "."} else "image"
    path = f"{in_folder}/{stem}" if in_folder else stem
    return public_id(path[: LENGTH - suffix].rstrip())


def tags(texts: Iterable[str]) -> list[str]:
    """The tags, normalised, each once, in their order."""
    return list(dict.fromkeys(_tag(text) for text in texts))


def merged_context(old: Mapping[str, str], new: Mapping[str, str | None]) -> dict[str, str]:
    """Contextual metadata after a change; None removes a key."""
    changes = {_context_key(key): _context_value(key, value) for key, value in new.items()}
    merged = {**old, **changes}
    _require(len(merged) <= CONTEXT_KEYS, f"an asset has at most {CONTEXT_KEYS} context keys")
    return {key: value for key, value in merged.items() if value is not None}


def _path(path: str, what: str) -> str:
    _require(len(path) <= LENGTH, f"{what} is longer than {LENGTH} characters")
    _require(_is_printable(path), f"{what} {path!r} has a control character in it")
    bad = sorted(set(path) & set(_FORBIDDEN))
    _require(not bad, f"{what} {path!r} may not contain {' '.join(bad)}")
    for part in path.split("/"):
        _require(part not in {"", ".", ".."}, f"{what} {path!r} has an empty or dotted part")
        _require(part == part.strip(), f"{what} {path!r} has a part with a space at its end")
    return path


def _tag(text: str) -> str:
    tag = unicodedata.normalize("NFC", text).strip()
    _require(bool(tag), "a tag is empty")
    _require(len(tag) <= LENGTH, f"a tag is longer than {LENGTH} characters: {tag[:40]}…")
    _require("," not in tag, f"a tag may not contain a comma: {tag!r}")
    _require(_is_printable(tag), f"a tag has a control character in it: {tag!r}")
    return tag


def _context_key(text: str) -> str:
    key = unicodedata.normalize("NFC", text).strip()
    _require(0 < len(key) <= LENGTH, f"a context key has 1 to {LENGTH} characters")
    _require(_is_printable(key), f"a context key has a control character in it: {key!r}")
    return key


def _context_value(key: str, value: str | None) -> str | None:
    if value is not None:
        _require(len(value) <= CONTEXT_VALUE, f"context {key!r} exceeds {CONTEXT_VALUE} characters")
        _require(_is_printable(value, "\n\t"), f"context {key!r} has a control character in it")
    return value


def _is_printable(text: str, allowed: str = "") -> bool:
    return not any(_is_unprintable(char) for char in text if char not in allowed)


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _UNPRINTABLE


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise Rejected(message)
