"""Where an upload goes: the name it gets, and the image that stands there already."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.adapters.store.library import asset_rows, naming_rules
from facelabel.adapters.store.sql import schema
from facelabel.errors import AlreadyExists
from facelabel.media.types import AssetKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from facelabel.core.model import Asset
    from facelabel.media.types import Upload

_ASSET = schema.asset.c
#: Characters of content hash that tell pictures of one file name apart, and how many such tries.
_SUFFIX = 6
_SUFFIXES = 8
_BASE36 = string.digits + string.ascii_lowercase


def names(public_id: str | None, folder: str, filename: str, etag: str) -> list[str]:
    """The public_ids that an upload may get, best first.

    The ends that tell pictures of one file name apart come from their content, so that whoever
    uploads a folder twice finds every picture where it was.
    """
    if public_id is not None:
        return [naming_rules.public_id(public_id)]
    name = naming_rules.default_public_id(folder, filename, suffix=_SUFFIX + 1)
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
        context=naming_rules.merged_context(former, upload.context or {}),
    )


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits += _BASE36[digit]
    return digits.ljust(_SUFFIXES * _SUFFIX, "0")


def existing(connection: Connection, names: Sequence[str], etag: str) -> tuple[Asset | None, str]:
    """The image that an upload is for, None if there is none yet, and the name it gets.

    The image of the first name is replaced if that is the only one. Of several names the one
    that holds the same content is taken, else the first that is free.
    """
    is_named = (_ASSET.public_id.in_(names)) & (_ASSET.resource_type == "image")
    rows = {asset.public_id: asset for asset in asset_rows.matching(connection, is_named)}
    same = [rows[name] for name in names if name in rows and rows[name].etag == etag]
    if len(names) == 1:
        same = list(rows.values())
    if same:
        return same[0], same[0].public_id
    free = next((name for name in names if name not in rows), None)
    if free is None:
        raise AlreadyExists(f"there are too many pictures {names[0]!r}")
    return None, free
