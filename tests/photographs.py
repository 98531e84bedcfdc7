"""Pictures for tests, composed from photographs of four people that anybody may fetch.

Four people, repeated, cropped, scaled and lit anew, alone and together: enough for everything but
measuring how well faces are told apart. The folder is laid out like that of the real photos:

``people/``      ``Obama1.jpg`` …: portraits with faces of about 110 pixels, three of each person,
                 and ``party.jpg`` with all four
``portraits/``   one of each in ``gallery/`` and in ``probe/``; ``groups/`` has a sheet of twelve,
                 whose ``labels.json`` tells who is on which tile
``groups/``      many faces and none, good and poor; ``labels.json`` tells where the noses are
``hostile/``     what :mod:`tests.hostile_files` writes

Nothing here asks the programs under test where a face is: that is written down below, by eye.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import PIL
from PIL import Image, ImageEnhance, ImageFilter
from tests import hostile_files

from facelabel.engine.models import cache_folder
from facelabel.engine.models.manifest import Distribution
from facelabel.engine.models.samples import Collection, fetched, sample_photos

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Point: TypeAlias = tuple[float, float]

PEOPLE: Final = ("Obama", "Biden", "Hopper", "Collins")
#: Wheels that every mirror has; the photo is the same file in each of the project's archives.
_BUILT_FOR: Final = ("manylinux2014_x86_64", "3.11")
_COLLECTIONS: Final = (
    Collection(
        name="photos-matplotlib-3.10.0",
        archive=Distribution(
            requirement="matplotlib==3.10.0",
            sha256="5439f4c5a3e2e8eab18e2f8c3ef929772fd5641876db71f08127eed95ab64683",
            sdist=False,
            member="matplotlib/mpl-data/sample_data",
            built_for=_BUILT_FOR,
        ),
        photos=("grace_hopper.jpg",),
    ),
    Collection(
        name="photos-scikit-image-0.25.0",
        archive=Distribution(
            requirement="scikit-image==0.25.0",
            sha256="d4287052dcd8fe63934daa6cbe28b2abe817d75e9b952290fdb4de42254740fc",
            sdist=False,
            member="skimage/data",
            built_for=_BUILT_FOR,
        ),
        photos=("astronaut.png",),
    ),
)


@dataclass(frozen=True)
class Photo:
    """Where the face is in a photograph, in pixels."""

    file: str
    nose: Point
    #: Width of the face, ear to ear.
    face: float


_PHOTOS: Final[Mapping[str, Sequence[Photo]]] = {
    "Obama": (
        Photo("obama.jpg", (497, 275), 236),
        Photo("obama2.jpg", (284, 450), 280),
        Photo("obama3.jpg", (805, 458), 284),
    ),
    "Biden": (Photo("biden.jpg", (605, 415), 275),),
    "Hopper": (Photo("grace_hopper.jpg", (270, 241), 174),),
    "Collins": (Photo("astronaut.png", (222, 124), 91),),
}


@dataclass(frozen=True)
class Look:
    """How a photograph is shown."""

    photo: Photo
    #: Pixels of the face's width, and of the picture.
    face: float = 110.0
    size: tuple[int, int] = (240, 300)
    mirrored: bool = False
    #: 1: as it is; less is darker, more is brighter.
    light: float = 1.0
    #: 1: as it is; 0 is grey.
    colour: float = 1.0
    #: Radius of the blur, in widths of the face.
    blur: float = 0.0


@dataclass(frozen=True)
class Shown:
    """A picture, and where the noses are in it."""

    picture: Image.Image
    noses: list[Point] = field(default_factory=list)


def of(person: str, **how: object) -> Look:
    """How the first photograph of somebody is shown."""
    return replace(Look(_PHOTOS[person][0]), **how)  # type: ignore[arg-type]


#: The portraits of people/, by file name.
PORTRAITS: Final[Mapping[str, Look]] = {
    "Obama1": of("Obama"),
    "Obama2": Look(_PHOTOS["Obama"][1], face=120),
    "Obama3": Look(_PHOTOS["Obama"][2], face=100, light=1.15),
    "Biden1": of("Biden"),
    "Biden2": of("Biden", face=95, mirrored=True, light=1.2),
    "Biden3": of("Biden", face=120, light=0.75),
    "Hopper1": of("Hopper"),
    "Hopper2": of("Hopper", face=100, mirrored=True, light=0.8),
    "Hopper3": of("Hopper", face=120, colour=0.1),
    "Collins1": of("Collins"),
    "Collins2": of("Collins", face=120, mirrored=True, colour=0.2),
    "Collins3": of("Collins", face=96, light=0.8),
}
_PARTY: Final = (
    of("Hopper", face=104, light=0.9, size=(230, 330)),
    Look(_PHOTOS["Obama"][2], face=126, mirrored=True, light=1.1, size=(250, 330)),
    of("Collins", face=92, light=0.85, size=(210, 330)),
    of("Biden", face=115, light=1.1, size=(230, 330)),
)


class Studio:
    """Shows the photographs."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Take the folders with the photographs."""
        self._folders = folders
        self._read: dict[str, Image.Image] = {}

    def show(self, look: Look) -> Shown:
        """Crop, scale and light; the window stays inside the photograph."""
        picture, nose = self._photo(look.photo.file), look.photo.nose
        if look.mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            nose = (picture.width - nose[0], nose[1])
        scale = look.face / look.photo.face
        wide, high = (side / scale for side in look.size)
        left = min(max(nose[0] - wide / 2, 0), picture.width - wide)
        top = min(max(nose[1] - 0.46 * high, 0), picture.height - high)
        picture = picture.resize(
            look.size, Image.Resampling.LANCZOS, box=(left, top, left + wide, top + high)
        )
        picture = ImageEnhance.Brightness(picture).enhance(look.light)
        picture = ImageEnhance.Color(picture).enhance(look.colour)
        if look.blur:
            picture = picture.filter(ImageFilter.GaussianBlur(look.blur * look.face))
        return Shown(picture, [((nose[0] - left) * scale, (nose[1] - top) * scale)])

    def row(self, looks: Sequence[Look]) -> Shown:
        """Several beside each other, as high as the highest."""
        shown = [self.show(look) for look in looks]
        size = sum(one.picture.width for one in shown), max(one.picture.height for one in shown)
        together = Shown(Image.new("RGB", size, "white"))
        left = 0
        for one in shown:
            _paste(together, one, (left, 0))
            left += one.picture.width
        return together

    def sheet(self, looks: Sequence[Look], columns: int) -> Shown:
        """Several of one size, row by row."""
        rows = [self.row(looks[at : at + columns]) for at in range(0, len(looks), columns)]
        size = rows[0].picture.width, sum(row.picture.height for row in rows)
        together = Shown(Image.new("RGB", size, "white"))
        for at, row in enumerate(rows):
            _paste(together, row, (0, at * row.picture.height))
        return together

    def nobody(self) -> Shown:
        """A picture without a face: a part of the rocket behind Eileen Collins."""
        picture = self._photo("astronaut.png").crop((340, 190, 512, 293))
        return Shown(picture.resize((565, 339), Image.Resampling.BICUBIC))

    def _photo(self, name: str) -> Image.Image:
        if name not in self._read:
            (path,) = (folder / name for folder in self._folders if (folder / name).exists())
            with Image.open(path) as photo:
                self._read[name] = photo.convert("RGB")
        return self._read[name]


