"""Structured metadata: what a field is, and which values of an asset it takes.

A field is kept as a document: Cloudinary's JSON of it, with the values of its list that were
deleted and can be restored (state "inactive"). Everything here is a pure function from documents
to documents and raises Rejected for what is not allowed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

from facelabel.errors import NotFound, Rejected
from facelabel.inputs import scanning
from facelabel.media.types import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from facelabel.core.model import Json, JsonValue

MAX_FIELDS = 500
#: Values of one field's list, deleted ones included.
MAX_ENTRIES = 3000
#: Characters of a text, values of a set on one asset.
MAX_TEXT = 4096
MAX_CHOSEN = 1000

LISTS = frozenset({"enum", "set"})
_TYPES = ("string", "integer", "date", *sorted(LISTS))
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]{0,254}")
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FLAGS = ("mandatory", "default_disabled", "allow_dynamic_list_values")
_SETTABLE = (*_FLAGS, "label", "restrictions")
#: Can be taken back by null.
_CLEARABLE = ("default_value", "validation")
#: Validations joined in one, and those that have a bound.
MAX_RULES = 20
_BOUNDS = frozenset({"greater_than", "less_than"})
_ORDERS = frozenset({"label", "external_id", "created_at"})


@dataclass(frozen=True, slots=True)
class Checked:
    """Values that fit their fields."""

    #: By external_id, in the form they are kept in; None removes a value.
    values: Mapping[str, JsonValue]
    #: What was named for the first time, by the field whose list has to grow: see :func:`grown`.
    new_entries: Mapping[str, Sequence[str]]


def created(definition: Mapping[str, JsonValue]) -> Json:
    """A new field as its creator described it; without an external_id it gets one."""
    kind = definition.get("type")
    if kind not in _TYPES:
        raise Rejected(f"Invalid metadata field type, it is one of {', '.join(_TYPES)}")
    external_id = definition.get("external_id") or uuid4().hex
    if not isinstance(external_id, str) or not _EXTERNAL_ID.fullmatch(external_id):
        raise Rejected("external_id has letters, digits, _ and -, at most 255 of them")
    if kind in LISTS and not isinstance(definition.get("datasource"), dict):
        raise Rejected(f"Missing required parameter - datasource of the {kind} field")
    blank: Json = {"type": kind, "external_id": external_id, "label": external_id}
    blank |= {"mandatory": False, "default_value": None, "validation": None}
    if kind in LISTS:
        blank |= {"allow_dynamic_list_values": False, "datasource": {"values": []}}
    return updated(blank, definition)


def updated(field: Json, changes: Mapping[str, JsonValue]) -> Json:
    """The field after a change; its type and external_id stay whatever the change says."""
    new = dict(field) | {key: changes[key] for key in _SETTABLE if changes.get(key) is not None}
    new |= {key: changes[key] for key in _CLEARABLE if key in changes}
    _check_properties(new)
    if changes.get("datasource") is not None:
        new = with_entries(new, entries(changes["datasource"]))
    if new["validation"] is not None:
        _check_rule(new["validation"], str(new["type"]))
    if new["default_value"] is not None:
        new["default_value"] = _default(new)
    return new


def shown(field: Mapping[str, JsonValue]) -> Json:
    """The field as the API shows it: without what was deleted from its list."""
    plain = {key: value for key, value in field.items() if not key.startswith("_")}
    if "datasource" in plain:
        plain["datasource"] = datasource(field)
    return plain


def datasource(field: Mapping[str, JsonValue]) -> Json:
    """The list of a field: ``{"values": [{"external_id", "value", "state"}]}``."""
    return {"values": [entry for entry in _kept(field) if _is_active(entry)]}


def entries(source: JsonValue) -> list[Json]:
    """The values of a list, given alone or as ``{"values": [...]}``."""
    values = source.get("values") if isinstance(source, dict) else source
    if not isinstance(values, list) or not all(isinstance(entry, dict) for entry in values):
        raise Rejected("Invalid datasource: a list of values is expected")
    return [entry for entry in values if isinstance(entry, dict)]


def found(field: Mapping[str, JsonValue], term: str) -> Sequence[Json]:
    """The values of the field's list that contain a text, in their order."""
    wanted = term.casefold()
    active = (entry for entry in _kept(field) if _is_active(entry))
    return [entry for entry in active if wanted in str(entry["value"]).casefold()]


