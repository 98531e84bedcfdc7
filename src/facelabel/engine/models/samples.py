"""Seven photos of two public figures, for the demo and for tests on a bare machine.

They come from the source archive of face_recognition 1.3.0 on the package index, checked and
cached like the models; none is part of Facelabel.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from facelabel.engine.models import cache_folder
from facelabel.engine.models.fetching import Fetcher, member_of
from facelabel.engine.models.manifest import Distribution

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PHOTOS: Final = (
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "obama_partial_face.jpg",
    "obama_partial_face2.jpg",
    "biden.jpg",
    "32bit.png",
)
_MAX_PHOTO_BYTES: Final = 2 << 20
_COMPLETE: Final = ".complete"
#: Pixels of the composed picture.
_HEIGHT: Final = 640


@dataclass(frozen=True, slots=True)
class Collection:
    """Photos in one archive of the package index."""

    #: Name of the folder they are kept in.
    name: str
    #: Its ``member`` is the folder in the archive.
    archive: Distribution
    photos: tuple[str, ...]


_SAMPLES: Final = Collection(
    name="samples-1.3.0",
    archive=Distribution(
        requirement="face_recognition==1.3.0",
        sha256="5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        sdist=True,
        member="face_recognition-1.3.0/tests/test_images",
    ),
    photos=PHOTOS,
)


def sample_photos(cache_dir: Path, *, pip: Sequence[str] = (sys.executable, "-m", "pip")) -> Path:
    """Return a folder with the files of :data:`PHOTOS`, fetched into ``cache_dir`` if need be.

    Raises what :func:`fetched` raises.
    """
    return fetched(_SAMPLES, cache_dir, pip=pip)


def fetched(
    collection: Collection,
    cache_dir: Path,
    *,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> Path:
    """Return a folder with the photos of a collection, fetched into ``cache_dir`` if need be.

    Raises Unavailable where the package index cannot be reached, ConfigurationError where pip is
    missing or the folder cannot be written, Rejected where the archive is another.
    """
    folder = cache_dir / collection.name
    if (folder / _COMPLETE).exists():
        return folder
    with cache_folder.exclusive(folder):
        if not (folder / _COMPLETE).exists():  # nobody else fetched them meanwhile
            _fetch(collection, folder, pip)
    return folder


def _fetch(collection: Collection, folder: Path, pip: Sequence[str]) -> None:
    source = collection.archive
    with cache_folder.scratch(folder) as scratch:
        archive = Fetcher(pip, connect_timeout=3.0).archive(source, scratch)
        for name in collection.photos:
            photo = member_of(archive, f"{source.member}/{name}", _MAX_PHOTO_BYTES)
            cache_folder.write(folder / name, photo)
    cache_folder.write(folder / _COMPLETE, b"")


def two_people(folder: Path) -> bytes:
    """Return a JPEG of both public figures side by side, composed from two of the photos.

    Of the second there is one photo only, so his part is that photo re-cropped, rescaled and
    re-encoded: fit for showing what the program does, not for measuring how well.
    """
    parts = [
        _part(folder / "obama2.jpg", (0.0, 0.05, 1.0, 0.65)),
        _part(folder / "biden.jpg", (0.05, 0.02, 0.97, 0.50)),
    ]
    picture = Image.new("RGB", (sum(part.width for part in parts), _HEIGHT), "white")
    left = 0
    for part in parts:
        picture.paste(part, (left, 0))
        left += part.width
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()


def _part(path: Path, crop: tuple[float, float, float, float]) -> Image.Image:
    """A part of a photo, by ratios of its size, brought to the common height."""
    with Image.open(path, formats=["JPEG"]) as photo:
        width, height = photo.size
        left, top, right, bottom = crop
        box = (left * width, top * height, right * width, bottom * height)
        scale = _HEIGHT / (box[3] - box[1])
        size = (round((box[2] - box[0]) * scale), _HEIGHT)
        return photo.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=box)
