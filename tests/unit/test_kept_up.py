"""What a server does beside answering goes on, whatever ends it."""

from __future__ import annotations

import threading
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from facelabel.errors import ConfigurationError
from facelabel.web.serving import server

if TYPE_CHECKING:
    from facelabel.bootstrap.app import App


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


def test_what_others_left_is_erased_each_minute_and_looked_for_each_hour() -> None:
    done: Counter[str] = Counter()

    class Passing(threading.Event):
        """Two hours and a half pass, which nobody waits for."""

        seconds = 0.0

        def wait(self, timeout: float | None = None) -> bool:
            self.seconds += timeout or 0.0
            return self.seconds > 2.5 * server.HOUR

    app = SimpleNamespace(
        settle=lambda: done.update(["settled"]), tidy=lambda: done.update(["tidied"])
    )
    server._tidy(cast("App", app), Passing())  # noqa: SLF001 - a thread of a whole server runs it
    assert done == {"settled": 148, "tidied": 2}
