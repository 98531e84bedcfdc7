"""The way of a picture: fetch, enrol or identify, write names, record.

A job never says what happened, only which asset to look at: the asset is read as it is now, and
everything about it is brought to what it should be. So jobs may come twice, late or out of
order. The order of the steps lets a process die between any two of them:

* enrol: note whom we enrol, ask the recogniser, record. A face found enrolled and not recorded is
  recorded by the next job. A face that nobody holds any more is first a *leftover* in the ledger,
  then forgotten, then cleared, which counts as a change: who looked until then may have seen it.
* identify: read what is on record, the generation of the gallery first; search; record that with
  the names about to be written; write them; mark them written. If the gallery changed meanwhile
  the recorded generation is too old, and a sweep looks again.

How each is done: :mod:`.enrolling`, :mod:`.identifying`; of which gallery: :mod:`.live_gallery`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from facelabel.core import names
from facelabel.core.jobs import JobKind, Outcome, OutcomeKind
from facelabel.errors import Rejected, Unavailable
from facelabel.recognition.enrolling import Enroller
from facelabel.recognition.identifying import Identifier, show_refusal
from facelabel.recognition.live_gallery import AT_ONCE, SWEEP_KEY, LiveGallery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.jobs import Job
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset, GalleryState, OnRecord, SearchRecord
    from facelabel.media.ports import Library
    from facelabel.recognition.live_gallery import PaidSearchPolicy
    from facelabel.recognition.ports import Ledger, Queue, Recognizer


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Handles the jobs about pictures; all state is behind its ports."""

    library: Library
    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    clock: Clock
    label_policy: LabelPolicy
    #: None: searching costs nothing but time.
    paid_searches: PaidSearchPolicy | None = None
    #: Pictures one turn of the sweep decides again; other jobs come between two turns.
    sweep_batch: int = 256
    #: Pictures of which one turn finds out whether they have to be.
    confirm_batch: int = AT_ONCE

    #: Its parts, on the same ports.
    gallery: LiveGallery = field(init=False)
    enroller: Enroller = field(init=False)
    identifier: Identifier = field(init=False)

    def __post_init__(self) -> None:
        """Build the parts."""
        library, recognizer, ledger, queue = self.library, self.recognizer, self.ledger, self.queue
        put, policy, paid = object.__setattr__, self.label_policy, self.paid_searches
        put(self, "gallery", LiveGallery(recognizer, ledger, queue, policy, paid))
        put(self, "enroller", Enroller(library, recognizer, ledger, queue, policy))
        put(self, "identifier", Identifier(
            library, recognizer, ledger, queue, self.clock, policy, self.gallery, paid,
        ))  # fmt: skip

    def agreed(self, state: GalleryState | None = None) -> Pipeline:
        """The same, learning by the folders and labels that were agreed to, or by its settings'.

        ``state``: the gallery's, where it is known.
        """
        policy = self.label_policy.learnt_by((state or self.ledger.gallery()).learning)
        return self if policy == self.label_policy else replace(self, label_policy=policy)

    def examine(self, job: Job) -> Outcome:
        """Bring one asset to what it should be; Rejected is also written on the image."""
        asset = self.library.asset(job.key)
        if asset is None:
            return self._gone(job.key)
        record = self.ledger.about(job.key)
        return self.agreed(record.gallery).bring(asset, record)

    def bring(self, asset: Asset, record: OnRecord) -> Outcome:
        """The same of an asset as it was read, and of what was on record of it just after that."""
        try:
            with self.gallery.expected(record.gallery.collection):
                trains = self.label_policy.is_training(asset)
                outcome = self._learn(asset, record) if trains else self._look(asset, record)
            show_refusal(self.library, asset, None)
        except Rejected as rejection:
            if self.library.asset(asset.asset_id) is None:  # deleted while we worked
                return self._gone(asset.asset_id)
            show_refusal(self.library, asset, rejection)
            self.gallery.schedule_sweep()
            rejection.about = asset.public_id
            raise
        except Unavailable as trouble:
            trouble.about = asset.public_id
            raise
        self.gallery.schedule_sweep()
        return replace(outcome, asset_id=asset.asset_id, public_id=asset.public_id)

    def sweep(self, _job: Job) -> Outcome:
        """Decide again about pictures searched before the gallery last changed in their sight.

        Needs no image. A picture whose names change gets a job of its own, so that names are
        written in one place only.
        """
        scope, rules = self.gallery.searched()
        searches: Sequence[SearchRecord] = ()
        with self.gallery.expected(scope.collection):
            more = self.gallery.confirm(scope, rules, self.confirm_batch)
            if not more:
                searches = self.ledger.stale(scope.generation, self.sweep_batch)
                self.identifier.revisit(searches, scope, rules)
        if more or len(searches) == self.sweep_batch:
            self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
        return Outcome(OutcomeKind.SWEPT, note=f"{len(searches)} pictures")

    def _learn(self, asset: Asset, record: OnRecord) -> Outcome:
        """A training image: no picture to search, if it was one."""
        asset = self.identifier.forget(asset, record)
        collection = record.gallery.collection or self.gallery.collection()
        return self.enroller.mirror(asset, record, collection)

    def _look(self, asset: Asset, record: OnRecord) -> Outcome:
        """Un-enrol what is no training image any more; search what is to be searched."""
        live, unenrolled = record.gallery.collection, False
        if live and (record.enrolment or record.intention or record.has_faces_to_delete):
            if record.enrolment and names.face_id_tags(asset.tags):
                self.enroller.tag(asset, None)
            unenrolled = self.enroller.unenrol(asset.asset_id, live)
            record = self.ledger.about(asset.asset_id)
        if asset.in_folder(self.label_policy.recognition) or record.search:
            return self.identifier.identify(asset, record)
        kind = OutcomeKind.FORGOTTEN if unenrolled else OutcomeKind.IGNORED
        return Outcome(kind, note=self.label_policy.outside(asset.folder))

    def _gone(self, asset_id: str) -> Outcome:
        """A deleted asset: nothing of it stays."""
        live = self.ledger.collection()
        if live:
            with self.gallery.expected(live):
                self.enroller.unenrol(asset_id, live)
        self.recognizer.discard(asset_id)
        self.ledger.forget_asset(asset_id)
        self.gallery.schedule_sweep()
        return Outcome(OutcomeKind.GONE, asset_id=asset_id)
