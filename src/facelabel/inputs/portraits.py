"""Labelled portraits as people have them: a folder for each person, or a list beside the files."""

from __future__ import annotations

import codecs
import csv
import io
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.core import names
from facelabel.errors import NotFound, Rejected
from facelabel.inputs import reading
from facelabel.inputs.lookup import Lookup
from facelabel.inputs.walking import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from facelabel.inputs.walking import Walk

LABELS_FILE = "labels.csv"
#: A labels.csv larger than this is no list of portraits.
MAX_LABELS_BYTES = 64 << 20
_COLUMNS = 2
#: What stands between the two, by what spreadsheets write; the first that parts most lines.
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
#: So many lines tell which.
_LINES_TOLD_BY = 100
#: What a spreadsheet's "Unicode text" begins with.
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: So much of a line is shown.
_SHOWN = 120
#: How many names are told of.
_SOME = 3


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture to learn from: path or URL, and whom it shows."""

    source: str
    person: str
    #: List and line that name it, if one does.
    where: str = field(default="", compare=False)

    @property
    def named(self) -> str:
        """How to tell a person which one is meant."""
        return f"{self.where}: {self.source}" if self.where else self.source


def read(path: Path, prefix: str, walk: Walk, *, spaces: bool = False) -> list[Portrait]:
    """Labelled pictures of a folder: one folder per person, or files and a ``labels.csv``.

    A line of labels.csv is ``url-or-path,label``, a semicolon or a tab may stand for the comma; the
    label may carry the tag prefix or not, and paths are relative to the file. What is left out is
    noted in ``walk``. Raises NotFound or Rejected saying what was expected.

    Args:
        path: the folder, or the list.
        prefix: of labels.
        walk: through the folder.
        spaces: whether ``_`` in the name of a person's folder is read as a space.

    """
    is_folder = reading.is_folder(path)
    if path.suffix.lower() == ".csv" and not is_folder:
        return _listed(path, prefix)
    if not is_folder:
        raise NotFound(reading.why_no_folder(path, f"neither a folder nor a {LABELS_FILE}"))
    listed = Lookup(path)(LABELS_FILE)
    if os.path.lexists(listed):
        found = _listed(listed, prefix)
        _note_unlisted(path, listed, found, walk)
        return found
    found = [Portrait(str(file), folder.name.replace("_", " ") if spaces else folder.name)
             for folder in walk.people(path) for file in walk.pictures([folder])]  # fmt: skip
    if not found and not walk.failed:
        raise Rejected(
            f"{path} has neither folders named after people with pictures in them"
            f" nor a {LABELS_FILE} with lines like john.jpg,John Doe"
        )
    return found


def explain_unreadable(portrait: Portrait) -> str:
    """Why a file that a list names could not be read, "" if it could; addresses are not tried."""
    if not portrait.where or reading.is_url(portrait.source):  # found, or to be fetched
        return ""
    return reading.explain_unreadable(Path(portrait.source))


def as_known(found: Iterable[Portrait], known: Collection[str]) -> list[Portrait]:
    """The same, with spaces for ``_`` in names of folders where somebody is known so, and only so.

    That is what was once asked for, and portraits that are added later are no reason to undo it.
    """
    return [
        replace(one, person=spaced)
        if not one.where and one.person not in known and (spaced := _spaced(one)) in known
        else one
        for one in found
    ]


def renamed(found: Iterable[Portrait], known: Collection[str]) -> dict[str, str]:
    """Whom folders call otherwise than they are known, by ``_`` for a space or the other way."""
    spellings = {name.replace("_", " "): name for name in known}
    return {
        spellings[_spaced(one)]: one.person
        for one in found
        if not one.where and one.person not in known and _spaced(one) in spellings
    }


def _spaced(portrait: Portrait) -> str:
    return portrait.person.replace("_", " ")


def underscored(found: Iterable[Portrait]) -> str:
    """That folders gave names with ``_`` in them, such as John_Doe; "" where none did."""
    people = sorted({p.person for p in found if not p.where and "_" in p.person.strip("_")})
    if not people:
        return ""
    some = ", ".join(people[:_SOME]) + (", …" if len(people) > _SOME else "")
    have = "name has '_' in it" if len(people) == 1 else "names have '_' in them"
    return f"{len(people)} {have} ({some}), which is kept: --spaces makes spaces of it"


def _note_unlisted(folder: Path, listed: Path, found: list[Portrait], walk: Walk) -> None:
    """Tell of pictures that lie beside the list and are not in it."""
    walk.used.add(listed)
    known = {_real(p.source) for p in found if not reading.is_url(p.source)}
    for picture in walk.pictures([folder]):
        if _real(picture) not in known:
            walk.leave(picture, Reason.NOT_LISTED)


def _real(path: str | Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # ValueError: a NUL out of the list; its reader will say it
        return str(path)


def _listed(path: Path, prefix: str) -> list[Portrait]:
    found = list(_lines(path, prefix))
    if not found:
        raise Rejected(f"{path} lists nobody: expected lines like john.jpg,John Doe")
    return found


def _lines(path: Path, prefix: str) -> Iterator[Portrait]:
    lookup, first = Lookup(path.parent), True
    for number, delimiter, row in _rows(path):
        if not (first and _is_header(row, prefix)):
            where = f"{path} line {number}"
            if len(row) != _COLUMNS or not all(row):
                raise Rejected(f"{where}: {_unparted(row, delimiter)}")
            source, label = row
            yield _portrait(where, source, label, prefix, lookup)
        first = False


def _unparted(row: list[str], delimiter: str) -> str:
    others = set(_DELIMITERS) - {delimiter}
    mixed = len(row) == 1 and not others.isdisjoint(row[0])
    hint = f"; a {_DELIMITERS[delimiter]} has to part the two" if mixed else ""
    expected = f"url-or-path{delimiter}label" if delimiter.isprintable() else "path and label"
    found = delimiter.join(row)
    shown = repr(found) if len(found) <= _SHOWN else f"{found[:_SHOWN]!r}…"
    return f"expected {expected} but found {shown}{hint}"


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The lines that say something: number, what has to part the cells, the cells."""
    text = _text(path)
    delimiter = _delimiter(path, text)
    for number, cells in _parted(path, text, delimiter):
        yield number, delimiter, cells


