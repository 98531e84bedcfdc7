"""Pictures with boxes and names drawn on them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from PIL import ImageDraw, ImageFont

from facelabel.images.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import FaceDecision
    from facelabel.images import Limits

KNOWN: Final = (34, 160, 84)
UNKNOWN: Final = (150, 150, 150)
MAX_SIDE: Final = 1600
#: Tried for names that the built-in Latin font cannot show.
_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "Arial Unicode.ttf",
    "msgothic.ttc",
)


def annotate(data: bytes, faces: Sequence[FaceDecision], limits: Limits) -> bytes:
    """Draw a box around each face, green with the name or grey, and return a JPEG.

    The picture is upright and at most 1600 pixels on its longer side. Raises UnreadableImage.
    """
    picture, _ = decode(data, limits, max_side=MAX_SIDE)
    draw = ImageDraw.Draw(picture)
    size = max(12, round(max(picture.size) / 45))
    for face in faces:
        _draw_face(draw, face, picture.size, size)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _draw_face(
    draw: ImageDraw.ImageDraw, face: FaceDecision, image: tuple[int, int], size: int
) -> None:
    box = face.face.box
    left, top = box.left * image[0], box.top * image[1]
    right, bottom = left + box.width * image[0], top + box.height * image[1]
    colour = KNOWN if face.name else UNKNOWN
    draw.rectangle((left, top, right, bottom), outline=colour, width=max(2, size // 8))
    if face.name and face.best:
        text = f"{face.name} {face.best.similarity:.0f}"
        _write(draw, (left, bottom), text, colour, size, image)


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    size: int,
    image: tuple[int, int],
) -> None:
    """White text on a plate under the box, kept inside the picture."""
    font = _font(text, size)
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    pad = size // 4
    width, height = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    x = min(max(0.0, at[0]), max(0.0, image[0] - width))
    y = min(max(0.0, at[1]), max(0.0, image[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    draw.text((x + pad - x0, y + pad - y0), text, font=font, fill=(255, 255, 255))


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if not text.isascii():
        for name in _FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)
