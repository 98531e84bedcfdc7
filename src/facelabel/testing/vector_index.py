"""Nearest neighbours without an index."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.gallery.ports import TemplateRows


class MemoryIndex:
    """Nearest neighbours by looking at every vector."""

    def __init__(self, templates: TemplateRows) -> None:
        """Search the vectors of ``templates``."""
        self._templates = templates

    def search(
        self,
        collection_id: int,
        vectors: Sequence[bytes],
        count: int,
        position: tuple[int, int] | None = None,  # noqa: ARG002 - nothing is ever behind
    ) -> Sequence[Sequence[tuple[int, float]]]:
        """See :class:`facelabel.gallery.ports.VectorIndex`."""
        rows = self._templates.vectors(collection_id, 0, 1 << 30)
        return [
            sorted(((row, _distance(vector, other)) for row, other in rows), key=lambda r: r[1])[
                :count
            ]
            for vector in vectors
        ]

    def size(self, collection_id: int) -> int:
        """See :class:`facelabel.gallery.ports.VectorIndex`."""
        return len(self._templates.vectors(collection_id, 0, 1 << 30))

    def drop(self, collection_id: int) -> None:
        """See :class:`facelabel.gallery.ports.VectorIndex`; nothing is derived here."""


def _distance(one: bytes, other: bytes) -> float:
    pairs = zip(struct.iter_unpack("<f", one), struct.iter_unpack("<f", other), strict=True)
    return math.sqrt(sum((a - b) ** 2 for (a,), (b,) in pairs))
