"""Named transformations, and those that uploads asked for."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import transformations
from facelabel.media.types import And, Compare, DocumentKind, Where
from facelabel.web.cloudinary_api.admin import calls, listing
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

MAX_NAMED = 500
_KIND = DocumentKind.TRANSFORMATION
_NAME = re.compile(r"[^\x00-\x1f/,|?&#%<>+\\]{1,255}")
_INTEGER = re.compile(r"-?\d{1,9}", re.ASCII)
#: What the SDKs call a parameter.
_WORDS = {
    "a": "angle",
    "ar": "aspect_ratio",
    "b": "background",
    "bo": "border",
    "c": "crop",
    "d": "default_image",
    "dpr": "dpr",
    "e": "effect",
    "f": "fetch_format",
    "fl": "flags",
    "g": "gravity",
    "h": "height",
    "l": "overlay",
    "o": "opacity",
    "q": "quality",
    "r": "radius",
    "t": "transformation",
    "u": "underlay",
    "w": "width",
    "x": "x",
    "y": "y",
    "z": "zoom",
}
_USED = f"details.{listing.TRANSFORMATIONS}"


def routes(context: Context) -> list[ApiRoute]:
    """The calls about transformations: the one that is meant is a parameter, not in the path."""
    path = "transformations"
    return [
        calls.route(context, "GET", path, _list_or_show),
        calls.route(context, "POST", path, _create),
        calls.route(context, "PUT", path, _update),
        calls.route(context, "DELETE", path, _delete),
    ]


def _list_or_show(context: Context, received: Received) -> Json:
    if received.params.text("transformation"):
        return _show(context, received)
    return _list(context, received.params)


def _list(context: Context, params: Params) -> Json:
    """Named ones and those in use, or only one of the two."""
    only = params.flag("named") if "named" in params else None
    named = {f"t_{name}": doc for name, doc in context.media.documents.all(_KIND).items()}
    used = context.media.tally(And(), _USED)
    known = {**(named if only is not False else {}), **(dict.fromkeys(used) if not only else {})}
    names, cursor = calls.cut(known, params)
    shown = [_summary(name, named.get(name), is_used=name in used) for name in names]
    return listing.with_cursor({"transformations": [*shown]}, cursor)


def _show(context: Context, received: Received) -> Json:
    name = received.params.text("transformation")
    document = context.media.documents.get(_KIND, _bare(name))
    users = _users(context, f"t_{_bare(name)}" if document else name)
    if document is None and not users:
        raise _missing(name)
    text = str(document["transformation"]) if document else name
    derived = [item for asset in users for item in _derived(asset, name)]
    summary = _summary(name, document, is_used=bool(users))
    return summary | {"info": _info(text), "derived": derived}


def _create(context: Context, received: Received) -> Json:
    name, text = _bare(received.params.required("name")), received.params.required("transformation")
    if not _NAME.fullmatch(name):
        raise ApiError(400, f"Invalid name of a transformation: {name[:80]}")
    if len(context.media.documents.all(_KIND)) >= MAX_NAMED:
        raise ApiError(400, f"There may be {MAX_NAMED} named transformations")
    _check(context, text)
    strict = received.params.flag("allowed_for_strict")

    def create(existing: Json | None) -> Json:
        """The new one, unless the name is taken: ApiError."""
        if existing is not None:
            raise ApiError(409, f"Transformation {name} already exists")
        return {"transformation": text, "allowed_for_strict": strict}

    context.media.documents.change(_KIND, name, create)
    return {"message": "created"}


def _update(context: Context, received: Received) -> Json:
    name, params = received.params.required("transformation"), received.params
    text = params.text("unsafe_update")
    if text:
        _check(context, text)

    def change(existing: Json | None) -> Json:
        """The changed one; ApiError where there is none."""
        if existing is None:
            raise _missing(name)
        strict = params.flag("allowed_for_strict", default=bool(existing.get("allowed_for_strict")))
        return existing | {
            "transformation": text or existing["transformation"],
            "allowed_for_strict": strict,
        }

    context.media.documents.change(_KIND, _bare(name), change)
    return {"message": "updated"}


def _delete(context: Context, received: Received) -> Json:
    name = received.params.required("transformation")

    def delete(existing: Json | None) -> None:
        """Nothing in its place; ApiError where there is none."""
        if existing is None:
            raise _missing(name)

    context.media.documents.change(_KIND, _bare(name), delete)
    return {"message": "deleted"}


def _check(context: Context, text: str) -> None:
    """Rejected for what could not be applied."""
    transformations.parse(text, partial(attributes.named_transformation, context))


def _users(context: Context, text: str) -> tuple[Asset, ...]:
    found = context.media.select(Where(_USED, Compare.EQUALS, text), limit=calls.PAGE)
    return found.assets


def _derived(asset: Asset, text: str) -> list[JsonValue]:
    items = listing.derived(asset)
    return [i for i in items if isinstance(i, dict) and i.get("transformation") == text]


def _summary(name: str, document: Json | None, *, is_used: bool) -> Json:
    strict = bool(document and document.get("allowed_for_strict"))
    return {
        "name": name,
        "allowed_for_strict": strict,
        "used": is_used,
        "named": document is not None,
    }


def _info(text: str) -> list[JsonValue]:
    """The steps as the SDKs write them: ``[{"crop": "scale", "width": 100}]``."""
    return [
        dict(_parameter(part) for part in step.split(",") if "_" in part)
        for step in text.split("/")
        if step
    ]


def _parameter(part: str) -> tuple[str, JsonValue]:
    key, _, value = part.partition("_")
    return _WORDS.get(key, key), int(value) if _INTEGER.fullmatch(value) else value


def _bare(name: str) -> str:
    return name.removeprefix("t_")


def _missing(name: str) -> ApiError:
    return ApiError(404, f"Can't find transformation {name}")
