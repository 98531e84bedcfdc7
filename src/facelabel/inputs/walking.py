"""Finding pictures in folders, and telling what was left out on the way.

Pictures are known by their first bytes, not by their names. Left out, and noted, are hidden
things, what systems and devices keep beside people's files, and what is no file or no picture.
Links to files are followed, links to folders inside a folder are not: those could lead round in
circles, or out of what was meant.
"""

from __future__ import annotations

import enum
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel import images
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Folders in which no person put pictures, by name in small letters, and whose they are.
_SYSTEM_FOLDERS = {
    "@eadir": "thumbnails of Synology",
    "@tmp": "work of Synology",
    "#recycle": "deleted files, Synology",
    "#snapshot": "snapshots, Synology",
    "@recycle": "deleted files, QNAP",
    "@recently-snapshot": "snapshots, QNAP",
    "@__thumb": "thumbnails of QNAP",
    "@transcode": "smaller copies of QNAP",
    "$recycle.bin": "deleted files, Windows",
    "recycler": "deleted files, Windows XP",
    "recycled": "deleted files, Windows 98",
    "system volume information": "Windows",
    "network trash folder": "deleted files, Macs on a share",
    "temporary items": "work of Macs on a share",
    "__macosx": "attributes of Macs in archives",
    "lost+found": "pieces found by fsck",
    "lost.dir": "pieces found by Android",
}
#: And those known by a part of it: pieces found by chkdsk, previews of Lightroom, and what is one
#: document to a Mac.
_SYSTEM_PATTERN = re.compile(r"found\.\d{3}|.*\.(lrdata|photoslibrary|photolibrary|aplibrary)")
#: Within so many bytes a TIFF, or a raw that begins as one does, says what is in it.
_DIRECTORIES = 1 << 20
#: Files that systems write into every folder.
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
                           "icon\r"})  # fmt: skip


class Reason(enum.StrEnum):
    """Why something was left out; the words follow a number."""

    HIDDEN = "hidden"
    SYSTEM = "of a system"
    NO_PICTURE = "not a picture"
    RAW = "camera raw, which is not read"
    EMPTY = "empty"
    NO_FILE = "not a file"
    LINK = "a link to a folder"
    NO_PERSON = "in no person's folder"
    NOT_LISTED = "not in the list"
    #: Nothing anybody chose: it should have been read.
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that was passed over."""

    path: Path
    reason: Reason
    #: More about it: a suffix, the name of a system's folder, or what went wrong.
    detail: str = ""

    @property
    def fault(self) -> bool:
        """Whether this is trouble, and nothing anybody would have wanted left out."""
        return self.reason is Reason.UNREADABLE


class Walk:
    """A way through folders that remembers what it left out."""

    def __init__(self) -> None:
        """Nothing was left out yet."""
        self.left_out: list[LeftOut] = []
        #: Files that serve another end, such as a list: they are not left out.
        self.used: set[Path] = set()

    @property
    def failed(self) -> bool:
        """Whether something should have been read and could not be."""
        return any(left.fault for left in self.left_out)

    @property
    def faults(self) -> list[str]:
        """What should have been read and could not be, each with the reason."""
        return [f"{left.path} {left.detail}" for left in self.left_out if left.fault]

    def pictures(self, paths: Iterable[Path]) -> Iterator[Path]:
        """The files named, whatever they are, and the pictures in the folders named.

        Folder by folder, by name.
        """
        for path in paths:
            if reading.is_folder(path):
                yield from self._inside(path)
            else:
                yield path

    def people(self, folder: Path) -> list[Path]:
        """The folders right in a folder, linked ones too; pictures beside them are noted."""
        found = []
        for entry in self._entries(folder):
            path = Path(entry.path)
            if reading.is_folder(path):
                found.append(path)
            elif self._is_picture(entry):
                self.leave(path, Reason.NO_PERSON)
        return found

    def leave(self, path: Path, reason: Reason, detail: str = "") -> None:
        """Note something that was passed over."""
        if path not in self.used:
            self.left_out.append(LeftOut(path, reason, detail))

    def _inside(self, folder: Path) -> Iterator[Path]:
        """Depth first; the iterators are kept here, because folders may nest deep."""
        ways = [iter(self._entries(folder))]
        while ways:
            entry = next(ways[-1], None)
            if entry is None:
                ways.pop()
            elif _is_folder(entry):
                ways.append(iter(self._entries(Path(entry.path))))
            elif self._is_picture(entry):
                yield Path(entry.path)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What a person put into a folder, by name."""
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.leave(folder, Reason.UNREADABLE, reading.explain(error))
            return []
        return [entry for entry in listed if self._is_somebodys(entry)]

    def _is_somebodys(self, entry: os.DirEntry[str]) -> bool:
        name = entry.name.lower()
        if name in _SYSTEM_FOLDERS or name in _SYSTEM_FILES or _SYSTEM_PATTERN.fullmatch(name):
            self.leave(Path(entry.path), Reason.SYSTEM, entry.name)
        elif name.startswith("."):
            self.leave(Path(entry.path), Reason.HIDDEN)
        else:
            return True
        return False

    def _is_picture(self, entry: os.DirEntry[str]) -> bool:
        path = Path(entry.path)
        try:
            mode = path.stat().st_mode
            if special := reading.kind(mode):
                linked = stat.S_ISDIR(mode)
                self.leave(path, Reason.LINK if linked else Reason.NO_FILE, special)
                return False
            start = _start(path)
        except OSError as error:
            self.leave(path, Reason.UNREADABLE, _why(entry, error))
            return False
        reason = _reason(start)
        if reason:
            self.leave(path, reason, path.suffix.lower())
        return reason is None


def is_picture(path: Path) -> bool:
    """Whether there is a file with the first bytes of a picture."""
    try:
        return _reason(_start(path)) is None
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # no right to look: taken for a file, the reason is told as that one's
        return False


def _start(path: Path) -> bytes:
    """The first bytes, enough to tell what the file is."""
    with reading.opened(path) as file:
        head = file.read(images.HEAD_BYTES)
        return head + file.read(_DIRECTORIES) if head.startswith((b"II", b"MM")) else head


def _reason(start: bytes) -> Reason | None:
    """Why a file that starts so is no picture, None if it is one."""
    if not start:
        return Reason.EMPTY
    if images.is_raw(start):
        return Reason.RAW
    return None if images.is_picture(start) else Reason.NO_PICTURE


def _why(entry: os.DirEntry[str], error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and entry.is_symlink():
        return "it is a link to something that is not there"
    return reading.explain(error)
