"""What the command line says while it works."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from facelabel.actions import IN_A_ROW
from facelabel.cli.tally import Tally, remarks
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
        Done(job("good"), Outcome(OutcomeKind.SEARCHED)),
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
    assert note.waiting


def test_what_failed_last_counts_for_the_exit_status() -> None:
    """A job that went well in the end did; one that failed for good outweighs nothing else."""
    note = tally()
    assert (note.refused, note.waiting) == (False, False)
    note(waits("a"))
    assert (note.refused, note.waiting) == (False, True)
    note(Done(job("b"), error="no face", buried=True))
    assert (note.refused, note.waiting) == (True, True)
    note(Done(job("a"), Outcome(OutcomeKind.SEARCHED)))
    assert (note.refused, note.waiting) == (True, False)
    note(Done(job("b"), Outcome(OutcomeKind.LEARNT)))
    assert (note.refused, note.waiting) == (False, False)


def test_faces_left_out_are_counted() -> None:
    note = tally()
    note(Done(job("a"), Outcome(OutcomeKind.SEARCHED, left_out=2)))
    note(Done(job("b"), Outcome(OutcomeKind.SEARCHED, left_out=3)))
    assert note.summary() == (
        "2 pictures searched, none with names; 5 faces left out: `facelabel show ID` says why"
    )


def searched(key: str, *names: str) -> Done:
    """A picture that was searched."""
    return Done(job(key), Outcome(OutcomeKind.SEARCHED, names=names))


def test_pictures_and_people_are_counted_and_not_jobs() -> None:
    """What comes back of our own tags is no picture more; one looked at twice is one."""
    note = tally()
    for done in (
        searched("a", "Ann", "Bo"), searched("b"), searched("b", "Ann"), searched("c"),
        Done(job("d"), Outcome(OutcomeKind.LEARNT)),
        Done(job("e"), Outcome(OutcomeKind.LEARNT)),
        Done(job("f"), error="no face", buried=True),
        Done(job("f"), error="no face", buried=True),
        Done(job("d"), Outcome(OutcomeKind.UNCHANGED)),
        Done(replace(job("1"), kind=JobKind.TAGS), Outcome(OutcomeKind.NOTED)),
        Done(replace(job("all"), kind=JobKind.SWEEP), Outcome(OutcomeKind.SWEPT)),
        Done(replace(job("x"), kind=JobKind.NOTIFY), error="no host", buried=True),
    ):  # fmt: skip
        note(done)
    assert note.summary(1) == (
        "2 portraits learnt; 3 pictures searched, 2 with names (3 names); 1 picture refused;"
        " 1 person known"
    )


def test_the_bar_counts_pictures() -> None:
    """Of changed tags, sweeps and notifications nobody asked."""
    moved: list[tuple[int, int | None]] = []
    note = Tally(lambda *how_far: moved.append(how_far), lambda: 3, quiet=True)
    note(Done(replace(job("1"), kind=JobKind.TAGS), Outcome(OutcomeKind.NOTED)))
    note(searched("a"))
    assert moved == [(1, 4)]


def test_each_reason_is_told_once_under_the_name_that_the_user_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file that was given, else the public_id; of subscribers apart from pictures."""
    note = Tally(lambda _done, _total: None, lambda: 0, titles={"a": "john.jpg"})
    for _ in range(2):
        note(Done(job("a"), error="no face", buried=True, public_id="training/john"))
        note(Done(job("b"), error="two faces", buried=True, public_id="training/mary"))
    note(Done(job("c"), error="the disk is full", public_id="training/bo"))
    for number in range(8):
        key = f"{number}"
        note(Done(replace(job(key), kind=JobKind.NOTIFY), error="no host", buried=True))
    note.tell()
    assert capsys.readouterr().err.splitlines() == [
        "john.jpg: no face",
        "training/mary: two faces",
        "training/bo: waiting: the disk is full",
        "8 notifications could not be sent: no host",
    ]
    assert note.summary() == "2 pictures refused; 1 picture left for later"


def test_what_ended_the_work_is_told_and_something_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """So the command reports what was done, and ends with 75."""
    note = tally()
    note(Done(job("a"), Outcome(OutcomeKind.SEARCHED)))
    note.stop(Unavailable("the quota is used up"))
    assert (note.refused, note.waiting) == (False, True)
    assert note.summary() == "1 picture searched, none with names"
    assert "the quota is used up; what is left waits" in capsys.readouterr().err


def test_what_many_wait_for_is_said_once() -> None:
    """Two thousand lines of one reason would hide the others."""
    outcomes = [(f"{n}", Outcome(OutcomeKind.WAITING, note="no network")) for n in range(2000)]
    outcomes += [
        ("bad", Outcome(OutcomeKind.REFUSED, note="no face")),
        ("good", Outcome(OutcomeKind.SEARCHED)),
    ]
    outcomes += [("busy", Outcome(OutcomeKind.WAITING, note="another worker has it"))]
    assert remarks(outcomes) == [
        ("bad", "no face"), ("2,000 pictures", "waiting: no network"),
        ("busy", "waiting: another worker has it"),
    ]  # fmt: skip


def test_what_helps_with_a_data_folder_that_may_not_be_written(as_nobody: Path) -> None:
    assert advice_on(as_nobody) == advice_on(as_nobody / "none yet") == ""
    as_nobody.chmod(0o500)
    try:
        assert "have its owner allow it, or choose another data folder" in advice_on(as_nobody)
    finally:
        as_nobody.chmod(0o700)
