"""Pictures decoded, with their pixels as an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel.images import decoding

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from facelabel.images import Limits


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture."""

    #: RGB, perhaps reduced.
    image: Image.Image
    #: Upright size of the original, in pixels.
    width: int
    height: int

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Height x width x 3: a copy of :attr:`image`."""
        return np.asarray(self.image)


def decode(
    data: bytes, limits: Limits, *, max_side: int | None = decoding.DEFAULT_MAX_SIDE
) -> Picture:
    """Decode as :func:`facelabel.images.decoding.decode` does; UnreadableImage."""
    upright, (width, height) = decoding.decode(data, limits, max_side=max_side)
    return Picture(upright, width, height)
