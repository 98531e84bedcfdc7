"""What a notification says, short of which asset to look at: find out, asking as little as can be.

What may be asked of the library is rationed; the ledger is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.core import names
from facelabel.core.jobs import JobKind, JobRequest, Outcome, OutcomeKind
from facelabel.core.model import NameState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.jobs import Job
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.media.ports import Library
    from facelabel.recognition.ports import Ledger, Queue


@dataclass(frozen=True, slots=True)
class Notices:
    """Turns what was told into jobs about assets."""

    library: Library
    ledger: Ledger
    queue: Queue
    label_policy: LabelPolicy

    def tags(self, job: Job) -> Outcome:
        """Look at an asset whose tags changed, unless that is nothing to us.

        Asks the ledger alone: what we wrote ourselves comes back as a notification, and people's
        own tags come by the thousand, while what may be asked of the library is rationed.
        """
        asset_id = str(job.payload["asset_id"])
        added, removed = (_texts(job.payload.get(key)) for key in ("added", "removed"))
        if not self.concerns(asset_id, added, removed):
            return Outcome(OutcomeKind.IGNORED, asset_id=asset_id, note="no tags of ours")
        self.queue.enqueue(JobKind.ASSET, asset_id)
        return Outcome(OutcomeKind.NOTED, asset_id=asset_id)

    def concerns(self, asset_id: str, added: Sequence[str], removed: Sequence[str]) -> bool:
        """Whether a label changed, or a tag of ours differs from what is on record."""
        if any(map(self._is_label, (*added, *removed))):
            return True
        prefix = self.label_policy.under(self.ledger.gallery().rules).targets.prefix
        marks = self.ledger.names(asset_id)
        states = {tag: marks.get(tag.removeprefix(prefix)) for tag in (*added, *removed)}
        if any(states[tag] is NameState.REFUSED for tag in added):
            return True  # typed back
        if any(states[tag] is NameState.WRITTEN for tag in removed):
            return True  # a person said no
        typed = {tag.removeprefix(prefix) for tag in removed if states[tag] is None}
        last = self.ledger.search(asset_id) if typed else None
        if last and typed & last.names:
            return True  # somebody had typed a name that is ours to write now
        return self._face_tags_differ(asset_id, added, removed)

    def _is_label(self, tag: str) -> bool:
        """Whether it is one, or was meant to be."""
        prefix = self.label_policy.prefix
        return tag.startswith(f"{prefix}:") or names.misspelt_label(tag, prefix) is not None

    def _face_tags_differ(
        self, asset_id: str, added: Sequence[str], removed: Sequence[str]
    ) -> bool:
        gone, new = names.face_id_tags(removed), names.face_id_tags(added)
        if not (gone or new):
            return False
        live = self.ledger.collection()
        line = self.ledger.enrolment(live, asset_id) if live else None
        right = frozenset({names.face_id_tag(line.face_id)} if line else ())
        return bool(gone & right or new - right)

    def find(self, job: Job) -> Outcome:
        """Look at the asset of a public_id."""
        asset = self.library.find(job.key)
        if asset is None:
            return Outcome(OutcomeKind.GONE, public_id=job.key)
        self.queue.enqueue(JobKind.ASSET, asset.asset_id)
        return Outcome(OutcomeKind.NOTED, asset_id=asset.asset_id, public_id=asset.public_id)

    def folder(self, job: Job) -> Outcome:
        """Look at everything in a folder that has got another path."""
        moved = [asset.asset_id for asset in self.library.assets(job.key)]
        self.queue.enqueue_all([JobRequest(JobKind.ASSET, asset_id) for asset_id in moved])
        return Outcome(OutcomeKind.NOTED, note=f"{len(moved)} pictures in {job.key}")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
