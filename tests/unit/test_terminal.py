"""What commands say: to a person, to a shell, to a program."""

from __future__ import annotations

import inspect
import io
import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from facelabel.cli import cli, commands, framework, terminal, wrapping
from facelabel.cli.framework import Command, argument
from facelabel.errors import NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

COMMANDS = list(commands())
#: What no terminal may be sent: it moves the cursor, hides text, or turns what follows.
HOSTILE = "Eve\x1b[2J\u202ecod\x9b31m"

#: Versions of click before 8.2 have to be asked to keep the streams apart, later ones do.
_MIXES = "mix_stderr" in inspect.signature(CliRunner).parameters
RUNNER = CliRunner(mix_stderr=False) if _MIXES else CliRunner()  # type: ignore[call-arg]


def run(do: Callable[[], None], *arguments: str, **options: Any) -> Result:  # noqa: ANN401 - Command's
    """Run something as a command."""

    @click.command("try", cls=Command, **options)
    @argument("things", nargs=-1, help="Whatever.")
    @click.pass_obj
    def command(_settings: object, things: tuple[str, ...]) -> None:
        del things
        do()

    return RUNNER.invoke(command, arguments)


def chat() -> None:
    """Say one thing of each kind."""
    terminal.say("2 pictures")
    terminal.give("assets/a")
    terminal.remark("1 call")
    terminal.warn("alike")
    terminal.complain("b is none")
    terminal.event({"picture": "assets/a"})
    terminal.left_out([{"path": "x"}])
    terminal.answer({"pictures": ["assets/a"]})


def test_a_person_is_told_everything() -> None:
    done = run(chat)
    assert done.stdout == "2 pictures\nassets/a\n"
    assert done.stderr == "1 call\nalike\nb is none\n"


def test_a_shell_gets_what_it_asked_for_and_what_went_wrong() -> None:
    for quiet in ("-q", "--quiet"):
        done = run(chat, quiet)
        assert (done.stdout, done.stderr) == ("assets/a\n", "b is none\n")


def test_a_program_gets_one_document() -> None:
    done = run(chat, "--json")
    assert json.loads(done.stdout) == {
        "facelabel": 1, "command": "try", "result": {"pictures": ["assets/a"]},
        "warnings": ["alike"], "problems": ["b is none"], "left_out": [{"path": "x"}],
    }  # fmt: skip
    assert done.stderr == "1 call\nb is none\n"


def test_where_it_streams_each_line_is_one() -> None:
    lines = run(chat, "--json", streams=True).stdout.splitlines()
    event, result = map(json.loads, lines)
    assert event == {"facelabel": 1, "command": "try", "event": {"picture": "assets/a"}}
    assert result["result"] == {"pictures": ["assets/a"]}


def raising(error: BaseException) -> Callable[[], None]:
    """Something that ends so."""

    def do() -> None:
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("no picture 'x'"), 1, "NotFound"),
        (Rejected("no picture 'x'"), 1, "Rejected"),
        (Unavailable("no picture 'x'"), 75, "Unavailable"),
        (OSError("no picture 'x'"), 75, "Unavailable"),
        (click.UsageError("no picture 'x'"), 2, "Usage"),
        (click.Abort(), 1, "Aborted"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_a_program_is_told_what_ended_the_command(
    error: BaseException, status: int, kind: str
) -> None:
    """And people in a line on standard error, as ever."""
    done = run(raising(error), "--json")
    assert done.exit_code == status
    told = json.loads(done.stdout)["error"]
    assert told["kind"] == kind
    assert told["message"] in {"no picture 'x'", kind.lower()}
    assert done.stderr


def test_what_was_found_before_an_error_is_told() -> None:
    def do() -> None:
        terminal.answer([1])
        raise Rejected("the second is damaged")

    told = json.loads(run(do, "--json").stdout)
    assert (told["result"], told["error"]["kind"]) == ([1], "Rejected")


def test_a_fault_of_our_own_is_told_to_programs_too() -> None:
    done = run(raising(KeyError("x")), "--json")
    assert json.loads(done.stdout)["error"] == {"kind": "Fault", "message": "KeyError: 'x'"}
    assert isinstance(done.exception, KeyError)  # which the program's entry point tells people


def test_wrong_arguments_are_told_to_programs_too() -> None:
    done = RUNNER.invoke(cli, ["jobs", "retry", "x", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["command"], told["error"]["kind"]) == (2, "jobs retry", "Usage")
    assert "'x' is not a valid integer" in told["error"]["message"]
    done = RUNNER.invoke(cli, ["jobs", "retry", "--", "--json"])
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["nosuch", "--json"], ""),
        (["--json", "people"], ""),
        (["jobs", "nosuch", "--json"], "jobs"),
        (["jobs", "--json"], "jobs"),
    ],
)
def test_who_asks_for_a_command_that_is_none_is_told(arguments: list[str], command: str) -> None:
    done = RUNNER.invoke(cli, arguments)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["command"], told["error"]["kind"]) == (2, command, "Usage")
    assert told["error"]["message"].startswith("No such ")


