"""JSON and forms are counted before they are parsed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.errors import Rejected
from facelabel.inputs import scanning

if TYPE_CHECKING:
    from facelabel.core.model import JsonValue

LARGE = 8 << 20
#: What a parser would take seconds for, or for ever.
HOSTILE_JSON = {
    "lists in lists": b'{"a":[' + (b"[" * 900 + b'""' + b"]" * 900 + b",") * 4400 + b"1]}",
    "opened and never closed": b"[" * LARGE,
    "objects in objects": b'{"a":' * (LARGE // 5),
    "empty objects": b'{"a":[' + b"{}," * (LARGE // 3) + b"1]}",
    "numbers": b'{"a":[' + b"1," * (LARGE // 2) + b"1]}",
    "texts": b'{"a":[' + b'"",' * (LARGE // 3) + b"1]}",
    "names": b"{" + b",".join(b'"%d":1' % n for n in range(LARGE // 12)) + b"}",
    "a long number": b'{"a":' + b"1" * LARGE + b"}",
    "space": b" " * LARGE,
    "two long texts": b'{"a":"' + b"x" * (2 << 20) + b'","b":"' + b"x" * (2 << 20) + b'"}',
    "escaped quotes": b'{"a":"' + b'\\"' * (LARGE // 2) + b'"}',
    "escaped backslashes": b'{"a":"' + b"\\\\" * (LARGE // 2) + b'"}',
}
HOSTILE_FORMS = {
    "ampersands": b"&" * 1_000_000,
    "percent signs": b"a=" + b"%" * 1_000_000,
    "escapes": b"a=" + b"%41" * 1_000_000,
    "equals signs": b"a=%41" + b"=" * LARGE,
    "names": b"&".join(b"a%d=" % n for n in range(100_000)),
    "two long values": b"a=" + b"x" * (2 << 20) + b"&b=" + b"x" * (2 << 20),
    "a broken escape": b"tags=100%",
    "another": b"tags=%4",
}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@pytest.mark.parametrize("body", HOSTILE_JSON.values(), ids=HOSTILE_JSON)
def test_hostile_json_is_refused_before_it_is_parsed(body: bytes) -> None:
    """A parser that had been asked would have found that some are no JSON: a ValueError."""
    with pytest.raises(Rejected, match="The JSON "):
        scanning.json_value(body)


@pytest.mark.parametrize("body", HOSTILE_FORMS.values(), ids=HOSTILE_FORMS)
def test_hostile_forms_are_refused_before_they_are_parsed(body: bytes) -> None:
    with pytest.raises(Rejected):
        scanning.form(body)


@given(value=values)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_read_as_it_was_written(value: JsonValue, ascii_only: bool) -> None:  # noqa: FBT001 - pytest passes it
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        expected = json.loads(text)
    except UnicodeDecodeError:
        with pytest.raises(ValueError, match="codec"):
            scanning.json_value(text)
    else:
        assert scanning.json_value(text) == expected


@given(text=st.text(st.sampled_from('\\"[{,]} x'), max_size=300))
def test_what_stands_in_a_text_is_no_structure(text: str) -> None:
    """However many brackets, quotes and backslashes, in whatever order."""
    deep = text + "[" * 100 + text
    body = json.dumps({"a": deep, deep: [deep]}).encode()
    assert scanning.json_value(body) == {"a": deep, deep: [deep]}
    nested = b'{"a":' + json.dumps(text).encode() + b',"b":' + b"[" * 64 + b"]" * 64 + b"}"
    with pytest.raises(Rejected, match="nested more than 64 deep"):
        scanning.json_value(nested)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"a":NaN}', b'{"a":1e999}', b"{'a':1}", b"\xff\xfe{\x00}\x00", b'{"a":"\xff"}',
        b'{"a":1,"a":2}', b'{"a":[{"b":1,"b":1}]}', b'{"a":"' + b"\\", b'"', b"\x00",
        '{"a":1}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_told_apart(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        scanning.json_value(body)
    assert not isinstance(raised.value, Rejected)


def test_the_largest_that_clients_send_is_read() -> None:
    """Every value that a metadata field may have; a photo in base64; an image for each side."""
    entries: JsonValue = [{"external_id": f"id{n}", "value": "ä" * 40} for n in range(3000)]
    body = json.dumps({"values": entries}).encode()
    assert scanning.json_value(body) == {"values": entries}
    photo = "data:image/jpeg;base64," + "Ab+/" * 1_700_000
    escaped = json.dumps({"file": photo, "tags": ["a"]}).replace("/", "\\/").encode()
    with pytest.raises(Rejected, match="escaped"):  # every fourth character is a slash
        scanning.json_value(escaped)
    assert scanning.json_value(json.dumps({"file": photo}).encode()) == {"file": photo}
    two = {"SourceImage": {"Bytes": "A" * (3 << 20)}, "TargetImage": {"Bytes": "B" * (3 << 20)}}
    assert scanning.json_value(json.dumps(two).encode(), long_texts=2) == two


def test_a_mark_of_the_byte_order_is_no_part_of_json() -> None:
    assert scanning.json_value(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@given(pairs=st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5))
def test_forms_are_read_as_they_were_written(pairs: list[tuple[str, str]]) -> None:
    pairs = [(_sound(name), _sound(value)) for name, value in pairs]
    assert scanning.form(urlencode(pairs).encode()) == pairs


@given(text=st.binary(max_size=60))
def test_values_are_unescaped_as_everywhere(text: bytes) -> None:
    """Also those that nobody escaped, and bytes that are no UTF-8."""
    for value in (quote_plus(text).encode(), text.translate(None, b"&%")):
        (pair,) = scanning.form(b"a=" + value)
        expected = unquote_to_bytes(value.replace(b"+", b" "))
        assert pair == ("a", expected.decode("utf-8", "replace"))


def test_a_long_value_is_unescaped_piece_by_piece() -> None:
    photo = "data:image/jpeg;base64," + "Ab+/" * 30_000 + "=" * 300
    tail = "ä%b%2B" * 2000
    body = urlencode({"file": photo * 2, "tags": tail, "empty": "", "x": "a=b"}).encode()
    assert scanning.form(body + b"&&flag") == [
        ("file", photo * 2), ("tags", tail), ("empty", ""), ("x", "a=b"), ("flag", ""),
    ]  # fmt: skip


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
