"""What is done to pixels: effects, corners, frames, opacity.

Pictures are RGB or RGBA, before and after.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

from facelabel.cloudinary.steps import Effect
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from facelabel.cloudinary.steps import Border
    from facelabel.rendering.geometry import Area

#: Squares across a pixelated picture, and across a pixelated face.
_SQUARES, _SQUARES_OF_FACE = 25, 6
_BLUR, _BLUR_FACES = 100, 500
#: Pixels of radius that a unit of blur makes; of a face, as a part of its longer side.
_BLUR_PIXELS = 0.05
_BLUR_OF_FACE = 1 / 2000
#: Pixels of radius that are left where a picture is made smaller before a strong blur.
_COARSE_RADIUS = 8
#: Where corners are smooth, each pixel of their edge is made of so many across; up to a radius
#: at which that costs too much and shows no more.
_FINE, _FINE_RADIUS = 4, 500
#: Rows of weights for red, green and blue, as everybody's sepia has them.
_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
_TRANSPARENT = (0, 0, 0, 0)


def applied(
    image: Image.Image, effect: Effect, strength: int | None, faces: Iterable[Area]
) -> Image.Image:
    """Return the picture with the effect; ``faces`` in pixels of it."""
    if effect in _ON_FACES:
        return _on_faces(image, faces, _ON_FACES[effect], strength)
    return _ON_ALL[effect](image, strength)


def colour(text: str) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity; Rejected for a name that is none."""
    if text == "transparent":
        return _TRANSPARENT
    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
    except ValueError as error:
        raise Rejected(f"there is no colour {text!r}") from error
    return red, green, blue, (alpha or [255])[0]


def laid_over(image: Image.Image, background: tuple[int, int, int, int]) -> Image.Image:
    """Return the picture with a colour behind it; RGB unless that is transparent itself."""
    if image.mode == "RGB":
        return image
    canvas = Image.new("RGBA", image.size, background)
    canvas.alpha_composite(image)
    return canvas.convert("RGB") if background[3] == 255 else canvas  # noqa: PLR2004 - opaque


def is_opaque(image: Image.Image) -> bool:
    """Whether nothing shows through."""
    return image.mode == "RGB" or image.getchannel("A").getextrema() == (255, 255)


def faded(image: Image.Image, opacity: int) -> Image.Image:
    """Return the picture with opacity 0..100."""
    return _with_alpha(image, Image.new("L", image.size, round(opacity * 2.55)))


def framed(
    image: Image.Image, radius: Sequence[float] | None, border: Border | None
) -> Image.Image:
    """Round the corners and put a frame of the same shape around."""
    if radius:
        image = _with_alpha(image, _rounded(image.size, radius))
    return _bordered(image, radius, border) if border and border.width else image


def _bordered(image: Image.Image, radius: Sequence[float] | None, border: Border) -> Image.Image:
    size = (image.width + 2 * border.width, image.height + 2 * border.width)
    frame = Image.new("RGBA", size, colour(border.colour))
    if radius:
        outer = [corner + border.width if corner else 0 for corner in radius]
        frame = _with_alpha(frame, _rounded(size, outer))
    frame.alpha_composite(image.convert("RGBA"), (border.width, border.width))
    return frame.convert("RGB") if is_opaque(frame) else frame