def _text(path: Path) -> str:
    try:
        data = reading.read(path, MAX_LABELS_BYTES)
        return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"{path} {reading.explain(error)}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Rejected(
            f"{path} line {line} is not a CSV file in UTF-8: save it as such, which a spreadsheet"
            f" may call 'CSV UTF-8' ({error})"
        ) from error
    except OSError as error:
        raise Rejected(f"{path} {reading.explain(error)}") from error


def _delimiter(path: Path, text: str) -> str:
    """What parts path and label in most lines."""

    def parts(delimiter: str) -> int:
        """How many of the first lines it parts into two; 0 where they cannot be read."""
        with suppress(Rejected):  # said where the lines are read
            rows = islice(_parted(path, text, delimiter), _LINES_TOLD_BY)
            return sum(len(cells) == _COLUMNS for _, cells in rows)
        return 0

    return max(_DELIMITERS, key=parts)


def _parted(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Numbers and cells of the lines, without the empty columns that spreadsheets add."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield rows.line_num, cells
    except csv.Error as error:
        raise Rejected(f"{path} line {rows.line_num} is no line of a CSV file: {error}") from error


def _portrait(where: str, source: str, label: str, prefix: str, lookup: Lookup) -> Portrait:
    if len(label) <= names.MAX_TAG_LENGTH and (meant := names.misspelt_label(label, prefix)):
        name = meant.removeprefix(f"{prefix}:")
        raise Rejected(f"{where}: {label!r} is no label: write {meant!r}, or {name!r} alone")
    if not reading.is_url(source):
        try:
            source = str(lookup(source))
        except Rejected as error:
            raise Rejected(f"{where}: {error}") from error
    return Portrait(source, label.removeprefix(f"{prefix}:"), where)


def _is_header(row: list[str], prefix: str) -> bool:
    return len(row) > 1 and row[1].casefold() in {"label", "name", "person", prefix.casefold()}
