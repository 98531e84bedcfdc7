"""Searches in their two tables: what was seen, and what it is of and rests on.

The second is small and changes often. Both are written in one transaction, the small one first:
whether a search may replace another is decided there.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, or_, select, update

from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.model import Noted
from facelabel.core.serial import decode_search, encode_search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Executable, Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Basis, Scope, Search

_SEARCH, _STANDING = schema.search.c, schema.standing.c
_BASIS = ("note", "below", "upto")
# Made once, as they are asked for each picture.
_WHOLE = (
    select(schema.search, *(c for c in _STANDING if c.name not in {"asset_id", *_BASIS}))
    .join(schema.standing, _SEARCH.asset_id == _STANDING.asset_id)
    .where(_SEARCH.asset_id.in_(bindparam("asset_ids", expanding=True)))
)
_STALE = (
    select(_STANDING.asset_id)
    .where(_STANDING.generation < bindparam("generation"))
    .order_by(_STANDING.generation, _STANDING.searched_at, _STANDING.asset_id)
    .limit(bindparam("limit"))
)


def record(
    database: Database, connection: Connection, searches: Sequence[tuple[Search, Basis | None]]
) -> None:
    """Put searches where there is no newer one of the same picture."""
    _put(database, connection, searches, operator.ge)


def revise(
    database: Database, connection: Connection, searches: Sequence[tuple[Search, Basis | None]]
) -> None:
    """Put searches in the place of older ones; a picture that has none was forgotten."""
    asset_ids = sorted(search.asset_id for search, _ in searches)
    # Locked, as nobody may forget one before it is put.
    these = select(_STANDING.asset_id).order_by(_STANDING.asset_id).with_for_update()
    there = {
        asset_id
        for some in batches(asset_ids)
        for asset_id in connection.execute(these.where(_STANDING.asset_id.in_(some))).scalars()
    }
    standing = [one for one in searches if one[0].asset_id in there]
    _put(database, connection, standing, operator.gt)


def _put(
    database: Database,
    connection: Connection,
    searches: Sequence[tuple[Search, Basis | None]],
    is_newer: Callable[..., Any],
) -> None:
    """Put searches; ``is_newer`` says which generation of the same content replaces another."""
    plain = {search.asset_id: encode_search(search) for search, _ in searches}
    small = [
        {**_of(schema.standing, plain[search.asset_id]), **_basis(basis)}
        for search, basis in sorted(searches, key=lambda one: one[0].asset_id)
    ]
    if not small:
        return
    put_small, put_large = _puts(database.inserting, is_newer)
    done = connection.execute(put_small, small).scalars().all()
    large = [_of(schema.search, plain[asset_id]) for asset_id in done]
    if large:
        connection.execute(put_large, large)


@functools.cache
def _puts(
    inserting: Callable[[Table], Insert], is_newer: Callable[..., Any]
) -> tuple[Executable, Executable]:
    """Statements for both tables, made once: that takes as long as to carry them out."""
    new = inserting(schema.standing)
    small = new.on_conflict_do_update(
        index_elements=["asset_id"],
        set_={column.name: new.excluded[column.name] for column in _STANDING},
        where=_may_replace(new, is_newer),
    )
    new = inserting(schema.search)
    values = {column.name: new.excluded[column.name] for column in _SEARCH}
    large = new.on_conflict_do_update(index_elements=["asset_id"], set_=values)
    return small.returning(_STANDING.asset_id), large


def read(connection: Connection, asset_ids: Sequence[str]) -> dict[str, Search]:
    """The searches of these pictures; those that have none are absent."""
    return {
        row["asset_id"]: decode_search({**row})
        for some in batches(asset_ids)
        for row in connection.execute(_WHOLE, {"asset_ids": some}).mappings()
    }


def stale(connection: Connection, generation: int, limit: int) -> list[Search]:
    """Searches brought to no later generation than the one before this, oldest first."""
    these = {"generation": generation, "limit": limit}
    asset_ids = connection.execute(_STALE, these).scalars().all()
    found = read(connection, asset_ids)
    return [found[asset_id] for asset_id in asset_ids]


def forget(connection: Connection, asset_id: str) -> None:
    """Delete the search of a picture."""
    for table in (schema.standing, schema.search):
        connection.execute(delete(table).where(table.c.asset_id == asset_id))


def forget_bases(connection: Connection) -> None:
    """Note that of no search it is known what it rests on."""
    connection.execute(
        update(schema.standing).where(_STANDING.note.is_not(None)).values(_basis(None))
    )


def forget_basis(connection: Connection, asset_id: str) -> None:
    """Note that of this one it is not known."""
    this = update(schema.standing).where(_STANDING.asset_id == asset_id)
    connection.execute(this.values(_basis(None)))


def noted(connection: Connection, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
    """Stale searches of the scope whose decision is the same where a name takes ``needed``."""
    these = select(_STANDING.asset_id, _STANDING.version, _STANDING.note).where(
        _STANDING.note.is_not(None),
        _STANDING.below < needed,
        _STANDING.upto >= needed,
        *_in(scope),
    )
    rows = connection.execute(these.limit(limit)).all()
    return [Noted(asset_id, version, bytes(note)) for asset_id, version, note in rows]


def confirm(
    connection: Connection,
    scope: Scope,
    portraits: int | None,
    searches: Sequence[Noted],
    unmoved: Mapping[str, bytes],
) -> None:
    """Bring what stands to the scope's generation; take its basis from what does not."""
    as_read = update(schema.standing).where(
        _STANDING.asset_id == bindparam("at"),
        _STANDING.version == bindparam("of"),
        _STANDING.note == bindparam("read"),
        *_in(scope),
    )
    lines = [
        {"at": one.asset_id, "of": one.version, "read": one.note, "new": unmoved.get(one.asset_id)}
        for one in sorted(searches, key=lambda one: one.asset_id)
    ]
    stand = [line for line in lines if line["new"] is not None]
    moved = [line for line in lines if line["new"] is None]
    brought: dict[str, Any] = {"generation": scope.generation, "portraits": portraits}
    if stand:
        connection.execute(as_read.values(**brought, note=bindparam("new")), stand)
    if moved:
        connection.execute(
            as_read.values(_basis(None)),
            [{k: line[k] for k in ("at", "of", "read")} for line in moved],
        )


def _of(table: Table, plain: Mapping[str, Any]) -> dict[str, Any]:
    """What a table takes of a search."""
    return {column.name: plain[column.name] for column in table.c if column.name in plain}


def _basis(basis: Basis | None) -> dict[str, Any]:
    return {name: getattr(basis, name, None) for name in _BASIS}


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
