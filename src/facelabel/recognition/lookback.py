"""Pictures searched before the gallery changed: most of them need not be decided again.

A search rests on a few reference faces and on what a name takes. Where neither is touched by what
changed, looking again would end in the same row, so the row is brought to the present generation
as it stands. What remains stale is decided again by the sweep, whatever the reason: nothing that
was not considered is ever taken for settled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.core import matching
from facelabel.core.model import Basis

if TYPE_CHECKING:
    from facelabel.core.model import ProbeResult, Scope
    from facelabel.recognition.ports import Recognizer, Searches

#: Searches considered in one step: some tenths of a second, and of others' waiting to write.
AT_ONCE = 4096


def basis(probe_result: ProbeResult, rules: matching.Rules) -> Basis | None:
    """What a decision about a sighting rests on; None where that will not be known later."""
    if probe_result.note is None:
        return None
    return Basis(
        probe_result.note, *matching.standing(probe_result.faces, rules, probe_result.portraits)
    )


def confirm(
    ledger: Searches, recognizer: Recognizer, scope: Scope, rules: matching.Rules, limit: int
) -> bool:
    """Bring up to ``limit`` searches that stand to the generation of the scope.

    Those that do not lose their basis, so that nobody considers them again before they were
    decided anew. Whether there may be more to consider. Raises NotFound without the collection.
    """
    portraits = recognizer.portraits(scope.collection)
    searches = ledger.noted(scope, rules.needed(portraits), limit)
    if searches:
        unmoved = recognizer.unmoved(scope.collection, searches)
        counted = portraits if rules.strangers else None
        ledger.confirm(scope, counted, searches, unmoved)
    return len(searches) == limit
