"""Drift between folder and index is found and mended; rebuilding leaves no gap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import Bench

from facelabel.core import names
from facelabel.core.jobs import JobKind, JobState, Outcome, OutcomeKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.model import NameState
from facelabel.errors import Rejected, Unavailable
from facelabel.recognition.reconcile import PAGE, TURN_SECONDS, Drift, LibraryDrift, Loss
from facelabel.testing import MemoryLedger, MemoryRecognizer, portrait

if TYPE_CHECKING:
    from facelabel.core.model import Asset, EnrolledFace

PEOPLE = ("ann", "ben", "cid")


@pytest.fixture
def family(bench: Bench) -> dict[str, str]:
    """Three people learnt and one photo of them all; asset_ids by name."""
    ids = {person: bench.learn(person) for person in PEOPLE}
    ids["photo"] = bench.upload(*PEOPLE)
    bench.work()
    assert bench.reconciler.check() == Drift()
    return ids


def silently(bench: Bench) -> None:
    """Forget the jobs of what was just changed: notifications that never came."""
    for job in bench.queue.jobs():
        claimed = bench.queue.claim()
        assert claimed is not None
        assert bench.queue.finish(claimed), job


def test_what_is_not_enrolled_or_under_another_label_or_version_is_missing(
    bench: Bench, family: dict[str, str]
) -> None:
    new = bench.upload("dan", folder="training", tags=["faceLabel:Dan"])
    bench.library.remove_tags(family["ann"], ["faceLabel:Ann"])
    bench.library.add_tags(family["ann"], ["faceLabel:Anne"])
    public_id = bench.asset(family["ben"]).public_id
    bench.library.upload(b'{"people": ["ben"]} ', public_id=public_id, folder="training")
    silently(bench)
    drift = bench.reconciler.check()
    assert {asset.asset_id for asset in drift.missing} == {new, family["ann"], family["ben"]}
    assert not drift.clean
    repair(bench, drift)
    assert bench.people() == ["Anne", "Ben", "Cid", "Dan"]
    assert bench.names(family["photo"]) == {"Anne", "Ben", "Cid"}


def repair(bench: Bench, drift: Drift) -> None:
    """Mend, work, and see that all is well."""
    bench.reconciler.repair(drift)
    bench.work()
    assert bench.reconciler.check().clean
    assert not bench.ledger.faces_to_delete(bench.pipeline.gallery.collection())


def test_rebuilt_twice_in_a_second_it_is_made_anew_twice(
    bench: Bench, family: dict[str, str]
) -> None:
    assert family
    names = []
    for _ in range(2):
        names.append(bench.reconciler.request_rebuild())
        bench.work()
        assert bench.ledger.collection() == names[-1]
    assert len({*names}) == 2


def test_what_is_enrolled_without_label_or_image_is_extra(
    bench: Bench, family: dict[str, str]
) -> None:
    bench.library.remove_tags(family["ann"], ["faceLabel:Ann"])
    bench.library.delete(family["ben"])
    bench.library.move(family["cid"], "elsewhere")
    silently(bench)
    drift = bench.reconciler.check()
    assert set(drift.extra) == {family[person] for person in PEOPLE}
    repair(bench, drift)
    assert bench.people() == []
    assert bench.names(family["photo"]) == set()


def test_looking_makes_no_collection(bench: Bench) -> None:
    """Which models a collection gets is decided when the first face is learnt."""
    drift = bench.reconciler.check()
    assert drift.clean
    bench.reconciler.repair(drift)
    assert bench.ledger.collection() is None
    assert not list(bench.recognizer.collections())


def test_a_face_the_collection_lost_is_learnt_again(bench: Bench, family: dict[str, str]) -> None:
    faces = bench.enrolled()
    lost = [face_id for face_id, person in faces.items() if person == "Ann"]
    bench.recognizer.forget(bench.pipeline.gallery.collection(), lost)
    drift = bench.reconciler.check()
    assert [line.asset_id for line in drift.lost] == [family["ann"]]
    repair(bench, drift)
    assert bench.enrolled() == faces


def test_a_face_nobody_holds_is_forgotten(bench: Bench, family: dict[str, str]) -> None:
    collection = bench.pipeline.gallery.collection()
    asset = bench.asset(family["photo"])
    orphan = bench.recognizer.enrol(collection, portrait("eve"), "Eve", asset)
    drift = bench.reconciler.check()
    assert drift.orphans == (orphan.face_id,)
    repair(bench, drift)
    assert bench.people() == ["Ann", "Ben", "Cid"]


def test_a_picture_named_by_a_face_nobody_holds_is_decided_again(
    bench: Bench, family: dict[str, str]
) -> None:
    collection = bench.pipeline.gallery.collection()
    bench.recognizer.enrol(collection, portrait("eve"), "Eve", bench.asset(family["photo"]))
    photo = bench.upload("eve")
    bench.work()
    assert bench.names(photo) == {"Eve"}
    repair(bench, bench.reconciler.check())
    assert bench.names(photo) == set()


def test_faces_of_other_programs_are_left_alone(bench: Bench, family: dict[str, str]) -> None:
    collection = bench.pipeline.gallery.collection()
    theirs = bench.recognizer.learn_untraced(collection, "eve")
    assert bench.reconciler.check().clean
    repair(bench, bench.reconciler.check())
    assert [face.person for face in bench.recognizer.faces(collection, [theirs])] == ["eve"]


def test_faces_of_other_programs_stay_where_one_of_ours_is_forgotten(
    bench: Bench, family: dict[str, str]
) -> None:
    collection = bench.pipeline.gallery.collection()
    theirs = bench.recognizer.learn_untraced(collection, "eve")
    bench.recognizer.enrol(collection, portrait("ida"), "Ida", bench.asset(family["photo"]))
    repair(bench, bench.reconciler.check())
    assert [face.person for face in bench.recognizer.faces(collection, [theirs])] == ["eve"]
    everybody = {face.person for face in bench.recognizer.faces(collection)}
    assert everybody == {"Ann", "Ben", "Cid", "eve"}


def test_what_would_be_lost_is_said_in_one_sentence() -> None:
    many = Loss(tuple(f"{number}, Ann: too dark" for number in range(22)), 2)
    told, _, faces = str(many).partition(") and ")
    assert told.startswith("22 of the portraits learnt now (0, Ann: too dark; 1, Ann: too dark; ")
    assert told.endswith("; 19, Ann: too dark; 2 more")
    assert faces == "2 faces that others put there (IndexFaces)"


def test_pictures_are_compared_so_many_at_a_time(bench: Bench) -> None:
    for number in range(PAGE + 1):
        bench.library.silently().upload(b"", folder="assets", public_id=f"assets/{number}")
    compared: list[int] = []
    missed = bench.reconciler.diff_library(compared.append)
    assert compared == [PAGE, PAGE + 1]
    assert len(missed.changed) == missed.listed == PAGE + 1


def test_a_rebuild_that_another_one_took_the_place_of_does_nothing(
    bench: Bench, family: dict[str, str]
) -> None:
    former = rebuild(bench)
    live = rebuild(bench)
    bench.queue.enqueue(JobKind.REBUILD, former, {"collection": former, "over": True})
    job = bench.queue.claim()
    assert job is not None
    note = f"{live} has taken the place of {former}"
    assert bench.reconciler.rebuild(job) == Outcome(OutcomeKind.REBUILT, note=note)
    assert list(bench.recognizer.collections()) == [live]
    assert family


def test_what_the_original_app_learnt_from_an_image_is_replaced(bench: Bench) -> None:
    collection = bench.pipeline.gallery.collection()
    theirs = bench.recognizer.learn_untraced(collection, "ann")
    tags = ["faceLabel:Ann", f"faceId:{theirs}"]
    portrait_of_ann = bench.upload("ann", folder="training", tags=tags)
    bench.work()
    assert bench.people() == ["Ann"]
    assert theirs not in bench.enrolled()
    assert f"faceId:{theirs}" not in bench.asset(portrait_of_ann).tags


def test_an_orphan_enrolled_since_we_looked_is_kept(bench: Bench, family: dict[str, str]) -> None:
    new = bench.upload("dan", folder="training", tags=["faceLabel:Dan"])
    asset = bench.asset(new)
    collection = bench.pipeline.gallery.collection()
    bench.recognizer.enrol(collection, bench.library.fetch(asset), "Dan", asset)
    drift = bench.reconciler.check()
    assert len(drift.orphans) == 1
    bench.work()
    bench.reconciler.repair(drift)
    assert bench.people() == ["Ann", "Ben", "Cid", "Dan"]


def test_faces_of_a_lost_ledger_are_put_on_record_again(
    bench: Bench, family: dict[str, str]
) -> None:
    faces = bench.enrolled()
    bench.library.remove_tags(family["ann"], ["faceLabel:Ann"])
    bench.library.add_tags(family["ann"], ["faceLabel:Anne"])
    bench.library.delete(family["ben"])
    ledger = MemoryLedger()
    anew = Bench.of(bench, ledger)
    collection = anew.pipeline.gallery.collection()
    drift = anew.reconciler.check()
    assert set(drift.orphans) == faces.keys()
    anew.reconciler.repair(drift)
    adopted = list(ledger.enrolments(collection))
    assert {line.asset_id for line in adopted} == {family["ann"], family["cid"]}
    assert {line.digest for line in adopted} == {line.face_id for line in adopted}
    anew.work()
    assert anew.people() == ["Anne", "Cid"]
    assert {face for face, person in faces.items() if person == "Cid"} <= anew.enrolled().keys()
    assert anew.reconciler.check().clean


def test_refusals_and_contradictions_are_shown_and_left_to_people(
    bench: Bench, family: dict[str, str]
) -> None:
    crowd = bench.upload("x", "y", folder="training", tags=["faceLabel:X"], name="training/x")
    two = bench.upload("z", folder="training", tags=["faceLabel:Z", "faceLabel:Y"])
    bench.learn("ann", "Eve")
    drift = bench.reconciler.check()
    assert drift.clean
    assert {asset.asset_id: reason for asset, reason in drift.refused} == {
        crowd: "2 faces where one was expected",
        two: "two labels: Y and Z",
    }
    (group,) = drift.contradictions
    assert {line.person for line in group} == {"Ann", "Eve"}


# ---- rebuilding


def rebuild(bench: Bench, *, force: bool = False) -> str:
    """Ask for it and work."""
    bench.clock.time += 1
    new = bench.reconciler.request_rebuild(force=force)
    bench.work()
    return new


def test_a_rebuild_makes_a_new_collection_and_drops_the_old_one(
    bench: Bench, family: dict[str, str]
) -> None:
    before, old = set(bench.enrolled()), bench.pipeline.gallery.collection()
    new = rebuild(bench)
    assert bench.ledger.collection() == new
    assert not list(bench.ledger.enrolments(old))
    assert list(bench.recognizer.collections()) == [new]
    assert bench.people() == ["Ann", "Ben", "Cid"]
    assert not before & set(bench.enrolled())
    assert bench.reconciler.check() == Drift()
    for asset_id in (family[person] for person in PEOPLE):
        tags = [tag for tag in bench.asset(asset_id).tags if tag.startswith("faceId:")]
        line = bench.ledger.enrolment(new, asset_id)
        assert line is not None
        assert tags == [f"faceId:{line.face_id}"]
    assert bench.names(family["photo"]) == {"Ann", "Ben", "Cid"}


def test_a_rebuild_learns_copies_of_a_picture_once(bench: Bench) -> None:
    """Where learning is paid for, so is each time."""
    for _ in range(3):
        bench.learn("ann")
    bench.learn("ben")
    assert bench.recognizer.asked == 2
    rebuild(bench)
    assert bench.recognizer.asked == 4
    assert bench.people() == ["Ann", "Ben"]
    assert (
        len({line.face_id for line in bench.ledger.enrolments(bench.pipeline.gallery.collection())})
        == 2
    )


def test_a_rebuild_for_another_model_looks_at_every_photo_again(
    bench: Bench, family: dict[str, str]
) -> None:
    bench.recognizer.new_model = "memory/2"
    new = rebuild(bench)
    search = bench.ledger.search(family["photo"])
    assert search is not None
    assert (search.model, search.collection) == ("memory/2", new)
    assert bench.names(family["photo"]) == {"Ann", "Ben", "Cid"}


def test_a_long_rebuild_takes_turns_and_the_live_collection_is_whole_all_the_time(
    bench: Bench, family: dict[str, str]
) -> None:
    seen: list[tuple[str | None, list[str]]] = []
    steps: list[tuple[int, int]] = []

    def look(done: int, count: int) -> None:
        steps.append((done, count))
        seen.append((bench.ledger.collection(), bench.people()))
        bench.clock.time += TURN_SECONDS * 0.7

    new = bench.reconciler.request_rebuild()
    turns: list[Outcome] = []
    while job := bench.queue.claim():
        if job.kind is JobKind.REBUILD:
            assert job.key == new
            turns.append(bench.reconciler.rebuild(job, look))
        bench.queue.finish(job)
        if turns and turns[-1].kind == "rebuilt":
            break
    *first, last = turns
    assert first == [Outcome(OutcomeKind.REBUILDING, note=new)] * len(first)
    assert first
    assert last == Outcome(OutcomeKind.REBUILT, note=new)
    # No portrait is without its tag until the new one is written.
    assert all(names.face_id_tags(bench.asset(family[person]).tags) for person in PEOPLE)
    assert steps[-1] == (3, 3)
    assert {names for _, people in seen for names in people} == {"Ann", "Ben", "Cid"}
    assert all(len(people) == 3 for _, people in seen)
    assert bench.ledger.collection() == new


def test_a_rebuild_that_would_lose_people_is_refused(bench: Bench, family: dict[str, str]) -> None:
    live, before = bench.ledger.collection(), bench.enrolled()
    bench.library._data[family["ann"]] = b"an original that went bad"  # noqa: SLF001 - no other way
    rebuild(bench)
    (dead,) = bench.queue.jobs(JobState.DEAD)
    assert "would lose 1 of the portraits" in dead.reason
    assert "(training/0, Ann: " in dead.reason
    assert "not learnt" not in dead.reason
    assert bench.ledger.collection() == live
    assert list(bench.recognizer.collections()) == [live]
    assert bench.enrolled() == before


def test_with_force_the_loss_is_accepted(bench: Bench, family: dict[str, str]) -> None:
    bench.library._data[family["ann"]] = b"an original that went bad"  # noqa: SLF001 - no other way
    new = rebuild(bench, force=True)
    assert bench.ledger.collection() == new
    assert bench.people() == ["Ben", "Cid"]
    assert not [tag for tag in bench.asset(family["ann"]).tags if tag.startswith("faceId:")]
    assert bench.error(family["ann"]) is not None


def test_faces_of_others_are_carried_over_and_still_name_people(
    bench: Bench, family: dict[str, str]
) -> None:
    live = bench.ledger.collection()
    assert live is not None
    theirs = bench.recognizer.learn_untraced(live, "eve")
    photo = bench.upload("assets", "eve")
    bench.work()
    assert bench.names(photo) == {"eve"}

    new = rebuild(bench)

    assert theirs in {face.face_id for face in bench.recognizer.faces(new)}
    assert bench.names(photo) == {"eve"}
    assert list(bench.recognizer.collections()) == [new]


def test_faces_of_others_that_another_model_cannot_take_over_are_not_lost_unasked(
    bench: Bench, family: dict[str, str]
) -> None:
    live = bench.ledger.collection()
    assert live is not None
    theirs = bench.recognizer.learn_untraced(live, "eve")
    bench.recognizer.new_model = "memory/2"

    rebuild(bench)

    (dead,) = bench.queue.jobs(JobState.DEAD)
    assert "would lose 1 faces that others put there" in dead.reason
    assert (bench.ledger.collection(), *bench.recognizer.collections()) == (live, live)
    assert theirs in {face.face_id for face in bench.recognizer.faces(live)}

    new = rebuild(bench, force=True)

    assert list(bench.recognizer.collections()) == [new]
    assert theirs not in {face.face_id for face in bench.recognizer.faces(new)}


def test_faces_in_a_collection_that_a_client_made_again_count_too(
    bench: Bench, family: dict[str, str]
) -> None:
    rebuild(bench)
    base = bench.pipeline.label_policy.collection
    bench.recognizer.create(base)  # its name was free since the rebuild
    theirs = bench.recognizer.learn_untraced(base, "eve")

    new = rebuild(bench)

    assert theirs in {face.face_id for face in bench.recognizer.faces(new)}
    assert list(bench.recognizer.collections()) == [new]


def test_a_rebuild_follows_changes_made_while_it_ran(bench: Bench, family: dict[str, str]) -> None:
    def change(done: int, _count: int) -> None:
        if done == 2 and bench.library.asset(family["ann"]):
            bench.library.delete(family["ann"])
            bench.library.move(family["cid"], "assets")
            bench.upload("dan", folder="training", tags=["faceLabel:Dan"])

    bench.reconciler.request_rebuild()
    job = bench.queue.claim()
    assert job is not None
    bench.reconciler.rebuild(job, change)
    bench.queue.finish(job)
    bench.work()
    assert bench.people() == ["Ben", "Dan"]
    assert bench.reconciler.check().clean
    assert bench.names(family["photo"]) == {"Ben"}
    assert not [tag for tag in bench.asset(family["cid"]).tags if tag.startswith("faceId:")]


def test_only_collections_of_ours_are_dropped(bench: Bench, family: dict[str, str]) -> None:
    theirs = ["cld-rekog-holiday", "cld-rekog2", "other", "x-cld-rekog"]
    for name in (*theirs, "cld-rekog-20200101000000"):
        bench.recognizer.create(name)
    new = rebuild(bench)
    assert sorted(bench.recognizer.collections()) == sorted([*theirs, new])


def test_a_turn_full_of_refused_images_gets_on_all_the_same(bench: Bench) -> None:
    for number in range(5):
        name = f"training/{number}"
        bench.upload("x", "y", folder="training", tags=["faceLabel:X"], name=name)
    bench.learn("ann")
    bench.work()
    turns = 0
    new = bench.reconciler.request_rebuild()
    while bench.ledger.collection() != new:
        job = bench.queue.claim()
        assert job is not None
        bench.reconciler.rebuild(job, lambda *_: bench.clock.sleep(TURN_SECONDS * 0.6))
        bench.queue.finish(job)
        turns += 1
        assert turns < 20
    assert turns > 2
    bench.work()
    assert bench.people() == ["Ann"]


def test_the_models_of_a_rebuild_are_those_of_whoever_asked(bench: Bench) -> None:
    """Not those of the worker that happens to do it."""
    bench.learn("ann")
    bench.recognizer.new_model = "memory/2"
    bench.reconciler.request_rebuild()
    bench.recognizer.new_model = "memory/1"
    bench.work()
    assert bench.recognizer.model(bench.pipeline.gallery.collection()) == "memory/2"


def test_a_rebuild_learns_nothing_from_a_portrait_whose_label_is_refused(bench: Bench) -> None:
    bench.learn("ann")
    bench.upload("ben", folder="training", tags=["faceLabel:Ben", "faceLabel:Cid"])
    bench.work()
    new, asked = bench.reconciler.request_rebuild(), bench.recognizer.asked
    bench.work()
    assert bench.pipeline.gallery.collection() == new
    assert bench.recognizer.asked == asked + 1
    assert bench.people() == ["Ann"]


def test_faces_that_another_model_could_not_take_over_are_counted(bench: Bench) -> None:
    assert bench.reconciler.strangers("memory/2") == 0
    bench.learn("ann")
    bench.recognizer.learn_untraced(bench.pipeline.gallery.collection(), "eve")
    assert bench.reconciler.strangers("memory/1") == 0
    assert bench.reconciler.strangers("memory/2") == 1


def test_two_rebuilds_asked_for_end_with_one_collection(bench: Bench) -> None:
    """Each keeps what was asked of it; the index is whole whichever ends last."""
    bench.learn("ann")
    bench.reconciler.request_rebuild()
    bench.clock.time += 1
    bench.reconciler.request_rebuild(force=True)
    bench.work()
    live = bench.pipeline.gallery.collection()
    assert list(bench.recognizer.collections()) == [live]
    assert [face.person for face in bench.recognizer.faces(live)] == ["Ann"]
    assert bench.reconciler.check().clean


# ---- what no notification told of


def test_nothing_was_missed_where_every_job_was_done(bench: Bench, family: dict[str, str]) -> None:
    bench.upload("ann", folder="training", tags=["faceLabel:"])  # refused, and stays so
    bench.upload("ann", folder="training")
    bench.upload("ann", folder="elsewhere", tags=["faceLabel:Ann"])
    bench.work()
    missed = bench.reconciler.diff_library()
    assert (missed.changed, missed.gone, missed.listed, missed.known) == ((), (), 6, 4)


def test_every_change_that_was_missed_is_found_and_made_good(
    bench: Bench, family: dict[str, str]
) -> None:
    unsaid = bench.upload("ann", "ben")
    bench.work()
    new = bench.upload("dan", folder="training", tags=["faceLabel:Dan"])
    seen = bench.upload("dan", "ben")
    bench.library.remove_tags(unsaid, ["Ann"])  # a decision
    bench.library.remove_tags(family["ann"], ["faceLabel:Ann"])
    bench.library.move(family["ben"], "assets")
    bench.library.delete(family["cid"])
    silently(bench)
    missed = bench.reconciler.diff_library()
    assert set(missed.changed) == {new, seen, unsaid, family["ann"], family["ben"]}
    assert missed.gone == (family["cid"],)
    bench.queue.enqueue(JobKind.RECONCILE, "all")
    kinds = [done.outcome.kind for done in bench.work() if done.outcome]
    assert kinds.count(OutcomeKind.RECONCILED) == 1
    assert bench.people() == ["Dan"]
    assert bench.names(family["photo"]) == set()
    assert bench.names(seen) == {"Dan"}
    assert bench.ledger.names(unsaid) == {"Ann": NameState.REFUSED}
    assert bench.reconciler.diff_library().changed == ()


def test_changed_rules_and_overwritten_pictures_are_found(
    bench: Bench, family: dict[str, str]
) -> None:
    public_id = bench.asset(family["photo"]).public_id
    bench.library.upload(portrait("ann"), folder="assets", public_id=public_id)
    silently(bench)
    assert bench.reconciler.diff_library().changed == (family["photo"],)


def test_much_that_is_gone_at_once_is_not_believed(bench: Bench) -> None:
    photos = [bench.upload("ann", name=f"assets/{number}") for number in range(100)]
    bench.work()
    for asset_id in photos[:10]:
        bench.library.delete(asset_id)
    silently(bench)
    bench.reconciler.diff_library().check()  # ten are few
    bench.library.delete(photos[10])
    silently(bench)
    bench.queue.enqueue(JobKind.RECONCILE, "all")
    bench.work()
    (dead,) = bench.dead()
    assert "11 of 100 known pictures" in dead.reason
    assert len(list(bench.ledger.searched())) == 100
    bench.queue.enqueue(JobKind.RECONCILE, "all", {"force": True})
    bench.work()
    assert len(list(bench.ledger.searched())) == 89


def test_many_pictures_that_were_moved_elsewhere_are_not_taken_for_gone(bench: Bench) -> None:
    """An archive, for example: their names stay up to date there."""
    photos = [bench.upload("ann", name=f"assets/{number}") for number in range(60)]
    bench.work()
    for asset_id in photos[:30]:
        bench.library.move(asset_id, "archive")
    silently(bench)
    assert bench.reconciler.diff_library().vanished == 0
    bench.queue.enqueue(JobKind.RECONCILE, "all")
    bench.work()
    assert bench.dead() == []
    assert len(list(bench.ledger.searched())) == 60
    for asset_id in photos[:30]:
        bench.library.delete(asset_id)
    silently(bench)
    with pytest.raises(Rejected, match="30 of 60 known pictures"):
        bench.reconciler.diff_library().check()


def test_a_picture_only_said_to_be_gone_is_not_forgotten(
    bench: Bench, family: dict[str, str]
) -> None:
    missed = LibraryDrift((), (family["ann"], family["photo"]), 0, 4, 0)
    bench.reconciler.look_at(missed)
    bench.work()
    assert bench.people() == ["Ann", "Ben", "Cid"]
    assert bench.names(family["photo"]) == {"Ann", "Ben", "Cid"}


@pytest.mark.parametrize(
    ("training", "recognition"), [("a", "b"), ("a", "a/b"), ("a/b", "a"), ("a", "")]
)
def test_nested_folders_are_listed_once(training: str, recognition: str) -> None:
    bench = Bench(LabelPolicy(training, recognition))
    bench.upload("ann", folder=training, tags=["faceLabel:Ann"])
    bench.upload("ann", folder=recognition or "x")
    assert len(bench.reconciler.diff_library().changed) == 2
    assert bench.reconciler.diff_library().listed == 2


@pytest.mark.parametrize("force", [False, True])
def test_a_rebuild_waits_for_a_portrait_that_is_not_to_be_found(
    bench: Bench, family: dict[str, str], *, force: bool
) -> None:
    """Even one that may lose faces: it would lose what a mounted disk brings back."""
    live = bench.pipeline.gallery.collection()
    bench.library.away.add(family["ben"])
    new = bench.reconciler.request_rebuild(force=force)
    bench.work()
    assert bench.ledger.collection() == live
    bench.library.away.clear()
    bench.clock.sleep(3600.0)
    bench.work()
    assert bench.ledger.collection() == new
    assert bench.people() == ["Ann", "Ben", "Cid"]


def test_an_index_is_not_mended_to_the_wrong_library(bench: Bench) -> None:
    """Another account, an empty one: nobody is forgotten unless somebody insists."""
    for number in range(12):
        bench.learn(f"p{number}")
    pictures = [asset.asset_id for asset in bench.library.assets("")]
    for asset_id in pictures:
        bench.library.move(asset_id, "elsewhere")
    bench.reconciler.check().check()  # they are there, and nobody teaches with them
    for asset_id in pictures:
        bench.library.delete(asset_id)
    drift = bench.reconciler.check()
    assert (drift.vanished, drift.known) == (12, 12)
    with pytest.raises(Rejected, match=r"12 of 12 known pictures.*reconcile --force"):
        drift.check()


def test_nothing_stays_of_a_portrait_that_is_deleted_while_a_rebuild_waits(
    bench: Bench, family: dict[str, str]
) -> None:
    new = bench.reconciler.request_rebuild()

    class Away(MemoryRecognizer):
        """Does not answer."""

        def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
            """See :class:`facelabel.recognition.ports.Recognizer`."""
            raise Unavailable("away")

    away = Away()
    away.create(new)
    enroller = replace(bench.reconciler.enroller, recognizer=away)
    job = bench.queue.claim()
    assert job
    with pytest.raises(Unavailable):
        replace(bench.reconciler, enroller=enroller).rebuild(job)
    bench.queue.retry(job, "away", 3600.0)
    for person in PEOPLE:
        bench.library.delete(family[person])
    bench.work()
    bench.clock.sleep(3600.0)
    bench.work()
    assert bench.pipeline.gallery.collection() == new
    assert [bench.ledger.intention(new, family[person]) for person in PEOPLE] == [None] * 3
