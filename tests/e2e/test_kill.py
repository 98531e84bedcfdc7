"""kill -9 of worker and command line at random moments loses and doubles nothing."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from facelabel.engine.models.samples import two_people

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program

#: Kills come within this many seconds of a start: while it begins, works or, seldom, has ended.
WINDOW = 0.8


def _kill_at_random(facelabel: Program, moment: random.Random, *command: str | Path) -> bool:
    """Start a command that is loaded already; kill it, unless it ends before."""
    with facelabel.started(*command) as process, suppress(subprocess.TimeoutExpired):
        process.wait(moment.uniform(0.0, WINDOW))
    return process.returncode == -signal.SIGKILL


def _settle(facelabel: Program) -> None:
    """Work until nothing is left: leases of the dead end after two seconds."""
    for _ in range(10):
        facelabel("worker", "--once")
        if "nothing waits" in facelabel("jobs", "list"):
            return
    pytest.fail("the queue does not come to an end")


def _kill_again_and_again(facelabel: Program, samples: Path, folder: Path, kills: int) -> None:
    facelabel.environment["FACELABEL_LEASE"] = "2"
    portraits = folder / "portraits.csv"
    portraits.write_text(
        f"{samples / 'obama.jpg'},Barack Obama\n{samples / 'biden.jpg'},Joe Biden\n"
    )
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(4):
        (pictures / f"both{number}.jpg").write_bytes(two_people(samples) + bytes(number))
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    moment = random.Random(seed)
    commands: list[tuple[str | Path, ...]] = [
        ("index", portraits),
        ("upload", pictures),
        ("worker", "--once"),
        ("index", "--rebuild"),
        ("worker",),
        ("tag",),
    ]
    turn = itertools.cycle(commands)
    while kills:
        kills -= _kill_at_random(facelabel, moment, *next(turn))
    facelabel("index", portraits)
    facelabel("upload", pictures)
    _settle(facelabel)
    _assert_whole(facelabel)


def _assert_whole(facelabel: Program) -> None:
    """Two people from one photo each, both on every picture, no drift, nothing buried."""
    people = {row["name"]: len(row["portraits"]) for row in facelabel.json("people")}
    assert people == {"Barack Obama": 1, "Joe Biden": 1}
    pictures = facelabel.json("library", "assets")
    assert len(pictures) == 4
    for picture in pictures:
        assert sorted(picture["tags"]) == ["Barack Obama", "Joe Biden"]
    training = facelabel.json("library", "training")
    assert sorted(len(image["tags"]) for image in training) == [2, 2]  # label and faceId
    assert "what is learnt and the training folder agree" in facelabel(
        "index", "--check", "--dry-run"
    )
    assert "none has failed" in facelabel("jobs", "list")
    assert "0 pictures would be searched" in facelabel("tag", "--dry-run")


def test_a_few_kills(program: Program, samples: Path, tmp_path: Path) -> None:
    """The short version."""
    _kill_again_and_again(program, samples, tmp_path, kills=6)


@pytest.mark.soak
def test_fifty_kills(program: Program, samples: Path, tmp_path: Path) -> None:
    """The long version."""
    _kill_again_and_again(program, samples, tmp_path, kills=50)
