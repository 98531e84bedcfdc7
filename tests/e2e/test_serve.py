"""The whole flow as a Cloudinary user lives it: official SDK here, ``facelabel serve`` there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.served import Cloud, Served, people_known, serving, text_of, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

FAMILY = {"Dad": "Family1-Dad1", "Mom": "Family1-Mom1", "Son": "Family1-Son1",
          "Daughter": "Family1-Daughter1"}  # fmt: skip
OTHERS = {"Lady": "Family2-Lady1", "Man": "Family2-Man1"}


@pytest.fixture
def served(program: Program) -> Iterator[Served]:
    """Return a running server with an empty data folder."""
    with serving(program) as server:
        yield server


@pytest.fixture
def families(data: Path) -> Path:
    """Folder of the family photos."""
    return data / "families"


def face_ids(tags: set[str]) -> set[str]:
    """The machine's tags among these."""
    return {tag for tag in tags if tag.startswith("faceId:")}


def learn(cloud: Cloud, families: Path, people: dict[str, str]) -> dict[str, str]:
    """Upload labelled portraits; public_id by person."""
    uploaded = {
        person: cloud.upload(
            str(families / f"{file}.jpg"), asset_folder="training", tags=[f"faceLabel:{person}"]
        )["public_id"]
        for person, file in people.items()
    }
    for public_id in uploaded.values():
        until(lambda public_id=public_id: face_ids(cloud.tags(public_id)))  # type: ignore[misc]
    return uploaded


def test_label_portraits_upload_a_group_photo_and_correct_everything(
    served: Served, families: Path
) -> None:
    cloud = served.cloud()
    portraits = learn(cloud, families, FAMILY | OTHERS)
    photo = cloud.upload(str(families / "identification1.jpg"), asset_folder="assets",
                         public_id="assets/party", tags=["summer"])  # fmt: skip
    group = photo["public_id"]
    until(lambda: cloud.tags(group) == {"summer", *FAMILY})

    # Relabel: the picture follows.
    cloud.call("remove_tag", "faceLabel:Dad", [portraits["Dad"]])
    cloud.call("add_tag", "faceLabel:Peter Ó", [portraits["Dad"]])
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Mom", "Son", "Daughter"})

    # Untag.
    cloud.call("remove_tag", "faceLabel:Mom", [portraits["Mom"]])
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Son", "Daughter"})
    assert not face_ids(cloud.tags(portraits["Mom"]))

    # Rename: nothing changes, the index follows the new name.
    cloud.call("rename", portraits["Son"], "training/the son")
    until(lambda: "training/the son" in str(served.program.json("people")))
    assert cloud.tags(group) == {"summer", "Peter Ó", "Son", "Daughter"}

    # Move out of the training folder.
    cloud.call("update", portraits["Daughter"], asset_folder="attic")
    until(lambda: cloud.tags(group) == {"summer", "Peter Ó", "Son"})

    # Delete.
    cloud.call("destroy", portraits["Dad"])
    until(lambda: cloud.tags(group) == {"summer", "Son"})
    until(lambda: people_known(served) == {"Son": 1, "Lady": 1, "Man": 1})

    # A name that a person takes away stays away.
    cloud.call("remove_tag", "Son", [group])
    learn(cloud, families, {"Dad": "Family1-Dad2"})
    until(lambda: cloud.tags(group) == {"summer", "Dad"})
    log = text_of(served.program.folder / "serve.log")
    assert cloud.options["api_secret"] not in log
    assert "Traceback" not in log


def test_labels_that_come_later(served: Served, families: Path) -> None:
    cloud = served.cloud()
    group = cloud.upload(str(families / "identification1.jpg"), asset_folder="assets")["public_id"]
    portraits = {
        person: cloud.upload(str(families / f"{file}.jpg"), asset_folder="training")["public_id"]
        for person, file in FAMILY.items()
    }
    for person, public_id in portraits.items():
        cloud.call("add_tag", f"faceLabel:{person}", [public_id])
    until(lambda: cloud.tags(group) == {*FAMILY})
    assert people_known(served) == dict.fromkeys(FAMILY, 1)


def test_labels_and_names_in_structured_metadata(program: Program, families: Path) -> None:
    program.environment["FACELABEL_NAMES_TO"] = "metadata"
    with serving(program) as served:
        cloud = served.cloud()
        cloud.call("add_metadata_field", {
            "external_id": "people", "label": "People", "type": "set",
            "datasource": {"values": []}, "allow_dynamic_list_values": True,
        })  # fmt: skip
        group = cloud.upload(str(families / "identification1.jpg"), asset_folder="assets")
        for person, file in FAMILY.items():
            portrait = cloud.upload(str(families / f"{file}.jpg"), asset_folder="training")
            cloud.call("update_metadata", {"people": [person]}, [portrait["public_id"]])

        def people() -> set[str]:
            asset = cloud.call("resource", group["public_id"])
            return set(asset.get("metadata", {}).get("people", ()))

        until(lambda: people() == {*FAMILY})
        assert cloud.tags(group["public_id"]) == set()


def test_the_originals_environment_alone(program: Program, families: Path) -> None:
    program.environment.update({
        "trainingFolder": "people/known", "faceRecognitionFolder": "uploads",
        "rekognitionCollection": "cld-rekog-collection", "confidenceThreshold": "85",
        "faceLabelTagPrefix": "who", "transformationParams": "q_auto,w_900,h_900",
    })  # fmt: skip
    with serving(program) as served:
        cloud = served.cloud()
        for person, file in FAMILY.items():
            cloud.upload(str(families / f"{file}.jpg"), asset_folder="people/known",
                         tags=f"who:{person}")  # fmt: skip
        group = cloud.upload(str(families / "identification1.jpg"), asset_folder="uploads")
        until(lambda: cloud.tags(group["public_id"]) == {*FAMILY})
