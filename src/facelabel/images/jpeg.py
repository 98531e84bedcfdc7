"""What of a file is the JPEG picture itself, told marker by marker.

Telephones put a video, a gain map, depth or whole other pictures behind a JPEG, and some leave
out its end marker. So a file is walked through the picture's own segments and scans up to its end:
bytes behind it are neither counted nor decoded, whatever they look like.

The walk reads no pixel. Where the end marker is missing it tells whether every scan has begun;
whether the last one is whole, the pixels have to show (:func:`endings`).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.errors import UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from re import Match

_END = b"\xff\xd9"
#: The next marker, wherever it is. Not with its fill bytes: of a run of them that leads to none,
#: each would be tried as the first.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
#: The marker that is here, behind its fill bytes, of which none is given back.
_MARKER_HERE = re.compile(rb"\xff++([^\x00\xff])", re.DOTALL)
#: In entropy-coded data, where FF 00 is a byte of data and D0 to D7 only divide it.
_STOP = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_RESTARTS = tuple(bytes([0xFF, code]) for code in range(0xD0, 0xD8))
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
#: No length follows these.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
#: What may stand between two scans: tables, restart intervals, lines, comments, applications.
_BETWEEN = frozenset({0xC4, 0xCC, _SOS, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
#: Before the first scan also frames. Decoders know no others; Pillow looks for segments in them.
_BEFORE = _BETWEEN | _FRAMES | _ALONE
#: Segments of one picture; extended metadata of telephones has hundreds.
_SEGMENTS = 20_000
#: Bytes between them, which Pillow reads one by one.
_SKIPPED = 256 << 10
_EXIF = b"Exif\0\0"
#: Segments of Exif, which Pillow joins one by one, and bytes of them all. One is 64 kB at most, and
#: hardly any picture has two.
_EXIF_SEGMENTS, _EXIF_BYTES = 64, 1 << 20
#: Components of a scan.
_COMPONENTS = 4
_COEFFICIENTS = 64
#: Of a sample, as nearly all have them.
BITS = 8
#: Bytes that stand in for those that may be missing.
_FILLING = 96
#: Pictures that endings() yields.
ENDINGS = 5


@dataclass(slots=True)
class Structure:
    """What the markers of a JPEG say."""

    #: Where the picture's own bytes end, its end marker included.
    end: int = 0
    #: Whether it has an end marker.
    is_ended: bool = False
    #: Scans of entropy-coded data.
    scans: int = 0
    #: Where the last one begins.
    last_scan: int = 0
    #: Marker of the frame; 0 if there is none.
    frame: int = 0
    #: Bits of a sample.
    precision: int = BITS
    #: Bytes before the first scan that belong to no segment.
    skipped: int = 0
    #: Segments of Exif, and their bytes.
    exif_segments: int = 0
    exif_bytes: int = 0
    #: For each component the bit to which each coefficient is known; None where nothing came.
    known: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def has_every_part(self) -> bool:
        """Whether some scan speaks of every component."""
        return bool(self.known) and all(bits[0] is not None for bits in self.known.values())

    @property
    def is_refined(self) -> bool:
        """Whether some scan speaks of every coefficient that may come, down to its last bit."""
        return self.has_every_part and all(
            bit == 0 for bits in self.known.values() for bit in self._expected(bits)
        )

    def _expected(self, bits: Sequence[int | None]) -> Sequence[int | None]:
        return bits if self.frame in _PROGRESSIVE else bits[:1]


def structure(data: bytes) -> Structure:
    """Walk through a picture; what makes no sense ends it. UnreadableImage where it never ends.

    The same for what would keep a decoder busy: Exif in too many pieces, bytes that mean nothing.
    """
    found = Structure(end=len(data))
    at = 2
    for _ in range(_SEGMENTS):
        marker = _next_marker(data, at, found)
        if marker is None:
            return found
        code = marker[1][0]
        if code == _EOI:
            found.end, found.is_ended = marker.end(), True
            return found
        if code not in (_BETWEEN if found.scans else _BEFORE):
            return found
        at = marker.end() if code in _ALONE else _after_segment(data, marker.end(), code, found)
        if not at:
            return found
    raise UnreadableImage("the JPEG file has segments without end")


def _next_marker(data: bytes, at: int, found: Structure) -> Match[bytes] | None:
    """The next one; behind a scan only where the scan ends."""
    if found.scans:
        return _MARKER_HERE.match(data, at)
    marker = _MARKER.search(data, at)
    found.skipped += marker.start() - at if marker else 0
    if found.skipped > _SKIPPED:
        raise UnreadableImage("the JPEG file is damaged (too many bytes between its segments)")
    return marker


def _after_segment(data: bytes, at: int, code: int, found: Structure) -> int:
    """Where the next marker is looked for; 0 where this segment is none of the picture's."""
    length = int.from_bytes(data[at : at + 2], "big")
    content = data[at + 2 : at + length]
    if length < 2 or at + length > len(data):  # noqa: PLR2004 - its own two bytes
        return 0
    if code == _APP1 and content.startswith(_EXIF):
        _count_exif(found, content)
    if code in _FRAMES:
        _read_frame(found, code, content)
    if code != _SOS:
        return at + length
    if not _read_scan(found, content):
        return 0
    found.last_scan = at + length
    stop = _STOP.search(data, found.last_scan)
    found.end = stop.start() if stop else len(data)
    return found.end


