"""The most that is read, and the memory that decoding takes: had by only so many at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image

from facelabel.errors import UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import ImageFile

    from facelabel.images import Limits

_TILE_WIDTH, _TILE_LENGTH = 322, 323
#: Bytes a pixel takes in the decoder itself, beside Pillow's image (measured, rounded up).
_DECODER_BYTES = {"AVIF": 8, "HEIC": 3, "WebP": 12}
#: Bytes a pixel takes in Pillow, conversion to a mode that can be reduced included (measured).
_MODE_BYTES = {"1": 6, "L": 2, "P": 7, "I": 16, "F": 16, "I;16": 5, "I;16B": 5, "I;16L": 5}
_COLOUR_BYTES, _TRANSPARENT_BYTES = 5, 14
#: And before any conversion.
_PILLOW_BYTES = 4
#: What returning every pixel adds.
_FULL_BYTES = 8
#: Coefficients of a JPEG with several scans are all kept until the last one.
_COEFFICIENT_BYTES = 7
# Pieces of pixels in which Pillow asks for memory: of 16 MB, as it has them otherwise, many stay
# for good with each thread that ever decoded a large picture; these go back to the system.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined] # documented, not exported
#: Bytes for all pictures that are decoded at the same time: one of the largest, or many others.
_MEMORY = 1 << 30


class MemoryBudget:
    """Memory for work that threads do at the same time: who finds none left waits for it."""

    def __init__(self, size: int) -> None:
        """``size``: bytes for all together."""
        self._size = self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have so many bytes meanwhile, or all there are where that is less."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: size <= self._left)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


#: What all decoding of this process shares.
room = MemoryBudget(_MEMORY)


def checked(
    name: str,
    image: ImageFile.ImageFile,
    scans: int,
    limits: Limits,
    *,
    full: bool,
    times: int = 1,
) -> int:
    """Refuse what is over a limit; return the bytes that decoding takes.

    ``scans``: how often each pixel is gone through. ``full``: whether all pixels are returned;
    ``times``: how often the picture is decoded.
    """
    width, height = image.size
    pixels = width * height
    if max(image.size) > limits.side or pixels > limits.pixels:
        raise UnreadableImage(
            f"the picture has {width:,} x {height:,} pixels; at most {limits.pixels:,} pixels,"
            f" {limits.side:,} on a side, are read"
        )
    memory = pixels * _FULL_BYTES * full + _needed(name, image, scans)
    if memory > limits.memory or pixels * scans * times > limits.work:
        raise UnreadableImage(
            f"the {name} picture of {width:,} x {height:,} pixels takes too much memory or time"
            " to be read; save it smaller, or as a plain JPEG"
        )
    return memory


def pixel_bytes(image: ImageFile.ImageFile) -> int:
    """The bytes of the pixels alone at the scale that was chosen."""
    return image.width * image.height * _PILLOW_BYTES


def _needed(name: str, image: ImageFile.ImageFile, scans: int) -> int:
    """Estimate the bytes that decoding takes at its peak, up to the reduced picture."""
    pixels = image.width * image.height
    if name == "JPEG":
        # It is decoded at a reduced scale; only coefficients are ever kept at the full one.
        return pixels * _COEFFICIENT_BYTES if scans > 1 else 0
    if name == "TIFF":
        pixels = max(pixels, _tile_pixels(image))
    mode = _MODE_BYTES.get(image.mode, _COLOUR_BYTES)
    if image.has_transparency_data:
        mode = _TRANSPARENT_BYTES
    return pixels * (mode + _DECODER_BYTES.get(name, 0))


def _tile_pixels(image: ImageFile.ImageFile) -> int:
    """Return the size of a TIFF's tile, which may be far larger than its picture."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))
