"""What a server does beside answering goes on, whatever ends it."""

from __future__ import annotations

import threading

import pytest

from facelabel.errors import ConfigurationError
from facelabel.web import server


@pytest.mark.parametrize(
    ("error", "is_bug"),
    [(ConfigurationError("GRANT what is missing"), False), (KeyError("x"), True)],
)
def test_what_somebody_has_to_mend_is_one_line_and_a_bug_has_its_traceback(
    caplog: pytest.LogCaptureFixture, error: Exception, *, is_bug: bool
) -> None:
    stop, runs = threading.Event(), []

    def task() -> None:
        runs.append(1)
        stop.set()  # nobody waits for the pause
        raise error

    server._kept_up(task, stop)  # noqa: SLF001 - threads of a whole server run it
    (record,) = caplog.records
    assert "it starts again" in record.getMessage()
    assert (record.exc_info is not None) == is_bug
    assert len(runs) == 1
