"""The ledger: what we did and why, on disk; here of pictures, searches in two tables, and names.

One table says what was seen. The other says what a search is of and rests on; it is small and
changes often. Both are written in one transaction, the small one first: whether a search may
replace another is decided there.
"""

from __future__ import annotations

import operator
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    LABEL_STYLE_TABLENAME_PLUS_COL,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    update,
)

from facelabel.adapters.store.ledger.enrolment_rows import (
    GALLERY_STATE,
    LINE,
    NO_BASIS,
    STATES,
    StoreEnrolments,
)
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core import naming
from facelabel.core.model import Enrolment, GalleryState, NameState, Noted, OnRecord
from facelabel.core.serial import decode_search, encode_search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Executable, RowMapping, Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Basis, Scope, SearchRecord

_SEARCH, _STANDING, _MARK = schema.search.c, schema.standing.c, schema.name_mark.c
_SMALL, _LARGE = (
    [c.name for c in table.c if c.name not in NO_BASIS]
    for table in (schema.standing, schema.search)
)
#: What a search is read from: both tables, joined by their asset_id.
COLUMNS = (*_SEARCH, *(c for c in _STANDING if c.name not in {"asset_id", *NO_BASIS}))
# Put into words once, as they are asked for each picture: that takes as long as to be told.
_WHOLE = (
    select(*COLUMNS)
    .join(schema.standing, _SEARCH.asset_id == _STANDING.asset_id)
    .where(_SEARCH.asset_id.in_(bindparam("asset_ids", expanding=True)))
)
_STALE = (
    select(_STANDING.asset_id)
    .where(_STANDING.generation < bindparam("generation"))
    .order_by(_STANDING.generation, _STANDING.searched_at, _STANDING.asset_id)
    .limit(bindparam("limit"))
)
_HAS_STALE = select(
    exists().where(_STANDING.generation < select(schema.gallery.c.generation).scalar_subquery())
)
_MARKS = (
    select(_MARK.name, _MARK.state)
    .where(_MARK.asset_id == bindparam("asset_id"))
    .order_by(_MARK.name)
)
_UNMARK = delete(schema.name_mark).where(
    _MARK.asset_id == bindparam("this"), _MARK.name == bindparam("named")
)


def _of_asset(table: Table) -> ColumnElement[bool]:
    """The line of a table that is about the live collection and one asset."""
    return (table.c.collection == schema.gallery.c.collection) & (
        table.c.asset_id == bindparam("asset_id")
    )


#: One row, whatever is there of it. The searches' two lines are there together or not at all.
_ABOUT = (
    GALLERY_STATE.add_columns(
        exists().where(schema.leftover.c.collection == schema.gallery.c.collection),
        schema.intention.c.person,
        *LINE,
        *COLUMNS,
    )
    .select_from(schema.gallery)
    .outerjoin(schema.intention, _of_asset(schema.intention))
    .outerjoin(schema.enrolment, _of_asset(schema.enrolment))
    .outerjoin(schema.search, schema.search.c.asset_id == bindparam("asset_id"))
    .outerjoin(schema.standing, schema.standing.c.asset_id == schema.search.c.asset_id)
    .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
)
_SEARCH_NAMES = [column.name for column in COLUMNS]


