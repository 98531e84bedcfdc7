"""What the way of a picture needs from outside, beside a library of pictures.

Each has several implementations, a small real class in :mod:`facelabel.testing` among them, and one
contract suite in ``tests/contract`` that all of them pass. All methods may raise
:class:`~facelabel.errors.Unavailable`; all may be called again after any failure.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from facelabel.core.clock import RetryPolicy
    from facelabel.core.jobs import Job, JobKind, JobRequest, JobState
    from facelabel.core.model import (
        Asset,
        Basis,
        EnrolledFace,
        Enrolment,
        GalleryState,
        Hit,
        Json,
        NameState,
        Noted,
        OnRecord,
        ProbeResult,
        Scope,
        SearchRecord,
    )


class Recognizer(Protocol):
    """Faces: enrol, identify, forget. Collections are named, as in Rekognition."""

    def create(self, collection: str) -> None:
        """Make an empty collection; no error if it exists."""

    def drop(self, collection: str) -> None:
        """Delete a collection with all its faces; no error if there is none."""

    def strangers(self, collection: str, model: str) -> int:
        """How many faces of others in a collection one of that model could not take over.

        They were not learnt from our images, so they cannot be learnt anew. 0 without the
        collection.
        """

    def supersede(self, collection: str, heir: str, *, lossy: bool = False) -> None:
        """Delete a collection; its heir takes over what others put there, as far as it can.

        No error without the collection. Raises Rejected, nothing done, if faces of others would
        be lost, unless that is meant (``lossy``).
        """

    def collections(self) -> Sequence[str]:
        """Names of all collections."""

    def model(self, collection: str) -> str:
        """Return the model of the collection's faces; NotFound if there is no collection."""

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """Learn the one usable face of the image; the same again may be another face.

        Raises UnreadableImage, or UnusableFace with the reason.
        """

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """Delete faces for good; unknown ones are no error."""

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """Every reference face of the collection, or those of the given ids that exist."""

    def portraits(self, collection: str) -> int | None:
        """How many reference faces a searched one is compared with.

        None where nobody knows how often strangers reach a similarity. NotFound without the
        collection.
        """

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> ProbeResult:
        """Find every face of the image and the references nearest to each, of two people at least.

        With an asset, what :meth:`search_stored` needs is kept. No face is a result, not an error.
        Raises UnreadableImage.
        """

    def rivals(self, collection: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """For each reference face the most similar one of somebody else.

        Faces without one are absent, and all are where that is not known for nothing.
        """

    def search_stored(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """Search again, without images, the faces seen in these pictures, by asset_id.

        Pictures whose faces were not kept, or were kept of another version or for another
        model, are absent from the answer.
        """

    def unmoved(self, collection: str, searches: Sequence[Noted]) -> Mapping[str, bytes]:
        """Say of which pictures :meth:`search_stored` would still say what it said when noted.

        The count of reference faces apart. Returns, by asset_id, the note as it is now: another
        one where that spares looking at the same changes again. A picture that may be affected,
        or of which that is not known, is absent; so is everything where nothing is ever noted.
        """

    def discard(self, asset_id: str) -> None:
        """Delete what :meth:`identify` kept of a picture."""


class Enrolments(Protocol):
    """The ledger's part about who was learnt: the gallery, and what it was learnt from."""

    def collection(self) -> str | None:
        """Return the live collection."""

    def gallery(self) -> GalleryState:
        """Return the live collection with all that is known of the gallery as a whole."""

    def begin(self, collection: str) -> str:
        """Make a collection the live one, in one step, if there is none; return the live one."""

    def switch(self, collection: str) -> None:
        """Make a collection the live one, in one step; counts as a change of the gallery."""

    def changed(self) -> None:
        """Count a change of the gallery that others made: no search is known to stand any more."""

    def decide_by(self, rules: str, configured: str) -> None:
        """Have names decided by these rules from now on, whoever decides: one step.

        Counts as a change of the gallery where others were in force; then what searches rest on
        stays known. ``configured``: what the settings ask for, which may be something else.
        """

    def learn_by(self, learning: str, configured: str) -> None:
        """Have people learnt by these folders and labels from now on, whoever learns: one step.

        ``configured``: what the settings ask for, which may be something else.
        """

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """Return the enrolment of a training image."""

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """Every enrolment of the collection, or those that hold one of the given faces."""

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """Enrolments of the same picture, whatever their asset."""

    def intention(self, collection: str, asset_id: str) -> str | None:
        """Return whom a process that died in between was enrolling from this image."""

    def begin_enrolment(self, collection: str, asset_id: str, person: str) -> None:
        """Note, before the recogniser is asked, whom we enrol."""

    def enrol(
        self, collection: str, enrolment: Enrolment, *, instead_of: Enrolment | None = None
    ) -> bool:
        """Record an enrolment, replacing the asset's former one.

        Changes the generation if the collection is the live one and the line is a new one.
        In the same transaction a face that no enrolment holds any more becomes a leftover, and
        the intention is cleared. ``instead_of``: what the former one has to be. Where it is
        another by now, or none, nothing is done, and False returned.
        """

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """Delete and return the asset's enrolment, leaving a leftover if it was the last.

        Clears the intention.
        Changes the generation if the collection is the live one.
        """

    def faces_to_delete(self, collection: str) -> Sequence[str]:
        """Faces no enrolment holds, still to be forgotten by the recogniser."""

    def mark_deleted(self, collection: str, face_ids: Sequence[str]) -> None:
        """Note that faces were forgotten: leftovers among them are none any more.

        Changes the generation if the collection is the live one, as who looked since they were
        unenrolled may have seen them.
        """

    def purge(self, collection: str) -> None:
        """Delete every line about a collection; Rejected if it is the live one.

        Searches stay: they are about pictures, and being stale they are made again.
        """


class Searches(Protocol):
    """The ledger's part about pictures: searches, names we wrote, people's decisions."""

    def search(self, asset_id: str) -> SearchRecord | None:
        """Return the last search of a picture."""

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, SearchRecord]:
        """Return the last searches of several pictures at once."""

    def searched(self) -> Iterator[str]:
        """asset_ids of all pictures that were searched."""

    def differing(self, rules: str, now: str = "", needed: float = 0.0) -> Iterator[str]:
        """asset_ids of pictures of which it is not known that those rules decide the same.

        They were decided by other rules. Of those decided by the rules ``now`` some may rest on
        something that says the same where a name takes the similarity ``needed``: they are left
        out as far as that is kept.
        """

    def record(
        self,
        search: SearchRecord,
        basis: Basis | None = None,
        states: Mapping[str, NameState | None] = MappingProxyType({}),
    ) -> None:
        """Record a search and what it rests on, replacing the picture's former one.

        One older than what is on record, by (version, generation), is dropped. ``states``: of
        names on the picture, as for :meth:`mark`, which they are set in one step with, or right
        after.
        """

    def revise(self, searches: Sequence[tuple[SearchRecord, Basis | None]]) -> None:
        """Record several searches in one step in the place of older ones.

        One of the same (version, generation) as what is on record is dropped, too: who decided
        about that picture meanwhile knew more. So is that of a picture without a search: it was
        forgotten meanwhile.
        """

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
        """Up to ``limit`` searches of the scope that have a basis, in any order.

        Of those alone whose decision is the same where a name takes the similarity ``needed``.
        """

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """Bring those of these searches that stand to the generation of the scope, in one step.

        They stand if their asset_id is in ``unmoved``, with the note that they get; the others
        lose their basis. ``portraits``: how many reference faces there are, where that counts.
        A search that is not on record any more as it was read is left alone.
        """

    def stale(self, generation: int, limit: int) -> Sequence[SearchRecord]:
        """Up to ``limit`` searches made before that generation of the gallery, oldest first."""

    def has_stale(self) -> bool:
        """Whether a search was made before the gallery last changed."""

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """Return the names we wrote to a picture or are forbidden to write."""

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """Return :meth:`names` of several pictures at once; those without any are absent."""

    def named(self, person: str) -> Sequence[str]:
        """asset_ids of the searched pictures that we wrote this name on.

        Or are about to write it on, or to take it off. May read what is on record of every name.
        """

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """Set the state of names on a picture; None deletes the line.

        Where that changes which names are refused, its search is not known to stand any more.
        """

    def forget_asset(self, asset_id: str) -> None:
        """Delete the search and the names of a picture that is gone."""


class Ledger(Enrolments, Searches, Protocol):
    """What we did and why."""

    def about(self, asset_id: str) -> OnRecord:
        """Return everything that is on record of an asset; nothing of it is older than the gallery.

        That is what keeps a search from being taken for newer than it is.
        """


class Queue(Protocol):
    """Durable jobs: at least once, one row per (kind, key), so one at a time per key."""

    @property
    def retries(self) -> RetryPolicy:
        """How jobs that fail are tried again, whoever works them."""

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """Promise a job; on return it is on disk.

        A waiting job of the same kind and key is brought forward, a dead one is revived, and a
        running one runs once more, ``delay`` seconds from now and not before it has ended. Should
        its worker die, the run that takes over is that one. The newest payload counts. A ``delay``
        in the past puts the job before those that wait, where the queue has an order.
        """

    def claim(self, kinds: Collection[JobKind] = ()) -> Job | None:
        """Lease the next due job (of these kinds), counting the try; None if none is due."""

    def heartbeat(self, job: Job) -> bool:
        """Extend the lease; False if it was lost."""

    def finish(self, job: Job) -> bool:
        """Delete a done job, or make it ready again if it was enqueued meanwhile.

        False if the lease was lost.
        """

    def retry(self, job: Job, reason: str, delay: float, *, counted: bool = True) -> bool:
        """Give the job back, to be claimed again after ``delay`` seconds.

        Or sooner, if it was enqueued meanwhile. A try that is not ``counted`` is taken off again.
        False if the lease was lost.
        """

    def enqueue_all(self, requests: Sequence[JobRequest]) -> None:
        """Promise several jobs in one step; see :meth:`enqueue`."""

    def bury(self, job: Job, reason: str) -> bool:
        """Make the job a dead letter with its reason (or ready, if enqueued meanwhile).

        False if the lease was lost.
        """

    def pending(self, kinds: Collection[JobKind] = ()) -> int:
        """How many jobs (of these kinds) are ready, running and waiting ones included.

        A queue that cannot choose counts all.
        """

    def next_due(self) -> float | None:
        """When the next ready job is due, epoch seconds; None if there is none."""

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """Jobs, the oldest first."""

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """Make dead jobs (all, without ids) ready again with no tries; returns how many."""

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """Delete dead jobs (all, without ids); returns how many."""
