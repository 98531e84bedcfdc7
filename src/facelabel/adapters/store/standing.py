"""What searches rest on, beside them in their rows, and which of them stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from facelabel.adapters.store import schema
from facelabel.model import Noted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from facelabel.model import Basis, Scope

_SEARCH = schema.search.c
_NOTHING = {"note": None, "below": None, "upto": None}


def encode(basis: Basis | None) -> Mapping[str, Any]:
    """The columns of a row for it."""
    if basis is None:
        return _NOTHING
    return {"note": basis.note, "below": basis.below, "upto": basis.upto}


def forget_all(connection: Connection) -> None:
    """Note that of no search it is known what it rests on."""
    connection.execute(update(schema.search).where(_SEARCH.note.is_not(None)).values(_NOTHING))


def noted(connection: Connection, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
    """Stale searches of the scope whose decision is the same where a name takes ``needed``."""
    these = select(_SEARCH.asset_id, _SEARCH.version, _SEARCH.note).where(
        _SEARCH.note.is_not(None), _SEARCH.below < needed, _SEARCH.upto >= needed, *_in(scope)
    )
    rows = connection.execute(these.limit(limit))
    return [Noted(asset_id, version, bytes(note)) for asset_id, version, note in rows]


def confirm(
    connection: Connection,
    scope: Scope,
    portraits: int | None,
    searches: Sequence[Noted],
    unmoved: Mapping[str, bytes],
) -> None:
    """Bring what stands to the scope's generation; take its basis from what does not."""
    as_read = update(schema.search).where(
        _SEARCH.asset_id == bindparam("at"),
        _SEARCH.version == bindparam("of"),
        _SEARCH.note == bindparam("read"),
        *_in(scope),
    )
    stands: dict[str, Any] = {
        "generation": scope.generation,
        "portraits": portraits,
        "note": bindparam("new"),
    }
    standing = [
        {"at": one.asset_id, "of": one.version, "read": one.note, "new": unmoved[one.asset_id]}
        for one in searches
        if one.asset_id in unmoved
    ]
    moved = [
        {"at": one.asset_id, "of": one.version, "read": one.note}
        for one in searches
        if one.asset_id not in unmoved
    ]
    if standing:
        connection.execute(as_read.values(stands), standing)
    if moved:
        connection.execute(as_read.values(_NOTHING), moved)


def _in(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        _SEARCH.generation < scope.generation,
        _SEARCH.collection == scope.collection,
        _SEARCH.rules == scope.rules,
    )
