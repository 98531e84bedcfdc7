"""One asset at a time, and sweeps, on the in-memory ports."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import Overtaken
from tests.unit.test_convergence import Fate, fated

from facelabel.core.jobs import Job, JobKind, JobState
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.model import Asset, Enrolment, NameState, Verdict
from facelabel.core.names import ERROR_KEY
from facelabel.core.naming import Rules
from facelabel.errors import Unavailable, UnreadableImage
from facelabel.recognition.live_gallery import SWEEP_KEY
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import MemoryLedger, MemoryRecognizer, portrait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.unit.conftest import Bench

    from facelabel.core.model import Basis, EnrolledFace, ProbeResult, SearchRecord


NONE_OF_OURS = (
    "is none of our folders (pictures in 'assets' are searched, portraits in 'training' learnt)"
)

# ---- which folder means what


@pytest.mark.parametrize(
    ("folder", "trains", "searches"),
    [
        ("training", True, False),
        ("training/2024/may", True, False),
        ("trainings", False, False),
        ("assets", False, True),
        ("assets/training", False, True),
        ("", False, False),
    ],
)
def test_folders_are_compared_by_path_segment(folder: str, *, trains: bool, searches: bool) -> None:
    asset = Asset("1", "p", folder, 1, "jpg", 1, "e")
    assert (LabelPolicy().is_training(asset), LabelPolicy().is_searchable(asset)) == (
        trains,
        searches,
    )


@pytest.mark.parametrize(
    ("training", "recognition", "folder", "trains"),
    [
        ("a/training", "a", "a/training/x", True),
        ("a/training", "a", "a/x", False),
        ("a", "a/party", "a/party", False),
        ("a", "a/party", "a/x", True),
        ("training", "", "training", True),
        ("training", "", "elsewhere", False),
    ],
)
def test_where_folders_nest_the_inner_one_decides(
    training: str, recognition: str, folder: str, *, trains: bool
) -> None:
    label_policy = LabelPolicy(training, recognition)
    asset = Asset("1", "p", folder, 1, "jpg", 1, "e")
    assert (label_policy.is_training(asset), label_policy.is_searchable(asset)) == (
        trains,
        not trains,
    )


# ---- learning


def test_a_collection_that_is_not_there_is_the_settings_fault(bench: Bench) -> None:
    photo = bench.upload("ann")
    ann = bench.learn("ann")
    bench.recognizer.drop(bench.pipeline.gallery.collection())
    again = bench.learn("ben")
    bench.pipeline.identifier.look_anew([photo])
    bench.queue.enqueue(JobKind.ASSET, photo)
    done = bench.work()
    assert all("`facelabel index --rebuild`" in one.error for one in done)
    assert not bench.dead()
    assert [bench.error(asset_id) for asset_id in (photo, ann, again)] == [None] * 3
    assert bench.names(photo) == {"Ann"}


@pytest.mark.parametrize(
    ("folder", "note"),
    [
        ("training", "no label, such as faceLabel:John Doe"),
        ("photos", f"'photos' {NONE_OF_OURS}"),
        ("Assets", f"'Assets' {NONE_OF_OURS}; did you mean 'assets'?"),
        ("asets/2026", f"'asets/2026' {NONE_OF_OURS}; did you mean 'assets/2026'?"),
        ("", f"'/' {NONE_OF_OURS}"),
    ],
)
def test_what_is_ignored_says_why(bench: Bench, folder: str, note: str) -> None:
    """And what may have been meant."""
    bench.upload("ann", folder=folder)
    (done,) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.note) == ("ignored", note)


def test_a_good_label_beside_a_misspelt_one_counts(bench: Bench) -> None:
    """Whom the picture shows is said."""
    bench.upload("ann", folder="training", tags=["facelabel:Ann B", "faceLabel:Ann"])
    bench.work()
    assert bench.people() == ["Ann"]


def test_a_labelled_portrait_is_learnt_and_says_so(bench: Bench) -> None:
    asset_id = bench.upload("ann", folder="training", tags=["faceLabel:Ann Ó", "beach"])
    (done,) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.names) == ("learnt", ("Ann Ó",))
    (face_id,) = bench.enrolled()
    assert bench.asset(asset_id).tags == ("faceLabel:Ann Ó", "beach", f"faceId:{face_id}")


@pytest.mark.parametrize(
    ("people", "tags", "reason"),
    [
        ((), ["faceLabel:Ann"], "no faces"),
        (("ann", "ben"), ["faceLabel:Ann"], "2 faces"),
        (("ann",), ["faceLabel:"], "no name"),
        (("ann",), ["faceLabel:Ann", "faceLabel:Ben"], "two labels: Ann and Ben"),
        (("ann",), ["facelabel=Ann"], "a label is written 'faceLabel:Ann'"),
        (("ann",), ["faceLabel:facelabel:Ann"], "a label is written 'faceLabel:Ann'"),
    ],
)
def test_what_cannot_be_learnt_is_buried_and_says_why_until_it_is_mended(
    bench: Bench, people: tuple[str, ...], tags: list[str], reason: str
) -> None:
    asset_id = bench.upload(*people, folder="training", tags=tags)
    bench.work()
    assert reason in (bench.error(asset_id) or "")
    assert reason in bench.dead()[0].reason
    assert bench.people() == []
    bench.library.upload(
        portrait("ann"), public_id=bench.asset(asset_id).public_id, folder="training",
        tags=["faceLabel:Ann"],
    )  # fmt: skip
    bench.work()
    assert bench.error(asset_id) is None
    assert not bench.dead()
    assert bench.people() == ["Ann"]


def test_what_is_not_to_be_found_is_waited_for_and_then_buried_with_its_reason(
    bench: Bench,
) -> None:
    """A disk that is not mounted, a folder not yet shared: the picture is still there."""
    portrait_id = bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    photo = bench.upload("ann")
    bench.library.away |= {portrait_id, photo}
    done = bench.work()
    assert {one.job.key for one in done} >= {portrait_id, photo}
    assert not any(one.buried for one in done)
    bench.clock.sleep(3600.0)
    bench.library.away.clear()
    bench.work()
    assert (bench.people(), bench.names(photo)) == (["Ann"], {"Ann"})

    later = bench.upload("ann")
    bench.library.away.add(later)
    while not bench.dead():
        bench.work()
        bench.clock.sleep(3600.0)
    assert bench.dead()[0].reason == "the original of 'assets/2' is away"
    assert bench.dead()[0].tries == bench.queue.retries.tries
    assert bench.error(later) is None


def test_nobody_is_forgotten_because_a_portrait_is_not_to_be_found(bench: Bench) -> None:
    ann, photo = bench.learn("ann"), bench.upload("ann")
    bench.work()
    before = bench.enrolled()
    bench.library.away |= {ann, photo}
    for asset_id in (ann, photo):
        bench.queue.enqueue(JobKind.ASSET, asset_id)
    bench.reconciler.repair(bench.reconciler.check())
    bench.reconciler.look_at(bench.reconciler.diff_library())
    bench.work()
    assert (bench.enrolled(), bench.names(photo)) == (before, {"Ann"})
    assert not bench.dead()


def test_an_image_that_is_no_image_says_so(bench: Bench) -> None:
    asset = bench.library.upload(b"%PDF", folder="training", tags=["faceLabel:Ann"])
    bench.work()
    assert bench.error(asset.asset_id) == "The file is not a picture that can be read."


def test_without_a_label_nothing_is_learnt_and_nothing_is_wrong(bench: Bench) -> None:
    asset_id = bench.upload("ann", folder="training", tags=["Ann"])
    bench.work()
    job = enqueued(bench, asset_id)
    assert bench.pipeline.examine(job).kind == "ignored"
    assert (bench.people(), bench.error(asset_id), bench.dead()) == ([], None, [])
    assert bench.names(asset_id) == {"Ann"}


def test_a_new_label_moves_the_face(bench: Bench) -> None:
    asset_id = bench.learn("ann")
    before = set(bench.enrolled())
    bench.library.add_tags(asset_id, ["faceLabel:Anne"])
    bench.work()
    assert bench.people() == ["Ann"]  # the old one stays until one label remains
    assert bench.error(asset_id) == "two labels: Ann and Anne"
    bench.library.remove_tags(asset_id, ["faceLabel:Ann"])
    bench.work()
    assert bench.people() == ["Anne"]
    assert bench.error(asset_id) is None
    assert not before & set(bench.enrolled())
    tags = [tag for tag in bench.asset(asset_id).tags if tag.startswith("faceId:")]
    assert tags == [f"faceId:{face_id}" for face_id in bench.enrolled()]


def test_a_portrait_is_known_by_its_present_public_id(bench: Bench) -> None:
    asset_id = bench.learn("ann")
    faces = bench.enrolled()
    bench.library.rename(asset_id, "training/ann at sea")
    bench.work()
    (line,) = bench.ledger.enrolments(bench.pipeline.gallery.collection())
    assert line.public_id == "training/ann at sea"
    assert bench.enrolled() == faces


def test_between_two_labels_the_old_one_must_still_be_there(bench: Bench) -> None:
    asset_id = bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    bench.library.remove_tags(asset_id, ["faceLabel:Ann"])
    bench.library.add_tags(asset_id, ["faceLabel:Ben", "faceLabel:Cid"])
    bench.work()
    assert bench.people() == []
    assert set(bench.asset(asset_id).tags) == {"faceLabel:Ben", "faceLabel:Cid"}
    assert bench.names(photo) == set()


def test_a_label_in_another_spelling_keeps_the_enrolment_between_two(bench: Bench) -> None:
    asset_id = bench.learn("jose", "Jose\u0301")
    bench.library.add_tags(asset_id, ["faceLabel:Ben"])
    bench.work()
    assert bench.people() == ["José"]


@pytest.mark.parametrize("end", ["unlabel", "delete", "move", "overwrite"])
def test_a_face_goes_with_its_label_its_image_and_its_folder(bench: Bench, end: str) -> None:
    asset_id = bench.learn("ann")
    public_id = bench.asset(asset_id).public_id
    if end == "unlabel":
        bench.library.remove_tags(asset_id, ["faceLabel:Ann"])
    elif end == "delete":
        bench.library.delete(asset_id)
    elif end == "move":
        bench.library.move(asset_id, "assets")
    else:
        bench.library.upload(portrait("ann", "ben"), public_id=public_id, folder="training")
    bench.work()
    assert bench.people() == []
    left = bench.library.asset(asset_id)
    assert not left or not [tag for tag in left.tags if tag.startswith("faceId:")]


def test_the_same_picture_twice_is_one_face_until_the_last_copy_goes(bench: Bench) -> None:
    one, other = bench.learn("ann"), bench.learn("ann")
    assert bench.people() == ["Ann"]
    assert bench.recognizer.asked == 1
    (face_id,) = bench.enrolled()
    for asset_id in (one, other):
        assert f"faceId:{face_id}" in bench.asset(asset_id).tags
    bench.library.delete(one)
    bench.work()
    assert bench.people() == ["Ann"]
    bench.library.delete(other)
    bench.work()
    assert bench.people() == []


def test_where_the_ledger_was_lost_a_picture_is_learnt_as_it_is_now(bench: Bench) -> None:
    """Its tag names a face, but not of which content."""
    asset_id = bench.learn("ben", label="Ann")
    bench.library.upload(
        portrait("ann"), public_id=bench.asset(asset_id).public_id, folder="training",
        tags=bench.asset(asset_id).tags,
    )  # fmt: skip
    lost = replace(bench.pipeline, ledger=MemoryLedger())
    bench.queue.enqueue(JobKind.ASSET, asset_id)
    job = bench.queue.claim()
    assert job is not None
    assert lost.examine(job).names == ("Ann",)
    assert bench.recognizer.asked == 2


def test_the_same_picture_under_two_names_is_warned_of(bench: Bench) -> None:
    bench.learn("ann")
    bench.upload("ann", folder="training", tags=["faceLabel:Eve"], name="training/copy")
    (done, *_) = bench.work()
    assert done.outcome is not None
    assert done.outcome.note == "the same picture is also labelled Ann (training/0)"


def as_another(bench: Bench, name: str) -> str:
    """What there is to say of another portrait of ann that is labelled with that name."""
    bench.learn("ann")
    data = portrait("ann") + b" "  # the same face, and not the same picture
    asset = bench.library.upload(data, folder="training", tags=[f"faceLabel:{name}"])
    (done, *_) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.asset_id) == ("learnt", asset.asset_id)
    return done.outcome.note


def test_a_face_as_alike_to_anothers_as_two_of_one_person_is_asked_about(bench: Bench) -> None:
    note = as_another(bench, "Eve")
    assert note == "as alike to Ann (99.0) as two of one person: the same person, or a wrong label?"


def test_one_person_under_two_spellings_is_asked_about(bench: Bench) -> None:
    assert r"whose name looks the same: 'A\xadnn' and 'Ann'" in as_another(bench, "A\xadnn")


def test_people_who_are_not_alike_are_not_asked_about(bench: Bench) -> None:
    bench.learn("ann")
    bench.upload("ben", folder="training", tags=["faceLabel:Ben"])
    (done, *_) = bench.work()
    assert done.outcome is not None
    assert done.outcome.note == ""


def test_a_face_the_collection_lost_is_enrolled_again(bench: Bench) -> None:
    asset_id, photo = bench.learn("ann"), bench.upload("ann")
    faces = bench.enrolled()
    bench.recognizer.forget(bench.pipeline.gallery.collection(), list(faces))
    bench.work()
    assert bench.names(photo) == set()
    bench.queue.enqueue(JobKind.ASSET, asset_id)
    bench.work()
    assert bench.enrolled() == faces
    assert bench.names(photo) == {"Ann"}


# ---- naming


def test_people_get_their_names_and_strangers_none(bench: Bench) -> None:
    bench.learn("ann")
    bench.learn("ben")
    photo = bench.upload("stranger", "ben", "ann")
    (done,) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.added) == ("searched", ("Ann", "Ben"))
    assert done.outcome.note == ""  # nothing was paid for
    assert bench.names(photo) == {"Ann", "Ben"}
    search = bench.ledger.search(photo)
    assert search is not None
    assert [face.name for face in search.faces] == [None, "Ben", "Ann"]
    best = search.faces[1].best
    assert best is not None
    assert bench.enrolled()[best.face_id] == "Ben"
    assert (search.model, search.rules) == ("memory/1", Rules().fingerprint)
    assert (search.asset_id, search.public_id) == (photo, bench.asset(photo).public_id)


def test_a_picture_searched_before_a_person_was_known_is_searched_again(bench: Bench) -> None:
    photo = bench.upload("ann", "ben")
    bench.learn("ann")
    assert bench.names(photo) == {"Ann"}
    reference = bench.learn("ben")
    assert bench.names(photo) == {"Ann", "Ben"}
    bench.library.delete(reference)
    bench.work()
    assert bench.names(photo) == {"Ann"}


def test_searching_again_needs_no_image(bench: Bench) -> None:
    photo = bench.upload("ann")
    bench.work()
    bench.library._data[photo] = b"gone"  # noqa: SLF001 - an original that cannot be read
    bench.learn("ann")
    assert bench.names(photo) == {"Ann"}
    assert bench.error(photo) is None


def test_a_photo_without_faces_is_no_error(bench: Bench) -> None:
    photo = bench.upload()
    bench.work()
    assert (bench.names(photo), bench.error(photo), bench.dead()) == (set(), None, [])


def test_a_picture_outside_our_folders_is_left_alone(bench: Bench) -> None:
    bench.learn("ann")
    tags = ["faceLabel:Ann", "faceId:of-another-program"]
    photo = bench.upload("ann", folder="elsewhere", tags=tags)
    (done,) = bench.work()
    assert done.outcome is not None
    assert done.outcome.kind == "ignored"
    assert list(bench.asset(photo).tags) == tags
    assert bench.ledger.search(photo) is None


def test_a_name_typed_by_a_person_is_never_ours_to_remove(bench: Bench) -> None:
    photo = bench.upload("ann", tags=["Ann", "Granny"])
    reference = bench.learn("ann")
    bench.library.delete(reference)
    bench.work()
    assert bench.names(photo) == {"Ann", "Granny"}


def test_a_name_taken_away_is_never_written_again_unless_typed_back(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    bench.library.remove_tags(photo, ["Ann"])
    bench.work()
    assert bench.ledger.names(photo) == {"Ann": NameState.REFUSED}
    bench.learn("ben")
    bench.queue.enqueue(JobKind.ASSET, photo)
    bench.work()
    assert bench.names(photo) == set()
    bench.library.add_tags(photo, ["Ann"])
    bench.work()
    assert bench.ledger.names(photo) == {}
    assert bench.names(photo) == {"Ann"}


def test_a_refused_face_falls_to_its_next_candidate(bench: Bench) -> None:
    bench.learn("ann", "Ann")
    bench.learn("ann", "Eve")
    photo = bench.upload("ann")
    bench.work()
    assert bench.names(photo) == {"Ann"}
    bench.library.remove_tags(photo, ["Ann"])
    bench.work()
    assert bench.names(photo) == {"Eve"}


def test_new_content_is_looked_at_with_new_eyes(bench: Bench) -> None:
    bench.learn("ann")
    bench.learn("ben")
    photo = bench.upload("ann", "ben", tags=["Granny"])
    bench.work()
    bench.library.remove_tags(photo, ["Ann"])
    bench.work()
    assert bench.names(photo) == {"Ben", "Granny"}
    bench.library.upload(portrait("ann"), public_id=bench.asset(photo).public_id, folder="assets")
    bench.work()
    assert bench.names(photo) == {"Ann", "Granny"}


def test_a_photo_overwritten_with_something_unreadable_loses_our_names(bench: Bench) -> None:
    """They were about a picture that is gone; what a person typed stays."""
    bench.learn("ann")
    photo = bench.upload("ann", tags=["holiday"])
    bench.work()
    assert set(bench.asset(photo).tags) == {"holiday", "Ann"}
    bench.clock.time += 1
    bench.library.upload(b"no picture", public_id=bench.asset(photo).public_id, folder="assets")
    (done,) = bench.work()
    assert done.buried
    assert set(bench.asset(photo).tags) == {"holiday"}
    assert ERROR_KEY in bench.asset(photo).context


def test_tags_lost_with_an_overwritten_image_are_no_refusal(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    public_id = bench.asset(photo).public_id
    bench.library.upload(portrait("ann", "x"), public_id=public_id, folder="assets", tags=[])
    bench.work()
    assert bench.names(photo) == {"Ann"}


def test_a_photo_that_becomes_a_training_image_loses_our_names_only(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann", tags=["Granny"])
    bench.work()
    assert bench.names(photo) == {"Ann", "Granny"}
    bench.library.move(photo, "training")
    bench.work()
    assert bench.names(photo) == {"Granny"}
    assert bench.ledger.search(photo) is None
    assert bench.ledger.names(photo) == {}


def test_nothing_is_kept_of_the_faces_seen_on_a_photo_that_became_a_training_image(
    bench: Bench,
) -> None:
    photo = bench.upload("ann")
    bench.work()
    search = bench.ledger.search(photo)
    assert search is not None
    collection = bench.pipeline.gallery.collection()
    assert photo in bench.recognizer.search_stored(collection, [search])
    bench.library.move(photo, "training")
    bench.work()
    assert photo not in bench.recognizer.search_stored(collection, [search])


def test_somebody_learnt_while_a_picture_is_searched_is_found_on_it(bench: Bench) -> None:
    """The generation is read before the search: a later one would call this search up to date."""

    def learn_bob() -> None:
        bench.upload("bob", folder="training", tags=["faceLabel:Bob"])
        portrait_job = bench.queue.claim()
        assert portrait_job is not None
        bench.worker.work(portrait_job)

    bench.recognizer = Overtaken(learn_bob)
    pipeline = dataclasses.replace(bench.pipeline, recognizer=bench.recognizer)
    bench.worker = Worker(bench.queue, handlers(pipeline), bench.clock)
    party = bench.upload("ann", "bob")
    bench.work()
    assert bench.names(party) == {"Bob"}


class Stillborn(MemoryRecognizer):
    """A process that enrols a face and dies before it could say so."""

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        super().enrol(collection, image, person, asset)
        raise KeyboardInterrupt


def test_a_portrait_that_is_as_it_was_is_not_learnt_again_though_a_process_was_about_to(
    bench: Bench,
) -> None:
    asset_id, live = bench.learn("ann"), bench.pipeline.gallery.collection()
    bench.ledger.begin_enrolment(live, asset_id, "Ann")
    asked = bench.recognizer.asked
    bench.queue.enqueue(JobKind.ASSET, asset_id)
    (done,) = bench.work()
    assert done.outcome
    assert done.outcome.kind == "unchanged"
    assert bench.recognizer.asked == asked
    assert bench.ledger.intention(live, asset_id) is None


def test_a_face_that_a_process_enrolled_before_it_died_stays_as_long_as_its_label(
    bench: Bench,
) -> None:
    live = bench.pipeline.gallery.collection()
    asset_id = bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.ledger.begin_enrolment(live, asset_id, "Ann")
    bench.recognizer.enrol(live, portrait("ann"), "Ann", bench.asset(asset_id))
    bench.library.add_tags(asset_id, ["faceLabel:Ben"])
    bench.work()
    assert bench.error(asset_id) == "two labels: Ann and Ben"
    assert bench.people() == ["Ann"]


def test_the_tag_of_a_face_on_a_picture_that_taught_nothing_is_left_alone(bench: Bench) -> None:
    live = bench.pipeline.gallery.collection()
    for face_id in ("f1", "f2"):  # a face that a process left to be forgotten
        bench.ledger.enrol(live, Enrolment("gone", "gone", 1, "", "Ann", face_id))
    photo = bench.upload("ben", tags=["faceId:9"])
    bench.work()
    assert not bench.ledger.faces_to_delete(live)
    assert "faceId:9" in bench.asset(photo).tags


def test_a_face_that_a_process_enrolled_before_it_died_goes_with_its_image(bench: Bench) -> None:
    """Whom an image is enrolled as is noted first: later nobody would know that the face is there.

    The image has no enrolment that could lead there.
    """
    recognizer = Stillborn()
    pipeline = dataclasses.replace(bench.pipeline, recognizer=recognizer)
    asset_id = bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    job = bench.queue.claim()
    assert job is not None
    with pytest.raises(KeyboardInterrupt):
        pipeline.examine(job)
    assert list(recognizer.faces(pipeline.gallery.collection()))
    bench.library.delete(asset_id)
    pipeline.examine(job)
    assert not list(recognizer.faces(pipeline.gallery.collection()))


def test_a_searched_photo_that_is_moved_elsewhere_keeps_being_looked_after(bench: Bench) -> None:
    photo = bench.upload("ann")
    bench.work()
    bench.library.move(photo, "albums")
    bench.learn("ann")
    assert bench.names(photo) == {"Ann"}


def test_nobody_else_is_looked_at_when_somebody_is_forgotten(bench: Bench) -> None:
    bench.learn("ann")
    portrait_id = bench.learn("ben")
    bench.library.delete(portrait_id)
    assert [done.job.key for done in bench.work()] == [portrait_id]


def test_a_portrait_that_is_moved_out_of_our_folders_is_un_enrolled(bench: Bench) -> None:
    portrait_id = bench.learn("ann")
    bench.library.move(portrait_id, "albums")
    (done,) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.asset_id) == ("forgotten", portrait_id)


def test_nothing_stays_of_a_photo_that_was_deleted_while_it_was_looked_at(bench: Bench) -> None:
    photo = bench.upload("ann")
    bench.work()
    bench.pipeline.identifier.look_anew([photo])
    job = enqueued(bench, photo)

    def delete() -> None:
        bench.library.silently().delete(photo)
        raise UnreadableImage("it is no image")

    recognizer = Overtaken(delete)
    recognizer.create(bench.pipeline.gallery.collection())
    pipeline = dataclasses.replace(bench.pipeline, recognizer=recognizer)
    assert pipeline.examine(job).kind == "gone"
    assert bench.ledger.search(photo) is None


def enqueued(bench: Bench, asset_id: str) -> Job:
    """A job about a picture, claimed."""
    bench.queue.enqueue(JobKind.ASSET, asset_id)
    job = bench.queue.claim()
    assert job is not None
    return job


def test_nothing_stays_of_a_deleted_photo(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    bench.library.delete(photo)
    (done,) = bench.work()
    assert done.outcome is not None
    assert (done.outcome.kind, done.outcome.asset_id) == ("gone", photo)
    assert bench.ledger.search(photo) is None
    assert bench.ledger.names(photo) == {}


def test_looking_again_changes_and_writes_nothing(bench: Bench) -> None:
    ids = [bench.learn("ann"), bench.upload("ann"), bench.upload("ann", folder="elsewhere")]
    bench.work()
    before = [bench.asset(i) for i in ids], bench.ledger.gallery().generation
    for asset_id in ids:
        bench.queue.enqueue(JobKind.ASSET, asset_id)
    kinds = [done.outcome.kind for done in bench.work() if done.outcome]
    assert kinds == ["unchanged", "unchanged", "ignored"]
    assert ([bench.asset(i) for i in ids], bench.ledger.gallery().generation) == before


def test_new_rules_make_a_search_out_of_date(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    assert bench.pipeline.identifier.unsearched([bench.asset(photo)])
    bench.work()
    assert not bench.pipeline.identifier.unsearched([bench.asset(photo)])
    strict = pipeline_with(bench.pipeline, LabelPolicy(rules=Rules(threshold=99.5)))
    assert strict.identifier.unsearched([bench.asset(photo)])
    bench.queue.enqueue(JobKind.ASSET, photo)
    job = bench.queue.claim()
    assert job is not None
    assert strict.examine(job).removed == ("Ann",)


def test_where_many_are_known_more_is_asked_of_a_face(bench: Bench) -> None:
    """Who is alike is named among few, and suggested among many."""
    bench.recognizer.size = 100
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    assert bench.names(photo) == {"Ann"}
    bench.recognizer.size = 100_000_000_000
    bench.learn("ben")
    assert bench.names(photo) == set()
    search = bench.ledger.search(photo)
    assert search is not None
    assert [face.verdict for face in search.faces] == [Verdict.SUGGESTED]
    assert search.portraits == 100_000_000_000
    bench.recognizer.size = 100
    bench.learn("cid")
    assert bench.names(photo) == {"Ann"}


def test_a_gallery_begun_before_goes_on_with_the_threshold_alone(bench: Bench) -> None:
    bench.ledger.switch(bench.pipeline.label_policy.collection)  # as an older program began it
    bench.recognizer.create(bench.pipeline.label_policy.collection)
    bench.recognizer.size = 100_000_000_000
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    assert bench.names(photo) == {"Ann"}
    search = bench.ledger.search(photo)
    assert search is not None
    assert search.portraits is None
    strict = pipeline_with(bench.pipeline, LabelPolicy(rules=Rules(strangers=0.01)))
    assert strict.identifier.unsearched([bench.asset(photo)])
    bench.queue.enqueue(JobKind.ASSET, photo)
    job = bench.queue.claim()
    assert job is not None
    assert strict.examine(job).removed == ("Ann",)


def pipeline_with(one: Pipeline, label_policy: LabelPolicy) -> Pipeline:
    """The same pipeline under another scheme."""
    return Pipeline(one.library, one.recognizer, one.ledger, one.queue, one.clock, label_policy)


# ---- sweeps


def test_a_sweep_of_many_pictures_takes_turns_and_ends(bench: Bench) -> None:
    take_turns_of(bench, 8)
    photos = [bench.upload("ann", name=f"assets/{number}") for number in range(20)]
    bench.work()
    bench.learn("ann")
    assert all(bench.names(photo) == {"Ann"} for photo in photos)
    assert not bench.queue.jobs()


def test_a_sweep_goes_on_past_pictures_that_cannot_be_looked_at(bench: Bench) -> None:
    """A whole turn of them waits for an original that is away; the last one does not."""
    take_turns_of(bench, 8)
    photos = [bench.upload("ben") for _ in range(8)]
    bench.work()
    bench.learn("ann")
    last = bench.upload("ben")
    bench.work()
    for photo in photos:
        bench.recognizer.discard(photo)
    bench.library._data.update(dict.fromkeys(photos, b"went bad"))  # noqa: SLF001 - no other way
    bench.learn("ben")
    assert bench.names(last) == {"Ben"}
    assert len(bench.dead()) == len(photos)
    assert not bench.queue.pending()


def test_a_sweep_goes_on_after_a_whole_turn_without_a_change(bench: Bench) -> None:
    """No job about a picture follows such a turn, so nobody else would go on."""
    take_turns_of(bench, 2)
    for _ in range(4):
        bench.upload("ben")
    last = bench.upload("ann")
    bench.work()
    bench.learn("ann")
    assert bench.names(last) == {"Ann"}
    assert not bench.ledger.stale(bench.ledger.gallery().generation, 1)


def test_a_turn_of_a_sweep_looks_at_so_many_and_asks_for_the_next_one(bench: Bench) -> None:
    for _ in range(3):
        bench.upload("ann")
    bench.work()
    bench.ledger.changed()
    pipeline = dataclasses.replace(bench.pipeline, sweep_batch=2)
    bench.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
    job = bench.queue.claim()
    assert job is not None
    bench.queue.finish(job)
    assert pipeline.sweep(job).note == "2 pictures"
    assert [one.key for one in bench.queue.jobs() if one.kind is JobKind.SWEEP] == [SWEEP_KEY]


def test_what_a_change_does_not_touch_is_brought_along_as_it_stands(bench: Bench) -> None:
    party, landscape = bench.upload("ben"), bench.upload()
    bench.work()
    decided = bench.ledger.search(landscape)
    bench.clock.time += 100
    bench.learn("ann")
    bench.work()
    assert decided is not None
    generation = bench.ledger.gallery().generation
    assert bench.ledger.search(landscape) == dataclasses.replace(decided, generation=generation)
    again = bench.ledger.search(party)
    assert again is not None
    assert (again.generation, again.searched_at > decided.searched_at) == (generation, True)


def test_a_turn_of_a_sweep_brings_so_many_along_and_asks_for_the_next_one(bench: Bench) -> None:
    for _ in range(5):
        bench.upload()
    bench.work()
    bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.worker.run_one()
    pipeline = dataclasses.replace(bench.pipeline, confirm_batch=2)
    job = Job(1, JobKind.SWEEP, SWEEP_KEY, {}, JobState.READY, 1, 0.0)
    left = []
    for _ in range(3):
        pipeline.sweep(job)
        left.append(len(bench.ledger.stale(bench.ledger.gallery().generation, 9)))
    assert left == [3, 1, 0]
    assert [one.kind for one in bench.queue.jobs()].count(JobKind.SWEEP) == 1


def test_a_sweep_leaves_a_picture_whose_own_job_was_quicker(bench: Bench) -> None:
    photo = bench.upload("ann")
    bench.work()
    bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.worker.run_one()

    class Overtaken(MemoryLedger):
        """The picture's own job comes to its end while the sweep decides."""

        def revise(self, searches: Sequence[tuple[SearchRecord, Basis | None]]) -> None:
            own = Job(1, JobKind.ASSET, photo, {}, JobState.READY, 1, 0.0)
            bench.pipeline.examine(own)
            super().revise(searches)

    overtaken = Overtaken()
    vars(overtaken).update(vars(bench.ledger))
    pipeline = dataclasses.replace(bench.pipeline, ledger=overtaken)
    pipeline.sweep(Job(1, JobKind.SWEEP, SWEEP_KEY, {}, JobState.READY, 1, 0.0))
    search = bench.ledger.search(photo)
    assert search is not None
    assert (set(search.names), search.rules) == ({"Ann"}, bench.pipeline.label_policy.fingerprint)


