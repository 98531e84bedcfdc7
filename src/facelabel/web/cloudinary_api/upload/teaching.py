"""What an upload that nobody signed may not say: whom a face belongs to.

Labels are what all names rest on, so they come from who has a key, or from the preset that
somebody with a key made.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from facelabel.core.model import Asset
from facelabel.core.names import FACE_ID_PREFIX
from facelabel.web.cloudinary_api.upload import attributes, public_ids
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params


class _Said(NamedTuple):
    """What parameters say of people."""

    #: Where the picture is to lie; "" where that teaches nobody.
    training_folder: str
    #: Labels and names, in words for who is told that they are not allowed.
    people: frozenset[str]


def check_unsigned(context: Context, preset: Params, call: Params) -> None:
    """Raise ApiError (400) if a call would teach or name somebody, and not its preset.

    ``call``: all there is, with what the preset says.
    """
    ours, theirs = _said(context, preset), _said(context, call)
    refused = sorted(theirs.people - ours.people)
    if theirs.training_folder and not ours.training_folder:
        refused.append(f"the folder {theirs.training_folder}")
    if refused:
        message = f"{refused[0][:200]} is not allowed when using unsigned upload"
        raise ApiError(400, f"{message}: who is on a picture is said by signed calls and presets")


def _said(context: Context, params: Params) -> _Said:
    folder = _folder(context, params)
    asset = Asset("", "", folder, version=0, format="", bytes=0, etag="")
    trains = context.label_policy.is_training(asset)
    return _Said(folder if trains else "", frozenset(_people(context, params)))


def _folder(context: Context, params: Params) -> str:
    """Where an upload lies, as the library will write it."""
    naming = public_ids.naming(params, "", is_raw=False, fixed_folders=context.fixed_folders)
    path = naming.public_id.rpartition("/")[0] if context.fixed_folders else naming.folder
    return _plain(path).strip("/")


def _people(context: Context, params: Params) -> Iterator[str]:
    label_policy = context.label_policy
    targets = label_policy.targets
    marks = [
        f"{label_policy.prefix}:",
        FACE_ID_PREFIX,
        *([targets.prefix] if targets.prefix else ()),
    ]
    for tag in map(_plain, attributes.tags(params) or ()):
        if tag.startswith(tuple(map(_plain, marks))):
            yield f"the tag {tag}"
    for name, value in attributes.metadata(params).items():
        if _plain(name) in {label_policy.label_field, targets.field} - {""}:
            yield f"the metadata field {name} with {value}"
    for name, text in (attributes.context(params) or {}).items():
        if targets.context and _plain(name) == targets.context:
            yield f"the context {name} with {text}"


def _plain(text: str) -> str:
    """In the one spelling that is kept."""
    return unicodedata.normalize("NFC", text).strip()
