"""Where a picture ends: what lies behind it counts for nothing, what it lacks is noticed."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image, PngImagePlugin
from tests.decoded import decode

from facelabel.errors import UnreadableImage
from facelabel.images import Limits, formats
from facelabel.images.decoding import inspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: How JPEGs are written: baseline, fine, progressive, with restart markers, both.
WRITTEN: dict[str, dict[str, object]] = {
    "baseline": {"quality": 85},
    "fine": {"quality": 100, "subsampling": 0},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 5},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}
MODES = ("RGB", "L", "CMYK")


def picture(width: int = 175, height: int = 130) -> Image.Image:
    """Colours that change everywhere, a little noisy, as a photo's do."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9) + np.cos(y / 7), np.sin(y / 5), np.cos(x / 11 + y / 3)], -1)
    noise = np.random.default_rng(width).normal(0, 6, waves.shape)
    return Image.fromarray((waves * 50 + 128 + noise).clip(0, 255).astype(np.uint8))


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def film(size: int, seed: int = 5) -> bytes:
    """An MP4 as telephones put it behind a photo."""
    start = struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom" + struct.pack(">I", size) + b"mdat"
    return start + np.random.default_rng(seed).bytes(size)


def pixels(data: bytes) -> NDArray[np.uint8]:
    return decode(data, Limits(), max_side=None).pixels


def is_read(data: bytes) -> bool:
    """Whether a file is read; reading it whole and reading its header agree about that."""
    (outcome,) = {_is_taken(read, data) for read in (decode, inspect)}
    return outcome


def _is_taken(read: Callable[[bytes, Limits], object], data: bytes) -> bool:
    try:
        read(data, Limits())
    except UnreadableImage:
        return False
    return True


#: What has been seen behind pictures.
BEHIND = {
    "a film": film(300_000),
    "scan after scan": film(0) + b"\xff\xda" * 22_000,
    "a scan that looks sound": b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" * 20_000,
    "another picture": file_of(picture(64, 64), "JPEG", progressive=True),
    "Samsung's trailer": b"\0\0\1\xd0\x0eSEFH" + np.random.default_rng(1).bytes(200_000) + b"SEFT",
    "zeros": bytes(5000),
    "end markers": b"\xff\xd9" * 3000,
}


