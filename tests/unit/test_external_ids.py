"""Names as Amazon keeps them, and back."""

from __future__ import annotations

import random
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core.model import EnrolledFace
from facelabel.core.names import normalise
from facelabel.errors import LabelRefused
from facelabel.rekognition.external_ids import (
    asset_hash,
    decode,
    encode,
    hash_of,
    person_of_user,
    user_id,
)

#: Amazon's own patterns.
EXTERNAL_ID = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
USER_ID = re.compile(r"[a-zA-Z0-9_.\-:]{1,128}")
HASH = re.compile(r"::[0-9a-f]{16}$")
PLANES = 17
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
FAMILIAR = "abcdefXYZ0189 .-_:'é李😀"


def usable(text: str) -> str | None:
    """The name in its one spelling, if it is one."""
    name = normalise(text)
    return None if not name or CONTROLS.search(name) else name


def check(name: str, asset_id: str | None) -> tuple[str, str]:
    """Hold a name to every promise; return its ExternalImageId and its UserId."""
    external_id, user = encode(name, asset_id), user_id(name)
    assert EXTERNAL_ID.fullmatch(external_id)
    assert decode(external_id) == name
    assert USER_ID.fullmatch(user)
    known = person_of_user(user)
    assert known == name or (known is None and len(name.encode()) > 93)
    if asset_id:
        assert hash_of(external_id) == asset_hash(asset_id)
    return external_id, user


def letters(plane: int) -> list[str]:
    """Every character of a plane of Unicode, and familiar ones to go between them."""
    codes = range(plane << 16, (plane + 1) << 16)
    return [chr(code) for code in codes if not 0xD800 <= code < 0xE000] + [*FAMILIAR] * 1000


@pytest.mark.parametrize("number", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_names_of_every_plane(number: int) -> None:
    rng = random.Random(20261123)
    planes = [letters(plane) for plane in range(PLANES)]
    people: dict[str, str] = {}
    count = 0
    while count < number:
        length = 43 if rng.random() < 0.02 else rng.randint(1, 16)
        name = usable("".join(rng.choices(planes[count % PLANES], k=length)))
        if name is None or len(name.encode()) > 175:  # longer once it is normalised
            continue
        external_id, user = check(name, "an asset" if count % 2 else None)
        assert people.setdefault(HASH.sub("", external_id), name) == name
        assert people.setdefault(f"user {user}", name) == name
        count += 1


@given(st.text(min_size=1, max_size=300), st.none() | st.text(min_size=1))
def test_a_name_comes_back_or_is_refused(text: str, asset_id: str | None) -> None:
    name = usable(text)
    if name is None:
        with pytest.raises(LabelRefused):
            encode(text, asset_id)
    elif len(name.encode()) <= 175:
        assert encode(text, asset_id) == check(name, asset_id)[0]
    else:
        with suppress(LabelRefused):
            check(name, asset_id)


@given(st.from_regex(r"(n1:|b1:|h1:)?[a-zA-Z0-9_.\-:]{1,200}(::[0-9a-f]{16})?", fullmatch=True))
def test_any_id_that_amazon_takes_is_somebody(external_id: str) -> None:
    person = decode(external_id)
    assert person
    assert usable(person) == person
    assert person_of_user(external_id) in {person, None}


def test_names_stay_readable() -> None:
    assert encode("José O'Brien") == "n1:Jos:c3:a9.O:27Brien"
    assert encode("Mary-Jane Smith_2") == "n1:Mary-Jane.Smith_2"
    assert encode("Dad", "abc") == f"n1:Dad::{asset_hash('abc')}"
    assert encode("李" * 40).startswith("b1:")


@pytest.mark.parametrize(
    ("external_id", "person"),
    [
        ("John.-.-.-Doe", "John Doe"),
        ("Mary-K-J-Smith", "Mary-K-J-Smith"),  # the original took its own escape for a pattern
        ("A-B-C-D", "A-B-C-D"),
        ("John.Doe", "John.Doe"),
        (".-.-.-", ".-.-.-"),
        ("family:dad", "family:dad"),
        ("n1:John:zz", "n1:John:zz"),
        ("n1:", "n1:"),
        ("n1:a:00", "n1:a:00"),
        ("n1:a:ff", "n1:a:ff"),
        ("b1:A", "b1:A"),
        ("b1:_____w", "b1:_____w"),
        ("n1:.a", "n1:.a"),
    ],
)
def test_ids_of_others_are_read_as_they_are(external_id: str, person: str) -> None:
    assert decode(external_id) == person
    assert hash_of(external_id) is None


@pytest.mark.parametrize(
    ("letter", "most"), [("a", 234), ("é", 87), ("李", 58), ("😀", 43), ("'", 175)]
)
def test_a_name_has_so_much_room(letter: str, most: int) -> None:
    check(letter * most, "an asset")
    with pytest.raises(LabelRefused, match="too long for Amazon Rekognition"):
        encode(letter * (most + 1), "an asset")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "\ud800"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(LabelRefused):
        encode(name)
    with pytest.raises(LabelRefused):
        user_id(name)


def test_a_long_name_is_a_user_all_the_same() -> None:
    one, other = user_id("李" * 60), user_id("李" * 61)
    assert one != other
    assert person_of_user(one) is None
    assert USER_ID.fullmatch(one)


def test_names_that_look_like_ids_are_names() -> None:
    for name in ("n1:Dad", "b1:RGFk", "h1:00", "Dad::0123456789abcdef", "a.-.-.-b"):
        check(name, "an asset")


def test_a_face_knows_its_asset_by_id_or_hash() -> None:
    assert EnrolledFace("face", "Dad", "one").is_of("one")
    assert EnrolledFace("face", "Dad", asset_hash=asset_hash("one")).is_of("one")
    assert not EnrolledFace("face", "Dad", asset_hash=asset_hash("one")).is_of("two")
    assert not EnrolledFace("face", "Dad").is_of("one")
