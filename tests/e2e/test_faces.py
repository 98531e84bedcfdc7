"""Faces with Rekognition: one installation stands for Amazon, another one asks it."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest
from tests.e2e.conftest import Inside, Program, program_in
from tests.e2e.faces import faces_of, known
from tests.photographs import PEOPLE
from tests.waiting import until

from facelabel.core.model import asset_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.client import BaseClient
    from tests.e2e.served import Served

    from facelabel.engine.models.model_store import ModelStore

    #: Names on each picture, and how many portraits of each person are known.
    State: TypeAlias = "tuple[dict[str, list[str]], dict[str, int]]"

#: Person by file.
PORTRAITS = {f"{person}1": person for person in PEOPLE}
PICTURES = ("party", "Obama2", "Hopper2", "Collins2")
GROUP = "assets/party"
KILLS = 3


@pytest.fixture
def pictures(photos: Path) -> Path:
    """Folder of portraits and of a picture of all."""
    return photos / "people"


def labels(folder: Path, pictures: Path, *names: str) -> Path:
    """A labels.csv of these portraits; all without names."""
    path = folder / "labels.csv"
    lines = (f"{pictures / name}.jpg,{PORTRAITS[name]}\n" for name in names or PORTRAITS)
    path.write_text("".join(lines), "utf-8")
    return path


def upload(facelabel: Program, pictures: Path) -> str:
    """Upload the pictures and look at them."""
    return facelabel("upload", *(pictures / f"{name}.jpg" for name in PICTURES), "--now")


def names(facelabel: Program) -> list[str]:
    """Who is on the group photo."""
    return sorted(facelabel.json("show", GROUP)["tags"])


def portrait(facelabel: Program, person: str) -> str:
    """public_id of the only portrait of a person."""
    (photos,) = (line["portraits"] for line in facelabel.json("people") if line["name"] == person)
    return str(photos[0])


def look(facelabel: Program) -> State:
    """Bring everything up to date, and tell how it is."""
    facelabel("tag")
    pictures = facelabel.json("library", "assets")
    return {row["public_id"]: sorted(row["tags"]) for row in pictures}, known(facelabel)


def life(facelabel: Program, pictures: Path) -> Iterator[State]:
    """Learn, search, relabel, correct, delete, rebuild: how it is after each step."""
    facelabel("index", labels(facelabel.folder, pictures))
    upload(facelabel, pictures)
    yield look(facelabel)
    obama = portrait(facelabel, "Obama")
    facelabel("tag-remove", obama, "faceLabel:Obama")
    facelabel("tag-add", obama, "faceLabel:José O'Brien")
    facelabel("tag-remove", "assets/Collins2", "Collins")
    facelabel("worker", "--once")
    yield look(facelabel)
    facelabel("rm", portrait(facelabel, "Hopper"), "--yes")
    facelabel("worker", "--once")
    yield look(facelabel)
    assert "rebuilt as" in facelabel("index", "--rebuild")
    yield look(facelabel)
    assert "what is learnt and the training folder agree" in facelabel("index", "--check")
    facelabel("doctor")
    assert "none has failed" in facelabel("jobs", "list")


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, model_cache: Path, photos: Path,
    classic_pack_store: ModelStore,
) -> list[State]:  # fmt: skip
    """What our own engine makes of the same."""
    program = program_in(tmp_path_factory.mktemp("local"), model_cache)
    states = list(life(Inside.of(program), photos / "people"))
    assert states[0][0][GROUP] == ["Biden", "Collins", "Hopper", "Obama"]
    assert states[1][0][GROUP] == ["Biden", "Collins", "Hopper", "José O'Brien"]
    assert states[2][0][GROUP] == ["Biden", "Collins", "José O'Brien"]
    assert states[3] == states[2]
    return states


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"FACELABEL_REKOGNITION_DETECTION": "rekognition"}, marks=pytest.mark.soak),
        pytest.param({"FACELABEL_REKOGNITION_USERS": "true"}, marks=pytest.mark.soak),
    ],
    ids=["faces", "detection", "users"],
)
def test_names_are_those_of_our_own_engine(
    asking: Program, pictures: Path, expected: list[State], settings: dict[str, str],
    rekognition: BaseClient, collection: str,
) -> None:  # fmt: skip
    asking.environment.update(settings)
    assert list(life(asking, pictures)) == expected
    (live,) = (
        name
        for name in rekognition.list_collections()["CollectionIds"]
        if name.startswith(f"{collection}-")  # the one before may stay for a while
    )
    assert len(faces_of(rekognition, live)) == len(PORTRAITS) - 1
    users = rekognition.list_users(CollectionId=live)["Users"]
    assert len(users) == (len(PORTRAITS) - 1 if "FACELABEL_REKOGNITION_USERS" in settings else 0)


@pytest.mark.parametrize(
    ("settings", "learnt", "searched"),
    [
        ({}, 4, [4, 1, 1, 1]),
        pytest.param(
            {"FACELABEL_REKOGNITION_DETECTION": "rekognition"},
            8,
            [5, 2, 2, 2],
            marks=pytest.mark.soak,
        ),
        pytest.param(
            {"FACELABEL_REKOGNITION_USERS": "true"}, 4, [4, 1, 1, 1], marks=pytest.mark.soak
        ),
    ],
    ids=["faces", "detection", "users"],
)
def test_costs_are_told_before_and_after(
    asking: Program, pictures: Path, settings: dict[str, str], learnt: int, searched: list[int]
) -> None:
    asking.environment.update(settings)
    portraits = labels(asking.folder, pictures)
    assert f"{learnt} paid calls" in asking("index", portraits, "--dry-run")
    assert f"${learnt / 1000:.3f}" in asking("index", portraits)
    told = upload(asking, pictures)
    for name, calls in zip(PICTURES, searched, strict=True):
        (line,) = (line for line in told.splitlines() if line.startswith(f"assets/{name}: "))
        assert line.endswith(f" {calls} paid calls")
    (total,) = (line for line in told.splitlines() if "calls of Amazon" in line)
    assert total.endswith(f" ${sum(searched) / 1000:.3f}")
    again = asking("tag", "--again", "--dry-run")
    assert f"{sum(searched)} paid calls of Amazon Rekognition" in again
    (seen,) = asking.json("identify", pictures / "party.jpg")
    assert (seen["calls"], len(seen["names"])) == (searched[0], 4)
    assert f"{searched[0]} paid calls\n" in asking("identify", pictures / "party.jpg")


def test_the_collection_of_the_original_app(
    asking: Program, pictures: Path, rekognition: BaseClient, collection: str
) -> None:
    """Names are found at once; faces of labelled images are replaced, the others stay."""

    def learnt_by_the_original(file: str, external_id: str) -> str:
        image = {"Bytes": (pictures / f"{file}.jpg").read_bytes()}
        answer = rekognition.index_faces(
            CollectionId=collection, Image=image, ExternalImageId=external_id, MaxFaces=1
        )
        return str(answer["FaceRecords"][0]["Face"]["FaceId"])

    rekognition.create_collection(CollectionId=collection)
    obama = learnt_by_the_original("Obama1", "John.-.-.-Doe")
    hopper = learnt_by_the_original("Hopper1", "Mary.-.-.-Doe")
    asking("upload", pictures / "Obama1.jpg", "--folder", "training", "--label", "John Doe")
    asking("tag-add", "training/Obama1", f"faceId:{obama}")

    (seen,) = asking.json("identify", pictures / "party.jpg")
    assert seen["names"] == ["John Doe", "Mary Doe"]
    asking("index")
    faces = {face["FaceId"]: face for face in faces_of(rekognition, collection)}
    assert len(faces) == 2
    assert hopper in faces
    (ours,) = faces.keys() - {hopper}
    assert ours != obama
    shown = asking.json("show", "training/Obama1")
    assert faces[ours]["ExternalImageId"] == f"n1:John.Doe::{asset_hash(shown['asset_id'])}"
    assert set(shown["tags"]) == {"faceLabel:John Doe", f"faceId:{ours}"}
    assert "what is learnt and the training folder agree" in asking("index", "--check")
    (seen,) = asking.json("identify", pictures / "party.jpg")
    assert seen["names"] == ["John Doe", "Mary Doe"]


def test_a_lost_data_folder(
    asking: Program, amazon: Served, pictures: Path, tmp_path: Path, rekognition: BaseClient,
    collection: str,
) -> None:  # fmt: skip
    """What is learnt is put on record again, under the faces it has."""
    mine = {
        "CLOUDINARY_URL": amazon.cloudinary_url, "FACELABEL_LIBRARY": "cloudinary",
        "trainingFolder": f"{collection}/known", "faceRecognitionFolder": f"{collection}/all",
    }  # fmt: skip
    asking.environment.update(mine)
    asking("index", labels(asking.folder, pictures, "Obama1", "Hopper1"))
    before = faces_of(rekognition, collection)
    people = known(asking)
    asking.environment["FACELABEL_DATA"] = str(tmp_path / "another")
    assert known(asking) == {}
    (seen,) = asking.json("identify", pictures / "party.jpg")
    assert seen["names"] == ["Hopper", "Obama"]
    told = asking("index")
    assert "2 labelled, not learnt" in told
    assert "mended" in told
    assert faces_of(rekognition, collection) == before
    assert known(asking) == people
    assert "what is learnt and the training folder agree" in asking("index", "--check")


def test_changing_sides(asking: Program, program: Program, pictures: Path) -> None:
    """It is said what to do; nothing is buried or forgotten by it."""
    asking("index", labels(asking.folder, pictures, "Obama1", "Hopper1"))
    upload(asking, pictures)
    own = Inside.of(program)
    for facelabel in (own, asking):
        for command in (("index",), ("identify", pictures / "party.jpg")):
            assert "`facelabel index --rebuild`" in facelabel(*command, status=2)
        assert "`facelabel index --rebuild`" in facelabel("doctor", status=1)
        facelabel("tag", "--again", status=75)
        assert names(facelabel) == ["Hopper", "Obama"]
        assert "facelabel_error" not in facelabel.json("show", GROUP)["context"]
        # Pictures that are due before the rebuild do not keep it from being done.
        facelabel("upload", *(pictures / f"{name}.jpg" for name in ("Biden1", "Biden2", "Biden3")))
        assert "2 people known" in facelabel("index", "--rebuild")
        facelabel("worker", "--once")
        facelabel("tag", "--again")
        assert names(facelabel) == ["Hopper", "Obama"]
        assert "none has failed" in facelabel("jobs", "list")
        facelabel("doctor")


def at_least(count: int, rekognition: BaseClient, collection: str) -> bool:
    """Whether so many faces are there."""
    return len(faces_of(rekognition, collection)) >= count


def worked_off(program: Program) -> bool:
    """Work what is due; whether nothing is left."""
    program("worker", "--once")
    return "nothing waits" in program("jobs", "list")


@pytest.mark.soak
def test_killed_while_learning(
    asking: Program, pictures: Path, rekognition: BaseClient, collection: str
) -> None:
    """A worker that is killed again and again learns each portrait once; no face is nobody's."""
    asking.environment.update(FACELABEL_LEASE="2", FACELABEL_REKOGNITION_USERS="true")
    rekognition.create_collection(CollectionId=collection)
    files = sorted(pictures.glob("*[12].jpg"))
    for file in files:
        asking("upload", file, "--label", file.stem[:-1])
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    moment = random.Random(seed)
    outside = Program(asking.environment, asking.folder)
    for _ in range(KILLS):
        more = min(len(faces_of(rekognition, collection)) + 1, len(files))
        with outside.started("worker"):
            until(partial(at_least, more, rekognition, collection))
            time.sleep(moment.uniform(0.0, 0.3))
    until(partial(worked_off, asking))  # the lease of the last one ends
    assert sum(known(asking).values()) == len(files)
    faces = faces_of(rekognition, collection)
    assert len({face["ExternalImageId"] for face in faces}) == len(faces) == len(files)
    assert {face["UserId"] for face in faces} == {f"n1:{file.stem[:-1]}" for file in files}
    assert "what is learnt and the training folder agree" in asking("index", "--check", "--dry-run")
    assert "none has failed" in asking("jobs", "list")
