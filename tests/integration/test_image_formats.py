"""What is no picture that we read: told by content, and called by its name."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from facelabel.errors import UnreadableImage
from facelabel.images import Limits
from facelabel.images.decoding import decode, inspect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Requirement = tuple[int, tuple[int, ...] | bytes]


def picture(width: int, height: int) -> Image.Image:
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


class Tiff:
    """A TIFF made directory by directory, as cameras do."""

    def __init__(self, order: str = "<") -> None:
        """``order``: "<" or ">"."""
        self.order = order
        self.data = bytearray(b"II*\0" if order == "<" else b"MM\0*") + bytes(4)

    def add(self, content: bytes) -> int:
        self.data += bytes(len(self.data) % 2)
        self.data += content
        return len(self.data) - len(content)

    def directory(self, tags: Mapping[int, tuple[int, ...] | bytes], following: int = 0) -> int:
        """Append a directory of LONG values and texts; return where it is."""
        entries = [self._entry(tag, value) for tag, value in sorted(tags.items())]
        number = struct.pack(f"{self.order}H", len(entries))
        end = struct.pack(f"{self.order}I", following)
        return self.add(number + b"".join(entries) + end)

    def _entry(self, tag: int, value: tuple[int, ...] | bytes) -> bytes:
        if isinstance(value, bytes):
            kind, number, content = 2, len(value), value
        else:
            kind, number = 4, len(value)
            content = struct.pack(f"{self.order}{number}I", *value)
        if len(content) > 4:
            content = struct.pack(f"{self.order}I", self.add(content))
        return struct.pack(f"{self.order}HHI", tag, kind, number) + content.ljust(4, b"\0")

    def page(self, image: Image.Image, **more: tuple[int, ...] | bytes) -> dict[int, object]:
        """Tags of an uncompressed picture; ``more``: by number, t271=b"Nikon"."""
        content = image.tobytes()
        return {
            256: (image.width,),
            257: (image.height,),
            258: (8, 8, 8),
            259: (1,),
            262: (2,),
            273: (self.add(content),),
            277: (3,),
            278: (image.height,),
            279: (len(content),),
            **{int(name[1:]): value for name, value in more.items()},
        }

    def file(self, first: int) -> bytes:
        return bytes(self.data[:4]) + struct.pack(f"{self.order}I", first) + bytes(self.data[8:])


def raw_like(order: str, below: Mapping[str, object], page: Mapping[str, object]) -> bytes:
    """A small preview, and below it what the sensor saw."""
    tiff = Tiff(order)
    full = tiff.directory(tiff.page(picture(320, 240), **below))  # type: ignore[arg-type]
    preview = tiff.page(picture(160, 120), t330=(full,), **page)  # type: ignore[arg-type]
    return tiff.file(tiff.directory(preview))  # type: ignore[arg-type]


RAW: Mapping[str, tuple[str, Mapping[str, object], Mapping[str, object]]] = {
    "(NEF)": (
        ">",
        {"t254": (0,), "t262": (32803,)},
        {"t271": b"NIKON CORPORATION\0", "t254": (1,)},
    ),
    "(NEF) ": ("<", {"t254": (0,)}, {"t271": b"Nikon\0", "t254": (0,)}),
    "(ARW)": ("<", {"t262": (32803,)}, {"t271": b"SONY\0"}),
    "(PEF)": (">", {}, {"t271": b"PENTAX Corporation\0"}),
    "(DNG)": ("<", {"t262": (34892,)}, {"t50706": b"\1\4\0\0", "t254": (1,)}),
    "camera raw, which": ("<", {"t254": (0,)}, {}),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_file_is_not_taken_for_its_preview(name: str) -> None:
    for read in (inspect, decode):
        with pytest.raises(UnreadableImage, match=r"camera raw.*export it as JPEG") as refusal:
            read(raw_like(*RAW[name]), Limits())
        assert name.strip() in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("CR2", b"II*\0\x10\0\0\0CR\2\0"),
        ("CR3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"),
        ("CRW", b"II\x1a\0\0\0HEAPCCDR"),
        ("RAF", b"FUJIFILMCCD-RAW 0201FF"),
        ("RW2", b"IIU\0\x18\0\0\0"),
        ("ORF", b"IIRO\x08\0\0\0"),
        ("ORF", b"MMOR\0\0\0\x08"),
        ("MRW", b"\0MRM\0\1"),
        ("X3F", b"FOVb\0\0\2\0"),
        ("IIQ", b"II*\0\x08\0\0\0IIIITwaR"),
        ("IIQ", b"MMMMRawT"),
    ],
)
def test_raw_files_with_a_beginning_of_their_own(name: str, start: bytes) -> None:
    with pytest.raises(UnreadableImage, match=rf"camera raw \({name}\), .* export it as JPEG"):
        inspect(start + bytes(1000), Limits())


def test_a_sensors_pixels_in_the_first_directory_are_raw() -> None:
    tiff = Tiff()
    page = tiff.page(picture(320, 240), t262=(32803,), t271=b"PENTAX\0")
    with pytest.raises(UnreadableImage, match=r"camera raw \(PEF\)"):
        inspect(tiff.file(tiff.directory(page)), Limits())  # type: ignore[arg-type]


class TestOrdinaryTiffs:
    """Directories below or behind the picture do not make it raw."""

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_a_pyramid(self, order: str) -> None:
        tiff = Tiff(order)
        smaller = [
            tiff.directory(tiff.page(picture(*size), t254=(1,)))  # type: ignore[arg-type]
            for size in ((160, 120), (80, 60))
        ]
        page = tiff.page(picture(320, 240), t330=tuple(smaller))
        data = tiff.file(tiff.directory(page))  # type: ignore[arg-type]

        assert inspect(data, Limits()) == ("tif", 320, 240)
        assert decode(data, Limits())[0].size == (320, 240)

    @pytest.mark.parametrize("sizes", [[(160, 120), (320, 240)], [(320, 240), (160, 120)]])
    def test_pages(self, sizes: Sequence[tuple[int, int]]) -> None:
        file = io.BytesIO()
        first, *more = (picture(*size) for size in sizes)
        first.save(file, "TIFF", save_all=True, append_images=more)

        assert inspect(file.getvalue(), Limits())[1:] == sizes[0]

    def test_a_page_that_says_to_be_a_thumbnail_of_the_next(self) -> None:
        tiff = Tiff()
        second = tiff.directory(tiff.page(picture(320, 240)))  # type: ignore[arg-type]
        first = tiff.directory(tiff.page(picture(160, 120), t254=(1,)), second)  # type: ignore[arg-type]
        data = tiff.file(first)

        assert inspect(data, Limits()) == ("tif", 320, 240)
        assert decode(data, Limits())[1] == (320, 240)

    def test_directories_in_a_ring(self) -> None:
        tiff = Tiff()
        at = len(tiff.data) + 320 * 240 * 3 + 16
        page = tiff.page(picture(320, 240), t330=(8, at, at + 4, 1 << 31))
        data = tiff.file(tiff.directory(page, at))  # type: ignore[arg-type]

        assert inspect(data, Limits())[1:] == (320, 240)

    def test_what_other_programs_write(self) -> None:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[271] = "NIKON CORPORATION"  # exported from a raw file
        tags[37398] = (1, 0, 0, 0)
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
            file = io.BytesIO()
            picture(320, 240).save(file, "TIFF", tiffinfo=tags, compression=compression)
            assert inspect(file.getvalue(), Limits()) == ("tif", 320, 240)


class TestTrueWords:
    """A whole file of a kind that is not read is not called damaged."""

    @pytest.mark.parametrize(
        ("format_", "bits", "said"),
        [(3, 32, "3 x 32-bit floating-point numbers"), (1, 32, "3 x 32-bit numbers")],
    )
    def test_tiffs_of_32_bit_colours(self, format_: int, bits: int, said: str) -> None:
        tiff = Tiff()
        values = np.zeros((4, 6, 3), np.float32).tobytes()
        page = tiff.page(Image.frombytes("RGB", (6, 16), values), t258=(bits,) * 3)
        page |= {257: (4,), 278: (4,), 339: (format_,) * 3}
        data = tiff.file(tiff.directory(page))  # type: ignore[arg-type]

        for read in (inspect, decode):
            with pytest.raises(UnreadableImage, match="export it with 8 or 16 bits") as refusal:
                read(data, Limits())
            assert said in str(refusal.value)
            assert "damaged" not in str(refusal.value)

    def test_a_compression_nobody_knows(self) -> None:
        tiff = Tiff()
        page = tiff.page(picture(32, 24), t259=(50002,))
        with pytest.raises(UnreadableImage, match="a kind that is not read"):
            inspect(tiff.file(tiff.directory(page)), Limits())  # type: ignore[arg-type]

    def test_a_jpeg_of_12_bits(self) -> None:
        file = io.BytesIO()
        picture(32, 24).save(file, "JPEG")
        data = bytearray(file.getvalue())
        data[data.index(b"\xff\xc0") + 4] = 12
        with pytest.raises(UnreadableImage, match="12 bits a colour is not read"):
            inspect(bytes(data), Limits())

    @pytest.mark.parametrize(
        ("start", "name"),
        [
            (b"\xff\x0a\xfa\x7f", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", "a film (MP4, MOV)"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "a film (MP4, MOV)"),
            (b"RIFF\0\0\0\0AVI LIST", "a film (AVI)"),
            (b"\x1a\x45\xdf\xa3\1", "a film (Matroska, WebM)"),
            (b"8BPS\0\1", "PSD"),
            (b"%PDF-1.7", "PDF"),
            (b'<?xml version="1.0"?>\n<svg xmlns="x">', "SVG"),
            (b"<svg/>", "SVG"),
            (b"\xef\xbb\xbf\n<!-- <g> -->\n<!-- by hand -->\n<svg>", "SVG"),
            (
                b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg>',
                "SVG",
            ),
            (
                b"<!DOCTYPE svg [\n<!ENTITY a 'b>'>\n] ><!-- %b-->\n<svg:svg " % (b"-" * 4000),
                "SVG",
            ),
            (b"<!DOCTYPE html><html><svg>", "a web page"),
            (b"\n<!DOCTYPE html><html>", "a web page"),
            (b"\x76\x2f\x31\x01\2", "OpenEXR"),
            (b"#?RADIANCE\n", "Radiance HDR"),
            (b"II+\0\x08\0\0\0", "BigTIFF"),
            (b"\x1f\x8b\x08\0", "compressed by gzip"),
            (b"PK\3\4\x14", "a ZIP archive"),
        ],
    )
    def test_other_files_are_named(self, start: bytes, name: str) -> None:
        with pytest.raises(UnreadableImage) as refusal:
            inspect(start + bytes(300), Limits())
        said = str(refusal.value)
        assert said.startswith("the file is not a picture in JPEG, PNG, WebP, GIF, TIFF, HEIC")
        assert said.endswith(f"but {name}")

    @pytest.mark.parametrize("part", [b"<!--", b"<?", b"<!-- -->", b"<!DOCTYPE svg", b"\n", b"<!-"])
    def test_what_begins_as_a_drawing_and_is_none_is_gone_through_once(self, part: bytes) -> None:
        with pytest.raises(UnreadableImage, match=r"or BMP$"):
            inspect(part * 1_000_000, Limits())

    def test_what_nobody_knows_is_not_named(self) -> None:
        with pytest.raises(UnreadableImage, match=r"or BMP$"):
            inspect(b"what is this?", Limits())
