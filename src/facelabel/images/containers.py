"""Files made of chunks: what is not needed for the pixels may be damaged, missing or left over.

PNG and WebP are sequences of chunks. A decoder refuses a file for a wrong checksum in its
metadata, or for a later frame that was cut off; the picture is there nevertheless. Here such
chunks are left out, and the rest is one whole file again. Chunks of pixels are never judged: that
is the decoder's business.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from facelabel.errors import UnreadableImage
from facelabel.images import tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PNG_START = 8
#: Length, name and checksum of a chunk without content.
_PNG_CHUNK = 12
#: Bytes before what a RIFF file's size counts, before its first chunk, before a chunk's content.
_RIFF_SIZE, _RIFF_START, _RIFF_CHUNK = 8, 12, 8
#: The first of these is the picture.
_FRAMES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
#: Chunks of one file: of a picture of 50 MB in pieces of 4 kB there are 12,000.
_CHUNKS = 50_000


def png(data: bytes) -> bytes:
    """The file up to its end, without optional chunks that are damaged. UnreadableImage."""
    ends = list(_png_chunks(data))
    end = ends[-1][1] if ends else _PNG_START
    if all(is_sound for _, _, is_sound in ends):
        return data[:end] if _is_last(data, ends) else data
    parts = [data[start:stop] for start, stop, is_sound in ends if is_sound]
    rest = b"" if _is_last(data, ends) else data[end:]
    return b"".join((data[:_PNG_START], *parts, rest))


def _is_last(data: bytes, ends: list[tuple[int, int, bool]]) -> bool:
    """Whether the last chunk is the one that ends a picture."""
    return bool(ends) and data[ends[-1][0] + 4 : ends[-1][0] + 8] == b"IEND"


def _png_chunks(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Start, end and whether it may stay, of every chunk that is there as a whole."""
    at = _PNG_START
    for _ in range(_CHUNKS):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + _PNG_CHUNK + length
        if end > len(data):
            return
        name = data[at + 4 : at + 8]
        is_optional = bool(name[0] & 0x20)
        yield at, end, not is_optional or _checks(data, at, end)
        at = end
        if name == b"IEND":
            return
    raise UnreadableImage("the PNG file has chunks without end")


def _checks(data: bytes, start: int, end: int) -> bool:
    return (
        zlib.crc32(memoryview(data)[start + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]
    )


def webp(data: bytes) -> bytes:
    """The file with the size it has, up to the first later frame that is cut. UnreadableImage."""
    end = _webp_end(data)
    if end > len(data) + 1:  # pixels are missing
        return data
    size = (end - _RIFF_SIZE).to_bytes(4, "little")
    if data[4:8] == size and end == len(data):
        return data
    # A last chunk of an odd length may lack nothing but the byte that makes it even.
    return b"".join((data[:4], size, data[_RIFF_SIZE:end], bytes(max(0, end - len(data)))))


def _webp_end(data: bytes) -> int:
    """Where the file ends, by its chunks; beyond its bytes where one is missing that is needed."""
    announced = int.from_bytes(data[4:8], "little") + _RIFF_SIZE
    at, has_frame = _RIFF_START, False
    for _ in range(_CHUNKS):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + _RIFF_CHUNK + length
        if has_frame and (at >= announced or end > len(data) or not name):
            return at
        has_frame = has_frame or name in _FRAMES
        at = end + length % 2
        if at > len(data):
            return at
    raise UnreadableImage("the WebP file has chunks without end")


def seems_whole(name: str, data: bytes) -> bool:
    """Whether the file of that format reaches as far as it says; a guess, quickly made."""
    test = _REACHES.get(name)
    return test is None or test(data)


def _png_ends(data: bytes) -> bool:
    return _is_last(data, list(_png_chunks(data)))


def _gif_ends(data: bytes) -> bool:
    return data.rstrip(b"\0").endswith(b";")


def _bmp_ends(data: bytes) -> bool:
    return int.from_bytes(data[2:6], "little") <= len(data)


def _boxes_end(data: bytes) -> bool:
    """Whether the boxes of an ISO media file end where the file does."""
    at = 0
    for _ in range(_CHUNKS):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if at == len(data) or (size == 0 and at < len(data)):  # the last one may have no size
            return True
        if size < _RIFF_CHUNK or at + size > len(data):
            return False
        at += size
    return False


_REACHES: Mapping[str, Callable[[bytes], bool]] = {
    "AVIF": _boxes_end,
    "BMP": _bmp_ends,
    "GIF": _gif_ends,
    "HEIC": _boxes_end,
    "PNG": _png_ends,
    "TIFF": tiff.reaches,
}
