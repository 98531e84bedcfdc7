"""Who would be forgotten and learnt if other folders or labels said so; told before anybody is.

No picture is fetched: the library is listed, once by what is agreed to and once by the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelabel.core.model import deletion_limit
from facelabel.recognition.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.recognition.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class LearningChanges:
    """Which portraits would be forgotten and learnt, though nobody touched them."""

    #: Portraits that are learnt now, and whom they show, by asset_id.
    known: Mapping[str, str] = field(default_factory=dict)
    #: Those of them that would teach nobody, or somebody else.
    forgotten: Mapping[str, str] = field(default_factory=dict)
    #: Portraits that would be learnt as somebody they are not learnt as now.
    learnt: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anybody would be."""
        return bool(self.forgotten or self.learnt)

    @property
    def people_forgotten(self) -> int:
        """How many people would not be known any more."""
        stay = {self.known[key] for key in self.known.keys() - self.forgotten.keys()}
        return len({*self.forgotten.values()} - stay - {*self.learnt.values()})

    @property
    def people_learnt(self) -> int:
        """How many people would be known who are not now."""
        return len({*self.learnt.values()} - {*self.known.values()})

    @property
    def asks_back(self) -> bool:
        """Whether so many would be forgotten that nobody may do it unasked."""
        return len(self.forgotten) > deletion_limit(len(self.known))


def between(now: Pipeline, then: Pipeline) -> LearningChanges:
    """What would change from one to the other, on the same store and the same pictures.

    What differs from the training folder already is left out: that is drift.
    """
    live = now.ledger.collection()
    known = {e.asset_id: e.person for e in now.ledger.enrolments(live)} if live else {}
    before, after = _labelled(now), _labelled(then)
    return LearningChanges(
        known,
        {
            key: person
            for key, person in known.items()
            if before.get(key) == person != after.get(key)
        },
        {
            key: person
            for key, person in after.items()
            if person not in {before.get(key), known.get(key)}
        },
    )


def _labelled(pipeline: Pipeline) -> dict[str, str]:
    """Whom the portraits of the library show, by asset_id; those that name nobody are absent."""
    labelled = Reconciler.of(pipeline).labelled()
    return {asset.asset_id: person for asset, person, _ in labelled if person}
