"""Templates in dictionaries, and what is kept of searched pictures."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from facelabel.core.model import EnrolledFace
from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.rekognition.types import FaceCollection, FaceRecord, Gallery, NewFace, Reference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from facelabel.core.model import Analysis, Asset

_FLOAT32 = 4  # bytes


@dataclasses.dataclass
class _Collection:
    number: int
    model: str
    dimensions: int
    rows: dict[int, NewFace] = dataclasses.field(default_factory=dict)
    #: Deletion number, row number, first row of the person.
    deletions: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)

    def first_row(self, row: int) -> int:
        """The lowest row number of the same person; of nobody, the row."""
        person = self.rows[row].person
        return min(r for r, new in self.rows.items() if new.person == person) if person else row


class MemoryTemplates:
    """Templates in dictionaries; there are no users here, and no tags."""

    def __init__(self) -> None:
        """Start with no collection."""
        self._numbers = itertools.count(1)
        self._rows = itertools.count(1)
        self._collections: dict[str, _Collection] = {}

    def create(
        self, collection: str, model: str, dimensions: int, tags: Mapping[str, str] | None = None
    ) -> FaceCollection:
        """See :class:`facelabel.gallery.ports.Templates`."""
        del tags
        if collection in self._collections:
            raise AlreadyExists(f"there is a collection {collection!r} already")
        self._collections[collection] = _Collection(next(self._numbers), model, dimensions)
        return FaceCollection(collection, model, faces=0, users=0, created_at=0.0)

    def find(self, collection: str) -> Gallery:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = self._need(collection)
        return Gallery(found.number, None, found.model)

    def names(self) -> Sequence[str]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        return sorted(self._collections)

    def drop(self, collection: str) -> None:
        """See :class:`facelabel.gallery.ports.Templates`."""
        self._need(collection)
        del self._collections[collection]

    def strangers(self, collection_id: int) -> int:
        """See :class:`facelabel.gallery.ports.Templates`."""
        return sum(new.asset_id is None for new in self._numbered(collection_id).rows.values())

    def supersede(self, collection: str, heir: str, *, lossy: bool) -> None:
        """See :class:`facelabel.gallery.ports.Templates`."""
        old, new = self._collections.get(collection), self._need(heir)
        if old is None:
            return
        theirs = [row for row in old.rows.values() if row.asset_id is None]
        if old.model == new.model:
            self.add(heir, theirs)
        elif theirs and not lossy:
            raise Rejected(f"{len(theirs)} faces would be lost")
        self.drop(collection)

    def add(self, collection: str, faces: Sequence[NewFace]) -> Sequence[FaceRecord]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = self._need(collection)
        known = {new.face_id: new for new in found.rows.values()}
        for face in faces:
            if len(face.template.vector) != found.dimensions * _FLOAT32:
                raise ValueError(f"a vector of {collection!r} has {found.dimensions} dimensions")
        for face in faces:
            if known.setdefault(face.face_id, face) is face:
                found.rows[next(self._rows)] = face
        return [_record(known[face.face_id], found.model) for face in faces]

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = self._need(collection)
        gone = [row for row, new in found.rows.items() if new.face_id in face_ids]
        first = {row: found.first_row(row) for row in gone}
        for row in gone:
            del found.rows[row]
            found.deletions.append((len(found.deletions) + 1, row, first[row]))

    def enrolled(
        self, collection_id: int, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        known = [_face(new) for new in self._numbered(collection_id).rows.values()]
        return iter([f for f in known if face_ids is None or f.face_id in face_ids])

    def references(
        self, collection_id: int, rows: Sequence[int]
    ) -> tuple[Mapping[int, Reference], tuple[int, int]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = self._numbered(collection_id)
        people = [new.person for new in found.rows.values()]
        known = {
            row: Reference(
                _face(found.rows[row]),
                found.first_row(row),
                has_others=people.count(found.rows[row].person) > 1,
            )
            for row in rows
            if row in found.rows
        }
        return known, self.position(collection_id)

    def vectors_of(
        self, collection_id: int, face_ids: Sequence[str]
    ) -> Mapping[str, tuple[int, bytes]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        rows = self._numbered(collection_id).rows.items()
        return {
            new.face_id: (row, new.template.vector) for row, new in rows if new.face_id in face_ids
        }

    def vectors_of_people(
        self, collection_id: int, people: Collection[str], most: int
    ) -> tuple[Mapping[str, Sequence[bytes]], tuple[int, int]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        rows = self._numbered(collection_id).rows
        found = {
            person: [
                rows[row].template.vector for row in sorted(rows) if rows[row].person == person
            ]
            for person in people
        }
        several = {person: some for person, some in found.items() if 1 < len(some) <= most}
        return several, self.position(collection_id)

    def nameless(self, collection_id: int) -> int:
        """See :class:`facelabel.gallery.ports.Templates`."""
        return sum(not new.person for new in self._numbered(collection_id).rows.values())

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        known = self._numbered(collection_id).rows
        return [(row, known[row].template.vector) for row in sorted(known) if row > after][:limit]

    def deletions(self, collection_id: int, after: int) -> Sequence[tuple[int, int, int | None]]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        return [entry for entry in self._numbered(collection_id).deletions if entry[0] > after]

    def row_before(self, collection_id: int, newest: int) -> int:
        """See :class:`facelabel.gallery.ports.Templates`."""
        rows = sorted(self._numbered(collection_id).rows, reverse=True)
        return rows[newest] if newest < len(rows) else 0

    def position(self, collection_id: int) -> tuple[int, int]:
        """See :class:`facelabel.gallery.ports.Templates`."""
        found = self._numbered(collection_id)
        return max(found.rows, default=0), len(found.deletions)

    def _need(self, collection: str) -> _Collection:
        if collection not in self._collections:
            raise NotFound(f"there is no collection {collection!r}")
        return self._collections[collection]

    def _numbered(self, number: int) -> _Collection:
        nothing = _Collection(number, "", 0)
        return next((c for c in self._collections.values() if c.number == number), nothing)


class MemoryProbes:
    """The faces of searched pictures in a dictionary."""

    def __init__(self) -> None:
        """Start with no picture."""
        self._kept: dict[str, tuple[int, str, Analysis]] = {}

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """See :class:`facelabel.gallery.ports.Probes`."""
        self._kept[asset.asset_id] = (asset.version, model, analysis)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """See :class:`facelabel.gallery.ports.Probes`."""
        found = {i: self._kept[i] for i in asset_ids if i in self._kept}
        return {i: (version, seen) for i, (version, m, seen) in found.items() if m == model}

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """See :class:`facelabel.gallery.ports.Probes`."""
        return {
            asset_id: (version, b"".join(template.vector for template in seen.templates))
            for asset_id, (version, seen) in self.kept(asset_ids, model).items()
        }

    def discard(self, asset_id: str) -> None:
        """See :class:`facelabel.gallery.ports.Probes`."""
        self._kept.pop(asset_id, None)


def _face(new: NewFace) -> EnrolledFace:
    return EnrolledFace(new.face_id, new.person, new.asset_id)


def _record(new: NewFace, model: str) -> FaceRecord:
    face = new.template.face
    return FaceRecord(
        new.face_id, new.digest, new.external_image_id, face.box, face.confidence, model
    )
