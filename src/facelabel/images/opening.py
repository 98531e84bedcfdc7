"""Opening a picture: the header, by the one decoder of its format, and whether all of it is there.

What a decoder would judge wrongly is put right before it sees the file: bytes behind the picture,
an end that is missing, metadata that is damaged.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
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

    from facelabel.images.jpeg import Structure
    from facelabel.images.limits import Limits

#: Rows looked at together.
_STRIP = 256
#: What a JPEG decoder puts where pixels are missing, whatever the colours it reads.
_GREY = frozenset({127, 128})
_warnings_lock = threading.Lock()


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
    #: Of a JPEG.
    structure: Structure | None = None

    @property
    def scans(self) -> int:
        """How often every pixel is gone through, 1 at least."""
        return max(1, self.structure.scans) if self.structure else 1


@contextmanager
def opened(data: bytes, allowed: Limits) -> Iterator[Source]:
    """Read the header; whatever a decoder says in the block becomes our refusal."""
    if not 0 < len(data) <= allowed.bytes:
        raise UnreadableImage(f"the file has {len(data):,} bytes; 1 to {allowed.bytes:,} are read")
    name = formats.recognised(data)
    with _refusing(name):
        yield _OPENERS.get(name, _plain)(name, data, allowed)


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
def quiet() -> Iterator[None]:
    """Keep decoders from warning about metadata nobody asked them for.

    Python's warning filters belong to the process, so one thread at a time.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# ---- one format each


def _plain(name: str, data: bytes, _: Limits) -> Source:
    with quiet():
        return Source(name, data, _DECODERS[name](io.BytesIO(data)))


def _png(name: str, data: bytes, allowed: Limits) -> Source:
    return _plain(name, containers.png(data), allowed)


def _webp(name: str, data: bytes, allowed: Limits) -> Source:
    return _plain(name, containers.webp(data), allowed)


def _tiff(name: str, data: bytes, allowed: Limits) -> Source:
    directories = tiff.directories(data)
    formats.check_no_raw(directories)
    page = tiff.main_page(directories)
    try:
        source = _plain(name, data, allowed)
        if page:
            with quiet():
                source.image.seek(page)
    except SyntaxError as error:  # what Pillow says of a header that it does not know
        raise UnreadableImage(
            f"the TIFF has pixels of a kind that is not read ({directories[page].samples}, or"
            " the way they are compressed): export it with 8 or 16 bits, or as JPEG"
        ) from error
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
    source.structure = found
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
    """Refuse a JPEG of which pixels are missing: they change with what stands in for them."""
    assert source.structure
    image, scans = JpegImagePlugin.JpegImageFile(io.BytesIO(source.data)), source.scans
    needed = limits.checked(source.name, image, scans, allowed, full=True, times=jpeg.ENDINGS)
    with limits.room.taken(needed):
        digests = map(_digest, jpeg.endings(source.data, source.structure))
        first = next(digests)
        if any(digest != first for digest in digests):
            raise UnreadableImage(
                "the JPEG file is damaged or incomplete (pixels are missing at its end)"
            )


def _digest(data: bytes) -> bytes:
    """Of all pixels, a strip at a time to take little memory."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    image.load()
    digest = hashlib.sha256()
    for top in range(0, image.height, _STRIP):
        digest.update(image.crop((0, top, image.width, top + _STRIP)).tobytes())
    return digest.digest()


def ends_grey(image: Image.Image) -> bool:
    """Whether the last corner is what decoders put in place of missing pixels."""
    corner = image.crop((image.width - 1, image.height - 1, image.width, image.height))
    return set(corner.tobytes()) <= _GREY
