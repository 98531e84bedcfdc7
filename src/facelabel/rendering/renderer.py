"""Transformations carried out with Pillow, and what they make written as files.

Faces are looked for once, in the original; from there on every step that moves pixels moves them
along, so that ``c_fill,g_face,…/e_pixelate_faces`` hides the very faces it cut out.
"""

from __future__ import annotations

import io
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from facelabel.cloudinary.steps import Rotation
from facelabel.cloudinary.transformations import Regions, Rendered
from facelabel.errors import Rejected
from facelabel.images import decoding
from facelabel.rendering import effects, geometry, pricing
from facelabel.rendering.effects import colour, is_opaque, laid_over
from facelabel.rendering.geometry import Area, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from facelabel.cloudinary.steps import Step
    from facelabel.cloudinary.transformations import Transformation
    from facelabel.core.model import Box
    from facelabel.images import Limits
    from facelabel.rendering.geometry import Layout, Size

#: What others do not show is delivered in a format that everything shows.
_DELIVERED: Mapping[str, str] = {"bmp": "auto", "heic": "auto", "tif": "auto"}
_CLOCKWISE: Mapping[int, Image.Transpose] = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_AUTO = {Rotation.AUTO_RIGHT: 90, Rotation.AUTO_LEFT: 270}
_FULL_CIRCLE = 360
#: Formats that every browser shows, with all of their frames.
_SHOWN_EVERYWHERE = frozenset({"gif", "png"})
#: Seconds of a processor, three times what the dearest transformation is expected to take.
_DEADLINE = 30.0
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


class PillowRenderer:
    """A :class:`~facelabel.cloudinary.ports.Renderer` in this process; threads may share it."""

    def __init__(
        self,
        limits: Limits,
        detect: Callable[[bytes], Sequence[Box]],
        *,
        clock: Callable[[], float] = time.thread_time,
        deadline: float = _DEADLINE,
    ) -> None:
        """``detect`` finds faces where nobody says where they are.

        ``deadline``: seconds of ``clock`` after which no step is begun; the default counts what
        the calling thread had of a processor.
        """
        self._limits = limits
        self._detect = detect
        self._clock = clock
        self._deadline = deadline

    def price(self, transformation: Transformation, size: Size) -> int:
        """Nanoseconds that a picture of that size takes; Rejected where that is too much."""
        return pricing.price(transformation, size)

    def render(
        self, data: bytes, transformation: Transformation, regions: Regions | None = None
    ) -> Rendered:
        """Apply a transformation; Rejected for what is not supported, UnreadableImage.

        ``regions``: what is known of the image; without it faces are looked for where needed.
        """
        if transformation.needs_faces and transformation.ignores_exif:
            # Faces are known where they are in the upright picture; hiding another place is worse
            # than hiding nothing.
            raise Rejected("a_ignore together with faces is unsupported")
        name, width, height = decoding.inspect(data, self._limits)
        self.price(transformation, (width, height))
        if self._stays(data, name, transformation):
            return Rendered(data, name, width, height)
        end = self._clock() + self._deadline
        known = self._known(data, transformation, regions or Regions())
        scene, bill = self._opened(data, transformation, known, (width, height)), pricing.Bill()
        for step in transformation.steps:
            bill.add(step, scene.subject)  # anew, for now it is known where the faces are
            self._check_time(end)
            scene = _applied(scene, step)
        names = _formats(transformation, name)
        bill.encode(names[0], scene.image.size)
        self._check_time(end)
        return encode(scene.image, names, transformation.quality, transformation.background)

    def _stays(self, data: bytes, name: str, transformation: Transformation) -> bool:
        """Whether the file is the best there is: written anew, only one frame would be left."""
        fitting = {"", name}
        if name in _SHOWN_EVERYWHERE or name in transformation.accepts:
            fitting.add("auto")
        may_stay = transformation.only_writes and transformation.format in fitting
        return may_stay and decoding.is_animated(data, self._limits)

    def _check_time(self, end: float) -> None:
        if self._clock() > end:
            raise Rejected(
                "the transformation takes too long: ask for a smaller picture or fewer steps"
            )

    def _known(self, data: bytes, transformation: Transformation, regions: Regions) -> Regions:
        if regions.faces is not None or not transformation.needs_faces:
            return regions
        return replace(regions, faces=tuple(self._detect(data)))

    def _opened(
        self, data: bytes, transformation: Transformation, regions: Regions, size: Size
    ) -> _Scene:
        upright = not transformation.ignores_exif
        most = _enough(transformation, regions, size) if upright else None
        image, full = decoding.load(data, self._limits, upright=upright, max_side=most)
        return _Scene(image, _subject(regions, full))


