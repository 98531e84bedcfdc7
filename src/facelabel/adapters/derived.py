"""Rendered pictures on disk: a cache that may be deleted at any time, as a whole or in part.

Several processes may share the folder and any of them may be killed. A file is named by the
original it was made of, with which it goes, and by its key's hash. It appears whole, and starts
with the hash of its content, so that what a power failure left half written is noticed and
rendered again. Reading a file marks it as used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)
#: Bytes of SHA-256 before the content.
_DIGEST = hashlib.sha256().digest_size
#: A process adds this part of the limit before it looks how much there is. What it looks for is
#: that much less than the limit, so that one process never exceeds it.
_SHARE = 8
#: Bytes of the blocks in which disks give room, and of what they keep about a file besides.
_BLOCK, _ABOUT = 4096, 512
#: What st_blocks counts in, whatever the blocks of the disk.
_STAT_BLOCK = 512
#: Files in the folder, unless somebody says otherwise.
_MAX_FILES = 100_000
#: Seconds after which a file that was never finished has no writer any more.
_ABANDONED = 3600.0


class DerivedCache:
    """Bytes by key, the least recently used ones dropped when there are too many."""

    def __init__(self, root: Path, max_bytes: int, max_files: int = _MAX_FILES) -> None:
        """Keep at most ``max_bytes`` of the disk below ``root``, in ``max_files`` files.

        A file counts with the blocks that it takes and what the disk keeps about it, 4.5 kB at
        least. One that takes more than an eighth of all is not kept. Of several processes that
        write at the same time each may exceed both by an eighth.
        """
        self._root = root
        self._most = _Room(max_bytes, max_files)
        self._lock = threading.Lock()
        #: What may be added before the next look; the first one is taken at once.
        self._allowance = _Room(0, 0)

    def get(self, etag: str, key: str) -> bytes | None:
        """Return what was kept of an original under a key, None if it is not there or damaged."""
        path = self._path(etag, key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        data = content[_DIGEST:]
        if hashlib.sha256(data).digest() != content[:_DIGEST]:
            return None
        with suppress(OSError):  # another process was quicker to drop it
            os.utime(path)
        return data

    def put(self, etag: str, key: str, data: bytes) -> None:
        """Keep something made of an original; the least recently used goes when it is too much.

        A disk that is full costs the cache, not the answer: nothing is raised.
        """
        content = hashlib.sha256(data).digest() + data
        needed = _Room(_taken(len(content)), 1)
        if not needed.fits(self._most.share):
            return
        try:
            self._make_room(needed)
            path = self._path(etag, key)
            files.folder(path.parent)
            files.replace(path, content, durable=False)
        except OSError as error:
            _LOG.warning("a rendered picture was not kept: %s", error)

    def drop(self, etag: str) -> None:
        """Delete everything made of an original."""
        for path in self._root.glob(f"{etag[:2]}/{etag}-*"):
            _remove(path)

    def clear(self) -> None:
        """Delete everything."""
        with self._lock:
            for path in self._files("*"):
                _remove(path)
            self._allowance = _Room(0, 0)

    def _path(self, etag: str, key: str) -> Path:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._root / etag[:2] / f"{etag}-{digest}"

    def _files(self, pattern: str) -> Iterator[Path]:
        return self._root.glob(f"??/{pattern}")

    def _make_room(self, needed: _Room) -> None:
        with self._lock:
            if not needed.fits(self._allowance):
                self._sweep()
                self._allowance = self._most.share
            self._allowance = self._allowance.without(needed)

    def _sweep(self) -> None:
        """Delete the oldest until the rest leaves room for what one process may add."""
        entries = sorted(self._entries())
        room = self._most.without(self._most.share)
        left = _Room(sum(size for _, size, _ in entries), len(entries))
        abandoned = time.time() - _ABANDONED
        for used, size, path in entries:
            is_left_over = path.suffix == files.TEMPORARY and used < abandoned
            is_left_over |= not path.suffix and "-" not in path.name  # named by key alone
            if is_left_over or not left.fits(room):
                _remove(path)
                left = left.without(_Room(size, 1))

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """When it was last used, bytes of the disk, and where it is, of every file."""
        for path in self._files("*"):
            with suppress(OSError):  # another process was quicker to drop it
                found = path.stat()
                # Not every system counts blocks, and none before it has written them.
                blocks = getattr(found, "st_blocks", 0) * _STAT_BLOCK
                yield found.st_mtime, max(blocks + _ABOUT, _taken(found.st_size)), path


@dataclass(frozen=True, slots=True)
class _Room:
    """Room on a disk, for so many files."""

    bytes: int
    files: int

    @property
    def share(self) -> _Room:
        """What a process adds before it looks."""
        return _Room(self.bytes // _SHARE, max(1, self.files // _SHARE))

    def fits(self, other: _Room) -> bool:
        """Whether there is as much in the other."""
        return self.bytes <= other.bytes and self.files <= other.files

    def without(self, other: _Room) -> _Room:
        """What is left."""
        return _Room(self.bytes - other.bytes, self.files - other.files)


def _taken(size: int) -> int:
    """Bytes of the disk for a file of a size."""
    return -(-size // _BLOCK) * _BLOCK + _ABOUT


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
