"""What a person can ask for, the same for the command line and for Python."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from facelabel import absence
from facelabel.bootstrap import learning_in_force, rules_in_force
from facelabel.bootstrap.core import USUAL_FACES
from facelabel.core import names, naming, nearest
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, JobRequest, JobState, Outcome, OutcomeKind
from facelabel.core.model import Identification
from facelabel.errors import (
    ConfigurationError,
    Rejected,
    Unavailable,
    UnreadableImage,
    UnusableFace,
)
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.core.jobs import Job
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset, Candidate, Enrolment, SearchRecord
    from facelabel.engine.own_calibrations import OwnCalibration
    from facelabel.inputs.portraits import Portrait
    from facelabel.recognition.worker import Done

#: Pictures asked about, and enqueued, at a time.
PAGE = 100
#: So many jobs after another that cannot be done now: then neither can the rest.
IN_A_ROW = 3
#: Seconds from now, long ago, by which a job comes before all that wait.
_AT_ONCE = -1e9
#: More jobs than any queue holds.
ALL = 1_000_000_000
#: What became of a picture whose job another worker is doing.
ELSEWHERE = Outcome(OutcomeKind.WAITING, note="another worker has it")
#: Jobs that only find out which pictures to look at; none takes a picture.
NOTICES = frozenset({JobKind.TAGS, JobKind.FIND, JobKind.FOLDER})
_UNSAFE = str.maketrans(dict.fromkeys("?&#\\%<>+/", "-"))


class CircuitBreaker:
    """Raises Unavailable, with the last one's reason, where one job after the other has to wait.

    A network that is away or a quota that is used up would only be met thousands of times more.
    """

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._waiting: set[str] = set()

    def __call__(self, done: Done) -> None:
        """Note one job."""
        if done.outcome or done.buried:
            self._waiting.clear()
            return
        self._waiting.add(done.job.key)
        if len(self._waiting) == IN_A_ROW:
            raise Unavailable(reason(done))


def find(app: App, ident: str) -> Asset:
    """The asset with that public_id or asset_id; NotFound, with what may be meant, if none has."""
    asset = app.library.asset(ident) or app.library.find(ident)
    if asset is None:
        raise absence.no_picture(app.library, ident, app.label_policy)
    return asset


def add_tags(app: App, asset: Asset, tags: Sequence[str]) -> Asset:
    """Tag a picture; LabelRefused for what nearly is a label."""
    app.label_policy.check_tags(tags)
    app.library.add_tags(asset.asset_id, tags)
    return find(app, asset.asset_id)


def remove_tags(app: App, asset: Asset, tags: Sequence[str]) -> tuple[Asset, list[str]]:
    """Take tags from a picture; also say of each that was not on it which may be meant."""
    missing = absence.missing_tags(asset, list(map(names.normalise, tags)))
    if len(missing) < len(tags):
        app.library.remove_tags(asset.asset_id, tags)
    return find(app, asset.asset_id), missing


def identify(app: App, data: bytes) -> Identification:
    """Say who is on a picture, by the settings, storing nothing."""
    scope, rules = app.gallery.searched(for_nobody=True)
    with app.gallery.expected(scope.collection):
        probe_result = app.recognizer.identify(scope.collection, data)
    faces = naming.assign(probe_result.faces, rules, portraits=probe_result.portraits)
    return Identification(
        faces, probe_result.left_out, probe_result.model, probe_result.calls, probe_result.portraits
    )


def search(app: App, image: bytes) -> tuple[Candidate, ...]:
    """Whom the largest face of an image resembles, near enough for a name or not.

    Most similar first. Raises UnusableFace if there is no face.
    """
    live = app.gallery.collection()
    with app.gallery.expected(live):
        probe_result = app.recognizer.identify(live, image)
    if not probe_result.faces:
        raise UnusableFace("there is no face on it that can be compared")
    return naming.rank(probe_result.faces[0].hits)


def search_embedding(app: App, vector: bytes) -> tuple[Candidate, ...]:
    """The same for a face whose embedding is known: a unit vector, little-endian float32.

    Raises ConfigurationError where somebody else knows the faces and takes no embeddings, Rejected
    if it is none of the collection's model.
    """
    if app.amazon or app.local_faces is None:
        raise ConfigurationError("Amazon Rekognition takes no embeddings (setting faces)")
    live = app.gallery.collection()
    with app.gallery.expected(live):
        hits = app.local_faces.search(live, vector)
    return naming.rank(hits)


def add_portrait(
    app: App, portrait: Portrait, known: Mapping[str, Asset] = MappingProxyType({})
) -> Asset:
    """Upload a portrait to the training folder under its label.

    The public_id comes from file name and content: the same file again is the same asset, and
    under another label it moves. Raises Rejected, LabelRefused, UnreadableImage, Unavailable.

    Args:
        app: whose library it goes to.
        portrait: what to upload.
        known: training images by public_id; what is among them is not sent again.

    """
    data, filename = read(app, portrait.source)
    return store_portrait(app, data, filename, portrait.person, known)


def store_portrait(
    app: App,
    data: bytes,
    filename: str,
    person: str,
    known: Mapping[str, Asset] = MappingProxyType({}),
) -> Asset:
    """The same of an image that was read already."""
    label_policy = app.label_policy
    label = names.label(person.removeprefix(f"{label_policy.prefix}:"), label_policy.prefix)
    stem = _clean_stem(filename)
    public_id = f"{label_policy.training}/{stem}-{hashlib.sha256(data).hexdigest()[:10]}"
    # Without the label: of an image that was moved elsewhere, it would replace people's own tags.
    asset = known.get(public_id) or app.library.upload(
        data, folder=label_policy.training, filename=filename, public_id=public_id
    )
    return _relabel(app, asset, label)


def training_images(app: App) -> dict[str, Asset]:
    """What is in the training folder, by public_id."""
    return {asset.public_id: asset for asset in app.library.assets(app.label_policy.training)}


def upload_portraits(
    app: App,
    found: Sequence[Portrait],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Asset | Outcome]:
    """Upload portraits; for each, in their order, the asset, or what kept it out."""
    uploaded: list[Asset | Outcome] = []
    last: dict[str, int] = {}
    known = training_images(app)
    for at, portrait in enumerate(found):
        try:
            asset = add_portrait(app, portrait, known)
        except (Rejected, Unavailable) as trouble:
            uploaded.append(failed(trouble))
        else:
            former = last.get(asset.asset_id)
            if former is not None and found[former].person != portrait.person:
                uploaded[former] = _overruled(found[former], portrait)
            last[asset.asset_id] = at
            known[asset.public_id] = asset  # as it is labelled now, if it comes once more
            uploaded.append(asset)
        progress(at + 1, len(found))
    return uploaded


def _overruled(former: Portrait, portrait: Portrait) -> Outcome:
    """What became of a picture that is there for two people: it counts for the last."""
    known_as = f"{portrait.named}, labelled {portrait.person}: that label counts"
    note = f"labelled {former.person}, is the same picture as {known_as}"
    return Outcome(OutcomeKind.REFUSED, note=note)


def read(app: App, source: str) -> tuple[bytes, str]:
    """The bytes and the file name of a path or an http(s) URL, within the size limit."""
    if reading.is_url(source):
        return app.fetch(source)
    return read_file(app, Path(source)), Path(source).name


def read_file(app: App, path: Path) -> bytes:
    """The bytes of a file; UnreadableImage, saying why, if there is none or it is too large."""
    try:
        return reading.read(path, app.settings.max_image_mb << 20)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, out of a labels.csv
        raise UnreadableImage(reading.explain(error)) from error


def work(
    app: App, asset_ids: Collection[str], on_done: Callable[[Done], None] = lambda _: None
) -> list[Outcome]:
    """Look at these assets here and now; return what became of them, in their order.

    An outcome is REFUSED where the image is at fault, WAITING where the job goes on later or in
    another worker; ``note`` says why. Where nothing more can be done now, what is left waits with
    that reason: what was done is worth its report.
    """
    try:
        enqueue(app, asset_ids)
    except Unavailable as trouble:
        return [failed(trouble)] * len(asset_ids)
    return drain(app, asset_ids, on_done)


def decide_by_settings(
    app: App,
    configured: LabelPolicy | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Have names decided by the settings of this process from now on, on all pictures.

    Those whose names change are enqueued. ``configured``: what the settings say without what was
    given for one run, if something was. ``progress``: told how many turns it took so far.
    """
    rules_in_force.agree(app.pipeline, configured or app.label_policy)
    # Before anybody asks which pictures are out of date: until then all of them are.
    for turn, _ in enumerate(app.worker({JobKind.SWEEP}).due(math.inf), start=1):
        progress(turn)


