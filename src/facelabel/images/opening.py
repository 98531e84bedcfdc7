"""Opening a picture: the header, by the one decoder of its format, and whether all of it is there.

What a decoder would judge wrongly is put right before it sees the file: bytes behind the picture,
an end that is missing, metadata that is damaged.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from facelabel.errors import UnreadableImage
from facelabel.images import containers, formats, jpeg, limits, tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from PIL import ImageFile

    from facelabel.images import Limits
    from facelabel.images.jpeg import Structure

#: Rows looked at together.
_STRIP = 256
#: Where a PNG says how many bits a sample has.
_PNG_DEPTH = 24
#: Pillow's names of the two ways.
_JPEG_IN_TIFF = frozenset({"jpeg", "tiff_jpeg"})
#: What a JPEG decoder puts where pixels are missing, whatever the colours it reads.
_GREY = frozenset({127, 128})
#: What Pillow warns of, as Python's filters have it: damaged metadata. Not bombs: who wants to hear
#: of those shall; else they are nobody's business, for our own limits are lower.
_QUIET = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)


def _heif(file: io.BytesIO) -> ImageFile.ImageFile:
    try:
        # A library of its own, which what reads no photos of telephones can do without.
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - see above
    except ImportError as error:
        raise UnreadableImage("HEIC pictures need pillow-heif, which is not here") from error
    photo: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return photo


_DECODERS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "HEIC": _heif,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}


@dataclass(slots=True)
class Source:
    """A file whose header was read."""

    name: str
    #: As the decoder gets it.
    data: bytes
    image: ImageFile.ImageFile
    #: How often every pixel is gone through.
    scans: int = 1
    #: Of a JPEG.
    structure: Structure | None = None


@contextmanager
def opened(data: bytes, allowed: Limits) -> Iterator[Source]:
    """Read the header; whatever a decoder says in the block becomes our refusal."""
    if not 0 < len(data) <= allowed.bytes:
        raise UnreadableImage(f"the file has {len(data):,} bytes; 1 to {allowed.bytes:,} are read")
    # Pillow shall not warn of metadata nobody asked it for, whatever others have set. Python's
    # filters belong to the process. One that was taken back would need one thread at a time, and a
    # slow picture would hold up all others; so it stays.
    if warnings.filters[:1] != [_QUIET]:
        warnings.filterwarnings("ignore", category=_QUIET[2], module=_QUIET[3].pattern)
    name = formats.recognised(data)
    try:
        yield _OPENERS.get(name, _plain)(name, data, allowed)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"the {name} picture is too large to be read") from error
    except Exception as error:
        raise UnreadableImage(f"the {name} file is damaged or incomplete ({error})") from error


# ---- one format each


def _plain(name: str, data: bytes, _: Limits) -> Source:
    return Source(name, data, _DECODERS[name](io.BytesIO(data)))


def _png(name: str, data: bytes, allowed: Limits) -> Source:
    source = _plain(name, containers.png(data), allowed)
    _scale_transparency(source.image, source.data[_PNG_DEPTH])
    return source


def _scale_transparency(image: ImageFile.ImageFile, depth: int) -> None:
    """Have the transparent colour as the pixels are; Pillow has them in 8 bits, but not that.

    Of 16-bit grey it keeps all bits.
    """
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and depth > jpeg.BITS:
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif isinstance(colour, int) and image.mode == "L" and depth < jpeg.BITS:
        image.info["transparency"] = colour * 255 // ((1 << depth) - 1)


def _webp(name: str, data: bytes, allowed: Limits) -> Source:
    return _plain(name, containers.webp(data), allowed)


def _tiff(name: str, data: bytes, allowed: Limits) -> Source:
    directories = tiff.directories(data)
    formats.check_no_raw(directories)
    page = tiff.main_page(directories)
    tiff.check_numbers(directories, page)
    try:
        source = _plain(name, data, allowed)
        if page:
            source.image.seek(page)
    except SyntaxError as error:  # what Pillow says of a header that it does not know
        raise UnreadableImage(
            f"the TIFF has pixels of a kind that is not read ({directories[page].samples}, or"
            " the way they are compressed): export it with 8 or 16 bits, or as JPEG"
        ) from error
    if source.image.info.get("compression") in _JPEG_IN_TIFF:
        source.scans = max(1, tiff.scans(data, getattr(source.image, "tag_v2", {})))
    return source


def _jpeg(name: str, data: bytes, allowed: Limits) -> Source:
    found = jpeg.structure(data)
    if found.precision != jpeg.BITS:
        raise UnreadableImage(
            f"a JPEG of {found.precision} bits a colour is not read: export it with 8 bits"
        )
    if not found.has_every_part or not (found.is_ended or found.is_refined):
        raise UnreadableImage("the JPEG file is damaged or incomplete (whole scans are missing)")
    source = _plain(name, jpeg.ended(data, found), allowed)
    source.structure, source.scans = found, found.scans
    if not found.is_ended:
        check_whole(source, allowed)
    return source


def _bmp(name: str, data: bytes, allowed: Limits) -> Source:
    source = _plain(name, data, allowed)
    if source.image.tile[0].codec_name != "raw":
        # Pillow reads run lengths in Python: a small file would be work for minutes.
        raise UnreadableImage("compressed BMP pictures are not read; save it as PNG")
    return source


_OPENERS: Mapping[str, Callable[[str, bytes, Limits], Source]] = {
    "BMP": _bmp,
    "JPEG": _jpeg,
    "PNG": _png,
    "TIFF": _tiff,
    "WebP": _webp,
}


def check_whole(source: Source, allowed: Limits) -> None:
    """Refuse a JPEG without its end of which pixels are missing, be it one."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(source.data))
    times = jpeg.ENDINGS
    needed = limits.checked(source.name, image, source.scans, allowed, full=True, times=times)
    with limits.room.taken(needed):
        _compare_endings(source, times, is_reduced=False)


