"""Processes of their own that are forked where everything is loaded already.

Loading the program takes a second of a core, and the tests start it some hundred times. A forked
process has its own memory, files, signals and exit status all the same; what a bare interpreter
does is left to the tests that start one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from typing import Self

if sys.platform == "win32":
    _FORKED = multiprocessing.get_context("spawn")  # nothing forks there: the same, but slower
else:
    _FORKED = multiprocessing.get_context("forkserver")
    # Not Lambda's own runtime client: it looks for the runtime's address when it is loaded.
    _FORKED.set_forkserver_preload([
        "alembic.command", "boto3", "cloudinary", "facelabel.rendering.renderer",
        "facelabel.adapters.fetcher", "facelabel.bootstrap.amazon", "facelabel.bootstrap.app",
        "facelabel.bootstrap.functions", "facelabel.bootstrap.records", "facelabel.settings.typed",
        "facelabel.bootstrap.local", "facelabel.bootstrap.local_faces",
        "facelabel.bootstrap.remote", "facelabel.testing", "facelabel.web.cloudinary_api",
        "facelabel.web.serving.server", "logging.config", "psycopg", "pytest", "uvicorn.logging",
        "tests.warm",
    ])  # fmt: skip


class Forked:
    """``python -m`` a module; what there is of ``subprocess.Popen`` and tests need."""

    def __init__(
        self, module: str, *arguments: str, env: Mapping[str, str], cwd: Path, output: Path,
        errors: Path | None = None,
    ) -> None:  # fmt: skip
        """Start it; standard output is added to a file, errors too, or to another one."""
        self._start(
            _run, module, arguments, dict(env), str(cwd), str(output), str(errors or output)
        )

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._process = _FORKED.Process(target=target, args=arguments, daemon=True)
        self._process.start()  # as a daemon: nothing outlives the tests
        self.pid: int = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Exit status; minus a signal's number; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired if it does not come."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.poll() is None:
            self._process.kill()


class Piped(Forked):
    """``python -c`` a program, with pipes of text; killed with the block."""

    def __init__(self, source: str, *arguments: str) -> None:
        """Start it where we are."""
        given, stdin = _FORKED.Pipe(duplex=False)
        stdout, taken = _FORKED.Pipe(duplex=False)
        with given, taken:
            self._start(
                _execute, source, arguments, dict(os.environ), str(Path.cwd()), given, taken
            )
        self.stdin, self.stdout = _text(stdin, "w"), _text(stdout, "r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        self.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what it was told last, it did not hear
            self.stdin.close()

    def communicate(self, told: str = "") -> str:
        """Tell it the last thing and wait for its end; what it has printed since."""
        with contextlib.suppress(BrokenPipeError), self.stdin:
            self.stdin.write(told)
        printed = self.stdout.read()
        self.wait()
        return printed


def _text(end: Connection, mode: str) -> TextIO:
    with end:
        return cast("TextIO", os.fdopen(os.dup(end.fileno()), mode, encoding="utf-8"))


def _become(env: dict[str, str], cwd: str, *argv: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [*argv]


def _execute(
    source: str, arguments: Sequence[str], env: dict[str, str], cwd: str,
    given: Connection, taken: Connection,
) -> None:  # fmt: skip
    _become(env, cwd, "-c", *arguments)
    for end, stream in ((given, 0), (taken, 1)):
        with end:
            os.dup2(end.fileno(), stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - same
    exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})


def _run(
    module: str, arguments: Sequence[str], env: dict[str, str], cwd: str, output: str, errors: str
) -> None:
    _become(env, cwd, module, *arguments)
    for path, stream in ((output, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, stream)
        os.close(file)
    # What has been loaded keeps what it has read of the world; the streams are made anew.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - same
    runpy.run_module(module, run_name="__main__", alter_sys=True)