def work_first(
    app: App, asset_ids: Sequence[str], on_done: Callable[[Done], None] = lambda _: None
) -> tuple[list[Outcome], int]:
    """Look at these assets before all that waits, which is left alone; how many pictures that is.

    Where nothing else waits, whatever follows from these is done as well. Outcomes are as those of
    :func:`work`, for the same reasons.
    """
    if not app.worker(NOTICES).kinds:  # a queue without an order, and workers of its own
        return work(app, asset_ids, on_done), 0
    try:
        for key in asset_ids:
            app.queue.enqueue(JobKind.ASSET, key, delay=_AT_ONCE)
        others = app.queue.pending({JobKind.ASSET}) - len({*asset_ids})
    except Unavailable as trouble:
        return [failed(trouble)] * len(asset_ids), 0
    if others <= 0:
        return drain(app, asset_ids, on_done), 0
    rules_in_force.begin(app.pipeline, app.label_policy)
    results, rest = dict[str, Outcome](), ELSEWHERE
    worker = app.worker({JobKind.ASSET})
    try:
        while results.keys() < {*asset_ids} and (done := worker.run_one()):
            on_done(done)
            if done.job.key not in asset_ids:
                break  # others have those that are left
            results[done.job.key] = outcome_of(done)
    except Unavailable as trouble:
        rest = failed(trouble)
    return [results.get(key, rest) for key in asset_ids], others


