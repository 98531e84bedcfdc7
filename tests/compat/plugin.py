"""Runs in the process of the official SDK's tests: notes which of them really call the server."""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

#: host:port of the server under test.
SERVER = os.environ["COMPAT_SERVER"]
RESULTS = Path(os.environ["COMPAT_RESULTS"])
#: Stands in for an image on the web, which may be out of reach.
REMOTE_IMAGE = os.environ["COMPAT_REMOTE_IMAGE"]

_putrequest = http.client.HTTPConnection.putrequest
_calls = 0
_results: dict[str, dict[str, Any]] = {}


def _counted(self: http.client.HTTPConnection, *args: Any, **options: Any) -> None:  # noqa: ANN401 - whatever it takes
    global _calls  # noqa: PLW0603 - one process, one suite
    _calls += f"{self.host}:{self.port}" == SERVER
    _putrequest(self, *args, **options)


def pytest_configure() -> None:
    """Count requests, point to the image we have, and do not wait for an index to catch up."""
    from test import helper_test  # noqa: PLC0415 - the SDK's own

    http.client.HTTPConnection.putrequest = _counted  # type: ignore[method-assign]
    helper_test.REMOTE_TEST_IMAGE = REMOTE_IMAGE
    time.sleep = lambda _: None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:  # noqa: ANN401 - pytest's own
    """Note how many requests the test made."""
    before = _calls
    yield
    _results.setdefault(item.nodeid, {})["calls"] = _calls - before


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how the test ended."""
    line = _results.setdefault(report.nodeid, {})
    if report.failed:
        line["failed"] = str(report.longrepr).strip().rpartition("\n")[2] or report.when
        crash = getattr(report.longrepr, "reprcrash", None)
        line["failed"] = crash.message.partition("\n")[0] if crash else line["failed"]
    elif report.skipped:
        line["skipped"] = True


def pytest_sessionfinish() -> None:
    """Hand over what was noted."""
    RESULTS.write_text(json.dumps(_results))
