"""Face engines by model: packs known, pulled, loaded once each."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.core import calibration
from facelabel.engine.models.manifest import builtin_packs, former_packs, load_pack
from facelabel.engine.models.model_store import AUTO, AUTO_ORDER, ModelStore
from facelabel.engine.own_calibrations import Calibrations, OwnCalibration, fingerprint
from facelabel.errors import ConfigurationError, NotFound
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import Box, Face
    from facelabel.engine.engine import Engine
    from facelabel.engine.models.manifest import Pack
    from facelabel.engine.own_calibrations import Points
    from facelabel.images import Limits

    #: Told about model files on their way: name, bytes so far, bytes in all.
    Progress = Callable[[str, int, int | None], None]
    #: Told what a user should know.
    Notice = Callable[[str], None]


#: Packs that a choice stands for.
_NAMES = {AUTO: AUTO_ORDER}


@dataclass(frozen=True, slots=True)
class ModelFileState:
    """One file of a pack, as a user wants to know it."""

    name: str
    licence: str
    bytes: int
    sha256: str
    origin: str


@dataclass(frozen=True, slots=True)
class PackState:
    """A pack of face models and whether it is installed."""

    name: str
    model: str
    summary: str
    installed: bool
    #: Whether similarities mean a false match rate; without it no names are written.
    calibrated: bool
    #: Of 100 known among 1,559 people, how many are named where 1 of 100 strangers may be.
    finds: float | None
    files: tuple[ModelFileState, ...]
    #: What the user's own people say a similarity means, where that is used.
    own: OwnCalibration | None = None


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What all packs are used with: see :class:`~facelabel.engine.engine.Engine`."""

    limits: Limits
    max_faces: int
    threads: int
    #: Name of a device, or "auto": the best there is.
    device: str


