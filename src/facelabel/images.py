"""Reading pictures: from bytes nobody vouches for to upright RGB, within fixed limits.

A file is recognised by its first bytes, never by its name, and goes to the one decoder of that
format: no other parser ever sees it. Size, memory and work are judged from the header, before
anything is decoded; a file that ends early is refused, not completed with grey.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageMath,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from facelabel.errors import UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from PIL import ImageFile

#: So many of a file's first bytes tell what it is.
HEAD_BYTES = 512
#: Long side that serves detection of small faces and crops of big ones.
DEFAULT_MAX_SIDE = 2560
_START_OF_SCAN = b"\xff\xda"
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def _heif(file: io.BytesIO) -> ImageFile.ImageFile:
    try:
        # A library of its own, which what reads no photos of telephones can do without.
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - see above
    except ImportError as error:
        raise UnreadableImage("HEIC pictures need pillow-heif, which is not here") from error
    photo: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return photo


_FORMATS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "HEIC": _heif,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
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
#: Bytes a pixel takes in the decoder itself, beside Pillow's image (measured, rounded up).
_DECODER_BYTES = {"AVIF": 8, "HEIC": 3, "WebP": 12}
#: Bytes a pixel takes in Pillow, conversion to a mode that can be reduced included (measured).
_MODE_BYTES = {"1": 6, "L": 2, "P": 7, "I": 16, "F": 16, "I;16": 5, "I;16B": 5, "I;16L": 5}
_COLOUR_BYTES, _TRANSPARENT_BYTES = 5, 14
#: And before any conversion.
_PILLOW_BYTES = 4
#: Coefficients of a JPEG with several scans are all kept until the last one.
_COEFFICIENT_BYTES = 7
#: Of a colour profile that is kept; those of cameras and screens have a few thousand.
_PROFILE_BYTES = 1 << 20
#: What returning every pixel adds.
_FULL_BYTES = 8
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_SUFFIXES = {"JPEG": "jpg", "TIFF": "tif"}
#: Of 32-bit numbers.
_LARGEST = 3.4028234e38
#: Rows looked at together.
_STRIP = 256
_warnings_lock = threading.Lock()
# Pieces of pixels in which Pillow asks for memory: of 16 MB, as it has them otherwise, many stay
# for good with each thread that ever decoded a large picture; these go back to the system.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined] # documented, not exported
#: Bytes for all pictures that are decoded at the same time: one of the largest, or many others.
_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is read."""

    #: Of the file.
    bytes: int = 50 << 20
    #: Of the picture. Formats that cannot be decoded at a reduced scale reach ``memory`` earlier:
    #: 168 megapixels in PNG and TIFF, 105 in HEIC, 64 in AVIF, 49 in WebP, 60 and less with
    #: transparency; a JPEG with several scans 120.
    pixels: int = 200_000_000
    #: Pixels of the longer side.
    side: int = 65_535
    #: Bytes that decoding may take, estimated from the header.
    memory: int = 840_000_000
    #: Pixels decoded over all scans of a progressive JPEG, which may hold thousands of them.
    work: int = 3_000_000_000


class Room:
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
            self._changed.wait_for(lambda: size <= self._left)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


_room = Room(_MEMORY)


