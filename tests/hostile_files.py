"""Files made to break what reads pictures, and odd ones that have to be read."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final

import pillow_heif
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

#: What each file comes to: its upright size, or a part of the refusal.
EXPECTED: Final[Mapping[str, str]] = {
    "turned_6.jpg": "330 920",
    "turned_8.jpg": "330 920",
    "invalid_exif.jpg": "920 330",
    "print.jpg": "920 330",
    "photo.webp": "920 330",
    "animation.gif": "80 80",
    "animation.webp": "80 80",
    "transparent_animation.webp": "80 80",
    "16_bit_grey_alpha.png": "109 96",
    "truncated.jpg": "damaged or incomplete",
    "truncated_progressive.jpg": "damaged or incomplete",
    "truncated.png": "damaged or incomplete",
    "broken_data_stream.png": "damaged or incomplete",
    "corrupt_header.jpg": "damaged or incomplete",
    "cut_in_the_header.png": "damaged or incomplete",
    "drawing.svg": "not a picture",
    "bomb.gif": "too large",
    "bomb.png": "at most 200,000,000 pixels",
    "bomb_of_zeros.png": "at most 200,000,000 pixels",
    "bomb.jpg": "at most 200,000,000 pixels",
    "bomb.heic": "too much memory",
}
_SVG: Final = b"""<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>
"""


def write(folder: Path, photo: Image.Image) -> None:
    """Write them all, made of a photo where one is needed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in _MAKERS.items():
        (folder / name).write_bytes(make(photo))


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _turned(photo: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(photo, "JPEG", exif=exif)


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _frames(mode: str, count: int) -> Iterator[Image.Image]:
    """A square on its way through the picture."""
    for at in range(count):
        frame = Image.new(mode, (80, 80))
        frame.paste((200, 30, 30), (at, at, at + 30, at + 30))
        yield frame


def _animation(kind: str, mode: str, count: int) -> bytes:
    first, *others = _frames(mode, count)
    return _saved(first, kind, save_all=True, append_images=others, duration=40, loop=0)


def _png(width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
    """A PNG as its header says, whatever the pixels are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _grey_and_alpha() -> bytes:
    """16 bits of grey, which get brighter to the right, and 16 of opacity."""
    row = b"\0" + b"".join(struct.pack(">HH", x * 600, 65_535) for x in range(109))
    return _png(109, 96, 16, 4, zlib.compress(row * 96))


def _spoilt(photo: Image.Image) -> bytes:
    """A PNG in whose pixels a piece is overwritten."""
    data = bytearray(_saved(photo, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    return bytes(data)


def _claiming(data: bytes, marker: bytes, offset: int, sizes: bytes) -> bytes:
    """A file whose header tells other sizes than its own."""
    at = data.index(marker) + offset
    return data[:at] + sizes + data[at + len(sizes) :]


def _heic(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(photo.resize((64, 64))).save(file)
    return file.getvalue()


def _gif_bomb() -> bytes:
    """A few bytes that claim 65,535 x 66,601 pixels: the picture sticks out of its screen."""
    size = struct.pack("<HH", 65_535, 65_535)
    screen = b"GIF89a" + size + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    place = b"," + struct.pack("<HH", 0, 1066) + size + b"\0"
    return screen + place + b"\x02\x03\x44\x01\x05\0" + b";"


_MAKERS: Final[Mapping[str, Callable[[Image.Image], bytes]]] = {
    "turned_6.jpg": lambda photo: _turned(photo, 6),
    "turned_8.jpg": lambda photo: _turned(photo, 8),
    "invalid_exif.jpg": lambda photo: _saved(
        photo, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    ),
    "print.jpg": lambda photo: _saved(photo.convert("CMYK"), "JPEG"),
    "photo.webp": lambda photo: _saved(photo, "WEBP"),
    "animation.gif": lambda _: _animation("GIF", "RGB", 30),
    "animation.webp": lambda _: _animation("WEBP", "RGB", 9),
    "transparent_animation.webp": lambda _: _animation("WEBP", "RGBA", 42),
    "16_bit_grey_alpha.png": lambda _: _grey_and_alpha(),
    "truncated.jpg": lambda photo: _cut(_saved(photo, "JPEG"), 0.2),
    "truncated_progressive.jpg": lambda photo: _cut(_saved(photo, "JPEG", progressive=True), 0.7),
    "truncated.png": lambda photo: _cut(_saved(photo, "PNG"), 0.3),
    "broken_data_stream.png": _spoilt,
    "corrupt_header.jpg": lambda photo: _saved(photo, "JPEG")[:60] + b"\xff\xdb\0\x02" * 150,
    "cut_in_the_header.png": lambda photo: _saved(photo, "PNG")[:40],
    "drawing.svg": lambda _: _SVG,
    "bomb.gif": lambda _: _gif_bomb(),
    "bomb.png": lambda _: _png(65_536, 65_536, 8, 2, zlib.compress(bytes(1000))),
    "bomb_of_zeros.png": lambda _: _png(
        40_000, 10_000, 1, 0, zlib.compress(bytes(5001 * 10_000), 1)
    ),
    # The frame of a JPEG says height and width five bytes after its marker.
    "bomb.jpg": lambda photo: _claiming(
        _saved(photo, "JPEG"), b"\xff\xc0", 5, struct.pack(">HH", 14_000, 20_000)
    ),
    # So does the spatial extent of a HEIC, eight after its name.
    "bomb.heic": lambda photo: _claiming(
        _heic(photo), b"ispe", 8, struct.pack(">II", 20_000, 10_000)
    ),
}
