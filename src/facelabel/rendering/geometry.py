"""The arithmetic of sizes and parts: which part of a picture goes where, in pixels.

Every crop mode comes down to one layout: a part of the picture, resized, on a canvas. So nothing
is ever made larger than what is delivered, whatever the detour that the mode describes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from facelabel.cloudinary.steps import Crop, Gravity
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from facelabel.cloudinary.steps import Length, Step

Size: TypeAlias = tuple[int, int]

#: Pixels of what is delivered, unless the original has more: on a side, and altogether.
MAX_SIDE = 10_000
MAX_PIXELS = 25_000_000
#: A thumbnail shows so many times the width and height of a face; zoom divides it.
_AROUND_FACE = 1.5

_COMPASS: Mapping[Gravity, tuple[float, float]] = {
    Gravity.NORTH_WEST: (0.0, 0.0),
    Gravity.NORTH: (0.5, 0.0),
    Gravity.NORTH_EAST: (1.0, 0.0),
    Gravity.WEST: (0.0, 0.5),
    Gravity.EAST: (1.0, 0.5),
    Gravity.SOUTH_WEST: (0.0, 1.0),
    Gravity.SOUTH: (0.5, 1.0),
    Gravity.SOUTH_EAST: (1.0, 1.0),
}
_MIDDLE = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle in pixels; faces may reach over the picture's edge."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The first column not in it."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The first row not in it."""
        return self.top + self.height

    def clipped(self, size: Size) -> Area:
        """What of it lies in a picture of that size; empty if nothing does."""
        left, top = max(self.left, 0.0), max(self.top, 0.0)
        right, bottom = min(self.right, size[0]), min(self.bottom, size[1])
        return Area(left, top, max(right - left, 0.0), max(bottom - top, 0.0))

    @property
    def is_empty(self) -> bool:
        """Whether no part of a pixel is in it."""
        return self.width <= 0 or self.height <= 0

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return self.left + self.width / 2, self.top + self.height / 2


