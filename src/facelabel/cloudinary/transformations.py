"""The transformations in a delivery URL: ``c_fill,g_face,h_150,w_100/e_grayscale``, read.

::

    transformation = step ("/" step)*
    step           = parameter ("," parameter)*
    parameter      = name "_" value

What is not supported (overlays, text, variables, conditions …) is Rejected with its name: an image
that lacks what was asked for would be worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from facelabel.cloudinary.steps import Border, Crop, Effect, Gravity, Length, Rotation, Step
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from facelabel.core.model import Box

MAX_LENGTH = 4096
MAX_STEPS = 20
#: Named transformations that name others.
_MAX_DEPTH = 2

_DIGITS = re.compile(r"\d{1,5}", re.ASCII)
_NUMBER = re.compile(r"-?(?:\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})", re.ASCII)
_RATIO = re.compile(r"(\d{1,5}(?:\.\d{1,6})?):(\d{1,5}(?:\.\d{1,6})?)", re.ASCII)
_RGB = re.compile(r"(?:rgb:|#)((?:[0-9a-f]{3}){1,2}|[0-9a-f]{4}|[0-9a-f]{8})", re.IGNORECASE)
_COLOUR_NAME = re.compile(r"[a-z]{3,24}", re.IGNORECASE)
_BORDER = re.compile(r"(\d{1,3})(?:px)?_solid_(.+)", re.ASCII)
_QUALITY = re.compile(r"(?:auto(?::(?P<level>best|good|eco|low))?|(?P<number>\d{1,3}))(?::4\d\d)?")
_NAME = re.compile(r"(\$[a-z]\w*|[a-z]{1,3})_(.+)", re.IGNORECASE | re.DOTALL)
_FILE_NAME = re.compile(r"[\w -]{1,100}")


_SAME_FORMATS = {"jpeg": "jpg", "jpe": "jpg", "tiff": "tif", "heif": "heic"}
_FORMATS = ("auto", "jpg", "png", "webp", "gif", "avif")
#: Strengths: lowest, highest.
_STRENGTHS = {
    Effect.PIXELATE: (1, 200),
    Effect.PIXELATE_FACES: (1, 200),
    Effect.BLUR: (1, 2000),
    Effect.BLUR_FACES: (1, 2000),
    Effect.SEPIA: (1, 100),
}
_LEVELS = {"best": 90, "good": 80, "eco": 70, "low": 50}
#: What these ask for is done anyhow, or changes nothing one could see.
_HARMLESS = frozenset(
    [
        "any_format",
        "force_icc",
        "force_strip",
        "immutable_cache",
        "keep_attribution",
        "keep_iptc",
        "lossy",
        "no_overflow",
        "no_stream",
        "png8",
        "png24",
        "png32",
        "preserve_transparency",
        "progressive",
        "sanitize",
        "strip_profile",
    ]
)
_UNSUPPORTED = {
    "l": "overlays",
    "u": "underlays",
    "if": "conditions",
    "fn": "functions",
    "co": "the colour parameter",
}
#: Names of parameters that only Cloudinary itself knows, so that a URL with one is understood.
_OTHERS = frozenset(
    [
        "ac",
        "af",
        "br",
        "cs",
        "dl",
        "dn",
        "du",
        "e",
        "eo",
        "fps",
        "ki",
        "p",
        "pg",
        "so",
        "sp",
        "src",
        "t",
        "vc",
        "vs",
    ]
)


@dataclass(frozen=True, slots=True)
class Transformation:
    """Steps, one after the other."""

    steps: tuple[Step, ...] = ()
    #: Formats that who asked shows beside JPEG and PNG, the best one first: for "auto".
    accepts: tuple[str, ...] = ()

    @property
    def needs_faces(self) -> bool:
        """Whether the result depends on where faces are."""
        return any(step.needs_faces for step in self.steps)

    @property
    def keeps_file(self) -> bool:
        """Whether the picture is asked for as it is, and only the answer's headers differ."""
        return all(replace(step, attachment=None, placeholder="") == Step() for step in self.steps)

    @property
    def only_writes(self) -> bool:
        """Whether no pixel is touched, and only how the file is written was asked for."""
        plain = (replace(step, format="", quality=None) for step in self.steps)
        return Transformation(tuple(plain)).keeps_file

    @property
    def ignores_exif(self) -> bool:
        """Whether the picture stays turned as the camera held it."""
        return any(Rotation.IGNORE in step.turns for step in self.steps)

    @property
    def format(self) -> str:
        """What the last step that speaks of it says; "" for the picture's own."""
        return next((step.format for step in reversed(self.steps) if step.format), "")

    @property
    def quality(self) -> int | None:
        """As with format; None where nothing was said."""
        return next((step.quality for step in reversed(self.steps) if step.quality), None)

    @property
    def background(self) -> str:
        """The last colour named for what is behind the picture; "" if there is none."""
        return next((step.background for step in reversed(self.steps) if step.background), "")

    @property
    def attachment(self) -> str | None:
        """As with format; None to show the picture."""
        named = (step.attachment for step in reversed(self.steps))
        return next((name for name in named if name is not None), None)

    @property
    def placeholder(self) -> str:
        """As with format; the public_id of an image, "" for none."""
        return next((step.placeholder for step in self.steps if step.placeholder), "")

    def in_format(self, name: str) -> Transformation:
        """The same in that format; Rejected for one that is not written."""
        return replace(self, steps=(*self.steps, Step(format=_format(name))))

    def accepting(self, *names: str) -> Transformation:
        """The same for somebody who shows these formats, too."""
        return replace(self, accepts=names)