class StoreSearches:
    """Searches and names in the database: :class:`facelabel.recognition.ports.Searches`."""

    def __init__(self, database: Database, *, names_beside: bool = False) -> None:
        """Keep them in this database.

        ``names_beside``: names are written to pictures in this very database. Then what announces
        a name is on disk before the name is, without being waited for.
        """
        self._database = database
        self.names_beside = names_beside
        # Words made once, as above; each dialect has its own.
        self._putting = {
            is_newer: _puts(database.insert, is_newer) for is_newer in (operator.ge, operator.gt)
        }
        mark = database.insert(schema.name_mark)
        self._set_mark = mark.on_conflict_do_update(
            index_elements=["asset_id", "name"], set_={"state": mark.excluded.state}
        )

    def search(self, asset_id: str) -> SearchRecord | None:
        """Return the last search of a picture."""
        return self.searches([asset_id]).get(asset_id)

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, SearchRecord]:
        """Return the last searches of several pictures at once."""
        with self._database.read() as connection:
            return _read(connection, asset_ids)

    def searched(self) -> Iterator[str]:
        """asset_ids of all pictures that were searched."""
        column = _SEARCH.asset_id
        return self._database.pages(select(column), column, _asset_ids)

    def differing(self, rules: str, now: str = "", needed: float = 0.0) -> Iterator[str]:
        """asset_ids of pictures of which it is not known that those rules decide the same."""
        standing = and_(
            _STANDING.rules == now,
            _STANDING.note.is_not(None),
            _STANDING.below < needed,
            _STANDING.upto >= needed,
        )
        # A comparison with what is not known is NULL, neither true nor false.
        these = select(_STANDING.asset_id).where(
            _STANDING.rules != rules, ~func.coalesce(standing, false())
        )
        return self._database.pages(these, _STANDING.asset_id, _asset_ids)

    def record(
        self,
        search: SearchRecord,
        basis: Basis | None = None,
        states: Mapping[str, NameState | None] = MappingProxyType({}),
    ) -> None:
        """Record a search and what it rests on, and set the state of names, in one step.

        A search older than what is on record, by (version, generation), is dropped.
        """
        # Not waited for: a power cut that takes this back takes back the end of its job, too.
        # But what is about to be written elsewhere has to be known before it is.
        durable = bool(states) and not self.names_beside
        with self._database.transaction(durable=durable) as connection:
            self._put(connection, [(search, basis)], operator.ge)
            if states:
                self._mark(connection, search.asset_id, states)

    def revise(self, searches: Sequence[tuple[SearchRecord, Basis | None]]) -> None:
        """Record several searches in one step in the place of older ones.

        One of the same (version, generation) as what is on record is dropped, too, and that of a
        picture without a search.
        """
        asset_ids = sorted(search.asset_id for search, _ in searches)
        # Locked, as nobody may forget one before it is put.
        these = select(_STANDING.asset_id).order_by(_STANDING.asset_id).with_for_update()
        with self._database.transaction(durable=False) as connection:
            there = {
                asset_id
                for some in batches(asset_ids)
                for asset_id in connection.execute(
                    these.where(_STANDING.asset_id.in_(some))
                ).scalars()
            }
            standing = [one for one in searches if one[0].asset_id in there]
            self._put(connection, standing, operator.gt)

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
        """Up to ``limit`` searches of the scope that have a basis, in any order.

        Of those alone whose decision is the same where a name takes the similarity ``needed``.
        """
        these = select(_STANDING.asset_id, _STANDING.version, _STANDING.note).where(
            _STANDING.note.is_not(None),
            _STANDING.below < needed,
            _STANDING.upto >= needed,
            *_in(scope),
        )
        with self._database.read() as connection:
            rows = connection.execute(these.limit(limit)).all()
        return [Noted(asset_id, version, bytes(note)) for asset_id, version, note in rows]

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """Bring those of these searches that stand to the generation of the scope, in one step."""
        as_read = update(schema.standing).where(
            _STANDING.asset_id == bindparam("at"),
            _STANDING.version == bindparam("of"),
            _STANDING.note == bindparam("read"),
            *_in(scope),
        )
        stand, moved = [], []
        for one in sorted(searches, key=lambda one: one.asset_id):
            line = {"at": one.asset_id, "of": one.version, "read": one.note}
            if one.asset_id in unmoved:
                stand.append({**line, "new": unmoved[one.asset_id]})
            else:
                moved.append(line)
        brought: dict[str, Any] = {"generation": scope.generation, "portraits": portraits}
        # Not waited for, as where they are recorded.
        with self._database.transaction(durable=False) as connection:
            if stand:
                connection.execute(as_read.values(**brought, note=bindparam("new")), stand)
            if moved:
                connection.execute(as_read.values(NO_BASIS), moved)

    def stale(self, generation: int, limit: int) -> Sequence[SearchRecord]:
        """Up to ``limit`` searches made before that generation of the gallery, oldest first."""
        these = {"generation": generation, "limit": limit}
        with self._database.read() as connection:
            asset_ids = connection.execute(_STALE, these).scalars().all()
            found = _read(connection, asset_ids)
        return [found[asset_id] for asset_id in asset_ids]

    def has_stale(self) -> bool:
        """Whether a search was made before the gallery last changed."""
        with self._database.read() as connection:
            return bool(connection.execute(_HAS_STALE).scalar())

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """Return the names we wrote to a picture or are forbidden to write."""
        with self._database.read() as connection:
            return _marks_of(connection, asset_id)

    def named(self, person: str) -> Sequence[str]:
        """asset_ids of the pictures that we wrote this name on, or are about to, or to take off."""
        ours = (_MARK.name == person) & _MARK.state.in_(naming.OURS)
        with self._database.read() as connection:
            return list(connection.execute(select(_MARK.asset_id).where(ours)).scalars())

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """Return the names of several pictures at once; those without any are absent."""
        found: dict[str, dict[str, NameState]] = {}
        lines = select(schema.name_mark)
        with self._database.read() as connection:
            for some in batches(asset_ids):
                for row in connection.execute(lines.where(_MARK.asset_id.in_(some))).mappings():
                    found.setdefault(row["asset_id"], {})[row["name"]] = NameState(row["state"])
        return found

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """Set the state of names on a picture; None deletes the line.

        Where that changes which names are refused, its search is not known to stand any more.
        """
        # That names are written is found out again where the end of the job was taken back, too.
        durable = set(states.values()) != {NameState.WRITTEN}
        with self._database.transaction(durable=durable) as connection:
            self._mark(connection, asset_id, states)

    def forget_asset(self, asset_id: str) -> None:
        """Delete the search and the names of a picture that is gone."""
        with self._database.transaction() as connection:
            forgetting.note(connection)
            for table in (schema.standing, schema.search, schema.name_mark):
                connection.execute(delete(table).where(table.c.asset_id == asset_id))

    def _put(
        self,
        connection: Connection,
        searches: Sequence[tuple[SearchRecord, Basis | None]],
        is_newer: Callable[..., Any],
    ) -> None:
        """Put searches; ``is_newer`` says which generation of the same content replaces another."""
        plain = {search.asset_id: encode_search(search) for search, _ in searches}
        rests = {search.asset_id: basis for search, basis in searches}
        # In one order, so that two who write the same do not wait for each other.
        small = [
            {name: plain[key][name] for name in _SMALL}
            | {name: getattr(basis, name, None) for name in NO_BASIS}
            for key, basis in sorted(rests.items(), key=itemgetter(0))
        ]
        if not small:
            return
        put_small, put_large = self._putting[is_newer]
        done = connection.execute(put_small, small).scalars().all()
        large = [{name: plain[asset_id][name] for name in _LARGE} for asset_id in done]
        if large:
            connection.execute(put_large, large)

    def _mark(
        self, connection: Connection, asset_id: str, states: Mapping[str, NameState | None]
    ) -> None:
        before = _marks_of(connection, asset_id)
        new = [
            {"asset_id": asset_id, "name": name, "state": state}
            for name, state in sorted(states.items())
            if state is not None
        ]
        gone = [{"this": asset_id, "named": name} for name in sorted(states) if not states[name]]
        if gone:
            forgetting.note(connection)
            connection.execute(_UNMARK, gone)
        if new:
            connection.execute(self._set_mark, new)
        if naming.refused(naming.marked(before, states)) != naming.refused(before):
            this = update(schema.standing).where(_STANDING.asset_id == asset_id)
            connection.execute(this.values(NO_BASIS))