def with_entries(field: Json, new_entries: Sequence[Mapping[str, JsonValue]]) -> Json:
    """The field with values put into its list: by external_id replaced, or else added."""
    if len(new_entries) > MAX_ENTRIES:
        raise Rejected(f"a list has at most {MAX_ENTRIES} values")
    kept = {str(entry["external_id"]): entry for entry in _kept(field)}
    for given in new_entries:
        entry = _entry(given)
        kept[str(entry["external_id"])] = entry
    return _with_list(field, list(kept.values()))


def without_entries(field: Json, external_ids: Iterable[str]) -> Json:
    """The field with values of its list deleted, until somebody restores them."""
    return _with_states(field, external_ids, "inactive")


def with_restored(field: Json, external_ids: Iterable[str]) -> Json:
    """The field with values of its list brought back."""
    return _with_states(field, external_ids, "active")


def with_order(field: Json, order_by: str, direction: str) -> Json:
    """The field with its list sorted by "value" (else Rejected), "asc" or "desc"."""
    if order_by != "value":
        raise Rejected(f"Invalid order_by {order_by[:40]!r}, it is value")
    return _with_list(field, sorted(_kept(field), key=_by_value, reverse=is_descending(direction)))


def grown(field: Json, values: Iterable[str]) -> Json:
    """The field with values that were named for the first time in its list, under themselves.

    One that was deleted comes back as it was.
    """
    wanted = list(values)
    known = {str(entry["external_id"]) for entry in _kept(field)}
    field = with_restored(field, [value for value in wanted if value in known])
    new = [value for value in wanted if value not in known]
    return with_entries(field, [{"external_id": value, "value": value} for value in new])


def is_descending(direction: str) -> bool:
    """Whether "desc" is asked for; Rejected where it is neither that nor "asc"."""
    if direction not in {"asc", "desc"}:
        raise Rejected(f"Invalid direction {direction[:40]!r}, it is asc or desc")
    return direction == "desc"


def order_key(order_by: str) -> Callable[[Mapping[str, JsonValue]], tuple[str, str]]:
    """What fields are sorted by: "label", "external_id" or "created_at"."""
    if order_by not in _ORDERS:
        raise Rejected(f"Invalid order_by {order_by[:40]!r}, it is one of {sorted(_ORDERS)}")
    name = "_created_at" if order_by == "created_at" else order_by
    return lambda field: (str(field.get(name) or "").casefold(), str(field["external_id"]))


def checked(
    values: Mapping[str, JsonValue],
    fields: Mapping[str, Mapping[str, JsonValue]],
    *,
    clear_invalid: bool = False,
    is_new: bool = False,
) -> Checked:
    """What to set on an asset, each value in the form that its field keeps.

    ``fields``: every document, by external_id. Text is taken for any type, a list for a set also
    as JSON text; an empty value removes what was there. With ``clear_invalid`` a value that does
    not fit is removed instead of refused; for an asset ``is_new`` defaults are filled in.
    """
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise Rejected(f"Metadata External IDs do not exist: {json.dumps(unknown[:20])}")
    if is_new:
        values = _defaults(fields) | dict(values)
    kept: dict[str, JsonValue] = {}
    new: dict[str, Sequence[str]] = {}
    for name, value in values.items():
        kept[name], named = _fitted(fields[name], value, clear_invalid=clear_invalid)
        new |= {name: named} if named else {}
    _check_mandatory(kept, fields if is_new else {name: fields[name] for name in values})
    return Checked(kept, new)


def _defaults(fields: Mapping[str, Mapping[str, JsonValue]]) -> Json:
    return {
        name: field["default_value"]
        for name, field in fields.items()
        if field.get("default_value") is not None and not field.get("default_disabled")
    }


def _check_mandatory(
    values: Mapping[str, JsonValue], fields: Mapping[str, Mapping[str, JsonValue]]
) -> None:
    missing = [name for name, field in fields.items() if field.get("mandatory")]
    missing = [name for name in missing if values.get(name) is None]
    if missing:
        raise Rejected(f"Metadata fields are mandatory: {json.dumps(missing[:20])}")


def _fitted(
    field: Mapping[str, JsonValue], value: JsonValue, *, clear_invalid: bool
) -> tuple[JsonValue, Sequence[str]]:
    """The value as the field keeps it, and what its list lacks of it."""
    if value is None or value in ("", []):
        return None, ()
    try:
        return _chosen(field, value) if field["type"] in LISTS else (_plain(field, value), ())
    except Rejected:
        if clear_invalid:
            return None, ()
        raise


