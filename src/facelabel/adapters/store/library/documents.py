"""Documents: small things of the library that are kept as they came, by kind and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, insert, select, update

from facelabel.adapters.store.library import validation
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from facelabel.core.model import Json

_DOCUMENT = schema.document.c
#: Of one kind.
_MOST = 1000


def read(connection: Connection, kind: str, name: str) -> Json | None:
    """Return a document."""
    sought = validation.sought(name)
    if sought is None:
        return None
    return connection.execute(select(_DOCUMENT.body).where(_is(kind, sought))).scalar()


def read_all(connection: Connection, kind: str) -> dict[str, Json]:
    """Every document of a kind by name, in the order made."""
    some = select(_DOCUMENT.name, _DOCUMENT.body).where(_DOCUMENT.kind == kind)
    rows = connection.execute(some.order_by(_DOCUMENT.position))
    return {row.name: row.body for row in rows}


def write(connection: Connection, kind: str, name: str, body: Json | None) -> None:
    """Make this the document; None deletes it. Called under the library's lock."""
    name = validation.document_name(name)
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
