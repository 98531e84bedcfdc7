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
    """Every relative link of every page names a file that is there, and a heading in it."""
    folders = (ROOT / name for name in (".github", "deploy", "docs"))
    pages = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    assert ROOT / "deploy/aws/README.md" in pages
    for page in pages:
        for target, heading in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", _prose(page)):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name} links to {target}"
            if heading:
                assert heading in _anchors(file), f"{page.name} links to {target}#{heading}"


def _prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def test_the_changelog_knows_this_version() -> None:
    """Version and changelog agree."""
    from facelabel import __version__  # noqa: PLC0415

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert version("facelabel") == __version__
