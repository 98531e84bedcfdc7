"""Structured metadata fields, as far as names are written to them: Cloudinary's definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from facelabel.cloudinary.metadata_fields import MAX_ENTRIES, MAX_NAME
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Json, JsonValue


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
