"""Pictures from bytes: upright RGB, or what their header says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from facelabel.images import colours, containers, limits
from facelabel.images.opening import check_rows, ends_grey, opened

if TYPE_CHECKING:
    from facelabel.images import Limits
    from facelabel.images.opening import Source

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


def decode(
    data: bytes, allowed: Limits, *, max_side: int | None = DEFAULT_MAX_SIDE
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode JPEG, PNG, WebP, GIF (first frame), TIFF (first page), HEIC, AVIF or BMP.

    EXIF orientation is applied, transparency laid over white, any colour mode made RGB. The
    longer side of the returned picture is at most ``max_side``; None leaves the full size.
    With it comes the upright size of the original, in pixels.

    Raises UnreadableImage, with a sentence for the user, for anything else and over a limit.
    """
    with opened(data, allowed) as source:
        needed = limits.checked(
            source.name, source.image, source.scans, allowed, full=max_side is None
        )
        size = source.image.size
        _scale(source, max_side)
        with limits.room.taken(max(needed, limits.pixel_bytes(source.image))):
            is_doubtful = _loaded(source)
            turn = _orientation(source.image)
            upright = colours.rgb(_reduced(colours.resizable(source.image), max_side))
            if turn in _TRANSPOSE:
                upright = upright.transpose(_TRANSPOSE[turn])
            source.image.close()  # its pixels, while the room is still ours
        if is_doubtful:
            check_rows(source, allowed)
        width, height = reversed(size) if turn in _SIDEWAYS else size
        return upright, (width, height)


def load(
    data: bytes, allowed: Limits, *, upright: bool = True, max_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode for another picture to be made of it; also return its full size.

    The picture is RGB, or RGBA where something is transparent, and keeps its colour profile in
    ``info``. ``upright``: apply the EXIF orientation. ``max_side``: a JPEG may be smaller than
    its full size, not smaller than this. Raises UnreadableImage.
    """
    with opened(data, allowed) as source:
        reduced = source.name == "JPEG" and max_side is not None
        needed = limits.checked(source.name, source.image, source.scans, allowed, full=not reduced)
        width, height = source.image.size
        _scale(source, max_side)
        with limits.room.taken(max(needed, limits.pixel_bytes(source.image))):
            is_doubtful = _loaded(source)
            turn = _orientation(source.image) if upright else 1
            coloured = colours.coloured(source.image)
            if turn in _TRANSPOSE:
                coloured = coloured.transpose(_TRANSPOSE[turn])
        if is_doubtful:
            check_rows(source, allowed)
        return coloured, ((height, width) if turn in _SIDEWAYS else (width, height))


def inspect(data: bytes, allowed: Limits) -> tuple[str, int, int]:
    """Format ("jpg", "png" …), upright width and height, from the header.

    Pixels are decoded only where the file does not reach as far as it says, to see whether they
    are all there. Raises UnreadableImage as :func:`decode` does; other damage goes unnoticed.
    """
    with opened(data, allowed) as source:
        needed = limits.checked(source.name, source.image, source.scans, allowed, full=False)
        width, height = source.image.size
        if _orientation(source.image) in _SIDEWAYS:
            width, height = height, width
        if not containers.seems_whole(source.name, source.data):
            with limits.room.taken(needed):
                _loaded(source)
    return _SUFFIXES.get(source.name, source.name.lower()), width, height


def is_animated(data: bytes, allowed: Limits) -> bool:
    """Whether there is more than one frame or page, of which only the first is ever decoded."""
    with opened(data, allowed) as source:
        return bool(getattr(source.image, "is_animated", False))


def _scale(source: Source, max_side: int | None) -> None:
    """Have a JPEG decoded at the smallest scale that is large enough; a narrow one has but one."""
    if source.name == "JPEG" and max_side is not None:
        image = source.image
        image.draft(None, (min(max_side, image.width), min(max_side, image.height)))


def _loaded(source: Source) -> bool:
    """Decode the pixels; whether it is doubtful that there were as many as announced."""
    source.image.load()
    return bool(source.structure and source.structure.is_ended and ends_grey(source.image))


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


def _reduced(image: Image.Image, max_side: int | None) -> Image.Image:
    longer = max(image.size)
    if max_side is None or longer <= max_side:
        return image
    size = tuple(max(1, round(side * max_side / longer)) for side in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.BICUBIC, reducing_gap=2.0)
