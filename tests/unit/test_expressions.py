"""The search language of Cloudinary."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import expressions
from facelabel.cloudinary.expressions import parsed, parsed_for_folders
from facelabel.errors import Rejected
from facelabel.media.types import And, Compare, Condition, Not, Or, Where

NOW = 1_700_000_000.0
DAY = 24 * 3600.0


def where(field: str, test: Compare, value: str | float = "") -> Where:
    return Where(field, test, value)


def tagged(name: str) -> Where:
    return Where("tags", Compare.EQUALS, name)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", And()),
        ("  \n", And()),
        ("*", And()),
        ("tags=kitten", tagged("kitten")),
        ("tags = kitten", tagged("kitten")),
        ("tags:kitten", where("tags", Compare.TOKEN, "kitten")),
        ("cat", where("", Compare.TOKEN, "cat")),
        ("cat*", where("", Compare.PREFIX, "cat")),
        ('"two words"', where("", Compare.TOKEN, "two words")),
        ("public_id:ab/c*", where("public_id", Compare.PREFIX, "ab/c")),
        ("public_id=a\\*", where("public_id", Compare.EQUALS, "a*")),
        ('public_id="a*b"', where("public_id", Compare.EQUALS, "a*b")),
        ('tags="Zoë \\"Z\\" O\'Neil"', tagged('Zoë "Z" O\'Neil')),
        ("tags=faceLabel:John", tagged("faceLabel:John")),
        ("tags=John\\ Doe", tagged("John Doe")),
        ("tags=Zoe\N{COMBINING DIAERESIS}", tagged("Zoë")),
        ("tags=a=b", tagged("a=b")),
        ('tags=""', tagged("")),
        ("tags:*", where("tags", Compare.EXISTS)),
        ("context.stage:*", where("context.stage", Compare.EXISTS)),
        ("context.stage=final", where("context.stage", Compare.EQUALS, "final")),
        ("context.my\\ key=x", where("context.my key", Compare.EQUALS, "x")),
        ("metadata.people=ann", where("metadata.people", Compare.EQUALS, "ann")),
        ("metadata.size>5", where("metadata.size", Compare.GREATER, 5.0)),
        ("metadata.day<=2024-01-31", where("metadata.day", Compare.LESS_OR_EQUAL, "2024-01-31")),
        ("format:jpg", where("format", Compare.EQUALS, "jpg")),
        ("asset_id:0af3", where("asset_id", Compare.EQUALS, "0af3")),
        (
            "moderation_status:approved",
            where("details.moderation_status", Compare.EQUALS, "approved"),
        ),
        ("bytes>1m", where("bytes", Compare.GREATER, float(1 << 20))),
        ("bytes:20kb", where("bytes", Compare.EQUALS, 20.0 * 1024)),
        ("width>=1000", where("width", Compare.GREATER_OR_EQUAL, 1000.0)),
        ("aspect_ratio=16:9", where("aspect_ratio", Compare.EQUALS, 16 / 9)),
        ("aspect_ratio<1.5", where("aspect_ratio", Compare.LESS, 1.5)),
    ],
)
def test_terms(expression: str, expected: Condition) -> None:
    assert parsed(expression, NOW) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("folder=a/b", where("folder", Compare.EQUALS, "a/b")),
        ("folder:a/b", where("folder", Compare.EQUALS, "a/b")),
        ("folder:a/*", where("folder", Compare.PREFIX, "a")),
        ('folder:"my people/*"', where("folder", Compare.PREFIX, "my people")),
        ("asset_folder:a/b/*", where("folder", Compare.PREFIX, "a/b")),
        ('asset_folder=""', where("folder", Compare.EQUALS, "")),
        ("folder:*", where("folder", Compare.PREFIX, "")),
    ],
)
def test_folders_are_whole_segments(expression: str, expected: Condition) -> None:
    assert parsed(expression, NOW) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("tags=a AND tags=b", And((tagged("a"), tagged("b")))),
        ("tags=a tags=b", And((tagged("a"), tagged("b")))),
        ("tags=a +tags=b", And((tagged("a"), tagged("b")))),
        ("tags=a OR tags=b", Or((tagged("a"), tagged("b")))),
        (
            "tags=a OR tags=b AND tags=c",
            Or((tagged("a"), And((tagged("b"), tagged("c"))))),
        ),
        (
            "(tags=a OR tags=b) AND tags=c",
            And((Or((tagged("a"), tagged("b"))), tagged("c"))),
        ),
        ("NOT tags=a", Not(tagged("a"))),
        ("-tags=a", Not(tagged("a"))),
        ("tags=a -tags=b", And((tagged("a"), Not(tagged("b"))))),
        ("tags=a AND NOT(tags=b)", And((tagged("a"), Not(tagged("b"))))),
        ("tags=(a OR b)", Or((tagged("a"), tagged("b")))),
        ("tags=(a AND b)", And((tagged("a"), tagged("b")))),
        ("tags=-a", tagged("-a")),
        ("tags=ANDY OR tags=NOTE", Or((tagged("ANDY"), tagged("NOTE")))),
    ],
)
def test_operators(expression: str, expected: Condition) -> None:
    assert parsed(expression, NOW) == expected


@pytest.mark.parametrize(
    ("expression", "tests"),
    [
        ("width:[100 TO 200]", [(Compare.GREATER_OR_EQUAL, 100.0), (Compare.LESS_OR_EQUAL, 200.0)]),
        ("width:{100 TO 200}", [(Compare.GREATER, 100.0), (Compare.LESS, 200.0)]),
        ("width:[ 1k TO * ]", [(Compare.GREATER_OR_EQUAL, 1024.0)]),
        ("width:[* TO 200}", [(Compare.LESS, 200.0)]),
    ],
)
def test_ranges(expression: str, tests: list[tuple[Compare, float]]) -> None:
    expected = And(tuple(Where("width", test, value) for test, value in tests))
    assert parsed(expression, NOW) == expected


def test_a_relative_time_counts_back_from_now() -> None:
    assert parsed("uploaded_at>1d", NOW) == Where("uploaded_at", Compare.GREATER, NOW - DAY)
    assert parsed("created_at<2w", NOW) == Where("created_at", Compare.LESS, NOW - 14 * DAY)


def test_equal_to_a_day_is_inside_it() -> None:
    start = 1_704_067_200.0
    inside = And(
        (
            Where("created_at", Compare.GREATER_OR_EQUAL, start),
            Where("created_at", Compare.LESS, start + DAY),
        )
    )
    assert parsed("created_at:2024-01-01", NOW) == inside
    assert parsed("created_at=2024/1/1", NOW) == inside


def test_after_a_day_is_after_its_end() -> None:
    end = 1_704_067_200.0 + DAY
    assert parsed("created_at>2024-01-01", NOW) == Where(
        "created_at", Compare.GREATER_OR_EQUAL, end
    )
    assert parsed("created_at<=2024-01-01", NOW) == Where("created_at", Compare.LESS, end)


def test_a_moment_has_a_zone_or_is_utc() -> None:
    utc = parsed('updated_at<"2024-01-01T00:00:00"', NOW)
    assert utc == Where("updated_at", Compare.LESS, 1_704_067_200.0)
    assert parsed("updated_at<2024-01-01T01:00:00+01:00", NOW) == utc


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(tags=a", r"lacks a '\)'"),
        ("tags=a)", "cannot read"),
        ("tags=(a OR", "cannot read"),
        ("tags=", "cannot read"),
        ("=a", "cannot read"),
        ('tags="a', "cannot read"),
        ("tags=a OR", "cannot read"),
        ("AND", "cannot read"),
        ("NOT", "cannot read"),
        ("tags=a\\", "cannot read"),
        ("tags=a*b", "at the end only"),
        ("folder:ab*", r"folder:ab/\*"),
        ("bytes>many", "a number"),
        ("width:1*", r"takes no \*"),
        ("width:[1 2]", "no range"),
        ("aspect_ratio=1:0", "a number"),
        ("tags>a", "cannot be compared"),
        ("format>jpg", "cannot be compared"),
        ("bytes>*", "cannot be compared"),
        ("created_at>yesterday", "no time"),
        ("created_at:2024-02-31", "no time"),
        ("face_count>2", "no field 'face_count'"),
        ("context.=x", "no field"),
        ("tags=\ud800", "no text"),
        ("tags=\0", "no text"),
        ("(" * 30 + "a" + ")" * 30, "nested"),
        ("NOT " * 30 + "a", "nested"),
        ("a " * 101, "more than 100 terms"),
        ("x" * 5000, "over 4096"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        parsed(expression, NOW)


def test_the_deepest_and_the_longest_that_is_allowed() -> None:
    depth = expressions.MAX_DEPTH
    assert parsed("(" * depth + "a" + ")" * depth, NOW) == Where("", Compare.TOKEN, "a")
    many = parsed("a " * expressions.MAX_TERMS, NOW)
    assert isinstance(many, And)
    assert len(many.conditions) == expressions.MAX_TERMS


def test_folders_have_a_name_and_a_path() -> None:
    expected = And((Where("path", Compare.PREFIX, "a/"), Where("name", Compare.EQUALS, "b")))
    assert parsed_for_folders("path:a/* AND name=b") == expected
    assert parsed_for_folders("") == And()
    with pytest.raises(Rejected, match="no field 'tags'"):
        parsed_for_folders("tags=a")


_WORDS = st.sampled_from(
    [
        *("AND", "OR", "NOT", "TO", "-", "+", "(", ")", "[", "]", "{", "}", '"', "\\", "*", " "),
        *("=", ":", ">", ">=", "<", "tags", "folder", "bytes", "created_at", "context.k"),
        *("1d", "99999y", "1e999", "2024-01-01", "9999-12-31", "a/", "16:9", "\0", "\ud800", "é"),
    ]
)


_SALAD = st.lists(_WORDS, max_size=40)
_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.one_of(st.text(), _SALAD.map(" ".join), _SALAD.map("".join)))
def test_nothing_but_a_condition_or_a_refusal(expression: str) -> None:
    with suppress(Rejected):
        assert isinstance(parsed(expression, NOW), Where | And | Or | Not)
    with suppress(Rejected):
        assert isinstance(parsed_for_folders(expression), Where | And | Or | Not)


@given(st.text(alphabet=_TEXT, max_size=60))
def test_a_quoted_value_is_taken_as_it_is(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*")
    condition = parsed(f'tags="{escaped}"', NOW)
    assert condition == tagged(unicodedata.normalize("NFC", value))
