"""Pictures with boxes and names drawn on them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from PIL import ImageDraw, ImageFont

from facelabel.images.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from facelabel.core.model import FaceDecision
    from facelabel.images import Limits

    #: Left, top, right, bottom, in pixels.
    Rectangle: TypeAlias = tuple[float, float, float, float]

KNOWN: Final = (34, 160, 84)
UNKNOWN: Final = (150, 150, 150)
MAX_SIDE: Final = 1600
#: So many plates below and above a box are tried for a name.
_STEPS: Final = 4
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

    The picture is upright and at most 1600 pixels on its longer side. Names stand under their
    boxes, or where they cover no other name. Raises UnreadableImage.
    """
    picture, _ = decode(data, limits, max_side=MAX_SIDE)
    draw = ImageDraw.Draw(picture)
    size = max(12, round(max(picture.size) / 45))
    boxes = [_outline(face, picture.size) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        draw.rectangle(box, outline=KNOWN if face.name else UNKNOWN, width=max(2, size // 8))
    taken: list[Rectangle] = []
    for face, box in zip(faces, boxes, strict=True):
        if face.name and face.best:
            # Down, never up: 100 is the same picture, and nothing else is.
            text = f"{face.name} {int(face.best.similarity)}"
            taken.append(_write(draw, box, text, size, picture.size, taken))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _outline(face: FaceDecision, image: tuple[int, int]) -> Rectangle:
    box = face.face.box
    left, top = box.left * image[0], box.top * image[1]
    return left, top, left + box.width * image[0], top + box.height * image[1]


def _write(
    draw: ImageDraw.ImageDraw,
    box: Rectangle,
    text: str,
    size: int,
    image: tuple[int, int],
    taken: Sequence[Rectangle],
) -> Rectangle:
    """White text on a plate; where the plate is."""
    font = _font(text, size)
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    pad = size // 4
    plate = place((x1 - x0 + 2 * pad, y1 - y0 + 2 * pad), box, image, taken)
    draw.rectangle(plate, fill=KNOWN)
    draw.text((plate[0] + pad - x0, plate[1] + pad - y0), text, font=font, fill=(255, 255, 255))
    return plate


def place(
    size: tuple[float, float],
    box: Rectangle,
    image: tuple[int, int],
    taken: Sequence[Rectangle],
) -> Rectangle:
    """Where a plate of that size goes: under the box, over it, or further off.

    Inside the picture, and on none of those ``taken`` as long as there is such a place near.
    """
    width, height = size
    x = min(max(0.0, box[0]), max(0.0, image[0] - width))
    steps = range(_STEPS)
    tries = [y for step in steps for y in (box[3] + step * height, box[1] - (step + 1) * height)]
    plates = [
        (x, y, x + width, y + height) for y in tries if y >= 0 and y + height <= image[1]
    ] or [(x, max(0.0, image[1] - height), x + width, image[1])]
    return next((plate for plate in plates if not _is_on(plate, taken)), plates[0])


def _is_on(plate: Rectangle, taken: Sequence[Rectangle]) -> bool:
    return any(
        plate[0] < other[2] and other[0] < plate[2] and plate[1] < other[3] and other[1] < plate[3]
        for other in taken
    )


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if not text.isascii():
        for name in _FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)
