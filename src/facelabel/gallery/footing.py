"""What a look at a picture depended on, and whether a change of the gallery touches it.

A look sees the nearest reference faces, up to a distance: its *reach*. Another reference matters
if it lies within the reach of a face, and whatever happens to a reference of somebody who was
among them, as people are judged by all their references. So a note holds the reach of each face
and the people, each of whom stands there as the lowest row number of theirs; a face without a
name, which only takes a place among the nearest, as its own. It also says when it was that: up
to which row and which deletion everything had been seen, and what made similarities of distances.
What came since is read from the store, where row numbers and deletion numbers grow with every
change; so nothing can be missed, whoever made the change.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from facelabel.gallery.matrix_index import unthreaded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from facelabel.core.model import Noted

    Flags = npt.NDArray[np.bool_]
    Numbers = npt.NDArray[np.int64]

#: To be raised when anything else begins to matter to what is seen: older notes then count for
#: nothing, and their pictures are decided again.
SCHEME = 2
#: By how much two ways to compute one dot product of float32 unit vectors may differ, and more.
SLACK = 1e-5
#: References compared at a time, with the faces of some pictures: both bound memory.
BLOCK = 128
FACES = 8192
_HEADER = struct.Struct("<BxHIqqq8sI")
_REACH, _ROW, _VECTOR = np.dtype("<f4"), np.dtype("<i8"), np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where the changes of a collection were seen."""

    #: Highest row number.
    row: int
    #: Number of the last deletion.
    deletion: int


