"""Directories of a TIFF: which of its pictures is the picture, and whether it is a camera's raw.

Most raw formats are TIFFs whose first directory is a small preview; what the sensor saw is in a
directory below it. Read as an ordinary TIFF such a file would pass for its thumbnail.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _MAKE = 254, 256, 257, 258, 262, 271
_SAMPLES, _SUBDIRECTORIES, _SAMPLE_FORMAT, _DNG_VERSION = 277, 330, 339, 50706
#: Offsets and sizes of strips, and of tiles.
_PIECES = ((273, 279), (324, 325))
_WANTED = frozenset(
    [
        *chain.from_iterable(_PIECES),
        _SUBFILE_TYPE,
        _WIDTH,
        _HEIGHT,
        _BITS,
        _PHOTOMETRIC,
        _MAKE,
        _SAMPLES,
        _SUBDIRECTORIES,
        _SAMPLE_FORMAT,
        _DNG_VERSION,
    ]
)
#: Colour filter array, linear raw: pixels of a sensor.
_SENSOR = frozenset({32803, 34892})
_REDUCED, _FLOAT = 1, 3
#: Bytes and letter of each type of value that matters here: bytes, text, short, long, directory.
_TYPES: Mapping[int, tuple[int, str]] = {
    1: (1, "B"),
    2: (1, "B"),
    3: (2, "H"),
    4: (4, "I"),
    13: (4, "I"),
}
#: Directories of a file, tags of a directory, values of a tag that are looked at.
_DIRECTORIES, _TAGS, _VALUES = 100, 1000, 64
#: What the raw files of each maker are called.
_MAKERS: Mapping[bytes, str] = {
    b"CANON": "CR2",
    b"EASTMAN KODAK": "DCR",
    b"HASSELBLAD": "3FR",
    b"LEAF": "MOS",
    b"MAMIYA": "MEF",
    b"NIKON": "NEF",
    b"OLYMPUS": "ORF",
    b"PENTAX": "PEF",
    b"PHASE ONE": "IIQ",
    b"RICOH": "PEF",
    b"SAMSUNG": "SRW",
    b"SEIKO EPSON": "ERF",
    b"SONY": "ARW",
}


@dataclass(frozen=True, slots=True)
class Directory:
    """What one directory says of its picture."""

    tags: Mapping[int, tuple[int, ...]]
    #: Whether it hangs below another one, instead of being a page.
    is_below: bool

    @property
    def pixels(self) -> int:
        """Of its picture."""
        return self._number(_WIDTH) * self._number(_HEIGHT)

    @property
    def is_reduced(self) -> bool:
        """Whether it says to be a smaller version of another one."""
        return bool(self._number(_SUBFILE_TYPE) & _REDUCED)

    @property
    def is_raw(self) -> bool:
        """Whether it says to hold, or to belong to, what a sensor saw."""
        return self._number(_PHOTOMETRIC) in _SENSOR or _DNG_VERSION in self.tags

    @property
    def maker(self) -> bytes:
        """Of the camera, in capitals."""
        return bytes(value & 0xFF for value in self.tags.get(_MAKE, ())).upper()

    @property
    def samples(self) -> str:
        """What a pixel is made of, in words."""
        bits = max(self.tags.get(_BITS, (1,)))
        number = "floating-point number" if self._number(_SAMPLE_FORMAT) == _FLOAT else "number"
        return f"{self._number(_SAMPLES) or 1} x {bits}-bit {number}s"

    def _number(self, tag: int) -> int:
        return next(iter(self.tags.get(tag, ())), 0)


def directories(data: bytes) -> list[Directory]:
    """All pages and what hangs below them, as far as they can be read, 100 at most."""
    return list(islice(_walked(data), _DIRECTORIES))


def reaches(data: bytes) -> bool:
    """Whether the file has all strips and tiles, of many the last 64."""
    spans = (
        (at, size)
        for each in directories(data)
        for where, sizes in _PIECES
        for at, size in zip(each.tags.get(where, ()), each.tags.get(sizes, ()), strict=False)
    )
    return all(at + size <= len(data) for at, size in spans)


def raw_format(found: list[Directory]) -> str:
    """The name of the raw format, "" for an ordinary TIFF.

    Ordinary ones may have smaller versions of their picture below it. A larger one means that the
    page is a preview of that.
    """
    first = next(iter(found), None)
    if first is None:
        return ""
    is_preview = any(each.is_below and each.pixels > first.pixels for each in found)
    if not is_preview and not any(each.is_raw for each in found):
        return ""
    if _DNG_VERSION in first.tags:
        return "DNG"
    return next((name for maker, name in _MAKERS.items() if first.maker.startswith(maker)), "raw")


def main_page(found: list[Directory]) -> int:
    """The page that is the picture: the first one, unless that is a thumbnail of a later one."""
    pages = [each for each in found if not each.is_below]
    if not pages or not pages[0].is_reduced:
        return 0
    larger = (
        number
        for number, page in enumerate(pages)
        if not page.is_reduced and page.pixels > pages[0].pixels
    )
    return next(larger, 0)


def _walked(data: bytes) -> Iterator[Directory]:
    order = "<" if data[:1] == b"I" else ">"
    seen: set[int] = set()
    waiting = [(_long(data, 4, order), False)]
    while waiting:
        at, is_below = waiting.pop(0)
        if at in seen or not 8 <= at < len(data):  # noqa: PLR2004 - behind the header
            continue
        seen.add(at)
        tags, following = _read(data, at, order)
        yield Directory(tags, is_below)
        waiting.append((following, is_below))
        waiting.extend((below, True) for below in tags.get(_SUBDIRECTORIES, ()))


def _read(data: bytes, at: int, order: str) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of a directory that matter, and where the next directory is."""
    count = int.from_bytes(data[at : at + 2], "little" if order == "<" else "big")
    tags = {}
    for start in range(at + 2, at + 2 + 12 * min(count, _TAGS), 12):
        entry = data[start : start + 12]
        if len(entry) == 12:  # noqa: PLR2004 - of an entry
            tag, kind, values = struct.unpack(f"{order}HHI", entry[:8])
            if tag in _WANTED and kind in _TYPES:
                tags[tag] = _values(data, start + 8, kind, values, order)
    return tags, _long(data, at + 2 + 12 * count, order)


def _values(data: bytes, at: int, kind: int, count: int, order: str) -> tuple[int, ...]:
    """The last values of a tag, in which a file that was cut off is short."""
    size, letter = _TYPES[kind]
    if size * count > 4:  # noqa: PLR2004 - more than fits into the entry
        at = _long(data, at, order)
    at, count = at + size * max(0, count - _VALUES), min(count, _VALUES)
    found = data[at : at + size * count]
    return struct.unpack(f"{order}{len(found) // size}{letter}", found[: len(found) // size * size])


def _long(data: bytes, at: int, order: str) -> int:
    return int.from_bytes(data[at : at + 4], "little" if order == "<" else "big")
