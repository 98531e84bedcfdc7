"""What the command line says while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facelabel.actions import IN_A_ROW
from facelabel.cli.report import Tally, remarks
from facelabel.cli.terminal import advice_on
from facelabel.core.jobs import Job, JobKind, JobState, Outcome, OutcomeKind
from facelabel.errors import Unavailable
from facelabel.recognition.worker import Done

if TYPE_CHECKING:
    from pathlib import Path


def job(key: str) -> Job:
    """A job about an asset."""
    return Job(1, JobKind.ASSET, key, {}, JobState.READY, 1, 0.0)


def waits(key: str) -> Done:
    """A job that cannot be done now."""
    return Done(job(key), error="the quota is used up")


def tally() -> Tally:
    """A tally of a queue that is empty."""
    return Tally(lambda _done, _total: None, lambda: 0, quiet=True)


def test_it_ends_where_job_after_job_has_to_wait() -> None:
    """Two thousand of them would say the same."""
    note = tally()
    for number in range(1, IN_A_ROW):
        note(waits(f"{number}"))
    with pytest.raises(Unavailable, match=r"^the quota is used up$"):
        note(waits("last"))


@pytest.mark.parametrize(
    "other",
    [
        Done(job("good"), Outcome(OutcomeKind.IDENTIFIED)),
        Done(job("bad"), error="no face", buried=True),
    ],
)
def test_one_picture_in_trouble_stops_nothing(other: Done) -> None:
    """However often it comes; nor do several with something done between them."""
    note = tally()
    for number in range(2 * IN_A_ROW):
        note(waits("the same"))
        note(waits(f"{number}"))
        note(other)
    assert note.kinds["to be retried"] == 4 * IN_A_ROW


def test_what_failed_last_counts_for_the_exit_status() -> None:
    """A job that went well in the end did; one that failed for good outweighs nothing else."""
    note = tally()
    assert (note.refused, note.waiting) == (False, False)
    note(waits("a"))
    assert (note.refused, note.waiting) == (False, True)
    note(Done(job("b"), error="no face", buried=True))
    assert (note.refused, note.waiting) == (True, True)
    note(Done(job("a"), Outcome(OutcomeKind.IDENTIFIED)))
    assert (note.refused, note.waiting) == (True, False)
    note(Done(job("b"), Outcome(OutcomeKind.ENROLLED)))
    assert (note.refused, note.waiting) == (False, False)


def test_faces_left_out_are_counted() -> None:
    note = tally()
    note(Done(job("a"), Outcome(OutcomeKind.IDENTIFIED, left_out=2)))
    note(Done(job("b"), Outcome(OutcomeKind.IDENTIFIED, left_out=3)))
    assert note.summary() == "2 identified; 5 faces left out: `facelabel show ID` says why"


def test_what_ended_the_work_is_told_and_something_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """So the command reports what was done, and ends with 75."""
    note = tally()
    note(Done(job("a"), Outcome(OutcomeKind.IDENTIFIED)))
    note.stop(Unavailable("the quota is used up"))
    assert (note.refused, note.waiting) == (False, True)
    assert note.summary() == "1 identified"
    assert "the quota is used up; what is left waits" in capsys.readouterr().err


def test_what_many_wait_for_is_said_once() -> None:
    """Two thousand lines of one reason would hide the others."""
    outcomes = [(f"{n}", Outcome(OutcomeKind.WAITING, note="no network")) for n in range(2000)]
    outcomes += [
        ("bad", Outcome(OutcomeKind.REFUSED, note="no face")),
        ("good", Outcome(OutcomeKind.IDENTIFIED)),
    ]
    outcomes += [("busy", Outcome(OutcomeKind.WAITING, note="another worker has it"))]
    assert remarks(outcomes) == [
        ("bad", "no face"), ("2000 pictures", "waiting: no network"),
        ("busy", "waiting: another worker has it"),
    ]  # fmt: skip


def test_what_helps_with_a_data_folder_that_may_not_be_written(as_nobody: Path) -> None:
    assert advice_on(as_nobody) == advice_on(as_nobody / "none yet") == ""
    as_nobody.chmod(0o500)
    try:
        assert "have its owner allow it, or choose another data folder" in advice_on(as_nobody)
    finally:
        as_nobody.chmod(0o700)
