"""Rendered pictures on disk: a cache that may be deleted at any time, as a whole or in part.

Several processes may share the folder and any of them may be killed. A file is named by its key's
hash, appears whole, and starts with the hash of its content, so that what a power failure left
half written is noticed and rendered again. Reading a file marks it as used.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_TEMPORARY = ".tmp"
#: Bytes of SHA-256 before the content.
_DIGEST = hashlib.sha256().digest_size
#: A process adds this part of the limit before it looks how much there is. What it looks for is
#: that much less than the limit, so that one process never exceeds it.
_SHARE = 8
#: Seconds after which a file that was never finished has no writer any more.
_ABANDONED = 3600.0


class DerivedCache:
    """Bytes by key, the least recently used ones dropped when there are too many."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        """Keep at most ``max_bytes`` below ``root``; nothing larger than an eighth of them.

        Of several processes that write at the same time each may exceed that by an eighth.
        """
        self._root = root
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        #: Bytes that may be added before the next look; the first one is taken at once.
        self._allowance = 0

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, None if it is not there or damaged."""
        path = self._path(key)
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

    def put(self, key: str, data: bytes) -> None:
        """Keep something; the least recently used goes when there is too much.

        A disk that is full costs the cache, not the answer: nothing is raised.
        """
        content = hashlib.sha256(data).digest() + data
        if len(content) > self._max_bytes // _SHARE:
            return
        try:
            self._make_room(len(content))
            _write(self._path(key), content)
        except OSError as error:
            _LOG.warning("a rendered picture was not kept: %s", error)

    def clear(self) -> None:
        """Delete everything."""
        with self._lock:
            for path in self._files("*"):
                _remove(path)
            self._allowance = 0

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._root / digest[:2] / digest

    def _files(self, pattern: str) -> Iterator[Path]:
        return self._root.glob(f"??/{pattern}")

    def _make_room(self, size: int) -> None:
        with self._lock:
            if self._allowance < size:
                self._sweep()
                self._allowance = self._max_bytes // _SHARE
            self._allowance -= size

    def _sweep(self) -> None:
        """Delete the oldest until the rest leaves room for what one process may add."""
        entries = sorted(self._entries())
        excess = sum(size for _, size, _ in entries) - self._max_bytes * (_SHARE - 1) // _SHARE
        abandoned = time.time() - _ABANDONED
        for used, size, path in entries:
            is_left_over = path.suffix == _TEMPORARY and used < abandoned
            if excess > 0 or is_left_over:
                _remove(path)
                excess -= size

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """When it was last used, bytes, and where it is, of every file."""
        for path in self._files("*"):
            with suppress(OSError):  # another process was quicker to drop it
                found = path.stat()
                yield found.st_mtime, found.st_size, path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{uuid.uuid4().hex}{_TEMPORARY}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