@dataclass(frozen=True, slots=True)
class Layout:
    """What a step does to the picture's size."""

    part: Area
    #: What the part is resized to.
    size: Size
    canvas: Size
    #: Where the resized part lies on the canvas.
    left: int = 0
    top: int = 0

    def moved(self, area: Area) -> Area:
        """Where an area of the picture lies on the canvas."""
        across, down = self.size[0] / self.part.width, self.size[1] / self.part.height
        return Area(
            (area.left - self.part.left) * across + self.left,
            (area.top - self.part.top) * down + self.top,
            area.width * across,
            area.height * down,
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """What a step is applied to."""

    size: Size
    faces: tuple[Area, ...] = ()
    custom: Area | None = None

    @property
    def whole(self) -> Area:
        """All of the picture."""
        return Area(0, 0, *self.size)


def layout(step: Step, subject: Subject) -> Layout:
    """What the step makes of the picture; Rejected where that would be too large."""
    width, height = target(step, subject.size)
    made = _MODES[step.crop](step, subject, width, height)
    check(made.canvas, subject.size)
    check(made.size, subject.size)
    return made


def check(size: Size, original: Size = (0, 0)) -> None:
    """Refuse what is too large, unless the original was."""
    pixels = max(MAX_PIXELS, original[0] * original[1])
    if max(size) > max(MAX_SIDE, *original) or size[0] * size[1] > pixels:
        raise Rejected(
            f"a picture of {size[0]:,} x {size[1]:,} pixels was asked for; at most"
            f" {MAX_PIXELS:,} pixels, {MAX_SIDE:,} on a side, are made"
        )


def target(step: Step, size: Size) -> tuple[float | None, float | None]:
    """The width and height asked for, in pixels, where they can be told."""
    width = _pixels(step.width, size[0], step.dpr)
    height = _pixels(step.height, size[1], step.dpr)
    ratio = step.aspect_ratio
    if ratio is None or (width and height):
        return width, height
    if width:
        return width, _whole(width / ratio)
    if height:
        return _whole(height * ratio), height
    return min(size[0], _whole(size[1] * ratio)), min(size[1], _whole(size[0] / ratio))


def is_turned(step: Step, size: Size) -> bool:
    """Whether the size asked for is upright and the picture lies, or the reverse."""
    width, height = target(step, size)
    if not width or not height:
        return False
    return (width > height) != (size[0] > size[1])


def turned(size: Size, degrees: float) -> Size:
    """What a picture needs that is turned clockwise, and not cut off."""
    if degrees % 180 == 0:
        return size
    return (size[1], size[0]) if degrees % 90 == 0 else tilted(size, math.radians(degrees))


def tilted(size: Size, angle: float) -> Size:
    """What a picture needs that is turned by ``angle``, in radians, and not cut off."""
    across, down = abs(math.cos(angle)), abs(math.sin(angle))
    return _whole(size[0] * across + size[1] * down), _whole(size[0] * down + size[1] * across)


def _pixels(length: Length | None, whole: int, dpr: float) -> int | None:
    return None if length is None else _whole(length.of(whole, dpr))


def _whole(length: float) -> int:
    return max(1, int(length + 0.5))


# ---- modes: the whole picture, resized


def _scale(_: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    factor = _fitting(subject.size, width, height)
    across, down = _times(subject.size, factor)
    size = (_whole(width or across), _whole(height or down))
    return Layout(subject.whole, size, size)


def _fit(_: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    return _resized(subject, _fitting(subject.size, width, height))


def _limit(_: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    return _resized(subject, min(1.0, _fitting(subject.size, width, height)))


def _mfit(_: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    return _resized(subject, max(1.0, _fitting(subject.size, width, height)))


def _pad(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    return _padded(step, _fit(step, subject, width, height), width, height)


def _lpad(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    return _padded(step, _limit(step, subject, width, height), width, height)


def _mpad(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    across, down = subject.size
    resized = _resized(subject, 1.0)
    return _padded(step, resized, max(width or 0, across), max(height or 0, down))


def _fitting(size: Size, width: float | None, height: float | None) -> float:
    """How many times larger the picture may be to fit in."""
    factors = [bound / side for bound, side in zip((width, height), size, strict=True) if bound]
    return min(factors, default=1.0)


def _resized(subject: Subject, factor: float) -> Layout:
    size = _times(subject.size, factor)
    return Layout(subject.whole, size, size)


def _times(size: Size, factor: float) -> Size:
    return _whole(size[0] * factor), _whole(size[1] * factor)


def _padded(step: Step, resized: Layout, width: float | None, height: float | None) -> Layout:
    across, down = resized.size
    canvas = (_whole(width or across), _whole(height or down))
    towards = _COMPASS.get(step.gravity or Gravity.CENTER, _MIDDLE)
    room = (canvas[0] - across, canvas[1] - down)
    left, top = _anchored(step, towards, room, (1.0, 1.0), canvas)
    return Layout(resized.part, resized.size, canvas, round(left), round(top))


# ---- modes: a part of the picture


def _fill(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    if not width or not height:
        return _scale(step, subject, width, height)
    factor = max(width / subject.size[0], height / subject.size[1])
    part = _window(step, subject, (width / factor, height / factor), factor)
    size = (_whole(width), _whole(height))
    return Layout(part, size, size)


def _lfill(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    if not width or not height:
        return _limit(step, subject, width, height)
    factor = min(1.0, max(width / subject.size[0], height / subject.size[1]))
    across = min(width / factor, subject.size[0])
    down = min(height / factor, subject.size[1])
    size = (_whole(across * factor), _whole(down * factor))
    return Layout(_window(step, subject, (across, down), factor), size, size)


def _crop(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    aim = _aim(step, subject)
    if aim and not width and not height:
        return _as_it_is(_around(aim, 1 / step.zoom, subject.size))
    across = min(width or subject.size[0], subject.size[0])
    down = min(height or subject.size[1], subject.size[1])
    return _as_it_is(_window(step, subject, (across, down), 1.0))


def _thumb(step: Step, subject: Subject, width: float | None, height: float | None) -> Layout:
    aim = _aim(step, subject)
    if aim is None:
        return _fill(step, subject, width, height)
    ratio = width / height if width and height else None
    part = _around(aim, _AROUND_FACE / step.zoom, subject.size, ratio)
    if not width and not height:
        return _as_it_is(part)
    factor = _fitting((_whole(part.width), _whole(part.height)), width, height)
    size = (_whole(width or part.width * factor), _whole(height or part.height * factor))
    return Layout(part, size, size)


def _as_it_is(part: Area) -> Layout:
    """Cut out along whole pixels, which keeps every one as it was."""
    left, top = int(part.left + 0.5), int(part.top + 0.5)
    size = (_whole(part.right) - left or 1, _whole(part.bottom) - top or 1)
    return Layout(Area(left, top, *size), size, size)


def _window(step: Step, subject: Subject, size: tuple[float, float], factor: float) -> Area:
    """A window of that size on the picture, where gravity wants it."""
    room = (subject.size[0] - size[0], subject.size[1] - size[1])
    left, top = _corner(step, subject, size, room, factor)
    return Area(_within(left, room[0]), _within(top, room[1]), *size)


def _corner(
    step: Step,
    subject: Subject,
    size: tuple[float, float],
    room: tuple[float, float],
    factor: float,
) -> tuple[float, float]:
    if step.gravity is Gravity.XY_CENTER:
        x, y = _offset(step, subject.size)
        return x - size[0] / 2, y - size[1] / 2
    aim = _aim(step, subject)
    if aim:
        x, y = _offset(step, subject.size)
        return aim.centre[0] - size[0] / 2 + x / factor, aim.centre[1] - size[1] / 2 + y / factor
    is_offset = step.gravity is None and step.crop is Crop.CROP and (step.x or step.y)
    default = Gravity.NORTH_WEST if is_offset else Gravity.CENTER
    towards = _COMPASS.get(step.gravity or default, _MIDDLE)
    return _anchored(step, towards, room, (factor, factor), subject.size)


def _anchored(
    step: Step,
    towards: tuple[float, float],
    room: tuple[float, float],
    factors: tuple[float, float],
    whole: Size,
) -> tuple[float, float]:
    """The upper left corner of what is drawn to a side, offset away from that side."""
    x, y = _offset(step, whole)
    x, y = x / factors[0], y / factors[1]
    left = room[0] * towards[0] + (-x if towards[0] == 1 else x)
    top = room[1] * towards[1] + (-y if towards[1] == 1 else y)
    return left, top


def _offset(step: Step, size: Size) -> tuple[float, float]:
    x = step.x.of(size[0]) if step.x else 0.0
    y = step.y.of(size[1]) if step.y else 0.0
    return x, y


def _within(at: float, room: float) -> float:
    return min(max(at, 0.0), max(room, 0.0))


# ---- where to look


def _aim(step: Step, subject: Subject) -> Area | None:
    """The area that matters; None if there is none, and the middle has to do."""
    match step.gravity:
        case Gravity.CUSTOM:
            return subject.custom
        case Gravity.FACE:
            return _largest(subject.faces)
        case Gravity.FACES | Gravity.AUTO:
            return _together(subject.faces)
        case Gravity.CUSTOM_FACE:
            return subject.custom or _largest(subject.faces)
        case Gravity.CUSTOM_FACES:
            return subject.custom or _together(subject.faces)
    return None


def _largest(areas: Sequence[Area]) -> Area | None:
    return max(areas, key=lambda area: area.width * area.height, default=None)


def _together(areas: Sequence[Area]) -> Area | None:
    if not areas:
        return None
    left, top = min(area.left for area in areas), min(area.top for area in areas)
    right, bottom = max(area.right for area in areas), max(area.bottom for area in areas)
    return Area(left, top, right - left, bottom - top)


def _around(aim: Area, times: float, size: Size, ratio: float | None = None) -> Area:
    """So many times the area, in that aspect ratio, inside the picture."""
    width, height = max(aim.width * times, 1.0), max(aim.height * times, 1.0)
    if ratio:
        width, height = max(width, height * ratio), max(height, width / ratio)
    smaller = min(1.0, size[0] / width, size[1] / height)
    width, height = max(width * smaller, 1.0), max(height * smaller, 1.0)
    x, y = aim.centre
    left = _within(x - width / 2, size[0] - width)
    return Area(left, _within(y - height / 2, size[1] - height), width, height)


_MODES: Mapping[Crop, Callable[[Step, Subject, float | None, float | None], Layout]] = {
    Crop.SCALE: _scale,
    Crop.FIT: _fit,
    Crop.LIMIT: _limit,
    Crop.MFIT: _mfit,
    Crop.PAD: _pad,
    Crop.LPAD: _lpad,
    Crop.MPAD: _mpad,
    Crop.FILL: _fill,
    Crop.LFILL: _lfill,
    Crop.CROP: _crop,
    Crop.THUMB: _thumb,
}