@dataclass(frozen=True, slots=True)
class Regions:
    """Areas of a picture that steps may speak of."""

    #: None: nobody looked for them.
    faces: tuple[Box, ...] | None = None
    #: Set with custom_coordinates.
    custom: Box | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture made of another one."""

    data: bytes
    #: "jpg", "png", "webp", "gif" or "avif".
    format: str
    width: int
    height: int


def plain_format(name: str) -> str:
    """A format, or the extension of a file, by the one name that it has here."""
    lower = name.lower()
    return _SAME_FORMATS.get(lower, lower)


def parse(text: str, named: Callable[[str], str | None] = lambda _: None) -> Transformation:
    """Read a transformation, percent-decoded; "" does nothing.

    ``named`` gives the text of a transformation ``t_<name>``, None if there is none. Raises
    Rejected for what is wrong, unsupported or too much.
    """
    steps = tuple(islice(_steps(text, named, 0), MAX_STEPS + 1))
    if len(steps) > MAX_STEPS:
        raise Rejected(f"a transformation has at most {MAX_STEPS} steps")
    return Transformation(steps)


def looks_like_step(segment: str) -> bool:
    """Whether a part of a URL can be a step; a folder's name may look the same."""
    return all(_is_parameter(part) for part in segment.split(","))


def _is_parameter(part: str) -> bool:
    found = _NAME.fullmatch(part)
    if found is None:
        return part == "if_end"
    name = found[1]
    return name in _READERS or name in _UNSUPPORTED or name in _OTHERS or name.startswith("$")


def _steps(text: str, named: Callable[[str], str | None], depth: int) -> Iterator[Step]:
    if len(text) > MAX_LENGTH:
        raise Rejected(f"a transformation has at most {MAX_LENGTH} characters")
    segments = [segment for segment in text.split("/") if segment]
    if len(segments) > MAX_STEPS:
        raise Rejected(f"a transformation has at most {MAX_STEPS} steps")
    for segment in segments:
        parameters = _parameters(segment)
        for name in filter(None, parameters.pop("t", "").split(".")):
            yield from _steps(_named(name, named, depth), named, depth + 1)
        if parameters:
            yield _step(parameters)


def _named(name: str, named: Callable[[str], str | None], depth: int) -> str:
    text = named(name) if depth < _MAX_DEPTH else None
    if text is None:
        raise Rejected(f"there is no named transformation {name[:100]!r}")
    return text


