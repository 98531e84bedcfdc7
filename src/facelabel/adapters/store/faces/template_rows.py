"""The rows of a collection and of its users' vectors, which change together.

A user's vector is the mean of the vectors of its faces. It is a row too, of a hidden collection
that goes with the visible one, so that one index searches both. A row never changes: where the
faces of a user do, its row is erased and written anew, under the visible collection's lock.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
_FLOAT32 = 4  # bytes

_NAMED = select(schema.collection).where(
    _COLLECTION.name == bindparam("collection"), _COLLECTION.users_of.is_(None)
)
_HIDDEN = schema.collection.alias()
_FOUND = _NAMED.add_columns(
    select(_HIDDEN.c.id)
    .where(_HIDDEN.c.users_of == _COLLECTION.id)
    .scalar_subquery()
    .label("users_number")
)
_LOCKED = _NAMED.with_for_update()


def found(connection: Connection, collection: str, own: str = "") -> RowMapping | None:
    """The row of a collection, never of a hidden one, with the "users_number" of that.

    ``own``: the name that means the live collection, where none bears it.
    """
    row = connection.execute(_FOUND, {"collection": collection}).mappings().first()
    if row is None and (live := _live(connection, collection, own)):
        row = connection.execute(_FOUND, {"collection": live}).mappings().first()
    return row


def required(connection: Connection, collection: str, own: str = "") -> RowMapping:
    """The same; NotFound without the collection."""
    return _some(found(connection, collection, own), collection)


def renamed(connection: Connection, own: str) -> str | None:
    """The live collection, where clients know it by another name than its own."""
    if not own or connection.execute(_NAMED, {"collection": own}).first():
        return None
    live = _live(connection, own, own)
    return live if live and connection.execute(_NAMED, {"collection": live}).first() else None


def _live(connection: Connection, collection: str, own: str) -> str | None:
    """What a name that no collection bears may mean."""
    if not own or collection != own:
        return None
    return connection.execute(select(schema.gallery.c.collection)).scalar()


def locked(connection: Connection, collection: str) -> RowMapping | None:
    """Lock and return the collection's row; None without the collection.

    On PostgreSQL a row's number is drawn before its transaction commits: who adds to a
    collection or deletes from it waits here until the former has committed.
    """
    return connection.execute(_LOCKED, {"collection": collection}).mappings().first()


def held(connection: Connection, collection: str, own: str = "") -> RowMapping:
    """The same, by the name that clients know it by; NotFound without the collection.

    Asked for twice, as a rebuild may have ended while we waited.
    """
    for _ in range(2):
        if row := locked(connection, collection):
            return row
        live = _live(connection, collection, own)
        if live and (row := locked(connection, live)):
            return row
    return _some(None, collection)


def _some(row: RowMapping | None, collection: str) -> RowMapping:
    if row is None:
        raise NotFound(f"there is no collection {collection!r}")
    return row


def fitting(vector: bytes, collection: RowMapping) -> bytes:
    """Return the vector; ValueError if it is not of the collection's length."""
    if len(vector) != collection["dimensions"] * _FLOAT32:
        dimensions = collection["dimensions"]
        raise ValueError(f"a vector of {collection['name']!r} has {dimensions} dimensions")
    return vector


def users_number(connection: Connection, collection_id: int) -> int | None:
    """Number of the hidden collection with the users' vectors; None before the first user."""
    number = select(_COLLECTION.id).where(_COLLECTION.users_of == collection_id)
    return connection.execute(number).scalar()


def erase(
    connection: Connection, collection_id: int, condition: ColumnElement[bool]
) -> list[RowMapping]:
    """Delete faces, leaving their row numbers for the processes that hold vectors.

    Returns face_id and user_id of each.
    """
    first = _first_rows(connection, collection_id, condition)
    gone = (
        delete(schema.template)
        .where(_TEMPLATE.collection_id == collection_id, condition)
        .returning(_TEMPLATE.row, _TEMPLATE.face_id, _TEMPLATE.user_id, _TEMPLATE.person)
    )
    rows = sorted(connection.execute(gone).mappings(), key=lambda row: int(row["row"]))
    if rows:
        forgetting.note(connection)
        tombstones = [
            {
                "collection_id": collection_id,
                "row": row["row"],
                "first_row": first.get(row["person"], row["row"]),
            }
            for row in rows
        ]
        connection.execute(insert(schema.template_deletion), tombstones)
    return rows


def first_rows(collection_id: int) -> Select[Any]:
    """Lowest row of each person of a collection; who has no name is nobody."""
    return (
        select(_TEMPLATE.person, func.min(_TEMPLATE.row))
        .where(_TEMPLATE.collection_id == collection_id, _TEMPLATE.person != "")
        .group_by(_TEMPLATE.person)
    )


def _first_rows(
    connection: Connection, collection_id: int, condition: ColumnElement[bool]
) -> dict[str, int]:
    """Lowest row of everybody of whom a face is about to be deleted."""
    these = select(_TEMPLATE.person).where(_TEMPLATE.collection_id == collection_id, condition)
    rows = connection.execute(first_rows(collection_id).where(_TEMPLATE.person.in_(these)))
    return {person: int(row) for person, row in rows}


def follow(connection: Connection, collection_id: int, user_ids: Collection[str]) -> None:
    """Make the vectors of these users of a locked collection anew, of the faces they have now."""
    hidden = users_number(connection, collection_id)
    if hidden is None:
        return
    for some in batches(sorted(user_ids)):
        erase(connection, hidden, _TEMPLATE.face_id.in_(some))
        new = [
            _user_row(hidden, user_id, vectors)
            for user_id, vectors in _vectors(connection, collection_id, some).items()
        ]
        if new:
            connection.execute(insert(schema.template), new)


def centre(vectors: Sequence[bytes]) -> bytes:
    """The mean of unit vectors, as a unit vector."""
    layout = struct.Struct(f"<{len(vectors[0]) // _FLOAT32}f")
    sums = [math.fsum(column) for column in zip(*map(layout.unpack, vectors), strict=True)]
    length = math.hypot(*sums)
    return layout.pack(*(x / length for x in sums)) if length else vectors[0]


def drop(connection: Connection, collection_id: int) -> None:
    """Delete a locked collection with its faces and users."""
    forgetting.note(connection)
    for table in (schema.client_token, schema.face_user):
        connection.execute(delete(table).where(table.c.collection_id == collection_id))
    hidden = users_number(connection, collection_id)
    for number in (hidden, collection_id) if hidden else (collection_id,):
        for table in (schema.template, schema.template_deletion):
            connection.execute(delete(table).where(table.c.collection_id == number))
        connection.execute(delete(schema.collection).where(_COLLECTION.id == number))


def _vectors(
    connection: Connection, collection_id: int, user_ids: Sequence[str]
) -> dict[str, list[bytes]]:
    """The vectors of the faces of each user that has any."""
    theirs = (
        select(_TEMPLATE.user_id, _TEMPLATE.vector)
        .where(_TEMPLATE.collection_id == collection_id, _TEMPLATE.user_id.in_(user_ids))
        .order_by(_TEMPLATE.user_id, _TEMPLATE.row)
    )
    found: dict[str, list[bytes]] = defaultdict(list)
    for user_id, vector in connection.execute(theirs):
        found[user_id].append(bytes(vector))
    return found


def _user_row(hidden: int, user_id: str, vectors: Sequence[bytes]) -> dict[str, Any]:
    return {
        "collection_id": hidden,
        "face_id": user_id,
        "person": "",
        "digest": "",
        "vector": centre(vectors),
        "face": {},
    }