class StoreLedger(StoreEnrolments, StoreSearches):
    """The ledger in the database; implements :class:`facelabel.recognition.ports.Ledger`."""

    def __init__(self, database: Database, *, names_beside: bool = False) -> None:
        """Keep the ledger in this database; ``names_beside``: see :class:`StoreSearches`."""
        StoreEnrolments.__init__(self, database)
        StoreSearches.__init__(self, database, names_beside=names_beside)

    def about(self, asset_id: str) -> OnRecord:
        """Return everything that is on record of an asset, as of one moment."""
        this = {"asset_id": asset_id}
        with self._database.read() as connection:
            found = connection.execute(_ABOUT, this).one()
            marks = _marks_of(connection, asset_id)
        has_faces_to_delete, intention, *row = found[STATES:]
        line, search = row[: len(LINE)], row[len(LINE) :]
        return OnRecord(
            GalleryState(*found[:STATES]),
            Enrolment(*line) if line[0] else None,
            intention,
            has_faces_to_delete,
            decode_search(dict(zip(_SEARCH_NAMES, search, strict=True))) if search[0] else None,
            marks,
        )


def _marks_of(connection: Connection, asset_id: str) -> dict[str, NameState]:
    """The names we wrote to a picture or are forbidden to write."""
    rows = connection.execute(_MARKS, {"asset_id": asset_id})
    return {name: NameState(state) for name, state in rows}


def _puts(
    insert: Callable[[Table], Insert], is_newer: Callable[..., Any]
) -> tuple[Executable, Executable]:
    """Statements for both tables."""
    new = insert(schema.standing)
    small = new.on_conflict_do_update(
        index_elements=["asset_id"],
        set_={column.name: new.excluded[column.name] for column in _STANDING},
        where=_may_replace(new, is_newer),
    )
    new = insert(schema.search)
    values = {column.name: new.excluded[column.name] for column in _SEARCH}
    large = new.on_conflict_do_update(index_elements=["asset_id"], set_=values)
    return small.returning(_STANDING.asset_id), large


def _read(connection: Connection, asset_ids: Sequence[str]) -> dict[str, SearchRecord]:
    """The searches of these pictures; those that have none are absent."""
    return {
        row["asset_id"]: decode_search({**row})
        for some in batches(asset_ids)
        for row in connection.execute(_WHOLE, {"asset_ids": some}).mappings()
    }


def _asset_ids(_: Connection, rows: Sequence[RowMapping]) -> list[str]:
    return [row["asset_id"] for row in rows]


def _in(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        _STANDING.generation < scope.generation,
        _STANDING.collection == scope.collection,
        _STANDING.rules == scope.rules,
    )


def _may_replace(new: Insert, is_newer: Callable[..., Any]) -> ColumnElement[bool]:
    """The search to be written looked at newer content, or at the same with a newer gallery."""
    old, new_ = _STANDING, new.excluded
    same_content = and_(new_.version == old.version, is_newer(new_.generation, old.generation))
    return or_(new_.version > old.version, same_content)