def test_a_picture_deleted_while_a_sweep_decides_about_it_is_forgotten(bench: Bench) -> None:
    photo, other = bench.upload("ann"), bench.upload("ann")
    bench.work()
    bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.worker.run_one()

    class Overtaken(MemoryRecognizer):
        """The job of the deleted picture comes to its end before the sweep has decided."""

        def search_stored(
            self, collection: str, searches: Sequence[SearchRecord]
        ) -> Mapping[str, ProbeResult]:
            found = super().search_stored(collection, searches)
            bench.library.delete(photo)
            bench.pipeline.examine(Job(1, JobKind.ASSET, photo, {}, JobState.READY, 1, 0.0))
            return found

    overtaken = Overtaken()
    vars(overtaken).update(vars(bench.recognizer))
    pipeline = dataclasses.replace(bench.pipeline, recognizer=overtaken)
    pipeline.sweep(Job(1, JobKind.SWEEP, SWEEP_KEY, {}, JobState.READY, 1, 0.0))
    assert list(bench.ledger.searched()) == [other]


class Late(MemoryRecognizer):
    """Another worker sweeps before a face is forgotten."""

    def __init__(self, bench: Bench, *, killed: bool = False) -> None:
        """Know what the recogniser of the bench does; if ``killed``, forget nothing."""
        super().__init__()
        vars(self).update(vars(bench.recognizer))
        self._bench, self._killed = bench, killed

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        sweep = Job(1, JobKind.SWEEP, SWEEP_KEY, {}, JobState.READY, 1, 0.0)
        self._bench.pipeline.sweep(sweep)
        if self._killed:
            raise KeyboardInterrupt
        super().forget(collection, face_ids)


