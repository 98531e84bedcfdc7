"""What people are asked about portraits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from facelabel.core.model import Enrolment, Hit
from facelabel.recognition import doubts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.recognition.ports import Recognizer


class Alike:
    """A recogniser to which every face is like Ann's; says what it was asked about."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.asked: list[str] = []

    def rivals(self, _: str, face_ids: Sequence[str]) -> Mapping[str, Hit]:
        """Ann, for each."""
        self.asked += face_ids
        return {face_id: Hit("ann", "Ann", 99.0) for face_id in face_ids}


def test_only_the_portraits_changed_last_are_compared() -> None:
    """Each is compared with all others: with every one it would take minutes."""
    lines = [
        Enrolment(str(number), f"portrait {number}", number, "", f"P{number}", f"face {number}")
        for number in range(1000)
    ]
    recognizer = Alike()
    found = list(doubts.rivalries(cast("Recognizer", recognizer), "c", lines, 80.0))
    assert recognizer.asked == [f"face {number}" for number in range(999, 799, -1)]
    assert [line.face_id for line, _ in found] == recognizer.asked
