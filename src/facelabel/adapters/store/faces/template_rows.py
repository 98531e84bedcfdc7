"""The rows of a collection and of its users' vectors, which change together.

A user's vector is the mean of the vectors of its faces. It is a row too, of a hidden collection
that goes with the visible one, so that one index searches both. A row never changes: where the
faces of a user do, its row is erased and written anew, under the visible collection's lock.

One collection takes another's place with all that clients put there. What the pipeline enrolled is
learnt anew by who rebuilds. Faces that clients added cannot be: their images are not here. Their
vectors are copied instead, which only the same model allows. Users follow their faces, enrolled
ones included.

Faces kept of searched pictures (:class:`StoreProbes`) are in no collection.
"""

from __future__ import annotations

import math
import struct
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, literal, or_, select, update

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import Box
from facelabel.core.serial import decode_analysis, encode_analysis, encode_template
from facelabel.errors import LabelRefused, NotFound, Rejected
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import FaceRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Analysis, Asset
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
#: What moves with a face.
_COPIED = [column for column in _TEMPLATE if column.name not in {"row", "collection_id"}]
_KEPT = schema.kept.c
_THESE = (_KEPT.model == bindparam("model"), _KEPT.asset_id.in_(bindparam("some", expanding=True)))
_SEEN = select(schema.kept).where(*_THESE)
_VECTORS = select(_KEPT.asset_id, _KEPT.version, _KEPT.vectors).where(*_THESE)


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


def create_hidden(connection: Connection, collection: RowMapping) -> None:
    """Make the collection in which the vectors of a collection's users are."""
    hidden = {
        "name": f"{collection['name']}/users",  # no client can ask for a name with a slash
        "model": collection["model"],
        "dimensions": collection["dimensions"],
        "users_of": collection["id"],
    }
    connection.execute(insert(schema.collection), [hidden])


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


def strangers(connection: Connection, collection_id: int) -> int:
    """How many faces clients put into a collection."""
    count = select(func.count()).select_from(schema.template).where(_are_clients(collection_id))
    return connection.execute(count).scalar_one()


def supersede(
    database: Database, connection: Connection, old: RowMapping, new: RowMapping, *, lossy: bool
) -> None:
    """Give the heir what clients put into a collection, and delete it; both are locked.

    Raises Rejected if faces would be lost, unless that is meant (``lossy``).
    """
    if old["model"] == new["model"]:
        _copy_faces(database, connection, old["id"], new["id"])
    elif not lossy and (lost := strangers(connection, old["id"])):
        raise Rejected(
            f"{lost} faces that clients put into {old['name']!r} cannot be learnt anew with"
            f" {new['model']}: it stays; `facelabel index --rebuild --force` accepts the loss"
        )
    _copy_users(database, connection, old["id"], new)
    tags = {**old["tags"], **new["tags"]}
    this = update(schema.collection).where(_COLLECTION.id == new["id"])
    connection.execute(this.values(tags=tags, created_at=min(old["created_at"], new["created_at"])))
    drop(connection, old["id"])


def _are_clients(collection_id: int) -> ColumnElement[bool]:
    """The pipeline's faces have an asset, and never an external id."""
    of_clients = or_(_TEMPLATE.asset_id.is_(None), _TEMPLATE.external_image_id.is_not(None))
    return (_TEMPLATE.collection_id == collection_id) & of_clients


def _copy_faces(database: Database, connection: Connection, old: int, new: int) -> None:
    """As new rows, in their order: who holds vectors in memory asks for rows above the last."""
    theirs = select(literal(new), *_COPIED).where(_are_clients(old)).order_by(_TEMPLATE.row)
    copied = database.insert(schema.template).from_select(
        ["collection_id", *(column.name for column in _COPIED)], theirs
    )
    connection.execute(copied.on_conflict_do_nothing())


def _copy_users(database: Database, connection: Connection, old: int, new: RowMapping) -> None:
    user = schema.face_user.c
    present = select(user.user_id).where(user.collection_id == old)
    user_ids = list(connection.execute(present).scalars())
    if not user_ids:
        return
    rows = [{"collection_id": new["id"], "user_id": user_id} for user_id in user_ids]
    connection.execute(database.insert(schema.face_user).on_conflict_do_nothing(), rows)
    if users_number(connection, new["id"]) is None:
        create_hidden(connection, new)
    for face_id, user_id in _heirs(connection, old, new["id"]):
        this = (_TEMPLATE.collection_id == new["id"], _TEMPLATE.face_id == face_id)
        connection.execute(update(schema.template).where(*this).values(user_id=user_id))
    follow(connection, new["id"], user_ids)


def _heirs(connection: Connection, old: int, new: int) -> Iterator[tuple[str, str]]:
    """Faces enrolled anew, by their ids, with the user whose face the former one was."""
    columns = (_TEMPLATE.digest, _TEMPLATE.person)
    owned = select(*columns, _TEMPLATE.user_id).where(
        _TEMPLATE.collection_id == old, _TEMPLATE.user_id.is_not(None), ~_are_clients(old)
    )
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for digest, person, user_id in connection.execute(owned):
        owners[digest][person] = user_id
    anew = select(_TEMPLATE.face_id, *columns).where(
        _TEMPLATE.collection_id == new, ~_are_clients(new)
    )
    for some in batches(owners):
        rows = connection.execute(anew.where(_TEMPLATE.digest.in_(some))).all()
        for face_id, digest, person in rows:
            if user_id := owners[digest].get(person):
                yield face_id, user_id


class StoreProbes:
    """Probes in the database; implements :class:`facelabel.gallery.ports.Probes`."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database
        # Made once, as each dialect has its own: put in the place of what was there.
        new = database.insert(schema.kept)
        self._put = new.on_conflict_do_update(
            index_elements=[_KEPT.asset_id],
            set_={column.name: new.excluded[column.name] for column in _KEPT},
        )

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """Keep the faces seen in a picture, replacing what was kept of it."""
        values = {
            "asset_id": asset.asset_id,
            "version": asset.version,
            "model": model,
            "analysis": encode_analysis(analysis),
            "vectors": b"".join(template.vector for template in analysis.templates),
        }
        # Not waited for: without it the picture is looked at again, that is all.
        with self._database.transaction(durable=False) as connection:
            connection.execute(self._put, values)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """Version and faces of each picture kept for that model, by asset_id."""
        with self._database.read() as connection:
            return {
                row.asset_id: (row.version, decode_analysis(row.analysis, bytes(row.vectors)))
                for some in batches(asset_ids)
                for row in connection.execute(_SEEN, {"model": model, "some": some})
            }

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """Version and vectors, end to end, of each picture kept for that model, by asset_id."""
        with self._database.read() as connection:
            return {
                asset_id: (version, bytes(vectors))
                for some in batches(asset_ids)
                for asset_id, version, vectors in connection.execute(
                    _VECTORS, {"model": model, "some": some}
                )
            }

    def discard(self, asset_id: str) -> None:
        """Delete what was kept of a picture."""
        with self._database.transaction() as connection:
            forgetting.note(connection)
            connection.execute(delete(schema.kept).where(_KEPT.asset_id == asset_id))
