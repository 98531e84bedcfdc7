"""Reading labelled portraits from folders and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from facelabel.actions import MAX_LABELS_BYTES, Portrait, image_files, portraits
from facelabel.errors import NotFound, Rejected


def touch(folder: Path, *names: str) -> None:
    """Make empty files, folders included."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_one_folder_per_person(tmp_path: Path) -> None:
    """Its name is the person's; what is no picture, or hidden, is passed over."""
    touch(tmp_path, "Zoë 李/a.JPG", "Ann/deep/b.heic", "Ann/notes.txt", "Ann/.c.jpg", "loose.jpg")
    found = list(portraits(tmp_path, "faceLabel"))
    ann, zoe = Portrait(str(tmp_path / "Ann/deep/b.heic"), "Ann"), tmp_path / "Zoë 李/a.JPG"
    assert found == [ann, Portrait(str(zoe), "Zoë 李")]


@pytest.mark.parametrize("header", ["", "path,label\n", "url-or-path,Name\n"])
def test_a_list_of_labels(tmp_path: Path, header: str) -> None:
    """Relative paths, URLs, quoted cells, empty lines, with the prefix or without."""
    text = '﻿a.jpg,faceLabel:Ann\n\n"b, c.jpg", Ben B \nhttps://x.example/y.jpg,Cy\n'
    (tmp_path / "labels.csv").write_text(text.replace("﻿", "﻿" + header), "utf-8")
    expected = [
        Portrait(str(tmp_path / "a.jpg"), "Ann"),
        Portrait(str(tmp_path / "b, c.jpg"), "Ben B"),
        Portrait("https://x.example/y.jpg", "Cy"),
    ]
    assert list(portraits(tmp_path, "faceLabel")) == expected
    assert list(portraits(tmp_path / "labels.csv", "faceLabel")) == expected


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg,", ",Ann", "a.jpg,Ann,x"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    """By its number."""
    (tmp_path / "labels.csv").write_text(f"b.jpg,Ben\n{line}\n")
    with pytest.raises(Rejected, match="line 2"):
        list(portraits(tmp_path, "faceLabel"))


def test_what_is_no_list_of_portraits(tmp_path: Path) -> None:
    """Says what was expected."""
    with pytest.raises(NotFound, match="neither a folder nor a labels"):
        portraits(tmp_path / "nothing", "faceLabel")
    with pytest.raises(Rejected, match="neither folders named after people"):
        portraits(tmp_path, "faceLabel")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Rejected, match="UTF-8"):
        list(portraits(tmp_path, "faceLabel"))
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate(MAX_LABELS_BYTES + 1)
    with pytest.raises(Rejected, match="larger than 64 MB"):
        list(portraits(tmp_path, "faceLabel"))


def test_files_named_outright_are_tried_whatever_they_are(tmp_path: Path) -> None:
    """Folders are searched for pictures."""
    touch(tmp_path, "x/b.png", "x/a.webp", "x/c.doc", "odd.bin")
    found = image_files([tmp_path / "odd.bin", tmp_path / "x", Path("missing.jpg")])
    assert list(found) == [
        tmp_path / "odd.bin", tmp_path / "x/a.webp", tmp_path / "x/b.png", Path("missing.jpg"),
    ]  # fmt: skip
