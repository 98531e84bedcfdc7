"""Tables on a terminal: printed row by row, in whatever width there is.

Widths are those of the first page, and grow where there is room: a table of any length is printed
in the memory of one page.
Where it is too narrow, columns are left out, the least important first: no id and no name is ever
broken or cut. An id that is too long for its column has a line to itself, so it can be copied.
Where nobody looks, cells are parted by tabs.
"""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING

from facelabel.cli import terminal
from facelabel.cli.wrapping import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: So many rows are held to see how wide their cells are, and printed at once.
PAGE = 500
#: Between two columns.
GAP = 2
#: Good in a text, and not in a cell.
_ENDS = str.maketrans({"\n": "\\n", "\t": "\\t"})
#: Items and sentences are not squeezed into less.
_LEAST = 16


class Kind(Enum):
    """What the cells of a column are."""

    PLAIN = "plain"
    NUMBER = "number"
    #: Tuples of texts: of those that do not fit it is said how many they are.
    ITEMS = "items"
    #: A sentence, which goes on in the next line.
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; the first of a table has what may be long, and is copied: ids and names."""

    title: str
    kind: Kind = Kind.PLAIN
    #: Where it is too narrow, the column with the least goes first, and of two the right one.
    weight: int = 0


Cell = str | tuple[str, ...]


def show(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, key: int | None = 0) -> None:
    """Print a table for people; for programs nothing.

    For a shell it prints the cells of one column, ``key``, by which rows are known; None: nothing.
    """
    if terminal.is_for_programs() or sys.stdout is None:
        return
    if not terminal.is_for_people():
        for row in rows if key is not None else ():
            terminal.give(_joined(row[key or 0]))
        return
    width = terminal.width(sys.stdout)
    source = iter(rows)
    if width is None:
        _write(chain([_tabbed([column.title for column in columns])], map(_tabbed, source)))
        return
    page = list(islice(source, PAGE))
    layout = _laid_out(columns, page, width)
    rest = chain.from_iterable(map(layout.lines, chain(page, source)))
    _write(chain([layout.head()], rest))
    if layout.dropped:
        terminal.remark(f"not shown at this width: {', '.join(layout.dropped)}")


def _laid_out(columns: Sequence[Column], page: Sequence[Sequence[Cell]], width: int) -> _Layout:
    """Which columns are shown, and how wide each is."""
    full = [
        max(text_width(column.title), *(text_width(_shown(row[number])) for row in page), 0)
        for number, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    if sum(full) + GAP * (len(columns) - 1) <= width:
        return _Layout(columns, kept, full, width)
    widths = [
        min(wide, _LEAST) if columns[number].kind in {Kind.ITEMS, Kind.TEXT} else wide
        for number, wide in enumerate(full)
    ]
    widths[0] = _first_width(columns[0], page, width // 2)

    layout = _Layout(columns, kept, widths, width)
    while layout.room < 0 and len(kept) > 1:
        kept.remove(min(kept[1:], key=lambda number: (columns[number].weight, -number)))
    is_enough = full[0] - widths[0] <= layout.room
    for number in kept if is_enough else [*kept[1:], 0]:
        widths[number] += min(full[number] - widths[number], max(layout.room, 0))
    return layout


def _first_width(column: Column, page: Sequence[Sequence[Cell]], most: int) -> int:
    """So wide that all fit that are not too wide: those have a line to themselves."""
    widths = [text_width(column.title), *(text_width(_shown(row[0])) for row in page)]
    return max((width for width in widths if width <= most), default=most)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A table in a width."""

    columns: Sequence[Column]
    kept: list[int]
    widths: list[int]
    width: int

    @property
    def room(self) -> int:
        """Columns of the terminal that are not used."""
        return self.width - sum(self.widths[n] for n in self.kept) - GAP * (len(self.kept) - 1)

    @property
    def dropped(self) -> list[str]:
        """Titles of columns that are not shown."""
        kept = {*self.kept}
        return [column.title for n, column in enumerate(self.columns) if n not in kept]

    def head(self) -> str:
        """The line of titles."""
        titles = [terminal.bold(self.columns[number].title) for number in self.kept]
        return self._line(titles)

    def lines(self, row: Sequence[Cell]) -> Iterator[str]:
        """One row: a line, as a rule."""
        cells = [self._cell(number, row[number]) for number in self.kept]
        self._grow(cells)
        if len(cells) > 1 and text_width(cells[0]) > self.widths[0]:
            yield _coloured(cells[0])
            cells[0] = ""
            if not any(cells):
                return
        self._show_one(row, cells)
        last = self.kept[-1]
        if self.columns[last].kind is Kind.TEXT and text_width(cells[-1]) > self.widths[last]:
            first, *more = _wrapped(cells[-1], self.widths[last])
            yield self._line([*cells[:-1], first])
            indent = " " * (sum(self.widths[n] + GAP for n in self.kept[:-1]))
            yield from (indent + _coloured(line) for line in more)
            return
        yield self._line(cells)

    def _show_one(self, row: Sequence[Cell], cells: list[str]) -> None:
        """Of items that are all too long for their column, show the first if there is room."""
        for place, number in enumerate(self.kept):
            items = row[number]
            if isinstance(items, tuple) and items and cells[place] == f"+{len(items)}":
                more = f", +{len(items) - 1}" if len(items) > 1 else ""
                whole = [*cells]
                whole[place] = f"{_safe(items[0])}{more}"
                if text_width(self._line(whole)) <= self.width:
                    cells[:] = whole

    def _grow(self, cells: Sequence[str]) -> None:
        """Make room for what is wider than all on the first page."""
        for number, cell in zip(self.kept, cells, strict=True):
            more = text_width(cell) - self.widths[number]
            if 0 < more <= self.room:
                self.widths[number] += more

    def _cell(self, number: int, cell: Cell) -> str:
        if isinstance(cell, tuple):
            return _fitted([_safe(item) for item in cell], self.widths[number])
        return _shown(cell)

    def _line(self, cells: Sequence[str]) -> str:
        parts = []
        for number, cell in zip(self.kept, cells, strict=True):
            padding = " " * max(self.widths[number] - text_width(cell), 0)
            is_number = self.columns[number].kind is Kind.NUMBER
            parts.append(padding + _coloured(cell) if is_number else _coloured(cell) + padding)
        return (" " * GAP).join(parts).rstrip(" ")


