"""The ledger's part about portraits: enrolments, and what the gallery as a whole is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    exists,
    select,
    update,
)

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import Enrolment, GalleryState
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database

#: What a search rests on, where that is not known.
NO_BASIS = dict.fromkeys(("note", "below", "upto"))
LINE = [column for column in schema.enrolment.c if column.name != "collection"]


def _asked(statement: Select[Any], table: Table, *names: str) -> Select[Any]:
    """A statement about the rows that have these values, given by name when it is carried out."""
    return statement.where(*(table.c[name] == bindparam(name) for name in names))


# Asked for every picture, so put into words once: that takes as long as to be told.
GALLERY_STATE = select(*(column for column in schema.gallery.c if column.name != "id"))
STATES = len(schema.gallery.c) - 1
_ENROLMENT = _asked(select(*LINE), schema.enrolment, "collection", "asset_id")
_INTENTION = _asked(select(schema.intention.c.person), schema.intention, "collection", "asset_id")
_LEFTOVERS = _asked(select(schema.leftover.c.face_id), schema.leftover, "collection").order_by(
    schema.leftover.c.face_id
)


class StoreEnrolments:
    """Enrolments in the database; implements :class:`facelabel.recognition.ports.Enrolments`."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database
        self._note_intention = _replacing(database.insert(schema.intention), schema.intention)
        self._put_enrolment = _replacing(database.insert(schema.enrolment), schema.enrolment)

    def collection(self) -> str | None:
        """Return the live collection."""
        return self.gallery().collection

    def gallery(self) -> GalleryState:
        """Return the live collection with all that is known of the gallery as a whole."""
        with self._database.read() as connection:
            return GalleryState(*connection.execute(GALLERY_STATE).one())

    def begin(self, collection: str) -> str:
        """Make a collection the live one, in one step, if there is none; return the live one."""
        gallery = schema.gallery.c
        first = {
            "collection": collection,
            "generation": gallery.generation + 1,
            "weighs_strangers": True,
        }
        with self._database.transaction() as connection:
            connection.execute(
                update(schema.gallery).where(gallery.collection.is_(None)).values(first)
            )
            live: str = connection.execute(select(gallery.collection)).scalar_one()
            return live

    def switch(self, collection: str) -> None:
        """Make a collection the live one, in one step; counts as a change of the gallery."""
        other = schema.gallery.c.collection.is_distinct_from(collection)
        change = {"collection": collection, "generation": schema.gallery.c.generation + 1}
        with self._database.transaction() as connection:
            connection.execute(update(schema.gallery).where(other).values(change))

    def changed(self) -> None:
        """Count a change of the gallery that others made: no search is known to stand any more."""
        counted = {"generation": schema.gallery.c.generation + 1}
        with self._database.transaction() as connection:
            connection.execute(update(schema.gallery).values(counted))
            known = update(schema.standing).where(schema.standing.c.note.is_not(None))
            connection.execute(known.values(NO_BASIS))

    def decide_by(self, rules: str, configured: str) -> None:
        """Have names decided by these rules from now on, which may count as a change: one step."""
        gallery = schema.gallery.c
        said = {"rules": rules, "configured": configured}
        others = gallery.rules.is_not(None) & (gallery.rules != rules)
        counted = update(schema.gallery).where(others).values(generation=gallery.generation + 1)
        with self._database.transaction() as connection:
            connection.execute(counted)
            connection.execute(update(schema.gallery).values(said))

    def learn_by(self, learning: str, configured: str) -> None:
        """Have people learnt by these folders and labels from now on."""
        said = {"learning": learning, "learning_configured": configured}
        with self._database.transaction() as connection:
            connection.execute(update(schema.gallery).values(said))

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """Return the enrolment of a training image."""
        with self._database.read() as connection:
            return _enrolment(connection, collection, asset_id)

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """Every enrolment of the collection, by asset_id, or those that hold one of the faces."""
        line = schema.enrolment.c
        lines = select(*LINE).where(line.collection == collection)
        if face_ids is None:
            yield from self._database.pages(lines, line.asset_id, _enrolments)
            return
        for some in batches(face_ids):
            held = lines.where(line.face_id.in_(some))
            yield from self._database.pages(held, line.asset_id, _enrolments)

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """Enrolments of the same picture, whatever their asset."""
        same = (schema.enrolment.c.collection == collection) & (schema.enrolment.c.digest == digest)
        with self._database.read() as connection:
            rows = connection.execute(
                select(*LINE).where(same).order_by(schema.enrolment.c.asset_id)
            )
            return _enrolments(connection, rows.mappings().all())

    def intention(self, collection: str, asset_id: str) -> str | None:
        """Return whom a process that died in between was enrolling from this image."""
        place = {"collection": collection, "asset_id": asset_id}
        with self._database.read() as connection:
            person: str | None = connection.execute(_INTENTION, place).scalar()
            return person

    def begin_enrolment(self, collection: str, asset_id: str, person: str) -> None:
        """Note, before the recogniser is asked, whom we enrol."""
        place = {"collection": collection, "asset_id": asset_id}
        with self._database.transaction() as connection:
            connection.execute(self._note_intention, {**place, "person": person})

    def enrol(
        self, collection: str, enrolment: Enrolment, *, instead_of: Enrolment | None = None
    ) -> bool:
        """Record an enrolment, replacing the asset's former one; the same again changes nothing.

        Changes the generation if the collection is the live one. In the same transaction a face
        that no enrolment holds any more becomes a leftover, and the intention is cleared.
        ``instead_of``: what the former one has to be; else nothing is done, and False returned.
        """
        place = {"collection": collection, "asset_id": enrolment.asset_id}
        with self._changing_gallery() as connection:
            former = _enrolment(connection, **place)
            if instead_of is not None and former != instead_of:
                return False
            _delete(connection, schema.intention, **place)
            if former == enrolment:
                return True
            line = {column.name: getattr(enrolment, column.name) for column in LINE}
            connection.execute(self._put_enrolment, {**line, **place})
            held = {"collection": collection, "face_id": enrolment.face_id}
            _delete(connection, schema.leftover, **held)
            if former:
                forgetting.note(connection)
            self._change(connection, collection, former)
        return True

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """Delete and return the asset's enrolment, leaving a leftover if it was the last.

        Clears the intention. Changes the generation if the collection is the live one.
        """
        place = {"collection": collection, "asset_id": asset_id}
        with self._changing_gallery() as connection:
            _delete(connection, schema.intention, **place)
            former = _enrolment(connection, **place)
            if former:
                _delete(connection, schema.enrolment, **place)
                forgetting.note(connection)
                self._change(connection, collection, former)
        return former

    def faces_to_delete(self, collection: str) -> Sequence[str]:
        """Faces no enrolment holds, still to be forgotten by the recogniser."""
        with self._database.read() as connection:
            return connection.execute(_LEFTOVERS, {"collection": collection}).scalars().all()

    def mark_deleted(self, collection: str, face_ids: Sequence[str]) -> None:
        """Note that faces were forgotten: leftovers among them are none any more.

        Changes the generation if the collection is the live one, as who looked since they were
        unenrolled may have seen them.
        """
        if not face_ids:
            return
        cleared = delete(schema.leftover).where(schema.leftover.c.collection == collection)
        with self._changing_gallery() as connection:
            for some in batches(face_ids):
                connection.execute(cleared.where(schema.leftover.c.face_id.in_(some)))
            self._change(connection, collection, None)

    def purge(self, collection: str) -> None:
        """Delete every line about a collection that is not live; Rejected if it is.

        Searches stay: they are about pictures, and being stale they are made again.
        """
        with self._changing_gallery() as connection:
            if connection.execute(select(schema.gallery.c.collection)).scalar_one() == collection:
                raise Rejected(f"{collection!r} is the live collection")
            forgetting.note(connection)
            for table in (schema.enrolment, schema.intention, schema.leftover):
                _delete(connection, table, collection=collection)

    def _changing_gallery(self) -> AbstractContextManager[Connection]:
        """One at a time: whether a face is still held depends on every other enrolment."""
        return self._database.transaction(alone="gallery")

    def _change(self, connection: Connection, collection: str, former: Enrolment | None) -> None:
        """Count a change of the gallery; a face that lost its last enrolment is a leftover."""
        live = schema.gallery.c.collection == collection
        counted = update(schema.gallery).where(live)
        connection.execute(counted.values(generation=schema.gallery.c.generation + 1))
        if former and not _is_held(connection, collection, former.face_id):
            left = self._database.insert(schema.leftover)
            left = left.values(collection=collection, face_id=former.face_id)
            connection.execute(left.on_conflict_do_nothing())


def _replacing(insert: Insert, table: Table) -> Insert:
    """INSERT of a line that replaces the one at its place."""
    values = {column.name: insert.excluded[column.name] for column in table.c}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


def _at(table: Table, **place: str) -> ColumnElement[bool]:
    conditions = [table.c[name] == value for name, value in place.items()]
    return and_(*conditions)


def _delete(connection: Connection, table: Table, **place: str) -> None:
    connection.execute(delete(table).where(_at(table, **place)))


def _is_held(connection: Connection, collection: str, face_id: str) -> bool:
    held = _at(schema.enrolment, collection=collection, face_id=face_id)
    return bool(connection.execute(select(exists().where(held))).scalar())


def _enrolment(connection: Connection, collection: str, asset_id: str) -> Enrolment | None:
    place = {"collection": collection, "asset_id": asset_id}
    row = connection.execute(_ENROLMENT, place).mappings().first()
    return Enrolment(**row) if row else None


def _enrolments(_: Connection, rows: Sequence[RowMapping]) -> list[Enrolment]:
    return [Enrolment(**row) for row in rows]