def decode(
    data: bytes, limits: Limits, *, max_side: int | None = DEFAULT_MAX_SIDE
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode JPEG, PNG, WebP, GIF (first frame), TIFF (first page), HEIC, AVIF or BMP.

    EXIF orientation is applied, transparency laid over white, any colour mode made RGB. The
    longer side of the returned picture is at most ``max_side``; None leaves the full size.
    With it comes the upright size of the original, in pixels.

    Raises UnreadableImage, with a sentence for the user, for anything else and over a limit.
    """
    name = _recognised(data, limits)
    with _refusing(name):
        image = _open(name, data)
        scans = _scans(data) if name == "JPEG" else 1
        memory = _checked(name, image, scans, limits, full=max_side is None)
        size = image.size
        _scale(name, image, max_side)
        with _room.taken(max(memory, _pixel_bytes(image))):
            _load(name, image)
            turn = _orientation(image)
            upright = _rgb(_reduced(_resizable(image), max_side))
            if turn in _TRANSPOSE:
                upright = upright.transpose(_TRANSPOSE[turn])
            del image  # its pixels, while the room is still ours
        width, height = reversed(size) if turn in _SIDEWAYS else size
        return upright, (width, height)


def load(
    data: bytes, limits: Limits, *, upright: bool = True, max_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode for another picture to be made of it; also return its full size.

    The picture is RGB, or RGBA where something is transparent, and keeps its colour profile in
    ``info``. ``upright``: apply the EXIF orientation. ``max_side``: a JPEG may be smaller than
    its full size, not smaller than this. Raises UnreadableImage.
    """
    name = _recognised(data, limits)
    reduced = name == "JPEG" and max_side is not None
    with _refusing(name):
        image = _open(name, data)
        scans = _scans(data) if name == "JPEG" else 1
        memory = _checked(name, image, scans, limits, full=not reduced)
        width, height = image.size
        _scale(name, image, max_side)
        with _room.taken(max(memory, _pixel_bytes(image))):
            _load(name, image)
            turn = _orientation(image) if upright else 1
            coloured = _coloured(image)
            if turn in _TRANSPOSE:
                coloured = coloured.transpose(_TRANSPOSE[turn])
        return coloured, ((height, width) if turn in _SIDEWAYS else (width, height))


def inspect(data: bytes, limits: Limits) -> tuple[str, int, int]:
    """Format ("jpg", "png" …), upright width and height, from the header and without decoding.

    Raises UnreadableImage as :func:`decode` does; damage behind the header goes unnoticed.
    """
    name = _recognised(data, limits)
    with _refusing(name):
        image = _open(name, data)
        _checked(name, image, _scans(data) if name == "JPEG" else 1, limits, full=False)
        sideways = _orientation(image) in _SIDEWAYS
    width, height = reversed(image.size) if sideways else image.size
    return _SUFFIXES.get(name, name.lower()), width, height


def is_picture(head: bytes) -> bool:
    """Whether the first :data:`HEAD_BYTES` of a file announce a picture that is read."""
    try:
        _sniff(head)
    except UnreadableImage:
        return False
    return True


def _recognised(data: bytes, limits: Limits) -> str:
    """The format of a file that is within the limit."""
    if not 0 < len(data) <= limits.bytes:
        raise UnreadableImage(f"the file has {len(data):,} bytes; 1 to {limits.bytes:,} are read")
    return _sniff(data)


def _sniff(data: bytes) -> str:
    """Return the format that the first bytes announce."""
    for name, signature in _SIGNATURES.items():
        if signature.match(data):
            return name
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIC"
    raise UnreadableImage(
        "the file is not a picture in JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF or BMP"
    )


def _brands(data: bytes) -> frozenset[bytes]:
    """Return what an ISO media file says it is, first and foremost and also."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return frozenset(data[at : at + 4] for at in range(8, end, 4))


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn whatever a decoder says about hostile bytes into our refusal."""
    try:
        yield
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"the {name} picture is too large to be read") from error
    except Exception as error:
        raise UnreadableImage(f"the {name} file is damaged or incomplete ({error})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep decoders from warning about metadata nobody asked them for.

    Python's warning filters belong to the process, so one thread at a time.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(name: str, data: bytes) -> ImageFile.ImageFile:
    """Read the header."""
    with _quiet():
        return _FORMATS[name](io.BytesIO(data))


def _checked(
    name: str, image: ImageFile.ImageFile, scans: int, limits: Limits, *, full: bool
) -> int:
    """Refuse what is over a limit; return the bytes that decoding takes."""
    width, height = image.size
    pixels = width * height
    if name == "BMP" and image.tile[0].codec_name != "raw":
        # Pillow reads run lengths in Python: a small file would be work for minutes.
        raise UnreadableImage("compressed BMP pictures are not read; save it as PNG")
    if max(image.size) > limits.side or pixels > limits.pixels:
        raise UnreadableImage(
            f"the picture has {width:,} x {height:,} pixels; at most {limits.pixels:,} pixels,"
            f" {limits.side:,} on a side, are read"
        )
    memory = pixels * _FULL_BYTES * full + _memory(name, image, scans)
    if memory > limits.memory or pixels * scans > limits.work:
        raise UnreadableImage(
            f"the {name} picture of {width:,} x {height:,} pixels takes too much memory or time"
            " to be read; save it smaller, or as a plain JPEG"
        )
    return memory


def _memory(name: str, image: ImageFile.ImageFile, scans: int) -> int:
    """Estimate the bytes that decoding takes at its peak, up to the reduced picture."""
    pixels = image.width * image.height
    if name == "JPEG":
        # It is decoded at a reduced scale; only coefficients are ever kept at the full one.
        return pixels * _COEFFICIENT_BYTES if scans > 1 else 0
    if name == "TIFF":
        pixels = max(pixels, _tile_pixels(image))
    mode = _MODE_BYTES.get(image.mode, _COLOUR_BYTES)
    if image.has_transparency_data:
        mode = _TRANSPARENT_BYTES
    return pixels * (mode + _DECODER_BYTES.get(name, 0))


def _tile_pixels(image: ImageFile.ImageFile) -> int:
    """Return the size of a TIFF's tile, which may be far larger than its picture."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG, those of an embedded thumbnail apart."""
    at = 2
    while at + 4 <= len(data) and data[at : at + 2] != _START_OF_SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.count(_START_OF_SCAN, at)


def _scale(name: str, image: ImageFile.ImageFile, max_side: int | None) -> None:
    """Have a JPEG decoded at the smallest scale that is large enough; a narrow one has but one."""
    if name == "JPEG" and max_side is not None:
        image.draft(None, (min(max_side, image.width), min(max_side, image.height)))


def _pixel_bytes(image: ImageFile.ImageFile) -> int:
    """The bytes of the pixels alone at the scale that was chosen."""
    return image.width * image.height * _PILLOW_BYTES


def _load(name: str, image: ImageFile.ImageFile) -> None:
    """Decode the pixels."""
    if name == "TIFF":
        with _quiet():
            image.load()
    else:
        image.load()


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8; metadata that cannot be read turns nothing."""
    try:
        with _quiet():
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - the parser of a broken block may raise anything
        return 1
    return turn if turn in _TRANSPOSE else 1


def _resizable(image: Image.Image) -> Image.Image:
    """Bring the picture into a mode whose pixels can be averaged."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I;16"):
        return _upper_bytes(image)
    if image.mode in {"I", "F"}:
        return _stretched(image)
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _upper_bytes(image: Image.Image) -> Image.Image:
    """Return the upper half of each 16-bit value."""
    at = 0 if image.mode == "I;16B" else 1
    return Image.frombytes("L", image.size, image.tobytes()[at::2])


