"""How Cloudinary's parameters are written: what its own SDK encodes is read back."""

from __future__ import annotations

import json

import pytest
from cloudinary import utils
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import params
from facelabel.errors import Rejected

# The SDK escapes neither keys nor backslashes; a value that ends with one runs into the next.
_KEY = st.text(min_size=1).filter(lambda key: not set(key) & set("|=\\"))
_VALUE = st.text().filter(lambda value: not value.endswith("\\"))
_TAG = st.text(min_size=1).map(str.strip).filter(lambda tag: tag and "," not in tag)
_SIDE = st.integers(-99_999, 99_999)
_REGION = st.lists(_SIDE, min_size=4, max_size=4)


@given(st.dictionaries(_KEY, _VALUE))
def test_context_of_the_sdk(context: dict[str, str]) -> None:
    assert params.context(utils.encode_context(context)) == context


@given(st.dictionaries(_KEY, st.lists(_VALUE)))
def test_metadata_sets_of_the_sdk(metadata: dict[str, list[str]]) -> None:
    read = params.metadata(utils.encode_context(metadata))
    assert {key: json.loads(value) for key, value in read.items()} == metadata


@given(st.lists(_TAG, unique=True))
def test_tags_of_the_sdk(tags: list[str]) -> None:
    assert params.tags(utils.encode_list(tags)) == tags
    assert params.tags([*tags, *tags]) == tags


@given(st.lists(_REGION, min_size=1))
def test_coordinates_of_the_sdk(regions: list[list[int]]) -> None:
    assert params.coordinates(utils.encode_double_array(regions)) == regions
    assert params.coordinates(utils.encode_double_array(regions[0])) == regions[:1]


@given(st.text())
def test_whatever_comes_is_read_or_rejected(text: str) -> None:
    for read in (params.context, params.metadata, params.coordinates, params.boolean, params.tags):
        try:
            read(text)
        except Rejected as error:
            assert str(error)  # noqa: PT017 - it may also be read


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("", {}),
        ("alt=a|caption=b", {"alt": "a", "caption": "b"}),
        (r"alt=alternative\|alt\=a", {"alt": "alternative|alt=a"}),
        ("a=b=c", {"a": "b=c"}),
        ("empty=", {"empty": ""}),
        (r"path=C:\new", {"path": r"C:\new"}),
        ("name=Zoë 👩‍🎤|שם=נועה", {"name": "Zoë 👩‍🎤", "שם": "נועה"}),
    ],
)
def test_context(text: str, context: dict[str, str]) -> None:
    assert params.context(text) == context


@pytest.mark.parametrize("text", ["caption", "=value", "a=1|b", r"a\=b"])
def test_context_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="no key=value"):
        params.context(text)


def test_a_comma_separates_tags_also_inside_a_list() -> None:
    assert params.tags(["Smith, John", " Ann "]) == ["Smith", "John", "Ann"]
    assert params.tags(None) == params.tags("") == params.tags(" , ") == []
    with pytest.raises(Rejected):
        params.tags([["nested"]])


@pytest.mark.parametrize(
    "text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,nan", "1e9,1,1,1", "٣,1,1,1"]
)
def test_coordinates_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Rejected, match="Invalid coordinates"):
        params.coordinates(text)


def test_too_many_regions_are_refused() -> None:
    with pytest.raises(Rejected, match="1000 regions"):
        params.coordinates("|".join(["1,2,3,4"] * 1001))


def test_coordinates_keep_fractions_and_are_clipped() -> None:
    regions = params.coordinates("120,30.5,109,150")
    assert regions == [[120, 30.5, 109, 150]]
    assert params.clipped(regions, 241, 51) == [[120, 30.5, 109, 51]]


@pytest.mark.parametrize("text", ["1", "true", "TRUE", " yes "])
def test_yes(text: str) -> None:
    assert params.boolean(text)


@pytest.mark.parametrize("text", ["0", "false", "False", ""])
def test_no(text: str) -> None:
    assert not params.boolean(text)


def test_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(Rejected, match="neither true nor false"):
        params.boolean("maybe")


def test_single_values_as_text() -> None:
    assert [params.text(value) for value in (True, False, None, 3, 1.5, "x")] == [
        "true", "false", "", "3", "1.5", "x",
    ]  # fmt: skip
    with pytest.raises(Rejected):
        params.text({})
