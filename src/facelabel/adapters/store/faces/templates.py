"""The vectors of every collection, and the faces kept of every searched picture.

Row numbers and deletion numbers grow in the order in which transactions commit, so a reader that
asks for everything above the last number it saw misses nothing. SQLite has one writer; on
PostgreSQL whoever adds to a collection or deletes from it locks the collection's row.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select

from facelabel.adapters.store.faces import succession, template_rows
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import EnrolledFace
from facelabel.core.serial import decode_analysis, encode_analysis, encode_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy import BindParameter, Connection, RowMapping, Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Analysis, Asset, Template

_COLLECTION = schema.collection.c
_TEMPLATE = schema.template.c
_DELETION = schema.template_deletion.c
_KEPT = schema.kept.c
_FACE = (_TEMPLATE.face_id, _TEMPLATE.person, _TEMPLATE.asset_id)

_THIS: BindParameter[int] = bindparam("collection")
#: Made once: it is asked three times for each picture.
_POSITION = select(
    select(func.max(_TEMPLATE.row)).where(_TEMPLATE.collection_id == _THIS).scalar_subquery(),
    select(func.max(_DELETION.id)).where(_DELETION.collection_id == _THIS).scalar_subquery(),
)


class StoreTemplates:
    """Templates in the database; implements :class:`facelabel.ports.Templates`."""

    def __init__(self, database: Database) -> None:
        """Keep the templates in this database."""
        self._database = database

    def create(self, collection: str, model: str, dimensions: int) -> None:
        """Make an empty collection; one of that name stays as it is, whatever its model."""
        values = {"name": collection, "model": model, "dimensions": dimensions}
        made = self._database.insert(schema.collection).values(values).on_conflict_do_nothing()
        with self._database.transaction() as connection:
            connection.execute(made)

    def collections(self) -> Sequence[str]:
        """Names of all collections."""
        with self._database.read() as connection:
            visible = select(_COLLECTION.name).where(_COLLECTION.users_of.is_(None))
            return sorted(connection.execute(visible).scalars())

    def drop(self, collection: str) -> None:
        """Delete a collection, its vectors and its users."""
        with self._database.transaction() as connection:
            if held := template_rows.held(connection, collection):
                template_rows.drop(connection, held["id"])

    def strangers(self, collection: str) -> int:
        """How many faces clients put there, that no asset was enrolled as."""
        found = self._collection(collection)
        with self._database.read() as connection:
            return succession.strangers(connection, found["id"]) if found else 0

    def supersede(self, collection: str, heir: str, *, lossy: bool) -> None:
        """Give the heir what clients put into a collection, and delete it, in one step.

        Raises NotFound without the heir; Rejected, nothing done, if faces of clients would be
        lost because the models differ, unless that is meant (``lossy``).
        """
        with self._database.transaction() as connection:
            old = template_rows.held(connection, collection)
            if old:
                new = _hold(connection, heir)
                succession.supersede(self._database, connection, old, new, lossy=lossy)

    def model(self, collection: str) -> str | None:
        """Return the model of the collection, None if there is none."""
        found = self._collection(collection)
        return found["model"] if found else None

    def collection_id(self, collection: str) -> int | None:
        """Return a number never reused, even when a collection of that name is made again."""
        found = self._collection(collection)
        return found["id"] if found else None

    def users_id(self, collection: str) -> int | None:
        """Return the number under which the vectors of its users are; None where it has no user."""
        if (found := self._collection(collection)) is None:
            return None
        with self._database.read() as connection:
            return template_rows.users_number(connection, found["id"])

    def add(self, collection: str, face: EnrolledFace, template: Template, digest: str) -> None:
        """Add a reference face; the same face_id again changes nothing.

        Raises NotFound without the collection, ValueError for a vector of another length.
        """
        with self._database.transaction() as connection:
            held = _hold(connection, collection)
            row = {
                "collection_id": held["id"],
                "face_id": face.face_id,
                "person": face.person,
                "asset_id": face.asset_id,
                "digest": digest,
                "vector": template_rows.fitting(template.vector, held),
                "face": encode_template(template),
            }
            new = self._database.insert(schema.template).values(row)
            connection.execute(new.on_conflict_do_nothing())

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good, from their users' vectors too; NotFound without the collection."""
        with self._database.transaction() as connection:
            held = _hold(connection, collection)
            gone = [
                row
                for some in batches(face_ids)
                for row in template_rows.erase(connection, held["id"], _TEMPLATE.face_id.in_(some))
            ]
            users = {row["user_id"] for row in gone if row["user_id"] is not None}
            template_rows.follow(connection, held["id"], users)

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every face of the collection, in the order added, or those of the given ids.

        Raises NotFound without the collection.
        """
        found = template_rows.required(self._collection(collection), collection)
        faces = select(_TEMPLATE.row, *_FACE).where(_TEMPLATE.collection_id == found["id"])
        if face_ids is None:
            return self._database.pages(faces, _TEMPLATE.row, _faces)
        with self._database.read() as connection:
            rows = [
                row
                for some in batches(dict.fromkeys(face_ids))
                for row in connection.execute(faces.where(_TEMPLATE.face_id.in_(some))).mappings()
            ]
        return iter(_faces(connection, sorted(rows, key=itemgetter("row"))))

    def vectors_of(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the vectors of these faces; those that are not there are absent."""
        found = template_rows.required(self._collection(collection), collection)
        these = select(_TEMPLATE.face_id, _TEMPLATE.vector).where(
            _TEMPLATE.collection_id == found["id"]
        )
        with self._database.read() as connection:
            return {
                face_id: bytes(vector)
                for some in batches(face_ids)
                for face_id, vector in connection.execute(these.where(_TEMPLATE.face_id.in_(some)))
            }

    def references(
        self, collection_id: int, people: Collection[str], most: int
    ) -> Mapping[str, Sequence[bytes]]:
        """The vectors of each of these people who has several, in the order added.

        Whoever has one alone, or more than ``most``, is absent.
        """
        found: dict[str, list[bytes]] = defaultdict(list)
        with self._database.read() as connection:
            for some in batches(sorted(people)):
                theirs = (_TEMPLATE.collection_id == collection_id, _TEMPLATE.person.in_(some))
                several = select(_TEMPLATE.person).where(*theirs).group_by(_TEMPLATE.person)
                several = several.having(func.count().between(2, most))
                these = select(_TEMPLATE.row, _TEMPLATE.person, _TEMPLATE.vector).where(
                    _TEMPLATE.collection_id == collection_id, _TEMPLATE.person.in_(several)
                )
                # Sorted here: a database asked to do it reads the collection in that order.
                for _, person, vector in sorted(connection.execute(these).all()):
                    found[person].append(bytes(vector))
        return found

    def nameless(self, collection_id: int) -> int:
        """How many faces clients put there without saying whose they are."""
        these = select(func.count()).where(
            _TEMPLATE.collection_id == collection_id, _TEMPLATE.person == ""
        )
        with self._database.read() as connection:
            return int(connection.execute(these).scalar_one())

    def labels(self, collection_id: int, rows: Sequence[int]) -> Mapping[int, EnrolledFace]:
        """Return the faces of these row numbers; deleted ones are absent."""
        faces = select(_TEMPLATE.row, *_FACE).where(_TEMPLATE.collection_id == collection_id)
        with self._database.read() as connection:
            return {
                row["row"]: _face(row)
                for some in batches(rows)
                for row in connection.execute(faces.where(_TEMPLATE.row.in_(some))).mappings()
            }

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Row number and vector of the next faces with a row number above ``after``, ascending."""
        following = (
            select(_TEMPLATE.row, _TEMPLATE.vector)
            .where(_TEMPLATE.collection_id == collection_id, _TEMPLATE.row > after)
            .order_by(_TEMPLATE.row)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(row, bytes(vector)) for row, vector in connection.execute(following)]

    def deleted(self, collection_id: int, after: int) -> Sequence[tuple[int, int]]:
        """(deletion number, row number) of every deletion after the given one, ascending."""
        following = (
            select(_DELETION.id, _DELETION.row)
            .where(_DELETION.collection_id == collection_id, _DELETION.id > after)
            .order_by(_DELETION.id)
        )
        with self._database.read() as connection:
            return [(number, row) for number, row in connection.execute(following)]

    def departed(self, collection_id: int, after: int) -> Sequence[tuple[int, int, int | None]]:
        """(deletion number, row number, first row of that person then) of each deletion after one.

        Of a face without a name the last is the row; None where an older program, which does not
        note it, deleted the face.
        """
        following = (
            select(_DELETION.id, _DELETION.row, _DELETION.first_row)
            .where(_DELETION.collection_id == collection_id, _DELETION.id > after)
            .order_by(_DELETION.id)
        )
        with self._database.read() as connection:
            return [(number, row, kin) for number, row, kin in connection.execute(following)]

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

    def position(self, collection_id: int) -> tuple[int, int]:
        """Highest row number there is, and number of the last deletion; 0 where there is none."""
        with self._database.read() as connection:
            newest, deletion = connection.execute(_POSITION, {"collection": collection_id}).one()
            return newest or 0, deletion or 0

    def first_rows(self, collection_id: int, people: Collection[str]) -> Mapping[str, int]:
        """Return the lowest row number of each of these people; those not there are absent."""
        lowest = template_rows.first_rows(collection_id)
        with self._database.read() as connection:
            return {
                person: row
                for some in batches(people)
                for person, row in connection.execute(lowest.where(_TEMPLATE.person.in_(some)))
            }

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
            connection.execute(_keeping(self._database.inserting), values)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """Version and faces of each picture kept for that model, by asset_id."""
        with self._database.read() as connection:
            return {
                row.asset_id: (row.version, decode_analysis(row.analysis, bytes(row.vectors)))
                for some in batches(asset_ids)
                for row in connection.execute(
                    select(schema.kept).where(_KEPT.model == model, _KEPT.asset_id.in_(some))
                )
            }

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """Version and vectors, end to end, of each picture kept for that model, by asset_id."""
        these = select(_KEPT.asset_id, _KEPT.version, _KEPT.vectors).where(_KEPT.model == model)
        with self._database.read() as connection:
            return {
                asset_id: (version, bytes(vectors))
                for some in batches(asset_ids)
                for asset_id, version, vectors in connection.execute(
                    these.where(_KEPT.asset_id.in_(some))
                ).all()
            }

    def discard(self, asset_id: str) -> None:
        """Delete what was kept of a picture."""
        with self._database.transaction() as connection:
            forgetting.note(connection)
            connection.execute(delete(schema.kept).where(_KEPT.asset_id == asset_id))

    def _collection(self, name: str) -> RowMapping | None:
        with self._database.read() as connection:
            return connection.execute(template_rows.NAMED, {"collection": name}).mappings().first()


@functools.cache
def _keeping(inserting: Callable[[Table], Insert]) -> Insert:
    """Put what was seen in a picture in the place of what was there; made once."""
    new = inserting(schema.kept)
    values = {column.name: new.excluded[column.name] for column in _KEPT}
    return new.on_conflict_do_update(index_elements=[_KEPT.asset_id], set_=values)


def _hold(connection: Connection, collection: str) -> RowMapping:
    return template_rows.required(template_rows.held(connection, collection), collection)


def _face(row: RowMapping) -> EnrolledFace:
    return EnrolledFace(row["face_id"], row["person"], row["asset_id"])


def _faces(_: Connection, rows: Sequence[RowMapping]) -> list[EnrolledFace]:
    return [_face(row) for row in rows]
