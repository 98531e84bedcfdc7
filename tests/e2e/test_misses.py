"""Nothing is silent: a near miss is answered with the nearest thing, and what is empty says why."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program


@pytest.fixture
def portraits(samples: Path, tmp_path: Path) -> Path:
    """A folder per person, named as data sets name them."""
    for name, person in (("obama.jpg", "Barack_Obama"), ("biden.jpg", "Joe_Biden")):
        (tmp_path / "portraits" / person).mkdir(parents=True)
        shutil.copy(samples / name, tmp_path / "portraits" / person / name)
    return tmp_path / "portraits"


def people(facelabel: Program) -> list[str]:
    """Who is known."""
    return [person["name"] for person in facelabel.json("people")]


def test_underscores_in_names_of_folders(facelabel: Program, portraits: Path) -> None:
    """They are kept, which is said once; asked for, they are spaces, also in what was learnt."""
    told = "2 names have '_' in them (Barack_Obama, Joe_Biden), which is kept: --spaces makes"
    assert told in facelabel("index", portraits, "--dry-run")
    assert told in facelabel("index", portraits)
    assert people(facelabel) == ["Barack_Obama", "Joe_Biden"]
    spaced = facelabel.json("index", portraits, "--spaces")
    assert spaced["warnings"] == []
    assert people(facelabel) == ["Barack Obama", "Joe Biden"]
    assert "--spaces goes with PATH" in facelabel("index", "--spaces", status=2)


def test_an_id_that_is_not_there(facelabel: Program, samples: Path) -> None:
    """The nearest ones are named: digests of portraits may be left out."""
    facelabel("upload", samples / "obama.jpg", "--public-id", "training/john-baa8501d66")
    facelabel("upload", samples / "biden.jpg", "--public-id", "assets/Party")
    asset_id = facelabel.json("show", "assets/Party")["asset_id"]
    for ident, near in (
        ("training/john", "training/john-baa8501d66"),
        ("john", "training/john-baa8501d66"),
        ("assets/party.jpg", "assets/Party"),
        (asset_id[:10], "assets/Party"),
    ):
        for command in (["show", ident], ["tag-add", ident, "x"], ["rm", ident, "--yes"]):
            said = facelabel(*command, status=1)
            assert f"there is no picture {ident!r} in the library; did you mean {near!r}?" in said
    assert "; `facelabel library` lists them" in facelabel("show", "nobody", status=1)
    said = facelabel("tag", "Assets/2026", status=1)
    assert "(setting faceRecognitionFolder); did you mean 'assets/2026'?" in said


def test_rekognition_that_was_meant(facelabel: Program, portraits: Path) -> None:
    """A collection is named, and there are no credentials: doctor says so, and who learns first."""
    facelabel.environment["rekognitionCollection"] = "friends"
    although = (
        "rekognitionCollection is set, and faces are learnt on this computer: no AWS credentials"
        " were found (`aws configure`)"
    )
    assert f"✓ faces {although}" in facelabel("doctor")
    assert although not in facelabel("people")
    assert facelabel("index", portraits, "--spaces").count(although) == 1
    assert although not in facelabel("index", portraits, "--spaces")
    assert "those of this data folder were; FACELABEL_FACES=rekognition" in facelabel("doctor")
    facelabel.environment["FACELABEL_FACES"] = "local"
    assert "✓ faces" not in facelabel("doctor")


def test_a_region_that_is_missing_is_no_matter_of_the_data_folder(facelabel: Program) -> None:
    """It is said which variable to set."""
    (start,) = (
        finding
        for finding in facelabel.json("doctor", "--faces", "rekognition", status=1)
        if finding["what"] == "start"
    )
    assert "(AWS_DEFAULT_REGION)" in start["says"]
    assert start["advice"] == ""


def test_settings_without_effect(facelabel: Program) -> None:
    """In doctor alone, with the reason; a variable that is none everywhere."""
    facelabel.environment.update(
        FACELABEL_REKOGNITION_RATE="5", FACELABEL_REKOGNITION_USERS="true",
        CLOUDINARY_URL="cloudinary://key:hush@x?upload_prefix=http://localhost:1",
        FACELABEL_CONFIDENCE_TRESHOLD="90",
    )  # fmt: skip
    said = facelabel("doctor")
    assert (
        "✓ settings set, without effect: CLOUDINARY_URL (it is the address of a server on this"
        " computer, whose library this is); rekognition_users, rekognition_rate (faces are learnt"
        " on this computer)\n"
    ) in said
    assert "hush" not in said
    typo = (
        "FACELABEL_CONFIDENCE_TRESHOLD is no setting and is not read; did you mean"
        " 'FACELABEL_CONFIDENCE_THRESHOLD'?"
    )
    for command in ("doctor", "people", "library"):
        assert facelabel(command).count(typo) == 1
    assert "without effect" not in facelabel("people")


def test_a_key_or_a_pack_that_is_not_there(facelabel: Program) -> None:
    """The nearest one."""
    facelabel("keys", "add")
    key = facelabel.json("keys", "list")[0]["key"]
    said = facelabel("keys", "remove", key[:-1], status=1)
    assert f"there is no key {key[:-1]!r}; did you mean {key!r}?" in said
    assert "there is no key '!'; `facelabel keys` lists them" in facelabel(
        "keys", "remove", "!", status=1
    )
    for arguments in (["models", "pull", "clasic"], ["index", "--rebuild", "--pack", "clasic"]):
        assert "(.toml); did you mean 'classic'?" in facelabel(*arguments, status=2)
