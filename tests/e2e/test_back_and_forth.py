"""What is asked is what is kept: a threshold changed back and forth on fifty pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program


def told(said: str) -> tuple[int, ...]:
    """How many names would come, how many go, on how many pictures."""
    (line,) = [line for line in said.splitlines() if "names were decided by" in line]
    patterns = (
        r"(\d+) names? would come",
        r"(\d+)(?: names?)? would go",
        r" (?:on|from) (\d+) picture",
    )
    found = [re.search(pattern, line) for pattern in patterns]
    return tuple(int(one[1]) if one else 0 for one in found)


def named(facelabel: Program) -> dict[str, frozenset[str]]:
    """Who is on each picture."""
    return {
        picture["public_id"]: frozenset(picture["names"])
        for picture in facelabel.json("library", "assets")
    }


@pytest.fixture
def pictures(facelabel: Program, data: Path, tmp_path: Path) -> dict[str, frozenset[str]]:
    """Fifty pictures with names, among forty people known."""
    portraits = data / "portraits"
    known = sorted((portraits / "gallery").iterdir())[:40]
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(f"{file},{file.stem}\n" for file in known))
    facelabel("index", labels)
    groups = sorted((portraits / "groups").glob("*.jpg"))
    photos = [*groups, *sorted((portraits / "probe").iterdir())][:50]
    facelabel("upload", "--now", *photos)
    found = named(facelabel)
    assert len(found) == 50
    assert sum(map(bool, found.values())) > 20
    return found


def test_no_name_changes_without_being_told_before(
    facelabel: Program, pictures: dict[str, frozenset[str]], data: Path, tmp_path: Path
) -> None:
    """As many come and go as is told, and only where that was agreed to."""
    before = pictures
    portrait = max((data / "portraits" / "gallery").iterdir())
    others = [("worker", "--once"), ("reconcile",), ("index",),
              ("upload", portrait, "--label", portrait.stem, "--now")]  # fmt: skip
    counts = []
    for threshold in ("99", "80", "99.9", "97", "80"):
        flags = ("--confidence-threshold", threshold)
        promised = told(facelabel("tag", *flags, status=1))
        assert named(facelabel) == before
        facelabel("tag", *flags, "--yes")
        after = named(facelabel)
        come = sum(len(after[one] - before[one]) for one in after)
        gone = sum(len(before[one] - after[one]) for one in after)
        changed = sum(before[one] != after[one] for one in after)
        assert promised == (come, gone, changed)
        counts.append((come, gone))
        for command in others:  # by the settings, which say 80
            facelabel(*command)
            assert named(facelabel) == after
        assert ("they stay as they are" in facelabel("tag")) == (threshold != "80")
        assert named(facelabel) == after
        before = after
    assert all(come or gone for come, gone in counts)


def test_what_keeps_a_flag_is_said_as_it_works(
    facelabel: Program, pictures: dict[str, frozenset[str]]
) -> None:
    """The line for facelabel.toml, copied there, has the next command ask nothing."""
    said = facelabel("tag", "--confidence-threshold", "99", "--yes")
    (line,) = re.findall(r"to keep it, write `(.*?)` into", said)
    assert line == "confidence_threshold = 99"
    strict = named(facelabel)
    assert strict != pictures
    facelabel("tag")
    assert "names are decided by confidence_threshold 99, as was agreed to" in facelabel("doctor")
    (facelabel.folder / "facelabel.toml").write_text(f"{line}\n")
    assert "50 pictures were searched before" in facelabel("tag")
    assert named(facelabel) == strict
    said = facelabel("tag", "--confidence-threshold", "80", "--yes")
    assert "write `confidence_threshold = 80` into facelabel.toml, in the place of" in said
    assert named(facelabel) == pictures


def test_other_commands_do_not_change_the_rules(
    facelabel: Program, pictures: dict[str, frozenset[str]]
) -> None:
    """They say which one does, and have done nothing."""
    picture, person = next((key, next(iter(names))) for key, names in pictures.items() if names)
    library = facelabel("library")
    for command in (
        ("index",), ("worker", "--once"), ("reconcile",), ("tag-add", picture, "Somebody Else"),
        ("tag-remove", picture, person), ("move", picture, "training"),
        ("rename", picture, "other"), ("rm", picture), ("forget", person),
    ):  # fmt: skip
        said = facelabel(*command, "--confidence-threshold", "99", status=1)
        assert "`facelabel tag --confidence-threshold 99 --dry-run` says how many" in said
    assert facelabel("library") == library
    assert "nothing waits" in facelabel("jobs", "list", "--all")
    assert named(facelabel) == pictures


@pytest.fixture
def people(facelabel: Program, data: Path, tmp_path: Path) -> list[str]:
    """A dozen people known, more than may be forgotten unasked."""
    labels = tmp_path / "labels.csv"
    known = sorted((data / "portraits" / "gallery").iterdir())[:12]
    labels.write_text("".join(f"{file},{file.stem}\n" for file in known))
    facelabel("index", labels)
    return names(facelabel)


def names(facelabel: Program) -> list[str]:
    """Who is known."""
    return [person["name"] for person in facelabel.json("people")]


FORGETTING = [("--training-folder", "elsewhere"), ("--face-label-tag-prefix", "who")]


@pytest.mark.parametrize("flags", FORGETTING)
def test_nobody_is_forgotten_without_being_told_before(
    facelabel: Program, people: list[str], data: Path, flags: tuple[str, str]
) -> None:
    """As long as the pictures are there, by a flag or by a variable of one shell."""
    portrait = max((data / "portraits" / "gallery").iterdir())
    name, value = flags[0].removeprefix("--").replace("-", "_"), flags[1]
    told = f"by {name} {value} ({flags[0]}) 12 of 12 portraits would be forgotten"
    for command in (("index",), ("index", "--check"), ("reconcile",)):
        said = facelabel(*command, *flags, status=1)
        assert told in said
        assert f"nothing was done: `facelabel {command[0]} {flags[0]} {value} --yes`" in said
    for other in (("worker", "--once"), ("tag",), ("upload", portrait, "--now")):
        said = facelabel(*other, *flags, status=1)
        assert f"`facelabel index {flags[0]} {value} --dry-run` says who" in said
    assert told in facelabel("index", *flags, "--dry-run")
    assert names(facelabel) == people
    facelabel.environment[f"FACELABEL_{name.upper()}"] = value
    for command in (("worker", "--once"), ("tag",)):
        assert f"as was agreed to, and not by {name} {value}" in facelabel(*command)
    for command in (("index",), ("reconcile",)):
        facelabel(*command, status=1)
    assert "as was agreed to" in facelabel("doctor")
    assert names(facelabel) == people


def test_who_was_agreed_to_be_forgotten_is_learnt_again_when_that_is(
    facelabel: Program, people: list[str]
) -> None:
    flags = FORGETTING[0]
    said = facelabel("reconcile", *flags, "--yes")
    (line,) = re.findall(r"to keep it, write `(.*?)` into", said)
    assert names(facelabel) == []
    facelabel("worker", "--once")  # by the settings, which say otherwise
    assert names(facelabel) == []
    assert "12 portraits would be learnt, of 12 new people" in facelabel("index", status=1)
    (facelabel.folder / "facelabel.toml").write_text(f"{line}\n")
    facelabel("index")
    assert names(facelabel) == []
    (facelabel.folder / "facelabel.toml").unlink()
    facelabel("index", "--yes")
    assert names(facelabel) == people
