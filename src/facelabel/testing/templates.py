"""Templates in dictionaries."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from facelabel.errors import NotFound, Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from facelabel.core.model import Analysis, Asset, EnrolledFace, Template


_FLOAT32 = 4  # bytes


@dataclasses.dataclass
class _Collection:
    number: int
    model: str
    dimensions: int
    rows: dict[int, tuple[EnrolledFace, Template, str]]
    #: Deletion number, row number, first row of the person.
    deletions: list[tuple[int, int, int]]


class MemoryTemplates:
    """Templates in dictionaries."""

    def __init__(self) -> None:
        """Start with no collection."""
        self._numbers = itertools.count(1)
        self._rows = itertools.count(1)
        self._collections: dict[str, _Collection] = {}
        self._kept: dict[str, tuple[int, str, Analysis]] = {}

    def create(self, collection: str, model: str, dimensions: int) -> None:
        """See :class:`facelabel.ports.Templates`."""
        if collection not in self._collections:
            number = next(self._numbers)
            self._collections[collection] = _Collection(number, model, dimensions, {}, [])

    def collections(self) -> Sequence[str]:
        """See :class:`facelabel.ports.Templates`."""
        return sorted(self._collections)

    def drop(self, collection: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._collections.pop(collection, None)

    def strangers(self, collection: str) -> int:
        """See :class:`facelabel.ports.Templates`."""
        found = self._collections.get(collection)
        return sum(face.asset_id is None for face, _, _ in found.rows.values()) if found else 0

    def supersede(self, collection: str, heir: str, *, lossy: bool) -> None:
        """See :class:`facelabel.ports.Templates`."""
        old, new = self._collections.get(collection), self._need(heir)
        if old is None:
            return
        theirs = [row for row in old.rows.values() if row[0].asset_id is None]
        if old.model == new.model:
            for face, template, digest in theirs:
                self.add(heir, face, template, digest)
        elif theirs and not lossy:
            raise Rejected(f"{len(theirs)} faces would be lost")
        self.drop(collection)

    def model(self, collection: str) -> str | None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._collections.get(collection)
        return found.model if found else None

    def collection_id(self, collection: str) -> int | None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._collections.get(collection)
        return found.number if found else None

    def users_id(self, collection: str) -> int | None:
        """See :class:`facelabel.ports.Templates`; there are no users here."""

    def add(self, collection: str, face: EnrolledFace, template: Template, digest: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._need(collection)
        if len(template.vector) != found.dimensions * _FLOAT32:
            raise ValueError(f"a vector of {collection!r} has {found.dimensions} dimensions")
        rows = found.rows
        if all(known.face_id != face.face_id for known, _, _ in rows.values()):
            rows[next(self._rows)] = (face, template, digest)

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._need(collection)
        people = {face.person for face, _, _ in found.rows.values()}
        first = self.first_rows(found.number, people)
        for row in [row for row, (face, _, _) in found.rows.items() if face.face_id in face_ids]:
            person = found.rows.pop(row)[0].person
            found.deletions.append((len(found.deletions) + 1, row, first.get(person, row)))

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """See :class:`facelabel.ports.Templates`."""
        known = [face for face, _, _ in self._need(collection).rows.values()]
        return iter([f for f in known if face_ids is None or f.face_id in face_ids])

    def vectors_of(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, bytes]:
        """See :class:`facelabel.ports.Templates`."""
        rows = self._need(collection).rows.values()
        return {face.face_id: t.vector for face, t, _ in rows if face.face_id in face_ids}

    def references(
        self, collection_id: int, people: Collection[str], most: int
    ) -> Mapping[str, Sequence[bytes]]:
        """See :class:`facelabel.ports.Templates`."""
        rows = self._numbered(collection_id).rows
        found = {
            person: [rows[row][1].vector for row in sorted(rows) if rows[row][0].person == person]
            for person in people
        }
        return {person: some for person, some in found.items() if 1 < len(some) <= most}

    def nameless(self, collection_id: int) -> int:
        """See :class:`facelabel.ports.Templates`."""
        rows = self._numbered(collection_id).rows.values()
        return sum(not face.person for face, *_ in rows)

    def labels(self, collection_id: int, rows: Sequence[int]) -> Mapping[int, EnrolledFace]:
        """See :class:`facelabel.ports.Templates`."""
        known = self._numbered(collection_id).rows
        return {row: known[row][0] for row in rows if row in known}

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See :class:`facelabel.ports.Templates`."""
        known = self._numbered(collection_id).rows
        return [(row, known[row][1].vector) for row in sorted(known) if row > after][:limit]

    def deleted(self, collection_id: int, after: int) -> Sequence[tuple[int, int]]:
        """See :class:`facelabel.ports.Templates`."""
        return [(number, row) for number, row, _ in self.departed(collection_id, after)]

    def departed(self, collection_id: int, after: int) -> Sequence[tuple[int, int, int | None]]:
        """See :class:`facelabel.ports.Templates`."""
        return [entry for entry in self._numbered(collection_id).deletions if entry[0] > after]

    def row_before(self, collection_id: int, newest: int) -> int:
        """See :class:`facelabel.ports.Templates`."""
        rows = sorted(self._numbered(collection_id).rows, reverse=True)
        return rows[newest] if newest < len(rows) else 0

    def position(self, collection_id: int) -> tuple[int, int]:
        """See :class:`facelabel.ports.Templates`."""
        found = self._numbered(collection_id)
        return max(found.rows, default=0), len(found.deletions)

    def first_rows(self, collection_id: int, people: Collection[str]) -> Mapping[str, int]:
        """See :class:`facelabel.ports.Templates`."""
        first: dict[str, int] = {}
        for row, (face, _, _) in sorted(self._numbered(collection_id).rows.items()):
            if face.person and face.person in people:
                first.setdefault(face.person, row)
        return first

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._kept[asset.asset_id] = (asset.version, model, analysis)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """See :class:`facelabel.ports.Templates`."""
        found = {i: self._kept[i] for i in asset_ids if i in self._kept}
        return {i: (version, seen) for i, (version, m, seen) in found.items() if m == model}

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """See :class:`facelabel.ports.Templates`."""
        return {
            asset_id: (version, b"".join(template.vector for template in seen.templates))
            for asset_id, (version, seen) in self.kept(asset_ids, model).items()
        }

    def discard(self, asset_id: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._kept.pop(asset_id, None)

    def _need(self, collection: str) -> _Collection:
        if collection not in self._collections:
            raise NotFound(f"there is no collection {collection!r}")
        return self._collections[collection]

    def _numbered(self, number: int) -> _Collection:
        nothing = _Collection(number, "", 0, {}, [])
        return next((c for c in self._collections.values() if c.number == number), nothing)
