"""What a file is, told by its bytes alone: its format, and of a JPEG which of them are the picture.

What is not read is called by its name. Telephones put a video, a gain map, depth or whole other
pictures behind a JPEG, and some leave out its end marker. So it is walked through the picture's own
segments and scans up to its end: bytes behind it are neither counted nor decoded, whatever they
look like. The walk reads no pixel. Where the end marker is missing it tells whether every scan has
begun; whether the last one is whole, the pixels have to show (:func:`jpeg_endings`).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.errors import UnreadableImage
from facelabel.images import tiff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: So many of a file's first bytes tell what it is.
HEAD_BYTES = 512
#: And so many name a file that is not read.
_NAME_BYTES = 8192
_READ = "JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF or BMP"
_SIGNATURES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM.{4}\0{4}", re.DOTALL),
    "WebP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II\*\0|MM\0\*"),
}
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
#: Raw formats of cameras; some begin as a TIFF does.
_RAW: Mapping[str, re.Pattern[bytes]] = {
    "CR2": re.compile(rb"(II\*\0|MM\0\*).{4}CR[\x02\x03]", re.DOTALL),
    "CR3": re.compile(rb".{4}ftypcrx ", re.DOTALL),
    "CRW": re.compile(rb"II.{4}HEAPCCDR", re.DOTALL),
    "IIQ": re.compile(rb"(II\*\0.{4})?IIIITwaR|(MM\0\*.{4})?MMMMRawT", re.DOTALL),
    "MRW": re.compile(rb"\0MR[MI]"),
    "ORF": re.compile(rb"IIR[OS]|MMOR"),
    "RAF": re.compile(rb"FUJIFILMCCD-RAW"),
    "RW2": re.compile(rb"IIU\0"),
    "X3F": re.compile(rb"FOVb"),
}
#: Other files that people take for pictures that are read.
_OTHERS: Mapping[str, re.Pattern[bytes]] = {
    "BigTIFF": re.compile(rb"II\+\0|MM\0\+"),
    "EPS": re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
    "ICO": re.compile(rb"\0\0[\x01\x02]\0[\x01-\x40]\0"),
    "JPEG 2000": re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG XR": re.compile(rb"II\xbc[\x00\x01]"),
    "OpenEXR": re.compile(rb"\x76\x2f\x31\x01"),
    "PDF": re.compile(rb"\s{0,16}%PDF-"),
    "PSD": re.compile(rb"8BPS"),
    "Radiance HDR": re.compile(rb"#\?R(ADIANC|GB)E"),
    # Before its first element there may be a declaration, comments, and a document type with
    # definitions of its own; each is gone through once, whatever follows.
    "SVG": re.compile(
        rb"(?:\xef\xbb\xbf)?"
        rb"(?:\s|<\?.*?>|<!--.*?-->|<!DOCTYPE\s+svg[^\[>]*+(?:\[[^\]]*+\]\s*+)?>)*+"
        rb"<(?:svg:)?svg[\s/>]",
        re.DOTALL,
    ),
    "a web page": re.compile(rb"(\xef\xbb\xbf)?\s{0,64}<(!doctype html|html)[\s>]", re.IGNORECASE),
    "a film (MP4, MOV)": re.compile(
        rb".{4}(ftyp(qt  |mp4|isom|iso\d|avc1|M4V |3gp)|moov|wide)", re.DOTALL
    ),
    "a film (AVI)": re.compile(rb"RIFF.{4}AVI ", re.DOTALL),
    "a film (Matroska, WebM)": re.compile(rb"\x1a\x45\xdf\xa3"),
    "a ZIP archive": re.compile(rb"PK\x03\x04"),
    "compressed by gzip": re.compile(rb"\x1f\x8b\x08"),
}
#: Marks the end of a JPEG.
JPEG_END = b"\xff\xd9"
#: The next marker, wherever it is. Not with its fill bytes: of a run of them that leads to none,
#: each would be tried as the first.
_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
#: The marker that is here, behind its fill bytes, of which none is given back.
_MARKER_HERE = re.compile(rb"\xff++([^\x00\xff])", re.DOTALL)
#: In entropy-coded data, where FF 00 is a byte of data and D0 to D7 only divide it.
_STOP = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_RESTARTS = tuple(bytes([0xFF, code]) for code in range(0xD0, 0xD8))
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
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
#: Pictures that jpeg_endings() yields.
JPEG_ENDINGS = 5


def recognised(data: bytes) -> str:
    """The format by its first bytes: "JPEG", "PNG" … UnreadableImage for any other."""
    raw = _matching(data, _RAW)
    if raw:
        raise _camera_raw(raw)
    name = _matching(data, _SIGNATURES) or _iso_format(data)
    if not name:
        other = _matching(data, _OTHERS)
        instead = f", but {other}" if other else ""
        raise UnreadableImage(f"the file is not a picture in {_READ}{instead}")
    return name


def is_picture(head: bytes) -> bool:
    """Whether the first :data:`HEAD_BYTES` of a file announce a picture that is read."""
    try:
        recognised(head)
    except UnreadableImage:
        return False
    return True


def is_raw(start: bytes) -> bool:
    """Whether a file is a camera's raw, as far as can be told from its first megabyte."""
    if _matching(start, _RAW):
        return True
    return _matching(start, _SIGNATURES) == "TIFF" and bool(
        tiff.raw_format(tiff.directories(start))
    )


