"""A real Chromium without a window, driven through a pipe in its own DevTools protocol."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Hosts of other sites, all of them on this computer.
ELSEWHERE = "MAP *.example 127.0.0.1"
#: Seconds after which a browser that says nothing hangs.
PATIENCE = 300.0
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-proxy-server"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions"),
    *("--remote-debugging-pipe", f"--host-resolver-rules={ELSEWHERE}"),
)
#: The browser listens on descriptor 3 and answers on 4.
_ON_PIPES = """
import os, sys
for ours, theirs in zip(map(int, sys.argv[1:3]), (3, 4), strict=True):
    os.dup2(ours, theirs)
os.execv(sys.argv[3], sys.argv[3:])
"""


def installed() -> str | None:
    """Path of a browser; None if there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def running(program: str, folder: Path) -> Iterator[Chromium]:
    """Start a browser that keeps its things in ``folder``; kill it in the end."""
    theirs, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    options = [*_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_PIPES, str(theirs), str(theirs_out), program, *options],
        pass_fds=(theirs, theirs_out),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.close(theirs_out)
    try:
        yield Chromium(ours_in, ours_out)
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        os.close(ours_in)
        os.close(ours_out)


@dataclass
class Chromium:
    """A browser; one command after the other."""

    answers: int
    commands: int
    _last: int = 0
    _unread: bytes = field(default=b"", repr=False)

    def open(self, url: str) -> Page:
        """Open a window and wait until it shows something."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attach = {"targetId": target, "flatten": True}
        page = Page(self, self.send("Target.attachToTarget", attach)["sessionId"])
        page.go(url)
        return page

    def send(self, method: str, params: object = None, session: str = "") -> dict[str, Any]:
        """What a command is answered; events in between are of no interest."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": params or {}}
        command |= {"sessionId": session} if session else {}
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self.answers], [], [], PATIENCE)
            assert ready, "the browser hangs"
            read = os.read(self.answers, 1 << 20)
            assert read, "the browser ended"
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@dataclass(frozen=True)
class Page:
    """A window."""

    browser: Chromium
    session: str

    def go(self, url: str) -> None:
        """Show another page."""
        shown = self.browser.send("Page.navigate", {"url": url}, self.session)
        assert "errorText" not in shown, shown
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'"
                   " && performance.getEntriesByType('navigation').length > 0")  # fmt: skip

    def until(self, condition: str) -> None:
        """Return when that is so."""
        end = time.monotonic() + PATIENCE
        while self.evaluate(condition) is not True:
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What a function of ``page`` answers; see node/browser.mjs."""
        return self.evaluate(f"page.{function}({', '.join(map(json.dumps, arguments))})")

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """The value of an expression, once it is there; None while pages change."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self.browser.send("Runtime.evaluate", asked, self.session)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")