def _count_exif(found: Structure, content: bytes) -> None:
    found.exif_segments += 1
    found.exif_bytes += len(content)
    if found.exif_segments > _EXIF_SEGMENTS or found.exif_bytes > _EXIF_BYTES:
        raise UnreadableImage("the JPEG file has Exif metadata without end")


def _read_frame(found: Structure, code: int, content: bytes) -> None:
    found.frame, found.precision = code, content[0] if content else BITS
    found.known = {component: [None] * _COEFFICIENTS for component in content[6::3]}


def _read_scan(found: Structure, content: bytes) -> bool:
    """Note what a scan brings; whether it can be one of this picture."""
    components = content[1:-3:2]
    number = len(components)
    if not 0 < number <= _COMPONENTS or len(content) != 4 + 2 * number or content[0] != number:
        return False
    if not found.known.keys() >= set(components):
        return False
    found.scans += 1
    first, last, bit = content[-3], content[-2], content[-1] & 0x0F
    if found.frame not in _PROGRESSIVE:
        first, last, bit = 0, 0, 0
    for component in components:
        for coefficient in range(first, min(last + 1, _COEFFICIENTS)):
            found.known[component][coefficient] = bit
    return True


def endings(data: bytes, found: Structure) -> Iterator[bytes]:
    """The picture with an end marker, and before it each time other bytes in place of missing ones.

    Decoders fill in silently what is missing. If all of it is there, they never come to these
    bytes, and every picture is the same. If a part is missing, it is made of them.
    """
    own = data[: found.end].removesuffix(_END).rstrip(b"\xff")
    restart = _next_restart(own, found)
    for filling in _fillings():
        yield b"".join((own, filling, restart, filling, _END))


def _next_restart(own: bytes, found: Structure) -> bytes:
    """The marker before which a decoder skips everything if the data ends at the last one."""
    last = max(_RESTARTS, key=lambda marker: own.rfind(marker, found.last_scan))
    if own.rfind(last, found.last_scan) < 0:
        return _RESTARTS[0]
    return _RESTARTS[(_RESTARTS.index(last) + 1) % len(_RESTARTS)]


def _fillings() -> Iterator[bytes]:
    """Zeros, and noise without markers: whatever bit is missing, it is not the same in all."""
    yield bytes(_FILLING)
    noise = random.Random(_FILLING)  # noqa: S311 - it only has to differ
    for _ in range(ENDINGS - 1):
        yield bytes(noise.randrange(0xFF) for _ in range(_FILLING))


def ended(data: bytes, found: Structure) -> bytes:
    """The picture's own bytes, with an end marker."""
    if found.end == len(data) and found.is_ended:
        return data
    return data[: found.end] if found.is_ended else data[: found.end] + _END
