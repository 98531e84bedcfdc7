"""Tags and names, both ways."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core import names
from facelabel.errors import LabelRefused


@pytest.mark.parametrize(
    "name",
    [
        "John Doe",
        "žofie Nováková",
        "דוד כהן",
        "山田太郎",
        "O'Neill-Smith (jr.)",
        "李: 四",
        "👩🏽‍🚀",
    ],
)
def test_any_letter_case_and_space_is_kept(name: str) -> None:
    tag = names.label(name, "faceLabel")
    assert tag == f"faceLabel:{name}"
    assert names.labelled_people([tag], "faceLabel") == {name}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "no name"),
        ("  ", "no name"),
        ("\u200b\u200d", "no name"),
        ("Doe, John", "comma"),
        ("a\x00b", "control"),
        ("a\ud800b", "control"),
        ("Jos\udce9", r"'Jos\\xe9' has bytes that are no UTF-8: rename it"),
        ("a\u2028b", "control"),
        ("a\ue000b", "control"),
        ("x" * 246, "over 255"),
        ("x\n" * 50_000, "over 255"),  # a quotation mark that nobody closed
        ("x," * 50_000, "over 255"),
        ("faceId:1", "our own tags"),
        ("faceLabel:Ann", "our own tags"),
        ("facelabel:Ann", "a label is written 'faceLabel:Ann'"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(LabelRefused, match=reason):
        names.label(name, "faceLabel")


def test_the_longest_label_there_may_be() -> None:
    assert len(names.label("x" * 245, "faceLabel")) == 255


def test_two_spellings_of_one_name_are_one_person() -> None:
    tags = ["faceLabel:Jos\u00e9", "faceLabel:Jose\u0301", "faceLabel: Jos\u00e9 "]
    assert names.labelled_people(tags, "faceLabel") == {"José"}


@pytest.mark.parametrize(
    "tag", ["facelabel:Ann", "faceLabel", "faceLabelAnn", "faceLabels:Ann", " faceLabel:Ann", "Ann"]
)
def test_only_the_exact_prefix_and_colon_is_a_label(tag: str) -> None:
    assert names.labelled_people([tag], "faceLabel") == frozenset()


def test_everyone_labelled_is_found_and_other_tags_are_left_alone() -> None:
    tags = ["beach", "who:Ann", "who:Ben", "faceId:1"]
    assert names.labelled_people(tags, "who") == {"Ann", "Ben"}
    assert names.face_id_tags(tags) == {"faceId:1"}
    assert names.face_id_tag("1") == "faceId:1"


def test_a_refused_label_is_named_as_it_is_written() -> None:
    with pytest.raises(LabelRefused, match="the label who: has no name behind the colon"):
        names.labelled_people(["who:"], "who")


def test_one_bad_label_refuses_all() -> None:
    with pytest.raises(LabelRefused, match="no name"):
        names.labelled_people(["faceLabel:Ann", "faceLabel:"], "faceLabel")


def test_a_label_is_found_beside_bad_ones_and_in_any_spelling() -> None:
    tags = ["faceLabel:", "faceLabel: Jose\u0301"]
    assert names.is_labelled(tags, "José", "faceLabel")
    assert not names.is_labelled(tags, "Jos", "faceLabel")
    assert not names.is_labelled(["José"], "José", "faceLabel")


@given(st.text(max_size=60))
def test_a_label_is_refused_or_read_back_as_the_same_name(text: str) -> None:
    try:
        tag = names.label(text, "faceLabel")
    except LabelRefused:
        return
    assert names.labelled_people([tag], "faceLabel") == {names.normalise(text)}
    assert tag == unicodedata.normalize("NFC", tag)
    assert "," not in tag
    assert len(tag) <= 255


@pytest.mark.parametrize(
    "other",
    [
        "Ann\u00a0Lee",
        "Ann\u202fLee",
        "Ann\u3000 Lee",
        "Ann\u200b Lee",
        "\u2060Ann Lee\ufeff",
        "A\u00adnn Lee",
        "ann LEE",
        "\uff21nn Lee",
        "Ann\u034f Lee",
    ],
)
def test_names_that_look_the_same(other: str) -> None:
    assert names.skeleton(other) == names.skeleton("Ann Lee")
    (group,) = names.lookalikes(["Ben", other, "Ann Lee", "Ann Lee"])
    assert set(group) == {other, "Ann Lee"}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Zoe", "Zo\u00eb", False),
        ("Zo\u00eb", "Zoe\u0308", True),
        ("a\u0323\u0301", "a\u0301\u0323", True),
        ("O'Brien", "O\u2019Brien", True),
        ("Smith-Jones", "Smith\u2011Jones", True),
        ("Smith-Jones", "Smith Jones", False),
        ("\ufb01nn", "finn", True),
        ("Stra\u00dfe", "STRASSE", True),
        ("Ann Lee", "Anne Lee", False),
        ("\u674e", "\u7406", False),
    ],
)
def test_what_people_can_tell_apart_is_apart(one: str, other: str, alike: bool) -> None:  # noqa: FBT001 - a table
    assert (names.skeleton(one) == names.skeleton(other)) is alike


@pytest.mark.parametrize(
    "tag",
    ["facelabel:Ann B", "FACELABEL: Ann B ", "faceLabel=Ann B", "face-label:Ann B",
     "face label : Ann B", "face_label:Ann B", "faceLabl:Ann B", "faceLabbel:Ann B",
     "faecLabel:Ann B", "faceLabeI:Ann B", "faceLabel\uff1aAnn B"],
)  # fmt: skip
def test_a_label_in_another_spelling_is_known(tag: str) -> None:
    """By what it was meant to be."""
    assert names.misspelt_label(tag, "faceLabel") == "faceLabel:Ann B"


@pytest.mark.parametrize(
    "tag",
    ["faceLabel:Ann", "faceLabel: Ann", "facelabel", "facelabel:", "label:Ann", "place:Ann",
     "李: 四", "faceId:1-2", "facelift label:x"],
)  # fmt: skip
def test_other_tags_are_no_labels(tag: str) -> None:
    """Nor is a label as it should be."""
    assert names.misspelt_label(tag, "faceLabel") is None


def test_a_short_prefix_is_told_by_its_letters_alone() -> None:
    """One letter more or less is another word."""
    assert names.misspelt_label("Who:Ann", "who") == "who:Ann"
    assert names.misspelt_label("whom:Ann", "who") is None