def _plain(field: Mapping[str, JsonValue], value: JsonValue) -> JsonValue:
    read: JsonValue = _READERS[str(field["type"])](field, value)
    if field.get("validation"):
        _apply_rule(field["validation"], read, str(field["external_id"]))
    return read


def _string(field: Mapping[str, JsonValue], value: JsonValue) -> str:
    text = str(value) if isinstance(value, (str, int, float)) else ""
    if not text or isinstance(value, bool) or len(text) > MAX_TEXT:
        raise _invalid(field, value)
    return text


def _integer(field: Mapping[str, JsonValue], value: JsonValue) -> int:
    if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)[:40]):
        raise _invalid(field, value)
    return int(str(value))


def _date(field: Mapping[str, JsonValue], value: JsonValue) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise _invalid(field, value) from None


_READERS: Mapping[str, Callable[[Mapping[str, JsonValue], JsonValue], JsonValue]] = {
    "string": _string,
    "integer": _integer,
    "date": _date,
}


def _chosen(field: Mapping[str, JsonValue], value: JsonValue) -> tuple[JsonValue, Sequence[str]]:
    """The external_ids of what was chosen from the field's list."""
    by_id = {str(entry["external_id"]) for entry in _kept(field) if _is_active(entry)}
    wanted = _wanted(field, value)
    if field.get("allow_dynamic_list_values"):
        labels = {str(entry["value"]): str(entry["external_id"]) for entry in _kept(field)}
        wanted = [v if v in by_id else labels.get(v, v) for v in wanted]
    new = [name for name in wanted if name not in by_id]
    if new and not field.get("allow_dynamic_list_values"):
        raise _invalid(field, [*new])
    return ([*wanted] if field["type"] == "set" else wanted[0]), new


def _wanted(field: Mapping[str, JsonValue], value: JsonValue) -> list[str]:
    items = value
    if field["type"] == "set" and isinstance(value, str):
        items = _listed(value)
    if not isinstance(items, list):
        items = [items]
    texts = [item for item in items if isinstance(item, str) and 0 < len(item) <= MAX_NAME]
    too_many = len(items) > (MAX_CHOSEN if field["type"] == "set" else 1)
    if len(texts) < len(items) or too_many:
        raise _invalid(field, value)
    return list(dict.fromkeys(texts))


def _listed(text: str) -> JsonValue:
    """A list written as JSON, or the text as it is."""
    try:
        return scanning.json_value(text.encode()) if text.lstrip().startswith("[") else text
    except (ValueError, Rejected):
        return text


def _invalid(field: Mapping[str, JsonValue], value: JsonValue) -> Rejected:
    seen = json.dumps(value, ensure_ascii=False, default=str)[:100]
    return Rejected(f"Value {seen} is invalid for {field['type']} field {field['external_id']}")


def _check_properties(field: Mapping[str, JsonValue]) -> None:
    label = field["label"]
    if not isinstance(label, str) or not label.strip() or len(label) > MAX_NAME:
        raise Rejected(f"Invalid label: a text of at most {MAX_NAME} characters")
    for name in _FLAGS:
        if not isinstance(field.get(name, False), bool):
            raise Rejected(f"Invalid {name}: true or false")
    if not isinstance(field.get("restrictions", {}), dict):
        raise Rejected("Invalid restrictions: a JSON object")
    if field.get("allow_dynamic_list_values") and field["type"] not in LISTS:
        raise Rejected("allow_dynamic_list_values is for fields of type enum and set")


def _default(field: Json) -> JsonValue:
    value, new = _fitted(field, field["default_value"], clear_invalid=False)
    if new:
        raise Rejected(f"The default value of {field['external_id']} is not in its list")
    return value


def _entry(given: Mapping[str, JsonValue]) -> Json:
    value = given.get("value")
    external_id = given.get("external_id") or uuid4().hex
    for text in (value, external_id):
        if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME:
            raise Rejected(f"A list's value is a text of at most {MAX_NAME} characters")
    return {"external_id": external_id, "value": value}


def _kept(field: Mapping[str, JsonValue]) -> list[Json]:
    """Every value of the field's list, deleted ones included."""
    if "datasource" not in field:
        raise Rejected(f"Metadata field {field['external_id']} has no datasource")
    return entries(field["datasource"])