@dataclass(frozen=True, slots=True)
class Note:
    """What a look depended on."""

    #: Number of the collection.
    collection: int
    #: How many people every face was to show; another number, another look.
    people: int
    #: Digest of the engine's curve: by another one the same distances are other similarities.
    curve: bytes
    position: Position
    #: float32: distance of the farthest reference that each face looked at; infinite: all.
    reaches: bytes
    #: int64: row numbers that stand for who was among them.
    rows: bytes

    @classmethod
    def of(
        cls,
        collection: int,
        people: int,
        curve: str,
        position: Position,
        reaches: Sequence[float],
        rows: set[int],
    ) -> Note:
        """Note a look."""
        return cls(
            collection,
            people,
            _digest(curve),
            position,
            np.array(reaches, _REACH).tobytes(),
            np.array(sorted(rows), _ROW).tobytes(),
        )

    def pack(self) -> bytes:
        """As bytes, of the same length wherever it is read again."""
        faces = len(self.reaches) // _REACH.itemsize
        head = _HEADER.pack(
            SCHEME, self.people, faces, self.collection,
            self.position.row, self.position.deletion, self.curve, len(self.rows) // _ROW.itemsize,
        )  # fmt: skip
        return head + self.reaches + self.rows

    @classmethod
    def unpack(cls, data: bytes) -> Note | None:
        """Read what :meth:`pack` made; None if an older or a newer program made it."""
        if len(data) < _HEADER.size or data[0] != SCHEME:
            return None
        _, people, faces, collection, row, deletion, curve, count = _HEADER.unpack_from(data)
        middle = _HEADER.size + faces * _REACH.itemsize
        if len(data) != middle + count * _ROW.itemsize:
            return None
        reaches, rows = data[_HEADER.size : middle], data[middle:]
        return cls(collection, people, curve, Position(row, deletion), reaches, rows)

    def moved(self, position: Position) -> bytes:
        """The same, up to another position, packed."""
        return replace(self, position=position).pack()


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a picture, with its note."""

    asset_id: str
    version: int
    note: Note

    @property
    def faces(self) -> int:
        """How many there were."""
        return len(self.note.reaches) // _REACH.itemsize

    def is_of(self, version: int, vectors: bytes, dimensions: int) -> bool:
        """Whether it was a look at these faces."""
        same = self.faces * dimensions * _VECTOR.itemsize == len(vectors)
        return self.version == version and same


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a collection after some position, in its order."""

    #: Row number, first row of that person, vector of each face that was added and is there.
    added: Sequence[tuple[int, int, bytes]]
    #: Deletion number, row number, first row of that person, of each face that was deleted.
    departed: Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class _Looks:
    """Many notes at once, side by side."""

    notes: Sequence[Note]
    #: Unit vectors of all faces; which note each is of, and how alike a reference has to be.
    vectors: npt.NDArray[np.float32]
    face_of: Numbers
    least: npt.NDArray[np.float64]
    #: All row numbers, and which note each is of.
    rows: Numbers
    row_of: Numbers

    @classmethod
    def of(cls, notes: Sequence[Note], vectors: Sequence[bytes]) -> _Looks:
        """Lay the faces and rows of notes end to end; ``vectors``: those of each, end to end."""
        places = np.arange(len(notes))
        faces = [len(note.reaches) // _REACH.itemsize for note in notes]
        rows = [len(note.rows) // _ROW.itemsize for note in notes]
        reaches = np.frombuffer(b"".join(note.reaches for note in notes), _REACH)
        joined = np.frombuffer(b"".join(vectors), _VECTOR)
        return cls(
            notes,
            joined.reshape(len(reaches), -1) if len(reaches) else joined.reshape(0, 0),
            np.repeat(places, faces),
            1 - reaches.astype(np.float64) ** 2 / 2 - SLACK,
            np.frombuffer(b"".join(note.rows for note in notes), _ROW),
            np.repeat(places, rows),
        )

    def touched(self, changes: Changes) -> Flags:
        """Whether any of the changes touches each of the notes."""
        touched = np.zeros(len(self.notes), np.bool_)
        since = np.array([note.position.deletion for note in self.notes], np.int64)
        gone = {one: number for number, row, first in changes.departed for one in (row, first)}
        touched |= self._holds(gone, since)
        since = np.array([note.position.row for note in self.notes], np.int64)
        grown = {first: row for row, first, _ in changes.added}
        touched |= self._holds(grown, since)
        for start in range(0, len(changes.added), BLOCK):
            touched |= self._reaches(changes.added[start : start + BLOCK], since)
        return touched

    def _holds(self, changed: Mapping[int, int], since: Numbers) -> Flags:
        """Which notes hold a row that changed after them, by the number of its last change."""
        flags = np.zeros(len(self.notes), np.bool_)
        if not changed or not len(self.rows):
            return flags
        keys = np.array(sorted(changed), np.int64)
        last = np.array([changed[int(key)] for key in keys], np.int64)
        places = np.minimum(np.searchsorted(keys, self.rows), len(keys) - 1)
        later = (keys[places] == self.rows) & (last[places] > since[self.row_of])
        flags[self.row_of[later]] = True
        return flags

    def _reaches(self, added: Sequence[tuple[int, int, bytes]], since: Numbers) -> Flags:
        """Which notes have a face that reaches as far as one added after them."""
        flags = np.zeros(len(self.notes), np.bool_)
        if not len(self.face_of):
            return flags
        references = np.frombuffer(b"".join(vector for *_, vector in added), _VECTOR)
        with unthreaded():
            scores = self.vectors @ references.reshape(len(added), -1).T
        later = np.array([row for row, *_ in added]) > since[self.face_of][:, np.newaxis]
        near = ((scores >= self.least[:, np.newaxis]) & later).any(axis=1)
        flags[self.face_of[near]] = True
        return flags


def read(searches: Sequence[Noted], *, collection: int, people: int, curve: str) -> list[Look]:
    """Those of these looks that were made as they would be made now."""
    now = (collection, people, _digest(curve))
    notes = ((one, Note.unpack(one.note)) for one in searches)
    return [
        Look(one.asset_id, one.version, note)
        for one, note in notes
        if note and (note.collection, note.people, note.curve) == now
    ]


def since(looks: Sequence[Look], position: Position) -> list[Look]:
    """Those of these looks that had seen everything up to there."""
    return [
        look
        for look in looks
        if look.note.position.row >= position.row
        and look.note.position.deletion >= position.deletion
    ]


def oldest(looks: Sequence[Look]) -> Position:
    """From where on changes may matter to any of these, at least one."""
    return Position(
        min(look.note.position.row for look in looks),
        min(look.note.position.deletion for look in looks),
    )


def portions(looks: Sequence[Look]) -> Iterator[Sequence[Look]]:
    """All of these looks, those at so many faces at a time, or at a single picture."""
    start = faces = 0
    for end, look in enumerate(looks):
        if faces + look.faces > FACES and end > start:
            yield looks[start:end]
            start, faces = end, 0
        faces += look.faces
    yield looks[start:]


def unmoved(
    looks: Sequence[Look],
    kept: Mapping[str, tuple[int, bytes]],
    changes: Changes,
    position: Position,
    *,
    dimensions: int,
) -> dict[str, bytes]:
    """The notes of pictures that no change touches: as they are when all up to there was seen.

    ``kept``: version and vectors of each picture; where they are not those of the faces that were
    looked at, nobody knows. By asset_id.
    """
    sound = [look for look in looks if look.is_of(*kept.get(look.asset_id, (0, b"")), dimensions)]
    if not sound:
        return {}
    notes = [look.note for look in sound]
    touched = _Looks.of(notes, [kept[look.asset_id][1] for look in sound]).touched(changes)
    return {
        look.asset_id: look.note.moved(position)
        for look, moved in zip(sound, touched, strict=True)
        if not moved
    }


def _digest(curve: str) -> bytes:
    return hashlib.blake2b(curve.encode(), digest_size=8).digest()
