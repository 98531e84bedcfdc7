"""What becomes of an asset, and what its names, tags and context may look like: Cloudinary's rules.

Pure functions from the asset as it is to the one it shall be. Text is compared after normalisation
to NFC, so that a name typed on a Mac and the same name typed elsewhere are one. Every function
raises Rejected, saying what is wrong.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
import uuid
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.core.model import Asset
from facelabel.errors import Rejected
from facelabel.media.types import (
    DELIVERY_TYPES,
    MAX_NAME,
    RESOURCE_TYPES,
    AssetChange,
    AssetKey,
    ChangeKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.core.model import JsonValue
    from facelabel.media.types import Edit, Upload

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
    if _VERSION.match(name):
        raise Rejected(f"public_id {name!r} begins with a version number")
    return name


def key(key: AssetKey) -> AssetKey:
    """The name of an asset to be, normalised."""
    if key.resource_type not in RESOURCE_TYPES:
        raise Rejected(f"no resource_type: {key.resource_type!r}")
    return replace(key, public_id=public_id(key.public_id), type=delivery_type(key.type))


def delivery_type(text: str) -> str:
    """The delivery type."""
    if text not in DELIVERY_TYPES:
        raise Rejected(f"no delivery type: {text!r}")
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
    if len(name) > MAX_NAME:
        raise Rejected(f"a display name is longer than {MAX_NAME} characters")
    if _UNPRINTABLE.search(name):
        raise Rejected(f"display name {name!r} has a control character in it")
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
    if not 0 < len(name) <= MAX_NAME:
        raise Rejected(f"a name has 1 to {MAX_NAME} characters")
    if _UNPRINTABLE.search(name):
        raise Rejected(f"the name {name!r} has a control character in it")
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
    found: dict[str, None] = {}
    for text in texts:
        tag = unicodedata.normalize("NFC", text).strip()
        if not tag:
            raise Rejected("a tag is empty")
        if len(tag) > MAX_NAME:
            raise Rejected(f"a tag is longer than {MAX_NAME} characters: {tag[:40]}…")
        if "," in tag:
            raise Rejected(f"a tag may not contain a comma: {tag!r}")
        if _UNPRINTABLE.search(tag):
            raise Rejected(f"a tag has a control character in it: {tag!r}")
        found[tag] = None
    return list(found)


def all_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Every tag of one asset: each once, and not too many."""
    unique = tuple(dict.fromkeys(tags))
    if len(unique) > TAGS:
        raise Rejected(f"an asset has at most {TAGS} tags")
    return unique


def merged_context(old: Mapping[str, str], new: Mapping[str, str | None]) -> dict[str, str]:
    """Contextual metadata after a change; None removes a key."""
    merged: dict[str, str | None] = {**old}
    for text, value in new.items():
        key = unicodedata.normalize("NFC", text).strip()
        if not 0 < len(key) <= MAX_NAME:
            raise Rejected(f"a context key has 1 to {MAX_NAME} characters")
        if _UNPRINTABLE.search(key):
            raise Rejected(f"a context key has a control character in it: {key!r}")
        if value is not None and len(value) > CONTEXT_VALUE:
            raise Rejected(f"context {text!r} exceeds {CONTEXT_VALUE} characters")
        if value is not None and _UNPRINTABLE.search(value.translate(_LINES)):
            raise Rejected(f"context {text!r} has a control character in it")
        merged[key] = value
    if len(merged) > CONTEXT_KEYS:
        raise Rejected(f"an asset has at most {CONTEXT_KEYS} context keys")
    return {key: value for key, value in merged.items() if value is not None}


def merged_values(
    old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]
) -> Mapping[str, JsonValue]:
    """Structured metadata, or details, after a change; None removes a key."""
    if not new:
        return old
    for key in new:
        if not 0 < len(key) <= MAX_NAME:
            raise Rejected(f"a metadata field's id has 1 to {MAX_NAME} characters")
        if _UNPRINTABLE.search(key):
            raise Rejected(f"a metadata field's id has a control character in it: {key!r}")
    merged = {**old, **new}
    kept: dict[str, JsonValue] = {key: v for key, v in merged.items() if v is not None}
    if len(kept) > VALUES:
        raise Rejected(f"an asset has at most {VALUES} metadata fields")
    if len(json.dumps(kept)) > VALUES_LENGTH:
        raise Rejected("there is too much metadata")
    return kept


def _path(path: str, what: str) -> str:
    if len(path) > MAX_NAME:
        raise Rejected(f"{what} is longer than {MAX_NAME} characters")
    if _UNPRINTABLE.search(path):
        raise Rejected(f"{what} {path!r} has a control character in it")
    if bad := sorted(set(path) & set(_FORBIDDEN)):
        raise Rejected(f"{what} {path!r} may not contain {' '.join(bad)}")
    for part in path.split("/"):
        if part in {"", ".", ".."}:
            raise Rejected(f"{what} {path!r} has an empty or dotted part")
        if part != part.strip():
            raise Rejected(f"{what} {path!r} has a part with a space at its end")
    return path


def parent(path: str) -> str:
    """The folder that a path lies in."""
    return path.rpartition("/")[0]


