"""Folders: those that were made, and those that exist because an asset lies in them or below."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from facelabel.adapters.store.library import asset_edits, asset_rows
from facelabel.adapters.store.library.asset_edits import parent as parent_of
from facelabel.adapters.store.library.selection import is_inside
from facelabel.adapters.store.sql import schema
from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.media.types import NOBODY, ChangeKind, Edit, Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.transaction import Steps
    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Asset
    from facelabel.media.types import Origin

_ASSET = schema.asset.c
_FOLDER = schema.folder.c


class StoreFolders:
    """The folders of the local library; implements :class:`facelabel.media.ports.Folders`."""

    def __init__(self, database: Database, steps: Steps) -> None:
        """``steps``: how the library is changed."""
        self._database = database
        self._steps = steps

    def below(self, parent: str = "") -> Sequence[Folder]:
        """The folders right below a parent, by name; NotFound if there is no such parent."""
        parent = asset_edits.folder(parent)
        with self._database.read() as connection:
            below = _below(connection, parent)
        if parent and not below:
            raise NotFound(f"Can't find folder with path {parent}")
        return [one for one in below if one.path != parent and parent_of(one.path) == parent]

    def all(self) -> Sequence[Folder]:
        """Every folder, by path."""
        with self._database.read() as connection:
            return _below(connection, "")

    def create(self, path: str, *, origin: Origin = NOBODY) -> Folder:
        """Make a folder, and those it lies in; no error if it exists."""
        path = _named(path)
        with self._steps.begin(origin) as step:
            for made in _make(step.connection, path):
                step.emit(ChangeKind.CREATE_FOLDER, to_path=made)
            return _below(step.connection, path)[0]

    def rename(self, path: str, to: str, *, origin: Origin = NOBODY) -> Folder:
        """Move a folder with all that is in it; NotFound, AlreadyExists."""
        path, to = _named(path), _named(to)
        if to.startswith(f"{path}/"):
            raise Rejected(f"the folder {path} cannot be moved into itself")
        with self._steps.begin(origin) as step:
            if not _exists(step.connection, path):
                raise NotFound(f"Can't find folder with path {path}")
            if _exists(step.connection, to):
                raise AlreadyExists(f"there is a folder {to} already")
            inside = asset_rows.matching(step.connection, is_inside(_ASSET.folder, path))
            _move(step.connection, path, to)
            step.move(((asset, _moved(asset, path, to)) for asset in inside), path, to)
            return _below(step.connection, to)[0]

    def delete(self, path: str, *, origin: Origin = NOBODY) -> Sequence[Folder]:
        """Delete a folder and those below; NotFound, or Rejected while an asset is in one."""
        path = _named(path)
        with self._steps.begin(origin) as step:
            gone = _below(step.connection, path)
            if not gone:
                raise NotFound(f"Can't find folder with path {path}")
            if asset_rows.found(step.connection, is_inside(_ASSET.folder, path)):
                raise Rejected("Folder is not empty")
            _drop(step.connection, path)
            step.emit(ChangeKind.DELETE_FOLDER, from_path=path)
        return gone


def _below(connection: Connection, root: str) -> list[Folder]:
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


def _exists(connection: Connection, path: str) -> bool:
    """Whether there is such a folder; the root is always there."""
    return not path or bool(_below(connection, path))


def _make(connection: Connection, path: str) -> list[str]:
    """Make the folder and those above it; return the paths that were not there."""
    new = [one for one in reversed(_with_parents(path)) if not _exists(connection, one)]
    made = set(connection.execute(select(_FOLDER.path)).scalars())
    rows = [
        {"path": one, "external_id": uuid.uuid4().hex if one in new else _external_id(one)}
        for one in _with_parents(path)
        if one not in made
    ]
    if rows:
        connection.execute(insert(schema.folder), rows)
    return new


def _move(connection: Connection, path: str, to: str) -> None:
    """Give the made folders of a tree their new paths; they keep their ids."""
    rows = [
        {"path": to + folder.path.removeprefix(path), "external_id": folder.external_id}
        for folder in _below(connection, path)
    ]
    _drop(connection, path)
    connection.execute(insert(schema.folder), rows)


def _drop(connection: Connection, path: str) -> None:
    """Delete the made folder and those below."""
    connection.execute(delete(schema.folder).where(is_inside(_FOLDER.path, path)))


def _with_parents(path: str) -> list[str]:
    """The path and those of the folders above it, without the root."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _external_id(path: str) -> str:
    """The id of a folder nobody made: the same whenever somebody looks."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def _named(path: str) -> str:
    folder = asset_edits.folder(path)
    if not folder:
        raise Rejected("a folder has a name")
    return folder


def _moved(asset: Asset, path: str, to: str) -> Asset:
    return asset_edits.edited(asset, Edit(folder=to + asset.folder.removeprefix(path)))
