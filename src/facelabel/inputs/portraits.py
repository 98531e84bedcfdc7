"""Labelled portraits as people have them: a folder for each person, or a list beside the files."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.errors import NotFound, Rejected
from facelabel.inputs import reading
from facelabel.inputs.lookup import Lookup
from facelabel.inputs.walking import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.inputs.walking import Walk

LABELS_FILE = "labels.csv"
#: A labels.csv larger than this is no list of portraits.
MAX_LABELS_BYTES = 64 << 20
_COLUMNS = 2


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


def read(path: Path, prefix: str, walk: Walk) -> list[Portrait]:
    """Labelled pictures of a folder: one folder per person, or files and a ``labels.csv``.

    A line of labels.csv is ``url-or-path,label``; the label may carry the tag prefix or not, and
    paths are relative to the file. What is left out is noted in ``walk``. Raises NotFound or
    Rejected saying what was expected.
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
    found = [Portrait(str(file), folder.name)
             for folder in walk.people(path) for file in walk.pictures([folder])]  # fmt: skip
    if not found and not walk.failed:
        raise Rejected(
            f"{path} has neither folders named after people with pictures in them"
            f" nor a {LABELS_FILE} with lines like photo.jpg,John Doe"
        )
    return found


def explain_unreadable(portrait: Portrait) -> str:
    """Why a file that a list names could not be read, "" if it could; addresses are not tried."""
    if not portrait.where or reading.is_url(portrait.source):  # found, or to be fetched
        return ""
    return reading.explain_unreadable(Path(portrait.source))


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
        raise Rejected(f"{path} lists nobody: expected lines like photo.jpg,John Doe")
    return found


def _lines(path: Path, prefix: str) -> Iterator[Portrait]:
    lookup, first = Lookup(path.parent), True
    for number, row in _rows(path):
        if not (first and _is_header(row)):
            yield _portrait(f"{path} line {number}", row, prefix, lookup)
        first = False


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that say something, without the empty columns that spreadsheets add."""
    try:
        text = reading.read(path, MAX_LABELS_BYTES).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"{path} {reading.explain(error)}") from error
    except UnicodeDecodeError as error:
        raise Rejected(f"{path} is not a CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise Rejected(f"{path} {reading.explain(error)}") from error
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield rows.line_num, cells
    except csv.Error as error:
        raise Rejected(f"{path} line {rows.line_num} is no line of a CSV file: {error}") from error


def _portrait(where: str, row: list[str], prefix: str, lookup: Lookup) -> Portrait:
    if len(row) != _COLUMNS or not all(row):
        hint = "; a comma has to part the two" if len(row) == 1 and ";" in row[0] else ""
        raise Rejected(f"{where}: expected url-or-path,label but found {','.join(row)!r}{hint}")
    source, label = row
    if not reading.is_url(source):
        try:
            source = str(lookup(source))
        except Rejected as error:
            raise Rejected(f"{where}: {error}") from error
    return Portrait(source, label.removeprefix(f"{prefix}:"), where)


def _is_header(row: list[str]) -> bool:
    return len(row) > 1 and row[1].strip().lower() in {"label", "name", "person"}
