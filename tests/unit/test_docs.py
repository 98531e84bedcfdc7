"""The documentation cannot drift: every command and every setting is in it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from facelabel.cli import commands
from facelabel.settings import SETTINGS, flag, variables

ROOT = Path(__file__).parents[2]


COMMANDS = list(commands())


@pytest.mark.skipif(
    version("click").startswith("8.1."), reason="help looks otherwise with older versions of click"
)
def test_the_reference_is_what_the_program_says() -> None:
    """`make docs` was run."""
    program = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_help_and_is_documented(name: str, command: click.Command) -> None:
    """In the reference under its full name; every option says what it does."""
    assert command.help
    assert f"## {name}\n" in (ROOT / "docs/reference/commands.md").read_text("utf-8")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts}"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    """With its flag and all its environment variables."""
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    assert SETTINGS[name].help in page
    assert f"`{flag(name)}`" in page
    for variable in variables(name):
        assert f"`{variable}`" in page


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link in README, CHANGELOG and docs names a file that is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert pages
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_changelog_knows_this_version() -> None:
    """Version and changelog agree."""
    from facelabel import __version__  # noqa: PLC0415

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert version("facelabel") == __version__
