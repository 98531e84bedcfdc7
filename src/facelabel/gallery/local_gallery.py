"""What the pipeline's recogniser and Rekognition's endpoint share of the faces on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from facelabel.gallery.ports import FaceEngine, FaceStore, VectorIndex
    from facelabel.rekognition.types import FaceCollection


class LocalGallery:
    """An engine for each model, the collections, and the index over their vectors."""

    def __init__(
        self, engine: Callable[[str | None], FaceEngine], store: FaceStore, index: VectorIndex
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections."""
        self.engine = engine
        self._store = store
        self._index = index

    def create(self, collection: str, tags: Mapping[str, str] | None = None) -> FaceCollection:
        """Make an empty collection for the engine's present model; AlreadyExists."""
        engine = self.engine(None)
        return self._store.create(collection, engine.model, engine.dimensions, tags)

    def numbers(self, collection: str) -> Sequence[int]:
        """What the vectors of a collection are derived under; nothing without the collection."""
        try:
            return self._store.find(collection).numbers
        except NotFound:
            return ()

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; NotFound."""
        numbers = self._store.find(collection).numbers
        for number in numbers:  # first: once the number is gone, nobody finds its files
            self._index.drop(number)
        try:
            self._store.drop(collection)  # NotFound where another process was quicker
        finally:
            for number in numbers:  # again: a search in between may have made new ones
                self._index.drop(number)

    def erase(self, collection: str) -> None:
        """Erase what was deleted from what was derived of it, now and not with the next search."""
        for number in self.numbers(collection):
            self._index.search(number, (), 1)

    def nearest(
        self, model: str, number: int, vector: bytes, threshold: float, limit: int
    ) -> list[tuple[int, float]]:
        """Row numbers with their similarities, most similar first."""
        engine = self.engine(model)
        (near,) = self._index.search(number, [vector], limit)
        alike = ((row, engine.similarity(distance)) for row, distance in near)
        return [(row, similarity) for row, similarity in alike if similarity >= threshold]
