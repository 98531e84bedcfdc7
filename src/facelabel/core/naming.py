"""Whose name on a picture is whose: what we may add, what we may take away.

Every name tag that we write is first marked *writing*, then written, then marked *written*; one
that we take away is first marked *removing*. A process may die between any two of these steps:
the next run finds the mark and goes on. A name marked *written* that is not on the picture any
more was taken away by a person, who thereby said "not them": it is marked *refused* and never
written there again. A name without a mark was typed by a person and is never ours to remove.

Names may go to several places of a picture (tags, metadata fields). One that a person took away
from one of them is marked *refusing* until we have taken it away from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.core.model import NameState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

_OURS = frozenset({NameState.WRITING, NameState.WRITTEN, NameState.REMOVING})
_REFUSED = frozenset({NameState.REFUSED, NameState.REFUSING})


@dataclass(frozen=True, slots=True)
class NamesPresent:
    """The names that stand on a picture."""

    #: In every place where names go …
    in_all: AbstractSet[str]
    #: … and in one of them at least.
    in_any: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class NamePlan:
    """What to do so that a picture carries the names it should."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    #: Marks to set before the names are touched …
    before: Mapping[str, NameState | None]
    #: … and after.
    after: Mapping[str, NameState | None]

    def applied(self, values: Iterable[str]) -> list[str]:
        """The values of a place after the change, in their order, each once."""
        kept = [value for value in values if value not in self.remove]
        return list(dict.fromkeys([*kept, *self.add]))


def decisions(
    marks: Mapping[str, NameState], seen: NamesPresent, *, new_content: bool, moved: bool = False
) -> dict[str, NameState | None]:
    """Read people's decisions off a picture: the marks that they changed since our last visit.

    Args:
        marks: what the ledger knows of the names on this picture.
        seen: what stands on it now.
        new_content: whether another image lies there than the one last searched. Then names may
            have been lost with it, and decisions about the former image mean nothing.
        moved: whether names go to other places than at our last visit: then one that is missing
            was taken away by nobody.

    """
    changes: dict[str, NameState | None] = {}
    for name, state in marks.items():
        if state in _REFUSED and new_content:
            changes[name] = None
        elif state is NameState.REFUSED and name in seen.in_any:
            changes[name] = None  # typed back: it is theirs again
        elif state is NameState.WRITTEN and name not in seen.in_all and not moved:
            changes[name] = None if new_content else _refusal(name, seen)
    return changes


def _refusal(name: str, seen: NamesPresent) -> NameState:
    return NameState.REFUSING if name in seen.in_any else NameState.REFUSED


def refused(marks: Mapping[str, NameState]) -> frozenset[str]:
    """Names that a person said are wrong."""
    return frozenset(name for name, state in marks.items() if state in _REFUSED)


def marked(
    marks: Mapping[str, NameState], states: Mapping[str, NameState | None]
) -> dict[str, NameState]:
    """The marks of a picture after these were set, None deleting one."""
    return {name: state for name, state in {**marks, **states}.items() if state is not None}


def plan(marks: Mapping[str, NameState], seen: NamesPresent, wanted: AbstractSet[str]) -> NamePlan:
    """Say which names to add and remove so that ours are exactly the wanted ones."""
    ours = {name for name, state in marks.items() if state in _OURS}
    refusing = {name for name, state in marks.items() if state is NameState.REFUSING}
    theirs = seen.in_any - ours
    add = sorted(wanted - seen.in_all - theirs - refused(marks))
    remove = sorted(ours - wanted)
    kept = ours & wanted & seen.in_all
    before: dict[str, NameState | None] = dict.fromkeys(add, NameState.WRITING)
    before |= dict.fromkeys(remove, NameState.REMOVING)
    after: dict[str, NameState | None] = dict.fromkeys([*add, *kept], NameState.WRITTEN)
    after |= dict.fromkeys(remove)
    after |= dict.fromkeys(refusing, NameState.REFUSED)
    then = {**marks, **before}
    return NamePlan(
        tuple(add),
        tuple(sorted({*remove, *refusing})),
        # Only what differs from the marks there are.
        {name: state for name, state in before.items() if marks.get(name) is not state},
        {name: state for name, state in after.items() if then.get(name) is not state},
    )
