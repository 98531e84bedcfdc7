"""What we write on pictures: names, marked before and after, and why an image was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.core import label_policy, naming
from facelabel.core.names import ERROR_KEY
from facelabel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from facelabel.core.label_policy import NameTargets
    from facelabel.core.model import Asset, Basis, NameState, SearchRecord
    from facelabel.core.naming import NamePlan
    from facelabel.errors import Rejected
    from facelabel.media.ports import Library
    from facelabel.recognition.ports import Searches

#: Characters of it; context values are limited.
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class NameWriter:
    """Has pictures carry the names that they should, and leaves people's own alone."""

    library: Library
    ledger: Searches

    def write(
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
            self._change(asset, targets, plan)
        if plan.after:
            self.ledger.mark(asset.asset_id, plan.after)
        return plan

    def _change(self, asset: Asset, targets: NameTargets, plan: NamePlan) -> None:
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


def show_refusal(library: Library, asset: Asset, rejection: Rejected | None) -> None:
    """Show the owner of an image why it was refused, or that it no longer is."""
    reason = str(rejection)[:MAX_REASON] if rejection else None
    if asset.context.get(ERROR_KEY) != reason:
        try:
            library.set_context(asset.asset_id, {ERROR_KEY: reason})
        except NotFound:
            return  # deleted meanwhile: a job for that is on its way
