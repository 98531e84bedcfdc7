"""One collection takes another's place, with all that clients put there.

What the pipeline enrolled is learnt anew by who rebuilds. Faces that clients added cannot be: their
images are not here. Their vectors are copied instead, which only the same model allows. Users
follow their faces, enrolled ones included.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import func, literal, or_, select, update

from facelabel.adapters.store.faces import face_users, template_rows
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import batches
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.adapters.store.sql.database import Database

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
#: What moves with a face.
_COPIED = [column for column in _TEMPLATE if column.name not in {"row", "collection_id"}]


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
    template_rows.drop(connection, old["id"])


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
    if template_rows.users_number(connection, new["id"]) is None:
        face_users.create_hidden(connection, new)
    for face_id, user_id in _heirs(connection, old, new["id"]):
        this = (_TEMPLATE.collection_id == new["id"], _TEMPLATE.face_id == face_id)
        connection.execute(update(schema.template).where(*this).values(user_id=user_id))
    template_rows.follow(connection, new["id"], user_ids)


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
