"""Reading the files that people name: regular ones alone, and never more than a limit.

Whoever opens a pipe waits until somebody writes to it, and opening a device may set it going; so
what a path leads to is looked at before it is opened, and once more when it is.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import io
    from pathlib import Path

#: Never wait for another end, never become the controlling terminal's owner.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone tells text and bytes apart
_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
#: Two letters at least: one alone is a drive of Windows.
_URL = re.compile("[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@runtime_checkable
class BinaryFile(Protocol):
    """A file opened for reading bytes, or whatever reads like one."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes from here on; none at the end."""


def at_most(file: BinaryFile, size: int) -> bytes:
    """As much of a file, however little it gives at a time; TypeError if that is text."""
    data = bytearray()
    while len(data) < size:
        part: object = None
        with suppress(UnicodeDecodeError):  # opened as text
            part = file.read(size - len(data))
        if not isinstance(part, bytes):
            raise TypeError("a picture's file has to be opened in binary mode")
        if not part:
            break
        data += part
    return bytes(data)


def is_url(source: str) -> bool:
    """Whether a source is an address, if not one that is fetched, and no path."""
    return _URL.match(source) is not None


def is_folder(path: Path) -> bool:
    """Whether there is a folder, for us to see; whoever reads what is none says why it is not."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where it may not look


def is_file(path: Path) -> bool:
    """The same of a regular file, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113 - same


def kind(mode: int) -> str:
    """What a file of this mode is, in a word; "" for a regular one."""
    if stat.S_ISREG(mode):
        return ""
    return next((word for is_one, word in _KINDS if is_one(mode)), "special file")


def opened(path: Path) -> io.BufferedReader:
    """Open a regular file, or a link to one.

    Raises OSError, with a reason for :func:`explain`, for anything else; ValueError for a NUL.
    """
    _refuse_special(path, path.stat().st_mode)
    handle = os.open(path, _FLAGS | _BINARY)
    try:
        _refuse_special(path, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises OSError: with EFBIG where there are more than ``limit``, else as :func:`opened` does.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > limit else file.read(limit + 1)
    if max(size, len(data)) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MB", str(path))
    return data


def explain_unreadable(path: Path) -> str:
    """Why a file could not be read, as words to stand behind its name; "" if it could be."""
    try:
        opened(path).close()
    except (OSError, ValueError) as error:
        return explain(error)
    return ""


def why_no_folder(path: Path, expected: str) -> str:
    """What to say of a path that is no folder: it may not be looked at, or is not ``expected``."""
    try:
        path.stat()
    except PermissionError as error:
        return f"{path} {explain(error)}"
    except (OSError, ValueError):
        pass
    return f"{path} is {expected}"


def explain(error: OSError | ValueError) -> str:
    """What kept a file from being read, as words to stand behind its name."""
    verb = "may not be read" if isinstance(error, PermissionError) else "cannot be read"
    said = getattr(error, "strerror", None) or str(error)
    if "embedded null" in said:  # every Python says it in other words
        said = "embedded null byte"
    return f"{verb}: {said}"


def _refuse_special(path: Path, mode: int) -> None:
    if special := kind(mode):
        raise OSError(errno.EINVAL, f"it is a {special}, not a file", str(path))
