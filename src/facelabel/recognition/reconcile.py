"""The whole training folder against the index: find drift, mend it, rebuild without a gap."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, cast

from facelabel.core import names
from facelabel.core.jobs import JobKind, JobRequest, Outcome, OutcomeKind
from facelabel.core.model import Enrolment, asset_hash, deletion_limit
from facelabel.core.names import ERROR_KEY
from facelabel.errors import LabelRefused, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import Job
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset, GalleryState, Json, NameState, SearchRecord
    from facelabel.media.ports import Library
    from facelabel.recognition.enrolling import Enroller
    from facelabel.recognition.identifying import Identifier
    from facelabel.recognition.live_gallery import LiveGallery, PaidSearchPolicy
    from facelabel.recognition.pipeline import Pipeline
    from facelabel.recognition.ports import Ledger, Queue, Recognizer

#: Seconds one turn of a rebuild works; other jobs come between two turns.
TURN_SECONDS = 15.0
#: Pictures compared with the ledger at a time.
PAGE = 500
#: Pictures asked for one by one to tell those that lie elsewhere now from those that are nowhere.
SAMPLE = 20
#: Images named one by one that a rebuild would lose.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Drift:
    """Where index and training folder differ."""

    #: Labelled and not enrolled, or enrolled under another label or version.
    missing: tuple[Asset, ...] = ()
    #: Enrolled, while image or label is gone: asset_ids.
    extra: tuple[str, ...] = ()
    #: Enrolled, but the collection has lost the face.
    lost: tuple[Enrolment, ...] = ()
    #: Faces learnt from our images that no enrolment holds; others' faces are left alone.
    orphans: tuple[str, ...] = ()
    #: Labelled images that cannot be learnt, with the reason.
    refused: tuple[tuple[Asset, str], ...] = ()
    #: The same picture under several people's names.
    contradictions: tuple[tuple[Enrolment, ...], ...] = ()
    #: Where many are extra: how many of them are nowhere in the library, by a sample …
    vanished: int = 0
    #: … and of how many enrolled.
    known: int = 0

    def check(self) -> None:
        """Raise Rejected where so much is gone that this is more likely the wrong library."""
        _check_vanished(self.vanished, self.known)

    @property
    def clean(self) -> bool:
        """Whether nothing needs mending; refusals and contradictions are for people to mend."""
        return not (self.missing or self.extra or self.lost or self.orphans)


@dataclass(frozen=True, slots=True)
class LibraryDrift:
    """What happened in the library and no notification told of: asset_ids."""

    #: New, changed, or not as our ledger has them.
    changed: tuple[str, ...]
    #: Known to the ledger and no longer listed.
    gone: tuple[str, ...]
    #: How many pictures were listed …
    listed: int
    #: … and how many the ledger knows.
    known: int
    #: How many of those gone are nowhere in the library, by a sample; the others were moved.
    vanished: int

    def check(self) -> None:
        """Raise Rejected where so much is gone that this is more likely the wrong library."""
        _check_vanished(self.vanished, self.known)


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be gone if another collection took the place of the live one."""

    #: Images learnt now that cannot be learnt anew: who they are, and why where that is known.
    images: tuple[str, ...] = ()
    #: Faces that others put there: they cannot be learnt anew, as their images are not here.
    strangers: int = 0

    def __bool__(self) -> bool:
        """Whether anything would be."""
        return bool(self.images or self.strangers)

    def __str__(self) -> str:
        """Say it as the object of a sentence."""
        parts = []
        if self.images:
            some = "; ".join(self.images[:_NAMED])
            more = f"; {len(self.images) - _NAMED} more" if len(self.images) > _NAMED else ""
            parts.append(f"{len(self.images)} of the portraits learnt now ({some}{more})")
        if self.strangers:
            parts.append(f"{self.strangers} faces that others put there (IndexFaces)")
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Compares, mends and rebuilds; all state is behind its ports."""

    library: Library
    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    clock: Clock
    label_policy: LabelPolicy
    gallery: LiveGallery
    enroller: Enroller
    identifier: Identifier
    #: None: searching costs nothing but time.
    paid_searches: PaidSearchPolicy | None = None

    @classmethod
    def of(cls, pipeline: Pipeline) -> Reconciler:
        """One on the ports of a pipeline."""
        return cls(
            pipeline.library, pipeline.recognizer, pipeline.ledger, pipeline.queue,
            pipeline.clock, pipeline.label_policy, pipeline.gallery, pipeline.enroller,
            pipeline.identifier, pipeline.paid_searches,
        )  # fmt: skip

    def check(self) -> Drift:
        """Compare every labelled image with the ledger, and the ledger with the collection."""
        live = self.ledger.collection()
        enrolled = {e.asset_id: e for e in self.ledger.enrolments(live)} if live else {}
        with self.gallery.expected(live):
            faces = list(self.recognizer.faces(live)) if live else []
        missing, refused, wanted = [], [], set()
        for asset, person, reason in self.labelled():
            wanted.add(asset.asset_id)
            current = enrolled.get(asset.asset_id)
            if reason:
                refused.append((asset, reason))
            elif not current or (current.person, current.version) != (person, asset.version):
                missing.append(asset)
        extra = tuple(sorted(enrolled.keys() - wanted))
        many = len(extra) > deletion_limit(len(enrolled))
        held, present = {e.face_id for e in enrolled.values()}, {face.face_id for face in faces}
        return Drift(
            missing=tuple(missing),
            extra=extra,
            lost=tuple(e for e in enrolled.values() if e.face_id not in present),
            orphans=tuple(
                sorted(f.face_id for f in faces if f.is_traced and f.face_id not in held)
            ),
            refused=tuple(refused),
            contradictions=_contradictions(enrolled.values()),
            vanished=self._vanished(extra) if many else 0,
            known=len(enrolled) if many else 0,
        )

    def repair(self, drift: Drift) -> None:
        """Enqueue the jobs, and adopt or forget the faces, that end this drift."""
        orphans = self._adopt(drift, self.gallery.collection()) if drift.orphans else ()
        assets = [asset.asset_id for asset in drift.missing] + list(drift.extra)
        for asset_id in [*assets, *(e.asset_id for e in drift.lost)]:
            self.queue.enqueue(JobKind.ASSET, asset_id)
        if orphans:
            self._forget_orphans(orphans, self.gallery.collection())

    def diff_library(self, progress: Callable[[int], None] = lambda _: None) -> LibraryDrift:
        """List our folders and compare every picture with the ledger; changes nothing.

        Args:
            progress: told how many pictures were compared so far.

        """
        live = self.ledger.collection()
        enrolled = {e.asset_id: e for e in self.ledger.enrolments(live)} if live else {}
        listed: set[str] = set()
        changed: list[str] = []
        for page in _pages(self._ours()):
            new = [asset for asset in page if asset.asset_id not in listed]
            listed.update(asset.asset_id for asset in new)
            changed += [asset.asset_id for asset in self._changed(new, enrolled)]
            progress(len(listed))
        known = enrolled.keys() | set(self.ledger.searched())
        gone = tuple(sorted(known - listed))
        vanished = self._vanished(gone) if len(gone) > deletion_limit(len(known)) else 0
        return LibraryDrift(tuple(changed), gone, len(listed), len(known), vanished)

    def reconcile(self, job: Job) -> Outcome:
        """Have everything looked at that notifications missed; Rejected if too much is gone.

        A picture that is only said to be gone is asked for by its own job before it is forgotten.
        """
        missed = self.diff_library()
        if not job.payload.get("force"):
            missed.check()
        self.look_at(missed)
        return Outcome(
            OutcomeKind.RECONCILED, note=f"{len(missed.changed)} changed, {len(missed.gone)} gone"
        )

    def look_at(self, missed: LibraryDrift) -> None:
        """Enqueue what was missed."""
        wanted = [*missed.changed, *missed.gone]
        self.queue.enqueue_all([JobRequest(JobKind.ASSET, key) for key in wanted])

    def _vanished(self, gone: Sequence[str]) -> int:
        """About how many of these are nowhere in the library; the rest left our folders."""
        sample = gone[:: -(-len(gone) // SAMPLE)]
        nowhere = [key for key in sample if self.library.asset(key) is None]
        return round(len(gone) * len(nowhere) / len(sample))

    def _ours(self) -> Iterator[Asset]:
        """Every picture of our folders; one may come twice."""
        label_policy = self.label_policy
        for folder in _outermost(label_policy.training, label_policy.recognition):
            yield from self.library.assets(folder)

    def _changed(
        self, assets: Sequence[Asset], enrolled: Mapping[str, Enrolment]
    ) -> Iterator[Asset]:
        """Those that are not as the ledger has them."""
        ids = [asset.asset_id for asset in assets]
        searches, marks = self.ledger.searches(ids), self.ledger.marks(ids)
        state = self.ledger.gallery()
        for asset in assets:
            line, search = enrolled.get(asset.asset_id), searches.get(asset.asset_id)
            if self.label_policy.is_training(asset):
                differs = search is not None or self._label_differs(asset, line)
            elif self.label_policy.is_searchable(asset):
                names = marks.get(asset.asset_id, {})
                differs = line is not None or self._search_differs(asset, search, names, state)
            else:
                differs = line is not None
            if differs:
                yield asset

    def _label_differs(self, asset: Asset, line: Enrolment | None) -> bool:
        """Whether index and label disagree; a refusal stands until somebody mends the image."""
        try:
            person = self.label_policy.person(asset)
        except LabelRefused:
            return ERROR_KEY not in asset.context
        if person is None or line is None:
            return line is not None or (person is not None and ERROR_KEY not in asset.context)
        return (line.person, line.version) != (person, asset.version)

    def _search_differs(
        self,
        asset: Asset,
        search: SearchRecord | None,
        marks: Mapping[str, NameState],
        state: GalleryState,
    ) -> bool:
        if search is None:
            return ERROR_KEY not in asset.context
        return not self.identifier.is_fresh(search, asset, state) or bool(
            self.identifier.decisions(asset, search, marks, state)
        )

    def request_rebuild(self, *, force: bool = False) -> str:
        """Enqueue a rebuild; return the name of the collection it will make.

        With ``force`` it switches even if people are lost by it.
        """
        live, base = self.ledger.collection(), self.label_policy.collection
        # The live one may have been made this very second.
        names = (f"{base}-{_stamp(self.clock.now() + late)}" for late in range(2))
        collection = next(name for name in names if name != live)
        payload: Json = {"collection": collection, "force": force}
        # Made here, because the worker that fills it may have other face models in its settings.
        self.recognizer.create(collection)
        self.queue.enqueue(JobKind.REBUILD, collection, payload)
        return collection

    def rebuild(self, job: Job, progress: Callable[[int, int], None] | None = None) -> Outcome:
        """Build the new collection beside the live one, verify, switch, drop the old one.

        Where it was paid for, it stays for a while: workers of other processes may be at it.
        Killed at any moment, the next run goes on where this one stopped. Raises Rejected, the
        live collection untouched, if people would be lost. A portrait whose file is not to be
        found is no loss that can be forced: its disk may come back.
        """
        new, force = str(job.payload["collection"]), bool(job.payload.get("force"))
        live = self.gallery.collection()
        if new != live and job.payload.get("over"):
            return Outcome(OutcomeKind.REBUILT, note=f"{live} has taken the place of {new}")
        if new != live:
            refused = dict(cast("dict[str, str]", job.payload.get("why_refused", {})))
            if not self._build(new, refused, progress):
                payload: Json = {**job.payload, "why_refused": {**refused}}
                self.queue.enqueue(JobKind.REBUILD, new, payload)
                return Outcome(OutcomeKind.REBUILDING, note=new)
            loss = self._loss(new, live, refused)
            if loss and not force:
                self._drop(new)
                raise Rejected(
                    f"the new collection would lose {loss}; the old one stays. Put better pictures"
                    " in their place, or `facelabel index --rebuild --force` goes without them"
                )
            self.ledger.switch(new)
        if not job.payload.get("over"):
            paid_searches = self.paid_searches
            if paid_searches is None:
                self._replace_others(new, lossy=force)
                # Whoever searched since the switch did not see the strangers.
                self.ledger.changed()
            self._follow_up(new)
            if paid_searches:
                queue, payload = self.queue, {**job.payload, "over": True}
                queue.enqueue(JobKind.REBUILD, new, payload, delay=paid_searches.grace)
        else:
            self._replace_others(new, lossy=force)
        return Outcome(OutcomeKind.REBUILT, note=new)

    def strangers(self, model: str) -> int:
        """How many faces of others would be lost by a rebuild with that model."""
        live = self.ledger.collection()
        return self._strangers(live, model) if live else 0

    def labelled(self) -> Iterator[tuple[Asset, str, str]]:
        """Each labelled training image with the person, or the reason why it names none."""
        label_policy = self.label_policy
        for asset in self.library.assets(label_policy.training):
            if not label_policy.is_training(asset):
                continue
            try:
                person = label_policy.person(asset)
            except LabelRefused as refusal:
                yield asset, "", str(refusal)
                continue
            if person:
                yield asset, person, asset.context.get(ERROR_KEY, "")

    def _adopt(self, drift: Drift, collection: str) -> Sequence[str]:
        """Record the faces of images that the ledger has lost; return the other orphans."""
        unknown = {asset_hash(asset.asset_id): asset.asset_id for asset in drift.missing}
        others = []
        for face in self.recognizer.faces(collection, drift.orphans):
            asset_id = unknown.get(face.asset_hash or asset_hash(face.asset_id or ""))
            if asset_id is None or self.ledger.enrolment(collection, asset_id):
                others.append(face.face_id)
            else:
                self.enroller.adopt(asset_id, face.face_id, face.person, collection)
        return others

    def _forget_orphans(self, orphans: Sequence[str], collection: str) -> None:
        """Forget faces nobody holds, but not those a worker has enrolled since we looked."""
        held = {e.face_id for e in self.ledger.enrolments(collection, orphans)}
        forgotten = [orphan for orphan in orphans if orphan not in held]
        self.recognizer.forget(collection, forgotten)
        self.ledger.mark_deleted(collection, forgotten)
        self.gallery.schedule_sweep()

    def _build(
        self, new: str, refused: dict[str, str], progress: Callable[[int, int], None] | None
    ) -> bool:
        """Enrol what is not yet in the new collection; False if the turn's time ran out.

        Every turn gets on by one image at least: those that cannot be learnt join ``refused``, by
        asset_id, with the reason.
        """
        self.recognizer.create(new)
        end = self.clock.now() + TURN_SECONDS
        built = {line.asset_id: line for line in self.ledger.enrolments(new)}
        labelled = [(asset, person) for asset, person, _ in self.labelled() if person]
        work = [pair for pair in labelled if pair[0].asset_id not in refused]
        for number, (asset, person) in enumerate(work):
            if progress:
                progress(number, len(work))
            current = built.get(asset.asset_id)
            if current and (current.person, current.version) == (person, asset.version):
                continue
            try:
                self.enroller.enrol(asset, self.library.fetch(asset), person, new, noted=False)
            except Rejected as rejection:  # it is counted when the collection is verified
                refused[asset.asset_id] = str(rejection)
            if self.clock.now() > end:
                return False
        if progress:
            progress(len(work), len(work))
        return True

    def _loss(self, new: str, live: str, refused: Mapping[str, str]) -> Loss:
        """What is learnt in the live collection and not in the new one, or without a face."""
        lines = list(self.ledger.enrolments(new))
        faces = {face.face_id for face in self.recognizer.faces(new)}
        arrived = {line.asset_id for line in lines if line.face_id in faces}
        wanted = {asset.asset_id for asset, person, _ in self.labelled() if person}
        before = self.ledger.enrolments(live)
        lost = sorted(
            f"{line.public_id}, {line.person}: {refused.get(line.asset_id, 'it was not learnt')}"
            for line in before
            if line.asset_id in wanted - arrived
        )
        return Loss(tuple(lost), self._strangers(new, self.recognizer.model(new)))

    def _strangers(self, heir: str, model: str) -> int:
        return sum(self.recognizer.strangers(name, model) for name in {*self._others(heir), heir})

    def _others(self, live: str) -> list[str]:
        """What takes no part any more once a collection is live; never one that is not ours."""
        base = self.label_policy.collection
        ours = re.compile(re.escape(base) + r"(-\d{14})?")
        names = self.recognizer.collections()
        return [name for name in names if name != live and ours.fullmatch(name)]

    def _replace_others(self, live: str, *, lossy: bool) -> None:
        """Drop what this and interrupted rebuilds left, with what others put there carried over."""
        for name in self._others(live):
            self._untag(name, live)
            self.ledger.purge(name)
            # Last of all in the recogniser: while it stands there we come back.
            self.recognizer.supersede(name, live, lossy=lossy)

    def _untag(self, old: str, live: str) -> None:
        """Take the face tag off images that left the training folder while we built."""
        held = {line.asset_id for line in self.ledger.enrolments(live)}
        for line in self.ledger.enrolments(old):
            asset = None if line.asset_id in held else self.library.asset(line.asset_id)
            if asset:
                self.library.remove_tags(asset.asset_id, sorted(names.face_id_tags(asset.tags)))

    def _drop(self, collection: str) -> None:
        """Drop a collection that never was live."""
        self.ledger.purge(collection)
        self.recognizer.drop(collection)

    def _follow_up(self, new: str) -> None:
        """Have face tags, changes made meanwhile and searched pictures looked at."""
        queue = self.queue
        for line in self.ledger.enrolments(new):
            queue.enqueue(JobKind.ASSET, line.asset_id)
        self.repair(self.check())
        self.gallery.schedule_sweep()


def _stamp(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y%m%d%H%M%S}"


def _check_vanished(vanished: int, known: int) -> None:
    if vanished > deletion_limit(known):
        raise Rejected(
            f"{vanished} of {known} known pictures are not in the library any more. If they were"
            " deleted on purpose, `facelabel reconcile --force` forgets them; else look at"
            " CLOUDINARY_URL, trainingFolder and faceRecognitionFolder"
        )


def _pages(assets: Iterator[Asset]) -> Iterator[list[Asset]]:
    while page := list(islice(assets, PAGE)):
        yield page


def _outermost(one: str, other: str) -> list[str]:
    """The folders, without one that lies in the other."""
    if f"{other}/".startswith(f"{one}/" if one else ""):
        return [one]
    return [other] if f"{one}/".startswith(f"{other}/" if other else "") else [one, other]


def _contradictions(enrolments: Iterable[Enrolment]) -> tuple[tuple[Enrolment, ...], ...]:
    """Enrolments of one picture under several names, each group in a stable order."""
    by_digest = defaultdict(list)
    for enrolment in sorted(enrolments, key=lambda e: e.public_id):
        by_digest[enrolment.digest].append(enrolment)
    groups = [tuple(group) for _, group in sorted(by_digest.items())]
    return tuple(group for group in groups if len({e.person for e in group}) > 1)
