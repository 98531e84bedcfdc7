"""The originals: image files, each content stored once under its SHA-256.

The database says which are in use. A file is put in its place before the row that needs it
commits, and removed after the last row that needed it is gone; both happen under the library's
lock. A process that dies in between leaves a file without a row, never a row without its file;
nor does one that was stopped for so long that the lock went to another.

The folder carries the id of its installation. Where it did when a process started and does not
later, its disk is missing: what was written there then would be hidden once the disk is back.

The step that takes an original's last user notes it; whoever deletes the file deletes the note
with it. A process that dies in between leaves the note, and the next look finds it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, union

from facelabel import files
from facelabel.adapters.store.library.asset_rows import LOCK
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import PAGE, batches
from facelabel.core.model import deletion_limit
from facelabel.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.sql.database import Database

log = logging.getLogger(__name__)

_SETTINGS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
#: The file with the id.
MARK = "installation"
#: What needs originals: assets, and deleted ones that can come back.
_TABLES = (schema.asset, schema.backup)
_ETAG = schema.released.c.etag
_DAY = 86_400.0


class Originals:
    """A folder of files named by their content: ``ab/abcdef…``."""

    def __init__(self, root: Path) -> None:
        """Keep the files below ``root``."""
        self.root = root
        self._mark: str | None = None
        #: Folders whose names are known to be on disk.
        self._durable: set[Path] = set()

    def make(self) -> None:
        """Make the folder if it is not there; from now on it has to stay."""
        try:
            files.folder(self.root)
            self._mark = self._marked()
        except OSError as error:
            raise _trouble(error) from error

    def is_there(self) -> bool:
        """Whether the folder is what it was, by the id in it."""
        try:
            return self._mark is None or self._marked() == self._mark
        except OSError as error:
            raise _trouble(error) from error

    def _marked(self) -> str | None:
        """The folder's id; None without one."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return (self.root / MARK).read_text("ascii", "replace").strip()
        return None

    def path(self, digest: str) -> Path:
        """Where the original of this SHA-256 stands."""
        return self.root / digest[:2] / digest

    @contextmanager
    def staged(self, digest: str, data: bytes) -> Iterator[Callable[[], None]]:
        """Write a file beside its place, unless the same content stands there already.

        That takes as long as it may before anybody is made to wait. Yields what puts the file in
        its place, durably, called under the library's lock; what was not put there is deleted.
        Raises Unavailable if the folder is not what it was.
        """
        if not self.is_there():
            raise Unavailable(
                f"originals: {self.root} is not what it was: is its disk mounted? After `facelabel"
                " adopt` this program has to be started anew"
            )
        place = self.path(digest)
        temporary = files.temporary_beside(place)

        def put() -> None:
            """Put the file in its place, under the library's lock."""
            try:
                if not temporary.exists():
                    if place.exists():
                        return
                    self._write(temporary, data)  # it stood here until a moment ago
                temporary.replace(place)
                files.sync(place.parent)
            except OSError as error:
                raise _trouble(error) from error

        try:
            # Looked at whole: uploading a picture again mends a damaged original.
            present = self.read(digest)
            if present is None or hashlib.sha256(present).hexdigest() != digest:
                self._write(temporary, data)
            yield put
        finally:
            with suppress(OSError):  # a sweep will find it
                temporary.unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file, durably with its folder.

        Whoever made that, or the root, may have got less far.
        """
        folder = path.parent
        try:
            if not folder.is_dir():
                self._durable.discard(folder)
            if folder not in self._durable:
                files.folder(folder)
                for above in (self.root, self.root.parent):
                    files.sync(above)
                self._durable.add(folder)
            files.create(path, data)
        except OSError as error:
            raise _trouble(error) from error

    def read(self, digest: str, part: range | None = None) -> bytes | None:
        """The content, or as much of that part as there is; None if there is no such file."""
        try:
            with self.path(digest).open("rb") as file:
                file.seek(part.start if part else 0)
                return file.read(-1 if part is None else len(part))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _trouble(error) from error

    @contextmanager
    def removed(self, digests: Iterable[str]) -> Iterator[None]:
        """Take the files out of their places, and delete them after the block.

        If the block fails they come back: in it the caller finds out whether it still has the
        lock under which nobody needed them. Files that are gone already are no error.
        """
        try:
            with ExitStack() as back:
                taken = [path for digest in digests for path in self._taken(digest, back)]
                yield
                back.pop_all()
                for path in taken:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise _trouble(error) from error

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
        try:
            for path in unplaced:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _trouble(error) from error
        return len(unplaced)


def _put_back(aside: Path, place: Path) -> None:
    with suppress(FileNotFoundError):  # while we were stopped somebody else saw to it
        aside.replace(place)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return float("inf")


def _trouble(error: OSError) -> ConfigurationError | Unavailable:
    """What it means that a file or folder cannot be used."""
    meaning = ConfigurationError if error.errno in _SETTINGS else Unavailable
    return meaning(f"originals: {error.strerror}: {error.filename}")


def needed(connection: Connection, after: str, count: int) -> list[str]:
    """The next digests that are needed, each once, in order."""
    firsts = [
        select(table.c.etag)
        .where(table.c.etag > after)
        .distinct()
        .order_by(table.c.etag)
        .limit(count)
        .subquery()
        for table in _TABLES
    ]
    both = union(*(select(first.c.etag) for first in firsts)).order_by("etag").limit(count)
    return list(connection.execute(both).scalars())


def newest(connection: Connection, count: int) -> list[str]:
    """The digests of the pictures made last, the newest first, each once."""
    asset = schema.asset.c
    last = select(asset.etag).order_by(asset.created_at.desc(), asset.asset_id.desc()).limit(count)
    return list(dict.fromkeys(connection.execute(last).scalars()))


def unneeded(connection: Connection, etags: Sequence[str]) -> list[str]:
    """Those of these digests that nobody needs."""
    used = union(*(select(table.c.etag).where(table.c.etag.in_(etags)) for table in _TABLES))
    held = set(connection.execute(used).scalars())
    return [etag for etag in etags if etag not in held]


class UnusedOriginals:
    """Deletes the files that nobody needs any more."""

    def __init__(
        self, database: Database, originals: Originals, on_removed: Callable[[str], None]
    ) -> None:
        """``on_removed``: told of every original that is gone, by its SHA-256."""
        self._database = database
        self._originals = originals
        self._on_removed = on_removed
        #: How many files of no picture somebody was told of.
        self._told = 0

    def among(self, etags: Sequence[str]) -> list[str]:
        """Those of these originals, a page of them at most, that nobody needs now."""
        with self._database.read() as connection:
            return unneeded(connection, etags)

    def note(self, connection: Connection, etags: Iterable[str]) -> list[str]:
        """Note those of these originals that nobody needs, in the change that freed them."""
        unused = _unused(connection, etags)
        note_unused(self._database, connection, unused)
        return unused

    def remove(self, etags: Sequence[str]) -> int:
        """Remove those of the noted originals that no asset uses; returns how many.

        None where the folder of the originals is not there: the notes stay. Looked up anew under
        the lock: since the row went, another upload may have come to rely on the file.
        """
        if not self._originals.is_there():
            return 0
        with self._database.transaction(alone=LOCK) as connection:
            unused = _unused(connection, etags)
            with self._originals.removed(unused):
                for etag in unused:
                    self._on_removed(etag)
                # Fails if we were stopped, and others have the lock.
                _forget(connection, etags)
        return len(unused)

    def release(self) -> int:
        """Delete the originals that are noted to go, and were not yet; returns how many."""
        removed = 0
        noted = select(_ETAG).order_by(_ETAG).limit(PAGE)
        while self._originals.is_there():
            with self._database.read() as connection:
                etags = connection.execute(noted).scalars().all()
            if not etags:
                break
            removed += self.remove(etags)
        return removed

    def sweep(self, min_age: float = _DAY) -> int:
        """Delete files of no asset that dead processes left; returns how many.

        Where there are many, none is: dead processes leave few, and a database that is older than
        the files does not know the newest of them.

        ``min_age``: seconds; an upload that is under way has files without an asset, too.
        """
        removed = self.release()
        before = time.time() - min_age  # the file system's clock, whatever ours says
        settled = list(self._originals.settled(before))
        unused = [etag for some in batches(settled) for etag in self.among(some)]
        if len(unused) > deletion_limit(len(settled)):
            self._tell(len(unused))
        elif unused:
            with self._database.transaction(alone=LOCK) as connection:
                note_unused(self._database, connection, unused)
            log.warning(
                "%d files in %s belong to no picture and are deleted: an upload was killed before"
                " it was done, or the database is older than they are",
                len(unused),
                self._originals.root,
            )
            removed += self.release()
        return removed + self._originals.remove_unplaced(before)

    def _tell(self, unused: int) -> None:
        """Say once what the files of no picture are likely to be, and what helps."""
        if unused != self._told:
            log.warning(
                "%d files in %s belong to no picture, as if the database were older than they are:"
                " none is deleted. Put the newer database back, or upload the files"
                " again; if nobody wants them, `facelabel adopt --force` has them deleted",
                unused,
                self._originals.root,
            )
        self._told = unused


def note_unused(database: Database, connection: Connection, etags: Iterable[str]) -> None:
    """Have these deleted, unless somebody uses them by then."""
    rows = [{"etag": etag} for etag in sorted(etags)]
    if rows:
        connection.execute(database.insert(schema.released).on_conflict_do_nothing(), rows)


def _forget(connection: Connection, etags: Iterable[str]) -> None:
    """These are seen to. Fails where the connection has lost its transaction, and its lock."""
    for some in batches(etags):
        connection.execute(delete(schema.released).where(_ETAG.in_(some)))


def _unused(connection: Connection, etags: Iterable[str]) -> list[str]:
    return [etag for some in batches(etags) for etag in unneeded(connection, some)]
