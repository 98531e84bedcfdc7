"""Reading labelled portraits from folders and lists."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from facelabel.errors import NotFound, Rejected
from facelabel.inputs.portraits import (
    MAX_LABELS_BYTES,
    Portrait,
    as_known,
    explain_unreadable,
    read,
    renamed,
    underscored,
)
from facelabel.inputs.walking import LeftOut, Reason, Walk

JPEG = b"\xff\xd8\xff\xe0"


def put(folder: Path, *names: str) -> None:
    """Make files that begin as pictures do, folders included."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(JPEG)


def portraits(path: Path) -> list[Portrait]:
    """What is found there, whatever is left out."""
    return read(path, "faceLabel", Walk())


def test_one_folder_per_person(tmp_path: Path) -> None:
    """Its name is the person's; what is no picture, hidden, or nobody's, is passed over."""
    put(tmp_path, "Zoë 李/a.JPG", "Ann/deep/b.heic", "Ann/.c.jpg", "loose.jpg", ".d/e.jpg",
        "#recycle/f.jpg")  # fmt: skip
    (tmp_path / "Ann/notes.txt").write_text("Ann")
    walk = Walk()
    ann, zoe = Portrait(str(tmp_path / "Ann/deep/b.heic"), "Ann"), tmp_path / "Zoë 李/a.JPG"
    assert read(tmp_path, "faceLabel", walk) == [ann, Portrait(str(zoe), "Zoë 李")]
    told = {(str(left.path.relative_to(tmp_path)), left.reason) for left in walk.left_out}
    assert told == {
        ("Ann/.c.jpg", Reason.HIDDEN), (".d", Reason.HIDDEN), ("#recycle", Reason.SYSTEM),
        ("loose.jpg", Reason.NO_PERSON), ("Ann/notes.txt", Reason.NO_PICTURE),
    }  # fmt: skip
    assert not walk.failed


@pytest.mark.parametrize("header", ["", "path,label\n", "url-or-path,Name\n"])
def test_a_list_of_labels(tmp_path: Path, header: str) -> None:
    """Relative paths, URLs, quoted cells, empty lines, with the prefix or without."""
    text = f'\ufeff{header}a.jpg,faceLabel:Ann\n\n"b, c.jpg", Ben B \nHTTPS://x.example/y.jpg,Cy\n'
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    expected = [
        Portrait(str(tmp_path / "a.jpg"), "Ann"),
        Portrait(str(tmp_path / "b, c.jpg"), "Ben B"),
        Portrait("HTTPS://x.example/y.jpg", "Cy"),
    ]
    assert portraits(tmp_path) == expected
    assert portraits(tmp_path / "labels.csv") == expected


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("header", ["", "file{}name\n", "Datei{}facelabel{}Notiz\n"])
def test_a_list_as_other_spreadsheets_write_it(tmp_path: Path, delimiter: str, header: str) -> None:
    """Where the comma is the decimal point, and as text; commas in names of files stay."""
    rows = [("a.jpg", "faceLabel:Ann"), ("b, c.jpg", "Ben B"), ("deep\\d.jpg", '"Cy ""C"" Q"')]
    put(tmp_path, "deep/d.jpg")
    lines = "\n".join(map(delimiter.join, rows))
    (tmp_path / "labels.csv").write_text(header.format(delimiter, delimiter) + lines)
    people = [("a.jpg", "Ann"), ("b, c.jpg", "Ben B"), ("deep/d.jpg", 'Cy "C" Q')]
    assert portraits(tmp_path) == [Portrait(str(tmp_path / file), who) for file, who in people]


def test_a_list_in_utf_16_is_read(tmp_path: Path) -> None:
    """A spreadsheet's "Unicode text"."""
    (tmp_path / "labels.csv").write_text("file\tname\na.jpg\tZoë 李\n", "utf-16")
    assert portraits(tmp_path) == [Portrait(str(tmp_path / "a.jpg"), "Zoë 李")]


