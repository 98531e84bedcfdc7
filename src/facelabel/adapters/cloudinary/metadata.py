"""Structured metadata: people see the labels of a list's values, the API speaks of external_ids."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudinary import api

from facelabel.errors import AlreadyExists, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from facelabel.adapters.cloudinary.client import Client
    from facelabel.core.clock import Clock
    from facelabel.core.model import Json, JsonValue

#: Seconds before the fields are asked for again because of a value that we do not know.
FRESH_SECONDS = 60.0
_LISTS = frozenset({"enum", "set"})


class MetadataFields:
    """The account's fields, read once and again when something unknown turns up."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Nothing is read before it is needed."""
        self._client = client
        self._clock = clock
        self._fields: dict[str, Json] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def labels(self, metadata: Mapping[str, JsonValue]) -> Json:
        """Metadata of an asset with the labels of its list values, so far as they have one."""
        if any(self._has_unknown(name, value) for name, value in metadata.items()):
            self._refresh()
        return {name: self._labelled(name, value) for name, value in metadata.items()}

    def exists(self, name: str) -> bool:
        """Whether there is a field of that external_id."""
        return self._field(name) is not None

    def values(self, name: str, labels: Sequence[str]) -> JsonValue:
        """What to write so that a field holds these values, made ready to take them.

        A field that does not exist is made, a set open for new values; a closed list is given
        the entries it lacks. Raises Rejected if the field cannot hold them.
        """
        field = self._field(name) or self._make(name, labels)
        kind = str(field["type"])
        if kind not in _LISTS | {"string"}:
            raise Rejected(f"the metadata field {name!r} is a {kind} and cannot hold names")
        if kind != "set" and len(labels) > 1:
            raise Rejected(f"the metadata field {name!r} holds one value, not {len(labels)}")
        values = self._entries(name, field, labels) if kind in _LISTS else list(labels)
        return [*values] if kind == "set" else next(iter(values), "")

    def _field(self, name: str) -> Json | None:
        if name not in self._fields:
            self._refresh()
        return self._fields.get(name)

    def _has_unknown(self, name: str, value: JsonValue) -> bool:
        field = self._fields.get(name)
        if field is None:
            return True
        known = {entry["external_id"] for entry in _datasource(field)}
        return field["type"] in _LISTS and not known.issuperset(_listed(value))

    def _labelled(self, name: str, value: JsonValue) -> JsonValue:
        labels = {e["external_id"]: e["value"] for e in _datasource(self._fields.get(name, {}))}
        if isinstance(value, list):
            return [labels.get(item, item) for item in value]
        return labels.get(value, value) if isinstance(value, str) else value

    def _refresh(self, *, at_once: bool = False) -> None:
        with self._lock:
            if not at_once and self._clock.now() < self._read_at + FRESH_SECONDS:
                return
            fields = self._client.admin(api.list_metadata_fields)["metadata_fields"]
            self._fields = {field["external_id"]: field for field in fields}
            self._read_at = self._clock.now()

    def _make(self, name: str, labels: Sequence[str]) -> Json:
        """Make the field, with its first values, unless somebody else just did."""
        field = {
            "external_id": name,
            "label": name,
            "type": "set",
            "allow_dynamic_list_values": True,
            "datasource": {"values": [_entry(label) for label in labels]},
        }
        try:
            made: Json = self._client.admin(api.add_metadata_field, field)
        except AlreadyExists:
            self._refresh(at_once=True)
            if name not in self._fields:
                raise
        else:
            self._fields[name] = made
        return self._fields[name]

    def _entries(self, name: str, field: Json, labels: Sequence[str]) -> list[str]:
        """The external_ids of these labels in a list; an open list takes a new label itself."""
        ids = {entry["value"]: entry for entry in _datasource(field)}
        asleep = [ids[label]["external_id"] for label in labels if _is_asleep(ids.get(label))]
        missing = [label for label in labels if label not in ids]
        if asleep:
            self._client.admin(api.restore_metadata_field_datasource, _escaped(name), asleep)
        if missing and not field.get("allow_dynamic_list_values"):
            new = [_entry(label) for label in missing]
            self._client.admin(api.update_metadata_field_datasource, _escaped(name), new)
            ids.update({entry["value"]: entry for entry in new})
        if asleep or missing:
            self._read_at = float("-inf")
        return [ids[label]["external_id"] if label in ids else label for label in labels]


def _escaped(name: str) -> str:
    """As a part of a path: the SDK unquotes it before it quotes it."""
    return quote(name, safe="")


def _entry(label: str) -> dict[str, Any]:
    """A value of a list; its id is made of the label, so that adding it twice adds it once."""
    return {"external_id": hashlib.sha256(label.encode()).hexdigest()[:32], "value": label}


def _datasource(field: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return (field.get("datasource") or {}).get("values") or ()


def _is_asleep(entry: Mapping[str, Any] | None) -> bool:
    """Whether a value was deleted: it keeps its place, and can be brought back."""
    return entry is not None and entry.get("state", "active") != "active"


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]
