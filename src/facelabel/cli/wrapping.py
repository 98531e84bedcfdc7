"""Sentences in lines that end between words, for terminals, and how wide a text is on one.

How wide a text is, is what Unicode says of its letters: two columns for East Asian wide ones, none
for marks that stand on others. The order of letters that run from right to left is the terminal's.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: By what a line that goes on stands behind the one before.
_HANGING = 2
#: What is copied as one: a command between backticks, whatever spaces are in it.
_PIECES = re.compile(r"(?:`[^`]*`|\S)+")


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_letter_width, text))


@cache
def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def wrapped(parts: Sequence[str], width: int) -> list[list[tuple[int, str]]]:
    """A sentence in lines no wider than that, if a piece alone is not: those are never broken.

    Each line is a list of texts with the number of the part that they are of; a line that goes on
    begins with spaces, so that lists keep their look.
    """
    lines = [[(number, part) for number, part in enumerate(parts) if part]]
    if sum(text_width(part) + 1 for _, part in lines[0]) - 1 <= width:
        return lines
    first = next(iter(parts), "")
    margin = " " * (len(first) - len(first.lstrip(" ")))
    hanging, used = margin + " " * _HANGING, 0
    lines = [[]]
    for number, piece in _pieces(parts):
        wide = text_width(piece)
        if lines[-1] and used + 1 + wide > width:
            lines.append([(number, hanging + piece)])
            used = len(hanging) + wide
        elif lines[-1]:
            _join(lines[-1], number, piece)
            used += 1 + wide
        else:
            lines[-1].append((number, margin + piece))
            used = len(margin) + wide
    return lines


def _pieces(parts: Iterable[str]) -> Iterable[tuple[int, str]]:
    """What is not broken, with the number of its part."""
    return (
        (number, found[0]) for number, part in enumerate(parts) for found in _PIECES.finditer(part)
    )


def _join(line: list[tuple[int, str]], number: int, piece: str) -> None:
    """Put a piece behind others, to that before it if both are of one part."""
    last, text = line[-1]
    if last == number:
        line[-1] = number, f"{text} {piece}"
    else:
        line.append((number, piece))
