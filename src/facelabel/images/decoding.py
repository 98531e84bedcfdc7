"""Pictures from bytes: upright RGB, or what their header says.

The header is read by the one decoder of a format. What that would judge wrongly is put right before
it sees the file: bytes behind the picture, an end that is missing, metadata that is damaged. The
memory that decoding takes is estimated, and had by only so many pictures at once.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from facelabel.errors import UnreadableImage
from facelabel.images import colours, containers, formats, tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from PIL import ImageFile

    from facelabel.images import Limits
    from facelabel.images.formats import JpegStructure

#: Long side that serves detection of small faces and crops of big ones.
DEFAULT_MAX_SIDE = 2560
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Of metadata that is looked at: each of its bytes may become a number of thirty.
_EXIF_BYTES = 1 << 20
_SIDEWAYS = frozenset({5, 6, 7, 8})
_SUFFIXES = {"JPEG": "jpg", "TIFF": "tif"}
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
_TILE_WIDTH, _TILE_LENGTH = 322, 323
#: Bytes a pixel takes in the decoder itself, beside Pillow's image (measured, rounded up).
_DECODER_BYTES = {"AVIF": 8, "HEIC": 3, "WebP": 12}
#: Bytes a pixel takes in Pillow, conversion to a mode that can be reduced included (measured).
_MODE_BYTES = {"1": 6, "L": 2, "P": 7, "I": 16, "F": 16, "I;16": 5, "I;16B": 5, "I;16L": 5}
_COLOUR_BYTES, _TRANSPARENT_BYTES = 5, 14
#: And before any conversion.
_PILLOW_BYTES = 4
#: What returning every pixel adds.
_FULL_BYTES = 8
#: Coefficients of a JPEG with several scans are all kept until the last one.
_COEFFICIENT_BYTES = 7
# Pieces of pixels in which Pillow asks for memory: of 16 MB, as it has them otherwise, many stay
# for good with each thread that ever decoded a large picture; these go back to the system.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined] # documented, not exported
#: Bytes for all pictures that are decoded at the same time: one of the largest, or many others.
_MEMORY = 1 << 30


def decode(
    data: bytes, allowed: Limits, *, max_side: int | None = DEFAULT_MAX_SIDE
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode JPEG, PNG, WebP, GIF (first frame), TIFF (first page), HEIC, AVIF or BMP.

    EXIF orientation is applied, transparency laid over white, any colour mode made RGB. The
    longer side of the returned picture is at most ``max_side``; None leaves the full size.
    With it comes the upright size of the original, in pixels.

    Raises UnreadableImage, with a sentence for the user, for anything else and over a limit.
    """
    with _decoded(data, allowed, max_side=max_side, is_reduced=max_side is not None) as source:
        turn = _orientation(source.image)
        picture = colours.resizable(source.image)
        longer = max(picture.size)
        if max_side is not None and longer > max_side:
            width, height = (max(1, round(side * max_side / longer)) for side in picture.size)
            picture = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
        picture = colours.rgb(picture)
        if turn in _TRANSPOSE:
            picture = picture.transpose(_TRANSPOSE[turn])
        source.image.close()  # its pixels, while the room is still ours
    width, height = source.size
    return picture, ((height, width) if turn in _SIDEWAYS else (width, height))


