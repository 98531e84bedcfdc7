"""Exact nearest neighbours over a matrix file that every process maps.

The rows of :class:`~facelabel.gallery.ports.TemplateRows` are the truth; the file is derived from
them and may be deleted at any moment. It is a header and one record per face, a row number beside
its vector, so the two cannot fall out of step::

    header (64 bytes, checksummed) | row, vector | row, vector | …

Only records that the header counts exist. They are written, and forced to disk, before the header
that counts them, so a process killed at any moment leaves at worst a tail that the next one cuts.
What is not understood is thrown away and derived again.

Writers hold a file lock; readers hold nothing. A mapped file never shrinks below what its header
counted: whatever removes records writes another file and swaps it in, and the readers of the old
one keep their mapping until the store tells them that they are behind.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import os
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import filelock
import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # it ships none

from facelabel import files
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from facelabel.gallery.ports import TemplateRows

    Vectors = npt.NDArray[np.float32]
    Places = npt.NDArray[np.int64]
    Records = np.ndarray[Any, np.dtype[np.void]]

#: Records multiplied at once: their scores for a few faces stay in a core's cache.
BLOCK = 8192
#: Faces searched in one pass over the matrix.
BATCH = 64
#: Scores kept over all blocks in one pass, which bounds memory when ``count`` is large.
KEPT = 1 << 20
#: Compact when one record in so many is dead.
DEAD_SHARE = 4
#: Seconds to wait for another process that is writing.
PATIENCE = 120.0
#: One at a time may say how many threads multiply.
_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Header:
    """What the file says of itself."""

    #: 0 while there is no file: the first vector decides.
    dimensions: int = 0
    count: int = 0
    dead: int = 0
    #: Highest row number ever appended.
    last: int = 0
    #: Number of the last deletion applied.
    deletion: int = 0

    LAYOUT = struct.Struct("<8sqqqqq")
    MAGIC = b"facelbl1"
    SIZE = 64

    def pack(self) -> bytes:
        """The header as bytes, checksummed, filled up to its size."""
        body = self.LAYOUT.pack(
            self.MAGIC, self.dimensions, self.count, self.dead, self.last, self.deletion
        )
        return (body + struct.pack("<I", zlib.crc32(body))).ljust(self.SIZE, b"\0")

    @classmethod
    def unpack(cls, data: bytes) -> _Header | None:
        """Return None for anything that :meth:`pack` did not make."""
        if len(data) < cls.SIZE:
            return None
        magic, *fields = cls.LAYOUT.unpack_from(data)
        header = cls(*fields)
        return header if magic == cls.MAGIC and header.pack() == data else None

    @property
    def record(self) -> np.dtype[np.void]:
        """A dead record has a negated row number and a vector of zeros."""
        return np.dtype([("row", "<i8"), ("vector", "<f4", (self.dimensions,))])

    def end(self, count: int) -> int:
        """Return the byte where record number ``count`` begins."""
        return self.SIZE + count * self.record.itemsize


@dataclass(frozen=True, slots=True)
class _View:
    """The file as a reader maps it: never longer, never shorter than when it was opened."""

    header: _Header
    records: Records
    #: How many faces it has.
    size: int


class _Writer:
    """The file as the one process that holds its lock changes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spare = path.with_suffix(".new")
        self._spare.unlink(missing_ok=True)  # a killed process may have left faces in it
        self.header = self._read()

    def _read(self) -> _Header:
        """Return the header, cutting what it does not count; an empty one for a useless file."""
        with contextlib.suppress(FileNotFoundError), self._path.open("r+b") as file:
            header = _Header.unpack(file.read(_Header.SIZE))
            size = file.seek(0, os.SEEK_END)
            if header and size >= (end := header.end(header.count)):
                if size > end:
                    file.truncate(end)
                return header
        return _Header()

    def records(self) -> Records:
        """Map every record that the header counts."""
        header = self.header
        if not header.count:  # an empty range cannot be mapped
            return np.empty(0, header.record)
        mapped = np.memmap(self._path, header.record, "r", header.SIZE, (header.count,))
        return np.asarray(mapped)

    def append(self, faces: Sequence[tuple[int, bytes]]) -> None:
        """Append (row number, vector) pairs, ascending and above all there are."""
        if not self.header.dimensions:
            self._rewrite(replace(self.header, dimensions=len(faces[0][1]) // 4), ())
        header = self.header
        records = np.empty(len(faces), header.record)
        records["row"] = [row for row, _ in faces]
        records["vector"] = _matrix([vector for _, vector in faces], header.dimensions)
        with self._path.open("r+b") as file:
            file.seek(header.end(header.count))
            file.write(records.tobytes())
            self._commit(file, replace(header, count=header.count + len(faces), last=faces[-1][0]))

    def erase(self, deletions: Sequence[tuple[int, int, int | None]]) -> None:
        """Overwrite the records of these (deletion number, row number, …)."""
        header = replace(self.header, deletion=deletions[-1][0])
        if not header.count:
            self.header = header
            return
        slots = self._slots([row for _, row, _ in deletions])
        grave = np.zeros((), header.record)
        with self._path.open("r+b") as file:
            for slot, row in slots.items():
                grave["row"] = -row
                file.seek(header.end(slot))
                file.write(grave.tobytes())
            self._commit(file, replace(header, dead=header.dead + len(slots)))

    def _slots(self, rows: Sequence[int]) -> dict[int, int]:
        """Return row numbers by the place of their record; rows that have none are absent."""
        column = self.records()["row"]
        places = ((bisect.bisect_left(column, row, key=abs), row) for row in rows)
        return {at: row for at, row in places if at < len(column) and abs(column[at]) == row}

    def compact(self) -> None:
        """Leave the dead records behind once they are a quarter."""
        if self.header.dead * DEAD_SHARE < max(self.header.count, 1):
            return
        records = self.records()
        live = int(np.count_nonzero(records["row"] > 0))
        # Windows swaps no file that another process maps; the dead are overwritten anyway.
        with contextlib.suppress(PermissionError):
            self._rewrite(
                replace(self.header, count=live, dead=0),
                (block[block["row"] > 0].tobytes() for block in _blocks(records)),
            )

    def discard(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)
        self.header = _Header()

    def _rewrite(self, header: _Header, chunks: Iterable[bytes]) -> None:
        """Swap in another file, leaving the present one to whoever maps it."""
        with open(self._spare, "wb", opener=files.opener) as file:
            file.write(bytes(header.SIZE))
            file.writelines(chunks)
            self._commit(file, header)
        self._spare.replace(self._path)

    def _commit(self, file: BinaryIO, header: _Header) -> None:
        """Let the header count what was written, once that is on disk."""
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        file.write(header.pack())
        self.header = header


class MatrixIndex:
    """Exact search in a memory-mapped float32 matrix, shared by any number of processes."""

    def __init__(self, templates: TemplateRows, folder: Path, *, threads: int = 2) -> None:
        """Keep one file per collection in ``folder``; scan with so many threads."""
        self._templates = templates
        self._folder = folder
        self._threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "matrix")
        self._views: dict[int, _View] = {}

    def search(
        self,
        collection_id: int,
        vectors: Sequence[bytes],
        count: int,
        position: tuple[int, int] | None = None,
    ) -> Sequence[Sequence[tuple[int, float]]]:
        """For each vector the ``count`` nearest rows as (row number, L2 distance), nearest first.

        Fewer where the collection is smaller. Vectors are unit vectors, little-endian float32;
        ValueError if their length is not the collection's. ``position``: of the collection, where
        it was asked for just now.
        """
        view = self._fresh(collection_id, position)
        count = min(count, view.size)
        if count < 1:
            return [[] for _ in vectors]
        queries = _matrix(vectors, view.header.dimensions)
        kept = min(count, BLOCK) * -(-len(view.records) // BLOCK)
        step = max(1, min(BATCH, KEPT // kept))
        with unthreaded():
            return [
                neighbours
                for start in range(0, len(queries), step)
                for neighbours in self._scan(view, queries[start : start + step], count)
            ]

    def size(self, collection_id: int) -> int:
        """How many vectors there are."""
        return self._fresh(collection_id).size

    def drop(self, collection_id: int) -> None:
        """Delete what was derived from a collection."""
        self._views.pop(collection_id, None)
        with self._locked(collection_id) as path:
            _Writer(path).discard()
        with contextlib.suppress(OSError):  # numbers are never reused: nobody needs it again
            path.with_suffix(".lock").unlink()

    def settle(self) -> None:
        """Erase what killed processes left: faces deleted since, and collections dropped."""
        files = [*self._folder.glob("*.matrix"), *self._folder.glob("*.new")]
        for collection_id in sorted({int(f.stem) for f in files if f.stem.isdecimal()}):
            if self._templates.vectors(collection_id, 0, 1):
                self._fresh(collection_id)
            else:  # there is no such collection any more, or nobody in it
                self.drop(collection_id)

    def _scan(self, view: _View, queries: Vectors, count: int) -> Iterator[list[tuple[int, float]]]:
        """Go through every block: whoever is free, this thread too, takes the next one."""
        starts = iter(range(0, len(view.records), BLOCK))

        def some() -> list[tuple[Places, Vectors]]:
            """The best places of each block with their dot products, the dead with -infinity."""
            best = []
            for start in starts:
                block = view.records[start : start + BLOCK]
                scores = queries @ block["vector"].T
                if view.header.dead:  # else spare reading the row numbers, which costs a fifth
                    scores[:, block["row"] < 0] = -np.inf
                places = np.arange(start, start + len(block))
                best.append(_best(np.broadcast_to(places, scores.shape), scores, count))
            return best

        # Nobody is woken for blocks that are not there.
        helpers = min(self._threads, -(-len(view.records) // BLOCK)) - 1
        helping = [self._pool.submit(some) for _ in range(helpers)]
        found = some() + [done for helper in helping for done in helper.result()]
        places = np.concatenate([places for places, _ in found], axis=1)
        scores = np.concatenate([scores for _, scores in found], axis=1)
        places, scores = _best(places, scores, count)
        order = np.lexsort((places, -scores))
        rows = view.records["row"][np.take_along_axis(places, order, axis=1)]
        distances = np.sqrt(np.maximum(0, 2 - 2 * np.take_along_axis(scores, order, axis=1)))
        for numbers, lengths in zip(rows, distances, strict=True):
            live = numbers > 0
            yield list(zip(numbers[live].tolist(), lengths[live].tolist(), strict=True))

    def _fresh(self, collection_id: int, position: tuple[int, int] | None = None) -> _View:
        """Return a view of every face that the store has at this moment, or had just now."""
        if view := self._views.get(collection_id):
            row, deletion = position or self._templates.position(collection_id)
            if row <= view.header.last and deletion <= view.header.deletion:
                return view
        view = self._views[collection_id] = self._sync(collection_id)
        return view

    def _sync(self, collection_id: int) -> _View:
        with self._locked(collection_id) as path:
            writer = _Writer(path)
            self._catch_up(collection_id, writer)
            if collection_id not in self._views:
                self._let_go()
                if not self._agrees(collection_id, writer):
                    writer.discard()
                    self._catch_up(collection_id, writer)
            header = writer.header
            return _View(header, writer.records(), header.count - header.dead)

    def _catch_up(self, collection_id: int, writer: _Writer) -> None:
        """Append, then erase: a face deleted while we read is then always found."""
        while faces := self._templates.vectors(collection_id, writer.header.last, BLOCK):
            writer.append(faces)
        if deletions := self._templates.deletions(collection_id, writer.header.deletion):
            writer.erase(deletions)
        writer.compact()

    def _agrees(self, collection_id: int, writer: _Writer) -> bool:
        """Whether the last live face is the store's: not so if an older store was put back."""
        records = writer.records()
        live = (record for record in records[::-1] if record["row"] > 0)
        if (last := next(live, None)) is None:
            return True
        row = int(last["row"])
        return list(self._templates.vectors(collection_id, row - 1, 1)) == [
            (row, last["vector"].tobytes())
        ]

    def _let_go(self) -> None:
        """Unmap collections that other processes dropped, so that their faces are gone."""
        for collection_id in list(self._views):
            if not self._path(collection_id).exists():
                self._views.pop(collection_id, None)

    def _path(self, collection_id: int) -> Path:
        return self._folder / f"{collection_id}.matrix"

    @contextlib.contextmanager
    def _locked(self, collection_id: int) -> Iterator[Path]:
        path = self._path(collection_id)
        try:
            files.folder(self._folder)
            lock = path.with_suffix(".lock")
            with filelock.FileLock(lock, timeout=PATIENCE, mode=files.PRIVATE.file):
                yield path
        except OSError as error:  # a full disk, no permission, or the lock's own timeout
            raise Unavailable(f"the search matrix cannot be written: {error}") from error


def _matrix(vectors: Sequence[bytes], dimensions: int) -> Vectors:
    wrong = next((len(vector) for vector in vectors if len(vector) != 4 * dimensions), None)
    if wrong is not None:
        raise ValueError(f"a vector of {wrong} bytes among vectors of {4 * dimensions}")
    return np.frombuffer(b"".join(vectors), "<f4").reshape(-1, dimensions)


def _blocks(records: Records) -> Iterator[Records]:
    return (records[start : start + BLOCK] for start in range(0, len(records), BLOCK))


def _best(places: Places, scores: Vectors, count: int) -> tuple[Places, Vectors]:
    """Return the ``count`` highest scores of each line with their places, in no order."""
    if count >= scores.shape[1]:
        return places, scores
    top = np.argpartition(scores, -count, axis=1)[:, -count:]
    return np.take_along_axis(places, top, axis=1), np.take_along_axis(scores, top, axis=1)


@contextlib.contextmanager
def unthreaded() -> Iterator[None]:
    """Let products of matrices start no threads of their own.

    How many NumPy's linear algebra starts belongs to the whole process, and by itself it takes
    every core there is: more than the setting allows, and more than it gains by.
    """
    with _turn, _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    """Looks for NumPy's libraries among all that are loaded: not before somebody multiplies."""
    return ThreadpoolController()