def test_a_rename_seen_by_who_lost_the_job_does_not_undo_a_new_label(bench: Bench) -> None:
    """One worker finds that the portrait has another public_id; then it loses its lease."""
    portrait_id = bench.learn("ann")
    slow = bench.recognizer

    class Relabelled(MemoryRecognizer):
        """While it answers, another worker learns what the portrait is labelled with now."""

        def faces(
            self, collection: str, face_ids: Sequence[str] | None = None
        ) -> Iterator[EnrolledFace]:
            found = list(slow.faces(collection, face_ids))
            bench.library.remove_tags(portrait_id, ["faceLabel:Ann"])
            bench.library.add_tags(portrait_id, ["faceLabel:Ben"])
            bench.pipeline.examine(Job(1, JobKind.ASSET, portrait_id, {}, JobState.READY, 1, 0.0))
            return iter(found)

    late = Relabelled()
    vars(late).update(vars(slow))
    pipeline = dataclasses.replace(bench.pipeline, recognizer=late)
    bench.library.rename(portrait_id, "training/renamed")
    job = Job(1, JobKind.ASSET, portrait_id, {}, JobState.READY, 1, 0.0)
    with pytest.raises(Unavailable, match="learnt anew meanwhile"):
        pipeline.examine(job)
    assert bench.people() == ["Ben"]
    line = bench.ledger.enrolment(bench.pipeline.gallery.collection(), portrait_id)
    assert line is not None
    assert (line.person, line.public_id) == ("Ben", "training/renamed")


