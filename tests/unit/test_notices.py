"""Notifications say what changed; only what concerns us makes work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facelabel.core.jobs import JobKind, Outcome, OutcomeKind
from facelabel.core.model import NameState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.conftest import Bench

    from facelabel.core.jobs import Job
    from facelabel.core.model import Json


def claimed(bench: Bench) -> Job:
    """The job that waits."""
    job = bench.queue.claim()
    assert job is not None
    return job


def notice(bench: Bench, asset_id: str, added: Sequence[str], removed: Sequence[str]) -> str:
    """Tell of changed tags; return what came of it."""
    payload: Json = {"asset_id": asset_id, "added": [*added], "removed": [*removed]}
    bench.queue.enqueue(JobKind.TAGS, "a notification", payload)
    done = bench.worker.run_one()
    assert done is not None
    assert done.outcome is not None
    assert done.outcome.asset_id == asset_id
    assert done.outcome.note == ("no tags of ours" if done.outcome.kind == "ignored" else "")
    return done.outcome.kind


@pytest.mark.parametrize(
    ("added", "removed", "outcome"),
    [
        (["beach", "2024"], [], "ignored"),
        ([], ["beach"], "ignored"),
        (["Ann"], [], "ignored"),
        (["faceLabel:Ann"], [], "noted"),
        ([], ["faceLabel:Ann"], "noted"),
        (["faceLabels:Ann"], [], "noted"),
        ([], ["facelabel=Ann"], "noted"),
        (["labels:Ann"], [], "ignored"),
        (["faceId:of-nobody"], [], "noted"),
        ([], ["faceId:of-nobody"], "ignored"),
    ],
)
def test_tags_of_a_picture_we_never_saw(
    bench: Bench, added: list[str], removed: list[str], outcome: str
) -> None:
    assert notice(bench, "an asset", added, removed) == outcome
    assert len(bench.queue.jobs()) == (outcome == "noted")


def test_our_own_names_coming_back_make_no_work(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    assert bench.names(photo) == {"Ann"}
    assert notice(bench, photo, ["Ann"], []) == "ignored"
    bench.library.delete(next(a.asset_id for a in bench.library.assets("training")))
    bench.work()
    assert bench.names(photo) == set()
    assert notice(bench, photo, [], ["Ann"]) == "ignored"


@pytest.mark.parametrize("state", [NameState.WRITING, NameState.REMOVING])
def test_an_echo_that_overtakes_our_own_note_makes_no_work(bench: Bench, state: NameState) -> None:
    bench.ledger.mark("an asset", {"Ann": state})
    assert notice(bench, "an asset", ["Ann"], []) == "ignored"
    assert notice(bench, "an asset", [], ["Ann"]) == "ignored"


def test_our_own_face_tag_coming_back_makes_no_work(bench: Bench) -> None:
    asset_id = bench.learn("ann")
    (face_id,) = bench.enrolled()
    assert notice(bench, asset_id, [f"faceId:{face_id}"], []) == "ignored"
    assert notice(bench, asset_id, [], ["faceId:the-former-one"]) == "ignored"
    bench.library.remove_tags(asset_id, [f"faceId:{face_id}"])
    for job in bench.queue.jobs():
        claimed = bench.queue.claim()
        assert claimed is not None, job
        bench.queue.finish(claimed)
    assert notice(bench, asset_id, [], [f"faceId:{face_id}"]) == "noted"
    bench.work()
    assert f"faceId:{face_id}" in bench.asset(asset_id).tags


def test_a_name_taken_away_and_one_typed_back_are_decisions(bench: Bench) -> None:
    bench.ledger.mark("an asset", {"Ann": NameState.WRITTEN, "Ben": NameState.REFUSED})
    assert notice(bench, "another", [], ["Ann"]) == "ignored"
    assert notice(bench, "an asset", [], ["Ben"]) == "ignored"
    assert notice(bench, "an asset", ["Ann"], []) == "ignored"
    assert notice(bench, "an asset", [], ["Ann"]) == "noted"


def test_a_name_somebody_typed_and_took_away_is_ours_to_write(bench: Bench) -> None:
    """As where the whole picture is looked at: who is on it is named, whoever typed it before."""
    bench.learn("ann")
    photo = bench.upload("ann", tags=["Ann"])
    bench.work()
    assert bench.ledger.names(photo) == {}
    bench.library.remove_tags(photo, ["Ann"])
    bench.queue.finish(claimed(bench))
    assert notice(bench, photo, [], ["Ann"]) == "noted"
    bench.work()
    assert bench.names(photo) == {"Ann"}
    assert bench.ledger.names(photo) == {"Ann": NameState.WRITTEN}


def test_a_refused_name_that_was_typed_back_is_a_decision(bench: Bench) -> None:
    bench.ledger.mark("an asset", {"Ben": NameState.REFUSED})
    assert notice(bench, "an asset", ["Ben"], []) == "noted"


def test_only_a_public_id_is_enough(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann", name="assets/party")
    for _ in bench.queue.jobs():
        claimed = bench.queue.claim()
        assert claimed is not None
        bench.queue.finish(claimed)
    bench.queue.enqueue(JobKind.FIND, "assets/party")
    bench.queue.enqueue(JobKind.FIND, "assets/gone")
    outcomes = [done.outcome for done in bench.work() if done.job.kind is JobKind.FIND]
    assert outcomes == [
        Outcome(OutcomeKind.NOTED, asset_id=photo, public_id="assets/party"),
        Outcome(OutcomeKind.GONE, public_id="assets/gone"),
    ]
    assert bench.names(photo) == {"Ann"}
    assert not bench.queue.jobs()


def test_a_folder_that_moved_is_looked_at_picture_by_picture(bench: Bench) -> None:
    portraits = [bench.learn("ann"), bench.learn("ben")]
    quiet = bench.library.silently()
    for asset_id in portraits:
        quiet.move(asset_id, "attic/training")
    bench.queue.enqueue(JobKind.FOLDER, "attic")
    bench.work()
    assert bench.people() == []
