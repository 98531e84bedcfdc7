"""A terminal with a home of its own, in which a page is followed block by block."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from tests.documents import client
from tests.forked import Forked
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a shell knows before it reads the first block. Whoever reads that a server is started does
#: it in another terminal, and ends the one before; commands that fail are told at descriptor 3.
BEFORE = r"""
set -o pipefail
trap 'printf "line %s ended with %s: %s\n" "$LINENO" "$?" "$BASH_COMMAND" >&3' ERR
health=http://127.0.0.1:$FACELABEL_PORT/health
answers() { curl --silent --output /dev/null "$health"; }
newest_key() { sed -n 's/.*"key": "\(.*\)".*/\1/p' ~/.local/share/facelabel/keys.json | tail -n 1; }
facelabel() {
    case " $* " in *" serve "*) ;; *) command facelabel "$@"; return ;; esac
    if answers; then kill "$(cat "$STAGE/server")"; fi
    while answers; do sleep 0.02; done
    command facelabel "$@" &
    echo $! > "$STAGE/server"
    until answers; do
        if ! kill -0 "$(cat "$STAGE/server")"; then return 1; fi
        sleep 0.02
    done
}
"""
#: Runs blocks of Python that come in by lines of JSON, as one program; says when one is over.
PYTHON = """
import json, sys
namespace = {"__name__": "__main__"}
for line in sys.stdin:
    page, above, code = json.loads(line)
    exec(compile("\\n" * above + code, page, "exec"), namespace)
    print("\\0", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a block or a command."""

    printed: str
    #: Commands that failed, one a line; empty: all was well.
    failed: str


class Terminal:
    """A shell, and beside it a Python, that go through one page."""

    def __init__(self, stage: Path, home: Path, environment: Mapping[str, str]) -> None:
        """Work in ``home``; ``stage`` is for what nobody sees."""
        self._stage, self.home = stage, home
        self._stack = ExitStack()
        self._address = str(stage / "s")
        self._environment = {
            **environment, "HOME": str(home), "STAGE": str(stage),
            "PATH": os.pathsep.join([
                str(stage), str(Path(sys.executable).parent), environment["PATH"],
            ]),
        }  # fmt: skip
        self._blocks = 0
        self._python: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start both."""
        command = [sys.executable, "-S", client.__file__, self._address]
        shim = self._stage / "facelabel"
        shim.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', "utf-8")
        shim.chmod(0o700)
        self._loaded = Forked(
            "tests.documents.loaded", self._address, env={}, cwd=self.home,
            output=self._stage / "loaded.log",
        )  # fmt: skip
        self._stack.callback(self._end_loaded)
        until(lambda: Path(self._address).exists() or self._loaded.poll() is not None)
        told = self._stage / "told"
        os.mkfifo(told)
        self._shell = self._stack.enter_context(subprocess.Popen(
            ["bash", "--noprofile", "--norc"], env=self._environment, cwd=self.home,
            stdin=subprocess.PIPE, text=True,
        ))  # fmt: skip
        self._tell(self._shell, 'exec 3> "$STAGE/told"\n')
        self._ended = self._stack.enter_context(told.open(encoding="utf-8"))
        self.shell(BEFORE)
        return self

    def __exit__(self, *_: object) -> None:
        """End both, and all that was started in them."""
        if self._python:
            assert self._python.stdin
            self._python.stdin.close()
        assert self._shell.stdin
        self._shell.stdin.close()
        self._stack.close()

    def _end_loaded(self) -> None:
        self._loaded.terminate()
        try:
            self._loaded.wait(PATIENCE)
        finally:
            self._loaded.kill()

    def shell(self, code: str) -> Ran:
        """Run lines of a shell."""
        self._blocks += 1
        block = self._stage / f"block{self._blocks}"
        output = block.with_suffix(".out")
        block.write_text(code, "utf-8")
        files = [shlex.quote(str(path)) for path in (block, output)]
        self._tell(
            self._shell,
            f"source {files[0]} > {files[1]} 2>&1 < /dev/null\nprintf '\\0\\n' >&3\n",
        )
        failed = _until_nul(self._ended)
        return Ran(output.read_text("utf-8", "replace"), failed)

    def python(self, page: str, line: int, code: str) -> Ran:
        """Run a block of Python; what the blocks before it have defined is there."""
        if self._python is None:
            exported = self.shell("env -0").printed.split("\0")
            self._python = subprocess.Popen(
                [sys.executable, "-S", client.__file__, self._address, "-c", PYTHON],
                env=dict(pair.split("=", 1) for pair in exported if "=" in pair),
                cwd=self.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            self._stack.enter_context(self._python)
        self._tell(self._python, json.dumps([page, line - 1, code]) + "\n")
        assert self._python.stdout
        printed: list[str] = []
        for answer in self._python.stdout:
            if answer == "\0\n":
                return Ran("".join(printed), "")
            printed.append(answer)
        return Ran("".join(printed), "it raised")

    @staticmethod
    def _tell(process: subprocess.Popen[str], text: str) -> None:
        assert process.stdin
        process.stdin.write(text)
        process.stdin.flush()


def _until_nul(lines: IO[str]) -> str:
    """What is said up to the mark."""
    said: list[str] = []
    for line in lines:
        if line == "\0\n":
            return "".join(said)
        said.append(line)
    return "the shell ended"
