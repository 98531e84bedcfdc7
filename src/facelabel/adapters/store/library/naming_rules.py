"""What public_ids, folders, tags and context may look like: Cloudinary's rules.

Text is compared after normalisation to NFC, so that a name typed on a Mac and the same name
typed elsewhere are one. Every function raises Rejected, saying what is wrong.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.errors import Rejected
from facelabel.media.types import DELIVERY_TYPES, MAX_NAME, RESOURCE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from facelabel.core.model import JsonValue
    from facelabel.media.types import AssetKey

TAGS = 1000
CONTEXT_KEYS = 1000
CONTEXT_VALUE = 1024
#: Keys of structured metadata or of details, and characters of all of it as JSON.
VALUES = 1000
VALUES_LENGTH = 1_000_000

_FORBIDDEN = "?&#\\%<>+"
_CLEANED = re.compile(f"[{re.escape(_FORBIDDEN)}]")
#: Control characters, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: What a text of several lines may have.
_LINES = str.maketrans("", "", "\n\t")
#: In a delivery URL such a beginning is the version.
_VERSION = re.compile(r"v\d+/")


def public_id(text: str) -> str:
    """The public_id, normalised."""
    name = _path(unicodedata.normalize("NFC", text), "public_id")
    _require(not _VERSION.match(name), f"public_id {name!r} begins with a version number")
    return name


def key(key: AssetKey) -> AssetKey:
    """The name of an asset to be, normalised."""
    _require(key.resource_type in RESOURCE_TYPES, f"no resource_type: {key.resource_type!r}")
    return replace(key, public_id=public_id(key.public_id), type=delivery_type(key.type))


def delivery_type(text: str) -> str:
    """The delivery type."""
    _require(text in DELIVERY_TYPES, f"no delivery type: {text!r}")
    return text


def sought(text: str) -> str | None:
    """What to look for where somebody names something; None if nothing can have that name."""
    return None if _UNPRINTABLE.search(text) else unicodedata.normalize("NFC", text)


def sought_key(key: AssetKey) -> AssetKey | None:
    """What to look for where somebody names an asset; None if none can have that name."""
    name = sought(key.public_id)
    if name is None or key.resource_type not in RESOURCE_TYPES or key.type not in DELIVERY_TYPES:
        return None
    return replace(key, public_id=name)


def display_name(text: str) -> str:
    """The display name, normalised."""
    name = unicodedata.normalize("NFC", text).strip()
    _require(len(name) <= MAX_NAME, f"a display name is longer than {MAX_NAME} characters")
    _require(not _UNPRINTABLE.search(name), f"display name {name!r} has a control character in it")
    return name


def folder(text: str) -> str:
    """The folder, normalised, without the slashes around it; "" is the root."""
    path = unicodedata.normalize("NFC", text).strip("/")
    return _path(path, "folder") if path else ""


def file_name(text: str) -> str:
    """The last part of a path of any system, fit to be kept; this one never refuses."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1])
    return _UNPRINTABLE.sub("_", name)[:MAX_NAME]


def document_name(text: str) -> str:
    """The name of a document, normalised."""
    name = unicodedata.normalize("NFC", text)
    _require(0 < len(name) <= MAX_NAME, f"a name has 1 to {MAX_NAME} characters")
    _require(not _UNPRINTABLE.search(name), f"the name {name!r} has a control character in it")
    return name


def default_public_id(in_folder: str, filename: str, suffix: int) -> str:
    """A public_id made of folder and file name, leaving room for ``suffix`` characters."""
    stem = _CLEANED.sub("_", PurePosixPath(file_name(filename)).stem).strip()
    stem = stem if stem not in {"", "..", "."} else "image"
    path = f"{in_folder}/{stem}" if in_folder else stem
    path = f"_{path}" if _VERSION.match(path) else path
    return public_id(path[: MAX_NAME - suffix].rstrip())


def tags(texts: Iterable[str]) -> list[str]:
    """The tags, normalised, each once, in their order."""
    return list(dict.fromkeys(_tag(text) for text in texts))


def all_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Every tag of one asset: each once, and not too many."""
    unique = tuple(dict.fromkeys(tags))
    _require(len(unique) <= TAGS, f"an asset has at most {TAGS} tags")
    return unique


def merged_context(old: Mapping[str, str], new: Mapping[str, str | None]) -> dict[str, str]:
    """Contextual metadata after a change; None removes a key."""
    changes = {_context_key(key): _context_value(key, value) for key, value in new.items()}
    merged = {**old, **changes}
    _require(len(merged) <= CONTEXT_KEYS, f"an asset has at most {CONTEXT_KEYS} context keys")
    return {key: value for key, value in merged.items() if value is not None}


def merged_values(
    old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Structured metadata, or details, after a change; None removes a key."""
    merged = {**old, **{_value_key(key): value for key, value in new.items()}}
    kept: dict[str, JsonValue] = {key: v for key, v in merged.items() if v is not None}
    _require(len(kept) <= VALUES, f"an asset has at most {VALUES} metadata fields")
    _require(not new or len(json.dumps(kept)) <= VALUES_LENGTH, "there is too much metadata")
    return kept


def _value_key(text: str) -> str:
    _require(0 < len(text) <= MAX_NAME, f"a metadata field's id has 1 to {MAX_NAME} characters")
    _require(
        not _UNPRINTABLE.search(text),
        f"a metadata field's id has a control character in it: {text!r}",
    )
    return text


def _path(path: str, what: str) -> str:
    _require(len(path) <= MAX_NAME, f"{what} is longer than {MAX_NAME} characters")
    _require(not _UNPRINTABLE.search(path), f"{what} {path!r} has a control character in it")
    bad = sorted(set(path) & set(_FORBIDDEN))
    _require(not bad, f"{what} {path!r} may not contain {' '.join(bad)}")
    for part in path.split("/"):
        _require(part not in {"", ".", ".."}, f"{what} {path!r} has an empty or dotted part")
        _require(part == part.strip(), f"{what} {path!r} has a part with a space at its end")
    return path


def _tag(text: str) -> str:
    tag = unicodedata.normalize("NFC", text).strip()
    _require(bool(tag), "a tag is empty")
    _require(len(tag) <= MAX_NAME, f"a tag is longer than {MAX_NAME} characters: {tag[:40]}…")
    _require("," not in tag, f"a tag may not contain a comma: {tag!r}")
    _require(not _UNPRINTABLE.search(tag), f"a tag has a control character in it: {tag!r}")
    return tag


def _context_key(text: str) -> str:
    key = unicodedata.normalize("NFC", text).strip()
    _require(0 < len(key) <= MAX_NAME, f"a context key has 1 to {MAX_NAME} characters")
    _require(not _UNPRINTABLE.search(key), f"a context key has a control character in it: {key!r}")
    return key


def _context_value(key: str, value: str | None) -> str | None:
    if value is not None:
        _require(len(value) <= CONTEXT_VALUE, f"context {key!r} exceeds {CONTEXT_VALUE} characters")
        line = value.translate(_LINES)
        _require(not _UNPRINTABLE.search(line), f"context {key!r} has a control character in it")
    return value


def _require(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise Rejected(message)
