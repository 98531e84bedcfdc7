"""Reading pictures of every kind, and refusing the rest."""

from __future__ import annotations

import io
import itertools
import json
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from tests import hostile_files
from tests.decoded import decode
from tests.examples import examples
from tests.hostile_files import EXPECTED
from tests.waiting import PATIENCE

from facelabel.errors import UnreadableImage
from facelabel.images import Limits, containers, formats
from facelabel.images.decoding import MemoryBudget, inspect, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

#: Decodes the file that each line names, with a gigabyte more than it has begun with; says as JSON
#: what it read or the refusal, and at most how many MB it took.
HOSTILE = """
import json, re, resource, sys
from pathlib import Path
from facelabel.errors import UnreadableImage
from facelabel.images import Limits
from facelabel.images.decoding import decode

def status(name):
    text = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s+(\\d+)", text)[1]) << 10

def read(path):
    try:
        _, (width, height) = decode(Path(path).read_bytes(), Limits())
    except UnreadableImage as error:
        return str(error)
    return f"{width} {height}"

for line in sys.stdin:
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now
    limit = status("VmSize") + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    before = status("VmRSS")
    said = read(line.rstrip("\\n"))
    print(json.dumps([said, status("VmHWM") - before >> 20]), flush=True)
"""
#: Decodes one file in eight threads at the same time; prints peak MB, and what is left of them.
TOGETHER = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from facelabel.images import Limits
from facelabel.images.decoding import decode
data = Path(sys.argv[1]).read_bytes()
with ThreadPoolExecutor(8) as pool:
    assert not any(pool.map(lambda _: decode(data, Limits()) is None, range(8)))
    status = Path("/proc/self/status").read_text()
print(*(int(re.search(name + r":\\s+(\\d+)", status)[1]) >> 10 for name in ("VmHWM", "VmRSS")))
"""
#: The same as :data:`tests.hostile_files.EXPECTED`, for the files of data/hostile.
FOUND_ELSEWHERE = {
    "Landscape_8.jpg": "1800 1200",
    "Portrait_6.jpg": "1200 1800",
    "heif_images_heif_special_200MP.heic": "too much memory",
    "pillow_broken_data_stream.png": "damaged or incomplete",
    "pillow_decompression_bomb.gif": "too large",
    "pillow_invalid-exif.jpg": "200 200",
    "pillow_iss634.webp": "245 245",
    "pillow_pil_sample_cmyk.jpg": "100 100",
    "pillow_truncated_image.png": "damaged or incomplete",
    "pillow_truncated_jpeg.jpg": "100 100",  # lacks its end marker, and nothing else,
    "sharp_16-bit-grey-alpha.png": "109 96",
    "sharp_4.webp": "1024 772",
    "sharp_65536-uint32-limit.png": "at most 200,000,000 pixels",
    "sharp_Channel_digital_image_CMYK_color.jpg": "500 333",
    "sharp_check.svg": "not a picture",
    "sharp_corrupt-header.jpg": "damaged or incomplete",
    "sharp_giant-image.jpg": "at most 200,000,000 pixels",
    "sharp_rotating-squares.gif": "80 80",
    "sharp_rotating-squares.webp": "80 80",
    "sharp_truncated.jpg": "damaged or incomplete",
    "sharp_truncated.png": "damaged or incomplete",
}
#: Red, green / blue, white quarters: every turn and mirror image of it looks different.
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)


def quarters(height: int = 64, width: int = 96) -> Image.Image:
    picture = QUARTERS.repeat(height // 2, axis=0).repeat(width // 2, axis=1)
    return Image.fromarray(picture)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        return heif(picture, **options)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def heif(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, **options)
    return buffer.getvalue()


def corners(pixels: Pixels) -> Pixels:
    """The middle of each quarter."""
    height, width = pixels.shape[:2]
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2]


def close(found: Pixels, expected: Pixels, tolerance: int = 12) -> bool:
    return bool(np.abs(found.astype(int) - expected.astype(int)).max() <= tolerance)


class TestFormats:
    """Eight formats, told by content."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF", "BMP"])
    def test_every_format(self, kind: str) -> None:
        picture = decode(saved(quarters(), kind), Limits())
        assert (picture.width, picture.height) == (96, 64)
        assert picture.pixels.shape == (64, 96, 3)
        assert picture.pixels.dtype == np.uint8
        assert close(corners(picture.pixels), QUARTERS, 30)

    @pytest.mark.parametrize("kind", ["PPM", "ICO", "JPEG2000", "TGA", "EPS", "PDF"])
    def test_nothing_else_is_tried(self, kind: str) -> None:
        with pytest.raises(UnreadableImage, match="not a picture in JPEG"):
            decode(saved(quarters(), kind), Limits())

    @pytest.mark.parametrize("data", [b"", b"<svg/>", b"RIFF1234WAVE", b"\0\0\0\x14ftypmp42", b"x"])
    def test_no_picture(self, data: bytes) -> None:
        with pytest.raises(UnreadableImage):
            decode(data, Limits())

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
    def test_the_first_of_several(self, kind: str) -> None:
        second = Image.new("RGB", (96, 64), "black")
        data = saved(quarters(), kind, save_all=True, append_images=[second])
        assert close(corners(decode(data, Limits()).pixels), QUARTERS, 30)