@pytest.mark.parametrize(
    "label",
    ["facelabel:Dad", "faceLabel=Dad", "FaceLabel: Dad", "face-label:Dad", "faceLable:Dad"],
)
def test_a_label_in_another_spelling_is_no_name(tmp_path: Path, label: str) -> None:
    """It is said how it is spelt."""
    (tmp_path / "labels.csv").write_text(f"a.jpg,Ann\nb.jpg,{label}\n")
    with pytest.raises(Rejected, match=r"line 2: .* is no label: write 'faceLabel:Dad', or 'Dad'"):
        portraits(tmp_path)


def test_underscores_of_folders_are_told_and_may_be_spaces(tmp_path: Path) -> None:
    """What a list says is meant as it stands."""
    put(tmp_path, "Ann_A_Ash/a.jpg", "Ben B/b.jpg", "Cy_Cole/c.jpg")
    found = portraits(tmp_path)
    assert [portrait.person for portrait in found] == ["Ann_A_Ash", "Ben B", "Cy_Cole"]
    assert underscored(found).startswith("2 names have '_' in them (Ann_A_Ash, Cy_Cole)")
    assert underscored(found[1:2]) == ""
    assert underscored(found[2:]).startswith("1 name has '_' in it (Cy_Cole)")
    spaced = read(tmp_path, "faceLabel", Walk(), spaces=True)
    assert [portrait.person for portrait in spaced] == ["Ann A Ash", "Ben B", "Cy Cole"]
    (tmp_path / "labels.csv").write_text("a.jpg,Ann_A\n")
    assert underscored(read(tmp_path, "faceLabel", Walk(), spaces=True)) == ""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_add_is_no_fault(tmp_path: Path, end: str) -> None:
    """Empty columns and rows, a header behind them, the line ends of any system."""
    lines = [",,,", "path,label,,", "ann.jpg,Ann,,", ",,", "ben.jpg,Ben, ,", ""]
    (tmp_path / "Labels.CSV").write_bytes(end.join(lines).encode())
    found = portraits(tmp_path)
    assert [(Path(p.source).name, p.person) for p in found] == [("ann.jpg", "Ann"),
                                                                ("ben.jpg", "Ben")]  # fmt: skip
    assert found[1].named == f"{tmp_path}/Labels.CSV line 5: {tmp_path}/ben.jpg"


