"""What a command advises can be followed: each command, option, setting and variable exists."""

from __future__ import annotations

import re

import click
import pytest
from tests import advice

from facelabel.cli import cli
from facelabel.cli.framework import Deferred
from facelabel.cli.main import commands
from facelabel.settings import SETTINGS, variables

#: Variables that are no setting's.
OTHERS = {"FACELABEL_CONFIG", "FACELABEL_ALLOW_DIRECT_EVENTS", "FACELABEL_COMPLETE",
          "FACELABEL_TEST_DATA"}  # fmt: skip
#: Where options of other programs are, and what looks like some: pip's, a shell's, a page's style.
FOREIGN = ("engine/models/fetching.py", "cli/completion.py", "web/")


def parse(arguments: list[str]) -> None:
    """Read a command line as far as that goes without running anything."""
    command: click.Command = cli
    context = click.Context(cli, info_name="facelabel")
    while isinstance(command, click.Group) and arguments and arguments[0][:1] != "-":
        name = arguments.pop(0)
        below = command.get_command(context, name)
        assert below is not None, f"there is no command {name}"
        command = below.load() if isinstance(below, Deferred) else below
    if not isinstance(command, click.Group):
        command.make_context(command.name or "", arguments, parent=context)


@pytest.mark.parametrize(("line", "where"), sorted(advice.commands().items()))
def test_every_command_that_is_advised_is_one(line: str, where: str) -> None:
    program, *arguments = advice.filled(line)
    assert program == "facelabel"
    try:
        parse(arguments)
    except click.UsageError as error:
        pytest.fail(f"{where}: `{line}`: {error.format_message()}")


def test_every_variable_that_is_named_is_one() -> None:
    known = OTHERS | {variable for name in SETTINGS for variable in variables(name)}
    wrong = {
        (variable, one.where)
        for one in advice.texts()
        for variable in re.findall(r"\bFACELABEL_[A-Z][A-Z_]*[A-Z]\b", one.text)
        if variable not in known
    }
    assert wrong == set()


def test_every_setting_that_is_named_is_one() -> None:
    originals = {setting.original for setting in SETTINGS.values()}
    foreign = {"faces,", "AWS"}
    wrong = {
        (name, one.where)
        for one in advice.texts()
        for named in re.findall(r"\bsettings? ((?:[a-z]+_)[a-z_]+|[a-z]+[A-Z][A-Za-z]+)", one.text)
        for name in [named]
        if name not in {*SETTINGS, *originals, *foreign}
    }
    assert wrong == set()


def test_every_option_that_is_named_is_one() -> None:
    known = {option for _, command in commands() for param in command.params
             for option in (*param.opts, *param.secondary_opts)}  # fmt: skip
    known |= {"--help", "--version"}
    wrong = {
        (option, one.where)
        for one in advice.texts()
        if not one.where.startswith(FOREIGN)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]\b", one.text)
        if option not in known
    }
    assert wrong == set()
