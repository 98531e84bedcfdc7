"""From resembling faces to names: who is on a photo, and when to say nothing.

A person's score is that of the reference face most like the searched one (measured against
means and centroids in ``docs/performance.md``). Faces and people of one photo are paired best
first: no face and person who are both left could prefer each other, which makes the pairing the
only stable one. A pair counts only above the threshold and where the runner-up is clearly worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.model import Candidate, NamedFace, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facelabel.model import Hit, SearchedFace

#: Explanations keep this many people for each face.
KEPT_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class Rules:
    """When a face gets a name."""

    #: Least similarity, 0..100.
    threshold: float = 80.0
    #: How many times farther from 100 the runner-up must be than the winner; 1 asks for nothing.
    margin: float = 1.0

    @property
    def fingerprint(self) -> str:
        """Tell searches decided under other rules apart."""
        return f"{self.threshold:g}/{self.margin:g}"


def rank(hits: Iterable[Hit]) -> tuple[Candidate, ...]:
    """People by their best reference face, most similar first."""
    best: dict[str, Hit] = {}
    for hit in hits:
        if hit.person not in best or hit.similarity > best[hit.person].similarity:
            best[hit.person] = hit
    candidates = [Candidate(hit.person, hit.similarity, hit.face_id) for hit in best.values()]
    return tuple(sorted(candidates, key=lambda c: (-c.similarity, c.person)))


@dataclass(slots=True)
class _Open:
    """A face that has no verdict yet."""

    searched: SearchedFace
    candidates: tuple[Candidate, ...]
    #: What stood in the way of better candidates.
    verdict: Verdict = Verdict.NO_CANDIDATE
    decided: NamedFace | None = None

    def conclude(self, verdict: Verdict, winner: Candidate | None = None) -> None:
        """Settle the face; the winner, if any, leads the candidates."""
        others = tuple(c for c in self.candidates if c is not winner)
        ordered = ((winner, *others) if winner else others)[:KEPT_CANDIDATES]
        name = winner.person if winner and verdict is Verdict.NAMED else None
        self.decided = NamedFace(self.searched.face, name, verdict, ordered)


def assign(
    faces: Sequence[SearchedFace], rules: Rules, refused: Iterable[str] = ()
) -> tuple[NamedFace, ...]:
    """Name the faces of one photo.

    Args:
        faces: what the recogniser found, in any order.
        rules: threshold and margin.
        refused: people of whom somebody said that they are not in this photo.

    Returns:
        One decision for each face, in the order given. A person appears at most once.

    """
    banned = frozenset(refused)
    people = [_Open(face, rank(face.hits)) for face in faces]
    pairs = [
        (c, face) for face in people for c in face.candidates if c.similarity >= rules.threshold
    ]
    pairs.sort(key=lambda pair: (-pair[0].similarity, pair[0].person))
    placed: set[str] = set()
    for candidate, face in pairs:
        _consider(candidate, face, placed, banned, rules)
    return tuple(_settled(face) for face in people)


def _consider(
    candidate: Candidate, face: _Open, placed: set[str], banned: frozenset[str], rules: Rules
) -> None:
    """Take the best open pair, or note why this face cannot be that person."""
    if face.decided:
        return
    if candidate.person in banned:
        face.verdict = Verdict.REFUSED
    elif candidate.person in placed:
        face.verdict = Verdict.TAKEN
    elif _clear(candidate, face, banned | placed, rules.margin):
        placed.add(candidate.person)
        face.conclude(Verdict.NAMED, candidate)
    else:
        face.conclude(Verdict.AMBIGUOUS, candidate)


def _clear(candidate: Candidate, face: _Open, explained: frozenset[str], margin: float) -> bool:
    """Whether the next person is clearly worse.

    People who stand elsewhere in the photo with a better match, or who were refused, are
    explained: they are no rivals.
    """
    rivals = [c for c in face.candidates if c is not candidate and c.person not in explained]
    if not rivals:
        return True
    return (100.0 - rivals[0].similarity) >= margin * (100.0 - candidate.similarity)


def _settled(face: _Open) -> NamedFace:
    """The decision of a face, explaining those that got no name."""
    if face.decided is None:
        unplaced = face.verdict is Verdict.NO_CANDIDATE
        face.conclude(Verdict.BELOW_THRESHOLD if unplaced and face.candidates else face.verdict)
    assert face.decided is not None
    return face.decided
