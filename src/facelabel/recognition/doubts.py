"""What to ask people about portraits that were learnt: whether two people are two.

Nobody is refused for it: twins are alike, and two people may share a name. But a person split in
two by a spelling, or under another's name, is the runner-up of itself and is never named again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.core import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.core.model import Enrolment, Hit
    from facelabel.recognition.ports import Enrolments, Recognizer

#: Portraits compared with those of others at a time, the newest first: 7 ms of a core for each
#: among a hundred thousand, 1.3 s in all.
COMPARED = 200


def about(
    ledger: Enrolments, recognizer: Recognizer, collection: str, line: Enrolment, threshold: float
) -> str:
    """What there is to ask about a portrait just learnt, "" for nothing.

    ``threshold``: the similarity, 0..100, from which a face gets a name.
    """
    same = [held for held in ledger.holders(collection, line.digest) if held.person != line.person]
    if same:
        others = sorted(f"{held.person} ({held.public_id})" for held in same)
        return f"the same picture is also labelled {', '.join(others)}"
    rival = recognizer.rivals(collection, [line.face_id]).get(line.face_id)
    return _rivalry(line.person, rival, threshold) if rival else ""


def rivalries(
    recognizer: Recognizer, collection: str, lines: Iterable[Enrolment], threshold: float
) -> Iterator[tuple[Enrolment, str]]:
    """The same, about the faces of the portraits changed last; each with what there is to ask."""
    newest = sorted(lines, key=lambda line: -line.version)[:COMPARED]
    rivals = recognizer.rivals(collection, [line.face_id for line in newest])
    for line in newest:
        rival = rivals.get(line.face_id)
        if rival and (said := _rivalry(line.person, rival, threshold)):
            yield line, said


def spellings(photos: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """Names that look the same, with the portraits each has, as sentences."""
    for group in names.lookalikes(photos):
        known = " and ".join(f"{name!a} ({_count(len(photos[name]))})" for name in group)
        yield f"names that look alike are two people here: {known}; label them the same"


def _rivalry(person: str, rival: Hit, threshold: float) -> str:
    if rival.similarity < threshold:
        return ""
    alike = f"as alike to {rival.person} ({rival.similarity:.1f}) as two of one person"
    if names.skeleton(person) == names.skeleton(rival.person):
        return f"{alike}, whose name looks the same: {person!a} and {rival.person!a}"
    return f"{alike}: the same person, or a wrong label?"


def _count(portraits: int) -> str:
    return "1 portrait" if portraits == 1 else f"{portraits} portraits"
