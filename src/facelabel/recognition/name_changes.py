"""What names would change if other rules decided, told before anything does.

Nothing is fetched and nothing is paid for: what earlier searches saw is decided again. Where it is
on record between which similarities a decision stays the same, not even that; and where enough is
on record of whom the faces resemble, they are not compared with the portraits again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from facelabel.core import label_policy, naming
from facelabel.core.model import NameState, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from facelabel.core.model import GalleryState, SearchRecord
    from facelabel.core.naming import Rules
    from facelabel.recognition.pipeline import Pipeline

#: Pictures decided about in one step.
_AT_ONCE = 512
_OURS = frozenset({NameState.WRITING, NameState.WRITTEN})


@dataclass(slots=True)
class NameChanges:
    """How many names would come and go, and on how many pictures."""

    added: int = 0
    removed: int = 0
    #: Pictures on which one of them is.
    pictures: int = 0
    #: Pictures whose names would be written to other places, too: tags, a field, the context.
    elsewhere: int = 0
    #: Pictures that would have to be searched for it to be known: asset_ids.
    unknown: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether any name would change, or might."""
        return bool(self.pictures or self.elsewhere or self.unknown)


def under_settings(
    pipeline: Pipeline, progress: Callable[[int], None] = lambda _: None
) -> NameChanges:
    """What would change if the settings of this pipeline decided, and not the rules in force.

    ``progress``: told how many pictures were decided about so far.
    """
    found, done = NameChanges(), 0
    state = pipeline.ledger.gallery()
    if state.collection is None:
        return found
    policy, before = pipeline.label_policy, pipeline.gallery.policy(state)
    rules = policy.rules.begun(weighs_strangers=state.weighs_strangers)
    scope = Scope(state.generation, state.collection, policy.fingerprint)
    moves = policy.targets != before.targets
    with pipeline.gallery.expected(state.collection):
        on_record = _OnRecord(scope, rules, pipeline.gallery.portraits())
        pictures = iter(_to_decide(pipeline, state, rules))
        while some := list(islice(pictures, _AT_ONCE)):
            marks = pipeline.ledger.marks(some)
            unclear = []
            for search in pipeline.ledger.searches(some).values():
                found.elsewhere += moves and bool(search.names)
                # Where searches are paid for, somebody may have to be looked for first.
                if pipeline.paid_searches or not on_record.decides(search):
                    unclear.append(search)
                    continue
                its = marks.get(search.asset_id, {})
                _count(found, search, on_record.names(search, its), its)
            for search, again, _ in pipeline.identifier.decided_again(unclear, scope, rules):
                names = None if again is None else again.names
                _count(found, search, names, marks.get(search.asset_id, {}))
            done += len(some)
            progress(done)
    return found


@dataclass(frozen=True, slots=True)
class _OnRecord:
    """Decides by other rules from what is on record of a search, if that is enough."""

    scope: Scope
    rules: Rules
    portraits: int | None

    def decides(self, search: SearchRecord) -> bool:
        """Whether the faces would be found to resemble the same people, as far as that counts."""
        seen = (search.collection, search.generation)
        return (
            seen == (self.scope.collection, self.scope.generation)
            and label_policy.is_decided(search.rules)
            and self.rules.same_calibration(search.rules)
            and naming.keeps_enough(search.faces, self.rules, self.portraits)
        )

    def names(self, search: SearchRecord, marks: Mapping[str, NameState]) -> AbstractSet[str]:
        """Who would be on the picture."""
        seen = search.remembered({candidate.face_id for candidate in search.candidates})
        decided = naming.assign(seen.faces, self.rules, naming.refused(marks), self.portraits)
        return {face.name for face in decided if face.name}


def _to_decide(pipeline: Pipeline, state: GalleryState, rules: Rules) -> Iterator[str]:
    """Pictures whose decision may be another by the settings, as far as that is on record."""
    policy, before = pipeline.label_policy, pipeline.gallery.policy(state)
    same = (before.rules.margin, before.targets) == (policy.rules.margin, policy.targets)
    if same and before.fingerprint == state.rules:
        needed = rules.needed(pipeline.gallery.portraits())
        return pipeline.ledger.differing(policy.fingerprint, before.fingerprint, needed)
    return pipeline.ledger.differing(policy.fingerprint)


def _count(
    found: NameChanges,
    search: SearchRecord,
    names: AbstractSet[str] | None,
    marks: Mapping[str, NameState],
) -> None:
    if names is None:
        if label_policy.is_decided(search.rules):  # else its own job is on its way
            found.unknown.append(search.asset_id)
        return
    added = names - search.names
    removed = {name for name in search.names - names if marks.get(name) in _OURS}
    found.added += len(added)
    found.removed += len(removed)
    found.pictures += bool(added or removed)
