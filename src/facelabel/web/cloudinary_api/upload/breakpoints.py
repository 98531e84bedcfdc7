"""Responsive breakpoints: the widths at which a page should ask for a larger picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import transformations
from facelabel.inputs import scanning
from facelabel.web.cloudinary_api.admin import listing
from facelabel.web.cloudinary_api.upload import attributes
from facelabel.web.http import ApiError, Params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.cloudinary.transformations import Rendered, Transformation
    from facelabel.core.model import Asset, Json
    from facelabel.web.cloudinary_api.context import Context

#: Sets of breakpoints in one call, and pictures in a set: each of them is rendered.
_SETS = 5
_IMAGES = 20
_MAX_WIDTH, _MIN_WIDTH = 1000, 50
#: Bytes from one picture to the next.
_STEP = 20_000
_LARGEST = 1 << 30
#: The width that stands for all larger ones where they are priced.
_WIDEST = 99_999
#: Nanoseconds of work, as the renderer counts it, for all pictures of one call.
_MOST_WORK = 60_000_000_000


@dataclass(frozen=True, slots=True)
class _Picture:
    """An asset, transformed, at any width."""

    context: Context
    asset: Asset
    data: bytes
    transformation: str
    #: "" is the asset's own.
    format: str

    def rendered(self, text: str) -> Rendered:
        """The picture after these steps."""
        return self.context.renderer.render(self.data, self._parsed(text))

    def price(self, wanted: Params) -> int:
        """Nanoseconds for a set, at most: each as wide as any, and one not made narrower."""
        widest, number = min(_max_width(wanted), _WIDEST), min(_max_images(wanted), _IMAGES)
        size = (self.asset.width, self.asset.height)
        steps = "/".join(filter(None, [self.transformation, f"c_limit,w_{widest}"]))
        price = self.context.renderer.price
        once = price(self._parsed(self.transformation), size)
        return once + number * price(self._parsed(steps), size)

    def _parsed(self, text: str) -> Transformation:
        named = partial(attributes.named_transformation, self.context)
        steps = transformations.parse(text, named)
        return steps.in_format(self.format) if self.format else steps

    def at(self, width: int) -> Json:
        """How large the picture of a width is, and where it is found."""
        steps = "/".join(filter(None, [self.transformation, f"c_scale,w_{width}"]))
        result = self.rendered(steps)
        url = listing.derived_url(self.context, self.asset, steps, self.format)
        size = {"width": result.width, "height": result.height, "bytes": len(result.data)}
        return {**size, "url": url, "secure_url": url}


def answer(context: Context, asset: Asset, params: Params) -> Json:
    """What the call's ``responsive_breakpoints`` ask for, if it has any; nothing is stored."""
    text = params.text("responsive_breakpoints")
    if not text or asset.resource_type != "image":
        return {}
    data, wanted = context.media.fetch(asset), _settings(text)
    pictures = [
        _Picture(context, asset, data, each.text("transformation"), each.text("format"))
        for each in wanted
    ]
    if sum(map(_Picture.price, pictures, wanted)) > _MOST_WORK:
        raise ApiError(400, "responsive_breakpoints ask for too much work: fewer, or smaller ones")
    return {"responsive_breakpoints": [*map(_set, pictures, wanted)]}


def _settings(text: str) -> list[Params]:
    try:
        values = scanning.json_value(text.encode())
    except ValueError:
        values = None
    items = values if isinstance(values, list) else [values]
    sets = [Params(item) for item in items if isinstance(item, dict)]
    if len(sets) < len(items) or len(items) > _SETS:
        raise ApiError(400, f"responsive_breakpoints is no JSON list of at most {_SETS} objects")
    return sets


def _set(picture: _Picture, wanted: Params) -> Json:
    transformation = picture.transformation
    widest = min(picture.rendered(transformation).width, _max_width(wanted))
    narrowest = wanted.number("min_width", _MIN_WIDTH, low=1, high=_LARGEST)
    ends = [picture.at(width) for width in dict.fromkeys((widest, min(narrowest, widest)))]
    between = [picture.at(width) for width in _between(ends, wanted)]
    return {"transformation": transformation, "breakpoints": [*ends[:1], *between, *ends[1:]]}


def _between(ends: Sequence[Json], wanted: Params) -> list[int]:
    """Widths evenly between the ends, as many as the difference in bytes is worth."""
    widths = [_number(end, "width") for end in ends]
    difference = _number(ends[0], "bytes") - _number(ends[-1], "bytes")
    step = wanted.number("bytes_step", _STEP, low=1, high=_LARGEST)
    parts = min(math.ceil(difference / step), _max_images(wanted) - 1, _IMAGES - 1)
    evenly = (widths[0] - (widths[0] - widths[-1]) * n // parts for n in range(1, parts))
    return [width for width in dict.fromkeys(evenly) if width not in widths]


def _max_width(wanted: Params) -> int:
    return wanted.number("max_width", _MAX_WIDTH, low=1, high=_LARGEST)


def _max_images(wanted: Params) -> int:
    return wanted.number("max_images", _IMAGES, low=1, high=_LARGEST)


def _number(values: Json, name: str) -> int:
    value = values[name]
    assert isinstance(value, int)
    return value
