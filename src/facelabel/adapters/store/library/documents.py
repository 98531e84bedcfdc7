"""Documents: small things of the library that are kept as they came, by kind and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from facelabel.adapters.store.library import naming_rules
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Json
    from facelabel.media.types import DocumentKind

_DOCUMENT = schema.document.c
#: Of one kind.
_MOST = 1000
#: Made once: they are read with every upload.
_ALL = (
    select(_DOCUMENT.name, _DOCUMENT.body)
    .where(_DOCUMENT.kind == bindparam("kind"))
    .order_by(_DOCUMENT.position)
)
_ONE = select(_DOCUMENT.body).where(
    _DOCUMENT.kind == bindparam("kind"), _DOCUMENT.name == bindparam("name")
)


class StoreDocuments:
    """The documents of the local library; implements :class:`facelabel.media.ports.Documents`."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def get(self, kind: DocumentKind, name: str) -> Json | None:
        """Return a document."""
        with self._database.read() as connection:
            return read(connection, kind, name)

    def all(self, kind: DocumentKind) -> Mapping[str, Json]:
        """Every document of a kind by name, in the order made."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL, {"kind": kind})
            return {row.name: row.body for row in rows}

    def change(
        self, kind: DocumentKind, name: str, change: Callable[[Json | None], Json | None]
    ) -> Json | None:
        """Make of a document (None: there is none) another one (None: delete it), in one step."""
        with self._database.transaction(alone=LOCK) as connection:
            changed = change(read(connection, kind, name))
            write(connection, kind, name, changed)
        return changed


def read(connection: Connection, kind: str, name: str) -> Json | None:
    """Return a document."""
    sought = naming_rules.sought(name)
    if sought is None:
        return None
    return connection.execute(_ONE, {"kind": kind, "name": sought}).scalar()


def write(connection: Connection, kind: str, name: str, body: Json | None) -> None:
    """Make this the document; None deletes it. Called under the library's lock."""
    name = naming_rules.document_name(name)
    former = _is(kind, name)
    changed = update(schema.document).where(former).values(body=body)
    gone = delete(schema.document).where(former)
    if connection.execute(gone if body is None else changed).rowcount:
        forgetting.note(connection)  # a value of a metadata field may be somebody's name
    elif body is not None:
        _insert(connection, kind, name, body)


def _insert(connection: Connection, kind: str, name: str, body: Json) -> None:
    those = select(func.count(), func.max(_DOCUMENT.position)).where(_DOCUMENT.kind == kind)
    count, last = connection.execute(those).one()
    if count >= _MOST:
        raise Rejected(f"there are {_MOST} documents of the kind {kind} already")
    new = {"kind": kind, "name": name, "position": (last or 0) + 1, "body": body}
    connection.execute(insert(schema.document).values(new))


def _is(kind: str, name: str) -> ColumnElement[bool]:
    return and_(_DOCUMENT.kind == kind, _DOCUMENT.name == name)