def drain(
    app: App, asset_ids: Collection[str], on_done: Callable[[Done], None] = lambda _: None
) -> list[Outcome]:
    """The same of assets that are enqueued. Whatever else waits in the queue is worked too."""
    rules_in_force.begin(app.pipeline, app.label_policy)
    learning_in_force.begin(app.pipeline, app.label_policy, app.label_policy)
    wanted = frozenset(asset_ids)
    results: dict[str, Outcome] = {}
    rest = ELSEWHERE

    def note(done: Done) -> None:
        key, outcome = done.job.key, outcome_of(done)
        looked_again = (
            key in results and outcome.kind is OutcomeKind.UNCHANGED
        )  # our own tag came back
        if done.job.kind is JobKind.ASSET and key in wanted and not looked_again:
            results[key] = outcome
        on_done(done)

    try:
        work_all(app, note)
    except Unavailable as trouble:
        rest = failed(trouble)
    return [results.get(asset_id, rest) for asset_id in asset_ids]


def work_all(app: App, on_done: Callable[[Done], None] = lambda _: None) -> None:
    """Work the queue to its end.

    What only says which pictures to look at comes first: a picture that several changes tell of is
    looked at once. Raises what ``on_done`` raises, and Unavailable.
    """
    notices = app.worker(NOTICES)
    while notices.kinds and (done := notices.run_one()):
        on_done(done)
    app.worker().drain(on_done)


def failed_jobs(app: App | Records) -> Sequence[Job]:
    """Every job that failed for good, the oldest first."""
    return app.queue.jobs(JobState.DEAD, ALL)


def enrolments(app: App | Records) -> list[Enrolment]:
    """What the live collection was learnt from; nothing while there is none."""
    live = app.ledger.collection()
    return list(app.ledger.enrolments(live)) if live else []


def portraits_by_person(app: App | Records) -> dict[str, list[str]]:
    """Everybody who is known, with the public_ids of the portraits."""
    photos: dict[str, list[str]] = {}
    for line in enrolments(app):
        photos.setdefault(line.person, []).append(line.public_id)
    return photos


def enqueue(app: App, asset_ids: Iterable[str]) -> None:
    """Have assets looked at."""
    app.queue.enqueue_all([JobRequest(JobKind.ASSET, key) for key in asset_ids])


def calibration(app: App, search: SearchRecord) -> OwnCalibration | None:
    """What the similarities of a search meant, where the user's own people say it, as today."""
    rules = app.label_policy.rules
    if not rules.calibration or not rules.same_calibration(search.rules):
        return None
    return app.engines.measured(search.model.removeprefix("facelabel "))


def unsearched(
    app: App,
    folder: str,
    *,
    again: bool = False,
    on_searched: Callable[[], object] = lambda: None,
) -> Iterator[Asset]:
    """Pictures of a folder that were not searched yet, or are out of date; ``again``: all.

    ``on_searched``: told of each that is left out, as it was searched. Raises Rejected if the
    folder is not one that is searched.
    """
    label_policy = app.label_policy
    root = label_policy.recognition
    if root and not (folder == root or folder.startswith(f"{root}/")):
        raise Rejected(
            f"{folder!r} is outside {root!r}, the folder whose pictures are searched"
            f" (setting faceRecognitionFolder){nearest.asked(label_policy.near(folder))}"
        )
    pictures = filter(label_policy.is_searchable, app.library.assets(folder))
    while page := list(islice(pictures, PAGE)):
        wanted = page if again else app.identifier.unsearched(page)
        for _ in range(len(page) - len(wanted)):
            on_searched()
        yield from wanted


