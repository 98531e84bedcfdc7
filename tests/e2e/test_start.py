"""What each command loads: as little as it needs, so that it starts at once. No test of seconds.

`python benchmarks/startup.py` says what that costs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

#: Runs the program and says which modules that loaded.
LOADED = """
import json, runpy, sys
before = set(sys.modules)
try:
    runpy.run_module("facelabel", run_name="__main__")
finally:
    print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""
#: What belongs to no package, and comes along as the interpreter is configured.
NOBODY = {"__main__", "_distutils_hack", "coverage", "cython_runtime"}
#: Of our own, for the list of commands; settings and errors are plain tables.
LIGHT = {
    "facelabel", "facelabel.cli", "facelabel.cli.framework", "facelabel.cli.main",
    "facelabel.cli.parameters", "facelabel.cli.terminal", "facelabel.errors", "facelabel.inputs",
    "facelabel.inputs.reading", "facelabel.settings",
}  # fmt: skip
#: Who checks the settings, and what it is made of.
SETTINGS = {
    "annotated_types", "platformdirs", "pydantic", "pydantic_core", "typing_extensions",
    "typing_inspection",
}  # fmt: skip
#: Of the standard library what takes longest to load, with what it loads in turn.
SLOW = {
    "asyncio", "concurrent", "email", "http", "multiprocessing", "sqlite3", "ssl", "subprocess",
}  # fmt: skip
RECORDS = {"click", "facelabel", "greenlet", "sqlalchemy", *SETTINGS, *SLOW}
COMPLETING = {"click", "facelabel", "platformdirs", "sqlite3"}


def loaded(program: Program, *arguments: str, **environment: str) -> set[str]:
    """The modules that a command loads, of the standard library's the slow ones alone."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=program.folder, timeout=PATIENCE,
        env={**program.environment, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stderr.splitlines()[-1])
    return {
        name for name in names
        if (top := name.partition(".")[0]) not in (sys.stdlib_module_names | NOBODY) - SLOW
        and not top.startswith(("_cython_", "_sysconfigdata_"))
    }  # fmt: skip


def packages(names: set[str]) -> set[str]:
    """What they are parts of."""
    return {name.partition(".")[0] for name in names}


def own(names: set[str]) -> set[str]:
    """Those of the product."""
    return {name for name in names if packages({name}) == {"facelabel"}}


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["--version"], set[str]()),
        (["--help"], set[str]()),
        (["completion", "bash"], {"facelabel.cli.completion"}),
    ],
)
def test_what_needs_nothing(program: Program, arguments: list[str], more: set[str]) -> None:
    """Click, and a handful of modules."""
    names = loaded(program, *arguments)
    assert packages(names) <= {"click", "facelabel"}
    assert own(names) <= LIGHT | more


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("facelabel peo", {"click", "facelabel"}),
        ("facelabel --da", {"click", "facelabel"}),
        ("facelabel people --da", {"click", "facelabel"}),
        ("facelabel library --person J", COMPLETING),
        ("facelabel show assets/", COMPLETING),
    ],
)
def test_completion(program: Program, line: str, allowed: set[str]) -> None:
    """The module of the command in question; of the database the driver alone."""
    asked = {"_FACELABEL_COMPLETE": "bash_complete", "COMP_LINE": line,
             "COMP_WORD": line.rpartition(" ")[2]}  # fmt: skip
    assert packages(loaded(program, **asked)) <= allowed


@pytest.mark.parametrize("command", ["people", "library", "jobs list", "serve", "eval gallery"])
def test_help_of_a_command(program: Program, command: str) -> None:
    """No settings are read, no database is opened."""
    assert packages(loaded(program, *command.split(), "--help")) <= {"click", "facelabel"}


@pytest.mark.parametrize("command", ["people", "library", "jobs list", "jobs retry --all"])
def test_commands_that_only_look(program: Program, command: str) -> None:
    """No faces, no pictures, nobody's SDK; one dialect of SQL."""
    names = loaded(program, *command.split())
    assert packages(names) <= RECORDS
    dialects = {name for name in names if name.startswith("sqlalchemy.dialects.")}
    assert {name.split(".")[2] for name in dialects} <= {"sqlite", "_typing"}
    faces = ("facelabel.engine", "facelabel.gallery.matrix_index", "facelabel.web")
    assert not [name for name in names if name.startswith(faces)]


def test_a_region_in_the_environment_needs_no_sdk(program: Program) -> None:
    """It is checked that there is one."""
    chosen = {"FACELABEL_FACES": "rekognition", "AWS_DEFAULT_REGION": "eu-central-1"}
    assert packages(loaded(program, "people", **chosen)) <= RECORDS


def test_with_an_account_people_and_jobs_need_no_sdk(program: Program) -> None:
    """What is known is known here."""
    program.environment["CLOUDINARY_URL"] = "cloudinary://k:s@nobody?upload_prefix=http://x.invalid"
    for command in ("people", "jobs list"):
        assert packages(loaded(program, *command.split())) <= RECORDS
