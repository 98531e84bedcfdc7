"""One person: shown, and forgotten, wherever pictures and faces are."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Inside
from tests.e2e.served import serving

from facelabel import actions, settings
from facelabel.bootstrap.app import opened
from facelabel.core.jobs import JobKind
from facelabel.engine.models.samples import two_people
from facelabel.recognition.live_gallery import SWEEP_KEY

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from botocore.client import BaseClient
    from tests.e2e.conftest import Program
    from tests.e2e.served import Served

    from facelabel.bootstrap.app import App

OBAMA, BIDEN = "Barack Obama", "Joe Biden"


@pytest.fixture
def people(samples: Path, tmp_path: Path) -> Path:
    """Portraits of two people, of one of them also one with two faces on it."""
    folder = tmp_path / "people"
    for name, person in (("obama.jpg", OBAMA), ("biden.jpg", BIDEN)):
        (folder / person).mkdir(parents=True)
        shutil.copy(samples / name, folder / person / name)
    (folder / OBAMA / "both.jpg").write_bytes(two_people(samples))
    return folder


@pytest.fixture
def party(samples: Path, tmp_path: Path) -> Path:
    """A picture with both."""
    path = tmp_path / "party.jpg"
    path.write_bytes(two_people(samples))
    return path


def named(facelabel: Program, people: Path, party: Path) -> None:
    """Have both known, and named on a picture."""
    facelabel("index", people, status=1)
    facelabel("upload", party, "--now")
    assert tags(facelabel) == {OBAMA, BIDEN}


def tags(facelabel: Program) -> set[str]:
    """Who is on the picture."""
    return set(facelabel.json("show", "assets/party")["tags"])


def known(facelabel: Program) -> list[str]:
    """Who is known."""
    return [person["name"] for person in facelabel.json("people")]


def open_app(facelabel: Program) -> AbstractContextManager[App]:
    """The same installation from inside."""
    flags = {name: facelabel.environment[f"FACELABEL_{name.upper()}"]
             for name in ("data", "models", "pack")}  # fmt: skip
    return opened(settings.load(flags))


def test_a_person_is_shown_with_portraits_and_pictures(
    facelabel: Program, people: Path, party: Path
) -> None:
    """Also by what looks the same; of refused portraits the list tells, of failed webhooks not."""
    named(facelabel, people, party)
    said = facelabel("people", "joe biden")
    assert "biden.jpg" in said
    assert "Joe Biden: learnt from 1 portrait; the name is on 1 picture" in said
    assert "with three portraits 3 to 5 more of 100 pictures are recognised" in said
    shown = facelabel.json("people", OBAMA)
    assert (shown["name"], shown["pictures"], len(shown["portraits"])) == (OBAMA, 1, 1)
    assert shown["portraits"][0]["public_id"].startswith("training/obama-")
    assert "did you mean 'Joe Biden'?" in facelabel("people", "Jo Bidden", status=1)
    with open_app(facelabel) as app:
        app.queue.enqueue(JobKind.NOTIFY, "8", {"url": "http://x"})
        job = app.queue.claim()
        assert job
        app.queue.bury(job, "no host x")
    assert "1 portrait refused: `facelabel jobs list` says why" in facelabel("people")


def test_a_person_is_forgotten(facelabel: Program, people: Path, party: Path) -> None:
    """With all portraits, the refused one included; a dry run says so before and does nothing."""
    named(facelabel, people, party)
    plan = facelabel("forget", OBAMA, "--dry-run")
    assert "Barack Obama: 2 portraits go for good" in plan
    assert "the name goes from 1 picture" in plan
    assert known(facelabel) == [OBAMA, BIDEN]
    assert "Delete 2 portraits of Barack Obama for good?" in facelabel("forget", OBAMA, status=1)
    assert tags(facelabel) == {OBAMA, BIDEN}

    said = facelabel("forget", "barack obama", "--yes")
    assert said.splitlines()[-1] == (
        "Barack Obama is forgotten, the name taken off 1 picture;"
        " searched again on 2 portraits: not recognised"
    )
    assert known(facelabel) == [BIDEN]
    assert tags(facelabel) == {BIDEN}
    assert len(facelabel.json("library", "training")) == 1
    assert "nobody is known as" in facelabel("forget", OBAMA, "--yes", status=1)
    assert "none has failed" in facelabel("jobs", "list")


def test_portraits_may_stay(facelabel: Program, people: Path, party: Path) -> None:
    """Without their labels, and nothing is learnt from them."""
    named(facelabel, people, party)
    plan = facelabel("forget", OBAMA, "--keep-portraits", "--dry-run")
    assert "the label goes from 2 portraits" in plan
    facelabel("forget", OBAMA, "--keep-portraits", "--yes")
    assert known(facelabel) == [BIDEN]
    assert tags(facelabel) == {BIDEN}
    training = facelabel.json("library", "training")
    assert len(training) == 3
    assert not any(f"faceLabel:{OBAMA}" in row["tags"] for row in training)


def test_a_picture_that_is_labelled_with_somebody_else_too_is_theirs(
    facelabel: Program, people: Path, party: Path
) -> None:
    named(facelabel, people, party)
    (shown,) = facelabel.json("people", BIDEN)["portraits"]
    facelabel("tag-add", shown["public_id"], f"faceLabel:{OBAMA}")
    facelabel("forget", OBAMA, "--yes")
    assert known(facelabel) == [BIDEN]
    labels = facelabel.json("show", shown["public_id"])["tags"]
    assert [tag for tag in labels if tag.startswith("faceLabel:")] == [f"faceLabel:{BIDEN}"]


def test_which_of_two_spellings_is_asked(facelabel: Program, people: Path, samples: Path) -> None:
    """The exact one is taken; what looks like several is none of them."""
    facelabel("index", people, status=1)
    facelabel("upload", samples / "obama2.jpg", "--label", "BARACK OBAMA", "--now")
    said = facelabel("forget", "barack obama", "--yes", status=1)
    assert "several names look like 'barack obama': 'BARACK OBAMA', 'Barack Obama'" in said
    said = facelabel("forget", "BARACK OBAMA", "--yes")
    assert "names that look the same are other people here, and stay: 'Barack Obama'" in said
    assert known(facelabel) == [OBAMA, BIDEN]


def test_what_was_stopped_in_the_middle_goes_on(
    facelabel: Program, people: Path, party: Path
) -> None:
    """Between deleting and forgetting, and between forgetting and taking the names back."""
    named(facelabel, people, party)
    with open_app(facelabel) as app:
        for line in actions.enrolments(app):
            if line.person == BIDEN:
                app.library.delete(line.asset_id)
    assert known(facelabel) == [OBAMA, BIDEN]
    assert "1 portrait goes for good" in facelabel("forget", BIDEN, "--yes")
    assert tags(facelabel) == {OBAMA}

    with open_app(facelabel) as app:
        for line in actions.enrolments(app):
            app.library.delete(line.asset_id)
        worker = app.worker({JobKind.ASSET})
        while worker.run_one():
            pass  # the sweep is left
        for asset in list(app.library.assets("training")):
            app.library.delete(asset.asset_id)
    assert known(facelabel) == []
    assert tags(facelabel) == {OBAMA}
    assert "Barack Obama: the name goes from 1 picture" in facelabel("forget", OBAMA, "--yes")
    assert tags(facelabel) == set()


def test_what_was_stopped_when_no_name_told_of_it_any_more_goes_on(
    facelabel: Program, people: Path
) -> None:
    """The face is still there, and a job that nobody may take over yet."""
    facelabel("index", people, status=1)
    with open_app(facelabel) as app:
        (line,) = (line for line in actions.enrolments(app) if line.person == BIDEN)
        app.library.delete(line.asset_id)
        job = app.queue.claim()
        assert job
        assert job.key == line.asset_id
        app.ledger.unenrol("cld-rekog", line.asset_id)  # here the process dies
    assert known(facelabel) == [OBAMA]
    said = facelabel("forget", BIDEN, "--yes", status=75)
    assert "is still in its hands, or was when it was stopped" in said
    with open_app(facelabel) as app:
        assert BIDEN in {face.person for face in app.recognizer.faces("cld-rekog")}
        app.queue.retry(job, "", 0.0)  # as when its lease is over
    assert "nobody is known as" in facelabel("forget", BIDEN, "--yes", status=1)
    with open_app(facelabel) as app:
        assert BIDEN not in {face.person for face in app.recognizer.faces("cld-rekog")}


def test_what_was_stopped_while_pictures_were_decided_again_goes_on(
    facelabel: Program, people: Path, party: Path
) -> None:
    """As long as others have that in hand, what is on record says whom faces resemble."""
    named(facelabel, people, party)
    with open_app(facelabel) as app:
        (line,) = (line for line in actions.enrolments(app) if line.person == BIDEN)
        (picture,) = app.ledger.named(BIDEN)
        app.library.remove_tags(picture, [BIDEN])
        app.worker().drain()  # the name is not ours any more
        app.library.delete(line.asset_id)
        app.worker({JobKind.ASSET}).run_one()
        app.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
        job = app.queue.claim({JobKind.SWEEP})  # here the process dies
        assert job
        assert not app.ledger.named(BIDEN)
    said = facelabel("forget", BIDEN, "--yes", status=75)
    assert "is still in its hands, or was when it was stopped" in said
    assert BIDEN in str(facelabel.json("show", "assets/party")["search"]["faces"])
    with open_app(facelabel) as app:
        app.queue.retry(job, "", 0.0)  # as when its lease is over
    assert "nobody is known as" in facelabel("forget", BIDEN, "--yes", status=1)
    assert BIDEN not in str(facelabel.json("show", "assets/party")["search"]["faces"])


def test_beside_a_server_at_work(facelabel: Program, people: Path, party: Path) -> None:
    """Whoever takes the jobs, in the end the person is forgotten."""
    named(facelabel, people, party)
    with serving(facelabel):
        said = facelabel("forget", OBAMA, "--yes")
    assert "Barack Obama is forgotten" in said
    assert tags(facelabel) == {BIDEN}


def test_faces_at_amazon(
    asking: Program, rekognition: BaseClient, collection: str, people: Path, party: Path
) -> None:
    """Face and user go there, and the names at once, though a sweep waits for minutes there."""
    named(asking, people, party)
    said = asking("forget", OBAMA, "--yes")
    assert "Barack Obama is forgotten, the name taken off 1 picture" in said
    assert "paid calls of Amazon Rekognition" in said
    assert len(rekognition.list_faces(CollectionId=collection)["Faces"]) == 1
    assert known(asking) == [BIDEN]
    assert tags(asking) == {BIDEN}


def test_faces_of_other_programs_are_told_of(
    asking: Program, rekognition: BaseClient, collection: str, people: Path, party: Path
) -> None:
    """They are theirs; as long as they are there they give the name."""
    named(asking, people, party)
    image = {"Bytes": (people / OBAMA / "obama.jpg").read_bytes()}
    rekognition.index_faces(
        CollectionId=collection, Image=image, ExternalImageId="Barack.-.-.-Obama"
    )
    said = asking("forget", OBAMA, "--yes", status=1)
    assert "stays: 1 face of that name that other programs put there: delete_faces" in said
    assert "is forgotten" not in said
    assert len(rekognition.list_faces(CollectionId=collection)["Faces"]) == 2


def test_pictures_on_cloudinary(
    program: Program, amazon: Served, people: Path, party: Path, tmp_path: Path
) -> None:
    """The portraits are deleted there."""
    theirs = {"CLOUDINARY_URL": amazon.cloudinary_url, "FACELABEL_LIBRARY": "cloudinary",
              "FACELABEL_DATA": str(tmp_path / "here")}  # fmt: skip
    here = Inside.of(program)
    here.environment.update(theirs)
    named(here, people, party)
    facelabel = here("forget", OBAMA, "--yes")
    assert "Barack Obama is forgotten, the name taken off 1 picture" in facelabel
    assert tags(here) == {BIDEN}
    assert len(here.json("library", "training")) == 1