def _is_active(entry: Mapping[str, JsonValue]) -> bool:
    return entry.get("state") != "inactive"


def _by_value(entry: Mapping[str, JsonValue]) -> str:
    return str(entry["value"]).casefold()


def _with_list(field: Json, kept: list[Json]) -> Json:
    if len(kept) > MAX_ENTRIES:
        raise Rejected(f"a list has at most {MAX_ENTRIES} values")
    return {**field, "datasource": {"values": [*kept]}}


def _with_states(field: Json, external_ids: Iterable[str], state: str) -> Json:
    wanted = set(external_ids)
    kept = _kept(field)
    unknown = wanted - {str(entry["external_id"]) for entry in kept}
    if unknown:
        raise NotFound(f"Datasource entries do not exist: {json.dumps(sorted(unknown)[:20])}")
    mark: Json = {"state": "inactive"} if state == "inactive" else {}
    return _with_list(
        field,
        [
            {"external_id": entry["external_id"], "value": entry["value"], **mark}
            if entry["external_id"] in wanted
            else entry
            for entry in kept
        ],
    )


# ---- validations: ``{"type": "less_than", "value": 5, "equals": true}``


def _check_rule(rule: JsonValue, kind: str) -> None:
    """Refuse a validation that cannot be applied to fields of a type."""
    if not isinstance(rule, dict):
        raise Rejected("Invalid validation: a JSON object")
    name = rule.get("type")
    if name == "and":
        _check_joined(rule.get("rules"), kind)
    elif name == "strlen" and kind == "string":
        _check_length(rule)
    elif name in _BOUNDS and kind in {"integer", "date"}:
        _check_bound(rule.get("value"), kind)
    else:
        raise Rejected(f"Invalid validation {str(name)[:40]!r} of a field of type {kind}")


def _apply_rule(rule: JsonValue, value: JsonValue, external_id: str) -> None:
    """Refuse a value of the field that the (checked) validation does not allow."""
    if not _holds(rule, value):
        seen = str(value)[:100]
        raise Rejected(f"Value {seen} does not meet the validation of field {external_id}")


def _check_joined(inner: JsonValue, kind: str) -> None:
    if not isinstance(inner, list) or not 0 < len(inner) <= MAX_RULES:
        raise Rejected(f"Invalid validation: and joins up to {MAX_RULES} rules")
    for rule in inner:
        if isinstance(rule, dict) and rule.get("type") == "and":
            raise Rejected("Invalid validation: and inside and")
        _check_rule(rule, kind)


def _check_length(rule: dict[str, JsonValue]) -> None:
    bounds = [rule[name] for name in ("min", "max") if rule.get(name) is not None]
    numbers = [b for b in bounds if isinstance(b, int) and not isinstance(b, bool) and b >= 0]
    if not bounds or len(numbers) < len(bounds):
        raise Rejected("Invalid validation: strlen has a min or a max, whole numbers")


def _check_bound(bound: JsonValue, kind: str) -> None:
    if kind == "integer" and isinstance(bound, int) and not isinstance(bound, bool):
        return
    try:
        if kind == "date" and date.fromisoformat(str(bound)).isoformat() == bound:
            return
    except ValueError:
        pass
    raise Rejected(f"Invalid validation: {str(bound)[:40]!r} is no {kind}")


def _holds(rule: JsonValue, value: JsonValue) -> bool:
    assert isinstance(rule, dict)
    if rule["type"] == "and":
        inner = rule["rules"]
        assert isinstance(inner, list)
        return all(_holds(each, value) for each in inner)
    if rule["type"] == "strlen":
        return _is_between(len(str(value)), rule.get("min"), rule.get("max"))
    return _is_beyond(rule, value)


def _is_between(length: int, low: JsonValue, high: JsonValue) -> bool:
    above = not isinstance(low, int) or length >= low
    return above and (not isinstance(high, int) or length <= high)


def _is_beyond(rule: dict[str, JsonValue], value: JsonValue) -> bool:
    """Dates compare as their ISO text does."""
    bound = rule["value"]
    if value == bound:
        return bool(rule.get("equals"))
    if isinstance(value, int) and isinstance(bound, int):
        return (value > bound) == (rule["type"] == "greater_than")
    return (str(value) > str(bound)) == (rule["type"] == "greater_than")
