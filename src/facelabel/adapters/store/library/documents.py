"""Documents: small things of the library that are kept as they came, by kind and name.

Structured metadata fields are such, in Cloudinary's words; names are written to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from facelabel.adapters.store.library import asset_edits
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.cloudinary.metadata_fields import MAX_ENTRIES
from facelabel.errors import Rejected
from facelabel.media.types import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Json, JsonValue
    from facelabel.media.types import DocumentKind

_DOCUMENT = schema.document.c
#: Of one kind.
_MOST = 1000
#: Made once: they are read with every upload.
_ALL = (
    select(_DOCUMENT.name, _DOCUMENT.body)
    .where(_DOCUMENT.kind == bindparam("kind"))
    .order_by(_DOCUMENT.position)
)
_ONE = select(_DOCUMENT.body).where(
    _DOCUMENT.kind == bindparam("kind"), _DOCUMENT.name == bindparam("name")
)


class StoreDocuments:
    """The documents of the local library; implements :class:`facelabel.media.ports.Documents`."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def get(self, kind: DocumentKind, name: str) -> Json | None:
        """Return a document."""
        with self._database.read() as connection:
            return read(connection, kind, name)

    def all(self, kind: DocumentKind) -> Mapping[str, Json]:
        """Every document of a kind by name, in the order made."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL, {"kind": kind})
            return {row.name: row.body for row in rows}

    def change(
        self, kind: DocumentKind, name: str, change: Callable[[Json | None], Json | None]
    ) -> Json | None:
        """Make of a document (None: there is none) another one (None: delete it), in one step."""
        with self._database.transaction(alone=LOCK) as connection:
            changed = change(read(connection, kind, name))
            write(connection, kind, name, changed)
        return changed


def read(connection: Connection, kind: str, name: str) -> Json | None:
    """Return a document."""
    sought = asset_edits.sought(name)
    if sought is None:
        return None
    return connection.execute(_ONE, {"kind": kind, "name": sought}).scalar()


def write(connection: Connection, kind: str, name: str, body: Json | None) -> None:
    """Make this the document; None deletes it. Called under the library's lock."""
    name = asset_edits.document_name(name)
    former = _is(kind, name)
    changed = update(schema.document).where(former).values(body=body)
    gone = delete(schema.document).where(former)
    if connection.execute(gone if body is None else changed).rowcount:
        forgetting.note(connection)  # a value of a metadata field may be somebody's name
    elif body is not None:
        _insert(connection, kind, name, body)


def _insert(connection: Connection, kind: str, name: str, body: Json) -> None:
    those = select(func.count(), func.max(_DOCUMENT.position)).where(_DOCUMENT.kind == kind)
    count, last = connection.execute(those).one()
    if count >= _MOST:
        raise Rejected(f"there are {_MOST} documents of the kind {kind} already")
    new = {"kind": kind, "name": name, "position": (last or 0) + 1, "body": body}
    connection.execute(insert(schema.document).values(new))


def _is(kind: str, name: str) -> ColumnElement[bool]:
    return and_(_DOCUMENT.kind == kind, _DOCUMENT.name == name)


def new_field(external_id: str) -> Json:
    """A set that takes any value."""
    return {
        "external_id": external_id,
        "label": external_id,
        "type": "set",
        "mandatory": False,
        "default_value": None,
        "validation": None,
        "datasource": {"values": []},
        "allow_dynamic_list_values": True,
    }


def taking(field: Json, values: Sequence[str]) -> tuple[Json, JsonValue]:
    """The field with these values among its choices, and what an asset keeps of them.

    An asset keeps external_ids. Raises Rejected if the field takes no such values.
    """
    name = field["external_id"]
    if any(not 0 < len(value) <= MAX_NAME for value in values):
        raise Rejected(f"a value of the metadata field {name} has 1 to {MAX_NAME} characters")
    values = list(dict.fromkeys(values))
    if field["type"] != "set" and len(values) > 1:
        raise Rejected(f"the metadata field {name} takes one value, not {len(values)}")
    if field["type"] == "string":
        return field, values[0] if values else None
    if field["type"] not in {"set", "enum"}:
        raise Rejected(f"the metadata field {name} takes no text: it is of type {field['type']}")
    field = _opened(field, values)
    ids = _ids(field)
    kept: list[JsonValue] = [ids[value] for value in values]
    return field, (kept if field["type"] == "set" else kept[0]) if kept else None


def _opened(field: Json, values: Sequence[str]) -> Json:
    """The field with those values added, or brought back, that may not be chosen yet."""
    ids = _ids(field)
    new = [value for value in values if value not in ids]
    if not new:
        return field
    if not field.get("allow_dynamic_list_values"):
        raise Rejected(f"the metadata field {field['external_id']} has no value {new[0]!r}")
    choices = {entry["value"]: entry for entry in _choices(field)}
    for value in new:
        entry = choices.get(value, {"external_id": value, "value": value})
        choices[value] = entry | {"state": "active"}
    if len(choices) > MAX_ENTRIES:
        raise Rejected(
            f"the metadata field {field['external_id']} has {MAX_ENTRIES} values already"
        )
    return {**field, "datasource": {"values": list(choices.values())}}


def _ids(field: Json) -> dict[str, str]:
    """The external_id of every value that may be chosen."""
    return {
        entry["value"]: entry["external_id"]
        for entry in _choices(field)
        if entry.get("state", "active") == "active"
    }


def _choices(field: Json) -> list[dict[str, Any]]:
    datasource = cast("dict[str, Any]", field.get("datasource") or {})
    return list(datasource.get("values") or [])