def test_what_a_list_names_is_looked_for(tmp_path: Path) -> None:
    """Before anything is learnt; a NUL in a name is no fault of the program."""
    put(tmp_path, "a.jpg")
    lines = "a.jpg,Ann\nb\0.jpg,Bo\nmissing.jpg,Cy\nhttps://x.example/y.jpg,Di\n"
    (tmp_path / "labels.csv").write_text(lines)
    said = {portrait.person: explain_unreadable(portrait) for portrait in portraits(tmp_path)}
    assert said == {
        "Ann": "", "Bo": "cannot be read: embedded null byte",
        "Cy": "cannot be read: No such file or directory", "Di": "",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n\n", "path,label\n", ",,\n"])
def test_a_list_of_nobody_is_refused(tmp_path: Path, text: str) -> None:
    """As a folder of nobody is."""
    (tmp_path / "labels.csv").write_text(text)
    for path in (tmp_path, tmp_path / "labels.csv"):
        with pytest.raises(Rejected, match="lists nobody"):
            portraits(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.jpg", "found 'a.jpg'$"),
        ("a.jpg,", "found 'a.jpg'$"),
        (",Ann", "found ',Ann'"),
        ("a.jpg,Ann,x", "found 'a.jpg,Ann,x'"),
        ("a.jpg;Ann", "found 'a.jpg;Ann'; a comma has to part the two"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    """By its number and its file, with what stands there."""
    (tmp_path / "labels.csv").write_text(f"b.jpg,Ben\n{line}\n")
    with pytest.raises(Rejected, match=rf"labels\.csv line 2: expected .*{says}"):
        portraits(tmp_path)


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_names_are_found_as_people_read_them(tmp_path: Path, written: str, on_disk: str) -> None:
    """A list made on another system than the files, folders on the way included."""
    name = "Zoë/Renée 1.jpg"
    path = unicodedata.normalize(on_disk, name)  # type: ignore[arg-type] # one of the two forms
    put(tmp_path, path)
    listed = unicodedata.normalize(written, name)  # type: ignore[arg-type] # same
    (tmp_path / "labels.csv").write_text(f"{listed},Renée\n", "utf-8")
    assert [portrait.source for portrait in portraits(tmp_path)] == [str(tmp_path / path)]


def test_people_stay_as_they_are_known(tmp_path: Path) -> None:
    """Who read ``_`` as a space once need not say so again; renaming somebody is told."""
    put(tmp_path, "John_Doe/a.jpg", "Mary_Roe/b.jpg", "Ann/c.jpg")
    found = portraits(tmp_path)
    known = {"John Doe", "Mary_Roe", "Mary Roe"}
    assert [one.person for one in as_known(found, known)] == ["Ann", "John Doe", "Mary_Roe"]
    assert renamed(found, {"John Doe", "Ann"}) == {"John Doe": "John_Doe"}
    spaced = read(tmp_path, "faceLabel", Walk(), spaces=True)
    assert renamed(spaced, {"John_Doe"}) == {"John_Doe": "John Doe"}
    assert as_known(spaced, {"John_Doe"}) == spaced


def test_of_a_line_without_end_the_beginning_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a.jpg" + ",John" * 100_000)
    with pytest.raises(Rejected, match=r"found 'a\.jpg,John,.*'…") as refusal:
        portraits(tmp_path)
    assert len(str(refusal.value)) < 500 + len(str(tmp_path))


def test_pictures_beside_the_list_are_told(tmp_path: Path) -> None:
    """Somebody may have forgotten them; the list itself and what it names are no news."""
    put(tmp_path, "a.jpg", "b.jpg", "deep/c.jpg")
    (tmp_path / "labels.csv").write_text("a.jpg,Ann\nDEEP\\C.jpg,Cy\n")
    walk = Walk()
    assert len(read(tmp_path, "faceLabel", walk)) == 2
    assert walk.left_out == [LeftOut(tmp_path / "b.jpg", Reason.NOT_LISTED)]


def test_what_is_no_list_of_portraits(tmp_path: Path) -> None:
    """Says what was expected."""
    with pytest.raises(NotFound, match="neither a folder nor a labels"):
        portraits(tmp_path / "nothing")
    with pytest.raises(NotFound, match=r"x\.csv cannot be read: No such file"):
        portraits(tmp_path / "x.csv")
    with pytest.raises(Rejected, match="neither folders named after people"):
        portraits(tmp_path)
    for no_text, line in ((b"\xff\xfe\x00", 1), (b"a.jpg,Ann\nb.jpg,J\xfcrgen\n", 2)):
        (tmp_path / "labels.csv").write_bytes(no_text)
        with pytest.raises(Rejected, match=rf"line {line} is not .* UTF-8: save it as such"):
            portraits(tmp_path)
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate(MAX_LABELS_BYTES + 1)
    with pytest.raises(Rejected, match="larger than 64 MB"):
        portraits(tmp_path)
    if sys.platform != "win32":
        (tmp_path / "labels.csv").unlink()
        os.mkfifo(tmp_path / "labels.csv")
        with pytest.raises(Rejected, match="it is a pipe"):
            portraits(tmp_path)


def test_a_name_that_two_files_answer_to_is_not_guessed(tmp_path: Path) -> None:
    """The line is named."""
    put(tmp_path, "IMG.jpg", "img.jpg")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("upper and lower case are the same file here")
    (tmp_path / "labels.csv").write_text("Img.JPG,Ann\n")
    with pytest.raises(Rejected, match=r"line 1: 'Img.JPG' may mean 'IMG.jpg' and 'img.jpg'"):
        portraits(tmp_path)
