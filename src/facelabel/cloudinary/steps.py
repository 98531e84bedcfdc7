"""One step of a transformation: what a part of a delivery URL between slashes asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Crop(enum.StrEnum):
    """How a picture is made to have the size asked for."""

    SCALE = "scale"
    FIT = "fit"
    LIMIT = "limit"
    MFIT = "mfit"
    FILL = "fill"
    LFILL = "lfill"
    PAD = "pad"
    LPAD = "lpad"
    MPAD = "mpad"
    CROP = "crop"
    THUMB = "thumb"


class Gravity(enum.StrEnum):
    """What is kept when something must go."""

    CENTER = "center"
    NORTH = "north"
    NORTH_EAST = "north_east"
    EAST = "east"
    SOUTH_EAST = "south_east"
    SOUTH = "south"
    SOUTH_WEST = "south_west"
    WEST = "west"
    NORTH_WEST = "north_west"
    #: The point (x, y).
    XY_CENTER = "xy_center"
    #: The largest face, all faces, or whatever matters, which to us is faces as well.
    FACE = "face"
    FACES = "faces"
    AUTO = "auto"
    #: The area set with custom_coordinates, …
    CUSTOM = "custom"
    #: … and the faces where none is set.
    CUSTOM_FACE = "custom:face"
    CUSTOM_FACES = "custom:faces"


class Effect(enum.StrEnum):
    """What is done to the pixels."""

    PIXELATE = "pixelate"
    PIXELATE_FACES = "pixelate_faces"
    BLUR = "blur"
    BLUR_FACES = "blur_faces"
    GRAYSCALE = "grayscale"
    SEPIA = "sepia"


class Rotation(enum.StrEnum):
    """A rotation that is not given in degrees, or a mirror image."""

    #: By 90 degrees if the size asked for is upright and the picture is not, or the reverse.
    AUTO_RIGHT = "auto_right"
    AUTO_LEFT = "auto_left"
    #: As the camera says; that is done anyhow, …
    EXIF = "exif"
    #: … unless one step says this.
    IGNORE = "ignore"
    HFLIP = "hflip"
    VFLIP = "vflip"


_NEED_FACES = {Effect.PIXELATE_FACES, Effect.BLUR_FACES}
_SEEK_FACES = {Gravity.FACE, Gravity.FACES, Gravity.AUTO, Gravity.CUSTOM_FACE, Gravity.CUSTOM_FACES}


@dataclass(frozen=True, slots=True)
class Length:
    """A length in pixels or as a ratio of the picture's own."""

    value: float
    is_ratio: bool = False

    def of(self, whole: float, dpr: float = 1.0) -> float:
        """In pixels of a picture that is ``whole`` pixels long; ``dpr`` is not for ratios."""
        return self.value * (whole if self.is_ratio else dpr)


@dataclass(frozen=True, slots=True)
class Border:
    """A frame around the picture."""

    #: Pixels, 0..999.
    width: int
    colour: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one part between slashes asks for: size, then effect, rotation, corners and frame.

    Colours are names or "#rrggbb", with two more digits for opacity; "" is none.
    """

    width: Length | None = None
    height: Length | None = None
    #: Width divided by height; counts where one of the two is missing.
    aspect_ratio: float | None = None
    crop: Crop = Crop.SCALE
    gravity: Gravity | None = None
    x: Length | None = None
    y: Length | None = None
    zoom: float = 1.0
    dpr: float = 1.0
    effect: Effect | None = None
    #: None: a default that suits the picture.
    strength: int | None = None
    #: Degrees clockwise, or in words; done one after the other.
    turns: tuple[float | Rotation, ...] = ()
    #: Pixels of the corners, the upper left one first and then clockwise; inf makes an ellipse.
    radius: tuple[float, float, float, float] | None = None
    border: Border | None = None
    background: str = ""
    #: 0..100.
    opacity: int = 100
    #: 1..100; None says nothing.
    quality: int | None = None
    #: Of the file: "auto", "jpg", "png", "webp", "gif", "avif"; "" says nothing.
    format: str = ""
    #: Name of the file a browser saves; "" for its own, None to show the picture.
    attachment: str | None = None
    #: public_id of the image that is shown where the one asked for does not exist; "" for none.
    placeholder: str = ""

    @property
    def needs_faces(self) -> bool:
        """Whether the result depends on where faces are."""
        return self.effect in _NEED_FACES or self.gravity in _SEEK_FACES

    @property
    def resizes(self) -> bool:
        """Whether the step asks for a size or a part."""
        return any(value is not None for value in (self.width, self.height, self.aspect_ratio)) or (
            self.crop in {Crop.CROP, Crop.THUMB}
        )