@pytest.mark.parametrize("killed", [False, True])
def test_who_was_recognised_until_the_face_was_forgotten_is_not_named_for_long(
    bench: Bench, *, killed: bool
) -> None:
    photo, portrait_id = bench.upload("ann"), bench.learn("ann")
    assert bench.names(photo) == {"Ann"}
    pipeline = dataclasses.replace(bench.pipeline, recognizer=Late(bench, killed=killed))
    bench.library.delete(portrait_id)
    with contextlib.suppress(KeyboardInterrupt):
        Worker(bench.queue, handlers(pipeline), bench.clock).run_one()
    bench.clock.time += 3600
    bench.work()
    assert bench.names(photo) == set()


def test_so_is_nobody_whom_another_program_learnt_from_a_portrait_of_ours(bench: Bench) -> None:
    theirs = bench.recognizer.learn_untraced(bench.pipeline.gallery.collection(), "eve")
    photo = bench.upload("eve")
    bench.work()
    assert bench.names(photo) == {"eve"}
    pipeline = dataclasses.replace(bench.pipeline, recognizer=Late(bench))
    bench.upload("ann", folder="training", tags=["faceLabel:Ann", f"faceId:{theirs}"])
    Worker(bench.queue, handlers(pipeline), bench.clock).run_one()
    bench.clock.time += 3600
    bench.work()
    assert bench.names(photo) == set()


