"""Fields of structured metadata and the values they take."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import metadata_fields as fields
from facelabel.errors import NotFound, Rejected

if TYPE_CHECKING:
    from facelabel.core.model import Json, JsonValue

VALUES: list[JsonValue] = [
    {"external_id": "a", "value": "Ann"},
    {"external_id": "b", "value": "bob"},
    {"external_id": "c", "value": "Cid"},
]


def field(kind: str, **more: JsonValue) -> Json:
    source: Json = {"datasource": {"values": VALUES}} if kind in fields.LISTS else {}
    return fields.created({"type": kind, "external_id": "x", "label": "X", **source, **more})


def ids(described: Json) -> list[JsonValue]:
    source = described.get("datasource", described)
    assert isinstance(source, dict)
    return [entry["external_id"] for entry in fields.entries(source)]


def check(kind: Json, value: JsonValue) -> JsonValue:
    return fields.checked({"x": value}, {"x": kind}).values["x"]


# ---- definitions


def test_a_field_says_everything_about_itself() -> None:
    assert fields.shown(field("string")) == {
        "type": "string",
        "external_id": "x",
        "label": "X",
        "mandatory": False,
        "default_value": None,
        "validation": None,
    }


def test_a_list_has_its_values_and_whether_it_is_open() -> None:
    people = fields.shown(field("set", allow_dynamic_list_values=True))
    assert people["datasource"] == {"values": VALUES}
    assert people["allow_dynamic_list_values"] is True


def test_names_are_made_up_where_none_are_given() -> None:
    made = fields.created(
        {"type": "enum", "label": "X", "datasource": {"values": [{"value": "v"}]}}
    )
    assert made["external_id"]
    assert all(ids(made))


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({}, "type"),
        ({"type": "text"}, "type"),
        ({"type": ["set"]}, "type"),
        ({"type": "string", "external_id": "a b"}, "external_id"),
        ({"type": "string", "external_id": 5}, "external_id"),
        ({"type": "string", "external_id": "x" * 256}, "external_id"),
        ({"type": "string", "label": ""}, "label"),
        ({"type": "string", "label": {}}, "label"),
        ({"type": "string", "mandatory": "yes"}, "mandatory"),
        ({"type": "string", "restrictions": []}, "restrictions"),
        ({"type": "string", "allow_dynamic_list_values": True}, "enum and set"),
        ({"type": "string", "datasource": {"values": VALUES}}, "no datasource"),
        ({"type": "set"}, "datasource"),
        ({"type": "set", "datasource": {}}, "datasource"),
        ({"type": "set", "datasource": {"values": ["Ann"]}}, "datasource"),
        ({"type": "set", "datasource": {"values": [{"value": ""}]}}, "value"),
        ({"type": "set", "datasource": {"values": [{"value": "v" * 256}]}}, "value"),
        ({"type": "integer", "default_value": "many"}, "invalid"),
        ({"type": "enum", "datasource": {"values": VALUES}, "default_value": "z"}, "invalid"),
        ({"type": "string", "validation": {"type": "less_than", "value": 1}}, "validation"),
        ({"type": "integer", "validation": {"type": "less_than", "value": "1"}}, "no integer"),
        ({"type": "date", "validation": {"type": "less_than", "value": "soon"}}, "no date"),
        ({"type": "string", "validation": {"type": "strlen"}}, "min or a max"),
        ({"type": "string", "validation": {"type": "strlen", "min": True}}, "min or a max"),
        ({"type": "integer", "validation": {"type": "and", "rules": []}}, "rules"),
        ({"type": "integer", "validation": {"type": "and", "rules": [{"type": "and"}]}}, "inside"),
        ({"type": "integer", "validation": [1]}, "JSON object"),
    ],
)
def test_a_definition_that_cannot_be(definition: Json, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        fields.created(definition)


def test_a_change_leaves_type_and_name_as_they_are() -> None:
    changed = fields.updated(
        field("string"), {"type": "integer", "external_id": "y", "label": "Z", "default_value": "d"}
    )
    assert (changed["type"], changed["external_id"]) == ("string", "x")
    assert (changed["label"], changed["default_value"]) == ("Z", "d")


def test_a_default_can_be_taken_back() -> None:
    changed = fields.updated(field("string", default_value="d"), {"default_value": None})
    assert changed["default_value"] is None


def test_a_default_has_to_meet_the_validation() -> None:
    small: Json = {"type": "less_than", "value": 5, "equals": True}
    assert field("integer", default_value=5, validation=small)["default_value"] == 5
    with pytest.raises(Rejected, match="validation"):
        field("integer", default_value=6, validation=small)


# ---- lists


def test_values_of_a_list_are_replaced_by_name_or_added() -> None:
    changed = fields.with_entries(
        field("enum"), [{"external_id": "a", "value": "Anna"}, {"external_id": "d", "value": "Dan"}]
    )
    assert ids(changed) == ["a", "b", "c", "d"]
    assert fields.entries(changed["datasource"])[0]["value"] == "Anna"


def test_a_deleted_value_can_be_restored() -> None:
    without = fields.without_entries(field("set"), ["b"])
    assert ids(fields.datasource(without)) == ["a", "c"]
    assert ids(fields.datasource(fields.with_restored(without, ["b"]))) == ["a", "b", "c"]


def test_a_deleted_value_is_no_choice() -> None:
    without = fields.without_entries(field("set"), ["b"])
    with pytest.raises(Rejected, match="invalid"):
        check(without, ["b"])


def test_an_unknown_value_can_be_neither_deleted_nor_restored() -> None:
    for change in (fields.without_entries, fields.with_restored):
        with pytest.raises(NotFound, match="do not exist"):
            change(field("set"), ["z"])


@pytest.mark.parametrize(("direction", "order"), [("asc", "abc"), ("desc", "cba")])
def test_a_list_is_sorted_whatever_the_case(direction: str, order: str) -> None:
    assert ids(fields.with_order(field("set"), "value", direction)) == list(order)


def test_an_order_is_by_value_up_or_down() -> None:
    for by, direction in (("label", "asc"), ("value", "up")):
        with pytest.raises(Rejected, match="Invalid"):
            fields.with_order(field("set"), by, direction)


def test_a_list_is_searched_by_part_of_a_value() -> None:
    assert [entry["value"] for entry in fields.found(field("set"), "B")] == ["bob"]
    assert not fields.found(fields.without_entries(field("set"), ["b"]), "b")


def test_a_list_has_an_end() -> None:
    many: list[Json] = [{"external_id": str(n), "value": str(n)} for n in range(fields.MAX_ENTRIES)]
    with pytest.raises(Rejected, match="at most"):
        fields.with_entries(field("set"), many)
    full = fields.with_entries(field("set"), many[3:])
    with pytest.raises(Rejected, match="at most"):
        fields.grown(full, ["one more"])


# ---- values


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("string", "text", "text"),
        ("string", 5, "5"),
        ("integer", "5", 5),
        ("integer", -5, -5),
        ("date", "2024-01-31", "2024-01-31"),
        ("enum", "a", "a"),
        ("set", ["a", "b", "a"], ["a", "b"]),
        ("set", '["a","b"]', ["a", "b"]),
        ("set", "a", ["a"]),
        ("string", "", None),
        ("set", [], None),
        ("integer", None, None),
    ],
)
def test_values_are_kept_in_the_fields_own_form(
    kind: str, value: JsonValue, kept: JsonValue
) -> None:
    assert check(field(kind), value) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "x" * 4097),
        ("string", True),
        ("string", ["a"]),
        ("integer", "5.5"),
        ("integer", True),
        ("integer", "9" * 100),
        ("integer", "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("date", "31.01.2024"),
        ("date", "2024-02-31"),
        ("enum", "Ann"),
        ("enum", ["a", "b"]),
        ("set", ["a", "z"]),
        ("set", [["a"]]),
        ("set", {"a": 1}),
        ("set", "[" * 5000),
        ("set", ["a"] * 1001),
    ],
)
def test_a_value_that_does_not_fit(kind: str, value: JsonValue) -> None:
    with pytest.raises(Rejected, match="is invalid for"):
        check(field(kind), value)


def test_a_value_that_does_not_fit_can_be_cleared() -> None:
    found = fields.checked({"x": "many"}, {"x": field("integer")}, clear_invalid=True)
    assert found.values == {"x": None}


def test_unknown_fields_are_named() -> None:
    with pytest.raises(Rejected, match=r'^Metadata External IDs do not exist: \["y", "z"\]$'):
        fields.checked({"x": "1", "y": "2", "z": "3"}, {"x": field("string")})


def test_an_open_list_takes_new_values() -> None:
    people = field("set", allow_dynamic_list_values=True)
    found = fields.checked({"x": ["a", "Dan", "Zoë"]}, {"x": people})
    assert found.values == {"x": ["a", "Dan", "Zoë"]}
    assert found.new_entries == {"x": ["Dan", "Zoë"]}
    assert ids(fields.grown(people, found.new_entries["x"])) == ["a", "b", "c", "Dan", "Zoë"]


def test_an_open_list_knows_its_values_by_what_people_call_them() -> None:
    people = field("set", allow_dynamic_list_values=True)
    found = fields.checked({"x": ["Ann"]}, {"x": people})
    assert found.values == {"x": ["a"]}
    assert not found.new_entries


def test_growing_twice_is_growing_once() -> None:
    once = fields.grown(field("set"), ["Dan"])
    assert fields.grown(once, ["Dan"]) == once


def test_naming_a_deleted_value_brings_it_back() -> None:
    people = fields.without_entries(field("set", allow_dynamic_list_values=True), ["b"])
    found = fields.checked({"x": ["bob"]}, {"x": people})
    assert found.values == {"x": ["b"]}
    again = fields.grown(people, found.new_entries["x"])
    assert fields.datasource(again)["values"] == VALUES


def test_a_new_asset_gets_defaults() -> None:
    known = {
        "x": field("string", default_value="d"),
        "off": field("string", default_value="d", default_disabled=True),
    }
    assert fields.checked({}, known, is_new=True).values == {"x": "d"}
    assert fields.checked({"x": "own"}, known, is_new=True).values == {"x": "own"}
    assert fields.checked({}, known).values == {}


def test_a_mandatory_field_cannot_be_left_out_or_emptied() -> None:
    known = {"x": field("string", mandatory=True)}
    for values, is_new in (({}, True), ({"x": ""}, False)):
        with pytest.raises(Rejected, match="mandatory"):
            fields.checked(values, known, is_new=is_new)
    assert fields.checked({}, known).values == {}


@pytest.mark.parametrize(
    ("kind", "rule", "good", "bad"),
    [
        ("integer", {"type": "greater_than", "value": 1}, 2, 1),
        ("integer", {"type": "greater_than", "value": 1, "equals": True}, 1, 0),
        ("date", {"type": "less_than", "value": "2024-01-10"}, "2024-01-09", "2024-01-10"),
        ("string", {"type": "strlen", "min": 2, "max": 3}, "abc", "abcd"),
        ("string", {"type": "strlen", "min": 2}, "ab", "a"),
        (
            "integer",
            {
                "type": "and",
                "rules": [
                    {"type": "greater_than", "value": 1},
                    {"type": "less_than", "value": 3},
                ],
            },
            2,
            3,
        ),
    ],
)
def test_validations(kind: str, rule: Json, good: JsonValue, bad: JsonValue) -> None:
    validated = field(kind, validation=rule)
    assert check(validated, good) == good
    with pytest.raises(Rejected, match="does not meet"):
        check(validated, bad)


# ---- order of fields


def test_fields_are_sorted_by_what_was_asked() -> None:
    some: list[Json] = [{"external_id": "b", "label": "a"}, {"external_id": "a", "label": "B"}]
    by_label = sorted(some, key=fields.order_key("label"))
    assert [each["external_id"] for each in by_label] == ["b", "a"]
    with pytest.raises(Rejected, match="order_by"):
        fields.order_key("size")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "value", "values", "rules", "external_id", "min", "equals"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
_NAMES = st.sampled_from(
    [
        *("external_id", "label", "mandatory", "default_value", "validation", "datasource"),
        *("restrictions", "default_disabled", "allow_dynamic_list_values", "other"),
    ]
)


@given(
    st.sampled_from(["string", "integer", "date", "enum", "set"]), st.dictionaries(_NAMES, _JSON)
)
def test_any_definition_is_taken_or_refused(kind: str, definition: Json) -> None:
    with suppress(Rejected):
        made = fields.created({**definition, "type": kind})
        assert fields.created(fields.shown(made) | {"external_id": made["external_id"]}) == made


@given(st.sampled_from(["string", "integer", "date", "enum", "set"]), _JSON)
def test_any_value_is_taken_or_refused(kind: str, value: JsonValue) -> None:
    known = {"x": field(kind)}
    with suppress(Rejected):
        kept = fields.checked({"x": value}, known).values
        assert fields.checked(kept, known).values == kept