def _formats(transformation: Transformation, own: str) -> Sequence[str]:
    """The formats to choose from; one that was asked for by name is no choice."""
    if transformation.format and transformation.format != "auto":
        return [transformation.format]
    if transformation.format == "auto":
        return [*transformation.accepts, "auto"]
    return [_DELIVERED.get(own, own), "auto"]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A picture on its way."""

    #: May have fewer pixels than the subject until its first step, which makes it small anyhow.
    image: Image.Image
    subject: Subject


def _subject(regions: Regions, size: Size) -> Subject:
    faces = tuple(_area(box, size) for box in regions.faces or ())
    custom = _area(regions.custom, size) if regions.custom else None
    return _seen(Subject(size, faces, custom))


def _area(box: Box, size: Size) -> Area:
    return Area(box.left * size[0], box.top * size[1], box.width * size[0], box.height * size[1])


def _seen(subject: Subject) -> Subject:
    """What of the areas lies in the picture."""
    faces = tuple(face.clipped(subject.size) for face in subject.faces)
    custom = subject.custom.clipped(subject.size) if subject.custom else None
    return Subject(
        subject.size,
        tuple(face for face in faces if not face.is_empty),
        custom if custom and not custom.is_empty else None,
    )


def _enough(transformation: Transformation, regions: Regions, size: Size) -> int | None:
    """Pixels of the longer side that serve the first step; None if it needs all there are."""
    first = next(iter(transformation.steps), None)
    if first is None or not first.resizes or first.turns:
        return None
    made = geometry.layout(first, _subject(regions, size))
    scale = max(made.size[0] / made.part.width, made.size[1] / made.part.height)
    return min(max(size), int(max(size) * scale) + 1) if scale < 1 else None


def _applied(scene: _Scene, step: Step) -> _Scene:
    for turn in step.turns:
        if turn in _AUTO and geometry.is_turned(step, scene.subject.size):
            scene = _turned(scene, _AUTO[turn], step)
    if step.resizes:
        scene = _laid_out(scene, geometry.layout(step, scene.subject), step)
    if step.effect:
        image = effects.applied(scene.image, step.effect, step.strength, scene.subject.faces)
        scene = _changed(scene, image)
    for turn in step.turns:
        scene = _mirrored_or_turned(scene, turn, step)
    return _finished(scene, step)


def _finished(scene: _Scene, step: Step) -> _Scene:
    image = effects.framed(scene.image, step.radius, step.border)
    geometry.check(image.size, scene.image.size)
    if step.opacity < 100:  # noqa: PLR2004 - per cent
        image = effects.faded(image, step.opacity)
    if step.background and image.mode == "RGBA":
        image = effects.laid_over(image, effects.colour(step.background))
    margin = (image.width - scene.image.width) // 2
    return _moved(scene, image, lambda area: _shifted(area, margin, margin))


def _changed(scene: _Scene, image: Image.Image) -> _Scene:
    """Other pixels, all in the same place."""
    return _moved(scene, image, lambda area: area)


def _moved(scene: _Scene, image: Image.Image, move: Callable[[Area], Area]) -> _Scene:
    image.info = {**scene.image.info}
    custom = scene.subject.custom
    faces = tuple(map(move, scene.subject.faces))
    return _Scene(image, _seen(Subject(image.size, faces, custom and move(custom))))


# ---- size


def _laid_out(scene: _Scene, layout: Layout, step: Step) -> _Scene:
    resized = _resized(scene, layout)
    if layout.canvas != layout.size:
        resized = _on_canvas(resized, layout, step)
    return _moved(scene, resized, layout.moved)


def _resized(scene: _Scene, layout: Layout) -> Image.Image:
    image, part = scene.image, layout.part
    across = image.width / scene.subject.size[0]
    down = image.height / scene.subject.size[1]
    box = (part.left * across, part.top * down, part.right * across, part.bottom * down)
    whole = tuple(map(int, box))
    if whole == box and (whole[2] - whole[0], whole[3] - whole[1]) == layout.size:
        return image.crop((whole[0], whole[1], whole[2], whole[3]))
    inside = (box[0], box[1], min(box[2], image.width), min(box[3], image.height))
    return image.resize(layout.size, Image.Resampling.LANCZOS, box=inside, reducing_gap=3.0)


def _on_canvas(image: Image.Image, layout: Layout, step: Step) -> Image.Image:
    default = "transparent" if image.mode == "RGBA" else "white"
    background = effects.colour(step.background or default)
    canvas = Image.new("RGBA", layout.canvas, background)
    layer = Image.new("RGBA", layout.canvas)
    layer.paste(image.convert("RGBA"), (layout.left, layout.top))
    canvas.alpha_composite(layer)
    return canvas.convert("RGB") if background[3] == 255 else canvas  # noqa: PLR2004 - opaque


# ---- turns


def _mirrored_or_turned(scene: _Scene, turn: float | Rotation, step: Step) -> _Scene:
    if turn is Rotation.HFLIP:
        return _mirrored(scene)
    if turn is Rotation.VFLIP:
        return _turned(_mirrored(scene), 180, step)
    return scene if isinstance(turn, Rotation) else _turned(scene, turn % _FULL_CIRCLE, step)


def _mirrored(scene: _Scene) -> _Scene:
    width = scene.image.width
    image = scene.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _moved(scene, image, lambda area: replace(area, left=width - area.right))


def _turned(scene: _Scene, degrees: float, step: Step) -> _Scene:
    """Clockwise, on a picture large enough for all of it."""
    if not degrees:
        return scene
    if degrees in _CLOCKWISE:
        image = scene.image.transpose(_CLOCKWISE[int(degrees)])
    else:
        image = _tilted(scene.image, degrees, step)
    before, after = scene.image.size, image.size
    return _moved(scene, image, lambda area: _turned_area(area, degrees, before, after))


def _tilted(image: Image.Image, degrees: float, step: Step) -> Image.Image:
    angle = math.radians(degrees)
    size = geometry.tilted(image.size, angle)
    geometry.check(size, image.size)
    turned = image.convert("RGBA").transform(
        size, Image.Transform.AFFINE, _untilting(image.size, size, angle), Image.Resampling.BICUBIC
    )
    return effects.laid_over(turned, effects.colour(step.background or "transparent"))


def _untilting(before: Size, after: Size, angle: float) -> tuple[float, ...]:
    """The matrix that tells for a pixel of the turned picture where it was; middles meet."""
    across, down = math.cos(angle), math.sin(angle)
    x, y = after[0] / 2, after[1] / 2
    left, top = before[0] / 2 - across * x - down * y, before[1] / 2 + down * x - across * y
    return across, down, left, -down, across, top


def _turned_area(area: Area, degrees: float, before: Size, after: Size) -> Area:
    """The smallest upright area around the turned one."""
    angle = math.radians(degrees)
    x, y = area.centre[0] - before[0] / 2, area.centre[1] - before[1] / 2
    across, down = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = (
        area.width * across + area.height * down,
        area.width * down + area.height * across,
    )
    left = x * math.cos(angle) - y * math.sin(angle) + after[0] / 2 - width / 2
    top = x * math.sin(angle) + y * math.cos(angle) + after[1] / 2 - height / 2
    return Area(left, top, width, height)


def _shifted(area: Area, right: float, down: float) -> Area:
    return replace(area, left=area.left + right, top=area.top + down)


# ---- pictures as files


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