def check_no_raw(found: list[tiff.Directory]) -> None:
    """UnreadableImage for the directories of a camera's raw file."""
    raw = tiff.raw_format(found)
    if raw:
        raise _camera_raw(raw)


def _camera_raw(name: str) -> UnreadableImage:
    kind = f" ({name})" if name != "raw" else ""
    return UnreadableImage(f"the file is a camera raw{kind}, which is not read: export it as JPEG")


def _matching(data: bytes, signatures: Mapping[str, re.Pattern[bytes]]) -> str:
    return next(
        (name for name, start in signatures.items() if start.match(data, 0, _NAME_BYTES)), ""
    )


def _iso_format(data: bytes) -> str:
    """What an ISO media file says it is, first and foremost and also."""
    if data[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = frozenset(data[at : at + 4] for at in range(8, end, 4))
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIF_BRANDS else ""


# ---- the structure of a JPEG


@dataclass(slots=True)
class JpegStructure:
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


def jpeg_structure(data: bytes) -> JpegStructure:
    """Walk through a picture; what makes no sense ends it. UnreadableImage where it never ends.

    The same for what would keep a decoder busy: Exif in too many pieces, bytes that mean nothing.
    """
    found = JpegStructure(end=len(data))
    at = 2
    for _ in range(_SEGMENTS):
        if found.scans:  # behind a scan only where the scan ends
            marker = _MARKER_HERE.match(data, at)
        else:
            marker = _MARKER.search(data, at)
            found.skipped += marker.start() - at if marker else 0
        if found.skipped > _SKIPPED:
            raise UnreadableImage("the JPEG file is damaged (too many bytes between its segments)")
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


def _after_segment(data: bytes, at: int, code: int, found: JpegStructure) -> int:
    """Where the next marker is looked for; 0 where this segment is none of the picture's."""
    length = int.from_bytes(data[at : at + 2], "big")
    content = data[at + 2 : at + length]
    if length < 2 or at + length > len(data):  # noqa: PLR2004 - its own two bytes
        return 0
    if code == _APP1 and content.startswith(_EXIF):
        found.exif_segments += 1
        found.exif_bytes += len(content)
        if found.exif_segments > _EXIF_SEGMENTS or found.exif_bytes > _EXIF_BYTES:
            raise UnreadableImage("the JPEG file has Exif metadata without end")
    if code in _FRAMES:
        found.frame, found.precision = code, content[0] if content else BITS
        found.known = {component: [None] * _COEFFICIENTS for component in content[6::3]}
    if code != _SOS:
        return at + length
    if not _read_scan(found, content):
        return 0
    found.last_scan = at + length
    stop = _STOP.search(data, found.last_scan)
    found.end = stop.start() if stop else len(data)
    return found.end


def _read_scan(found: JpegStructure, content: bytes) -> bool:
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


def jpeg_endings(data: bytes, found: JpegStructure) -> Iterator[bytes]:
    """The picture with an end marker, and before it each time other bytes in place of missing ones.

    Decoders fill in silently what is missing. If all of it is there, they never come to these
    bytes, and every picture is the same. If a part is missing, it is made of them.
    """
    own = data[: found.end].removesuffix(JPEG_END).rstrip(b"\xff")
    restart = _next_restart(own, found)
    for filling in _fillings():
        yield b"".join((own, filling, restart, filling, JPEG_END))


def _next_restart(own: bytes, found: JpegStructure) -> bytes:
    """The marker before which a decoder skips everything if the data ends at the last one."""
    last = max(_RESTARTS, key=lambda marker: own.rfind(marker, found.last_scan))
    if own.rfind(last, found.last_scan) < 0:
        return _RESTARTS[0]
    return _RESTARTS[(_RESTARTS.index(last) + 1) % len(_RESTARTS)]


def _fillings() -> Iterator[bytes]:
    """Zeros, and noise without markers: whatever bit is missing, it is not the same in all."""
    yield bytes(_FILLING)
    noise = random.Random(_FILLING)  # noqa: S311 - it only has to differ
    for _ in range(JPEG_ENDINGS - 1):
        yield bytes(noise.randrange(0xFF) for _ in range(_FILLING))
