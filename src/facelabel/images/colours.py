"""Every colour mode made RGB, or RGBA where something is transparent."""

from __future__ import annotations

import io

from PIL import Image, ImageCms, ImageMath

#: Of a colour profile that is kept; those of cameras and screens have a few thousand.
_PROFILE_BYTES = 1 << 20
#: Of 32-bit numbers.
_LARGEST = 3.4028234e38
#: Rows looked at together.
_STRIP = 256


def resizable(image: Image.Image) -> Image.Image:
    """Bring the picture into a mode whose pixels can be averaged."""
    if image.mode.startswith("I;16"):  # first: Pillow makes all of it white to see through it
        return _without(image, image.info.get("transparency"))
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in {"I", "F"}:
        return _stretched(image)
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _without(image: Image.Image, hidden: object) -> Image.Image:
    """Return 16-bit grey as 8 bits, transparent where it has that one value."""
    grey = _upper_bytes(image)
    if not isinstance(hidden, int):
        return grey
    opacity = [255] * (1 << 16)
    opacity[hidden] = 0
    shown = grey.convert("RGBA")
    shown.putalpha(image.convert("I").point(opacity, "L"))
    return shown


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


def coloured(image: Image.Image) -> Image.Image:
    """Return RGB or RGBA with the profile that still describes it, if any."""
    profile = image.info.get("icc_profile") or b""
    if image.mode == "CMYK":
        return _printed(image, profile)
    image = resizable(image)
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


def rgb(image: Image.Image) -> Image.Image:
    """Return RGB, with white where the picture is transparent."""
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image)
        return canvas
    plain = image.convert("RGB")
    plain.info = {}
    return plain
