"""Who is on a photo, and when nothing is said."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from facelabel.core.model import Hit, ProbeFace, Verdict
from facelabel.core.naming import (
    KEPT_CANDIDATES,
    Rules,
    assign,
    keeps_enough,
    rank,
    standing,
)
from facelabel.testing import some_face

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facelabel.core.model import FaceDecision

PEOPLE = ("Ann", "Ben", "Cid", "Dan")


def seen(place: int = 0, **similarities: float) -> ProbeFace:
    """A face that resembles these people, each by one reference face."""
    hits = tuple(Hit(f"{person}-1", person, s) for person, s in similarities.items())
    return ProbeFace(some_face(left=place / 10), hits)


def names(
    *faces: ProbeFace, margin: float = 1.0, refused: tuple[str, ...] = ()
) -> list[str | None]:
    return [face.name for face in assign(faces, Rules(80, margin), refused)]


def test_a_person_counts_by_the_best_reference_face() -> None:
    hits = [Hit("b1", "Ben", 70), Hit("a1", "Ann", 60), Hit("a2", "Ann", 90), Hit("b2", "Ben", 70)]
    ranked = [(c.person, c.similarity, c.face_id) for c in rank(hits)]
    assert ranked == [("Ann", 90, "a2"), ("Ben", 70, "b2")]


def test_of_equal_reference_faces_the_same_one_speaks_in_any_order() -> None:
    hits = [Hit("a1", "Ann", 90), Hit("a2", "Ann", 90), Hit("b1", "Ben", 90)]
    assert {rank(order) for order in itertools.permutations(hits)} == {rank(hits)}


def test_the_threshold_is_enough_and_less_is_not() -> None:
    near, far, nobody = assign(
        [seen(0, Ann=80.0), seen(1, Ben=79.99), seen(2)], Rules(threshold=80)
    )
    assert (near.name, near.verdict) == ("Ann", Verdict.NAMED)
    assert (far.name, far.verdict) == (None, Verdict.BELOW_THRESHOLD)
    assert far.best is not None
    assert far.best.person == "Ben"
    assert (nobody.verdict, nobody.candidates) == (Verdict.NO_CANDIDATE, ())


def test_among_many_what_is_alike_is_a_suggestion() -> None:
    rules, face = Rules(threshold=80, strangers=0.01), seen(0, Ann=85.0, Ben=20.0)

    def decided(face: ProbeFace, portraits: int | None, *refused: str) -> FaceDecision:
        (decision,) = assign([face], rules, refused, portraits)
        return decision

    assert decided(face, 100).name == "Ann"
    among_many = decided(face, 1000)
    assert (among_many.name, among_many.verdict) == (None, Verdict.SUGGESTED)
    assert among_many.best == decided(face, 100).best
    assert decided(seen(0, Ann=91.0, Ben=20.0), 1000).name == "Ann"
    assert decided(seen(0, Ann=79.0), 1000).verdict is Verdict.BELOW_THRESHOLD
    assert decided(face, 1000, "Ann").verdict is Verdict.REFUSED
    assert decided(face, None).name == "Ann"  # nobody knows what similarities mean


def test_who_is_only_suggested_takes_nobodys_place() -> None:
    faces = [seen(0, Ann=95), seen(1, Ann=85, Ben=84)]
    first, second = assign(faces, Rules(80, strangers=0.01), portraits=1000)
    assert (first.name, second.name, second.verdict) == ("Ann", None, Verdict.SUGGESTED)


def test_the_threshold_stays_the_least() -> None:
    assert Rules(95, strangers=0.01).needed(100) == 95
    assert Rules(80, strangers=0.0).needed(100_000) == 80
    assert Rules(80).needed(100_000) == 80


def test_a_person_stands_where_they_match_best_and_the_other_face_falls_to_its_next() -> None:
    faces = [seen(0, Ann=90, Ben=85), seen(1, Ann=95, Ben=70)]
    assert names(*faces) == ["Ben", "Ann"]


def test_a_face_whose_only_person_stands_elsewhere_says_so() -> None:
    first, second = assign([seen(0, Ann=90), seen(1, Ann=95)], Rules())
    assert (first.name, first.verdict) == (None, Verdict.TAKEN)
    assert second.name == "Ann"


def test_a_refused_person_gives_way_to_the_next() -> None:
    assert names(seen(0, Ann=95, Ben=85), refused=("Ann",)) == ["Ben"]
    (face,) = assign([seen(0, Ann=95)], Rules(), refused=["Ann"])
    assert (face.name, face.verdict) == (None, Verdict.REFUSED)


def test_a_runner_up_too_close_leaves_a_face_without_a_name() -> None:
    (face,) = assign([seen(0, Ann=95, Ben=91)], Rules(margin=2))
    assert (face.name, face.verdict) == (None, Verdict.AMBIGUOUS)
    assert [c.person for c in face.candidates] == ["Ann", "Ben"]
    assert names(seen(0, Ann=95, Ben=90), margin=2) == ["Ann"]


def test_a_runner_up_below_the_threshold_is_a_rival_too() -> None:
    assert names(seen(0, Ann=82, Ben=79), margin=2) == [None]


def test_another_reference_face_of_the_same_person_is_no_rival() -> None:
    hits = (Hit("a1", "Ann", 95), Hit("a2", "Ann", 94.9))
    assert names(ProbeFace(some_face(), hits), margin=5) == ["Ann"]


def test_a_runner_up_who_stands_elsewhere_with_a_better_match_is_no_rival() -> None:
    """Two siblings side by side: each explains why the other face resembles them."""
    assert names(seen(0, Ann=95, Ben=94), seen(1, Ben=97, Ann=80), margin=2) == ["Ann", "Ben"]
    assert names(seen(0, Ann=95, Ben=94), seen(1, Ben=94.5, Ann=93), margin=2) == ["Ann", "Ben"]


def test_a_runner_up_who_stands_elsewhere_with_a_worse_match_is_one() -> None:
    assert names(seen(0, Ann=95, Ben=94), seen(1, Ben=85), margin=2) == [None, "Ben"]


def test_a_runner_up_whose_place_elsewhere_is_ambiguous_is_a_rival() -> None:
    faces = [seen(0, Ann=95, Ben=94), seen(1, Ben=96, Cid=95.9)]
    assert names(*faces, margin=2) == [None, None]


def test_a_refused_runner_up_is_no_rival() -> None:
    assert names(seen(0, Ann=95, Ben=94), margin=2, refused=("Ben",)) == ["Ann"]


def test_the_winner_leads_the_candidates_and_only_a_few_are_kept() -> None:
    many = {f"P{n}": 90.0 - n for n in range(9)}
    first, second = assign([seen(0, P0=99), seen(1, **many)], Rules(threshold=50))
    assert first.best is not None
    assert first.runner_up is None
    assert second.name == "P1"
    assert [c.person for c in second.candidates] == ["P1", "P0", "P2", "P3", "P4"]
    assert len(second.candidates) == KEPT_CANDIDATES


def test_searches_under_other_rules_are_told_apart() -> None:
    rules = [Rules(), Rules(threshold=80.5), Rules(margin=1.25), Rules(80.5, 1.25)]
    rules += [Rules(strangers=0.0), Rules(strangers=0.01)]
    assert len({r.fingerprint for r in rules}) == len(rules) == 6
    assert Rules(80).fingerprint == Rules(80.0).fingerprint


def test_searches_whose_similarities_meant_something_else_are_told_apart() -> None:
    plain, measured, again = Rules(), Rules(calibration="0a1b"), Rules(calibration="0a1c")
    assert len({r.fingerprint for r in (plain, measured, again)}) == 3
    assert measured.same_calibration(measured.fingerprint + ";,people:,,")
    assert Rules(70, calibration="0a1b").same_calibration(measured.fingerprint)
    assert plain.same_calibration("80/1.25/0.01;,a@b,,")
    assert not plain.same_calibration(measured.fingerprint)
    assert not measured.same_calibration(again.fingerprint)
    assert not measured.same_calibration(plain.fingerprint)


# ---- whatever the photo

SIMILARITY = st.one_of(st.integers(0, 100).map(float), st.sampled_from([79.0, 80.0, 81.0]))
PHOTOS = st.lists(st.dictionaries(st.sampled_from(PEOPLE), SIMILARITY), max_size=5)
RULES = st.builds(Rules, st.sampled_from([0.0, 50.0, 80.0]), st.sampled_from([1.0, 1.5, 3.0]))
REFUSED = st.frozensets(st.sampled_from(PEOPLE), max_size=2)


def photo(faces: list[dict[str, float]]) -> list[ProbeFace]:
    return [seen(place, **face) for place, face in enumerate(faces)]


@given(PHOTOS, RULES, REFUSED)
def test_nobody_twice_nobody_below_nobody_refused(
    faces: list[dict[str, float]], rules: Rules, refused: frozenset[str]
) -> None:
    decided = assign(photo(faces), rules, refused)
    named = [face.name for face in decided if face.name]
    assert len(decided) == len(faces)
    assert len(named) == len(set(named))
    assert not refused & set(named)
    for face, decision in zip(faces, decided, strict=True):
        assert (decision.name is not None) == (decision.verdict is Verdict.NAMED)
        if decision.name:
            assert face[decision.name] >= rules.threshold


@given(PHOTOS, st.sampled_from([0.0, 50.0, 80.0]), REFUSED)
def test_no_face_and_person_who_are_not_together_would_both_rather_be(
    faces: list[dict[str, float]], threshold: float, refused: frozenset[str]
) -> None:
    decided = assign(photo(faces), Rules(threshold), refused)
    places = {decision.name: place for place, decision in enumerate(decided)}
    for place, face in enumerate(faces):
        mine = decided[place].name
        for person in face.keys() - refused - {mine}:
            theirs = faces[places[person]][person] if person in places else -1.0
            wanted = face[person] >= threshold and face[person] > theirs
            assert not (wanted and (mine is None or face[person] > face[mine]))


@given(PHOTOS, RULES, REFUSED)
def test_the_runner_up_of_a_name_is_clearly_worse_or_stands_elsewhere(
    faces: list[dict[str, float]], rules: Rules, refused: frozenset[str]
) -> None:
    pairs = paired(faces, rules, refused)
    for face, decision in zip(faces, assign(photo(faces), rules, refused), strict=True):
        winner = face.get(decision.name or "", -1.0)
        for person in face.keys() - refused - {decision.name}:
            clear = 100 - face[person] >= rules.margin * (100 - winner)
            assert decision.name is None or clear or pairs.get(person, -1.0) >= face[person]


def paired(
    faces: list[dict[str, float]], rules: Rules, refused: frozenset[str]
) -> Mapping[str, float]:
    """How well everyone matches where they stand, if no margin were asked for."""
    decided = assign(photo(faces), Rules(rules.threshold), refused)
    return {d.name: face[d.name] for face, d in zip(faces, decided, strict=True) if d.name}


@given(PHOTOS, RULES)
def test_a_margin_only_takes_names_away(faces: list[dict[str, float]], rules: Rules) -> None:
    strict = assign(photo(faces), rules)
    lax = assign(photo(faces), Rules(rules.threshold))
    assert all(s.name in {None, free.name} for s, free in zip(strict, lax, strict=True))


@given(PHOTOS, RULES, REFUSED)
def test_the_order_of_faces_and_of_hits_means_nothing(
    faces: list[dict[str, float]], rules: Rules, refused: frozenset[str]
) -> None:
    forwards = photo(faces)
    backwards = [ProbeFace(face.face, face.hits[::-1]) for face in forwards]
    by_place = decisions(forwards, rules, refused)
    for shuffled in itertools.islice(itertools.permutations(backwards), 24):
        assert decisions(list(shuffled), rules, refused) == by_place


def decisions(
    faces: list[ProbeFace], rules: Rules, refused: frozenset[str]
) -> dict[float, FaceDecision]:
    decided = assign(faces, rules, refused)
    assert [d.face for d in decided] == [f.face for f in faces]
    return {face.face.box.left: face for face in decided}


@given(
    st.lists(st.dictionaries(st.sampled_from(PEOPLE), st.floats(0, 100), max_size=4), max_size=4),
    st.floats(1, 3),
    st.sets(st.sampled_from(PEOPLE)),
    st.integers(1, 10**7),
    st.integers(1, 10**7),
)
def test_a_decision_stands_while_the_same_people_are_near_enough(
    people: list[dict[str, float]], margin: float, refused: set[str], now: int, then: int
) -> None:
    faces = [seen(place, **similarities) for place, similarities in enumerate(people)]
    rules = Rules(60, margin, 0.01)
    below, upto = standing(faces, rules, now)
    assert below < rules.needed(now) <= upto
    if below < rules.needed(then) <= upto:
        assert assign(faces, rules, refused, now) == assign(faces, rules, refused, then)


def test_a_decision_stands_between_the_nearest_people_on_either_side() -> None:
    faces = [seen(0, Ann=95.0, Ben=70.0), seen(1, Ann=75.0, Cid=85.0), seen(2)]
    assert standing(faces, Rules(80)) == (75.0, 85.0)
    assert standing(faces, Rules(85)) == (75.0, 85.0)
    assert standing(faces, Rules(85.1)) == (85.0, 95.0)
    assert standing(faces, Rules(50)) == (-1.0, 70.0)
    assert standing(faces, Rules(99)) == (95.0, 101.0)
    assert standing([], Rules(80)) == (-1.0, 101.0)


#: Photos on which faces resemble more people than are kept of each.
CROWDS = st.lists(
    st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(60, 100), max_size=8), max_size=4
)
MARGINS = st.sampled_from([1.0, 1.2, 3.0])
THRESHOLDS = st.integers(60, 100)


#: Somebody else is on the photo for each of them.
ELSEWHERE: list[dict[str, float]] = [{person: 100} for person in "ABCDE"]


@given(CROWDS, THRESHOLDS, MARGINS, THRESHOLDS, MARGINS, st.frozensets(st.sampled_from("AB")))
# The sixth is the one who is left.
@example([*ELSEWHERE, {**dict.fromkeys("ABCDE", 90), "F": 90}], 99, 1.0, 90, 1.0, frozenset[str]())
# The sixth is the only rival, and near enough to be one.
@example(
    [*ELSEWHERE, {"G": 95, **dict.fromkeys("ABCD", 79), "F": 78}], 80, 1.0, 80, 5.0,
    frozenset[str](),
)  # fmt: skip
def test_what_is_kept_decides_by_other_rules_as_all_would(
    photo: list[dict[str, float]],
    before: float,
    margin: float,
    after: float,
    other: float,
    refused: frozenset[str],
) -> None:
    """Wherever it is said to be enough; and that is where few people are near."""
    faces = [seen(place, **people) for place, people in enumerate(photo)]
    kept = assign(faces, Rules(before, margin), refused)
    rules = Rules(after, other)
    if all(len(people) < KEPT_CANDIDATES for people in photo):
        assert keeps_enough(kept, rules, None)
    if keeps_enough(kept, rules, None):
        recalled = [
            seen(place, **{one.person: one.similarity for one in face.candidates})
            for place, face in enumerate(kept)
        ]
        decided = [
            [face.name for face in assign(some, rules, refused)] for some in (faces, recalled)
        ]
        assert decided[0] == decided[1]
