"""Reading lists of pairs: LFW's ``pairs.txt`` and its folders, and plain lists of that form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.actions import IMAGE_SUFFIXES
from facelabel.errors import NotFound, Rejected

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
    header = rows.pop(0)[1] if rows and all(field.isdigit() for field in rows[0][1]) else []
    pairs = []
    dealt = {True: 0, False: 0}
    for number, fields in rows:
        left, right, same = _files(root, fields, f"{listed} line {number}")
        pairs.append(Pair(left, right, same, _fold(header, dealt[same])))
        dealt[same] += 1
    _check(listed, header, dealt)
    _check_files(pairs, root)
    return tuple(pairs)


def _lines(listed: Path) -> list[str]:
    try:
        if listed.stat().st_size > MAX_LIST_BYTES:
            raise Rejected(f"{listed} is larger than {MAX_LIST_BYTES >> 20} MB")
        lines = listed.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise NotFound(f"{listed} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Rejected(f"{listed} is no text in UTF-8: {error}") from error
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


def _files(root: Path, fields: list[str], where: str) -> tuple[Path, Path, bool]:
    if len(fields) == _GENUINE:
        name, first, second = fields
        return _file(root, name, first, where), _file(root, name, second, where), True
    if len(fields) == _IMPOSTOR:
        left, first, right, second = fields
        return _file(root, left, first, where), _file(root, right, second, where), left == right
    raise Rejected(f"{where}: expected 3 or 4 fields, as in pairs.txt, but found {len(fields)}")


def _file(root: Path, name: str, number: str, where: str) -> Path:
    if not number.isdigit() or len(number) > 9:  # noqa: PLR2004 - more is no number of a picture
        raise Rejected(f"{where}: {number!r} is not the number of a picture")
    if not name or name in {".", ".."} or "/" in name or "\\" in name:
        raise Rejected(f"{where}: {name!r} is not the name of a folder")
    stem = root / name / f"{name}_{int(number):04d}"
    candidates = (stem.with_name(stem.name + suffix) for suffix in sorted(IMAGE_SUFFIXES))
    jpeg = stem.with_name(f"{stem.name}.jpg")
    return jpeg if jpeg.exists() else next((f for f in candidates if f.exists()), jpeg)


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
    absent = sorted({f for pair in pairs for f in (pair.left, pair.right) if not f.is_file()})
    if absent:
        raise NotFound(f"{len(absent)} pictures are not under {root}, the first is {absent[0]}")
