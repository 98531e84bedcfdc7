"""Cloudinary's search expressions, read into conditions.

::

    any   = all ("OR" all)*
    all   = one (["AND"] one)*
    one   = ("NOT" | "-" | "+") one | "(" any ")" | term
    term  = field ("=" | ":" | ">" | ">=" | "<" | "<=") value | word
    value = word | "quoted" | [a TO b] | {a TO b} | "(" value (("OR" | "AND") value)* ")"

``=`` is exact, ``:`` looks for a word; a ``*`` at the end stands for any rest. A backslash takes
the meaning from the character after it. Everything else is Rejected, saying what is wrong.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from facelabel.errors import Rejected
from facelabel.media.types import And, Compare, Not, Or, Where

if TYPE_CHECKING:
    from collections.abc import Callable

    from facelabel.media.types import Condition

MAX_LENGTH = 4096
MAX_DEPTH = 20
MAX_TERMS = 100

_BLANK = re.compile(r"\s*")
_FIELD = re.compile(r"((?:\\.|[^\s()\[\]{}\"=:<>\\])+)\s*(>=|<=|[=:<>])\s*", re.DOTALL)
_QUOTED = re.compile(r"\"((?:\\.|[^\"\\])*)\"", re.DOTALL)
_WORD = re.compile(r"(?:\\.|[^\s()\"\\])+", re.DOTALL)
_END = r"(\"(?:\\.|[^\"\\])*\"|(?:\\.|[^\s\[\]{}()\"\\])+)"
_RANGE = re.compile(rf"([\[{{])\s*{_END}\s+TO\s+{_END}\s*([\]}}])", re.DOTALL)
_PIECES = re.compile(r"\\.|[^\\]", re.DOTALL)

_NUMBER = re.compile(r"(-?\d{1,15}(?:\.\d{1,9})?)([kmg])?b?", re.IGNORECASE)
_RATIO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?):(\d{1,6}(?:\.\d{1,6})?)")
_AGE = re.compile(r"(\d{1,6})([hdwmy])")
_DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}

_FOLDER_NAMES = frozenset({"folder", "asset_folder"})
#: Fields that are kept among an asset's details.
_DETAILS = {name: f"details.{name}" for name in ("moderation_kind", "moderation_status")}
_EXACT = frozenset({"asset_id", "etag", "format", "resource_type", "type", *_DETAILS})
_TEXTS = frozenset({"display_name", "filename", "public_id", "tags"})
_NUMBERS = frozenset({"aspect_ratio", "bytes", "height", "pixels", "version", "width"})
_TIMES = frozenset({"created_at", "updated_at", "uploaded_at"})
_FIELDS = _FOLDER_NAMES | _EXACT | _TEXTS | _NUMBERS | _TIMES | {""}
_KEYED = ("context.", "metadata.")
_OPEN_END = "*"
_SIGNS = frozenset("=:<>[]{}")


@dataclass(frozen=True, slots=True)
class _Text:
    """A value, its escapes resolved."""

    text: str
    #: It ended in a star.
    has_rest: bool = False


def parsed(expression: str, now: float) -> Condition:
    """The condition on assets that an expression states; an empty one holds for every asset.

    ``now``: epoch seconds, which relative times count back from. Raises Rejected.
    """
    return _Reader(expression, partial(_asset_test, now=now)).read()


def parsed_for_folders(expression: str) -> Condition:
    """The condition on folders that an expression states: their ``name`` and ``path``.

    Raises Rejected.
    """
    return _Reader(expression, _folder_test).read()


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str, test: Callable[[str, str, _Text], Condition]) -> None:
        """``test``: makes a condition of a field ("" if none), an operator and a value."""
        if len(text) > MAX_LENGTH:
            raise Rejected(f"the expression is over {MAX_LENGTH} characters")
        if any(unicodedata.category(char) == "Cs" or char == "\0" for char in text):
            raise Rejected("the expression has characters that are no text")
        self._text = unicodedata.normalize("NFC", text)
        self._test = test
        self._at = 0
        self._terms = 0

    def read(self) -> Condition:
        """The whole expression."""
        if not self._text.strip():
            return And()
        condition = self._any(0)
        if self._skip_blank() < len(self._text):
            raise self._unreadable()
        return condition

    def _any(self, depth: int) -> Condition:
        choices = [self._all(depth)]
        while self._takes("OR"):
            choices.append(self._all(depth))
        return choices[0] if len(choices) == 1 else Or(tuple(choices))

    def _all(self, depth: int) -> Condition:
        conditions = [self._one(depth)]
        while self._takes("AND") or not self._is_at_end():
            conditions.append(self._one(depth))
        return conditions[0] if len(conditions) == 1 else And(tuple(conditions))

    def _one(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise Rejected(f"the expression is nested more than {MAX_DEPTH} deep")
        if self._takes("NOT") or self._takes("-"):
            return Not(self._one(depth + 1))
        if self._takes("+"):
            return self._one(depth + 1)
        if self._takes("("):
            condition = self._any(depth + 1)
            self._expect(")")
            return condition
        return self._term()

    def _term(self) -> Condition:
        match = self._match(_FIELD)
        if match is None:
            return self._word()
        field, operator = _unescaped(match[1]), match[2]
        if operator in "=:" and self._takes("("):
            return self._alternatives(field, operator)
        if operator in "=:" and self._text[self._at : self._at + 1] in {"[", "{"}:
            return self._range(field)
        return self._made(field, operator, self._value())

    def _word(self) -> Condition:
        if self._text[self._skip_blank() : self._at + 1] in _SIGNS:
            raise self._unreadable()
        return self._made("", ":", self._value())

    def _alternatives(self, field: str, operator: str) -> Condition:
        """``tags=(a OR b)``, behind the bracket."""
        conditions = [self._made(field, operator, self._value())]
        word = "AND" if self._is_next("AND") else "OR"
        while self._takes(word):
            conditions.append(self._made(field, operator, self._value()))
        self._expect(")")
        return And(tuple(conditions)) if word == "AND" else Or(tuple(conditions))

    def _range(self, field: str) -> Condition:
        match = self._match(_RANGE)
        if match is None:
            raise Rejected(f"{self._rest()!r} is no range: write [a TO b]")
        opening, low, high, closing = match.groups()
        ends = ((">=" if opening == "[" else ">", low), ("<=" if closing == "]" else "<", high))
        return And(
            tuple(
                self._made(field, operator, _text(end, in_range=True))
                for operator, end in ends
                if end != _OPEN_END
            )
        )

    def _value(self) -> _Text:
        self._skip_blank()
        if self._is_next("AND") or self._is_next("OR") or self._is_next("NOT"):
            raise self._unreadable()
        match = self._match(_QUOTED) or self._match(_WORD)
        if match is None:
            raise self._unreadable()
        return _text(match[0])

    def _made(self, field: str, operator: str, value: _Text) -> Condition:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise Rejected(f"the expression has more than {MAX_TERMS} terms")
        return self._test(field, operator, value)

    def _skip_blank(self) -> int:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._skip_blank())
        if match:
            self._at = match.end()
        return match

    def _is_next(self, sign: str) -> bool:
        """Whether this sign comes next; a word is one only where it ends."""
        end = self._skip_blank() + len(sign)
        behind = self._text[end : end + 1]
        ends = not sign.isalpha() or not behind or behind.isspace() or behind in '()"'
        return ends and self._text.startswith(sign, self._at)

    def _takes(self, sign: str) -> bool:
        if not self._is_next(sign):
            return False
        self._at += len(sign)
        return True

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise Rejected(f"the expression lacks a {sign!r} before {self._rest()!r}")

    def _is_at_end(self) -> bool:
        return self._skip_blank() == len(self._text) or self._is_next(")") or self._is_next("OR")

    def _rest(self) -> str:
        return self._text[self._at : self._at + 40] or "its end"

    def _unreadable(self) -> Rejected:
        return Rejected(f"cannot read the expression at {self._rest()!r}")


def _text(raw: str, *, in_range: bool = False) -> _Text:
    """A word or a quoted text as written, without its quotes."""
    quoted = raw.startswith('"')
    pieces = _PIECES.findall(raw[1:-1] if quoted else raw)
    has_rest = pieces[-1:] == ["*"] and not in_range
    body = pieces[:-1] if has_rest else pieces
    if not quoted and "*" in body:
        raise Rejected(f"{raw!r}: a * is understood at the end only")
    return _Text(_unescaped("".join(body)), has_rest=has_rest)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _asset_test(field: str, operator: str, value: _Text, now: float) -> Condition:
    star = value.has_rest and not value.text
    if star and not field:
        return And()
    if star and field not in _FOLDER_NAMES:
        return Where(_known(field), _exists(operator))
    if field in _TIMES:
        return _time_test(field, operator, _plain(field, value), now)
    make = _TESTS.get(field, _text_test)
    return make(_known(field), operator, value)


def _known(field: str) -> str:
    is_keyed = any(field.startswith(start) and field != start for start in _KEYED)
    if field not in _FIELDS and not is_keyed:
        raise Rejected(f"search knows no field {field[:80]!r}")
    return _DETAILS.get(field, field)


def _text_test(field: str, operator: str, value: _Text) -> Condition:
    if value.has_rest:
        _exists(operator)
        return Where(field, Compare.PREFIX, value.text)
    if operator in "=:":
        return Where(field, Compare(operator), value.text)
    if not field.startswith("metadata."):
        raise Rejected(f"{field} cannot be compared with {operator}")
    return Where(field, Compare(operator), _number_or_text(value.text))


def _number_test(field: str, operator: str, value: _Text) -> Condition:
    return Where(field, _comparison(operator), _number(field, _plain(field, value)))


def _exact_test(field: str, operator: str, value: _Text) -> Condition:
    return Where(field, _exact(field, operator), _plain(field, value))


def _exists(operator: str) -> Compare:
    if operator not in "=:":
        raise Rejected(f"a * cannot be compared with {operator}")
    return Compare.EXISTS


def _exact(field: str, operator: str) -> Compare:
    if operator not in "=:":
        raise Rejected(f"{field} cannot be compared with {operator}")
    return Compare.EQUALS


def _comparison(operator: str) -> Compare:
    return Compare.EQUALS if operator == ":" else Compare(operator)


def _plain(field: str, value: _Text) -> str:
    if value.has_rest:
        raise Rejected(f"{field} takes no *")
    return value.text


def _folder_of_asset_test(field: str, operator: str, value: _Text) -> Condition:
    """``folder=a`` is that folder, ``folder:a/*`` that folder and all below."""
    path = value.text.strip("/")
    if not value.has_rest:
        return Where("folder", _exact(field, operator), path)
    _exists(operator)
    if path and not value.text.endswith("/"):
        raise Rejected(f"a folder's * stands for all below it: folder:{path}/*")
    return Where("folder", Compare.PREFIX, path)


def _number(field: str, text: str) -> float:
    ratio = _RATIO.fullmatch(text)
    if ratio and field == "aspect_ratio" and float(ratio[2]):
        return float(ratio[1]) / float(ratio[2])
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise Rejected(f"{field} is compared with a number, not with {text[:40]!r}")
    return float(number[1]) * _UNITS[(number[2] or "").lower()]


def _number_or_text(text: str) -> float | str:
    return float(text) if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", text, re.ASCII) else text


def _time_test(field: str, operator: str, text: str, now: float) -> Condition:
    """A day or an age is a span: equal to it is whatever lies inside."""
    start, end = _span(text, now)
    if operator in "=:":
        return And((Where(field, Compare.GREATER_OR_EQUAL, start), Where(field, Compare.LESS, end)))
    is_day = _DAY.fullmatch(text) is not None
    if is_day and operator == ">":
        return Where(field, Compare.GREATER_OR_EQUAL, end)
    if is_day and operator == "<=":
        return Where(field, Compare.LESS, end)
    return Where(field, Compare(operator), start)


def _span(text: str, now: float) -> tuple[float, float]:
    """From when until when, in epoch seconds: a day, an age until now, or a moment."""
    age, day = _AGE.fullmatch(text), _DAY.fullmatch(text)
    try:
        if age:
            return now - float(age[1]) * _HOURS[age[2]] * 3600, now
        if day:
            start = datetime(int(day[1]), int(day[2]), int(day[3]), tzinfo=UTC)
            return start.timestamp(), start.timestamp() + timedelta(days=1).total_seconds()
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp(), moment.timestamp() + 1
    except (ValueError, OverflowError) as error:
        raise Rejected(f"{text[:40]!r} is no time: write 2026-01-31 or 30d") from error


def _folder_test(field: str, operator: str, value: _Text) -> Condition:
    if field not in {"", "name", "path"}:
        raise Rejected(f"search of folders knows no field {field[:80]!r}")
    if operator not in "=:":
        raise Rejected(f"{field} cannot be compared with {operator}")
    return Where(field, Compare.PREFIX if value.has_rest else Compare(operator), value.text)


_TESTS = {
    **dict.fromkeys(_FOLDER_NAMES, _folder_of_asset_test),
    **dict.fromkeys(_NUMBERS, _number_test),
    **dict.fromkeys(_EXACT, _exact_test),
}
