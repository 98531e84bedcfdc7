"""Training images: the index mirrors their labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.core import names
from facelabel.core.jobs import JobKind, Outcome, OutcomeKind
from facelabel.core.model import Enrolment
from facelabel.errors import LabelRefused, Rejected, Unavailable
from facelabel.recognition import doubts

if TYPE_CHECKING:
    from collections.abc import Collection

    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset, OnRecord
    from facelabel.media.ports import Library
    from facelabel.recognition.ports import Enrolments, Queue, Recognizer

#: Of an enrolment that nobody knows the image of any more; real ones are greater.
_NO_VERSION = 0


@dataclass(frozen=True, slots=True)
class Enroller:
    """Learns from training images, and forgets what their labels do not say any more."""

    library: Library
    recognizer: Recognizer
    ledger: Enrolments
    queue: Queue
    label_policy: LabelPolicy

    def mirror(self, asset: Asset, record: OnRecord, collection: str) -> Outcome:
        """Make the live collection mirror the label of a training image."""
        current = self._current(asset, record, collection)
        person = self._person(asset, current, collection)
        if person is None:
            gone = self._expel(asset, collection)
            kind = OutcomeKind.FORGOTTEN if gone else OutcomeKind.IGNORED
            return Outcome(kind, note=f"no label, such as {self.label_policy.prefix}:John Doe")
        if current and (current.person, current.version) == (person, asset.version):
            kind, enrolment = OutcomeKind.UNCHANGED, self._renamed(current, asset, collection)
        else:
            kind, enrolment = OutcomeKind.LEARNT, self._learnt(asset, person, collection)
        self._delete_forgotten(collection)
        self.tag(asset, enrolment.face_id)
        threshold = self.label_policy.rules.threshold
        asked = doubts.about(self.ledger, self.recognizer, collection, enrolment, threshold)
        return Outcome(kind, names=(person,), note=asked)

    def enrol(
        self, asset: Asset, image: bytes, person: str, collection: str, *, noted: bool
    ) -> Enrolment:
        """Learn the face of an image: note whom, ask the recogniser, record.

        ``noted``: not where a collection is being built. All of it is compared in the end, and
        nobody looks there for what was noted of an asset that is deleted meanwhile.
        Raises UnreadableImage, or UnusableFace; then what was noted stays until the asset is
        un-enrolled.
        """
        digest = hashlib.sha256(image).hexdigest()
        face_id = self._copy(digest, person, collection)
        if face_id is None:
            if noted:
                self.ledger.begin_enrolment(collection, asset.asset_id, person)
            face_id = self.recognizer.enrol(collection, image, person, asset).face_id
        enrolment = Enrolment(
            asset.asset_id, asset.public_id, asset.version, digest, person, face_id
        )
        self.ledger.enrol(collection, enrolment)
        return enrolment

    def unenrol(self, asset_id: str, collection: str) -> bool:
        """Forget what was learnt from an image; whether anything was."""
        intended = self._adopt_abandoned(asset_id, collection)
        gone = None
        # Most pictures were never learnt from: to find that out nothing need be written.
        if intended or self.ledger.enrolment(collection, asset_id):
            gone = self.ledger.unenrol(collection, asset_id)
        self._delete_forgotten(collection)
        return gone is not None

    def adopt(self, asset_id: str, face_id: str, person: str, collection: str) -> None:
        """Record a face of which no more is known; the next job finds it out of date."""
        line = Enrolment(asset_id, "", _NO_VERSION, face_id, person, face_id)
        self.ledger.enrol(collection, line)

    def tag(self, asset: Asset, face_id: str | None) -> None:
        """Leave exactly the tag of this face on the image."""
        wanted = frozenset({names.face_id_tag(face_id)} if face_id else ())
        present = names.face_id_tags(asset.tags)
        if wanted - present:
            self.library.add_tags(asset.asset_id, sorted(wanted - present))
        if present - wanted:
            self._forget_former(present - wanted)
            self.library.remove_tags(asset.asset_id, sorted(present - wanted))

    def _current(self, asset: Asset, record: OnRecord, collection: str) -> Enrolment | None:
        """The image's enrolment; one whose face the collection has lost is ended."""
        current = record.enrolment
        if record.intention:
            self._adopt_abandoned(asset.asset_id, collection)
            current = self.ledger.enrolment(collection, asset.asset_id)
        if current and not self._face_exists(current, collection):
            self.unenrol(asset.asset_id, collection)
            return None
        return current

    def _face_exists(self, enrolment: Enrolment, collection: str) -> bool:
        return any(True for _ in self.recognizer.faces(collection, [enrolment.face_id]))

    def _person(self, asset: Asset, current: Enrolment | None, collection: str) -> str | None:
        """Whom the labels name; where they cannot be obeyed, end what they no longer say."""
        try:
            return self.label_policy.person(asset)
        except LabelRefused:
            # Between two labels the old enrolment stays, as long as its label does.
            if not (current and self.label_policy.still_says(asset, current.person)):
                self._expel(asset, collection)
            raise

    def _renamed(self, line: Enrolment, asset: Asset, collection: str) -> Enrolment:
        """The enrolment under the image's present public_id, by which people know it."""
        if line.public_id == asset.public_id:
            return line
        renamed = replace(line, public_id=asset.public_id)
        if not self.ledger.enrol(collection, renamed, instead_of=line):
            # Our lease was lost, and who has it now went by a newer label.
            raise Unavailable("the picture was learnt anew meanwhile")
        return renamed

    def _learnt(self, asset: Asset, person: str, collection: str) -> Enrolment:
        image = self.library.fetch(asset)
        try:
            enrolment = self.enrol(asset, image, person, collection, noted=True)
        except Rejected:
            self._expel(asset, collection)
            raise
        if not self._face_exists(enrolment, collection):
            # Another worker forgot the same picture's face between our two steps.
            raise Unavailable("the face was forgotten while it was learnt again")
        return enrolment

    def _copy(self, digest: str, person: str, collection: str) -> str | None:
        """The face that a picture of that content was enrolled as, if it stands: that is free."""
        for line in self.ledger.holders(collection, digest):
            if line.person == person and self._face_exists(line, collection):
                return line.face_id
        return None

    def _expel(self, asset: Asset, collection: str) -> bool:
        """Un-enrol an image that is still there; its tag goes while the ledger tells of it."""
        self.tag(asset, None)
        return self.unenrol(asset.asset_id, collection)

    def _delete_forgotten(self, collection: str) -> None:
        leftovers = self.ledger.faces_to_delete(collection)
        if leftovers:
            self.recognizer.forget(collection, leftovers)
            # Another worker may have enrolled them again just before we forgot them.
            for enrolment in self.ledger.enrolments(collection, leftovers):
                self.queue.enqueue(JobKind.ASSET, enrolment.asset_id)
            self.ledger.mark_deleted(collection, leftovers)

    def _adopt_abandoned(self, asset_id: str, collection: str) -> bool:
        """Record what a process enrolled for this asset and died before recording.

        From then on it is an out-of-date enrolment like any other: pictures may already have
        been named by it. Returns whether a process had noted that it would enrol.
        """
        person = self.ledger.intention(collection, asset_id)
        if person is None:
            return False
        enrolled = [
            face.face_id
            for face in self.recognizer.faces(collection)
            if face.person == person and face.is_of(asset_id)
        ]
        held = {line.face_id for line in self.ledger.enrolments(collection, enrolled)}
        for face_id in enrolled:
            if face_id not in held:
                self.adopt(asset_id, face_id, person, collection)
        current = self.ledger.enrolment(collection, asset_id)
        if current:
            # Clears the intention; whoever put another line there cleared it, too.
            self.ledger.enrol(collection, current, instead_of=current)
        return True

    def _forget_former(self, tags: Collection[str]) -> None:
        """Forget what another program, such as the original app, learnt from an image of ours."""
        if (live := self.ledger.collection()) is None:
            return
        ids = [tag.removeprefix(names.FACE_ID_PREFIX) for tag in tags]
        former = [f.face_id for f in self.recognizer.faces(live, ids) if not f.is_traced]
        if former:
            self.recognizer.forget(live, former)
            self.ledger.mark_deleted(live, former)
