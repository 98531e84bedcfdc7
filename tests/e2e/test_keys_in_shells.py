"""What `facelabel keys` prints is what shells take, in each of the ways that are documented."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Program

#: Of which a shell gets a variable; the program is called as people call it.
WAYS = {
    "eval": 'eval "$(facelabel keys --export)"',
    "a file": "facelabel keys > keys.env; set -a; . ./keys.env; set +a",
    "quiet": 'eval "$(facelabel --data "$FACELABEL_DATA" keys --export --quiet)"',
    "one more": 'eval "$(facelabel keys list --export)"',
}


@pytest.fixture(params=[name for name in ("sh", "bash", "zsh") if shutil.which(name)])
def variable(request: pytest.FixtureRequest, program: Program) -> Callable[[str, str], str]:
    """What a variable is in a shell after a line of commands."""
    start = shlex.join([sys.executable, "-m", "facelabel"])

    def value(line: str, name: str) -> str:
        script = f'facelabel() {{ {start} "$@"; }}; {line}; printenv {name}'
        done = subprocess.run(
            [request.param, "-c", script], env=program.environment, cwd=program.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    return value


def test_every_way_sets_what_the_sdks_need(
    program: Program, variable: Callable[[str, str], str]
) -> None:
    """The address of Cloudinary's SDKs has an ampersand in it."""
    (key,) = program.json("keys")
    assert "&" in key["cloudinary_url"]
    for line in WAYS.values():
        assert variable(line, "CLOUDINARY_URL") == key["cloudinary_url"]


def test_readme_s_line_sets_those_of_aws(
    program: Program, variable: Callable[[str, str], str]
) -> None:
    """`export $(...)` takes no quotes away, so there are none."""
    (key,) = program.json("keys")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_REKOGNITION"):
        line = "export $(facelabel keys | grep ^AWS)"
        assert variable(line, name) == key[name.lower()]


def test_a_line_may_be_copied_behind_export(
    program: Program, variable: Callable[[str, str], str]
) -> None:
    (key,) = program.json("keys")
    pasted = program("keys").splitlines()[0]
    assert pasted.startswith("CLOUDINARY_URL='")
    assert variable(f"export {pasted}", "CLOUDINARY_URL") == key["cloudinary_url"]
