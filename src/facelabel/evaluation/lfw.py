"""Reading lists of pairs: LFW's ``pairs.txt`` and its folders, and plain lists of that form."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.errors import NotFound, Rejected
from facelabel.inputs import reading
from facelabel.inputs.lookup import Lookup
from facelabel.inputs.walking import is_picture

if TYPE_CHECKING:
    from pathlib import Path

#: A list larger than this is no list of pairs.
MAX_LIST_BYTES = 64 << 20
MAX_PAIRS = 1_000_000
FOLDS = 10
#: How many fields a pair of one person, and a pair of two people, has.
_GENUINE, _IMPOSTOR = 3, 4
#: A threshold is chosen on other pairs than it is tried on.
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, of one person or of two."""

    left: Path
    right: Path
    same: bool
    #: Counted from 0; thresholds are chosen on the other folds.
    fold: int


def read_pairs(listed: Path, root: Path) -> tuple[Pair, ...]:
    """Read a list of pairs of pictures that lie under ``root`` as ``Name/Name_0001.jpg``.

    A line is ``Name n m``, two pictures of one person, or ``Name n Name m``, of two people; fields
    are separated by tabs (or by blanks, where names have none). The first line may be LFW's
    header: folds and pairs of each kind in a fold. Without folds, pairs are dealt to ten in turn.

    Raises NotFound if the list or a picture is not there, Rejected naming the line at fault.
    """
    rows = [(number, _fields(line)) for number, line in enumerate(_lines(listed), start=1)]
    rows = [(number, fields) for number, fields in rows if fields]
    header = rows.pop(0)[1] if rows and all(field.isdecimal() for field in rows[0][1]) else []
    pairs, pictures = [], _Pictures(root)
    dealt = {True: 0, False: 0}
    for number, fields in rows:
        left, right, same = pictures.of(fields, f"{listed} line {number}")
        pairs.append(Pair(left, right, same, _fold(header, dealt[same])))
        dealt[same] += 1
    _check(listed, header, dealt)
    _check_files(pairs, root)
    return tuple(pairs)


def _lines(listed: Path) -> list[str]:
    try:
        lines = reading.read(listed, MAX_LIST_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise Rejected(f"{listed} is no text in UTF-8: {error}") from error
    except FileNotFoundError as error:
        raise NotFound(f"{listed} {reading.explain(error)}") from error
    except OSError as error:
        raise Rejected(f"{listed} {reading.explain(error)}") from error
    if len(lines) > MAX_PAIRS:
        raise Rejected(f"{listed} has more than {MAX_PAIRS:,} lines")
    return lines


def _fields(line: str) -> list[str]:
    parts = line.strip().split("\t") if "\t" in line.strip() else line.split()
    return [part.strip() for part in parts]


def _fold(header: list[str], dealt: int) -> int:
    """Return the fold of a pair, ``dealt`` of its kind coming before it."""
    if len(header) > 1 and int(header[0]) > 1:
        return dealt // max(int(header[1]), 1)
    return dealt % FOLDS


class _Pictures:
    """The pictures below a folder, by name and number."""

    def __init__(self, root: Path) -> None:
        self._lookup = Lookup(root)

    def of(self, fields: list[str], where: str) -> tuple[Path, Path, bool]:
        """The two of a pair, and whether they show one person."""
        if len(fields) == _GENUINE:
            name, first, second = fields
            return self._file(name, first, where), self._file(name, second, where), True
        if len(fields) == _IMPOSTOR:
            left, first, right, second = fields
            pair = self._file(left, first, where), self._file(right, second, where)
            return *pair, left == right
        raise Rejected(f"{where}: expected 3 or 4 fields, as in pairs.txt, but found {len(fields)}")

    def _file(self, name: str, number: str, where: str) -> Path:
        if not number.isdecimal() or len(number) > 9:  # noqa: PLR2004 - more is no number of a picture
            raise Rejected(f"{where}: {number!r} is not the number of a picture")
        if not name or name in {".", ".."} or "/" in name or "\\" in name:
            raise Rejected(f"{where}: {name!r} is not the name of a folder")
        stem = f"{name}_{int(number):04d}"
        jpeg = self._lookup(f"{name}/{stem}.jpg")
        if os.path.lexists(jpeg):
            return jpeg
        others = sorted(self._lookup(name).glob(f"{glob.escape(stem)}.*"))
        return next(filter(is_picture, others), jpeg)


def _check(listed: Path, header: list[str], dealt: dict[bool, int]) -> None:
    if min(dealt.values()) < _LEAST:
        raise Rejected(
            f"{listed} has {dealt[True]} pairs of one person and {dealt[False]} of two:"
            f" at least {_LEAST} of each are needed"
        )
    if header:
        folds, each = (int(header[0]), int(header[1])) if len(header) > 1 else (1, int(header[0]))
        if dealt != dict.fromkeys(dealt, folds * each):
            raise Rejected(
                f"{listed} says {folds * each} pairs of each kind but has {dealt[True]} of one"
                f" person and {dealt[False]} of two"
            )


def _check_files(pairs: list[Pair], root: Path) -> None:
    absent = sorted(
        {f for pair in pairs for f in (pair.left, pair.right) if not reading.is_file(f)}
    )
    if absent:
        raise NotFound(
            f"{len(absent)} pictures are not under {root}: the first, {absent[0]},"
            f" {reading.explain_unreadable(absent[0])}"
        )
