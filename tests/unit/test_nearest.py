"""What somebody may have meant."""

from __future__ import annotations

import pytest

from facelabel.core import nearest

PEOPLE = ["Family Mom", "Family Dad", "Jürgen Klein", "John Doe", "Joan Dough", "李四"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("family mom", ["Family Mom"]),
        ("Family_Mom", ["Family Mom"]),
        ("Jurgen klein", ["Jürgen Klein"]),
        ("Juergen Klein", ["Jürgen Klein"]),
        ("family", ["Family Dad", "Family Mom"]),
        ("dad", ["Family Dad"]),
        ("Jhon Doe", ["John Doe"]),
        ("John Doe", []),
        ("Somebody Else", []),
        ("李", ["李四"]),
        ("J", ["John Doe", "Joan Dough", "Jürgen Klein"]),
        ("o", []),
        ("", []),
        ("!", []),
    ],
)
def test_the_nearest_names(wanted: str, found: list[str]) -> None:
    """Spelt alike, a part, a slip; nothing where nothing is near."""
    assert nearest.nearest(wanted, PEOPLE) == found


def test_so_many_are_offered() -> None:
    """As a question behind a sentence."""
    several = [f"Ann {letter}" for letter in "EDCBA"]
    assert nearest.question("ann", several) == "; did you mean 'Ann A', 'Ann B' or 'Ann C'?"
    assert nearest.question("jon do", ["John Doe"]) == "; did you mean 'John Doe'?"
    assert nearest.question("ann", []) == ""
