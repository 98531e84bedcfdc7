"""Delivery URLs: what each may mean, the likeliest first."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import unquote, urlsplit

import pytest
from cloudinary.utils import cloudinary_url
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import signing
from facelabel.cloudinary.delivery_urls import MAX_LENGTH, Address, Reading, parse
from facelabel.errors import NotFound, Rejected
from facelabel.media.types import AssetKey

SECRET = "abcd"


def from_sdk(public_id: str, **options: object) -> Address:
    """Read what the official SDK writes, as a server receives it."""
    url, _ = cloudinary_url(public_id, cloud_name="local", api_secret=SECRET, **options)
    path = unquote(urlsplit(url).path)
    assert path.startswith("/local/")
    return parse(path.removeprefix("/local/"))


def first(path: str) -> Reading:
    return parse(path).readings[0]


def test_a_plain_url() -> None:
    assert parse("image/upload/v1719310887/jeans.png") == Address(
        "",
        (
            Reading(AssetKey("jeans"), "", 1719310887, "png", "jeans.png"),
            Reading(AssetKey("jeans.png"), "", 1719310887, "", "jeans.png"),
            Reading(AssetKey("v1719310887/jeans"), "", None, "png", "v1719310887/jeans.png"),
            Reading(AssetKey("v1719310887/jeans.png"), "", None, "", "v1719310887/jeans.png"),
        ),
    )


def test_the_version_tells_steps_from_folders() -> None:
    reading = first("image/upload/c_fill,w_100/e_sepia/v7/w_50/people/ann.jpg")

    assert reading.transformation == "c_fill,w_100/e_sepia"
    assert reading.key == AssetKey("w_50/people/ann")
    assert (reading.version, reading.format) == (7, "jpg")


def test_without_a_version_the_longest_name_comes_first() -> None:
    readings = parse("image/upload/w_100/h_50/ann.jpg").readings

    assert [(r.transformation, r.key.public_id) for r in readings if r.format] == [
        ("", "w_100/h_50/ann"),
        ("w_100", "h_50/ann"),
        ("w_100/h_50", "ann"),
    ]


def test_a_version_after_a_folder_belongs_to_the_name() -> None:
    assert first("image/upload/people/v2/ann.jpg").key.public_id == "people/v2/ann"
    assert first("image/upload/v1/v2/ann.jpg").key.public_id == "v2/ann"


def test_a_raw_file_keeps_its_extension() -> None:
    (reading,) = parse("raw/upload/docs/list.csv").readings

    assert reading.key == AssetKey("docs/list.csv", "raw")
    assert reading.format == ""


def test_slashes_are_collapsed() -> None:
    assert parse("image//upload///w_10//ann.jpg") == parse("image/upload/w_10/ann.jpg")


def test_a_step_alone_is_a_name() -> None:
    (reading,) = parse("image/upload/w_100").readings

    assert reading.key.public_id == "w_100"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "image",
        "image/upload",
        "image/upload/",
        "images/upload/x",
        "image/fetch/x",
        "v1_1/image/x/y",
    ],
)
def test_what_cannot_be_a_delivery_url(path: str) -> None:
    with pytest.raises(NotFound):
        parse(path)


@pytest.mark.parametrize("path", ["image/upload/a\0b", "image/upload/a\nb", "image/upload/\ud800"])
def test_control_characters_are_refused(path: str) -> None:
    with pytest.raises(Rejected, match="control"):
        parse(path)


def test_a_long_path_is_refused() -> None:
    with pytest.raises(Rejected, match="8192"):
        parse("image/upload/" + "a" * MAX_LENGTH)


def test_dots_are_only_characters() -> None:
    assert first("image/upload/../../etc/passwd").key.public_id == "../../etc/passwd"
    assert first("image/upload/.hidden").key.public_id == ".hidden"


NAMES = [
    "sample",
    "people/ann",
    "My People/Zoë 100",
    "família/ações",
    "👩‍👩‍👧/ש",
    "a.b.c",
    "w_50/x",
    "tilde~",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("steps", [None, [{"width": 10}, {"effect": "sepia"}]])
def test_what_the_official_sdk_signs_verifies(name: str, long: bool, steps: object) -> None:  # noqa: FBT001 - a case
    address = from_sdk(
        name,
        sign_url=True,
        long_url_signature=long,
        type="private",
        transformation=steps,
        version=77,
        format="jpg",
    )
    reading = address.readings[0]

    assert reading.key == AssetKey(name, "image", "private")
    assert reading.transformation == ("w_10/e_sepia" if steps else "")
    assert (reading.version, reading.format) == (77, "jpg")
    assert signing.is_delivery(reading.signed, address.signature, ["other", SECRET])
    assert not signing.is_delivery(reading.signed + "x", address.signature, [SECRET])


@pytest.mark.parametrize("name", NAMES)
def test_unsigned_urls_of_the_official_sdk_name_the_asset(name: str) -> None:
    address = from_sdk(name, transformation={"width": 10})

    assert address.signature == ""
    assert any(
        (reading.key.public_id, reading.transformation) == (name, "w_10")
        for reading in address.readings
    )


@given(st.text(max_size=80))
def test_any_path_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Rejected):
        readings = parse(f"image/upload/{text}").readings
        assert len(set(readings)) == len(readings)
        assert all(reading.key.public_id in re.sub("/+", "/", text) for reading in readings)
