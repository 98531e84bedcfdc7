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
    public_id = _prefixed(params, last_part(params, filename, is_raw=is_raw))
    filename = _original(params, filename)
    folder = "" if fixed_folders else params.text("asset_folder", params.text("folder"))
    kept = "" if params.flag("discard_original_filename") else filename
    return Naming(public_id, folder, kept, _title(params, filename))


def last_part(params: Params, filename: str, *, is_raw: bool) -> str:
    """The public_id without the prefix that the call asks for."""
    if params.text("public_id"):
        return params.text("public_id")
    path = PurePosixPath(_original(params, filename))
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


def _original(params: Params, filename: str) -> str:
    """The file's name; one that overrides it may lack the extension."""
    override = base_name(params.text("filename_override"))
    return override or filename


def _prefixed(params: Params, name: str) -> str:
    prefix = params.text("public_id_prefix") or params.text("folder")
    if not prefix and params.flag("use_asset_folder_as_public_id_prefix"):
        prefix = params.text("asset_folder")
    prefix = prefix.strip("/")
    return f"{prefix}/{name}" if prefix else name


def _title(params: Params, filename: str) -> str:
    if params.text("display_name"):
        return params.text("display_name")
    use_filename = params.flag("use_filename_as_display_name")
    return PurePosixPath(filename).stem if use_filename else ""