def test_several_portraits_learnt_together_cost_one_sweep(bench: Bench) -> None:
    bench.upload("x")
    bench.work()
    for person in ("ann", "ben", "cid"):
        bench.upload(person, folder="training", tags=[f"faceLabel:{person}"])
    kinds = [done.job.kind for done in bench.work()]
    assert kinds.count(JobKind.SWEEP) == 1


def test_a_sweep_does_not_hurry_jobs_twice(bench: Bench) -> None:
    photo = bench.upload("ann")
    bench.work()
    bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.worker.run_one()
    bench.clock.time += 2
    bench.worker.run_one()  # the sweep
    assert [job.key for job in bench.queue.jobs(JobState.READY)] == [photo]
    bench.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
    assert not bench.ledger.stale(bench.ledger.gallery().generation, 1)
    bench.work()
    assert bench.names(photo) == {"Ann"}


def take_turns_of(bench: Bench, pictures: int) -> None:
    """Have a sweep look at so many pictures at a time."""
    pipeline = dataclasses.replace(bench.pipeline, sweep_batch=pictures)
    bench.worker = Worker(bench.queue, handlers(pipeline), bench.clock)


# ---- the first need


def test_the_collection_is_made_at_the_first_need_whoever_died_before(bench: Bench) -> None:
    bench.recognizer.create("cld-rekog")
    assert bench.pipeline.gallery.collection() == "cld-rekog"
    assert bench.ledger.collection() == "cld-rekog"
    assert list(bench.recognizer.collections()) == ["cld-rekog"]


