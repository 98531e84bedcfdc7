"""What the command line says while it works."""

from __future__ import annotations

import pytest

from facelabel.cli.report import IN_A_ROW, Tally
from facelabel.errors import Unavailable
from facelabel.model import Job, JobKind, JobState, Outcome
from facelabel.worker import Done


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
    with pytest.raises(Unavailable, match=r"quota.*; what is left waits"):
        note(waits("last"))


@pytest.mark.parametrize(
    "other",
    [
        Done(job("good"), Outcome("identified")),
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
    note(Done(job("a"), Outcome("identified")))
    assert (note.refused, note.waiting) == (True, False)
    note(Done(job("b"), Outcome("enrolled")))
    assert (note.refused, note.waiting) == (False, False)


def test_faces_left_out_are_counted() -> None:
    note = tally()
    note(Done(job("a"), Outcome("identified", left_out=2)))
    note(Done(job("b"), Outcome("identified", left_out=3)))
    assert note.summary() == "2 identified; 5 faces left out: `facelabel show ID` says why"
