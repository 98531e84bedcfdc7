"""JSON and forms from outside: counted first, and only then parsed.

Python's parsers hold the interpreter while they work, in whatever thread: a few megabytes of
brackets stop every other answer for seconds. So nothing is parsed before its members, its depth
and its bytes were counted, by what runs through bytes at the speed of memory. What remains is
parsed in milliseconds, whoever sent it.
"""

from __future__ import annotations

import binascii
import heapq
import json
import math
import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facelabel.core.model import Json, JsonValue

#: Members of objects and items of lists, of all of them together; a list of 3,000 values, the
#: longest there is, has three for each.
MAX_NODES = 20_000
#: Objects and lists in each other.
MAX_DEPTH = 64
#: Parameters of a form.
MAX_PAIRS = 2_000
#: Bytes beside the long texts, such as a file in base64, for whose sake a body may be larger.
MAX_APART = 1 << 20
#: Brackets, commas, colons, quotes and backslashes of JSON, those in texts, too …
MAX_MARKS = 300_000
#: … and escaped characters of a form: each is a step for who parses it.
MAX_ESCAPES = 300_000
_OPENING, _CLOSING = b"[{", b"]}"
_NO_BRACKETS = bytes(set(range(256)) - set(_OPENING + _CLOSING))
_NO_MARKS = bytes(set(range(256)) - set(_OPENING + _CLOSING + b',:"\\'))
#: Bytes that are counted before it is asked whether there were too many.
_PIECE = 256 << 10
_PLUS_IS_SPACE = bytes.maketrans(b"+", b" ")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def json_value(body: bytes, *, long_texts: int = 1) -> JsonValue:
    """What JSON says; ``long_texts`` of its texts may be of any length.

    Raises ValueError for what is no JSON in UTF-8, names a member twice or has a number that no
    answer could repeat, such as NaN or 1e999; Rejected for what would take long to parse.
    """
    _check_json(body, long_texts)
    value: JsonValue = json.loads(
        body.decode("utf-8-sig"),
        parse_constant=_finite,
        parse_float=_finite,
        object_pairs_hook=_object,
    )
    return value


def form(body: bytes) -> list[tuple[str, str]]:
    """Names and values of ``application/x-www-form-urlencoded``; one value may be of any length.

    Raises Rejected for what is none, or would take long to parse.
    """
    if body.count(b"&") >= MAX_PAIRS:
        raise Rejected(f"A request has at most {MAX_PAIRS} parameters")
    if body.count(b"%") + body.count(b"=") > MAX_ESCAPES:
        raise Rejected("The form has too many escaped characters: send it as multipart/form-data")
    broken = _BROKEN_ESCAPE.search(body)
    if broken:
        raise Rejected(f"The form has a % at byte {broken.start()} that escapes nothing: write %25")
    pairs = [pair.partition(b"=")[::2] for pair in body.split(b"&") if pair]
    if len(body) - max((len(value) for _, value in pairs), default=0) > MAX_APART:
        raise Rejected(f"The form has more than {MAX_APART} bytes beside its longest value")
    return [(_unescaped(name), _unescaped(value)) for name, value in pairs]


def _check_json(body: bytes, long_texts: int) -> None:
    """Count what is outside of texts, which alone is structure."""
    _check_marks(body)
    # A backslash escapes the next character, which is no longer one that ends a text then.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    pieces = plain.split(b'"')
    outside, texts = b"".join(pieces[::2]), pieces[1::2]
    if len(plain) - sum(heapq.nlargest(long_texts, map(len, texts))) > MAX_APART:
        raise Rejected(f"The JSON has more than {MAX_APART} bytes beside its longest text")
    if sum(map(outside.count, (b",", b"[", b"{"))) > MAX_NODES:
        raise _too_much()
    if _depth(outside) > MAX_DEPTH:
        raise Rejected(f"The JSON is nested more than {MAX_DEPTH} deep")


def _check_marks(body: bytes) -> None:
    marks = 0
    for start in range(0, len(body), _PIECE):
        marks += len(body[start : start + _PIECE].translate(None, _NO_MARKS))
        if marks > MAX_MARKS:
            raise _too_much()


def _too_much() -> Rejected:
    return Rejected(
        f"The JSON has more than {MAX_NODES} members and items, or too much in it is escaped"
    )


def _depth(outside: bytes) -> int:
    brackets = outside.translate(None, _NO_BRACKETS)
    steps = (1 if bracket in _OPENING else -1 for bracket in brackets)
    return max(accumulate(steps), default=0)


def _object(pairs: Iterable[tuple[str, JsonValue]]) -> Json:
    """An object; a member named twice would be read in one way here and in another elsewhere."""
    found: Json = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:100]!r} was given twice")
        found[name] = value
    return found


def _finite(digits: str) -> float:
    """A number; ValueError for one that is none."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value


def _unescaped(text: bytes) -> str:
    """Undo the escapes of a form, some of them at a time, so that others get their turn."""
    text = text.translate(_PLUS_IS_SPACE)
    if b"%" in text:
        ends = [0]
        while (end := text.find(b"%", ends[-1] + _PIECE)) >= 0:
            ends.append(end)
        text = b"".join(_decoded(text[a:b]) for a, b in pairwise([*ends, len(text)]))
    return text.decode("utf-8", "replace")


def _decoded(text: bytes) -> bytes:
    """Written with "=" the escapes are those of quoted-printable, which are undone in C."""
    return binascii.a2b_qp(text.replace(b"=", b"%3D").replace(b"%", b"="))
