"""Whose name on a picture is whose: what we may add, what we may take away.

Every name tag that we write is first marked *writing*, then written, then marked *written*; one
that we take away is first marked *removing*. A process may die between any two of these steps:
the next run finds the mark and goes on. A name marked *written* that is not on the picture any
more was taken away by a person, who thereby said "not them": it is marked *refused* and never
written there again. A name without a mark was typed by a person and is never ours to remove.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.model import NameState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

_OURS = frozenset({NameState.WRITING, NameState.WRITTEN, NameState.REMOVING})


@dataclass(frozen=True, slots=True)
class NamePlan:
    """What to do so that a picture carries the names it should."""

    add: tuple[str, ...]
    remove: tuple[str, ...]
    #: Marks to set before the tags are touched …
    before: Mapping[str, NameState | None]
    #: … and after.
    after: Mapping[str, NameState | None]


def decisions(
    marks: Mapping[str, NameState], tags: AbstractSet[str], *, new_content: bool
) -> dict[str, NameState | None]:
    """Read people's decisions off a picture: the marks that they changed since our last visit.

    Args:
        marks: what the ledger knows of the names on this picture.
        tags: what stands on it now.
        new_content: whether another image lies there than the one last searched. Then tags may
            have been lost with it, and decisions about the former image mean nothing.

    """
    changes: dict[str, NameState | None] = {}
    for name, state in marks.items():
        if state is NameState.REFUSED:
            if new_content or name in tags:  # typed back: it is theirs again
                changes[name] = None
        elif state is NameState.WRITTEN and name not in tags:
            changes[name] = None if new_content else NameState.REFUSED
    return changes


def refused(marks: Mapping[str, NameState]) -> frozenset[str]:
    """Names that a person said are wrong."""
    return frozenset(name for name, state in marks.items() if state is NameState.REFUSED)


def plan(
    marks: Mapping[str, NameState], tags: AbstractSet[str], wanted: AbstractSet[str]
) -> NamePlan:
    """Say which tags to add and remove so that ours are exactly the wanted ones."""
    ours = {name for name, state in marks.items() if state in _OURS}
    add = sorted(wanted - tags - refused(marks))
    remove = sorted(ours - wanted)
    kept = ours & wanted & tags
    before: dict[str, NameState | None] = dict.fromkeys(add, NameState.WRITING)
    before |= dict.fromkeys(remove, NameState.REMOVING)
    after: dict[str, NameState | None] = dict.fromkeys([*add, *kept], NameState.WRITTEN)
    after |= dict.fromkeys(remove)
    return NamePlan(
        tuple(add), tuple(remove), _news(before, marks), _news(after, {**marks, **before})
    )


def _news(
    states: Mapping[str, NameState | None], marks: Mapping[str, NameState | None]
) -> dict[str, NameState | None]:
    """Only what differs from the marks there are."""
    return {name: state for name, state in states.items() if marks.get(name) is not state}
