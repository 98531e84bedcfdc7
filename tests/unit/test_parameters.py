"""What may stand behind a command: nothing empty, and settings on either side of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from facelabel import settings
from facelabel.cli import cli, commands
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

#: Settings whose empty value says something: nothing of the kind, or in the folder's case all.
MAY_BE_EMPTY = {
    settings.flag(name) for name, setting in settings.SETTINGS.items() if setting.may_be_empty
}


def texts(command: click.Command) -> list[click.Parameter]:
    """The parameters that take a text or a path."""
    others = (click.types.BoolParamType, click.types.IntParamType, click.types.FloatParamType,
              click.Choice)  # fmt: skip
    found = [param for param in command.params if not isinstance(param.type, others)]
    return [param for param in found if not MAY_BE_EMPTY & {*param.opts}]


def refuses(command: click.Command, param: click.Parameter, value: str) -> bool:
    """Whether the parameter refuses that value, and says why."""
    many = param.multiple if isinstance(param, click.Option) else param.nargs == -1
    with click.Context(command) as context:
        try:
            param.type_cast_value(context, (value,) if many else value)
        except click.BadParameter as error:
            return "is empty" in error.message
    return False


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_nothing_empty_is_taken(value: str) -> None:
    """It is a variable that was not set: the current folder, or all, is never meant."""
    asked = [(command, param) for _, command in commands() for param in texts(command)]
    assert len(asked) > 800
    meant = {"--data", "--models", "--store", "--training-folder", "--s3-folder", "--host"}
    assert not MAY_BE_EMPTY & meant
    assert "--face-recognition-folder" in MAY_BE_EMPTY  # the whole library
    taken = [f"{command.name} {param.opts}" for command, param in asked
             if not refuses(command, param, value)]  # fmt: skip
    assert taken == []


def test_an_empty_path_is_wrong_usage_and_nothing_happens(tmp_path: Path) -> None:
    """The status scripts know for it."""
    for arguments in (["upload", ""], ["index", ""], ["--data", "", "people"], ["identify", ""]):
        done = CliRunner(env={"FACELABEL_DATA": str(tmp_path / "d")}).invoke(cli, arguments)
        assert done.exit_code == 2
        assert "is empty" in done.output
    assert not (tmp_path / "d").exists()


def test_a_file_may_be_called_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, so it is meant."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such name")
    monkeypatch.chdir(tmp_path)
    (tmp_path / " ").touch()
    (upload,) = [command for _, command in commands() if command.name == "upload"]
    with click.Context(upload) as context:
        assert upload.params[0].type_cast_value(context, (" ",)) == (" ",)


@pytest.mark.parametrize(
    "line",
    [
        'data = ""', 'data = " "', 'models = ""', 's3_folder = ""', 'store = ""', 'host = ""',
        'cloud_name = ""', 'pack = " "', 'rekognition_collection = ""',
    ],
)  # fmt: skip
def test_nor_in_the_file(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty setting there names no place either."""
    (tmp_path / "facelabel.toml").write_text(line)
    monkeypatch.setenv("FACELABEL_CONFIG", str(tmp_path / "facelabel.toml"))
    with pytest.raises(ConfigurationError, match="is refused"):
        settings.load()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shell has it: what is set to nothing has its default."""
    plain = settings.load()
    for name in ("DATA", "MODELS", "STORE", "TRAINING_FOLDER"):
        monkeypatch.setenv(f"FACELABEL_{name}", "")
    assert settings.load() == plain


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no shell has put it in place; a folder called ~ is never made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.load({"data": "~/faces"}).data == tmp_path / "faces"
    with pytest.raises(ConfigurationError, match="no home folder is known"):
        settings.load({"data": "~nobody-of-that-name/faces"})


#: Reads the settings as somebody whom the system does not know.
STRANGER = """
import os, pwd
from facelabel import errors, settings
from facelabel.settings import typed  # while its files may be read
os.chdir("/")
os.environ.clear()
os.setuid(12345)
try:
    settings.load()
except errors.ConfigurationError as error:
    print(error)
print(settings.load({"data": "/d", "models": "/m"}).data)
"""


def test_no_home_at_all() -> None:
    """A container's user may have none: it has to be said where things go."""
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    done = subprocess.run(
        [sys.executable, "-c", STRANGER], capture_output=True, text=True, check=False
    )
    no_home, data = done.stdout.splitlines()
    assert "no home folder is known here: set HOME, or FACELABEL_DATA" in no_home
    assert data == "/d"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (".env", b"\xff", r"\.env is no text in UTF-8"),
        ("facelabel.toml", b"\xff", "facelabel.toml cannot be read"),
        ("facelabel.toml", b"data = ", "facelabel.toml cannot be read"),
    ],
)
def test_a_file_of_settings_that_is_none(
    tmp_path: Path, name: str, content: bytes, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        settings.load()


@pytest.mark.parametrize(
    "arguments",
    [
        "--data D keys --json", "keys --data D --json", "keys --data D list --json",
        "keys list --data D --json", "--data elsewhere keys --data D list --json",
        "--data elsewhere keys list --json --data D",
    ],
)  # fmt: skip
def test_where_may_stand_anywhere(tmp_path: Path, arguments: str) -> None:
    """Before the group, before the command, behind it: the nearest one wins."""
    given = arguments.replace("elsewhere", str(tmp_path / "no")).replace("D", str(tmp_path / "d"))
    done = CliRunner().invoke(cli, given.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (key,) = json.loads(done.stdout)["result"]
    assert key["key"] in (tmp_path / "d/keys.json").read_text()
    assert not (tmp_path / "no").exists()


def test_every_command_takes_every_setting() -> None:
    """And so does every group."""
    flags = {settings.flag(name) for name in settings.SETTINGS}
    for _, command in commands():
        assert flags <= {name for param in command.params for name in param.opts}, command.name


def test_help_lists_each_argument_once() -> None:
    """Whatever click lists by itself, which older versions of it do not."""
    asked = [(name, command, param) for name, command in commands() for param in command.params
             if isinstance(param, click.Argument)]  # fmt: skip
    assert len(asked) > 20
    for name, command, param in asked:
        help_text = command.get_help(
            click.Context(command, info_name=name, **command.context_settings)
        )
        assert help_text.count("\nArguments:\n") == 1
        assert "Positional" not in help_text
        shown = re.findall(
            rf"^  {re.escape(param.human_readable_name)}(?:  |$)", help_text, re.MULTILINE
        )
        assert len(shown) == 1, name


def test_the_list_of_commands_has_whole_sentences() -> None:
    """At 80 columns."""
    context = click.Context(cli, terminal_width=80, **cli.context_settings)
    listed = cli.get_help(context)
    assert listed.count("\n  ") > 25
    assert "..." not in listed.partition("Commands:")[2]
