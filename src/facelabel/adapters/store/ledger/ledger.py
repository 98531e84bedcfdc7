"""The ledger: what we did and why, on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, exists, select, update

from facelabel.adapters.store.ledger import search_rows
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core import naming
from facelabel.core.model import Enrolment, NameState, Search
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Basis, Noted, Scope

_LINE = [column for column in schema.enrolment.c if column.name != "collection"]


def _asked(statement: Select[Any], table: Table, *names: str) -> Select[Any]:
    """A statement about the rows that have these values, given by name when it is carried out."""
    return statement.where(*(table.c[name] == bindparam(name) for name in names))


# Asked for every picture, so put into words once: that takes as long as to be told.
_COLLECTION = select(schema.gallery.c.collection)
_GENERATION = select(schema.gallery.c.generation)
_WEIGHS_STRANGERS = select(schema.gallery.c.weighs_strangers)
_ENROLMENT = _asked(select(*_LINE), schema.enrolment, "collection", "asset_id")
_INTENTION = _asked(select(schema.intention.c.person), schema.intention, "collection", "asset_id")
_LEFTOVERS = _asked(select(schema.leftover.c.face_id), schema.leftover, "collection").order_by(
    schema.leftover.c.face_id
)
_MARKS = _asked(
    select(schema.name_mark.c.name, schema.name_mark.c.state), schema.name_mark, "asset_id"
).order_by(schema.name_mark.c.name)


class StoreLedger:
    """The ledger in the database; implements :class:`facelabel.ports.Ledger`."""

    def __init__(self, database: Database) -> None:
        """Keep the ledger in this database."""
        self._database = database

    def collection(self) -> str | None:
        """Return the live collection."""
        with self._database.read() as connection:
            collection: str | None = connection.execute(_COLLECTION).scalar_one()
            return collection

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

    def weighs_strangers(self) -> bool:
        """Whether the gallery was begun by a program that asks more where many are known."""
        with self._database.read() as connection:
            return bool(connection.execute(_WEIGHS_STRANGERS).scalar_one())

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
            search_rows.forget_bases(connection)

    def generation(self) -> int:
        """How often the gallery changed."""
        with self._database.read() as connection:
            generation: int = connection.execute(_GENERATION).scalar_one()
            return generation

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """Return the enrolment of a training image."""
        with self._database.read() as connection:
            return _enrolment(connection, collection, asset_id)

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """Every enrolment of the collection, by asset_id, or those that hold one of the faces."""
        line = schema.enrolment.c
        lines = select(*_LINE).where(line.collection == collection)
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
                select(*_LINE).where(same).order_by(schema.enrolment.c.asset_id)
            )
            return _enrolments(connection, rows.mappings().all())

    def intention(self, collection: str, asset_id: str) -> str | None:
        """Return whom a process that died in between was enrolling from this image."""
        place = {"collection": collection, "asset_id": asset_id}
        with self._database.read() as connection:
            person: str | None = connection.execute(_INTENTION, place).scalar()
            return person

    def intend(self, collection: str, asset_id: str, person: str) -> None:
        """Note, before the recogniser is asked, whom we enrol."""
        place = {"collection": collection, "asset_id": asset_id}
        with self._database.transaction() as connection:
            connection.execute(self._put(schema.intention, place, {"person": person}))

    def enrol(self, collection: str, enrolment: Enrolment) -> None:
        """Record an enrolment, replacing the asset's former one; the same again changes nothing.

        Changes the generation if the collection is the live one. In the same transaction a face
        that no enrolment holds any more becomes a leftover, and the intention is cleared.
        """
        place = {"collection": collection, "asset_id": enrolment.asset_id}
        with self._changing_gallery() as connection:
            _delete(connection, schema.intention, **place)
            former = _enrolment(connection, **place)
            if former == enrolment:
                return
            connection.execute(self._put(schema.enrolment, place, _columns(enrolment, _LINE)))
            held = {"collection": collection, "face_id": enrolment.face_id}
            _delete(connection, schema.leftover, **held)
            if former:
                forgetting.note(connection)
            self._change(connection, collection, former)

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

    def leftovers(self, collection: str) -> Sequence[str]:
        """Faces no enrolment holds, still to be forgotten by the recogniser."""
        with self._database.read() as connection:
            return connection.execute(_LEFTOVERS, {"collection": collection}).scalars().all()

    def cleared(self, collection: str, face_ids: Sequence[str]) -> None:
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

    def search(self, asset_id: str) -> Search | None:
        """Return the last search of a picture."""
        return self.searches([asset_id]).get(asset_id)

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, Search]:
        """Return the last searches of several pictures at once."""
        with self._database.read() as connection:
            return search_rows.read(connection, asset_ids)

    def searched(self) -> Iterator[str]:
        """asset_ids of all pictures that were searched."""
        column = schema.search.c.asset_id
        return self._database.pages(select(column), column, _asset_ids)

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """Return the names of several pictures at once; those without any are absent."""
        found: dict[str, dict[str, NameState]] = {}
        lines, column = select(schema.name_mark), schema.name_mark.c.asset_id
        with self._database.read() as connection:
            for some in batches(asset_ids):
                for row in connection.execute(lines.where(column.in_(some))).mappings():
                    found.setdefault(row["asset_id"], {})[row["name"]] = NameState(row["state"])
        return found

    def record(self, search: Search, basis: Basis | None = None) -> None:
        """Record a search and what it rests on, replacing the picture's former one.

        One older than what is on record, by (version, generation), is dropped.
        """
        # Not waited for: a power cut that takes this back takes back the end of its job, too.
        with self._database.transaction(durable=False) as connection:
            search_rows.record(self._database, connection, [(search, basis)])

    def revise(self, searches: Sequence[tuple[Search, Basis | None]]) -> None:
        """Record several searches in one step in the place of older ones.

        One of the same (version, generation) as what is on record is dropped, too, and that of a
        picture without a search.
        """
        with self._database.transaction(durable=False) as connection:
            search_rows.revise(self._database, connection, searches)

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
        """Up to ``limit`` searches of the scope that have a basis, in any order.

        Of those alone whose decision is the same where a name takes the similarity ``needed``.
        """
        with self._database.read() as connection:
            return search_rows.noted(connection, scope, needed, limit)

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """Bring those of these searches that stand to the generation of the scope, in one step."""
        # Not waited for, as where they are recorded.
        with self._database.transaction(durable=False) as connection:
            search_rows.confirm(connection, scope, portraits, searches, unmoved)

    def stale(self, generation: int, limit: int) -> Sequence[Search]:
        """Up to ``limit`` searches made before that generation of the gallery, oldest first."""
        with self._database.read() as connection:
            return search_rows.stale(connection, generation, limit)

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """Return the names we wrote to a picture or are forbidden to write."""
        with self._database.read() as connection:
            return _marks(connection, asset_id)

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """Set the state of names on a picture; None deletes the line.

        Where that changes which names are refused, its search is not known to stand any more.
        """
        with self._database.transaction() as connection:
            before = _marks(connection, asset_id)
            if None in states.values():
                forgetting.note(connection)
            for name, state in sorted(states.items()):
                place = {"asset_id": asset_id, "name": name}
                if state is None:
                    _delete(connection, schema.name_mark, **place)
                else:
                    connection.execute(self._put(schema.name_mark, place, {"state": state}))
            if naming.refused(naming.marked(before, states)) != naming.refused(before):
                search_rows.forget_basis(connection, asset_id)

    def forget_asset(self, asset_id: str) -> None:
        """Delete the search and the names of a picture that is gone."""
        with self._database.transaction() as connection:
            forgetting.note(connection)
            search_rows.forget(connection, asset_id)
            _delete(connection, schema.name_mark, asset_id=asset_id)

    def _changing_gallery(self) -> AbstractContextManager[Connection]:
        """One at a time: whether a face is still held depends on every other enrolment."""
        return self._database.transaction(alone="gallery")

    def _put(
        self,
        table: Table,
        place: Mapping[str, str],
        values: Mapping[str, Any],
    ) -> Insert:
        """INSERT of a line that replaces the one at its place, if there is one that may be."""
        new = self._database.insert(table).values({**place, **values})
        return new.on_conflict_do_update(index_elements=list(place), set_=values)

    def _change(self, connection: Connection, collection: str, former: Enrolment | None) -> None:
        """Count a change of the gallery; a face that lost its last enrolment is a leftover."""
        live = schema.gallery.c.collection == collection
        counted = update(schema.gallery).where(live)
        connection.execute(counted.values(generation=schema.gallery.c.generation + 1))
        if former and not _is_held(connection, collection, former.face_id):
            left = self._database.insert(schema.leftover)
            left = left.values(collection=collection, face_id=former.face_id)
            connection.execute(left.on_conflict_do_nothing())


def _at(table: Table, **place: str) -> ColumnElement[bool]:
    conditions = [table.c[name] == value for name, value in place.items()]
    return and_(*conditions)


def _delete(connection: Connection, table: Table, **place: str) -> None:
    connection.execute(delete(table).where(_at(table, **place)))


def _columns(line: object, columns: Iterable[Column[Any]]) -> dict[str, Any]:
    return {column.name: getattr(line, column.name) for column in columns}


def _is_held(connection: Connection, collection: str, face_id: str) -> bool:
    held = _at(schema.enrolment, collection=collection, face_id=face_id)
    return bool(connection.execute(select(exists().where(held))).scalar())


def _marks(connection: Connection, asset_id: str) -> dict[str, NameState]:
    rows = connection.execute(_MARKS, {"asset_id": asset_id})
    return {name: NameState(state) for name, state in rows}


def _enrolment(connection: Connection, collection: str, asset_id: str) -> Enrolment | None:
    place = {"collection": collection, "asset_id": asset_id}
    row = connection.execute(_ENROLMENT, place).mappings().first()
    return Enrolment(**row) if row else None


def _enrolments(_: Connection, rows: Sequence[RowMapping]) -> list[Enrolment]:
    return [Enrolment(**row) for row in rows]


def _asset_ids(_: Connection, rows: Sequence[RowMapping]) -> list[str]:
    return [row["asset_id"] for row in rows]
