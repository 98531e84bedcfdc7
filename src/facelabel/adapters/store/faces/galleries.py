"""Face collections: their faces and vectors, for who enrols and for Rekognition's clients.

Row numbers and deletion numbers grow in the order in which transactions commit, so a reader that
asks for everything above the last number it saw misses nothing. SQLite has one writer; on
PostgreSQL whoever adds to a collection or deletes from it locks the collection's row.
"""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, case, func, select, update

from facelabel.adapters.store.faces import face_users, template_rows
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import EnrolledFace
from facelabel.errors import AlreadyExists, NotFound, QuotaExceeded
from facelabel.rekognition.types import (
    Deletion,
    FaceCollection,
    FaceRecord,
    FailedFace,
    Failure,
    Gallery,
    Reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.rekognition.types import NewFace

MAX_TAGS = 200

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
_DELETION = schema.template_deletion.c
_USER = schema.face_user.c

# Statements are made once: putting one together takes longer than many a database to answer it.
_THIS: BindParameter[int] = bindparam("collection")
_AFTER: BindParameter[int] = bindparam("after")
_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_IN_THIS = _TEMPLATE.collection_id == _THIS
_LAST_ROW = select(func.max(_TEMPLATE.row)).where(_IN_THIS)
_LAST_DELETION = select(func.max(_DELETION.id)).where(_DELETION.collection_id == _THIS)
#: Of a collection, 0 where there is none: its highest row number, and its last deletion's.
_NEWEST, _DELETED = (
    func.coalesce(last.scalar_subquery(), 0) for last in (_LAST_ROW, _LAST_DELETION)
)
_POSITION = select(_NEWEST, _DELETED)
_ENROLLED = select(_TEMPLATE.row, _TEMPLATE.face_id, _TEMPLATE.person, _TEMPLATE.asset_id)
_VECTORS_OF = select(_TEMPLATE.face_id, _TEMPLATE.row, _TEMPLATE.vector).where(
    _IN_THIS, _TEMPLATE.face_id.in_(_SOME)
)
_FOLLOWING = (
    select(_TEMPLATE.row, _TEMPLATE.vector)
    .where(_IN_THIS, _TEMPLATE.row > _AFTER)
    .order_by(_TEMPLATE.row)
    .limit(bindparam("limit"))
)
_DEPARTED = (
    select(_DELETION.id, _DELETION.row, _DELETION.first_row)
    .where(_DELETION.collection_id == _THIS, _DELETION.id > _AFTER)
    .order_by(_DELETION.id)
)


def _kin(aggregate: Any) -> ColumnElement[int]:  # noqa: ANN401 - a function of SQL
    """The lowest, or the highest, row of a reference's person."""
    kin = schema.template.alias()
    theirs = (kin.c.collection_id == _THIS, kin.c.person == _TEMPLATE.person)
    return select(aggregate(kin.c.row)).where(*theirs).scalar_subquery()


_REFERENCES = (
    _ENROLLED.add_columns(_kin(func.min).label("first"), _kin(func.max).label("last"))
    .add_columns(_NEWEST, _DELETED)
    .where(_IN_THIS, _TEMPLATE.row.in_(_SOME))
)
_SEVERAL = (
    select(_TEMPLATE.person)
    .where(_IN_THIS, _TEMPLATE.person.in_(_SOME))
    .group_by(_TEMPLATE.person)
    .having(func.count().between(2, bindparam("most")))
)
_VECTORS_OF_PEOPLE = select(
    _TEMPLATE.row, _TEMPLATE.person, _TEMPLATE.vector, _NEWEST, _DELETED
).where(_IN_THIS, _TEMPLATE.person.in_(_SEVERAL))
_RECORDS_OF_IDS = template_rows.RECORDS.where(_TEMPLATE.face_id.in_(_SOME))
_RECORDS_OF_ROWS = template_rows.RECORDS.where(_TEMPLATE.row.in_(_SOME))


class StoreGalleries:
    """Face collections in the database.

    :class:`~facelabel.gallery.ports.Templates` to the pipeline, and to clients
    :class:`~facelabel.gallery.ports.Galleries`.
    """

    def __init__(self, database: Database, clock: Clock, own: str = "") -> None:
        """Keep the collections in this database.

        ``own``, for clients: the name under which they know the collection that the pipeline
        works with. A rebuild makes another one, and no collection of that name is left: then the
        name means the live one, which is shown under it.
        """
        self._database = database
        self._clock = clock
        self._own = own
        # Made once, as each dialect has its own.
        self._add = database.insert(schema.template).on_conflict_do_nothing()

    def create(
        self, collection: str, model: str, dimensions: int, tags: Mapping[str, str] | None = None
    ) -> FaceCollection:
        """Make an empty collection; AlreadyExists."""
        now = self._clock.now()
        row = {
            "name": collection,
            "model": model,
            "dimensions": dimensions,
            "created_at": now,
            "tags": dict(tags or {}),
        }
        new = self._database.insert(schema.collection).values(row).on_conflict_do_nothing()
        with self._database.transaction() as connection:
            taken = template_rows.renamed(connection, self._own) if collection == self._own else ""
            if taken or connection.execute(new.returning(_COLLECTION.id)).first() is None:
                raise AlreadyExists(f"there is a collection {collection!r} already")
        return FaceCollection(collection, model, faces=0, users=0, created_at=now)

    def find(self, collection: str) -> Gallery:
        """Return what everything else is asked by; NotFound without the collection."""
        with self._database.read() as connection:
            found = template_rows.found(connection, collection, self._own)
        return Gallery(found["id"], found["users_number"], found["model"])

    def names(self) -> Sequence[str]:
        """Names of all collections."""
        with self._database.read() as connection:
            visible = select(_COLLECTION.name).where(_COLLECTION.users_of.is_(None))
            return sorted(connection.execute(visible).scalars())

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""
        with self._database.read() as connection:
            number = template_rows.found(connection, collection, self._own)["id"]
            row = connection.execute(_described(_COLLECTION.id == number)).mappings().one()
        return FaceCollection(**{**row, "name": collection})

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""
        with self._database.read() as connection:
            live, name = template_rows.renamed(connection, self._own), _COLLECTION.name
            shown = case((name == live, self._own), else_=name) if live else name
            following = _described(shown > after, shown).order_by(shown).limit(limit)
            return [FaceCollection(**row) for row in connection.execute(following).mappings()]

    def drop(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags; NotFound."""
        with self._database.transaction() as connection:
            held = template_rows.held(connection, collection, self._own)
            template_rows.drop(connection, held["id"])

    def strangers(self, collection_id: int) -> int:
        """How many faces clients put there, that no asset was enrolled as."""
        with self._database.read() as connection:
            return template_rows.strangers(connection, collection_id)

    def supersede(self, collection: str, heir: str, *, lossy: bool) -> None:
        """Give the heir what clients put into a collection, and delete it, in one step.

        Raises NotFound without the heir; Rejected, nothing done, if faces of clients would be
        lost because the models differ, unless that is meant (``lossy``).
        """
        with self._database.transaction() as connection:
            try:
                old = template_rows.held(connection, collection)
            except NotFound:
                return
            new = template_rows.held(connection, heir)
            template_rows.supersede(self._database, connection, old, new, lossy=lossy)

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""
        with self._database.read() as connection:
            number = template_rows.found(connection, collection, self._own)["id"]
            this = select(_COLLECTION.tags).where(_COLLECTION.id == number)
            return dict(connection.execute(this).scalar_one())

    def change_tags(
        self, collection: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        """Make other tags of those there are; QuotaExceeded above 200."""
        with self._database.transaction() as connection:
            held = template_rows.held(connection, collection, self._own)
            tags = change(held["tags"])
            if len(tags) > MAX_TAGS:
                raise QuotaExceeded(f"a collection has {MAX_TAGS} tags at most")
            forgetting.note(connection)
            this = update(schema.collection).where(_COLLECTION.id == held["id"])
            connection.execute(this.values(tags=tags))

    def add(self, collection: str, faces: Sequence[NewFace]) -> Sequence[FaceRecord]:
        """Add faces and return what is there of them, in their order; known face_ids stay.

        Raises ValueError for a vector of another length.
        """
        with self._database.transaction() as connection:
            held = template_rows.held(connection, collection, self._own)
            rows = [template_rows.new(held, face) for face in faces]
            if rows:
                connection.execute(self._add, rows)
            these = {"collection": held["id"], "some": [face.face_id for face in faces]}
            known = connection.execute(_RECORDS_OF_IDS, these).mappings().all()
        by_id = {row["face_id"]: template_rows.record(row) for row in known}
        return [by_id[face.face_id] for face in faces]

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good, from their users' vectors too; NotFound without the collection."""
        with self._database.transaction() as connection:
            number = template_rows.held(connection, collection, self._own)["id"]
            gone = [
                row
                for some in batches(face_ids)
                for row in template_rows.erase(connection, number, _TEMPLATE.face_id.in_(some))
            ]
            users = {row["user_id"] for row in gone if row["user_id"] is not None}
            template_rows.follow(connection, number, users)

    def delete_unowned(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""
        with self._database.transaction() as connection:
            number = template_rows.held(connection, collection, self._own)["id"]
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

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        """See :meth:`facelabel.rekognition.ports.FaceCollections.faces`."""
        following = template_rows.RECORDS.where(_TEMPLATE.row > after)
        if face_ids is not None:
            following = following.where(_TEMPLATE.face_id.in_(face_ids))
        if user_id is not None:
            following = following.where(_TEMPLATE.user_id == user_id)
        page = following.order_by(_TEMPLATE.row).limit(limit + 1)
        with self._database.read() as connection:
            number = template_rows.found(connection, collection, self._own)["id"]
            if user_id is not None:
                face_users.require(connection, number, user_id)
            rows = connection.execute(page, {"collection": number}).mappings().all()
        more = rows[limit - 1]["row"] if len(rows) > limit > 0 else None
        return [template_rows.record(row) for row in rows[:limit]], more

    def records(self, collection_id: int, rows: Sequence[int]) -> Mapping[int, FaceRecord]:
        """Return the faces of these row numbers; deleted ones are absent."""
        with self._database.read() as connection:
            return {
                row["row"]: template_rows.record(row)
                for some in batches(rows)
                for row in connection.execute(
                    _RECORDS_OF_ROWS, {"collection": collection_id, "some": some}
                ).mappings()
            }

    def enrolled(
        self, collection_id: int, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every face of the collection, in the order added, or those of the given ids."""
        faces = _ENROLLED.where(_TEMPLATE.collection_id == collection_id)
        if face_ids is None:
            return self._database.pages(faces, _TEMPLATE.row, lambda _, rows: map(_face, rows))
        with self._database.read() as connection:
            rows = [
                row
                for some in batches(dict.fromkeys(face_ids))
                for row in connection.execute(faces.where(_TEMPLATE.face_id.in_(some))).mappings()
            ]
        return map(_face, sorted(rows, key=itemgetter("row")))

    def references(
        self, collection_id: int, rows: Sequence[int]
    ) -> tuple[Mapping[int, Reference], tuple[int, int]]:
        """The faces of these row numbers, deleted ones absent, and the position they are as of."""
        found: dict[int, Reference] = {}
        position: tuple[int, int] | None = None
        with self._database.read() as connection:
            for some in batches(rows):
                these = {"collection": collection_id, "some": some}
                for (
                    row,
                    face_id,
                    person,
                    asset_id,
                    first,
                    last,
                    newest,
                    deleted,
                ) in connection.execute(_REFERENCES, these):
                    face = EnrolledFace(face_id, person, asset_id)
                    found[row] = Reference(face, first, has_others=last > first)
                    position = newest, deleted
            return found, position or _position(connection, collection_id)

    def vectors_of(
        self, collection_id: int, face_ids: Sequence[str]
    ) -> Mapping[str, tuple[int, bytes]]:
        """Row number and vector of each of these faces; those that are not there are absent."""
        with self._database.read() as connection:
            return {
                face_id: (row, bytes(vector))
                for some in batches(face_ids)
                for face_id, row, vector in connection.execute(
                    _VECTORS_OF, {"collection": collection_id, "some": some}
                )
            }

    def vectors_of_people(
        self, collection_id: int, people: Collection[str], most: int
    ) -> tuple[Mapping[str, Sequence[bytes]], tuple[int, int]]:
        """The vectors of each of these people who has several, and the position they are as of.

        In the order added. Whoever has one alone, or more than ``most``, is absent.
        """
        found: dict[str, list[bytes]] = defaultdict(list)
        position: tuple[int, int] | None = None
        with self._database.read() as connection:
            for some in batches(sorted(people)):
                these = {"collection": collection_id, "some": some, "most": most}
                # Sorted here: a database asked to do it reads the collection in that order.
                rows = connection.execute(_VECTORS_OF_PEOPLE, these).all()
                rows = sorted(rows, key=itemgetter(0))
                for _, person, vector, newest, deleted in rows:
                    found[person].append(bytes(vector))
                    position = newest, deleted
            return found, position or _position(connection, collection_id)

    def nameless(self, collection_id: int) -> int:
        """How many faces clients put there without saying whose they are."""
        these = select(func.count()).where(
            _TEMPLATE.collection_id == collection_id, _TEMPLATE.person == ""
        )
        with self._database.read() as connection:
            return int(connection.execute(these).scalar_one())

    def position(self, collection_id: int) -> tuple[int, int]:
        """Highest row number there is, and number of the last deletion; 0 where there is none."""
        with self._database.read() as connection:
            return _position(connection, collection_id)

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Row number and vector of the next faces with a row number above ``after``, ascending."""
        following = {"collection": collection_id, "after": after, "limit": limit}
        with self._database.read() as connection:
            return [
                (row, bytes(vector)) for row, vector in connection.execute(_FOLLOWING, following)
            ]

    def deletions(self, collection_id: int, after: int) -> Sequence[tuple[int, int, int | None]]:
        """(deletion number, row number, first row of that person then) of each deletion after one.

        Of a face without a name the last is the row; None where an older program, which does not
        note it, deleted the face.
        """
        following = {"collection": collection_id, "after": after}
        with self._database.read() as connection:
            return [
                (number, row, kin) for number, row, kin in connection.execute(_DEPARTED, following)
            ]

    def row_before(self, collection_id: int, newest: int) -> int:
        """Return the row number that so many faces, the newest ones, come after.

        0 where there are no more than these.
        """
        before = (
            select(_TEMPLATE.row)
            .where(_TEMPLATE.collection_id == collection_id)
            .order_by(_TEMPLATE.row.desc())
            .offset(newest)
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(before).scalar() or 0


def _position(connection: Connection, collection_id: int) -> tuple[int, int]:
    newest, deleted = connection.execute(_POSITION, {"collection": collection_id}).one()
    return newest, deleted


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


def _face(row: RowMapping) -> EnrolledFace:
    return EnrolledFace(row["face_id"], row["person"], row["asset_id"])


def _undeleted(face_id: str, kept: Mapping[str, str]) -> FailedFace:
    if face_id in kept:
        reasons = (Failure.ASSOCIATED_TO_AN_EXISTING_USER,)
        return FailedFace(face_id, reasons, user_id=kept[face_id])
    return FailedFace(face_id, (Failure.FACE_NOT_FOUND,))
