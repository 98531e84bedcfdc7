"""Pictures as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from facelabel.adapters.engine.rendering.effects import colour, is_opaque, laid_over
from facelabel.cloudinary.transformations import Rendered
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_LOSSY = {"jpg", "webp", "avif"}
#: Chroma is kept whole from this quality on.
_FULL_CHROMA = 90


def encode(image: Image.Image, name: str, quality: int | None, background: str) -> Rendered:
    """Write an RGB or RGBA picture; ``name``: a format, or "auto" for JPEG, PNG if transparent.

    A colour profile in the picture's ``info`` is kept. Where something is transparent,
    ``background`` shows, and in JPEG white. Rejected where the format has no such size.
    """
    profile = image.info.get("icc_profile")
    if is_opaque(image):
        image = image.convert("RGB")
    if name == "auto":
        name = "jpg" if image.mode == "RGB" or background else "png"
    if background or name == "jpg":
        image = laid_over(image, colour(background or _WHITE))
    if name == "jpg":
        image = image.convert("RGB")
    options = _options(name, quality or _QUALITY)
    return Rendered(_written(image, name, icc_profile=profile, **options), name, *image.size)


def _written(image: Image.Image, name: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    file = io.BytesIO()
    try:
        image.save(file, _WRITERS[name], **options)
    except (OSError, ValueError) as error:  # each format has a largest size of its own
        size = f"{image.width:,} x {image.height:,} pixels"
        raise Rejected(f"a picture of {size} cannot be written as {name}: {error}") from error
    return file.getvalue()


def _options(name: str, quality: int) -> dict[str, Any]:
    options: dict[str, Any] = {"quality": quality} if name in _LOSSY else {}
    if name == "jpg" and quality >= _FULL_CHROMA:
        options["subsampling"] = 0
    return options
