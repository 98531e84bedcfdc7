"""The originals: image files, each content stored once under its SHA-256.

The database says which are in use. A file is put in its place before the row that needs it
commits, and removed after the last row that needed it is gone; both happen under the library's
lock. A process that dies in between leaves a file without a row, never a row without its file;
nor does one that was stopped for so long that the lock went to another.

The folder carries the id of its installation. Where it did when a process started and does not
later, its disk is missing: what was written there then would be hidden once the disk is back.
"""

from __future__ import annotations

import errno
import hashlib
import math
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from facelabel import files
from facelabel.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SETTINGS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
#: The file with the id.
MARK = "installation"


class Originals:
    """A folder of files named by their content: ``ab/abcdef…``."""

    def __init__(self, root: Path) -> None:
        """Keep the files below ``root``."""
        self.root = root
        self._mark: str | None = None

    def make(self) -> None:
        """Make the folder if it is not there; from now on it has to stay."""
        with _translated():
            files.folder(self.root)
            self._mark = self._marked()

    def check(self) -> None:
        """Raise Unavailable if the folder is not what it was."""
        if not self.is_there():
            raise Unavailable(
                f"originals: {self.root} is not what it was: is its disk mounted? After `facelabel"
                " adopt` this program has to be started anew"
            )

    def is_there(self) -> bool:
        """Whether the folder is what it was, by the id in it."""
        if self._mark is None:
            return True
        with _translated():
            return self._marked() == self._mark

    def _marked(self) -> str | None:
        """The folder's id; None without one."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return (self.root / MARK).read_text("ascii", "replace").strip()
        return None

    def path(self, digest: str) -> Path:
        """Where the original of this SHA-256 stands."""
        return self.root / digest[:2] / digest

    @contextmanager
    def staged(self, digest: str, data: bytes) -> Iterator[Staged]:
        """A file on disk, ready to be put in its place, and gone if it was not."""
        self.check()
        with _translated():
            staged = Staged(self.root, self.path(digest), data)
        try:
            yield staged
        finally:
            staged.discard()

    def read(self, digest: str, part: range | None = None) -> bytes | None:
        """The content, or as much of that part as there is; None if there is no such file."""
        with _translated(), suppress(FileNotFoundError), self.path(digest).open("rb") as file:
            file.seek(part.start if part else 0)
            return file.read(-1 if part is None else len(part))
        return None

    @contextmanager
    def removed(self, digests: Iterable[str]) -> Iterator[None]:
        """Take the files out of their places, and delete them after the block.

        If the block fails they come back: in it the caller finds out whether it still has the
        lock under which nobody needed them. Files that are gone already are no error.
        """
        with _translated(), ExitStack() as back:
            taken = [path for digest in digests for path in self._taken(digest, back)]
            yield
            back.pop_all()
            for path in taken:
                path.unlink(missing_ok=True)

    def _taken(self, digest: str, back: ExitStack) -> list[Path]:
        """Take a file out of its place; return what is to be deleted of it.

        That includes what a process killed right here has taken out before us.
        """
        place = self.path(digest)
        aside = place.with_name(f"{digest}.{files.temporary_beside(place).name}")
        with suppress(FileNotFoundError):
            place.replace(aside)
            back.callback(_put_back, aside, place)
        return list(place.parent.glob(f"{digest}.*{files.TEMPORARY}"))

    def all(self) -> Iterator[str]:
        """Digest of every file."""
        return self.settled(math.inf)

    def settled(self, before: float) -> Iterator[str]:
        """Digests of the files last written before that moment."""
        for path in list(self.root.glob("??/*")):
            if path.suffix != files.TEMPORARY and _written(path) < before:
                yield path.name

    def remove_unplaced(self, before: float) -> int:
        """Delete what dead processes had staged before that moment; returns how many."""
        unplaced = [
            path for path in self.root.glob(f"??/*{files.TEMPORARY}") if _written(path) < before
        ]
        with _translated():
            for path in unplaced:
                path.unlink(missing_ok=True)
        return len(unplaced)


class Staged:
    """A file waiting beside its place, unless the same content stands there already."""

    def __init__(self, root: Path, path: Path, data: bytes) -> None:
        """Write the file, as long as that may take, before anybody is made to wait."""
        self._root = root
        self._path = path
        self._data = data
        self._temporary = files.temporary_beside(path)
        self._written = False
        if not _stands(path):
            self._write()

    def place(self) -> None:
        """Put the file in its place, durably. Called under the library's lock."""
        with _translated():
            if not self._written:
                if self._path.exists():
                    return
                self._write()  # it stood here until a moment ago
            self._temporary.replace(self._path)
            self._written = False
            files.sync(self._path.parent)

    def discard(self) -> None:
        """Delete the file if it was not put in its place."""
        if self._written:
            with suppress(OSError):  # a sweep will find it
                self._temporary.unlink(missing_ok=True)

    def _write(self) -> None:
        files.folder(self._path.parent)
        for folder in (self._root, self._root.parent):  # whoever made them may not have got so far
            files.sync(folder)
        self._written = True
        files.create(self._temporary, self._data)


def _put_back(aside: Path, place: Path) -> None:
    with suppress(FileNotFoundError):  # while we were stopped somebody else saw to it
        aside.replace(place)


def _stands(path: Path) -> bool:
    """Whether the file is there and whole: uploading a picture again mends a damaged original."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    except FileNotFoundError:
        return False


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return float("inf")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        meaning = ConfigurationError if error.errno in _SETTINGS else Unavailable
        raise meaning(f"originals: {error.strerror}: {error.filename}") from error
