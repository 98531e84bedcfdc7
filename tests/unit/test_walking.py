"""Which files of a folder are taken, and what is said of the others."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from facelabel.cli import report
from facelabel.errors import NotFound, Rejected
from facelabel.evaluation import labelled
from facelabel.inputs import portraits, reading
from facelabel.inputs.walking import LeftOut, Reason, Walk

#: The first bytes of every format that is read.
HEADS = {
    "x.JPG": b"\xff\xd8\xff\xe0",
    "x.jfif": b"\xff\xd8\xff\xdb",
    "x.jpg_large": b"\xff\xd8\xff\xe1",
    "x.png": b"\x89PNG\r\n\x1a\n",
    "x.bmp": b"BM\x36\x00\x0c\x00\0\0\0\0",
    "x.gif": b"GIF89a",
    "x.tif": b"II*\0",
    "x.webp": b"RIFF\x10\0\0\0WEBP",
    "x.HIF": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "x.avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    "no suffix": b"\xff\xd8\xff\xee",
}


def put(folder: Path, *names: str) -> None:
    """Make files that begin as a JPEG does, folders included."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(HEADS["x.JPG"])


def walked(folder: Path) -> tuple[list[str], Walk]:
    """The names found below a folder, and the walk."""
    walk = Walk()
    return [str(path.relative_to(folder)) for path in walk.pictures([folder])], walk


def reasons(walk: Walk) -> dict[str, Reason]:
    return {left.path.name: left.reason for left in walk.left_out}


def test_pictures_are_known_by_content(tmp_path: Path) -> None:
    """Not by name: neither is one missed nor is a text taken for one."""
    for name, head in HEADS.items():
        (tmp_path / name).write_bytes(head + bytes(64))
    for name in ("notes.jpg", "a.mov", "b.mov", "c.TXT"):
        (tmp_path / name).write_bytes(b"\0\0\0\x14ftypqt  " if "mov" in name else b"no picture")
    (tmp_path / "empty.jpg").touch()
    found, walk = walked(tmp_path)
    assert found == sorted(HEADS)
    assert report.left_out_line(walk.left_out) in {
        "5 left out: 4 not a picture (2 .mov, .txt, .jpg), 1 empty",
        "5 left out: 4 not a picture (2 .mov, .jpg, .txt), 1 empty",
    }
    assert not walk.failed


def test_raws_beside_pictures_are_counted(tmp_path: Path) -> None:
    """Each camera writes both: a line for all of them, not one each."""
    dng_version = struct.pack("<HHI4s", 50706, 1, 4, b"\1\4\0\0")
    (tmp_path / "a.DNG").write_bytes(b"II*\0\x08\0\0\0" + b"\1\0" + dng_version + bytes(4))
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201")
    put(tmp_path, "a.jpg")
    found, walk = walked(tmp_path)
    assert found == ["a.jpg"]
    assert report.left_out_line(walk.left_out) == (
        "2 left out: 2 camera raw, which is not read (.dng, .raf)"
    )


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN",
        "System Volume Information", "lost+found", "__MACOSX", "found.000", "LOST.DIR",
        "Old Previews.lrdata", "Photos.photoslibrary", "Network Trash Folder", ".Trash-1000",
        ".thumbnails", ".stversions", ".git",
    ],
)  # fmt: skip
def test_folders_of_systems_hold_nobodys_pictures(tmp_path: Path, folder: str) -> None:
    """At any depth; named outright they are looked into, and folders of like names stay."""
    put(tmp_path, "a.jpg", f"sub/{folder}/deep/b.jpg", f"{folder} 2/c.jpg")
    found, walk = walked(tmp_path)
    hidden = folder.startswith(".")
    assert found == (["a.jpg"] if hidden else sorted(["a.jpg", f"{folder} 2/c.jpg"]))
    assert reasons(walk)[folder] is (Reason.HIDDEN if hidden else Reason.SYSTEM)
    assert walked(tmp_path / "sub" / folder)[0] == ["deep/b.jpg"]


def test_files_of_systems_are_no_pictures(tmp_path: Path) -> None:
    """Whatever their content."""
    put(tmp_path, "Thumbs.db", "desktop.ini", "._a.jpg", ".DS_Store", "a.jpg")
    found, walk = walked(tmp_path)
    assert found == ["a.jpg"]
    assert report.left_out_line(walk.left_out) == (
        "4 left out: 2 hidden, 2 of a system (Thumbs.db, desktop.ini)"
    )


