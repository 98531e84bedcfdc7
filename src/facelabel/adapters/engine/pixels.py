"""Pictures as the engine's networks take them: arrays of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facelabel import images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facelabel.images import Limits


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture."""

    #: Height x width x 3, RGB, perhaps reduced.
    pixels: NDArray[np.uint8]
    #: Upright size of the original, in pixels.
    width: int
    height: int


def decode(
    data: bytes, limits: Limits, *, max_side: int | None = images.DEFAULT_MAX_SIDE
) -> Picture:
    """Decode as :func:`facelabel.images.decode` does; UnreadableImage."""
    upright, (width, height) = images.decode(data, limits, max_side=max_side)
    return Picture(np.asarray(upright), width, height)
