"""Pictures as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from facelabel.cloudinary.transformations import Rendered
from facelabel.errors import Rejected
from facelabel.rendering.effects import colour, is_opaque, laid_over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

#: What a file is written with where nothing was said.
_QUALITY = 85
_WHITE = "white"
_WRITERS: Mapping[str, str] = {
    "jpg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "avif": "AVIF",
}
#: Pixels of a side.
_LARGEST: Mapping[str, int] = {"jpg": 65_500, "webp": 16_383, "gif": 65_535, "avif": 65_535}
_LOSSY = {"jpg", "webp", "avif"}
#: Chroma is kept whole from this quality on.
_FULL_CHROMA = 90


def encode(
    image: Image.Image, names: Sequence[str], quality: int | None, background: str
) -> Rendered:
    """Write an RGB or RGBA picture in the first of some formats that can hold it.

    ``names``: formats, or "auto" for JPEG, PNG if transparent. A colour profile in the picture's
    ``info`` is kept. Where something is transparent, ``background`` shows, and in JPEG white.
    Rejected where no format of them has such a size.
    """
    profile = image.info.get("icc_profile")
    if is_opaque(image):
        image = image.convert("RGB")
    if background:
        image = laid_over(image, colour(background))
    image.info = {"icc_profile": profile} if profile else {}
    candidates = [name for given in names for name in _candidates(given, image)]
    *others, last = [name for name in candidates if _fits(image, name)] or candidates[:1]
    for name in others:
        try:
            return _written(image, name, quality)
        except Rejected:  # what the format says of itself is not all that its encoder says
            continue
    return _written(image, last, quality)


def _candidates(name: str, image: Image.Image) -> Sequence[str]:
    if name != "auto":
        return [name]
    return ["jpg", "png"] if image.mode == "RGB" else ["png"]


def _fits(image: Image.Image, name: str) -> bool:
    return max(image.size) <= _LARGEST.get(name, max(image.size))


def _written(image: Image.Image, name: str, quality: int | None) -> Rendered:
    file, profile = io.BytesIO(), image.info.get("icc_profile")
    if name == "jpg":
        image = laid_over(image, colour(_WHITE)).convert("RGB")
    try:
        image.save(file, _WRITERS[name], icc_profile=profile, **_options(name, quality or _QUALITY))
    except (OSError, ValueError) as error:
        size = f"{image.width:,} x {image.height:,} pixels"
        raise Rejected(f"a picture of {size} cannot be written as {name}: {error}") from error
    return Rendered(file.getvalue(), name, *image.size)


def _options(name: str, quality: int) -> dict[str, Any]:
    options: dict[str, Any] = {"quality": quality} if name in _LOSSY else {}
    if name == "jpg" and quality >= _FULL_CHROMA:
        options["subsampling"] = 0
    return options