def load(
    data: bytes, allowed: Limits, *, upright: bool = True, max_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode for another picture to be made of it; also return its full size.

    The picture is RGB, or RGBA where something is transparent, and keeps its colour profile in
    ``info``. ``upright``: apply the EXIF orientation. ``max_side``: a JPEG may be smaller than
    its full size, not smaller than this. Raises UnreadableImage.
    """
    with _decoded(data, allowed, max_side=max_side, is_reduced=False) as source:
        turn = _orientation(source.image) if upright else 1
        picture = colours.coloured(source.image)
        if turn in _TRANSPOSE:
            picture = picture.transpose(_TRANSPOSE[turn])
    width, height = source.size
    return picture, ((height, width) if turn in _SIDEWAYS else (width, height))


def inspect(data: bytes, allowed: Limits) -> tuple[str, int, int]:
    """Format ("jpg", "png" …), upright width and height, from the header.

    Pixels are decoded only where the file does not reach as far as it says, to see whether they
    are all there. Raises UnreadableImage as :func:`decode` does; other damage goes unnoticed.
    """
    with opened(data, allowed) as source:
        needed = checked(source.name, source.image, source.scans, allowed, full=False)
        width, height = source.size
        if _orientation(source.image) in _SIDEWAYS:
            width, height = height, width
        reaches = containers.REACHES.get(source.name)
        if reaches and not reaches(source.data):
            with room.taken(needed):
                source.image.load()
    return _SUFFIXES.get(source.name, source.name.lower()), width, height


def is_animated(data: bytes, allowed: Limits) -> bool:
    """Whether there is more than one frame or page, of which only the first is ever decoded."""
    with opened(data, allowed) as source:
        return bool(getattr(source.image, "is_animated", False))


@contextmanager
def _decoded(
    data: bytes, allowed: Limits, *, max_side: int | None, is_reduced: bool
) -> Iterator[Source]:
    """Have the pixels, as they are stored, with the memory for them and for what is made of them.

    Of a JPEG at the smallest scale at which it is as large as ``max_side``; a narrow one has but
    one. ``is_reduced``: whether any other is made smaller before anything else is made of it.
    """
    with opened(data, allowed) as source:
        image = source.image
        width, height = source.size
        scale = max_side if source.name == "JPEG" else None
        full = scale is None and not is_reduced
        needed = checked(source.name, image, source.scans, allowed, full=full)
        if scale is not None:
            image.draft(None, (min(scale, width), min(scale, height)))
        with room.taken(max(needed, image.width * image.height * _PILLOW_BYTES)):
            image.load()
            found = source.structure
            is_doubtful = bool(found and found.is_ended and _ends_grey(image))
            yield source
        if is_doubtful:
            _check_rows(source, allowed)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; metadata that cannot be read turns nothing."""
    if len(image.info.get("exif") or "") > _EXIF_BYTES:
        return 1
    try:
        # Not the PNG's own way, which decodes its pixels to look for metadata behind them.
        turn = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the parser of a broken block may raise anything
        return 1
    return turn if turn in _TRANSPOSE else 1


# ---- opening: the header, and whether all of the picture is there


@dataclass(slots=True)
class Source:
    """A file whose header was read."""

    name: str
    #: As the decoder gets it.
    data: bytes
    image: ImageFile.ImageFile
    #: Pixels of the picture as it is stored; of the image fewer, once that is to be reduced.
    size: tuple[int, int]
    #: How often every pixel is gone through.
    scans: int = 1
    #: Of a JPEG.
    structure: JpegStructure | None = None


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


def _plain(name: str, data: bytes, _: Limits) -> Source:
    image = _DECODERS[name](io.BytesIO(data))
    return Source(name, data, image, image.size)


def _png(name: str, data: bytes, allowed: Limits) -> Source:
    source = _plain(name, containers.png(data), allowed)
    _scale_transparency(source.image, source.data[_PNG_DEPTH])
    return source


def _scale_transparency(image: ImageFile.ImageFile, depth: int) -> None:
    """Have the transparent colour as the pixels are; Pillow has them in 8 bits, but not that.

    Of 16-bit grey it keeps all bits.
    """
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and depth > formats.BITS:
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif isinstance(colour, int) and image.mode == "L" and depth < formats.BITS:
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
            source.size = source.image.size
    except SyntaxError as error:  # what Pillow says of a header that it does not know
        raise UnreadableImage(
            f"the TIFF has pixels of a kind that is not read ({directories[page].samples}, or"
            " the way they are compressed): export it with 8 or 16 bits, or as JPEG"
        ) from error
    if source.image.info.get("compression") in _JPEG_IN_TIFF:
        source.scans = max(1, tiff.scans(data, getattr(source.image, "tag_v2", {})))
    return source


def _jpeg(name: str, data: bytes, allowed: Limits) -> Source:
    found = formats.jpeg_structure(data)
    if found.precision != formats.BITS:
        raise UnreadableImage(
            f"a JPEG of {found.precision} bits a colour is not read: export it with 8 bits"
        )
    if not found.has_every_part or not (found.is_ended or found.is_refined):
        raise UnreadableImage("the JPEG file is damaged or incomplete (whole scans are missing)")
    own = data[: found.end] if found.is_ended else data[: found.end] + formats.JPEG_END
    source = _plain(name, own, allowed)
    source.structure, source.scans = found, found.scans
    if not found.is_ended:
        _check_whole(source, allowed)
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


def _check_whole(source: Source, allowed: Limits) -> None:
    """Refuse a JPEG without its end of which pixels are missing, be it one."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(source.data))
    times = formats.JPEG_ENDINGS
    needed = checked(source.name, image, source.scans, allowed, full=True, times=times)
    with room.taken(needed):
        _compare_endings(source, times, is_reduced=False)


def _check_rows(source: Source, allowed: Limits) -> None:
    """Refuse a JPEG with its end of which rows are missing.

    They show at a reduced scale, which takes little memory. As it is no more than a doubt, as much
    is done as the limits allow: nothing for a picture that may not be decoded even twice.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(source.data))
    times = min(formats.JPEG_ENDINGS, allowed.work // (image.width * image.height * source.scans))
    if times < 2:  # noqa: PLR2004 - one to compare with another
        return
    needed = checked(source.name, image, source.scans, allowed, full=False, times=times)
    reduced = _reduced(image)
    with room.taken(max(needed, reduced.width * reduced.height * _PILLOW_BYTES)):
        _compare_endings(source, times, is_reduced=True)


def _compare_endings(source: Source, times: int, *, is_reduced: bool) -> None:
    """Missing pixels are those that change with what stands in for them."""
    assert source.structure
    endings = islice(formats.jpeg_endings(source.data, source.structure), times)
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


def _ends_grey(image: Image.Image) -> bool:
    """Whether the last corner is what decoders put in place of missing pixels."""
    corner = image.crop((image.width - 1, image.height - 1, image.width, image.height))
    return set(corner.tobytes()) <= _GREY


# ---- limits, and the memory that decoding takes


class MemoryBudget:
    """Memory for work that threads do at the same time: who finds none left waits for it."""

    def __init__(self, size: int) -> None:
        """``size``: bytes for all together."""
        self._size = self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have so many bytes meanwhile, or all there are where that is less."""
        size = min(size, self._size)
        with self._changed:
            while size > self._left:
                self._changed.wait()
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


#: What all decoding of this process shares.
room = MemoryBudget(_MEMORY)


def checked(
    name: str,
    image: ImageFile.ImageFile,
    scans: int,
    limits: Limits,
    *,
    full: bool,
    times: int = 1,
) -> int:
    """Refuse what is over a limit; return the bytes that decoding takes.

    ``scans``: how often each pixel is gone through. ``full``: whether all pixels are returned;
    ``times``: how often the picture is decoded.
    """
    width, height = image.size
    pixels = width * height
    if max(image.size) > limits.side or pixels > limits.pixels:
        raise UnreadableImage(
            f"the picture has {width:,} x {height:,} pixels; at most {limits.pixels:,} pixels,"
            f" {limits.side:,} on a side, are read"
        )
    memory = pixels * _FULL_BYTES * full
    # Beside that, at its peak: an estimate, up to the reduced picture.
    if name == "JPEG":
        # It is decoded at a reduced scale; only coefficients are ever kept at the full one.
        memory += pixels * _COEFFICIENT_BYTES if scans > 1 else 0
    else:
        mode = _MODE_BYTES.get(image.mode, _COLOUR_BYTES)
        mode = _TRANSPARENT_BYTES if image.has_transparency_data else mode
        decoded = max(pixels, _tile_pixels(image)) if name == "TIFF" else pixels
        memory += decoded * (mode + _DECODER_BYTES.get(name, 0))
    if memory > limits.memory or pixels * scans * times > limits.work:
        raise UnreadableImage(
            f"the {name} picture of {width:,} x {height:,} pixels takes too much memory or time"
            " to be read; save it smaller, or as a plain JPEG"
        )
    return memory


def _tile_pixels(image: ImageFile.ImageFile) -> int:
    """Return the size of a TIFF's tile, which may be far larger than its picture."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))