class TestBehindThePicture:
    """Bytes behind a picture are neither counted nor decoded."""

    @pytest.mark.parametrize("behind", BEHIND)
    @pytest.mark.parametrize("how", WRITTEN)
    def test_a_jpeg_is_read_as_if_it_stood_alone(self, how: str, behind: str) -> None:
        plain = file_of(picture(), "JPEG", **WRITTEN[how])
        scans = plain.count(b"\xff\xda")
        limits = Limits(work=scans * 175 * 130)  # not one scan more

        assert (decode(plain + BEHIND[behind], limits, max_side=None).pixels == pixels(plain)).all()
        assert inspect(plain + BEHIND[behind], limits) == ("jpg", 175, 130)

    @pytest.mark.parametrize("behind", BEHIND)
    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF", "AVIF"])
    def test_so_is_any_other_format(self, kind: str, behind: str) -> None:
        plain = file_of(picture(), kind)

        assert (pixels(plain + BEHIND[behind]) == pixels(plain)).all()
        assert inspect(plain + BEHIND[behind], Limits())[1:] == (175, 130)

    @pytest.mark.parametrize(
        ("size", "video"), [((4032, 3024), 20 << 20), ((8160, 6120), 6 << 20)], ids=["12MP", "50MP"]
    )
    def test_motion_photos_of_the_size_telephones_take(
        self, size: tuple[int, int], video: int
    ) -> None:
        data = file_of(Image.new("RGB", size, "teal"), "JPEG") + film(video)
        assert data.count(b"\xff\xda") > 10  # by chance

        assert inspect(data, Limits()) == ("jpg", *size)
        assert decode(data, Limits(), max_side=200).width == size[0]

    def test_many_scans_are_still_too_much_work(self) -> None:
        plain = file_of(Image.new("RGB", (4000, 3000), "teal"), "JPEG", progressive=True)
        found = formats.jpeg_structure(plain)
        scan = plain[plain.rfind(b"\xff\xda") : found.end - 2]
        bomb = plain[:-2] + scan * 400 + b"\xff\xd9"

        assert formats.jpeg_structure(bomb).scans == found.scans + 400
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            inspect(bomb, Limits())

    @pytest.mark.parametrize("segment", [b"\xff\xfe\0\2", b"\xff\1", b"\xff\xd0"])
    def test_segments_without_end_are_refused(self, segment: bytes) -> None:
        with pytest.raises(UnreadableImage, match="segments without end"):
            inspect(b"\xff\xd8\xff" + segment * 20_001, Limits())

    def test_bytes_before_a_marker_are_gone_through_once(self) -> None:
        """Were each tried as the first one, four million would take days."""
        run = b"\xff" * 4_000_000
        assert not formats.jpeg_structure(b"\xff\xd8" + run + b"\0").is_ended
        assert formats.jpeg_structure(b"\xff\xd8" + run + b"\0" + run + b"\0").end == 8_000_004

    @pytest.mark.parametrize("fill", [b"\xff", b"\0", b"\xff\0"])
    def test_bytes_between_segments(self, fill: bytes) -> None:
        plain = file_of(picture(), "JPEG")
        at = plain.index(b"\xff\xdb")
        few, many = fill * 1000, fill * (300_000 // len(fill))

        assert is_read(plain[:at] + few + plain[at:])
        assert (pixels(plain[:at] + few + plain[at:]) == pixels(plain)).all()
        with pytest.raises(UnreadableImage, match="too many bytes between its segments"):
            inspect(plain[:at] + many + plain[at:], Limits())

    def test_fill_bytes_between_scans(self) -> None:
        plain = file_of(picture(), "JPEG", progressive=True)
        at = plain.rindex(b"\xff\xc4")
        data = plain[:at] + b"\xff" * 300_000 + plain[at:]

        assert formats.jpeg_structure(data).scans == formats.jpeg_structure(plain).scans
        assert (pixels(data) == pixels(plain)).all()

    @pytest.mark.parametrize(("number", "size"), [(65, 100), (17, 65_000)])
    def test_exif_in_many_pieces_is_refused(self, number: int, size: int) -> None:
        plain = file_of(picture(), "JPEG")
        at = plain.index(b"\xff\xdb")
        piece = b"\xff\xe1" + struct.pack(">H", size + 8) + b"Exif\0\0" + bytes(size)

        assert is_read(plain[:at] + piece * (number - 1) + plain[at:])
        with pytest.raises(UnreadableImage, match="Exif metadata without end"):
            inspect(plain[:at] + piece * number + plain[at:], Limits())

    def test_extended_metadata_of_telephones_is_no_exif(self) -> None:
        plain = file_of(picture(), "JPEG")
        at = plain.index(b"\xff\xdb")
        piece = b"\xff\xe1" + struct.pack(">H", 60_002) + b"http://ns.adobe.com/xmp/extension/\0"
        assert is_read(plain[:at] + piece.ljust(60_004, b"x") * 200 + plain[at:])

    def test_segments_that_no_decoder_knows_end_the_picture(self) -> None:
        """Pillow would look for segments inside of them."""
        plain = file_of(picture(), "JPEG")
        at = plain.index(b"\xff\xdb")
        for code in (0xF0, 0xFD, 0xC8, 0xDE, 0x02):
            piece = bytes([0xFF, code]) + struct.pack(">H", 1002) + bytes(1000)
            assert not is_read(plain[:at] + piece + plain[at:])

    def test_a_scan_has_few_components(self) -> None:
        """Each is noted down with all of its coefficients."""
        plain = file_of(picture(), "JPEG", progressive=True)
        scan = bytes([0xFF, 0xDA, 2, 4, 255]) + b"\1\0" * 255 + b"\0\x3f\0"
        found = formats.jpeg_structure(plain[:-2] + scan * 10 + b"\xff\xd9")
        assert found.scans == formats.jpeg_structure(plain).scans

    def test_chunks_without_end_are_refused(self) -> None:
        empty = b"\0\0\0\0tEXt\0\0\0\0"
        with pytest.raises(UnreadableImage, match="chunks without end"):
            inspect(file_of(picture(), "PNG")[:33] + empty * 50_001, Limits())
        with pytest.raises(UnreadableImage, match="chunks without end"):
            inspect(b"RIFF\xff\xff\xff\0WEBP" + b"abcd\0\0\0\0" * 50_001, Limits())


class TestNoEndMarker:
    """A JPEG without its end marker is read if all of its pixels are there."""

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("how", WRITTEN)
    def test_whole(self, how: str, mode: str) -> None:
        plain = file_of(picture().convert(mode), "JPEG", **WRITTEN[how])

        for data in (plain[:-2], plain[:-1], plain[:-2] + BEHIND["Samsung's trailer"]):
            assert is_read(data)
            assert (pixels(data) == pixels(plain)).all()

    @pytest.mark.parametrize("mode", ["RGB", "L"])
    @pytest.mark.parametrize("how", WRITTEN)
    def test_cut_in_the_last_row(self, how: str, mode: str) -> None:
        plain = file_of(picture().convert(mode), "JPEG", **WRITTEN[how])

        for cut in range(3, 8):  # the last bits may change no pixel
            data = plain[:-cut]
            assert not is_read(data) or (pixels(data) == pixels(plain)).all(), cut
        for cut in (*range(8, 30, 3), 60, 150, 400):
            assert not is_read(plain[:-cut]), cut

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    @pytest.mark.parametrize("how", WRITTEN)
    def test_cut_further_up_and_something_behind(self, how: str, share: float) -> None:
        plain = file_of(picture(), "JPEG", **WRITTEN[how])
        start = plain[: int(len(plain) * share)]

        assert not is_read(start)
        assert not is_read(start + BEHIND["Samsung's trailer"])
        assert not is_read(start + film(5000))

    @pytest.mark.parametrize("how", ["progressive", "progressive restarts"])
    def test_cut_between_two_scans(self, how: str) -> None:
        plain = file_of(picture(), "JPEG", **WRITTEN[how])
        starts = [at for at in range(len(plain)) if plain[at : at + 2] == b"\xff\xda"]

        for start in starts[1:]:
            assert not is_read(plain[:start])

    def test_a_plane_that_never_came(self) -> None:
        """Of a JPEG that has a scan for each colour."""
        plain = file_of(picture(), "JPEG", progressive=True)
        found = formats.jpeg_structure(plain)
        assert found.has_every_part
        assert found.is_refined
        only_first = plain[: plain.index(b"\xff\xda")] + b"\xff\xd9"
        assert not formats.jpeg_structure(only_first).has_every_part
        assert not is_read(only_first)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("how", ["baseline", "fine", "restarts"])
    def test_an_end_marker_does_not_hide_missing_rows(self, how: str, mode: str) -> None:
        plain = file_of(picture().convert(mode), "JPEG", **WRITTEN[how])
        data = plain[: len(plain) * 2 // 3] + b"\xff\xd9"

        with pytest.raises(UnreadableImage, match="pixels are missing"):
            decode(data, Limits())
        with pytest.raises(UnreadableImage, match="pixels are missing"):
            decode(data, Limits(), max_side=40)

    @pytest.mark.parametrize("how", WRITTEN)
    def test_a_grey_corner_is_no_missing_one(self, how: str) -> None:
        grey = Image.new("RGB", (175, 130), (128, 128, 128))
        grey.paste(picture(80, 80))

        assert is_read(file_of(grey, "JPEG", **WRITTEN[how]))

    @pytest.mark.parametrize("how", ["baseline", "progressive"])
    def test_a_grey_corner_costs_no_picture_that_may_be_read(self, how: str) -> None:
        grey = Image.new("RGB", (160, 160), (128, 128, 128))
        data = file_of(grey, "JPEG", **WRITTEN[how])
        scans = formats.jpeg_structure(data).scans
        for times in (1, 2, 5):
            limits = Limits(work=160 * 160 * scans * times, memory=160 * 160 * 7)
            assert decode(data, limits, max_side=40).width == 160

    def test_missing_rows_show_to_two_looks_at_a_reduced_scale(self) -> None:
        plain = file_of(picture(), "JPEG")
        data = plain[: len(plain) * 2 // 3] + b"\xff\xd9"
        few = 175 * 130 * 2

        with pytest.raises(UnreadableImage, match="pixels are missing"):
            decode(data, Limits(work=few, memory=0), max_side=40)
        decode(data, Limits(work=few - 1, memory=0), max_side=40)  # no look is allowed

    def test_looking_costs_and_is_paid_for(self) -> None:
        data = file_of(picture(), "JPEG")
        limits = Limits(work=175 * 130 * formats.JPEG_ENDINGS - 1)

        decode(data, limits)
        with pytest.raises(UnreadableImage, match="too much memory or time"):
            decode(data[:-2], limits)


class TestOtherEnds:
    """Siblings: what lacks no pixel is read, what lacks one is not."""

    @pytest.mark.parametrize("cut", [1, 4, 11, 12, 14, 16])
    def test_png_without_its_last_chunk(self, cut: int) -> None:
        plain = file_of(picture(), "PNG")
        assert is_read(plain[:-cut])
        assert (pixels(plain[:-cut]) == pixels(plain)).all()

    @pytest.mark.parametrize("name", [b"pHYs", b"tEXt", b"iCCP", b"gAMA"])
    def test_png_whose_metadata_is_damaged(self, name: bytes) -> None:
        plain = file_of(picture(), "PNG")
        chunk = struct.pack(">I", 9) + name + b"123456789" + b"bad!"
        for at in (33, len(plain) - 12):  # before and behind the pixels
            data = plain[:at] + chunk + plain[at:]
            assert is_read(data)
            assert (pixels(data) == pixels(plain)).all()

    def test_png_whose_header_is_damaged(self) -> None:
        plain = file_of(picture(), "PNG")
        assert not is_read(plain[:29] + b"bad!" + plain[33:])

    def test_png_keeps_metadata_that_is_sound(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        text = PngImagePlugin.PngInfo()
        text.add_text("a", "b")
        plain = file_of(picture(), "PNG", exif=exif, pnginfo=text)
        at = plain.index(b"tEXt") + 6
        damaged = plain[:at] + b"x" + plain[at + 1 :]

        assert inspect(damaged, Limits()) == ("png", 130, 175)

    @pytest.mark.parametrize("how", ["Exif", "XMP"])
    def test_png_whose_metadata_is_behind_the_pixels(self, how: str) -> None:
        exif, text = Image.Exif(), PngImagePlugin.PngInfo()
        exif[0x0112] = 6
        text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
        data = file_of(picture(), "PNG", **{"exif": exif} if how == "Exif" else {"pnginfo": text})
        at = data.index(b"eXIf" if how == "Exif" else b"iTXt") - 4
        size = 12 + int.from_bytes(data[at : at + 4], "big")
        moved = data[:at] + data[at + size : -12] + data[at : at + size] + data[-12:]
        assert moved.index(b"IDAT") < moved.index(data[at + 4 : at + 8])

        assert inspect(moved, Limits()) == inspect(data, Limits()) == ("png", 130, 175)
        assert (pixels(moved) == pixels(data)).all()
        # Pixels that cannot be decoded are none of the header's business.
        broken = bytearray(moved)
        broken[moved.index(b"IDAT") + 4] = 0xFF
        assert inspect(bytes(broken), Limits()) == ("png", 130, 175)

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
    def test_a_later_frame_that_is_cut(self, kind: str) -> None:
        more = [picture().rotate(turn) for turn in (180, 90)]
        data = file_of(picture(), kind, save_all=True, append_images=more)
        cut = data[:-3000]

        assert is_read(cut)
        assert (pixels(cut) == pixels(data)).all()

    @pytest.mark.parametrize("options", [{"exif": b"odd"}, {"lossless": True}, {}])
    def test_webp_that_says_another_size_or_lacks_its_padding(
        self, options: dict[str, object]
    ) -> None:
        plain = file_of(picture(), "WEBP", **options)
        bare = plain[: len(plain) - (plain[-1:] == b"\0")]
        for data in (bare, plain[:4] + bytes(4) + plain[8:], plain[:4] + b"\xff" + plain[5:]):
            assert is_read(data)
            assert (pixels(data) == pixels(plain)).all()

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF", "AVIF"])
    @pytest.mark.parametrize("cut", [40, 200, 2000])
    def test_missing_pixels(self, kind: str, cut: int) -> None:
        assert not is_read(file_of(picture(), kind)[:-cut])

    def test_a_film_in_a_box_behind_heic(self) -> None:
        plain = file_of(picture(), "HEIF")
        box = struct.pack(">I", 8 + 5000) + b"mpvd" + film(5000 - 32)
        for data in (plain + box, plain + box[:-700]):
            assert is_read(data)
            assert (pixels(data) == pixels(plain)).all()