def _paste(together: Shown, one: Shown, place: tuple[int, int]) -> None:
    together.picture.paste(one.picture, place)
    together.noses.extend((x + place[0], y + place[1]) for x, y in one.noses)


def public_domain(cache_dir: Path) -> list[Path]:
    """Folders of the photographs that may be passed on: Grace Hopper, Eileen Collins.

    Raises what :func:`~facelabel.engine.models.samples.fetched` raises.
    """
    return [fetched(one, cache_dir) for one in _COLLECTIONS]


def composed(cache_dir: Path) -> Path:
    """Return the folder of pictures, made in ``cache_dir`` if need be.

    Raises what :func:`~facelabel.engine.models.samples.fetched` raises.
    """
    modules = (Path(__file__), Path(hostile_files.__file__))
    made_by = b"".join(module.read_bytes() for module in modules) + PIL.__version__.encode()
    folder = cache_dir / f"test-photos-{hashlib.sha256(made_by).hexdigest()[:12]}"
    done = folder / ".complete"
    if not done.exists():
        sources = [sample_photos(cache_dir), *public_domain(cache_dir)]
        with cache_folder.exclusive(folder):
            if not done.exists():
                _compose(Studio(sources), folder)
                done.touch()
    return folder


def _compose(studio: Studio, folder: Path) -> None:
    portraits = {name: studio.show(look) for name, look in PORTRAITS.items()}
    for name, shown in portraits.items():
        _save(shown, folder / "people" / f"{name}.jpg")
    party = studio.row(_PARTY)
    _save(party, folder / "people" / "party.jpg")
    hostile_files.write(folder / "hostile", party.picture)
    for person in PEOPLE:
        _save(portraits[f"{person}1"], folder / "portraits" / "gallery" / f"{person}.jpg")
        _save(portraits[f"{person}2"], folder / "portraits" / "probe" / f"{person}.jpg")
    _sheet(studio, folder / "portraits" / "groups")
    _groups(studio, folder / "groups")


