"""The validations of metadata fields: ``{"type": "less_than", "value": 5, "equals": true}``."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from facelabel.core.model import JsonValue

MAX_RULES = 20
_BOUNDS = frozenset({"greater_than", "less_than"})


def check(rule: JsonValue, kind: str) -> None:
    """Refuse a validation that cannot be applied to fields of a type."""
    if not isinstance(rule, dict):
        raise Rejected("Invalid validation: a JSON object")
    name = rule.get("type")
    if name == "and":
        _check_all(rule.get("rules"), kind)
    elif name == "strlen" and kind == "string":
        _check_length(rule)
    elif name in _BOUNDS and kind in {"integer", "date"}:
        _check_bound(rule.get("value"), kind)
    else:
        raise Rejected(f"Invalid validation {str(name)[:40]!r} of a field of type {kind}")


def apply(rule: JsonValue, value: JsonValue, external_id: str) -> None:
    """Refuse a value of the field that the (checked) validation does not allow."""
    if not _holds(rule, value):
        seen = str(value)[:100]
        raise Rejected(f"Value {seen} does not meet the validation of field {external_id}")


def _check_all(inner: JsonValue, kind: str) -> None:
    if not isinstance(inner, list) or not 0 < len(inner) <= MAX_RULES:
        raise Rejected(f"Invalid validation: and joins up to {MAX_RULES} rules")
    for rule in inner:
        if isinstance(rule, dict) and rule.get("type") == "and":
            raise Rejected("Invalid validation: and inside and")
        check(rule, kind)


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
