"""What Cloudinary cannot take, refused before it is sent and misread. Raises Rejected."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from facelabel.errors import Rejected
from facelabel.media.types import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORBIDDEN_IN_NAMES = re.compile(r"[?&#\\%<>+\x00-\x1f]")


def tags(texts: Iterable[str]) -> list[str]:
    """The tags, each once: the same tag twice in one call is answered with a server error."""
    return list(dict.fromkeys(_tag(text) for text in texts))


def context(values: Mapping[str, str]) -> dict[str, str]:
    """Contextual metadata with its keys escaped; the SDK escapes the values."""
    for key, value in values.items():
        if value.endswith("\\"):  # it would take the meaning from the separator behind it
            raise Rejected(f"the context {key!r} may not end with a backslash")
    return {_context_key(key): value for key, value in values.items()}


def file_stem(filename: str) -> str:
    """The file name without folders and ending, fit to be part of a public_id."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", filename)[-1])
    stem = _FORBIDDEN_IN_NAMES.sub("_", name.rpartition(".")[0] or name).strip()
    return stem if stem.strip(".") else "image"


def _tag(text: str) -> str:
    if not text.strip():
        raise Rejected("a tag is empty")
    if "," in text:
        raise Rejected(f"a tag may not contain a comma, at which Cloudinary splits tags: {text!r}")
    if len(text) > MAX_NAME:
        raise Rejected(f"a tag is longer than {MAX_NAME} characters: {text[:40]}…")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Rejected(f"a tag has a control character in it: {text!r}")
    return text


def _context_key(key: str) -> str:
    if not key.strip() or key.endswith("\\"):
        raise Rejected(f"{key!r} is no key of contextual metadata")
    return key.replace("=", r"\=").replace("|", r"\|")