def test_wrong_arguments_are_nothing_for_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither where a shell has closed the other one (``2>&-``)."""
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(SystemExit, match="2"):
        cli(["people", "--nope"])
    assert not capsys.readouterr().out


def test_wrong_arguments_move_no_cursor() -> None:
    done = RUNNER.invoke(cli, ["people", "a", HOSTILE], color=True)
    assert done.exit_code == 2
    assert "unexpected extra argument (Eve\\x1b[2J\\u202ecod" in done.stderr


def test_nothing_that_a_terminal_obeys_reaches_it() -> None:
    def do() -> None:
        for speak in (terminal.say, terminal.remark, terminal.warn, terminal.complain):
            speak(HOSTILE)
        terminal.give(HOSTILE)
        terminal.answer(HOSTILE)

    said = run(do)
    for text in (said.output, run(do, "--json").stdout):
        assert not {"\x1b", "\x9b", "\u202e"} & {*text}
    assert "Eve\\x1b[2J\\u202ecod\\x9b31m" in said.stdout
    assert json.loads(run(do, "--json").stdout)["result"] == HOSTILE
    assert run(do, "--quiet").stdout == f"{HOSTILE}\n"  # a shell needs the id itself


def test_nor_with_quiet_where_that_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    with terminal.speaking(terminal.Speech(audience=terminal.Audience.SHELL)):
        terminal.give(HOSTILE)
    assert screen.getvalue() == "Eve\\x1b[2J\\u202ecod\\x9b31m\n"


def test_a_name_says_no_line_of_its_own() -> None:
    done = run(lambda: terminal.complain("x\n3 portraits learnt.jpg: no face"))
    assert done.stderr == "x\\n3 portraits learnt.jpg: no face\n"


@pytest.mark.parametrize(
    "name", ["Zoë Müller", "日本 太郎", "山田\u3000花子", "Ali\u200creza", "👩\u200d🚀", "שרה"]
)
def test_names_stay_as_they_are(name: str) -> None:
    assert terminal.visible(name) == name


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_help_fits_a_screen(name: str, command: click.Command) -> None:
    """Whatever the command: its own options, and where the settings are."""
    words = name.split()[1:]
    lines = RUNNER.invoke(cli, [*words, "--help"], prog_name="facelabel").stdout.splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    settings = f"Settings: `{name} --help-settings`, docs/reference/settings.md"
    assert any(line.startswith(settings) for line in lines[-2:])
    if isinstance(command, framework.Command):
        flags = {flag for param in command.params for flag in param.opts}
        assert {"--json", "-q", "--quiet", "--help-settings"} <= flags


def test_the_settings_are_listed_when_asked_for() -> None:
    """All of them, of secrets the variable alone: a command line is read by others."""
    for arguments in (["people"], ["jobs", "list"], ["jobs"], []):
        done = RUNNER.invoke(cli, [*arguments, "--help-settings"])
        assert done.exit_code == 0
        assert "--confidence-threshold VALUE" in done.stdout
        assert "CLOUDINARY_URL" in done.stdout
        assert "--cloudinary-url" not in done.stdout


@pytest.mark.parametrize("arguments", [["people", "-h"], ["jobs", "-h"], ["jobs", "list", "-h"]])
def test_h_is_help(arguments: list[str]) -> None:
    assert RUNNER.invoke(cli, arguments).stdout.startswith("Usage: ")


SENTENCE = "3 portraits refused: `facelabel jobs list` says why, 山田 花子 is one of those people"


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 200])
def test_a_sentence_is_broken_between_words(columns: int) -> None:
    """Never within a command, which is copied; the rest stands in a little."""
    (first, *more) = ["".join(text for _, text in line)
                      for line in wrapping.wrapped([SENTENCE], columns)]  # fmt: skip
    assert all(line.startswith("  ") for line in more)
    assert " ".join([first, *(line.strip() for line in more)]) == SENTENCE
    assert any("`facelabel jobs list`" in line for line in (first, *more))
    longest = wrapping.text_width("  `facelabel jobs list`")
    assert all(wrapping.text_width(line) <= max(columns, longest) for line in (first, *more))


def test_parts_keep_their_looks_where_a_sentence_is_broken() -> None:
    """By their numbers; what is a list stays one."""
    lines = wrapping.wrapped(["  →", "one two", "three four"], 12)
    assert lines == [[(0, "  →"), (1, "one two")], [(2, "    three")], [(2, "    four")]]
    assert wrapping.wrapped(["x" * 30], 10) == [[(0, "x" * 30)]]


def test_what_is_piped_is_not_broken() -> None:
    """Whatever COLUMNS says: each sentence is a line for grep."""
    done = run(lambda: terminal.say(SENTENCE * 3))
    assert done.stdout == f"{SENTENCE * 3}\n"
