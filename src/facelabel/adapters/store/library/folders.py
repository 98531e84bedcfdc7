"""Folders: those that were made, and those that exist because an asset lies in them or below."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from facelabel.adapters.store.library.editing import parent
from facelabel.adapters.store.library.selection import is_inside
from facelabel.adapters.store.sql import schema
from facelabel.media.types import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_ASSET = schema.asset.c
_FOLDER = schema.folder.c


def below(connection: Connection, root: str) -> list[Folder]:
    """The folder itself and all below that exist, by path; without the root of the library."""
    made = select(_FOLDER.path, _FOLDER.external_id).where(is_inside(_FOLDER.path, root))
    ids = {row.path: row.external_id for row in connection.execute(made)}
    used = select(_ASSET.folder).where(is_inside(_ASSET.folder, root)).distinct()
    paths = {
        path
        for found in (*ids, *connection.execute(used).scalars())
        for path in _with_parents(found)
        if not root or path == root or path.startswith(f"{root}/")
    }
    return [Folder(path, ids.get(path) or _external_id(path)) for path in sorted(paths)]


def right_below(folders: Iterable[Folder], root: str) -> list[Folder]:
    """Those of the folders that lie in the root itself."""
    return [folder for folder in folders if folder.path != root and parent(folder.path) == root]


def exists(connection: Connection, path: str) -> bool:
    """Whether there is such a folder; the root is always there."""
    return not path or bool(below(connection, path))


def make(connection: Connection, path: str) -> list[str]:
    """Make the folder and those above it; return the paths that were not there."""
    new = [one for one in reversed(_with_parents(path)) if not exists(connection, one)]
    made = set(connection.execute(select(_FOLDER.path)).scalars())
    rows = [
        {"path": one, "external_id": uuid.uuid4().hex if one in new else _external_id(one)}
        for one in _with_parents(path)
        if one not in made
    ]
    if rows:
        connection.execute(insert(schema.folder), rows)
    return new


def move(connection: Connection, path: str, to: str) -> None:
    """Give the made folders of a tree their new paths; they keep their ids."""
    rows = [
        {"path": to + folder.path.removeprefix(path), "external_id": folder.external_id}
        for folder in below(connection, path)
    ]
    drop(connection, path)
    connection.execute(insert(schema.folder), rows)


def drop(connection: Connection, path: str) -> None:
    """Delete the made folder and those below."""
    connection.execute(delete(schema.folder).where(is_inside(_FOLDER.path, path)))


def _with_parents(path: str) -> list[str]:
    """The path and those of the folders above it, without the root."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _external_id(path: str) -> str:
    """The id of a folder nobody made: the same whenever somebody looks."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]
