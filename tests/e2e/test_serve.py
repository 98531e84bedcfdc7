"""The whole flow as a Cloudinary user lives it: official SDK here, ``facelabel serve`` there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.served import Cloud, Served, people_known, serving, text_of
from tests.photographs import PEOPLE
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

#: File by person.
PORTRAITS = {person: f"{person}1" for person in PEOPLE}


@pytest.fixture
def served(program: Program) -> Iterator[Served]:
    """Return a running server with an empty data folder."""
    with serving(program) as server:
        yield server


@pytest.fixture
def pictures(photos: Path) -> Path:
    """Folder of portraits and of a picture of all."""
    return photos / "people"


def face_ids(tags: set[str]) -> set[str]:
    """The machine's tags among these."""
    return {tag for tag in tags if tag.startswith("faceId:")}


def learn(cloud: Cloud, pictures: Path, people: dict[str, str]) -> dict[str, str]:
    """Upload labelled portraits; public_id by person."""
    uploaded = {
        person: cloud.upload(
            str(pictures / f"{file}.jpg"), asset_folder="training", tags=[f"faceLabel:{person}"]
        )["public_id"]
        for person, file in people.items()
    }
    for public_id in uploaded.values():
        until(lambda public_id=public_id: face_ids(cloud.tags(public_id)))  # type: ignore[misc]
    return uploaded


def test_label_portraits_upload_a_group_photo_and_correct_everything(
    served: Served, pictures: Path
) -> None:
    cloud = served.cloud()
    portraits = learn(cloud, pictures, PORTRAITS)
    photo = cloud.upload(str(pictures / "party.jpg"), asset_folder="assets",
                         public_id="assets/party", tags=["summer"])  # fmt: skip
    group = photo["public_id"]
    until(lambda: cloud.tags(group) == {"summer", *PEOPLE})

    # Relabel: the picture follows.
    cloud.call("remove_tag", "faceLabel:Obama", [portraits["Obama"]])
    cloud.call("add_tag", "faceLabel:Peter Ó", [portraits["Obama"]])
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Hopper", "Biden", "Collins"})

    # Untag.
    cloud.call("remove_tag", "faceLabel:Hopper", [portraits["Hopper"]])
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Biden", "Collins"})
    assert not face_ids(cloud.tags(portraits["Hopper"]))

    # Rename: nothing changes, the index follows the new name.
    cloud.call("rename", portraits["Biden"], "training/the man")
    until(lambda: "training/the man" in str(served.program.json("people")))
    assert cloud.tags(group) == {"summer", "Peter Ó", "Biden", "Collins"}

    # Move out of the training folder.
    cloud.call("update", portraits["Collins"], asset_folder="attic")
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Biden"})

    # Delete.
    cloud.call("destroy", portraits["Obama"])
    until(lambda: cloud.tags(group) == {"summer", "Biden"})
    until(lambda: people_known(served) == {"Biden": 1})

    # A name that a person takes away stays away.
    cloud.call("remove_tag", "Biden", [group])
    learn(cloud, pictures, {"Obama": "Obama2"})
    until(lambda: cloud.tags(group) == {"summer", "Obama"})
    log = text_of(served.program.folder / "serve.log")
    assert cloud.options["api_secret"] not in log
    assert "Traceback" not in log


def test_labels_that_come_later(served: Served, pictures: Path) -> None:
    cloud = served.cloud()
    group = cloud.upload(str(pictures / "party.jpg"), asset_folder="assets")["public_id"]
    portraits = {
        person: cloud.upload(str(pictures / f"{file}.jpg"), asset_folder="training")["public_id"]
        for person, file in PORTRAITS.items()
    }
    for person, public_id in portraits.items():
        cloud.call("add_tag", f"faceLabel:{person}", [public_id])
    until(lambda: cloud.tags(group) == {*PEOPLE})
    assert people_known(served) == dict.fromkeys(PEOPLE, 1)


def test_labels_and_names_in_structured_metadata(program: Program, pictures: Path) -> None:
    program.environment["FACELABEL_NAMES_TO"] = "metadata"
    with serving(program) as served:
        cloud = served.cloud()
        cloud.call("add_metadata_field", {
            "external_id": "people", "label": "People", "type": "set",
            "datasource": {"values": []}, "allow_dynamic_list_values": True,
        })  # fmt: skip
        group = cloud.upload(str(pictures / "party.jpg"), asset_folder="assets")
        for person, file in PORTRAITS.items():
            portrait = cloud.upload(str(pictures / f"{file}.jpg"), asset_folder="training")
            cloud.call("update_metadata", {"people": [person]}, [portrait["public_id"]])

        def people() -> set[str]:
            asset = cloud.call("resource", group["public_id"])
            return set(asset.get("metadata", {}).get("people", ()))

        until(lambda: people() == {*PEOPLE})
        assert cloud.tags(group["public_id"]) == set()


def test_the_originals_environment_alone(program: Program, pictures: Path) -> None:
    program.environment.update({
        "trainingFolder": "people/known", "faceRecognitionFolder": "uploads",
        "rekognitionCollection": "cld-rekog-collection", "confidenceThreshold": "85",
        "faceLabelTagPrefix": "who", "transformationParams": "q_auto,w_900,h_900",
    })  # fmt: skip
    with serving(program) as served:
        cloud = served.cloud()
        for person, file in PORTRAITS.items():
            cloud.upload(str(pictures / f"{file}.jpg"), asset_folder="people/known",
                         tags=f"who:{person}")  # fmt: skip
        group = cloud.upload(str(pictures / "party.jpg"), asset_folder="uploads")
        until(lambda: cloud.tags(group["public_id"]) == {*PEOPLE})
