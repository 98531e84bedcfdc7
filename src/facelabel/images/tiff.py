"""Directories of a TIFF: which of its pictures is the picture, and whether it is a camera's raw.

Most raw formats are TIFFs whose first directory is a small preview; what the sensor saw is in a
directory below it. Read as an ordinary TIFF such a file would pass for its thumbnail.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from facelabel.errors import UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _MAKE = 254, 256, 257, 258, 262, 271
_SAMPLES, _SUBDIRECTORIES, _SAMPLE_FORMAT, _DNG_VERSION = 277, 330, 339, 50706
#: Offsets and sizes of strips, of tiles, and of the one stream of old JPEGs.
_STRIPS, _TILES, _STREAM = (273, 279), (324, 325), (513, 514)
_PIECES = (_STRIPS, _TILES)
_EXIF, _PLACE, _INTEROPERABILITY = 34665, 34853, 40965
_WANTED = frozenset(
    [
        *chain.from_iterable(_PIECES),
        _EXIF,
        _PLACE,
        _INTEROPERABILITY,
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
#: Bytes and letter of each type of whole numbers, text included.
_TYPES: Mapping[int, tuple[int, str]] = {
    1: (1, "B"),
    2: (1, "B"),
    3: (2, "H"),
    4: (4, "I"),
    6: (1, "b"),
    8: (2, "h"),
    9: (4, "i"),
    13: (4, "I"),
    16: (8, "Q"),
}
#: Bytes of each type of which a decoder makes numbers, fractions included.
_NUMBERS: Mapping[int, int] = {
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}
#: Directories of a file, tags of a page, values of a tag that are looked at.
_DIRECTORIES, _TAGS, _VALUES = 100, 1000, 64
#: Bytes before the first directory.
_HEADER = 8
#: Tags that a directory can have.
_ALL_TAGS = 1 << 16
#: Numbers of a directory, of which the largest palette has 196,608; and strips or tiles.
_MOST_NUMBERS, _MOST_PIECES = 1 << 18, 1 << 18
#: Pixels of the smallest tile's side.
_TILE = 16
#: What begins a scan of a JPEG.
_SCAN = b"\xff\xda"
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


class Place(Enum):
    """Where a directory is found."""

    FIRST = auto()
    #: Behind another page.
    PAGE = auto()
    #: Below a page, with a picture of its own.
    BELOW = auto()
    #: Below the first page; of other pages a decoder never reads it.
    EXIF = auto()
    #: The rest of the first page's metadata.
    METADATA = auto()


#: What has no picture, and a decoder unpacks all of it.
_UNPACKED = frozenset({Place.EXIF, Place.METADATA})
#: Directories that each leads to, by the tag that says where; what is first is read first.
_BELOW: Mapping[Place, Mapping[int, Place]] = {
    Place.FIRST: {_EXIF: Place.EXIF, _PLACE: Place.METADATA},
    Place.EXIF: {_INTEROPERABILITY: Place.METADATA},
}


@dataclass(frozen=True, slots=True)
class Directory:
    """What one directory says of its picture."""

    place: Place
    tags: Mapping[int, tuple[int, ...]]
    #: How many numbers a decoder makes of each tag's values.
    numbers: Mapping[int, int]
    #: Tags that it says to have.
    entries: int

    @property
    def is_metadata(self) -> bool:
        """Whether it hangs below a page without having a picture."""
        return self.place in _UNPACKED

    @property
    def is_page(self) -> bool:
        """Whether it hangs below no other one."""
        return self.place in {Place.FIRST, Place.PAGE}

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
    def is_endless(self) -> bool:
        """Whether it has more numbers than a picture can need."""
        if self.is_metadata:
            return sum(self.numbers.values()) > _MOST_NUMBERS
        samples = self._number(_SAMPLES) or 1
        width, height = self._number(_WIDTH), self._number(_HEIGHT)
        strips = min(height * samples or 1, _MOST_PIECES)
        tiles = min((width // _TILE + 1) * (height // _TILE + 1) * samples, _MOST_PIECES)
        most = dict.fromkeys(_STRIPS, strips) | dict.fromkeys(_TILES, tiles)
        most |= dict.fromkeys((_EXIF, _PLACE), 1)
        others = sum(number for tag, number in self.numbers.items() if tag not in most)
        return (
            self.entries > _TAGS
            or others > _MOST_NUMBERS
            or any(self.numbers.get(tag, 0) > limit for tag, limit in most.items())
        )

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


def check_numbers(found: list[Directory], page: int) -> None:
    """UnreadableImage where what is read for a page takes far more memory than its bytes do."""
    pages = [each for each in found if each.is_page][: page + 1]
    if any(each.is_endless for each in found if each.is_metadata or each in pages):
        raise UnreadableImage(
            "the TIFF file has more strips, tiles or numbers than a picture needs"
        )


def scans(data: bytes, tags: Mapping[int, object]) -> int:
    """The most scans of any JPEG that is a strip or tile; ``tags`` as a decoder has read them.

    There may be fewer, but not more: whatever begins a scan is counted. UnreadableImage where
    pieces lie over each other, and each would have to be gone through.
    """
    found = {
        (at, min(size or len(data), max(0, len(data) - at)))
        for where, sizes in (_STRIPS, _TILES, _STREAM)
        for at, size in zip_longest(_all(tags, where), _all(tags, sizes), fillvalue=0)
    }
    if len(found) > 1 and sum(size for _, size in found) > len(data) * 2:
        raise UnreadableImage("the TIFF file is damaged (its strips lie over each other)")
    return max((data.count(_SCAN, at, at + size) for at, size in found), default=0)


def _all(tags: Mapping[int, object], tag: int) -> tuple[int, ...]:
    """The values of a tag, which a decoder may have read as anything."""
    values = tags.get(tag, ())
    values = values if isinstance(values, tuple) else (values,)
    return tuple(value for value in values if isinstance(value, int) and value >= 0)


def raw_format(found: list[Directory]) -> str:
    """The name of the raw format, "" for an ordinary TIFF.

    Ordinary ones may have smaller versions of their picture below it. A larger one means that the
    page is a preview of that.
    """
    first = next(iter(found), None)
    if first is None:
        return ""
    is_preview = any(not each.is_page and each.pixels > first.pixels for each in found)
    if not is_preview and not any(each.is_raw for each in found):
        return ""
    if _DNG_VERSION in first.tags:
        return "DNG"
    return next((name for maker, name in _MAKERS.items() if first.maker.startswith(maker)), "raw")


def main_page(found: list[Directory]) -> int:
    """The page that is the picture: the first one, unless that is a thumbnail of a later one."""
    pages = [each for each in found if each.is_page]
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
    waiting = [(_long(data, 4, order), Place.FIRST)]
    while waiting:
        at, place = waiting.pop(0)
        start = 0 if place in _UNPACKED else _HEADER  # nothing keeps metadata out of the header
        if at in seen or not start <= at < len(data):
            continue
        seen.add(at)
        found, following = _read(data, at, order, place)
        yield found
        waiting[:0] = [
            (below, kind)
            for tag, kind in _BELOW.get(place, {}).items()
            for below in found.tags.get(tag, ())
        ]
        if not found.is_metadata:
            waiting.append((following, Place.PAGE if found.is_page else Place.BELOW))
            waiting.extend((below, Place.BELOW) for below in found.tags.get(_SUBDIRECTORIES, ()))


def _read(data: bytes, at: int, order: str, place: Place) -> tuple[Directory, int]:
    """What a directory says, and where the next one is. Of a tag given twice the first counts."""
    count = int.from_bytes(data[at : at + 2], "little" if order == "<" else "big")
    looked_at = _ALL_TAGS if place in _UNPACKED else _TAGS
    tags: dict[int, tuple[int, ...]] = {}
    numbers: dict[int, int] = {}
    for start in range(at + 2, at + 2 + 12 * min(count, looked_at), 12):
        entry = data[start : start + 12]
        if len(entry) == 12:  # noqa: PLR2004 - of an entry
            tag, kind, values = struct.unpack(f"{order}HHI", entry[:8])
            if tag in _WANTED and kind in _TYPES and tag not in tags:
                tags[tag] = _values(data, start + 8, kind, values, order)
            if values * _NUMBERS.get(kind, len(data)) < len(data):  # or it is not read at all
                numbers[tag] = max(values, numbers.get(tag, 0))
    return Directory(place, tags, numbers, count), _long(data, at + 2 + 12 * count, order)


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
