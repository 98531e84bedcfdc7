"""Face engines for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs
from facelabel.images import Limits

if TYPE_CHECKING:
    from facelabel.core.model import Analysis, Face
    from facelabel.engine.models.model_store import ModelStore


class Remembering(Engine):
    """The real engine of a pack; it looks at each picture once, however often it is shown."""

    def __init__(self, store: ModelStore, name: str, *, max_faces: int = 100) -> None:
        """Load an installed pack."""
        pack = builtin_packs()[name]
        paths = store.paths(pack)
        super().__init__(
            pack, paths.detector, paths.embedders, limits=Limits(), max_faces=max_faces
        )
        self._seen: dict[bytes, Analysis] = {}

    def analyse(self, image: bytes) -> Analysis:
        """Return what was found the first time. Raises UnreadableImage."""
        if image not in self._seen:
            self._seen[image] = super().analyse(image)
        return self._seen[image]

    def faces(self, image: bytes) -> tuple[Face, ...]:
        """Return the faces of :meth:`analyse`. Raises UnreadableImage."""
        found = self.analyse(image)
        return (*(template.face for template in found.templates), *found.left_out)
