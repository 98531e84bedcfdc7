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
    "fill_bytes.jpg": "damaged or incomplete",
    "fill_bytes_before_a_frame.jpg": "too many bytes between its segments",
    "exif_in_pieces.jpg": "Exif metadata without end",
    "strips.tif": "more strips, tiles or numbers than a picture needs",
    "tiles.tif": "more strips, tiles or numbers than a picture needs",
    "bits.tif": "more strips, tiles or numbers than a picture needs",
    "exif.tif": "more strips, tiles or numbers than a picture needs",
    "place.tif": "more strips, tiles or numbers than a picture needs",
    "exif_in_the_header.tif": "more strips, tiles or numbers than a picture needs",
    "tags.tif": "more strips, tiles or numbers than a picture needs",
    "exif.png": "8 4",
    "texts.png": "8 4",
}
#: Numbers of two bytes, of which Pillow makes an object each.
_MANY: Final = 500_000
#: Where the parts of a TIFF begin that are no directory.
BEHIND: Final = 16_384
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


def png(
    width: int, height: int, depth: int, colour: int, pixels: bytes, *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG as its header says, whatever the pixels are; ``more``: chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), *more, (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _grey_and_alpha() -> bytes:
    """16 bits of grey, which get brighter to the right, and 16 of opacity."""
    row = b"\0" + b"".join(struct.pack(">HH", x * 600, 65_535) for x in range(109))
    return png(109, 96, 16, 4, zlib.compress(row * 96))


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


def tiff(tags: Mapping[int, tuple[int, int, int]], *parts: bytes, following: int = 0) -> bytes:
    """A TIFF of one directory: type, number and value of each tag; ``parts`` begin at BEHIND."""
    entries = [struct.pack("<HHII", tag, *entry) for tag, entry in sorted(tags.items())]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(BEHIND, b"\0") + b"".join(parts)


def grey_page(**more: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    """Tags of 8 x 8 pixels of grey, which are at BEHIND; ``more``: by number, t273=(3, 1, 8)."""
    values = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: BEHIND, 277: 1, 278: 8, 279: 64}
    page = {tag: (4, 1, value) for tag, value in values.items()}
    return page | {int(name[1:]): entry for name, entry in more.items()}


def _numbers(*tags: int) -> bytes:
    """A TIFF whose tags have very many numbers, all the same ones."""
    many = {f"t{tag}": (3, _MANY, BEHIND) for tag in tags}
    return tiff(grey_page(**many), b"\1\1" * _MANY)


def _numbers_below(tag: int) -> bytes:
    """A TIFF with a directory of metadata that has very many numbers."""
    at = BEHIND + 64
    below = struct.pack("<HHHIII", 1, 37_500, 3, _MANY, at + 18, 0)
    page = grey_page(**{f"t{tag}": (4, 1, at)})
    return tiff(page, bytes(64), below, b"\1\1" * _MANY)


def _numbers_in_the_header() -> bytes:
    """The same, whose directory begins with the last bytes of the header."""
    page = tiff(grey_page(t34665=(4, 1, 4)), bytes(64), b"\1\1" * _MANY)
    header = b"II*\0" + struct.pack("<IHII", 64, 3, _MANY, BEHIND + 64)
    return header.ljust(64, b"\0") + page[8 : BEHIND - 56] + page[BEHIND:]


def _exif(numbers: int) -> bytes:
    """Exif that has the orientation many times, first on its side."""
    start = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIII", 1, 0x0112, 3, numbers, 26, 0)
    return start + struct.pack(">HH", 6, 2000) * (numbers // 2)


def _grey_png(*more: tuple[bytes, bytes]) -> bytes:
    return png(8, 4, 8, 0, zlib.compress(bytes(9 * 4)), *more)


def _after_start(photo: Image.Image, more: bytes) -> bytes:
    """A JPEG with something between its first segment and the second."""
    data = _saved(photo, "JPEG")
    at = data.index(b"\xff\xdb")
    return data[:at] + more + data[at:]


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
    "bomb.png": lambda _: png(65_536, 65_536, 8, 2, zlib.compress(bytes(1000))),
    "bomb_of_zeros.png": lambda _: png(
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
    # What may go before a marker, but there is none.
    "fill_bytes.jpg": lambda _: b"\xff\xd8\xff" + b"\xff" * 4_000_000 + b"\0",
    "fill_bytes_before_a_frame.jpg": lambda photo: _after_start(photo, b"\xff" * 1_000_000),
    "exif_in_pieces.jpg": lambda photo: _after_start(
        photo, (b"\xff\xe1\1\x0cExif\0\0" + bytes(260)) * 19_000
    ),
    "strips.tif": lambda _: _numbers(273, 279),
    "tiles.tif": lambda _: _numbers(324, 325),
    "bits.tif": lambda _: _numbers(258),
    "exif.tif": lambda _: _numbers_below(34_665),
    "place.tif": lambda _: _numbers_below(34_853),
    "exif_in_the_header.tif": lambda _: _numbers_in_the_header(),
    "tags.tif": lambda _: tiff(dict.fromkeys(range(1, 1200), (3, 1, 1))),
    "exif.png": lambda _: _grey_png((b"eXIf", _exif(2 * _MANY))),
    "texts.png": lambda _: _grey_png(
        *[(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 3000
    ),
}