def uploaded(before: Asset | None, upload: Upload, etag: str, now: float) -> Asset:
    """The asset after an upload; new content grows the version."""
    name = upload.key
    base = before or Asset(
        uuid.uuid4().hex, name.public_id, folder="", version=0, format="", bytes=0, etag="",
        created_at=now, resource_type=name.resource_type, type=name.type,
        display_name=name.public_id.rpartition("/")[2],
    )  # fmt: skip
    is_new = base.etag != etag
    return replace(
        base,
        folder=folder(upload.folder) or base.folder,
        filename=file_name(upload.filename) or base.filename,
        display_name=display_name(upload.display_name) or base.display_name,
        format=upload.format,
        width=upload.width,
        height=upload.height,
        bytes=len(upload.data),
        etag=etag,
        version=max(base.version + 1, int(now)) if is_new else base.version,
        tags=base.tags if upload.tags is None else all_tags(tags(upload.tags)),
        context=base.context if upload.context is None else merged_context({}, upload.context),
        metadata=merged_values(base.metadata, upload.metadata),
        details=merged_values(base.details, upload.details),
    )


def edited(asset: Asset, edit: Edit) -> Asset:
    """The asset after an edit."""
    tags, context = _edited_tags(asset.tags, edit), asset.context
    if edit.context is not None or edit.set_context:
        former = context if edit.context is None else edit.context
        context = merged_context(former, edit.set_context)
    public, name = edit.public_id, edit.display_name
    return replace(
        asset,
        tags=tags,
        context=context,
        metadata=merged_values(asset.metadata, edit.set_metadata),
        details=merged_values(asset.details, edit.set_details),
        folder=asset.folder if edit.folder is None else folder(edit.folder),
        display_name=asset.display_name if name is None else display_name(name),
        public_id=asset.public_id if public is None else public_id(public),
        type=asset.type if edit.type is None else delivery_type(edit.type),
    )


def in_fixed_folder(before: Asset | None, after: Asset) -> Asset:
    """The asset where the folder is a part of the public_id: whichever changed decides."""
    if before and before.public_id == after.public_id and before.folder != after.folder:
        name = "/".join(filter(None, [after.folder, after.public_id.rpartition("/")[2]]))
        return replace(after, public_id=public_id(name))
    return replace(after, folder=parent(after.public_id))


def changes_by_kind(
    changes: Sequence[AssetChange],
) -> Iterator[tuple[ChangeKind, tuple[AssetChange, ...]]]:
    """What is to be told of edits: each kind with the assets it happened to."""
    edits = [(one, one.before, one.after) for one in changes if one.before and one.after]
    for kind, names in _ASPECTS:
        concerned = tuple(
            one for one, before, after in edits
            if any(getattr(before, name) != getattr(after, name) for name in names)
            # Their order is nothing to tell of.
            and not (kind is ChangeKind.TAGS and set(before.tags) == set(after.tags))
        )  # fmt: skip
        if concerned:
            yield kind, concerned


def _edited_tags(former: tuple[str, ...], edit: Edit) -> tuple[str, ...]:
    if edit.tags is None and not edit.add_tags and not edit.remove_tags:
        return former
    kept = former if edit.tags is None else tags(edit.tags)
    removed = set(tags(edit.remove_tags))
    wanted = (*kept, *tags(edit.add_tags))
    return all_tags(tag for tag in wanted if tag not in removed)


#: What there is to tell of an edit, by the fields that tell of it.
_ASPECTS: tuple[tuple[ChangeKind, tuple[str, ...]], ...] = (
    (ChangeKind.RENAME, ("public_id", "type")),
    (ChangeKind.MOVE, ("folder",)),
    (ChangeKind.DISPLAY_NAME, ("display_name",)),
    (ChangeKind.TAGS, ("tags",)),
    (ChangeKind.CONTEXT, ("context",)),
    (ChangeKind.METADATA, ("metadata",)),
)

#: Characters of content hash that tell pictures of one file name apart, and how many such tries.
_SUFFIX = 6
_SUFFIXES = 8
_BASE36 = string.digits + string.ascii_lowercase


def upload_names(given: str | None, in_folder: str, filename: str, etag: str) -> list[str]:
    """The public_ids that an upload may get, best first.

    The ends that tell pictures of one file name apart come from their content, so that whoever
    uploads a folder twice finds every picture where it was.
    """
    if given is not None:
        return [public_id(given)]
    name = default_public_id(in_folder, filename, suffix=_SUFFIX + 1)
    digits = _base36(int(etag, 16))
    ends = [digits[at : at + _SUFFIX] for at in range(0, _SUFFIXES * _SUFFIX, _SUFFIX)]
    return [name, *(f"{name}_{end}" for end in ends)]


def addressed(upload: Upload, existing: Asset | None, name: str, *, adds_tags: bool) -> Upload:
    """The upload under its name, with what it leaves alone of the image that stands there."""
    kept = existing.tags if existing and adds_tags else ()
    former = existing.context if existing else {}
    return replace(
        upload,
        key=AssetKey(name, type=existing.type if existing else "upload"),
        tags=None if upload.tags is None else [*kept, *upload.tags],
        context=merged_context(former, upload.context or {}),
    )


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits += _BASE36[digit]
    return digits.ljust(_SUFFIXES * _SUFFIX, "0")
