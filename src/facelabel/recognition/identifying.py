"""Who is on a picture: searched, or decided again from what an earlier search saw; and written.

Names are marked before they are written and after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.core import label_policy, naming
from facelabel.core.jobs import JobKind, JobRequest, Outcome, OutcomeKind
from facelabel.core.model import Basis, SearchRecord
from facelabel.core.names import ERROR_KEY
from facelabel.errors import NotFound, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from facelabel.core.clock import Clock
    from facelabel.core.label_policy import LabelPolicy, NameTargets
    from facelabel.core.model import (
        Asset,
        GalleryState,
        NameState,
        OnRecord,
        ProbeResult,
        Scope,
    )
    from facelabel.core.naming import NamePlan, Rules
    from facelabel.media.ports import Library
    from facelabel.recognition.live_gallery import LiveGallery, PaidSearchPolicy
    from facelabel.recognition.ports import Ledger, Queue, Recognizer

#: Characters of the reason on a picture; context values are limited.
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Identifier:
    """Finds out who is on the pictures of the library, and has their names written."""

    library: Library
    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    clock: Clock
    label_policy: LabelPolicy
    gallery: LiveGallery
    #: None: searching costs nothing but time.
    paid_searches: PaidSearchPolicy | None = None

    def identify(self, asset: Asset, record: OnRecord) -> Outcome:
        """Bring the names on a picture to what the gallery says now.

        ``record``: what is on record of it, read before: the search counts as old as that is.
        """
        scope, rules = self.gallery.searched(record.gallery)
        policy = self.label_policy.under(scope.rules)
        last, marks = record.search, record.marks
        decided = _decisions(policy, asset, last, marks)
        if decided:
            self.ledger.mark(asset.asset_id, decided)
            marks = naming.marked(marks, decided)
        now = (asset.version, scope.generation, scope.rules)
        if last and not decided and now == (last.version, last.generation, last.rules):
            plan = self._write(asset, policy.targets, marks, last.names)
            search, calls = last, 0
        else:
            is_same = last is not None and last.version == asset.version
            seen = self._search_stored(scope.collection, [last]) if last and is_same else {}
            recalled = seen.get(asset.asset_id)
            try:
                probe_result = recalled or self.recognizer.identify(
                    scope.collection, self.library.fetch(asset), asset
                )
            except Rejected:
                if last and not is_same:  # names of a picture that is gone
                    self._write(asset, policy.targets, marks, frozenset())
                raise
            of = last if recalled and last else asset
            search, basis = self._decide(of, probe_result, scope, marks, rules)
            search, calls = replace(search, public_id=asset.public_id), probe_result.calls
            plan = self._write(asset, policy.targets, marks, search.names, (search, basis))
        changed = search is not last or plan.add or plan.remove
        return Outcome(
            OutcomeKind.SEARCHED if changed else OutcomeKind.UNCHANGED,
            names=tuple(sorted(search.names)), added=plan.add, removed=plan.remove,
            note=f"{calls} paid calls" if calls else "", left_out=len(search.left_out),
        )  # fmt: skip

    def decisions(
        self,
        asset: Asset,
        last: SearchRecord | None,
        marks: Mapping[str, NameState],
        state: GalleryState | None = None,
    ) -> Mapping[str, NameState | None]:
        """What people decided about our names since the last search; ``state``: the gallery's."""
        return _decisions(self.gallery.policy(state), asset, last, marks)

    def unsearched(self, assets: Sequence[Asset]) -> list[Asset]:
        """Those images of the recognition folder that were not searched yet, or are out of date."""
        known, state = self.ledger.searches([a.asset_id for a in assets]), self.ledger.gallery()
        return [
            asset
            for asset in assets
            if (last := known.get(asset.asset_id)) is None or not self.is_fresh(last, asset, state)
        ]

    def is_fresh(self, last: SearchRecord, asset: Asset, state: GalleryState) -> bool:
        """Whether searching again would see the same image, the same people, the same rules.

        Rules in force are the same where similarities mean something else by now, too: that is
        agreed to first.
        """
        seen = (last.version, last.generation) == (asset.version, state.generation)
        return seen and last.rules in {state.rules, self.gallery.policy(state).fingerprint}

    def look_anew(self, asset_ids: Sequence[str]) -> None:
        """Have pictures searched as if for the first time when they are looked at next.

        What people decided about their names stays.
        """
        for last in self.ledger.searches(asset_ids).values():
            self.recognizer.discard(last.asset_id)
            self.ledger.record(replace(last, rules=label_policy.undecided(last.rules)))

    def forget(self, asset: Asset, record: OnRecord) -> Asset:
        """Take back what we wrote to a picture that became a training image; return it as it is."""
        if not (record.marks or record.search):
            return asset
        targets = self.gallery.policy(record.gallery).targets
        self._write(asset, targets, record.marks, frozenset())
        self.recognizer.discard(asset.asset_id)
        self.ledger.forget_asset(asset.asset_id)
        # A metadata field that held our names may be the one that labels portraits.
        return self.library.asset(asset.asset_id) or asset

    def revisit(self, searches: Sequence[SearchRecord], scope: Scope, rules: Rules) -> None:
        """Record what is decided now; what must be left to the picture's own job gets that first.

        Two steps for all of them, as writing is most of the work. A picture that its own job was
        quicker with is left as that job left it.
        """
        policy = self.label_policy.under(scope.rules)
        jobs: list[JobRequest] = []
        lines: list[tuple[SearchRecord, Basis | None]] = []
        for search, again, basis in self.decided_again(searches, scope, rules):
            stays = policy.same_targets(search.rules)
            if again and stays and again.names == search.names:
                lines.append((again, basis))
                continue
            jobs.append(JobRequest(JobKind.ASSET, search.asset_id))
            # By other rules its job decides in any case, and then from what was seen.
            is_known = again and search.rules != scope.rules
            left = search.rules if is_known else label_policy.undecided(search.rules)
            lines.append((replace(search, generation=scope.generation, rules=left), None))
        self.queue.enqueue_all(jobs)
        self.ledger.revise(lines)

    def decided_again(
        self, searches: Sequence[SearchRecord], scope: Scope, rules: Rules
    ) -> Iterator[tuple[SearchRecord, SearchRecord | None, Basis | None]]:
        """Each search, what is decided now and what that rests on; nothing is recorded.

        None for a picture that has to be searched.
        """
        probe_results = self._search_stored(scope.collection, searches)
        marks = self.ledger.marks([search.asset_id for search in searches])
        for search in searches:
            seen = probe_results.get(search.asset_id)
            if seen is None or self._is_due(search) or not label_policy.is_decided(search.rules):
                yield search, None, None
            else:
                its = marks.get(search.asset_id, {})
                yield search, *self._decide(search, seen, scope, its, rules)

    def _search_stored(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """Search again without images, or where that is paid for, remember the last search."""
        recalled = dict(self.recognizer.search_stored(collection, searches))
        if self.paid_searches:
            known = [
                search
                for search in searches
                if search.asset_id not in recalled
                and search.collection == collection
                and label_policy.is_decided(search.rules)
            ]
            recalled.update(self._remembered(collection, known))
        return recalled

    def _remembered(
        self, collection: str, searches: Sequence[SearchRecord]
    ) -> Mapping[str, ProbeResult]:
        """What these searches saw, where the faces that gave names stand."""
        faces = frozenset(seen.face_id for search in searches for seen in search.candidates)
        existing_faces = {face.face_id for face in self.recognizer.faces(collection, sorted(faces))}
        return {
            search.asset_id: search.remembered(existing_faces)
            for search in searches
            if search.winners <= existing_faces
        }

    def _is_due(self, search: SearchRecord) -> bool:
        """Whether somebody learnt just now may be on a picture whose last search we remember."""
        if (
            self.paid_searches is None
            or search.searched_at < self.clock.now() - self.paid_searches.look_back
        ):
            return False
        return any(face.name is None for face in search.faces)

    def _decide(
        self,
        asset: Asset | SearchRecord,
        probe_result: ProbeResult,
        scope: Scope,
        marks: Mapping[str, NameState],
        rules: Rules,
    ) -> tuple[SearchRecord, Basis | None]:
        """What is decided, and what it rests on; None where that will not be known later."""
        faces, portraits = probe_result.faces, probe_result.portraits
        searched_at = self.clock.now()
        if self.paid_searches and isinstance(asset, SearchRecord):
            searched_at = asset.searched_at  # deciding again is no search: see _is_due
        search = SearchRecord(
            asset.asset_id, asset.public_id, asset.version, scope.collection, scope.generation,
            scope.rules, probe_result.model,
            naming.assign(faces, rules, naming.refused(marks), portraits),
            probe_result.left_out, searched_at, portraits if rules.strangers else None,
        )  # fmt: skip
        if probe_result.note is None:
            return search, None
        return search, Basis(probe_result.note, *naming.standing(faces, rules, portraits))

    def _write(
        self,
        asset: Asset,
        targets: NameTargets,
        marks: Mapping[str, NameState],
        wanted: AbstractSet[str],
        found: tuple[SearchRecord, Basis | None] | None = None,
    ) -> NamePlan:
        """Make our names on a picture exactly the wanted ones; return what was done.

        Args:
            asset: the picture as it was read.
            targets: where names go.
            marks: what is on record of the names on it.
            wanted: who is on it.
            found: the search that says so, where it is new; recorded before names are written.

        """
        plan = naming.plan(marks, targets.seen(asset), wanted)
        if found:
            self.ledger.record(*found, plan.before)
        elif plan.before:
            self.ledger.mark(asset.asset_id, plan.before)
        if plan.add or plan.remove:
            self._change_names(asset, targets, plan)
        if plan.after:
            self.ledger.mark(asset.asset_id, plan.after)
        return plan

    def _change_names(self, asset: Asset, targets: NameTargets, plan: NamePlan) -> None:
        asset_id = asset.asset_id
        if targets.tags and plan.add:
            self.library.add_tags(asset_id, [targets.prefix + name for name in plan.add])
        if targets.tags and plan.remove:
            self.library.remove_tags(asset_id, [targets.prefix + name for name in plan.remove])
        if not (targets.field or targets.context):
            return
        # Neither can be added to in one step: what others put there is read just before.
        asset = self.library.asset(asset_id) or asset
        if targets.field:
            old = label_policy.field_values(asset, targets.field)
            self.library.set_metadata(asset_id, targets.field, plan.applied(old))
        if targets.context:
            text = ", ".join(plan.applied(label_policy.context_values(asset, targets.context)))
            self.library.set_context(asset_id, {targets.context: text or None})


def _decisions(
    policy: LabelPolicy, asset: Asset, last: SearchRecord | None, marks: Mapping[str, NameState]
) -> Mapping[str, NameState | None]:
    return naming.decisions(
        marks,
        policy.targets.seen(asset),
        new_content=last is not None and last.version != asset.version,
        moved=last is not None and not policy.same_targets(last.rules),
    )


def show_refusal(library: Library, asset: Asset, rejection: Rejected | None) -> None:
    """Show the owner of an image why it was refused, or that it no longer is."""
    reason = str(rejection)[:MAX_REASON] if rejection else None
    if asset.context.get(ERROR_KEY) != reason:
        try:
            library.set_context(asset.asset_id, {ERROR_KEY: reason})
        except NotFound:
            return  # deleted meanwhile: a job for that is on its way