def check_rows(source: Source, allowed: Limits) -> None:
    """Refuse a JPEG with its end of which rows are missing.

    They show at a reduced scale, which takes little memory. As it is no more than a doubt, as much
    is done as the limits allow: nothing for a picture that may not be decoded even twice.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(source.data))
    times = min(jpeg.ENDINGS, allowed.work // (image.width * image.height * source.scans))
    if times < 2:  # noqa: PLR2004 - one to compare with another
        return
    needed = limits.checked(source.name, image, source.scans, allowed, full=False, times=times)
    with limits.room.taken(max(needed, limits.pixel_bytes(_reduced(image)))):
        _compare_endings(source, times, is_reduced=True)


def _compare_endings(source: Source, times: int, *, is_reduced: bool) -> None:
    """Missing pixels are those that change with what stands in for them."""
    assert source.structure
    endings = islice(jpeg.endings(source.data, source.structure), times)
    digests = (_digest(data, is_reduced=is_reduced) for data in endings)
    first = next(digests)
    if any(digest != first for digest in digests):
        raise UnreadableImage(
            "the JPEG file is damaged or incomplete (pixels are missing at its end)"
        )


def _reduced(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """As small as a JPEG can be decoded: an eighth of its sides, or more if they are short."""
    image.draft(None, (1, 1))
    return image


def _digest(data: bytes, *, is_reduced: bool) -> bytes:
    """Of all pixels, a strip at a time to take little memory."""
    image: ImageFile.ImageFile = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    image = _reduced(image) if is_reduced else image
    image.load()
    digest = hashlib.sha256()
    for top in range(0, image.height, _STRIP):
        digest.update(image.crop((0, top, image.width, top + _STRIP)).tobytes())
    return digest.digest()


def ends_grey(image: Image.Image) -> bool:
    """Whether the last corner is what decoders put in place of missing pixels."""
    corner = image.crop((image.width - 1, image.height - 1, image.width, image.height))
    return set(corner.tobytes()) <= _GREY