def _stretched(image: Image.Image) -> Image.Image:
    """Map the range of values to 0..255: 32-bit pixels have no agreed white."""
    values = image.convert("F")
    if image.mode == "F":
        _clear_infinite(values)
    low, high = _extrema(values)
    scale = 255.0 / ((high - low) or 1.0)
    return values.point(lambda value: value * scale - low * scale).convert("L")


def _clear_infinite(values: Image.Image) -> None:
    """Put 0 where there is no number, a strip at a time to take little memory."""
    for top in range(0, values.height, _STRIP):
        area = (0, top, values.width, min(top + _STRIP, values.height))
        strip = values.crop(area)
        size = ImageMath.lambda_eval(lambda args: abs(args["strip"]), strip=strip)
        number = ImageMath.lambda_eval(lambda args: args["size"] <= _LARGEST, size=size)
        mask = number.point(lambda value: value * 255).convert("L")
        values.paste(Image.composite(strip, Image.new("F", strip.size), mask), area)


def _extrema(values: Image.Image) -> tuple[float, float]:
    low, high = values.getextrema()
    assert isinstance(low, float) and isinstance(high, float)  # noqa: PT018 - not a test
    return low, high


def _reduced(image: Image.Image, max_side: int | None) -> Image.Image:
    longer = max(image.size)
    if max_side is None or longer <= max_side:
        return image
    size = tuple(max(1, round(side * max_side / longer)) for side in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _coloured(image: Image.Image) -> Image.Image:
    """Return RGB or RGBA with the profile that still describes it, if any."""
    profile = image.info.get("icc_profile") or b""
    if image.mode == "CMYK":
        return _printed(image, profile)
    image = _resizable(image)
    if image.mode not in {"RGB", "RGBA"}:
        image = image.convert("RGB")
    fits = profile[16:20] == b"RGB " and len(profile) <= _PROFILE_BYTES
    image.info = {"icc_profile": profile} if fits else {}
    return image


def _printed(image: Image.Image, profile: bytes) -> Image.Image:
    """Return a CMYK picture as sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (OSError, ImageCms.PyCMSError):  # none, or a broken one
        converted = None
    converted = converted or image.convert("RGB")
    converted.info = {}
    return converted


def _rgb(image: Image.Image) -> Image.Image:
    """Return RGB, with white where the picture is transparent."""
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image)
        return canvas
    plain = image.convert("RGB")
    plain.info = {}
    return plain