def enqueue_unsearched(
    app: App,
    folder: str,
    progress: Callable[[int], None] = lambda _: None,
    *,
    again: bool = False,
    on_searched: Callable[[], object] = lambda: None,
) -> list[str]:
    """Have the unsearched pictures of a folder looked at, page by page; return which: asset_ids.

    ``again``: all of them, as if for the first time; ``on_searched`` is told of each that is left
    out. Stopped at any time, what was enqueued is worked all the same.
    """
    found: list[str] = []
    pictures = unsearched(app, folder, again=again, on_searched=on_searched)
    while page := [asset.asset_id for asset in islice(pictures, PAGE)]:
        if again:
            app.identifier.look_anew(page)
        enqueue(app, page)
        found += page
        progress(len(found))
    return found


def costs(app: App, *, portraits: int = 0, pictures: Sequence[str] = ()) -> Iterator[str]:
    """What it asks of accounts elsewhere, line by line, to look at so much.

    Args:
        app: whose accounts.
        portraits: images to learn from.
        pictures: asset_ids to search.

    """
    if app.remote:
        images = portraits + len(pictures)
        so_far = app.remote.client.calls.get("admin", 0)
        yield (
            f"{images} calls of Cloudinary's Admin API (it answers so many an hour), {images}"
            f" downloads, and at most {2 * images} writes, which are not rationed;"
            f" this look took {so_far} calls"
        )
    if app.amazon:
        known = app.ledger.searches(pictures)
        faces = [len(known[key].faces) if key in known else None for key in pictures]
        calls, dollars = app.amazon.estimate(portraits, faces)
        yield f"{calls} paid calls of Amazon Rekognition, ${dollars:,.2f}" + (
            f", with {USUAL_FACES} faces on each picture not searched before"
            if None in faces
            else ""
        )


def spent(app: App) -> str:
    """What calls of Rekognition cost since the program began; "" if none was paid for."""
    calls, dollars = app.amazon.spent() if app.amazon else (0, 0.0)
    paid = counted(calls, "paid call")
    return f"{paid} of Amazon Rekognition, ${dollars:,.3f}" if calls else ""


def searched_with_faces(app: App) -> list[str]:
    """Pictures, by asset_id, that are searched again when the collection is made anew."""
    ids = list(app.ledger.searched())
    return [key for key, search in app.ledger.searches(ids).items() if search.faces]


def labelled(app: App, folder: str) -> list[Asset]:
    """Training images of a folder that carry a label."""
    label_policy = app.label_policy
    return [
        asset
        for asset in app.library.assets(folder)
        if label_policy.is_training(asset) and label_policy.labels(asset)
    ]


def _clean_stem(filename: str) -> str:
    """A file's name as a segment of a public_id."""
    return clean_name(PurePosixPath(filename).stem) or "portrait"


def clean_name(name: str) -> str:
    """What a file or folder may be called in the library; "" where nothing is left of its name."""
    return "".join(filter(str.isprintable, name.translate(_UNSAFE))).strip(" .-")[:80]


def failed(trouble: Rejected | Unavailable) -> Outcome:
    """What became of a picture that did not even get into the library."""
    kind = OutcomeKind.REFUSED if isinstance(trouble, Rejected) else OutcomeKind.WAITING
    return Outcome(kind, note=str(trouble))


def outcome_of(done: Done) -> Outcome:
    """What a job came to, or why it came to nothing."""
    if done.outcome:
        return done.outcome
    kind = OutcomeKind.REFUSED if done.buried else OutcomeKind.WAITING
    return Outcome(kind, asset_id=done.job.key, note=reason(done))


def reason(done: Done) -> str:
    """Why a job failed: of a traceback, the last line."""
    return done.error.strip().rpartition("\n")[2]


def _relabel(app: App, asset: Asset, label: str) -> Asset:
    """Put an image under this label alone; other tags stay. Return it with its tags now."""
    prefix = f"{app.label_policy.prefix}:"
    if label not in asset.tags:
        app.library.add_tags(asset.asset_id, [label])
    others = [tag for tag in asset.tags if tag.startswith(prefix) and tag != label]
    if others:
        app.library.remove_tags(asset.asset_id, others)
    kept = (tag for tag in asset.tags if tag not in {label, *others})
    return replace(asset, tags=(*kept, label))