# ---- what is read once


def test_a_portrait_that_becomes_a_picture_is_searched_in_the_gallery_without_it(
    bench: Bench,
) -> None:
    bench.learn("ann")
    portrait = bench.learn("ben")
    bench.library.move(portrait, "assets")
    done = bench.worker.run_one()
    assert done
    assert done.outcome
    assert done.outcome.kind == "searched"
    search = bench.ledger.search(portrait)
    assert search
    assert not search.names
    assert search.generation == bench.ledger.gallery().generation
    assert not bench.ledger.has_stale()


def test_the_first_picture_of_all_is_searched_once(bench: Bench) -> None:
    photo = bench.upload("ann")
    assert [done.job.kind for done in bench.work()] == [JobKind.ASSET]
    search = bench.ledger.search(photo)
    assert search
    assert search.generation == bench.ledger.gallery().generation == 1
    assert not bench.ledger.has_stale()


def test_all_that_is_on_record_of_a_picture_is_read_at_once(bench: Bench) -> None:
    bench.learn("ann")
    photo, nobody = bench.upload("ann"), bench.upload("stranger")
    fate = Fate()
    pipeline = dataclasses.replace(bench.pipeline, ledger=fated(bench.ledger, fate))
    pipeline.examine(Job(1, JobKind.ASSET, photo, {}, JobState.READY, 1, 0.0))
    assert fate.calls == {"about": 1, "record": 1, "mark": 1, "has_stale": 1}
    fate.calls.clear()
    pipeline.examine(Job(2, JobKind.ASSET, nobody, {}, JobState.READY, 1, 0.0))
    assert fate.calls == {"about": 1, "record": 1, "has_stale": 1}
    fate.calls.clear()
    pipeline.examine(Job(3, JobKind.ASSET, photo, {}, JobState.READY, 1, 0.0))
    assert fate.calls == {"about": 1, "has_stale": 1}


# ---- the first collection


class OvertakenLedger(MemoryLedger):
    """Another process makes a collection live just after it was looked whether there is one."""

    def collection(self) -> str | None:
        """What was live before that."""
        live = super().collection()
        self.begin("cld-rekog-20240131120000")
        return live


def test_the_collection_of_a_rebuild_that_was_quicker_stays_live(bench: Bench) -> None:
    overtaken = dataclasses.replace(bench.pipeline, ledger=OvertakenLedger())
    assert overtaken.gallery.collection() == "cld-rekog-20240131120000"
    assert overtaken.gallery.collection() == "cld-rekog-20240131120000"