def _parameters(segment: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in filter(None, segment.split(",")):
        found = _NAME.fullmatch(part)
        if found is None:
            raise Rejected(f"{part[:100]!r} in the transformation is not understood")
        if found[1] in parameters:
            raise Rejected(f"the transformation gives {found[1]}_ twice in one step")
        parameters[found[1]] = found[2]
    return parameters


def _step(parameters: Mapping[str, str]) -> Step:
    fields: dict[str, Any] = {}
    for name, value in parameters.items():
        reader = _READERS.get(name)
        if reader is None:
            raise _unsupported(f"{name}_{value}", _kind(name))
        fields |= reader(value)
    return Step(**fields)


def _kind(name: str) -> str:
    if name.startswith("$"):
        return "variables"
    return _UNSUPPORTED.get(name, f"the parameter {name[:10]}_")


def _unsupported(given: str, what: str = "") -> Rejected:
    about = f": {what}" if what else ""
    return Rejected(f"{given[:100]!r} in the transformation is unsupported{about}")


def _lengths(field: str, *, signed: bool) -> Callable[[str], dict[str, Any]]:
    """Read w, h, x or y: digits alone are pixels, a decimal point makes a ratio."""

    def read(value: str) -> dict[str, Any]:
        """The field by what stands behind its letter; Rejected for what is no length."""
        digits = value.removeprefix("-") if signed else value
        if _DIGITS.fullmatch(digits):
            length = Length(int(value))
        elif _NUMBER.fullmatch(value) and "." in value:
            length = Length(_number(value, -10.0 if signed else 0.0, 10.0), is_ratio=True)
        else:
            raise _unsupported(f"{field[0]}_{value}", "pixels or a ratio such as 0.5 are")
        if not signed and not length.value:
            raise Rejected(f"the {field} of a picture cannot be 0")
        return {field: length}

    return read


def _number(value: str, low: float, high: float) -> float:
    if not _NUMBER.fullmatch(value) or not low <= float(value) <= high:
        raise Rejected(f"{value[:100]!r} in the transformation is no number from {low} to {high}")
    return float(value)


def _aspect_ratio(value: str) -> dict[str, Any]:
    found = _RATIO.fullmatch(value)
    if found and float(found[2]):
        value = f"{float(found[1]) / float(found[2]):.6f}"
    return {"aspect_ratio": _number(value, 0.01, 100.0)}


def _crop(value: str) -> dict[str, Any]:
    if value not in set(Crop):
        raise _unsupported(f"c_{value}")
    return {"crop": Crop(value)}


def _gravity(value: str) -> dict[str, Any]:
    # What stands after a colon is what to do without a face; only of custom it is the aim.
    name = value if value.startswith("custom") else value.partition(":")[0]
    if name not in set(Gravity):
        raise _unsupported(f"g_{value}")
    return {"gravity": Gravity(name)}


def _zoom(value: str) -> dict[str, Any]:
    return {"zoom": _number(value, 0.01, 100.0)}


def _dpr(value: str) -> dict[str, Any]:
    return {"dpr": 1.0 if value == "auto" else _number(value, 0.1, 10.0)}


def _effect(value: str) -> dict[str, Any]:
    name, colon, strength = value.partition(":")
    if name not in set(Effect):
        raise _unsupported(f"e_{value}")
    effect = Effect(name)
    if not colon:
        return {"effect": effect}
    if effect not in _STRENGTHS:
        raise _unsupported(f"e_{value}", f"{name} has no strength")
    return {"effect": effect, "strength": int(_number(strength, *_STRENGTHS[effect]))}


def _turns(value: str) -> dict[str, Any]:
    # "a_22.5" is one angle, "a_90.hflip" are two turns.
    parts = [value] if _NUMBER.fullmatch(value) else value.split(".")
    return {"turns": tuple(map(_turn, parts))}


def _turn(value: str) -> float | Rotation:
    if value in set(Rotation):
        return Rotation(value)
    if not _NUMBER.fullmatch(value):
        raise _unsupported(f"a_{value}")
    return _number(value, -3600.0, 3600.0)


def _radius(value: str) -> dict[str, Any]:
    corners = [_corner(corner) for corner in value.split(":")]
    # As in CSS: two are the diagonals, of three the second stands for both sides.
    orders = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
    if len(corners) not in orders:
        raise _unsupported(f"r_{value}", "a picture has four corners")
    return {"radius": tuple(corners[index] for index in orders[len(corners)])}


def _corner(value: str) -> float:
    return float("inf") if value == "max" else _number(value, 0, 10_000)


def _border(value: str) -> dict[str, Any]:
    found = _BORDER.fullmatch(value)
    if found is None:
        raise _unsupported(f"bo_{value}", "a border is written 5px_solid_red")
    return {"border": Border(int(found[1]), _colour(found[2]))}


def _background(value: str) -> dict[str, Any]:
    return {"background": _colour(value)}


def _colour(value: str) -> str:
    found = _RGB.fullmatch(value)
    if found:
        return f"#{found[1].lower()}"
    if value == "auto" or not _COLOUR_NAME.fullmatch(value):
        raise _unsupported(value, "a colour is written rgb:ff8800 or by its name")
    return value.lower()


def _opacity(value: str) -> dict[str, Any]:
    return {"opacity": int(_number(value, 0, 100))}


def _quality(value: str) -> dict[str, Any]:
    found = _QUALITY.fullmatch(value)
    if found is None:
        raise _unsupported(f"q_{value}")
    if found["number"]:
        return {"quality": int(_number(found["number"], 1, 100))}
    return {"quality": _LEVELS[found["level"] or "good"]}


def _formats(value: str) -> dict[str, Any]:
    # What the format is to be chosen for: there are images alone, which may be animated.
    return {"format": _format("auto" if value in {"auto:image", "auto:animated"} else value)}


def _format(name: str) -> str:
    plain = plain_format(name)
    if plain not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise Rejected(f"the format {name.lower()[:20]!r} is unsupported; there are {known}")
    return plain


def _placeholder(value: str) -> dict[str, Any]:
    # In a URL's step a colon stands for the slash of a folder.
    name, dot, _ = value.replace(":", "/").rpartition(".")
    return {"placeholder": name if dot else value.replace(":", "/")}


def _flags(value: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for flag in value.split("."):
        name, _, argument = flag.partition(":")
        if name == "attachment" and (not argument or _FILE_NAME.fullmatch(argument)):
            fields["attachment"] = argument
        elif name not in _HARMLESS:
            raise _unsupported(f"fl_{flag}")
    return fields


_READERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "a": _turns,
    "ar": _aspect_ratio,
    "b": _background,
    "bo": _border,
    "c": _crop,
    "d": _placeholder,
    "dpr": _dpr,
    "e": _effect,
    "f": _formats,
    "fl": _flags,
    "g": _gravity,
    "h": _lengths("height", signed=False),
    "o": _opacity,
    "q": _quality,
    "r": _radius,
    "w": _lengths("width", signed=False),
    "x": _lengths("x", signed=True),
    "y": _lengths("y", signed=True),
    "z": _zoom,
}