def _with_alpha(image: Image.Image, mask: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(ImageChops.multiply(image.getchannel("A"), mask))
    return image


def _rounded(size: tuple[int, int], radius: Sequence[float]) -> Image.Image:
    """A mask: white, with corners cut off."""
    mask = Image.new("L", size, 255)
    for index, corner in enumerate(radius):
        width, height = (max(0, round(min(corner, side / 2))) for side in size)
        if width and height:
            left = size[0] - width if index in (1, 2) else 0
            top = size[1] - height if index in (2, 3) else 0
            mask.paste(_quarter((width, height), index), (left, top))
    return mask


def _quarter(size: tuple[int, int], index: int) -> Image.Image:
    """The quarter of an ellipse that fills a corner, counted clockwise from the upper left."""
    fine = _FINE if max(size) <= _FINE_RADIUS else 1
    width, height = size[0] * fine, size[1] * fine
    tile = Image.new("L", (width, height), 0)
    left = -width if index in (1, 2) else 0
    top = -height if index in (2, 3) else 0
    ellipse = (left, top, left + 2 * width - 1, top + 2 * height - 1)
    ImageDraw.Draw(tile).ellipse(ellipse, fill=255)
    return tile.resize(size, Image.Resampling.BOX)


def _on_faces(
    image: Image.Image,
    faces: Iterable[Area],
    effect: Callable[[Image.Image, int | None], Image.Image],
    strength: int | None,
) -> Image.Image:
    """Apply an effect to what lies inside the boxes, and to nothing else."""
    image = image.copy()
    for face in faces:
        box = (
            max(0, math.floor(face.left)),
            max(0, math.floor(face.top)),
            min(image.width, math.ceil(face.right)),
            min(image.height, math.ceil(face.bottom)),
        )
        if box[0] < box[2] and box[1] < box[3]:
            image.paste(effect(image.crop(box), strength), box[:2])
    return image


def _pixelated(image: Image.Image, strength: int | None) -> Image.Image:
    return _squares(image, strength or math.ceil(max(image.size) / _SQUARES))


def _pixelated_face(image: Image.Image, strength: int | None) -> Image.Image:
    return _squares(image, strength or math.ceil(max(image.size) / _SQUARES_OF_FACE))


def _squares(image: Image.Image, side: int) -> Image.Image:
    side = max(1, min(side, *image.size))
    small = image.reduce(side)
    large = small.resize((small.width * side, small.height * side), Image.Resampling.NEAREST)
    return large.crop((0, 0, *image.size))


def blur_radius(strength: int | None) -> float:
    """Of a whole picture, in pixels."""
    return (strength or _BLUR) * _BLUR_PIXELS


def is_coarse(radius: float) -> bool:
    """Whether a blur leaves so little that it is made of a smaller picture."""
    return radius >= 2 * _COARSE_RADIUS


def _blurred(image: Image.Image, strength: int | None) -> Image.Image:
    return _gaussian(image, min(blur_radius(strength), max(image.size)))


def _blurred_face(image: Image.Image, strength: int | None) -> Image.Image:
    return _gaussian(image, (strength or _BLUR_FACES) * _BLUR_OF_FACE * max(image.size))


def _gaussian(image: Image.Image, radius: float) -> Image.Image:
    """Blur; with a large radius a smaller picture, which nobody can tell from the other."""
    if not is_coarse(radius):
        return image.filter(ImageFilter.GaussianBlur(radius))
    times = int(radius / _COARSE_RADIUS)
    bands = [_coarsely(band, times, radius / times) for band in image.split()]
    return Image.merge(image.mode, bands)


def _coarsely(band: Image.Image, times: int, radius: float) -> Image.Image:
    small = band.reduce(times).filter(ImageFilter.GaussianBlur(radius))
    part = (0.0, 0.0, band.width / times, band.height / times)
    return small.resize(band.size, Image.Resampling.BICUBIC, box=part)


def _grey(image: Image.Image, _: int | None) -> Image.Image:
    return _recoloured(image, image.convert("RGB").convert("L").convert("RGB"))


def _sepia(image: Image.Image, strength: int | None) -> Image.Image:
    plain = image.convert("RGB")
    weights = [weight for row in _SEPIA for weight in (*row, 0.0)]
    brown = plain.convert("RGB", weights)
    return _recoloured(image, Image.blend(plain, brown, (strength or 80) / 100))


def _recoloured(image: Image.Image, colours: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours


_ON_ALL: Mapping[Effect, Callable[[Image.Image, int | None], Image.Image]] = {
    Effect.PIXELATE: _pixelated,
    Effect.BLUR: _blurred,
    Effect.GRAYSCALE: _grey,
    Effect.SEPIA: _sepia,
}
_ON_FACES: Mapping[Effect, Callable[[Image.Image, int | None], Image.Image]] = {
    Effect.PIXELATE_FACES: _pixelated_face,
    Effect.BLUR_FACES: _blurred_face,
}