def test_only_files_are_opened(tmp_path: Path) -> None:
    """A pipe would wait for ever, a device might do things; links to them are no better."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such files")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "to-pipe.jpg").symlink_to("pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        with contextlib.chdir(tmp_path):  # the path of a socket has to be short
            server.bind("socket.jpg")
        found, walk = walked(tmp_path)
    assert found == []
    assert report.left_out_line(walk.left_out) == (
        "4 left out: 4 not a file (2 pipe, socket, device)"
    )
    for name in ("pipe.jpg", "to-pipe.jpg", "zero.jpg", "socket.jpg"):
        with pytest.raises(OSError, match="not a file"):
            reading.opened(tmp_path / name)
    with pytest.raises(OSError, match="it is a folder"):
        reading.opened(tmp_path)


def test_links(tmp_path: Path) -> None:
    """To a file: read. To nothing: told. To a folder: left, so that no circle is walked."""
    put(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
    for name, target in (("b.jpg", "../elsewhere/b.jpg"), ("broken", "nowhere"), ("up", ".."),
                         ("self", "self")):  # fmt: skip
        (tmp_path / "in" / name).symlink_to(target)
    (tmp_path / "linked").symlink_to("in")
    found, walk = walked(tmp_path / "in")
    assert found == ["a.jpg", "b.jpg"]
    assert reasons(walk) == {
        "broken": Reason.UNREADABLE, "self": Reason.UNREADABLE, "up": Reason.LINK,
    }  # fmt: skip
    assert walk.failed
    assert {left.detail for left in walk.left_out if left.fault} == {
        "it is a link to something that is not there",
        "cannot be read: Too many levels of symbolic links",
    }
    assert len(walked(tmp_path / "linked")[0]) == 2


def test_what_may_not_be_read_is_told_and_the_rest_done(as_nobody: Path) -> None:
    put(as_nobody, "a.jpg", "b.jpg", "closed/c.jpg", "open/d.jpg", "listed/e.jpg")
    (as_nobody / "b.jpg").chmod(0)
    (as_nobody / "closed").chmod(0)
    (as_nobody / "listed").chmod(0o400)
    try:
        found, walk = walked(as_nobody)
    finally:
        for folder in ("closed", "listed"):
            (as_nobody / folder).chmod(0o700)
    assert found == ["a.jpg", "open/d.jpg"]
    told = {(left.path.name, left.detail) for left in walk.left_out}
    assert told == {
        (name, "may not be read: Permission denied") for name in ("b.jpg", "closed", "e.jpg")
    }
    assert walk.failed


def test_what_may_not_even_be_looked_at_is_left_to_its_reader(as_nobody: Path) -> None:
    """Named outright, it is handed on like any file; in a folder, told. Nothing ends for it."""
    put(as_nobody, "closed/a.jpg", "listed/Ann/b.jpg")
    named = [as_nobody / "closed/a.jpg", as_nobody / ("x" * 300)]
    walk = Walk()
    (as_nobody / "closed").chmod(0)
    (as_nobody / "listed").chmod(0o400)
    try:
        assert list(walk.pictures(named)) == named
        assert walk.people(as_nobody / "listed") == []
        assert reading.explain_unreadable(named[0]) == "may not be read: Permission denied"
        with pytest.raises(NotFound, match="a may not be read: Permission denied"):
            portraits.read(as_nobody / "closed/a", "", walk)
        with pytest.raises(NotFound, match="a may not be read: Permission denied"):
            labelled.read_set(as_nobody / "closed/a")
        with pytest.raises(Rejected, match="Ann may not be read: Permission denied"):
            labelled.read_set(as_nobody / "listed")
    finally:
        for folder in ("closed", "listed"):
            (as_nobody / folder).chmod(0o700)
    assert walk.faults == [f"{as_nobody}/listed/Ann may not be read: Permission denied"]
    assert reading.explain_unreadable(named[1]) == "cannot be read: File name too long"
    with pytest.raises(NotFound, match="x is neither a folder nor a labels"):
        portraits.read(named[1], "", walk)


def test_files_named_outright_are_tried_whatever_they_are(tmp_path: Path) -> None:
    """Folders are searched for pictures, by name."""
    put(tmp_path, "x/b.png", "x/a.webp", "x/d/e.jpg", "x/z.jpg", "odd.bin")
    found = Walk().pictures([tmp_path / "odd.bin", tmp_path / "x", Path("missing.jpg")])
    assert list(found) == [
        tmp_path / "odd.bin", tmp_path / "x/a.webp", tmp_path / "x/b.png", tmp_path / "x/d/e.jpg",
        tmp_path / "x/z.jpg", Path("missing.jpg"),
    ]  # fmt: skip


def test_a_deep_folder(tmp_path: Path) -> None:
    """Is walked to its end."""
    deep = "/".join("d" * 300)
    put(tmp_path, f"{deep}/a.jpg")
    assert walked(tmp_path)[0] == [f"{deep}/a.jpg"]


def test_every_suffix_is_not_listed() -> None:
    """The line stays one line."""
    left_out = [LeftOut(Path(f"x.{n}"), Reason.NO_PICTURE, f".{n}") for n in range(30)]
    assert report.left_out_line(left_out) == (
        "30 left out: 30 not a picture (.0, .1, .2, .3, .4, 25 other kinds)"
    )
    assert report.left_out_line([]) == ""
