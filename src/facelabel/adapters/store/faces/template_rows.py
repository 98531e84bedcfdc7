"""The rows of a collection and of its users' vectors, which change together.

A user's vector is the mean of the vectors of its faces. It is a row too, of a hidden collection
that goes with the visible one, so that one index searches both. A row never changes: where the
faces of a user do, its row is erased and written anew, under the visible collection's lock.
"""

from __future__ import annotations

import math
import struct
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import Box
from facelabel.core.serial import encode_template
from facelabel.errors import LabelRefused, NotFound
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import FaceRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.rekognition.types import NewFace

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
_FLOAT32 = 4  # bytes
_IMAGES = uuid.UUID("0a7d6f2e-94b1-5c58-8f0b-3f7c5b1f9d27")

_NAMED = select(schema.collection).where(
    _COLLECTION.name == bindparam("collection"), _COLLECTION.users_of.is_(None)
)
_HIDDEN = schema.collection.alias()
_FOUND = select(
    _COLLECTION.id,
    _COLLECTION.model,
    select(_HIDDEN.c.id)
    .where(_HIDDEN.c.users_of == _COLLECTION.id)
    .scalar_subquery()
    .label("users_number"),
).where(_COLLECTION.name == bindparam("collection"), _COLLECTION.users_of.is_(None))
_LOCKED = _NAMED.with_for_update()

#: Faces with all that :func:`record` needs: not their vectors.
RECORDS = (
    select(
        _TEMPLATE.row,
        _TEMPLATE.face_id,
        _TEMPLATE.digest,
        _TEMPLATE.person,
        _TEMPLATE.asset_id,
        _TEMPLATE.external_image_id,
        _TEMPLATE.face,
        _TEMPLATE.user_id,
        _COLLECTION.model,
    )
    .join_from(schema.template, schema.collection)
    .where(_TEMPLATE.collection_id == bindparam("collection"))
)


def found(connection: Connection, collection: str, own: str = "") -> RowMapping:
    """The "id" and "model" of a collection, never of a hidden one; NotFound.

    "users_number" is the id of the hidden one with the vectors of its users. ``own``: the name
    that means the live collection, where none bears it.
    """
    row = connection.execute(_FOUND, {"collection": collection}).mappings().first()
    if row is None and (live := _live(connection, collection, own)):
        row = connection.execute(_FOUND, {"collection": live}).mappings().first()
    if row is None:
        raise NotFound(f"there is no collection {collection!r}")
    return row


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


def held(connection: Connection, collection: str, own: str = "") -> RowMapping:
    """Lock and return the collection's row; NotFound without the collection.

    On PostgreSQL a row's number is drawn before its transaction commits: who adds to a
    collection or deletes from it waits here until the former has committed. A rebuild may have
    ended meanwhile: so the collection is asked for twice.
    """
    for _ in range(2):
        if row := connection.execute(_LOCKED, {"collection": collection}).mappings().first():
            return row
        live = {"collection": _live(connection, collection, own)}
        if row := connection.execute(_LOCKED, live).mappings().first():
            return row
    raise NotFound(f"there is no collection {collection!r}")


def record(row: RowMapping) -> FaceRecord:
    """The face of a row of :data:`RECORDS`."""
    return FaceRecord(
        face_id=row["face_id"],
        image_id=str(uuid.uuid5(_IMAGES, row["digest"])),
        external_image_id=row["external_image_id"] or _derived(row["person"], row["asset_id"]),
        box=Box(*row["face"]["box"]),
        confidence=row["face"]["confidence"],
        model=row["model"],
        user_id=row["user_id"],
    )


def _derived(person: str, asset_id: str | None) -> str | None:
    """The external id of a face that the pipeline enrolled."""
    try:
        return external_ids.encode(person, asset_id) if person else None
    except LabelRefused:  # too long a name: the face is there, and tells nobody whose it is
        return None


def new(collection: RowMapping, face: NewFace) -> dict[str, Any]:
    """The row of a face; ValueError for a vector that is not of the collection's length."""
    if len(face.template.vector) != collection["dimensions"] * _FLOAT32:
        dimensions = collection["dimensions"]
        raise ValueError(f"a vector of {collection['name']!r} has {dimensions} dimensions")
    return {
        "collection_id": collection["id"],
        "face_id": face.face_id,
        "person": face.person,
        "asset_id": face.asset_id,
        "digest": face.digest,
        "vector": face.template.vector,
        "face": encode_template(face.template),
        "external_image_id": face.external_image_id,
    }


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


def _first_rows(
    connection: Connection, collection_id: int, condition: ColumnElement[bool]
) -> dict[str, int]:
    """Lowest row of everybody of whom a face is about to be deleted; who has no name is nobody."""
    in_it = _TEMPLATE.collection_id == collection_id
    these = select(_TEMPLATE.person).where(in_it, condition)
    first = (
        select(_TEMPLATE.person, func.min(_TEMPLATE.row))
        .where(in_it, _TEMPLATE.person != "", _TEMPLATE.person.in_(these))
        .group_by(_TEMPLATE.person)
    )
    return {person: int(row) for person, row in connection.execute(first)}


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