def _fitted(items: Sequence[str], width: int) -> str:
    """As many whole items as fit, and how many more there are."""
    text = ", ".join(items)
    shown = len(items)
    while shown and text_width(text) > width:
        shown -= 1
        text = ", ".join([*items[:shown], f"+{len(items) - shown}"])
    return text


def _wrapped(text: str, width: int) -> list[str]:
    """A sentence in lines, ended between words."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [_like(text, line) for line in lines]


def _like(text: str, other: str) -> str:
    style = getattr(text, "style", "")
    return terminal.Styled(other, style) if style else other


def _safe(text: str) -> str:
    """Without anything that a terminal obeys, the end of a line among it."""
    if text.isprintable():
        return text
    return _like(text, terminal.visible(text).translate(_ENDS))


def _shown(cell: Cell) -> str:
    return ", ".join(map(_safe, cell)) if isinstance(cell, tuple) else _safe(cell)


def _joined(cell: Cell) -> str:
    return ", ".join(cell) if isinstance(cell, tuple) else cell


def _coloured(cell: str) -> str:
    style = getattr(cell, "style", "")
    return terminal.styled(cell, style) if style and terminal.has_colours(sys.stdout) else cell


def _tabbed(row: Sequence[Cell]) -> str:
    return "\t".join(map(_shown, row)).rstrip("\t")


def _write(lines: Iterable[str]) -> None:
    """Print many lines, a page at a time."""
    source = iter(lines)
    while page := list(islice(source, PAGE)):
        sys.stdout.write("\n".join([*page, ""]))
    sys.stdout.flush()
