"""Tables in any width: columns are left out, ids and names stay whole."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cli import tables, terminal, wrapping
from facelabel.cli.framework import Command
from facelabel.cli.tables import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from click.testing import Result

COLUMNS = (
    Column("public_id"),
    Column("folder", weight=-1),
    Column("tags", Kind.ITEMS, weight=1),
    Column("faces", Kind.NUMBER),
)
ROWS = (
    ("assets/party", "assets", ("John Doe", "Mary Roe", "summer"), "2"),
    ("training/Family1-Dad1-baa8501d66", "training", ("faceLabel:Family Dad",), ""),
    ("assets/日本", "assets", (), "12"),
)


def printed(
    columns: Sequence[Column],
    rows: Iterable[Sequence[tables.Cell]],
    width: int | None,
    *arguments: str,
) -> Result:
    """What a command prints that shows that table; without a width into a file."""

    @click.command(cls=Command)
    @click.pass_obj
    def command(_settings: object) -> None:
        tables.show(columns, rows)

    return CliRunner(env={"COLUMNS": str(width or "")}).invoke(command, arguments)


def lines(width: int | None) -> list[str]:
    """The table above."""
    return printed(COLUMNS, ROWS, width).stdout.splitlines()


def test_where_there_is_room() -> None:
    assert lines(80) == [
        "public_id                         folder    tags                        faces",
        "assets/party                      assets    John Doe, Mary Roe, summer      2",
        "training/Family1-Dad1-baa8501d66  training  faceLabel:Family Dad",
        "assets/日本                       assets                                   12",
    ]
    assert lines(200) == lines(80)


def test_where_it_is_narrow_a_long_id_has_its_own_line() -> None:
    assert lines(60) == [
        "public_id        folder    tags                        faces",
        "assets/party     assets    John Doe, Mary Roe, summer      2",
        "training/Family1-Dad1-baa8501d66",
        "                 training  faceLabel:Family Dad",
        "assets/日本      assets                                   12",
    ]


def test_where_it_is_narrower_columns_are_left_out_and_items_counted() -> None:
    done = printed(COLUMNS, ROWS, 40)
    assert done.stdout.splitlines() == [
        "public_id     tags                 faces",
        "assets/party  John Doe, +2             2",
        "training/Family1-Dad1-baa8501d66",
        "              faceLabel:Family Dad",
        "assets/日本                           12",
    ]
    assert done.stderr == "not shown at this width: folder\n"


def test_where_nobody_looks_cells_are_parted_by_tabs() -> None:
    assert lines(None) == [
        "public_id\tfolder\ttags\tfaces",
        "assets/party\tassets\tJohn Doe, Mary Roe, summer\t2",
        "training/Family1-Dad1-baa8501d66\ttraining\tfaceLabel:Family Dad",
        "assets/日本\tassets\t\t12",
    ]


def test_a_shell_gets_the_ids() -> None:
    ids = [row[0] for row in ROWS]
    assert printed(COLUMNS, ROWS, 40, "--quiet").stdout.splitlines() == ids
    assert '"result": null' in printed(COLUMNS, ROWS, 40, "--json").stdout


def test_a_sentence_goes_on_in_the_next_line() -> None:
    columns = (Column("job"), Column("reason", Kind.TEXT, weight=1))
    rows = [("1", "the face is too blurred to be learnt"), ("2", "no face")]
    assert printed(columns, rows, 30).stdout.splitlines() == [
        "job  reason",
        "1    the face is too blurred",
        "     to be learnt",
        "2    no face",
    ]


#: Names as people have them, and as nobody should.
LETTERS = "ab ñ\u0301\u0308éжשרה日本\u200d👩\u202e\x1b\n\t"


@given(
    st.lists(
        st.tuples(
            st.text("abc/-", min_size=1, max_size=50),
            st.text(LETTERS, max_size=20),
            st.lists(st.text(LETTERS, min_size=1, max_size=20), max_size=4).map(tuple),
            st.text("0123456789", max_size=3),
        ),
        max_size=6,
    ),
    st.sampled_from([1, 10, 40, 60, 80, 200]),
)
def test_whatever_is_in_it(rows: list[tuple[str, str, tuple[str, ...], str]], width: int) -> None:
    """Ids are whole, nothing that a terminal obeys is printed, no line is longer than need be."""
    done = printed(COLUMNS, rows, width)
    assert done.exit_code == 0
    shown = done.stdout.split("\n")[:-1]
    for text in shown:
        assert all(map(str.isprintable, text.replace("\u200d", "")))
        assert not text.endswith(" ")
    starts = [text.split(" ")[0] for text in shown[1:] if not text.startswith(" ")]
    assert starts == [row[0] for row in rows]
    widest = max([len("public_id"), *(len(row[0]) for row in rows)])
    assert all(wrapping.text_width(text) <= max(width, widest) for text in shown)


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("Zoë", 3), ("Zoe\u0308", 3), ("日本", 4), ("👩\u200d🚀", 4), ("שרה", 3), ("", 0)],
)
def test_how_wide_a_text_is(text: str, width: int) -> None:
    assert wrapping.text_width(text) == width


def test_a_long_table_is_printed_as_it_comes() -> None:
    """No more of it than a page is held."""
    held = most = 0

    class Row(tuple[str, ...]):
        __slots__ = ()

    def rows() -> Iterator[Row]:
        nonlocal held, most
        for number in range(10 * tables.PAGE):
            held += 1
            row = Row((f"assets/{number}", "x"))
            most = max(most, held)
            yield row

    class Counted(Row):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def counted() -> Iterator[Row]:
        return map(Counted, rows())

    done = printed((Column("public_id"), Column("x")), counted(), 40)
    assert len(done.stdout.splitlines()) == 1 + 10 * tables.PAGE
    assert most < 3 * tables.PAGE


def test_cells_have_colours_at_a_terminal_alone() -> None:
    rows = itertools.repeat((terminal.Styled("ok", "green"), "x"), 1)
    assert printed((Column("a"), Column("b")), rows, 40).stdout == "a   b\nok  x\n"
