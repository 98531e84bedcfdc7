"""Which public_id, folder and title an uploaded file gets."""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.web.http import base_name

if TYPE_CHECKING:
    from facelabel.web.http import Params

_ALPHABET = string.digits + string.ascii_lowercase
_RANDOM = 20
_SUFFIX = 6
#: Not allowed in a public_id.
_FORBIDDEN = re.compile(r"[?&#\\%<>+/\x00-\x1f\x7f]")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Naming:
    """How an uploaded file is called and where it lies."""

    public_id: str
    #: "" where the public_id says it.
    folder: str
    #: With extension; "" if there is none.
    filename: str
    display_name: str


def naming(params: Params, filename: str, *, is_raw: bool, fixed_folders: bool) -> Naming:
    """Decide by what the call asks for and by the file's own name."""
    name = last_part(params, filename, is_raw=is_raw)
    prefix = params.text("public_id_prefix") or params.text("folder")
    if not prefix and params.flag("use_asset_folder_as_public_id_prefix"):
        prefix = params.text("asset_folder")
    prefix = prefix.strip("/")
    filename = base_name(params.text("filename_override")) or filename
    title = params.text("display_name")
    if not title and params.flag("use_filename_as_display_name"):
        title = PurePosixPath(filename).stem
    return Naming(
        public_id=f"{prefix}/{name}" if prefix else name,
        folder="" if fixed_folders else params.text("asset_folder", params.text("folder")),
        filename="" if params.flag("discard_original_filename") else filename,
        display_name=title,
    )


def last_part(params: Params, filename: str, *, is_raw: bool) -> str:
    """The public_id without the prefix that the call asks for."""
    if params.text("public_id"):
        return params.text("public_id")
    # What overrides the file's name may lack the extension.
    path = PurePosixPath(base_name(params.text("filename_override")) or filename)
    extension = _FORBIDDEN.sub("_", path.suffix) if is_raw else ""
    if not (params.flag("use_filename") and path.stem):
        return random_id() + extension
    stem = _FORBIDDEN.sub("_", path.stem)[:_LONGEST].strip()
    if params.flag("unique_filename", default=True):
        stem = f"{stem}_{random_id(_SUFFIX)}"
    return stem + extension


def random_id(length: int = _RANDOM) -> str:
    """Lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
