"""What a file is, told by its first bytes; what is not read is called by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from facelabel.errors import UnreadableImage
from facelabel.images import tiff

if TYPE_CHECKING:
    from collections.abc import Mapping

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
