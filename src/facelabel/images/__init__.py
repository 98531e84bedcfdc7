"""Reading pictures: from bytes nobody vouches for to upright RGB, within fixed limits.

A file is recognised by its first bytes, never by its name, and goes to the one decoder of that
format: no other parser ever sees it. Size, memory and work are judged from the header, before
anything is decoded, and by the picture's own bytes: what lies behind them counts for nothing. A
file that lacks pixels is refused, not completed with grey; one that only lacks its end is read.

What a file is and how large it may be is known without Pillow; :mod:`~facelabel.images.decoding`
loads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from facelabel.images.formats import HEAD_BYTES, is_picture, is_raw

__all__ = ["HEAD_BYTES", "Limits", "is_picture", "is_raw"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is read."""

    #: Of the file.
    bytes: int = 50 << 20
    #: Of the picture. Formats that cannot be decoded at a reduced scale reach ``memory`` earlier:
    #: 168 megapixels in PNG and TIFF, 105 in HEIC, 64 in AVIF, 49 in WebP, 60 and less with
    #: transparency; a JPEG with several scans 120.
    pixels: int = 200_000_000
    #: Pixels of the longer side.
    side: int = 65_535
    #: Bytes that decoding may take, estimated from the header.
    memory: int = 840_000_000
    #: Pixels decoded over all scans of a progressive JPEG, which may hold thousands of them; also
    #: of one inside a TIFF.
    work: int = 3_000_000_000
