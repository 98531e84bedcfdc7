"""What somebody at a terminal answers to the question of ``tag`` is what happens."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.waiting import PATIENCE

from facelabel.engine.models.samples import two_people
from facelabel.engine.own_calibrations import Calibrations, OwnCalibration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Program

QUESTION = b"[y/N]: "
CTRL_C = "\x03"
BOTH = {"Barack Obama", "Joe Biden"}


def answering(program: Program, *arguments: str, answers: list[Callable[[], str]]) -> str:
    """What a command shows on a terminal where somebody answers one question after the other."""
    ours, theirs = pty.openpty()
    shown, left = b"", [*answers]
    with io.FileIO(ours, "r+") as screen:
        process = subprocess.Popen(
            program.command(*arguments, interrupted=True),
            env={**program.environment, "TERM": "dumb"}, cwd=program.folder,
            stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
        )  # fmt: skip
        os.close(theirs)
        try:
            with contextlib.suppress(OSError):  # nobody has the terminal open any more
                while select.select([screen], [], [], PATIENCE)[0]:
                    shown += screen.read(4096)
                    if shown.count(QUESTION) > len(answers) - len(left):
                        if (answer := left.pop(0)()) == CTRL_C:
                            process.send_signal(signal.SIGINT)
                        else:
                            screen.write(f"{answer}\n".encode())
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert not left, shown
    return " ".join(shown.decode().split())  # as wide as the terminal is


def no() -> str:
    """Somebody does not want it."""
    return "n"


@pytest.fixture
def named(program: Program, facelabel: Program, samples: Path, tmp_path: Path) -> Program:
    """The program with a picture on which two people are named."""
    for name, person in (("obama.jpg", "Barack Obama"), ("biden.jpg", "Joe Biden")):
        (tmp_path / "portraits" / person).mkdir(parents=True)
        shutil.copy(samples / name, tmp_path / "portraits" / person / name)
    (tmp_path / "party.jpg").write_bytes(two_people(samples))
    facelabel("index", tmp_path / "portraits")
    facelabel("upload", tmp_path / "party.jpg", "--now")
    assert tags(facelabel) == BOTH
    return program


def tags(facelabel: Program) -> set[str]:
    """Who is on the picture."""
    return set(facelabel.json("show", "assets/party")["tags"])


def test_who_says_no_keeps_the_names_of_an_earlier_calibration(
    named: Program, facelabel: Program
) -> None:
    """Nor are they changed by who looks for what is out of date."""
    model = facelabel.json("show", "assets/party")["search"]["model"].removeprefix("facelabel ")
    own = OwnCalibration(
        ((0.001, 99.0), (0.002, 80.0)), 150, 31_025, 1_764_115_200.0, stricter=True
    )
    Calibrations(facelabel.folder.parent / "data" / "calibration").keep(model, own)
    shown = answering(named, "tag", answers=[no])
    assert "2 names would go from 1 picture" in shown
    assert "they stay as they are" in shown
    assert tags(facelabel) == BOTH
    facelabel("reconcile")
    assert tags(facelabel) == BOTH


def test_ctrl_c_is_no_answer(named: Program, facelabel: Program) -> None:
    """The command ends as it does anywhere else."""
    strict = ("--confidence-threshold", "99.99")
    shown = answering(named, "tag", *strict, answers=[lambda: CTRL_C])
    assert "stopped; the same command goes on from here" in shown
    assert "Aborted" not in shown
    assert tags(facelabel) == BOTH


def test_who_is_asked_while_somebody_else_agrees_is_asked_again(
    named: Program, facelabel: Program
) -> None:
    """With what would change now; and nobody waits for the answer."""
    strict = ("--confidence-threshold", "99.99")
    facelabel("tag", *strict, "--yes")
    assert tags(facelabel) == set()

    def too_late() -> str:
        facelabel("tag", "--confidence-threshold", "100", "--yes")
        return "y"

    shown = answering(named, "tag", answers=[too_late, no])
    assert "names were decided by confidence_threshold 99.99 until now" in shown
    assert "names were decided by confidence_threshold 100 until now" in shown
    assert tags(facelabel) == set()
    assert "names are decided by confidence_threshold 100, as was agreed" in facelabel("doctor")
