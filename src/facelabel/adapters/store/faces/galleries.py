"""Face collections as their clients see them: faces, users, tags."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select, update

from facelabel.adapters.store.faces import client_tokens, face_users, template_rows
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import Box
from facelabel.core.serial import encode_template
from facelabel.errors import AlreadyExists, LabelRefused, NotFound, QuotaExceeded
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import (
    Association,
    Deletion,
    FaceCollection,
    FaceRecord,
    FailedFace,
    Failure,
    Gallery,
    UserStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import JsonValue
    from facelabel.ports import Clock
    from facelabel.rekognition.types import NewFace, User

MAX_TAGS = 200

_IMAGES = uuid.UUID("0a7d6f2e-94b1-5c58-8f0b-3f7c5b1f9d27")

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
_USER = schema.face_user.c


class StoreGalleries:
    """Galleries in the database; implements :class:`facelabel.ports.Galleries`."""

    def __init__(self, database: Database, clock: Clock, own: str = "") -> None:
        """Share the database with :class:`~facelabel.adapters.store.faces.templates.StoreTemplates`.

        ``own``: the name under which clients know the collection that the pipeline works with. A
        rebuild makes another one, and no collection of that name is left: then the name means
        the live one, which is shown under it.
        """
        self._database = database
        self._clock = clock
        self._own = own

    def create(
        self, collection: str, model: str, dimensions: int, tags: Mapping[str, str]
    ) -> FaceCollection:
        """Make an empty collection; AlreadyExists."""
        now = self._clock.now()
        row = {
            "name": collection,
            "model": model,
            "dimensions": dimensions,
            "created_at": now,
            "tags": dict(tags),
        }
        new = self._database.insert(schema.collection).values(row).on_conflict_do_nothing()
        with self._database.transaction() as connection:
            taken = collection == self._own and self._renamed(connection)
            if taken or connection.execute(new.returning(_COLLECTION.id)).first() is None:
                raise AlreadyExists(f"there is a collection {collection!r} already")
        return FaceCollection(collection, model, faces=0, users=0, created_at=now)

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""
        with self._database.read() as connection:
            this = _described(_COLLECTION.name == self._name(connection, collection))
            row = connection.execute(this).mappings().first()
        return FaceCollection(**{**template_rows.required(row, collection), "name": collection})

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""
        with self._database.read() as connection:
            live, name = self._renamed(connection), _COLLECTION.name
            shown = case((name == live, self._own), else_=name) if live else name
            following = _described(shown > after, shown).order_by(shown).limit(limit)
            return [FaceCollection(**row) for row in connection.execute(following).mappings()]

    def gallery(self, collection: str) -> Gallery:
        """Return what a search needs to know."""
        with self._database.read() as connection:
            found = self._found(connection, collection)
            users = template_rows.users_number(connection, found["id"])
        return Gallery(found["id"], users, found["model"])

    def drop(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags."""
        with self._database.transaction() as connection:
            template_rows.drop(connection, self._held(connection, collection)["id"])

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""
        with self._database.read() as connection:
            return dict(self._found(connection, collection)["tags"])

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add or change tags; QuotaExceeded above 200."""
        self._retag(collection, lambda present: {**present, **tags})

    def untag(self, collection: str, keys: Sequence[str]) -> None:
        """Remove tags; those not there are no error."""
        gone = set(keys)
        self._retag(collection, lambda present: {k: v for k, v in present.items() if k not in gone})

    def add(self, collection: str, faces: Sequence[NewFace]) -> Sequence[FaceRecord]:
        """Add faces and return what is there of them, in their order; known face_ids stay.

        Raises ValueError for a vector of another length.
        """
        with self._database.transaction() as connection:
            held = self._held(connection, collection)
            rows = [_row(held, face) for face in faces]
            if rows:
                new = self._database.insert(schema.template).on_conflict_do_nothing()
                connection.execute(new, rows)
            face_ids = [face.face_id for face in faces]
            these = _records(held["id"]).where(_TEMPLATE.face_id.in_(face_ids))
            known = list(map(_record, connection.execute(these).mappings()))
        by_id = {record.face_id: record for record in known}
        return [by_id[face_id] for face_id in face_ids]

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        """See :meth:`facelabel.ports.FaceCollections.faces`."""
        with self._database.read() as connection:
            number = self._found(connection, collection)["id"]
            following = _records(number).where(_TEMPLATE.row > after)
            if face_ids is not None:
                following = following.where(_TEMPLATE.face_id.in_(face_ids))
            if user_id is not None:
                face_users.require(connection, number, user_id)
                following = following.where(_TEMPLATE.user_id == user_id)
            page = following.order_by(_TEMPLATE.row).limit(limit + 1)
            rows = connection.execute(page).mappings().all()
        more = rows[limit - 1]["row"] if len(rows) > limit > 0 else None
        return [_record(row) for row in rows[:limit]], more

    def records(self, number: int, rows: Sequence[int]) -> Mapping[int, FaceRecord]:
        """Return the faces of these row numbers of a gallery; deleted ones are absent."""
        with self._database.read() as connection:
            return {
                row["row"]: _record(row)
                for some in batches(rows)
                for row in connection.execute(
                    _records(number).where(_TEMPLATE.row.in_(some))
                ).mappings()
            }

    def vector(self, collection: str, face_id: str) -> tuple[int, bytes]:
        """Row number and vector of a face; NotFound without it."""
        with self._database.read() as connection:
            number = self._found(connection, collection)["id"]
            found = _vector(connection, number, face_id)
        if found is None:
            raise NotFound(f"there is no face {face_id!r} in the collection {collection!r}")
        return found

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""
        with self._database.transaction() as connection:
            number = self._held(connection, collection)["id"]
            these = _TEMPLATE.face_id.in_(face_ids)
            rows = template_rows.erase(connection, number, these & _TEMPLATE.user_id.is_(None))
            owners = select(_TEMPLATE.face_id, _TEMPLATE.user_id)
            left = connection.execute(owners.where(_TEMPLATE.collection_id == number, these))
            kept = {face.face_id: face.user_id for face in left}
        gone = {row["face_id"] for row in rows}
        wanted = list(dict.fromkeys(face_ids))
        return Deletion(
            deleted=tuple(face_id for face_id in wanted if face_id in gone),
            failed=tuple(_undeleted(face_id, kept) for face_id in wanted if face_id not in gone),
        )

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        """See :meth:`facelabel.ports.FaceCollections.create_user`."""

        def act(connection: Connection, held: RowMapping) -> None:
            face_users.create(connection, held, user_id)

        self._once(collection, token, ["create", user_id], act)

    def delete_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""

        def act(connection: Connection, held: RowMapping) -> None:
            face_users.remove(connection, held["id"], user_id)

        self._once(collection, token, ["delete", user_id], act)

    def users(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""
        with self._database.read() as connection:
            number = self._found(connection, collection)["id"]
            return face_users.page(connection, number, after, limit)

    def user_ids(self, number: int, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the users of these row numbers of the users' vectors."""
        named = select(_TEMPLATE.row, _TEMPLATE.face_id).where(_TEMPLATE.collection_id == number)
        with self._database.read() as connection:
            return {
                row: user_id
                for some in batches(rows)
                for row, user_id in connection.execute(named.where(_TEMPLATE.row.in_(some)))
            }

    def user_vector(self, collection: str, user_id: str) -> tuple[int, bytes] | None:
        """Row number and vector of a user; None where it has no face."""
        with self._database.read() as connection:
            number = self._found(connection, collection)["id"]
            face_users.require(connection, number, user_id)
            hidden = template_rows.users_number(connection, number)
            return _vector(connection, hidden, user_id) if hidden else None

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        similarity: Callable[[bytes, bytes], float],
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they are similar to its vector."""

        def act(connection: Connection, held: RowMapping) -> Any:  # noqa: ANN401 - JSON
            face_users.require(connection, held["id"], user_id)
            return asdict(
                face_users.associate(
                    connection, held["id"], user_id, face_ids, similarity, threshold
                )
            )

        request: JsonValue = ["associate", user_id, list(face_ids), threshold]
        return _association(self._once(collection, token, request, act))

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""

        def act(connection: Connection, held: RowMapping) -> Any:  # noqa: ANN401 - JSON
            face_users.require(connection, held["id"], user_id)
            return asdict(face_users.disassociate(connection, held["id"], user_id, face_ids))

        request: JsonValue = ["disassociate", user_id, list(face_ids)]
        return _association(self._once(collection, token, request, act))

    def _renamed(self, connection: Connection) -> str | None:
        """The live collection, where clients know it by another name than its own."""
        if not self._own or connection.execute(template_rows.named(self._own)).first():
            return None
        live = connection.execute(select(schema.gallery.c.collection)).scalar()
        return live if live and connection.execute(template_rows.named(live)).first() else None

    def _name(self, connection: Connection, collection: str) -> str:
        """The name in the database of what a client asks for."""
        renamed = self._renamed(connection) if collection == self._own else None
        return renamed or collection

    def _found(self, connection: Connection, collection: str) -> RowMapping:
        this = template_rows.named(self._name(connection, collection))
        return template_rows.required(connection.execute(this).mappings().first(), collection)

    def _held(self, connection: Connection, collection: str) -> RowMapping:
        """Lock the collection; asked for twice, as a rebuild may have ended while we waited."""
        for _ in range(2):
            name = self._name(connection, collection)
            if held := template_rows.held(connection, name):
                return held
        return template_rows.required(None, collection)

    def _once(
        self,
        collection: str,
        token: str | None,
        request: JsonValue,
        act: Callable[[Connection, RowMapping], Any],
    ) -> Any:  # noqa: ANN401 - JSON
        with self._database.transaction() as connection:
            held = self._held(connection, collection)
            now = self._clock.now()
            return client_tokens.once(
                connection, held["id"], token, request, now, lambda: act(connection, held)
            )

    def _retag(self, collection: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        with self._database.transaction() as connection:
            held = self._held(connection, collection)
            tags = change(held["tags"])
            if len(tags) > MAX_TAGS:
                raise QuotaExceeded(f"a collection has {MAX_TAGS} tags at most")
            forgetting.note(connection)
            this = update(schema.collection).where(_COLLECTION.id == held["id"])
            connection.execute(this.values(tags=tags))


def _described(
    condition: ColumnElement[bool], name: ColumnElement[str] = _COLLECTION.name
) -> Select[Any]:
    """The visible collections for which the condition holds, with the words of FaceCollection."""
    return select(
        name.label("name"),
        _COLLECTION.model,
        _counted(_TEMPLATE.collection_id).label("faces"),
        _counted(_USER.collection_id).label("users"),
        _COLLECTION.created_at,
    ).where(condition, _COLLECTION.users_of.is_(None))


def _counted(collection_id: ColumnElement[int]) -> Any:  # noqa: ANN401 - a scalar subquery
    counted = select(func.count()).select_from(collection_id.table)
    return counted.where(collection_id == _COLLECTION.id).scalar_subquery()


def _records(number: int) -> Select[Any]:
    """The faces of a collection with all that :func:`_record` needs: not their vectors."""
    return (
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
        .where(_TEMPLATE.collection_id == number)
    )


def _record(row: RowMapping) -> FaceRecord:
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


def _row(collection: RowMapping, face: NewFace) -> dict[str, Any]:
    return {
        "collection_id": collection["id"],
        "face_id": face.face_id,
        "person": face.person,
        "digest": face.digest,
        "vector": template_rows.fitting(face.template.vector, collection),
        "face": encode_template(face.template),
        "external_image_id": face.external_image_id,
    }


def _vector(connection: Connection, number: int, face_id: str) -> tuple[int, bytes] | None:
    this = (_TEMPLATE.collection_id == number, _TEMPLATE.face_id == face_id)
    found = connection.execute(select(_TEMPLATE.row, _TEMPLATE.vector).where(*this)).first()
    return (found.row, bytes(found.vector)) if found else None


def _undeleted(face_id: str, kept: Mapping[str, str]) -> FailedFace:
    if face_id in kept:
        reasons = (Failure.ASSOCIATED_TO_AN_EXISTING_USER,)
        return FailedFace(face_id, reasons, user_id=kept[face_id])
    return FailedFace(face_id, (Failure.FACE_NOT_FOUND,))


def _association(answer: Any) -> Association:  # noqa: ANN401 - JSON
    """The association that was made a dictionary, fresh or from the database."""
    failed = (
        FailedFace(
            failed["face_id"],
            tuple(map(Failure, failed["reasons"])),
            failed["user_id"],
            failed["confidence"],
        )
        for failed in answer["failed"]
    )
    return Association(tuple(answer["face_ids"]), tuple(failed), UserStatus(answer["status"]))
