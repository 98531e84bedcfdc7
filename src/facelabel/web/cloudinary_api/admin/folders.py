"""Folders: listing, making, renaming, deleting, searching."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import expressions
from facelabel.errors import NotFound
from facelabel.media.types import And, Compare, Not, Or
from facelabel.web.cloudinary_api.admin import calls, search
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Json
    from facelabel.media.types import Condition, Folder, Where
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

_PAGE = 50


def routes(context: Context) -> list[ApiRoute]:
    """The calls about folders; the search's name comes before the placeholder."""
    route = partial(calls.route, context)
    return [
        route("GET", "folders/search", _search),
        route("POST", "folders/search", _search),
        route("GET", "folders", _roots),
        route("GET", "folders/{path:path}", _below),
        route("POST", "folders/{path:path}", _create),
        route("PUT", "folders/{path:path}", _rename),
        route("DELETE", "folders/{path:path}", _delete),
    ]


def matches(folder: Folder, condition: Condition) -> bool:
    """Whether a condition on name and path holds for a folder."""
    match condition:
        case And():
            return all(matches(folder, each) for each in condition.conditions)
        case Or():
            return any(matches(folder, each) for each in condition.conditions)
        case Not():
            return not matches(folder, condition.condition)
    return _passes(folder, condition)


def _passes(folder: Folder, where: Where) -> bool:
    text, value = getattr(folder, where.field or "path"), str(where.value)
    match where.test:
        case Compare.EQUALS:
            return bool(text == value)
        case Compare.PREFIX:
            return str(text).casefold().startswith(value.casefold())
    return value.casefold() in str(text).casefold()


def _roots(context: Context, received: Received) -> Json:
    return _page(context.media.folders.below(), received.params)


def _below(context: Context, received: Received) -> Json:
    path = _path(received)
    try:
        return _page(context.media.folders.below(path), received.params)
    except NotFound:
        raise _missing(path) from None


def _create(context: Context, received: Received) -> Json:
    folder = context.media.folders.create(_path(received), origin=received.origin)
    return {"success": True, **_shown(folder)}


def _rename(context: Context, received: Received) -> Json:
    path, to = _path(received), received.params.required("to_folder").strip("/")
    try:
        folder = context.media.folders.rename(path, to, origin=received.origin)
    except NotFound:
        raise _missing(path) from None
    return {"from": {"name": path.rpartition("/")[2], "path": path}, "to": _shown(folder)}


def _delete(context: Context, received: Received) -> Json:
    path = _path(received)
    try:
        gone = context.media.folders.delete(path, origin=received.origin)
        return {"deleted": [folder.path for folder in gone]}
    except NotFound:
        raise _missing(path) from None


def _search(context: Context, received: Received) -> Json:
    condition = expressions.parsed_for_folders(received.params.text("expression"))
    found = [folder for folder in context.media.folders.all() if matches(folder, condition)]
    return _page(found, received.params, search.orders(received.params))


def _page(found: Sequence[Folder], params: Params, order: Sequence[tuple[str, bool]] = ()) -> Json:
    """One page by path; the search may also turn it round."""
    if any(field not in {"name", "path"} for field, _ in order):
        raise ApiError(400, "Folders are sorted by name or path")
    by_path = {folder.path: folder for folder in found}
    names, cursor = calls.cut(by_path, params, default=_PAGE)
    shown = [by_path[name] for name in names]
    for field, descending in reversed(order):
        shown.sort(key=lambda folder: str(getattr(folder, field)), reverse=descending)
    return {
        "folders": [_shown(folder) for folder in shown],
        "next_cursor": cursor,
        "total_count": len(by_path),
    }


def _shown(folder: Folder) -> Json:
    return {"name": folder.name, "path": folder.path, "external_id": folder.external_id}


def _path(received: Received) -> str:
    path = received.path["path"].strip("/")
    if not path:
        raise ApiError(400, "Missing required parameter - path of the folder")
    return path


def _missing(path: str) -> ApiError:
    return ApiError(404, f"Can't find folder with path {path}")