class TestColours:
    """Every colour mode becomes RGB."""

    @pytest.mark.parametrize(
        ("mode", "kind"),
        [
            ("CMYK", "JPEG"),
            ("CMYK", "TIFF"),
            ("P", "PNG"),
            ("P", "GIF"),
            ("RGBA", "PNG"),
            ("RGBA", "WEBP"),
            ("RGBA", "HEIF"),
            ("YCbCr", "TIFF"),
            ("LAB", "TIFF"),
        ],
    )
    def test_colour_survives(self, mode: str, kind: str) -> None:
        picture = quarters().convert(mode) if mode != "LAB" else lab()
        assert close(corners(decode(saved(picture, kind), Limits()).pixels), QUARTERS, 40)

    def test_transparent_is_white(self) -> None:
        half = quarters().convert("RGBA")
        half.putalpha(Image.new("L", half.size, 0))
        assert (decode(saved(half, "PNG"), Limits()).pixels == 255).all()

    def test_a_transparent_palette_colour_is_white(self) -> None:
        picture = Image.new("P", (8, 8), 1)
        picture.putpalette([0, 0, 0, 255, 0, 0])
        data = saved(picture, "PNG", transparency=1)
        assert (decode(data, Limits()).pixels == 255).all()

    def test_half_transparent_is_mixed_with_white_also_when_reduced(self) -> None:
        picture = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
        pixels = decode(saved(picture, "PNG"), Limits(), max_side=16).pixels
        assert close(pixels, np.full_like(pixels, (255, 127, 127)), 2)

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_16_bit_grey_is_scaled(self, kind: str) -> None:
        ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, axis=0)
        pixels = decode(saved(Image.fromarray(ramp), kind), Limits()).pixels
        assert close(pixels[0, :, 0], np.arange(256, dtype=np.uint8), 1)

    def test_16_bits_in_either_order_are_the_same(self) -> None:
        values = np.linspace(0, 65535, 48 * 31).astype(np.uint16).reshape(31, 48)
        swapped = Image.frombytes("I;16B", (48, 31), values.astype(">u2").tobytes())
        one, other = (saved(image, "TIFF") for image in (Image.fromarray(values), swapped))
        expected = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2)
        for data in (one, other):
            assert (decode(data, Limits()).pixels == expected).all()

    @pytest.mark.parametrize("hidden", [0, 257, 65535])
    def test_16_bit_grey_of_which_one_value_is_transparent(self, hidden: int) -> None:
        values = np.array([[0, 256, 257, 258, 32768, 65535]], ">u2")
        seen = hostile_files.png(
            6, 1, 16, 0, zlib.compress(b"\0" + values.tobytes()),
            (b"tRNS", struct.pack(">H", hidden)),
        )  # fmt: skip
        expected = np.where(values == hidden, 255, values >> 8)
        assert (decode(seen, Limits()).pixels[..., 0] == expected).all()
        alpha = np.asarray(load(seen, Limits())[0])[..., 3]
        assert (alpha == np.where(values == hidden, 0, 255)).all()

    def test_16_bit_colours_of_which_one_is_transparent(self) -> None:
        """Of each number Pillow keeps the upper byte; so colours that share those are the same."""
        hidden = (0x1234, 0x5678, 0x9ABC)
        values = np.array([[hidden, (0x34, 0x78, 0xBC), (0x3400, 0x7800, 0xBC00)]], ">u2")
        data = hostile_files.png(
            3, 1, 16, 2, zlib.compress(b"\0" + values.tobytes()),
            (b"tRNS", struct.pack(">HHH", *hidden)),
        )  # fmt: skip
        assert np.asarray(load(data, Limits())[0])[0, :, 3].tolist() == [0, 255, 255]

    @pytest.mark.parametrize(("depth", "row"), [(2, b"\x1b"), (4, b"\x05\xaf")])
    def test_few_greys_of_which_one_is_transparent(self, depth: int, row: bytes) -> None:
        most = (1 << depth) - 1
        for number, value in enumerate(value * most // 3 for value in range(4)):
            hidden = (b"tRNS", struct.pack(">H", value))
            data = hostile_files.png(4, 1, depth, 0, zlib.compress(b"\0" + row), hidden)
            alpha = np.asarray(load(data, Limits())[0])[0, :, 3]
            assert alpha.tolist() == [0 if at == number else 255 for at in range(4)]

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
    def test_what_is_no_number_is_nothing(self, odd: float) -> None:
        values = np.linspace(-3.0, 9.0, 700 * 5).astype(np.float32).reshape(700, 5)
        values[0, 0] = values[300, 2] = odd
        pixels = decode(saved(Image.fromarray(values), "TIFF"), Limits()).pixels[..., 0]
        finite = np.where(np.isfinite(values), values, 0)
        assert close(pixels, ((finite - finite.min()) * 255 / 12).astype(np.uint8), 1)

    def test_32_bit_floats_are_stretched(self) -> None:
        ramp = np.linspace(-1.0, 1.0, 256).astype(np.float32)[None].repeat(8, axis=0)
        ramp[0, 0] = np.nan
        pixels = decode(saved(Image.fromarray(ramp), "TIFF"), Limits()).pixels
        assert close(pixels[1, :, 0], np.arange(256, dtype=np.uint8), 1)

    @pytest.mark.parametrize("mode", ["1", "L", "LA"])
    def test_grey(self, mode: str) -> None:
        pixels = decode(saved(Image.new("L", (9, 7), 255).convert(mode), "PNG"), Limits()).pixels
        assert pixels.shape == (7, 9, 3)
        assert (pixels == 255).all()


def lab() -> Image.Image:
    from PIL import ImageCms  # noqa: PLC0415 - an optional part of Pillow

    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    turned = ImageCms.profileToProfile(quarters(), *profiles, outputMode="LAB")
    assert turned
    return turned


#: What a camera stores of the upright picture, by EXIF orientation.
STORED: Mapping[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


class TestOrientation:
    """EXIF orientation."""

    @pytest.mark.parametrize("turn", range(1, 9))
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    def test_upright(self, kind: str, turn: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = turn
        stored = STORED[turn](np.asarray(quarters()))
        data = saved(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
        picture = decode(data, Limits())
        assert (picture.width, picture.height) == (96, 64)
        assert close(corners(picture.pixels), QUARTERS, 30)

    @pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"junk"])
    def test_metadata_that_cannot_be_read_turns_nothing(self, exif: bytes) -> None:
        picture = decode(saved(quarters(), "JPEG", exif=exif), Limits())
        assert (picture.width, picture.height) == (96, 64)


class TestReduction:
    """Pixels are reduced, the size told is the original's."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
    def test_the_original_size_is_told(self, kind: str) -> None:
        picture = decode(saved(quarters(1500, 3000), kind), Limits(), max_side=400)
        assert (picture.width, picture.height) == (3000, 1500)
        assert picture.pixels.shape == (200, 400, 3)
        assert close(corners(picture.pixels), QUARTERS, 30)

    def test_small_pictures_are_left_alone(self) -> None:
        assert decode(saved(quarters(), "JPEG"), Limits(), max_side=96).pixels.shape == (64, 96, 3)

    def test_full_size(self) -> None:
        data = saved(quarters(1500, 3000), "JPEG")
        assert decode(data, Limits(), max_side=None).pixels.shape == (1500, 3000, 3)

    def test_a_thin_strip_keeps_a_pixel(self) -> None:
        data = saved(Image.new("RGB", (4000, 2), "red"), "PNG")
        assert decode(data, Limits(), max_side=100).pixels.shape == (1, 100, 3)

    def test_a_reduced_photo_looks_like_the_photo(self, photos: Path) -> None:
        photo = (photos / "groups" / "large.jpg").read_bytes()
        full = Image.fromarray(decode(photo, Limits(), max_side=None).pixels)
        reduced = decode(photo, Limits(), max_side=500).pixels
        expected = np.asarray(full.resize(reduced.shape[1::-1], Image.Resampling.BICUBIC))
        assert np.abs(reduced.astype(int) - expected.astype(int)).mean() < 3.0


class TestLimits:
    """What is refused from the header."""

    @pytest.mark.parametrize(
        ("limits", "reason"),
        [
            (Limits(bytes=100), "bytes; 1 to 100 are read"),
            (Limits(pixels=96 * 64 - 1), "96 x 64 pixels; at most 6,143 pixels"),
            (Limits(side=95), "95 on a side"),
            (Limits(memory=96 * 64), "too much memory or time"),
        ],
    )
    def test_over_a_limit(self, limits: Limits, reason: str) -> None:
        with pytest.raises(UnreadableImage, match=reason):
            decode(saved(quarters(), "PNG"), limits)

    def test_at_the_limit(self) -> None:
        data = saved(quarters(), "PNG")
        decode(data, Limits(bytes=len(data), pixels=96 * 64, side=96))

    def test_scans_of_a_progressive_jpeg_are_work(self) -> None:
        data = saved(quarters(), "JPEG", progressive=True)
        scans = data.count(b"\xff\xda")
        assert scans > 3
        decode(data, Limits(work=scans * 96 * 64))
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            decode(data, Limits(work=scans * 96 * 64 - 1))

    def test_a_thumbnails_scan_is_none_of_the_picture(self) -> None:
        thumbnail = saved(quarters(), "JPEG")
        data = saved(quarters(), "JPEG", exif=b"Exif\0\0" + thumbnail)
        assert data.count(b"\xff\xda") == 2
        decode(data, Limits(work=96 * 64))

    @pytest.mark.parametrize("where", ["zTXt", "iTXt", "iCCP"])
    @pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 5_000_000])
    def test_a_whole_picture_is_read_whatever_its_metadata_unpacks_to(
        self, where: str, size: int
    ) -> None:
        text = PngImagePlugin.PngInfo()
        if where == "zTXt":
            text.add_text("text", "a" * size, zip=True)
        if where == "iTXt":
            text.add_itxt("text", "a" * size, zip=True)
        profile = bytes(size) if where == "iCCP" else None
        data = saved(quarters(), "PNG", pnginfo=text, icc_profile=profile)

        assert close(corners(decode(data, Limits()).pixels), QUARTERS)
        is_kept = containers.png(data) == data
        assert is_kept == (size <= 1 << 20)

    @pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"tEXt"])
    def test_of_many_texts_some_are_unpacked_and_the_rest_left_out(self, name: bytes) -> None:
        text = b"a" * 1_000_000
        content = b"a\0" + (text if name == b"tEXt" else b"\0" + zlib.compress(text))
        pixels = zlib.compress(bytes(9 * 8))
        data = hostile_files.png(8, 8, 8, 0, pixels, *[(name, content)] * 40)

        kept = containers.png(data)
        assert kept.count(name) == 17  # the last begins within 16 MiB
        assert containers.png(kept).count(b"IDAT") == 1
        assert decode(data, Limits()).pixels.shape == (8, 8, 3)

    def test_a_text_that_is_packed_in_a_way_nobody_knows_is_left_out(self) -> None:
        pixels = zlib.compress(bytes(9 * 8))
        for name in (b"zTXt", b"iCCP"):
            data = hostile_files.png(8, 8, 8, 0, pixels, (name, b"a\0\7packed"))
            assert decode(data, Limits()).pixels.shape == (8, 8, 3)

    @pytest.mark.parametrize("scans", [1, 4])
    def test_scans_of_a_jpeg_inside_a_tiff_are_work(self, scans: int) -> None:
        data = tiff_of_jpegs(*[progressive(8 - 1 + scans)] * 2)
        found = formats.jpeg_structure(progressive(8 - 1 + scans)).scans
        assert found == 6 + 8 - 1 + scans

        assert decode(data, Limits(work=64 * 128 * found)).pixels.shape == (128, 64, 3)
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            inspect(data, Limits(work=64 * 128 * found - 1))

    def test_the_strip_with_most_scans_counts(self) -> None:
        data = tiff_of_jpegs(progressive(0), progressive(9))
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            inspect(data, Limits(work=64 * 128 * 15 - 1))

    def test_strips_that_lie_over_each_other_are_not_gone_through_one_by_one(self) -> None:
        content = progressive(0) + bytes(100_000)
        spans = [(number, len(content) - number) for number in range(64)]
        with pytest.raises(UnreadableImage, match="lie over each other"):
            inspect(tiff_of_strips(spans, content), Limits())

    def test_a_strip_that_many_share_is_gone_through_once(self) -> None:
        content = progressive(0)
        data = tiff_of_strips([(0, len(content))] * 64, content)
        assert inspect(data, Limits(work=64 * 64 * 64 * 6)) == ("tif", 64, 64 * 64)

    def test_strips_of_one_row_each_are_as_many_as_rows(self) -> None:
        data = saved(quarters(2000, 64), "TIFF", tiffinfo={278: 1})
        assert decode(data, Limits()).pixels.shape == (2000, 64, 3)

    def test_a_tile_larger_than_its_picture_is_counted(self) -> None:
        data = tiled_tiff(side=60_000)
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            decode(data, Limits())


def progressive(more: int) -> bytes:
    """A JPEG of 64 x 64 grey pixels with six scans, the last of them so often again."""
    data = saved(quarters(64, 64).convert("L"), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * more + b"\xff\xd9"


def tiff_of_jpegs(*strips: bytes) -> bytes:
    """A grey TIFF of strips that are JPEGs of 64 x 64 pixels."""
    ends = list(itertools.accumulate(map(len, strips)))
    spans = [(end - len(strip), len(strip)) for end, strip in zip(ends, strips, strict=True)]
    return tiff_of_strips(spans, b"".join(strips))


def tiff_of_strips(spans: Sequence[tuple[int, int]], content: bytes) -> bytes:
    """The same with strips that are where it is said, within the content."""
    number, behind = len(spans), hostile_files.BEHIND
    start = behind + 8 * number
    page = hostile_files.grey_page(
        t256=(4, 1, 64),
        t257=(4, 1, 64 * number),
        t259=(3, 1, 7),
        t273=(4, number, behind),
        t278=(4, 1, 64),
        t279=(4, number, behind + 4 * number),
    )
    offsets = struct.pack(f"<{number}I", *(start + at for at, _ in spans))
    sizes = struct.pack(f"<{number}I", *(size for _, size in spans))
    return hostile_files.tiff(page, offsets, sizes, content)


def tiled_tiff(side: int) -> bytes:
    """A picture of 16 x 16 in one tile that claims to be ``side`` x ``side``."""
    tile = zlib.compress(bytes(10_000))
    tags = [
        (256, 3, 16),
        (257, 3, 16),
        (258, 3, 8),
        (259, 3, 8),
        (262, 3, 1),
        (277, 3, 1),
        (322, 4, side),
        (323, 4, side),
        (324, 4, 8),
        (325, 4, len(tile)),
    ]
    entries = b"".join(
        tag.to_bytes(2, "little")
        + kind.to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    start = (8 + len(tile)).to_bytes(4, "little")
    return b"II*\0" + start + tile + len(tags).to_bytes(2, "little") + entries + bytes(4)


class TestDamage:
    """Damaged files."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF", "BMP"])
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_half_a_file_is_refused(self, kind: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
        data = saved(Image.fromarray(noise), kind)
        with pytest.raises(UnreadableImage):
            decode(data[: int(len(data) * share)], Limits())

    @examples(150)
    @given(
        st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF", "BMP"]),
        st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    )
    def test_flipped_bytes_are_read_or_refused(
        self, kind: str, changes: list[tuple[float, int]]
    ) -> None:
        data = bytearray(saved(quarters(), kind))
        for place, value in changes:
            data[int(place * len(data))] = value
        try:
            picture = decode(bytes(data), Limits(pixels=1_000_000))
        except UnreadableImage:
            return
        assert picture.pixels.ndim == 3

    def test_threads_do_not_disturb_each_other(self) -> None:
        exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
        data = saved(quarters(), "JPEG", exif=exif)
        read: list[int] = []

        def work() -> None:
            read.extend(decode(data, Limits()).width for _ in range(30))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read == [96] * 120


class TestWarnings:
    """Pillow warns of metadata nobody asked for, which is no picture's end."""

    #: It has two horizontal resolutions.
    ODD = hostile_files.tiff(
        hostile_files.grey_page(t282=(5, 2, hostile_files.BEHIND)), bytes(range(64))
    )

    def test_this_file_is_one_it_warns_of(self) -> None:
        with pytest.warns(UserWarning, match="too many entries"):
            Image.open(io.BytesIO(self.ODD))

    def test_a_picture_is_read_whatever_filters_there_are(self) -> None:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("error")
            assert inspect(self.ODD, Limits()) == ("tif", 8, 8)
            warnings.resetwarnings()
            warnings.simplefilter("always")
            assert inspect(self.ODD, Limits()) == ("tif", 8, 8)
        assert not heard

    def test_filters_do_not_grow(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            inspect(self.ODD, Limits())
            before = list(warnings.filters)
            for _ in range(3):
                decode(self.ODD, Limits())
            assert list(warnings.filters) == before

    def test_one_picture_does_not_wait_for_another(self) -> None:
        """A thread stands still where a TIFF's pixels have just been decoded."""
        stands, may_go_on = threading.Event(), threading.Event()

        def stop_there(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_name == "load_end":
                stands.set()
                may_go_on.wait()

        def slow() -> int:
            sys.setprofile(stop_there)
            try:
                return decode(self.ODD, Limits()).width
            finally:
                sys.setprofile(None)

        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(slow)
            try:
                assert stands.wait(PATIENCE)
                for kind in ("JPEG", "PNG", "TIFF"):
                    other = pool.submit(decode, saved(quarters(), kind), Limits())
                    assert other.result(PATIENCE).width == 96
                assert not waiting.done()
            finally:
                may_go_on.set()
            assert waiting.result(PATIENCE) == 8


class Reader:
    """Another process that decodes files, started anew if one of them was its end."""

    def __init__(self) -> None:
        """Start with the first file."""
        self._child: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> tuple[str, int]:
        """What came of a file, and the MB it took at most."""
        child = self._child or subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HOSTILE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._child = child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        answer = child.stdout.readline()
        if not answer:
            self.close()
            raise AssertionError(f"{path.name} was the reader's end: {child.returncode}")
        said, peak = json.loads(answer)
        return said, peak

    def assert_harmless(self, path: Path, expected: str) -> None:
        """A file comes to what is expected, within a gigabyte."""
        said, peak = self.read(path)
        assert expected in said, path.name
        assert peak < 1024, path.name

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One interpreter for all hostile files."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads Linux's own numbers")
    with closing(Reader()) as reader:
        yield reader


class TestHostileFiles:
    """Files made to break readers."""

    @pytest.mark.parametrize("name", EXPECTED)
    def test_within_a_gigabyte(self, photos: Path, reader: Reader, name: str) -> None:
        reader.assert_harmless(photos / "hostile" / name, EXPECTED[name])

    def test_those_that_broke_other_readers(self, data: Path, reader: Reader) -> None:
        files = sorted((data / "hostile").iterdir())
        assert {path.name for path in files} == set(FOUND_ELSEWHERE)
        for path in files:
            reader.assert_harmless(path, FOUND_ELSEWHERE[path.name])

    @pytest.mark.soak
    @pytest.mark.parametrize("name", EXPECTED)
    def test_within_five_seconds(self, photos: Path, name: str) -> None:
        content = (photos / "hostile" / name).read_bytes()
        started = time.monotonic()
        with suppress(UnreadableImage):
            decode(content, Limits())
        assert time.monotonic() - started < 5


def test_a_telephone_photo_needs_its_own_library(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(heif(quarters()))
    program = """
import sys
sys.modules["pillow_heif"] = None
from pathlib import Path
from facelabel.errors import UnreadableImage
from facelabel.images import Limits
from facelabel.images.decoding import decode
try:
    decode(Path(sys.argv[1]).read_bytes(), Limits())
except UnreadableImage as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "HEIC pictures need pillow-heif, which is not here\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own numbers")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param("square.png", (8000, 8000), marks=pytest.mark.soak),
        ("narrow.jpg", (26_000, 2500)),  # too low to be decoded at a smaller scale
    ],
)
def test_large_pictures_at_the_same_time_wait_for_each_other(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    bomb = tmp_path / name
    Image.new("RGB", size).save(bomb)
    run = subprocess.run(
        [sys.executable, "-c", TOGETHER, str(bomb)],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    peak, left = map(int, run.stdout.split())
    assert peak < 1300  # three of 256 MB each and what is made of them; without waiting, eight
    assert left < 350


def test_who_finds_no_room_waits_for_it() -> None:
    room, taken, most = MemoryBudget(10), [], []

    def work(size: int) -> None:
        with room.taken(size):
            taken.append(size)
            most.append(sum(taken))
            time.sleep(0.01)
            taken.remove(size)

    sizes = (4, 7, 3, 10, 6, 0, 5)
    with ThreadPoolExecutor(len(sizes)) as pool:
        list(pool.map(work, sizes))
        pool.submit(work, 99).result(PATIENCE)  # more than there is has all of it
    assert len(most) == len(sizes) + 1
    assert max(most[:-1]) <= 10
