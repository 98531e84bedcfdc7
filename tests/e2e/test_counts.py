"""What commands say at their end: pictures, portraits and people, as a person counts them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from facelabel import actions, settings
from facelabel.bootstrap.app import opened
from facelabel.core.model import Asset
from facelabel.engine.models.samples import two_people
from facelabel.inputs.portraits import Portrait

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program


@pytest.fixture
def people(samples: Path, tmp_path: Path) -> Path:
    """Portraits of two people, and two that cannot be learnt."""
    folder = tmp_path / "people"
    for name, person in (("obama.jpg", "Barack Obama"), ("biden.jpg", "Joe Biden")):
        (folder / person).mkdir(parents=True)
        shutil.copy(samples / name, folder / person / name)
    (folder / "Both").mkdir()
    (folder / "Both/two.jpg").write_bytes(two_people(samples))
    (folder / "Nobody").mkdir()
    Image.new("RGB", (300, 300)).save(folder / "Nobody/wall.png")
    return folder


def test_the_last_line_of_index_says_it_all(facelabel: Program, people: Path) -> None:
    """Reasons above it, each once, by file; nothing of jobs, logs or ids."""
    said = facelabel("index", people, status=1).splitlines()
    assert said[-1] == "2 portraits learnt, 2 refused; 2 people known"
    for file in ("Both/two.jpg", "Nobody/wall.png"):
        assert [line for line in said if file in line] == [
            line for line in said if line.startswith(f"{people / file}: ")
        ]
    assert len([line for line in said if ".jpg" in line or ".png" in line]) == 2
    again = facelabel("index", people, status=1).splitlines()
    assert again[-1] == "nothing new: 2 portraits known already, 2 refused; 2 people known"


def test_no_log_is_on_the_terminal(program: Program, people: Path) -> None:
    """A worker's log is for those who do not watch it."""
    said = program.bare("index", people, status=1)
    assert "WARNING" not in said
    assert said.count("two.jpg") == said.count("wall.png") == 1


def test_a_bad_portrait_is_looked_at_once(program: Program, people: Path) -> None:
    """Neither its label nor what we wrote on it is a reason to look again."""
    names = ("data", "models", "pack")
    flags = {name: program.environment[f"FACELABEL_{name.upper()}"] for name in names}
    looked: list[str] = []
    with opened(settings.load(flags)) as app:
        found = [
            Portrait(f"{people}/{file}", "Ann") for file in ("Both/two.jpg", "Nobody/wall.png")
        ]
        stored = [one for one in actions.upload_portraits(app, found) if isinstance(one, Asset)]
        app.library.add_tags(stored[0].asset_id, ["holiday"])
        actions.work(
            app, [], lambda done: looked.append(done.public_id) if done.buried else None
        )  # fmt: skip
    assert sorted(looked) == sorted(one.public_id for one in stored)


def test_uploading_a_folder_twice(facelabel: Program, samples: Path, tmp_path: Path) -> None:
    """Folders inside it stay folders; the second time it is said that nothing is new."""
    for number, place in enumerate(("trip", "trip/day 1", "trip/day 2+")):
        (tmp_path / place).mkdir()
        Image.new("RGB", (64, 64 + number)).save(tmp_path / place / "IMG_1.png")
    first = facelabel("upload", tmp_path / "trip").splitlines()
    assert first == [
        "assets/IMG_1",
        "assets/day 1/IMG_1",
        "assets/day 2/IMG_1",
        "3 uploaded; `facelabel worker --once` looks at them, if no worker is running",
    ]
    shutil.copy(samples / "obama.jpg", tmp_path / "trip")
    (tmp_path / "trip/bad.jpg").write_text("no picture")
    again = facelabel("upload", tmp_path / "trip", tmp_path / "trip/bad.jpg", status=1)
    assert again.splitlines()[-1].startswith("1 uploaded, 3 there already, 1 not uploaded; ")
    last = facelabel("upload", tmp_path / "trip").splitlines()
    assert last[-1] == "nothing new: 4 there already"
    assert "assets/day 1/IMG_1 (there already)" in last
    now = facelabel("upload", samples / "obama2.jpg", "--now").splitlines()
    assert now[0] == "assets/obama2: searched, nobody recognised"
    assert now[1:] == [
        "1 uploaded; 1 picture searched, none with names",
        "4 pictures wait besides: `facelabel worker --once`, if no worker is running",
    ]


def test_what_would_be_searched_is_listed_in_part(facelabel: Program, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(23):
        Image.new("RGB", (64, 64 + number)).save(tmp_path / f"many/{number}.png")
    facelabel("upload", tmp_path / "many")
    said = facelabel("tag", "--dry-run").splitlines()
    assert [line.strip() for line in said[20:]] == [
        "… 3 more", "23 pictures would be searched"
    ]  # fmt: skip
    assert all(line.startswith("  assets/") for line in said[:20])
    assert facelabel("tag").splitlines()[-1] == "23 pictures searched, none with names"


@pytest.fixture
def named(facelabel: Program, people: Path, samples: Path, tmp_path: Path) -> Program:
    """Two people known, and both named on a picture."""
    facelabel("index", people, status=1)
    (tmp_path / "party.jpg").write_bytes(two_people(samples))
    facelabel("upload", tmp_path / "party.jpg", "--now")
    return facelabel


def on_party(facelabel: Program) -> set[str]:
    """The tags of the picture."""
    return set(facelabel.json("show", "assets/party")["tags"])


def test_who_takes_a_name_off_is_obeyed_at_once(named: Program) -> None:
    """No worker is needed; put back, it is the person's own."""
    assert named("tag-remove", "assets/party", "Joe Biden") == "assets/party: Barack Obama\n"
    assert "not them, said a person: Joe Biden" in named("show", "assets/party")
    named("tag-add", "assets/party", "Joe Biden")
    assert "not them" not in named("show", "assets/party")
    assert on_party(named) == {"Barack Obama", "Joe Biden"}


def test_a_label_counts_at_once(named: Program) -> None:
    """Taken off, changed, and moved out of the training folder; the names follow."""
    (biden,) = named.json("people", "Joe Biden")["portraits"]
    portrait = biden["public_id"]
    assert "two labels" in named("tag-add", portrait, "faceLabel:Joe B.")
    assert on_party(named) == {"Barack Obama", "Joe Biden"}
    named("tag-remove", portrait, "faceLabel:Joe Biden")
    assert on_party(named) == {"Barack Obama", "Joe B."}
    named("rename", portrait, "training/joe")
    assert [one["public_id"] for one in named.json("people", "Joe B.")["portraits"]] == [
        "training/joe"
    ]
    named("move", "training/joe", "archive")
    assert on_party(named) == {"Barack Obama"}
    assert [one["name"] for one in named.json("people")] == ["Barack Obama"]


def test_others_that_wait_are_not_worked_for_it(named: Program, tmp_path: Path) -> None:
    """Nor is a picture searched because somebody tagged it."""
    (tmp_path / "many").mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64 + number)).save(tmp_path / f"many/{number}.png")
    named("upload", tmp_path / "many")
    said = named("tag-remove", "assets/party", "Joe Biden")
    assert "3 pictures wait besides: `facelabel worker --once`" in said
    assert "not them, said a person: Joe Biden" in named("show", "assets/party")
    named("tag-add", "assets/0", "holiday")
    assert named.json("show", "assets/0")["search"] is None
    assert "3 pictures are still to be looked at" in named("jobs", "list")
