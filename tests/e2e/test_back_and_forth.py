"""What is asked is what is kept: a threshold changed back and forth on fifty pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program

TOLD = re.compile(r"(\d+) names? would come and (\d+) would go, on (\d+) picture")


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
        (told,) = TOLD.findall(facelabel("tag", *flags, status=1))
        assert named(facelabel) == before
        facelabel("tag", *flags, "--yes")
        after = named(facelabel)
        come = sum(len(after[one] - before[one]) for one in after)
        gone = sum(len(before[one] - after[one]) for one in after)
        changed = sum(before[one] != after[one] for one in after)
        assert tuple(map(int, told)) == (come, gone, changed)
        counts.append((come, gone))
        for command in others:  # by the settings, which say 80
            facelabel(*command)
            assert named(facelabel) == after
        facelabel("tag", status=0 if threshold == "80" else 1)
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
    facelabel("tag", status=1)
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
    """They say which one does."""
    for command in (("index",), ("worker", "--once"), ("reconcile",)):
        said = facelabel(*command, "--confidence-threshold", "99", status=1)
        assert "`facelabel tag --confidence-threshold 99 --dry-run` says how many" in said
    assert named(facelabel) == pictures
