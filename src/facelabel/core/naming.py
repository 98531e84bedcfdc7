"""From resembling faces to names: who is on a photo, when to say nothing, and what may be written.

A person's score is that of the reference face most like the searched one, or that of the mean of
all their references where it is higher (measured in ``docs/accuracy.md``). Faces and people of one
photo are paired best first: no face and person who are both left could prefer each other, which
makes the pairing the only stable one. A pair counts only above the threshold, which is higher where
many are known (see :mod:`facelabel.core.false_matches`), and where the runner-up is clearly worse.

Every name tag that we write is first marked *writing*, then written, then marked *written*; one
that we take away is first marked *removing*. A process may die between any two of these steps:
the next run finds the mark and goes on. A name marked *written* that is not on the picture any
more was taken away by a person, who thereby said "not them": it is marked *refused* and never
written there again. A name without a mark was typed by a person and is never ours to remove.

Names may go to several places of a picture (tags, metadata fields). One that a person took away
from one of them is marked *refusing* until we have taken it away from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from facelabel.core import false_matches
from facelabel.core.model import Candidate, FaceDecision, NameState, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from facelabel.core.model import Hit, ProbeFace

#: Explanations keep this many people for each face.
KEPT_CANDIDATES = 5
#: Stands before the calibration in a fingerprint.
_CALIBRATED = "@"
#: States of names that are on a picture because of us.
OURS = frozenset({NameState.WRITING, NameState.WRITTEN, NameState.REMOVING})
_REFUSED = frozenset({NameState.REFUSED, NameState.REFUSING})


@dataclass(frozen=True, slots=True)
class Rules:
    """When a face gets a name."""

    #: Least similarity, 0..100.
    threshold: float = 80.0
    #: How many times farther from 100 the runner-up must be than the winner; 1 asks for nothing.
    margin: float = 1.0
    #: The largest chance, 0..1, that a stranger gets some name; 0: the threshold alone counts,
    #: None: what the gallery was begun with.
    strangers: float | None = None
    #: Tells what similarities mean apart: a fingerprint of the user's own calibrations, "" where
    #: they mean what the packs say.
    calibration: str = ""

    @property
    def fingerprint(self) -> str:
        """Tell searches decided under other rules apart."""
        asked = "" if self.strangers is None else f"/{self.strangers:g}"
        measured = f"{_CALIBRATED}{self.calibration}" if self.calibration else ""
        return f"{self.threshold:g}/{self.margin:g}{asked}{measured}"

    @classmethod
    def read(cls, fingerprint: str, calibration: str) -> Rules:
        """The rules of a fingerprint, where similarities mean what that calibration says."""
        asked, _, _ = fingerprint.partition(_CALIBRATED)
        threshold, margin, *strangers = map(float, asked.split("/"))
        return cls(threshold, margin, strangers[0] if strangers else None, calibration)

    def begun(self, *, weighs_strangers: bool) -> Rules:
        """The same, with what a gallery begun so asks where nothing is said of strangers."""
        if self.strangers is not None:
            return self
        return replace(self, strangers=false_matches.STRANGERS if weighs_strangers else 0.0)

    def same_calibration(self, fingerprint: str) -> bool:
        """Whether the similarities of a search of that fingerprint mean what ours do."""
        return fingerprint.partition(";")[0].partition(_CALIBRATED)[2] == self.calibration

    def needed(self, portraits: int | None) -> float:
        """The similarity that a name takes among so many portraits.

        None: similarities are not our own, and nobody knows how often strangers reach them.
        """
        if not self.strangers or portraits is None:
            return self.threshold
        return max(self.threshold, false_matches.needed(portraits, self.strangers))


def rank(hits: Iterable[Hit]) -> tuple[Candidate, ...]:
    """People by their best reference face, most similar first, equal ones by the alphabet."""
    # Of equally similar faces of a person one always counts.
    best = {hit.person: hit for hit in sorted(hits, key=attrgetter("similarity", "face_id"))}
    people = sorted(best.values(), key=attrgetter("person"))
    people.sort(key=attrgetter("similarity"), reverse=True)
    return tuple(Candidate(hit.person, hit.similarity, hit.face_id) for hit in people)


@dataclass(slots=True)
class _Open:
    """A face that has no verdict yet."""

    searched: ProbeFace
    candidates: tuple[Candidate, ...]
    #: What stood in the way, or what came of the partner it was paired with.
    verdict: Verdict
    partner: Candidate | None = None

    @classmethod
    def of(cls, searched: ProbeFace, threshold: float, banned: Collection[str]) -> _Open:
        """Begin with the people it resembles, none of whom may be near enough."""
        people = rank(searched.hits)
        if not people:
            return cls(searched, people, Verdict.NO_CANDIDATE)
        if people[0].similarity < threshold:
            return cls(searched, people, Verdict.BELOW_THRESHOLD)
        is_banned = people[0].person in banned
        return cls(searched, people, Verdict.REFUSED if is_banned else Verdict.SUGGESTED)

    def decision(self) -> FaceDecision:
        """The verdict with what explains it; the partner, if any, leads the candidates."""
        others = tuple(c for c in self.candidates if c is not self.partner)
        ordered = ((self.partner, *others) if self.partner else others)[:KEPT_CANDIDATES]
        name = self.partner.person if self.partner and self.verdict is Verdict.NAMED else None
        return FaceDecision(self.searched.face, name, self.verdict, ordered)


def standing(
    faces: Iterable[ProbeFace], rules: Rules, portraits: int | None = None
) -> tuple[float, float]:
    """Between which similarities that a name may take the decision about a photo is the same.

    Returns two numbers, -1 to 101: it is for each one above the first and up to the second, as
    then the same people are near enough to the same faces.
    """
    needed = rules.needed(portraits)
    scores = [candidate.similarity for face in faces for candidate in rank(face.hits)]
    below = max((score for score in scores if score < needed), default=-1.0)
    return below, min((score for score in scores if score >= needed), default=101.0)


def keeps_enough(faces: Iterable[FaceDecision], rules: Rules, portraits: int | None) -> bool:
    """Whether what is kept of a photo's faces decides about it by these rules as all would.

    Of a face that many people resemble only the nearest are kept. The others are at most as near
    as the last one: that does where it is too far for a name, and for a rival of any name.
    """
    needed = rules.needed(portraits)
    return not any(
        len(face.candidates) >= KEPT_CANDIDATES
        and (
            face.candidates[-1].similarity >= needed
            or 100.0 - face.candidates[-1].similarity < rules.margin * (100.0 - needed)
        )
        for face in faces
    )


def assign(
    faces: Sequence[ProbeFace],
    rules: Rules,
    refused: Iterable[str] = (),
    portraits: int | None = None,
) -> tuple[FaceDecision, ...]:
    """Name the faces of one photo.

    Args:
        faces: what the recogniser found, in any order.
        rules: threshold and margin.
        refused: people of whom somebody said that they are not in this photo.
        portraits: how many reference faces they were compared with; None if it is not known how
            often strangers reach a similarity.

    Returns:
        One decision for each face, in the order given. A person appears at most once.

    """
    banned, needed = frozenset(refused), rules.needed(portraits)
    people = [_Open.of(face, rules.threshold, banned) for face in faces]
    pairs = [(c, face) for face in people for c in face.candidates if c.similarity >= needed]
    pairs.sort(key=_best_first)
    placed: dict[str, float] = {}
    for candidate, face in pairs:
        _consider(candidate, face, placed, banned)
    for candidate, face in pairs:
        if candidate is face.partner:
            _judge(candidate, face, placed, banned, rules.margin)
    return tuple(face.decision() for face in people)


def _best_first(pair: tuple[Candidate, _Open]) -> tuple[float, str, float, float]:
    """Most similar first; names and places only keep equal ones in one order."""
    candidate, face = pair
    box = face.searched.face.box
    return -candidate.similarity, candidate.person, box.left, box.top


def _consider(
    candidate: Candidate, face: _Open, placed: dict[str, float], banned: frozenset[str]
) -> None:
    """Pair the best that are both left, or note why this face cannot be that person."""
    if face.partner:
        return
    if candidate.person in banned:
        face.verdict = Verdict.REFUSED
    elif candidate.person in placed:
        face.verdict = Verdict.TAKEN
    else:
        placed[candidate.person] = candidate.similarity
        face.partner, face.verdict = candidate, Verdict.NAMED


def _judge(
    winner: Candidate, face: _Open, placed: dict[str, float], banned: frozenset[str], margin: float
) -> None:
    """Keep a pair only where the next person is clearly worse.

    People who stand elsewhere in the photo with a better match than here, or who were refused,
    are explained: they are no rivals.
    """
    rivals = [
        c.similarity
        for c in face.candidates
        if c is not winner and c.person not in banned and placed.get(c.person, -1.0) < c.similarity
    ]
    if rivals and (100.0 - rivals[0]) < margin * (100.0 - winner.similarity):
        face.verdict = Verdict.AMBIGUOUS
        del placed[winner.person]


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
    ours = {name for name, state in marks.items() if state in OURS}
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
