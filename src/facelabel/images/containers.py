"""Files made of chunks: what is not needed for the pixels may be damaged, missing or left over.

PNG and WebP are sequences of chunks. A decoder refuses a file for a wrong checksum in its
metadata, for metadata that unpacks to more than it takes, or for a later frame that was cut off;
the picture is there nevertheless. Here such chunks are left out, and the rest is one whole file
again. Chunks of pixels are never judged: that is the decoder's business.
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
#: Bytes of a text or profile, unpacked, and of all of one file: Pillow takes so many, and 64 MB.
_TEXT, _TEXTS = 1 << 20, 16 << 20
_TEXT_CHUNKS = frozenset({b"iCCP", b"iTXt", b"tEXt", b"zTXt"})
#: May stand before the pixels or behind them.
_ANYWHERE = frozenset({b"eXIf", b"iTXt", b"tEXt", b"zTXt"})
#: Bytes before what a RIFF file's size counts, before its first chunk, before a chunk's content.
_RIFF_SIZE, _RIFF_START, _RIFF_CHUNK = 8, 12, 8
#: The first of these is the picture.
_FRAMES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
#: Chunks of one file: of a picture of 50 MB in pieces of 4 kB there are 12,000.
_CHUNKS = 50_000


def png(data: bytes) -> bytes:
    """The file up to its end, without what a decoder trips over beside pixels. UnreadableImage.

    Metadata behind the pixels is put before them, so that nobody decodes them to come by it.
    """
    ends = list(_without_large_texts(data))
    end = ends[-1][1] if ends else _PNG_START
    kept = [(start, stop) for start, stop, is_sound in ends if is_sound]
    ordered = _metadata_first(data, kept)
    if len(kept) == len(ends) and ordered == kept:
        return data[:end] if _is_last(data, ends) else data
    parts = [data[start:stop] for start, stop in ordered]
    rest = b"" if _is_last(data, ends) else data[end:]
    return b"".join((data[:_PNG_START], *parts, rest))


def _metadata_first(data: bytes, chunks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The chunks in another order: pixels, and what belongs to them, come last."""
    pixels = next((start for start, _ in chunks if _name(data, start) == b"IDAT"), len(data))
    return sorted(
        chunks, key=lambda chunk: chunk[0] >= pixels and _name(data, chunk[0]) not in _ANYWHERE
    )


def _name(data: bytes, start: int) -> bytes:
    return data[start + 4 : start + 8]


def _is_last(data: bytes, ends: list[tuple[int, int, bool]]) -> bool:
    """Whether the last chunk is the one that ends a picture."""
    return bool(ends) and _name(data, ends[-1][0]) == b"IEND"


def _png_chunks(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Start, end and whether it may stay, of every chunk that is there as a whole."""
    at = _PNG_START
    for _ in range(_CHUNKS):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + _PNG_CHUNK + length
        if end > len(data):
            return
        name = _name(data, at)
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


def _without_large_texts(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """The chunks, of which texts and profiles may not stay that are too large when unpacked."""
    left = _TEXTS
    for start, end, is_sound in _png_chunks(data):
        name = _name(data, start)
        if not is_sound or name not in _TEXT_CHUNKS:
            yield start, end, is_sound
        elif left > 0:
            size = _text_size(name, data[start + 8 : end - 4])
            left -= min(size, _TEXT)
            yield start, end, size <= _TEXT
        else:  # not even unpacked
            yield start, end, False


def _text_size(name: bytes, content: bytes) -> int:
    """Bytes of a text or profile, unpacked; for what a decoder refuses, more than it takes."""
    text = content.partition(b"\0")[2]
    if name == b"iTXt" and text[:1] not in {b"", b"\0"}:
        packed = b"".join(text[2:].split(b"\0", 2)[2:])
    elif name in {b"iCCP", b"zTXt"}:
        packed = text[1:]
        if text[:1] != b"\0":  # packed in a way that nobody knows
            return _TEXTS
    else:
        return len(content)
    unpacker = zlib.decompressobj()
    try:
        return len(unpacker.decompress(packed, _TEXT)) + len(unpacker.unconsumed_tail)
    except zlib.error:  # the decoder does without it, too
        return len(content)


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


#: Of each format whether a file reaches as far as it says; a guess, quickly made.
REACHES: Mapping[str, Callable[[bytes], bool]] = {
    "AVIF": _boxes_end,
    "BMP": _bmp_ends,
    "GIF": _gif_ends,
    "HEIC": _boxes_end,
    "PNG": _png_ends,
    "TIFF": tiff.reaches,
}