class Engines:
    """Face engines by model name, each loaded once, models pulled at the first need."""

    def __init__(
        self,
        choice: str,
        models: Path,
        calibrations: Path,
        options: EngineOptions,
        *,
        progress: Progress,
        notice: Notice,
    ) -> None:
        """Remember all that; nothing is loaded yet.

        ``choice``: name of the pack that new collections get, "auto", or the path of a manifest.
        ``models``: folder of the packs' files. ``calibrations``: folder of those measured on the
        user's own people.
        """
        self._choice = choice
        self._options = options
        self._progress, self._notice = progress, notice
        self._store = ModelStore(models)
        #: Measured on the user's own people.
        self.calibrations = Calibrations(calibrations)
        #: Those that this process goes by, once it has looked.
        self._own: Mapping[Path, OwnCalibration | ConfigurationError] | None = None
        self._loaded: dict[str, Engine] = {}
        self._lock, self._reading = threading.Lock(), threading.Lock()

    def __call__(self, model: str | None) -> Engine:
        """The engine of a collection's model; None: the one for new collections."""
        if model is not None and (loaded := self._loaded.get(model)):
            return loaded  # whatever another thread is fetching
        with self._lock:
            if model in self._loaded:  # without a look at the packs: a user's files are hashed
                return self._loaded[model]
            pack = self._pack_of(model) if model else self.default_pack()
            if pack.model not in self._loaded:
                self._loaded[pack.model] = self._load(pack)
            return self._loaded[pack.model]

    def detect(self, image: bytes) -> Sequence[Box]:
        """Where the faces of an image are, the largest first; UnreadableImage."""
        return self._detecting().detect(image)

    def faces(self, image: bytes) -> Sequence[Face]:
        """The faces of an image, the largest first; UnreadableImage."""
        return self._detecting().faces(image)

    def _detecting(self) -> Engine:
        """An engine whose detector serves: one that is loaded, before another is fetched."""
        loaded = next(iter(self._loaded.values()), None)
        return loaded or self(None)

    def device(self) -> str:
        """What the models run on; ConfigurationError where the one asked for does not work."""
        from facelabel.engine import devices  # noqa: PLC0415 - ONNX Runtime

        return devices.chosen(self._options.device)

    def present(self, model: str | None) -> bool:
        """Whether an engine can be had without a download; nothing is hashed or loaded."""
        if model in self._loaded or (model is None and self._loaded):
            return True
        choice = self._choice
        known = builtin_packs()
        if model is not None:
            packs = [p for p in (*known.values(), *former_packs()) if p.model == model]
        else:
            packs = [known[name] for name in _NAMES.get(choice, (choice,)) if name in known]
        if not packs and Path(choice).suffix == ".toml":
            return reading.is_file(Path(choice)) and self._store.installed(load_pack(Path(choice)))
        return any(map(self._store.installed, packs))

    def default_pack(self) -> Pack:
        """The pack new collections get, pulled if need be."""
        choice = self._choice
        if choice == AUTO:
            return self._store.pull_auto(self._progress, self._notice)
        return self._store.resolve(choice)

    def pull(self, choice: str, folder: Path | None = None) -> str:
        """Install a pack, from local files if a folder is given; return its model name."""
        if choice == AUTO and folder is None:
            return self._store.pull_auto(self._progress, self._notice).model
        pack = _whole(folder) if choice == AUTO and folder else self._store.resolve(choice)
        if folder:
            self._store.install(pack, folder, self._progress)
        else:
            for version in self._versions(pack):
                self._store.pull(version, self._progress)
        return pack.model

    def _versions(self, pack: Pack) -> list[Pack]:
        """A pack, and what is here of it as it was: a collection may go on with that."""
        former = [one for one in former_packs() if one.name == pack.name]
        return [pack, *filter(self._store.started, former)]

    def packs(self) -> list[PackState]:
        """Every pack we know of."""
        return [self._state(pack) for pack in self._known()]

    def problems(self, choice: str | None = None) -> dict[str, list[str]]:
        """What is wrong with the files of a pack, or of every installed one, by model."""
        if choice:
            chosen = self._versions(self._store.resolve(choice))
        else:
            chosen = [pack for pack in self._known() if self._store.started(pack)]
        return {pack.model: self._store.verify(pack) for pack in chosen}

    def calibrate(
        self, model: str, points: Points, *, people: int = 0, pairs: int = 0, now: float = 0.0
    ) -> Path:
        """Keep a calibration measured on the user's own faces; return where it is.

        Where calibrations were looked at already, here or in other processes, they stay in use.
        """
        stricter = self.published(model) is not None
        own = OwnCalibration(points, people, pairs, now, stricter)
        return self.calibrations.keep(model, own)

    def measured(self, model: str) -> OwnCalibration | None:
        """The user's calibration of a model, so far as it is used here."""
        pack = self._came(model)
        return self._used(pack) if pack else None

    def meaning(self, live: str | None) -> str:
        """Tell apart what similarities mean to who names pictures; "" is as packs come.

        By the calibrations, as this process uses them, of the models that pictures are named
        with: those of the live collection, and those that a new one would get.
        """
        used: dict[str, OwnCalibration | ConfigurationError | None] = {}
        if self._owned():
            for pack in self._naming(live):
                try:
                    used[pack.model] = self._used(pack)
                except ConfigurationError as error:  # who needs the engine is told
                    used[pack.model] = error
        return fingerprint(used)

    def _naming(self, live: str | None) -> Iterator[Pack]:
        """The packs in question, as they came; nothing is fetched."""
        try:
            if live and (found := self._came(live)):
                yield found
                if found.name not in builtin_packs():  # the user's own, which the setting names
                    return
            yield self._store.resolve(self._choice)
        except (NotFound, ConfigurationError):  # who needs the engine is told
            yield from (builtin_packs()[name] for name in AUTO_ORDER)

    def published(self, model: str) -> Points | None:
        """The calibration that a model came with, whatever the user measured; None without."""
        pack = self._came(model)
        return pack.calibration if pack else None

    def _came(self, model: str) -> Pack | None:
        """The pack of a model as it came, whatever the user measured."""
        return next((pack for pack in self._every() if pack.model == model), None)

    def _every(self) -> Iterator[Pack]:
        """Packs of ours, as they are and as they were, and the user's own; all as they came."""
        yield from (*builtin_packs().values(), *former_packs())
        if Path(self._choice).suffix == ".toml":
            yield load_pack(Path(self._choice))

    def _known(self) -> list[Pack]:
        """The same, those as they were only where something of that is here."""
        former = {pack.model for pack in former_packs()}
        return [
            pack for pack in self._every() if pack.model not in former or self._store.started(pack)
        ]

    def _pack_of(self, model: str) -> Pack:
        """The pack that made a collection's vectors."""
        if pack := self._came(model):
            return pack
        raise ConfigurationError(
            f"the collection was made with the models {model!r}, which are not here: set"
            " FACELABEL_PACK to their manifest, or run `facelabel index --rebuild`"
        )

    def _load(self, pack: Pack) -> Engine:
        from facelabel.engine import devices  # noqa: PLC0415 - ONNX Runtime
        from facelabel.engine.engine import Engine  # noqa: PLC0415 - the same

        if not self._store.installed(pack):
            self._store.pull(pack, self._progress)
        elif problems := self._store.verify(pack):  # once a process: it takes a tenth of a second
            raise ConfigurationError(
                f"{'; '.join(problems)}: `facelabel models pull {pack.name}` repairs it"
            )
        if own := self._used(pack):
            pack = replace(pack, calibration=own.points)
        options, paths = self._options, self._store.paths(pack)
        return Engine(
            pack,
            paths.detector,
            paths.embedders,
            limits=options.limits,
            max_faces=options.max_faces,
            threads=options.threads,
            device=devices.chosen(options.device),
        )

    def _state(self, pack: Pack) -> PackState:
        parts = [part for file in pack.files for part in file.parts]
        files = tuple(
            ModelFileState(file.name, file.licence, file.bytes, file.sha256, file.origin)
            for file in parts
        )
        own = self._used(pack)
        return PackState(
            name=pack.name,
            model=pack.model,
            summary=pack.summary,
            installed=self._store.installed(pack),
            calibrated=own is not None or pack.calibration is not None,
            finds=pack.finds,
            files=files,
            own=own,
        )

    def _used(self, pack: Pack) -> OwnCalibration | None:
        """The user's calibration of a pack, so far as it is used.

        A stricter one, where it is stricter: whoever wrote the file, no similarity becomes
        looser than what the pack says. Any one where the pack has none.
        """
        own = self._owned().get(self.calibrations.path(pack.model))
        if isinstance(own, ConfigurationError):
            raise ConfigurationError(str(own)) from own
        if own is None or pack.calibration is None:
            return own
        if not own.stricter:
            return None
        points = calibration.stricter(own.points, pack.calibration)
        return None if points == pack.calibration else replace(own, points=points)

    def _owned(self) -> Mapping[Path, OwnCalibration | ConfigurationError]:
        """The calibrations as they were when this process first looked.

        Read once: what a picture is said to be named by is read before the engine is loaded.
        """
        with self._reading:
            if self._own is None:
                self._own = self.calibrations.every()
            return self._own


def _whole(folder: Path) -> Pack:
    """What "auto" means where the files are in a folder: the best that is whole there."""
    packs = [builtin_packs()[name] for name in AUTO_ORDER]
    whole = (pack for pack in packs if all(reading.is_file(folder / f.name) for f in pack.files))
    return next(whole, packs[0])
