"""Files and folders that are readable by whom they are meant for, whatever the process's umask.

Private is what tells of people: all of the data folder. Shared is what anybody may have, and other
users of the computer want to use: face models. Files appear under their name whole, or not at all.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: Ends the name of a file that is not whole; whoever was killed leaves it behind.
TEMPORARY: Final = ".tmp"
#: What others may do: enter and list a folder, read a file.
OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use what is made."""

    file: int
    folder: int


PRIVATE: Final = Access(0o600, 0o700)
SHARED: Final = Access(0o644, 0o755)


def folder(path: Path, access: Access = PRIVATE) -> None:
    """Make a folder and those it lies in; one that is there stays as it is."""
    if path.is_dir():
        return
    folder(path.parent, access)
    with suppress(FileExistsError):  # another process was quicker
        path.mkdir(access.folder)
        path.chmod(access.folder)  # whatever the umask took from it


def create(path: Path, data: bytes, access: Access = PRIVATE, *, durable: bool = True) -> None:
    """Write a new file; FileExistsError if there is one. On disk on return, if ``durable``."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, access.file), "wb") as file:  # noqa: PTH123 - a descriptor
        if os.name == "posix":
            os.fchmod(file.fileno(), access.file)
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def replace(path: Path, data: bytes, access: Access = PRIVATE, *, durable: bool = True) -> None:
    """Write a file in the place of the one that is there, if any, in one step."""
    temporary = temporary_beside(path)
    try:
        create(temporary, data, access, durable=durable)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    if durable:
        sync(path.parent)


def temporary_beside(path: Path) -> Path:
    """A name of its own for what is to become that file."""
    return path.with_name(f"{uuid.uuid4().hex}{TEMPORARY}")


def opener(path: str, flags: int) -> int:
    """For ``open``: a file that it makes is private."""
    return os.open(path, flags, PRIVATE.file)


def sync(path: Path) -> None:
    """Make the names in a folder durable, where the system lets a folder be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def tighten(path: Path) -> None:
    """Take from others what they may do with a file or folder, if it is ours to say."""
    if is_open(path):
        with suppress(OSError):  # somebody else's, or a disk that cannot be written
            path.chmod(path.stat().st_mode & 0o7700)


def is_open(path: Path) -> bool:
    """Whether others than its owner may read or enter; False where there is none."""
    if os.name != "posix":
        return False
    try:
        return bool(path.stat().st_mode & OTHERS)
    except OSError:
        return False
