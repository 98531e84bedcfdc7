"""Nothing is silent: a near miss is answered with the nearest thing, and what is empty says why."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import customer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program
    from tests.e2e.served import Served


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
    spaced = facelabel.document("index", portraits, "--spaces")
    (said,) = spaced["warnings"]
    assert said.startswith("known by another spelling: ")
    assert said.endswith("'Barack_Obama' becomes 'Barack Obama', 'Joe_Biden' becomes 'Joe Biden'")
    assert people(facelabel) == ["Barack Obama", "Joe Biden"]
    assert "nothing new: 2 portraits known already" in facelabel("index", portraits)
    assert people(facelabel) == ["Barack Obama", "Joe Biden"]
    back = facelabel.document("index", portraits, "--no-spaces", "--dry-run")["warnings"]
    assert back[0].endswith(
        "'Barack Obama' becomes 'Barack_Obama', 'Joe Biden' becomes 'Joe_Biden'"
    )
    assert "--spaces and --no-spaces go with PATH" in facelabel("index", "--spaces", status=2)


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
    assert f"✓ faces: {although}" in facelabel("doctor")
    assert although not in facelabel("people")
    assert facelabel("index", portraits, "--spaces").count(although) == 1
    assert although not in facelabel("index", portraits, "--spaces")
    assert "those of this data folder were; FACELABEL_FACES=rekognition" in facelabel("doctor")
    facelabel.environment["FACELABEL_FACES"] = "local"
    assert " faces:" not in facelabel("doctor")


def test_a_region_that_is_missing_is_no_matter_of_the_data_folder(facelabel: Program) -> None:
    """It is said which variable to set."""
    (start,) = (
        finding
        for finding in facelabel.json("doctor", "--faces", "rekognition", status=1)
        if finding["what"] == "start"
    )
    assert start["says"].endswith(" Set AWS_DEFAULT_REGION, or `aws configure`")
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
        "✓ settings: set, without effect: CLOUDINARY_URL (it is the address of a server on this"
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


def test_a_tag_that_is_not_on_the_picture(facelabel: Program, samples: Path) -> None:
    """Says so by its status, and which one may be meant; those that are there go all the same."""
    facelabel("upload", samples / "obama.jpg", "--public-id", "assets/x", "--tag", "Family Mom",
              "--tag", "beach")  # fmt: skip
    said = facelabel("tag-remove", "assets/x", "family mom", "beach", status=1)
    assert "'family mom' is not on assets/x; did you mean 'Family Mom'?" in said
    assert "assets/x: Family Mom" in said
    assert "'car' is not on assets/x\n" in facelabel("tag-remove", "assets/x", "car", status=1)
    assert "assets/x: no tags" in facelabel("tag-remove", "assets/x", "Family Mom")


def test_a_label_in_another_spelling(facelabel: Program, samples: Path) -> None:
    """Is refused by commands; where a program wrote it, the picture says why it teaches nothing."""
    wrong = "the tag 'facelabel:Ann' is no label: a label is written 'faceLabel:Ann'"
    obama = samples / "obama.jpg"
    facelabel("upload", obama, "--folder", "training", "--public-id", "training/x")
    assert wrong in facelabel("tag-add", "training/x", "facelabel:Ann", status=1)
    assert wrong in facelabel("upload", obama, "--tag", "facelabel:Ann", status=1)
    said = facelabel("upload", obama, "--label", "FaceLabel:Ann", status=1)
    assert "a label is written 'faceLabel:Ann'" in said
    assert "there is no picture" in facelabel("show", "assets/obama", status=1)
    facelabel("tag-add", "training/x", "faceLabel:Ann")
    facelabel("worker", "--once")
    assert people(facelabel) == ["Ann"]
    said = facelabel("upload", samples / "biden.jpg", "--public-id", "assets/y")
    said = facelabel("tag-add", "assets/y", "faceLabel:Joe")
    assert "a label teaches only in the training folder 'training', and this is in 'assets'" in said


def test_what_is_ignored_has_a_reason(facelabel: Program, samples: Path) -> None:
    """When it is uploaded, when it is worked, and afterwards."""
    pictures = [samples / f"{name}.jpg" for name in ("obama", "obama2", "biden")]
    none_of_ours = "'Assets' is none of our folders (pictures in 'assets' are searched"
    said = facelabel("upload", *pictures, "--folder", "Assets")
    assert said.count(none_of_ours) == 1
    assert "; did you mean 'assets'?" in said
    assert "worker --once" not in said
    said = facelabel("worker", "--once")
    assert f"3 pictures left alone: {none_of_ours}" in said
    said = facelabel("upload", pictures[0], "--folder", "Assets/a", "--now")
    assert said.count("'Assets/a' is none of our folders") == 1
    assert none_of_ours in facelabel("show", "Assets/obama")
    unlabelled = "3 portraits have no label and teach nothing: `facelabel upload FILE --label NAME`"
    assert unlabelled in facelabel("upload", *pictures, "--folder", "training", "--now")
    assert "not learnt: it has no label" in facelabel("show", "training/obama")
    told = facelabel.json("upload", pictures[0], "--folder", "photos", "--now")
    assert "'photos' is none of our folders" in told["pictures"][0]["note"]
    assert none_of_ours in facelabel("move", "training/obama", "Assets")
    said = facelabel("upload", pictures[0], "--folder", "trainng", "--label", "Ann", status=1)
    assert "not in 'trainng'; did you mean 'training'?" in said


def test_what_is_empty_says_why(facelabel: Program, portraits: Path, samples: Path) -> None:
    """And what comes next, from the first command on."""
    nobody = "nobody is known yet: `facelabel index FOLDER` learns from labelled portraits"
    empty = "there are no portraits in the library's folder 'training': `facelabel index FOLDER`"
    assert empty in facelabel("index")
    said = facelabel("index", "training/", status=1)
    assert "`facelabel index` alone learns what is in the library's folder 'training'" in said
    said = facelabel("jobs", "retry", "7", status=1)
    assert "there is no failed job 7: `facelabel jobs list` has them" in said
    assert empty in facelabel("index", "--check", "--dry-run")
    assert nobody in facelabel("people")
    assert "there are no pictures in 'assets': `facelabel upload PICTURES`" in facelabel("tag")
    assert "the library is empty: `facelabel upload PICTURES`" in facelabel("library")
    assert "there are no pictures in 'training': `facelabel index" in facelabel(
        "library", "training"
    )
    assert "there are no pictures in 'training' and 'assets'" in facelabel("reconcile")
    assert nobody in facelabel("identify", samples / "obama.jpg")
    facelabel("upload", samples / "obama.jpg")
    assert "not searched yet: `facelabel worker --once`" in facelabel("show", "assets/obama")
    assert nobody in facelabel("tag")
    facelabel("upload", samples / "biden.jpg", "--folder", "training")
    assert "1 picture has no label, such as faceLabel:John Doe, in the folder 'training'" in (
        facelabel("index")
    )

    facelabel("index", portraits, "--spaces")
    before = "nothing new: 1 picture was searched before; `facelabel tag --again` searches all"
    assert before in facelabel("tag")
    assert before in facelabel("tag", "--dry-run")
    assert "nothing new" not in facelabel("tag", "--again")
    assert "no folder 'assets/2062' in the library" in facelabel("tag", "assets/2062", status=1)
    said = facelabel("library", "trainng", status=1)
    assert "there is no folder 'trainng' in the library; did you mean 'training'?" in said
    said = facelabel("library", "--person", "barack obama")
    assert "there are no pictures of 'barack obama'; did you mean 'Barack Obama'?" in said
    assert "there are no pictures of 'Joe Biden'\n" in facelabel("library", "--person", "Joe Biden")
    assert facelabel.json("library", "--person", "barack obama") == []
    assert nobody not in facelabel("identify", samples / "obama.jpg")
    assert "what is learnt and the training folder agree" in facelabel("index")


def test_the_same_on_an_account(facelabel: Program, amazon: Served, samples: Path) -> None:
    """Asking Cloudinary a few times; folders are those of the account."""
    facelabel.environment.update(
        CLOUDINARY_URL=amazon.cloudinary_url, FACELABEL_LIBRARY="cloudinary",
        FACELABEL_DATA=str(facelabel.folder.parent / "ours"),
    )  # fmt: skip
    assert "there are no portraits in the library's folder 'training'" in facelabel("index")
    assert "there are no pictures in 'training' and 'assets'" in facelabel("reconcile")
    facelabel("upload", samples / "obama.jpg", "--label", "Barack Obama", "--now")
    (portrait,) = facelabel.json("library", "training")
    near = f"; did you mean {portrait['public_id']!r}?"
    for ident in ("training/obam", "obam", "trainng/Obama", "training/obma"):
        assert near in facelabel("show", ident, status=1)
    said = facelabel("library", "trainng", status=1)
    assert "there is no folder 'trainng' in the library; did you mean 'training'?" in said
    assert "did you mean 'assets/2026'?" in facelabel("tag", "Assets/2026", status=1)
    assert "there are no pictures in 'assets'" in facelabel("tag")
    said = facelabel("library", "--person", "barack obama")
    assert "there are no pictures of 'barack obama'; did you mean 'Barack Obama'?" in said
    said = facelabel("tag-remove", portrait["public_id"], "facelabel:barack obama", status=1)
    assert "; did you mean 'faceLabel:Barack Obama'?" in said
    vain = "derived_mb (the pictures are on Cloudinary)"
    assert vain in facelabel("doctor", "--derived-mb", "5")


def test_a_label_that_a_program_misspelt(facelabel: Program, amazon: Served, samples: Path) -> None:
    """On an account, with its SDK: it is said until it is mended.

    Not looked for in the picture's context: the server that stands for the account clears that, as
    to its own worker the folder is none of ours.
    """
    cloud = amazon.cloud()
    facelabel.environment.update(
        CLOUDINARY_URL=amazon.cloudinary_url, FACELABEL_LIBRARY="cloudinary",
        trainingFolder="people",
    )  # fmt: skip
    picture = cloud.upload(str(samples / "obama.jpg"), asset_folder="people", tags="facelabel:Ann")
    name = str(picture["public_id"])
    said = facelabel("reconcile", status=1)
    assert (
        f"{name}: the tag 'facelabel:Ann' is no label: a label is written 'faceLabel:Ann'" in said
    )
    (row,) = facelabel.json("jobs", "list")
    assert "a label is written" in row["job"]["reason"]
    assert "the tag 'facelabel:Ann' is no label" in facelabel("index", status=1)
    cloud.call("replace_tag", "faceLabel:Ann", [name])
    facelabel("jobs", "retry", "--all")  # of an account that tells nobody of changes
    facelabel("worker", "--once")
    assert people(facelabel) == ["Ann"]


def test_the_same_with_rekognition(
    facelabel: Program, amazon: Served, collection: str, samples: Path, portraits: Path
) -> None:
    """Nobody is known there, either; what is set for models of our own has no effect."""
    theirs = customer(facelabel, amazon.url, collection)
    asking = type(facelabel)(theirs.environment, theirs.folder)
    nobody = "nobody is known yet: `facelabel index FOLDER` learns from labelled portraits"
    assert nobody in asking("identify", samples / "obama2.jpg")
    vain = "set, without effect: stranger_chance (Amazon's similarities are not calibrated)"
    assert vain in asking("doctor", "--stranger-chance", "1")
    asking("index", portraits, "--spaces")
    assert nobody not in asking("identify", samples / "obama2.jpg")
    assert "faces are learnt on this computer" not in asking("doctor")