def _sheet(studio: Studio, folder: Path) -> None:
    """Twelve tiles, each somebody lit in another way."""
    tile, columns = (120, 150), 4
    people = [PEOPLE[at % len(PEOPLE)] for at in range(12)]
    looks = [
        of(person, face=50 + at, size=tile, light=0.8 + at / 30) for at, person in enumerate(people)
    ]
    _save(studio.sheet(looks, columns), folder / "sheet_12.jpg")
    labels = [
        {"person": person, "tile": [at % columns * tile[0], at // columns * tile[1], *tile]}
        for at, person in enumerate(people)
    ]
    (folder / "labels.json").write_text(json.dumps({"sheet_12.jpg": labels}), "utf-8")


def _groups(studio: Studio, folder: Path) -> None:
    shown = {
        "nobody.jpg": studio.nobody(),
        "crowd.jpg": studio.sheet(_crowd(), 4),
        "queue.jpg": studio.row(_queue()),
        "large.jpg": studio.show(Look(_PHOTOS["Obama"][2], face=600, size=(2900, 4100))),
    }
    for name, one in shown.items():
        _save(one, folder / name)
    noses = {name: [(round(x), round(y)) for x, y in one.noses] for name, one in shown.items()}
    (folder / "labels.json").write_text(json.dumps({"noses": noses}), "utf-8")


def _crowd() -> list[Look]:
    """Eight people of whom none is shown well enough to be learnt, three not by far."""
    blurs = (0.03, 0.024, 0.03, *[0.06] * 5)
    return [
        of(person, face=44, size=(96, 120), blur=blur, mirrored=at > 3)
        for at, (person, blur) in enumerate(zip(PEOPLE * 2, blurs, strict=True))
    ]


def _queue() -> list[Look]:
    """Four people, each smaller than the one before; the second and the third are blurred."""
    faces = (130, 116, 104, 92)
    return [
        of(person, face=face, size=(230, 300), blur=0.06 if at in {1, 2} else 0.0)
        for at, (person, face) in enumerate(zip(PEOPLE, faces, strict=True))
    ]


def _save(shown: Shown, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shown.picture.save(path, "JPEG", quality=90)
