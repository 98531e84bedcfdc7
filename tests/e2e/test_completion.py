"""Completion, in a real Bash where people type; for other shells, what their scripts are told."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import program_in
from tests.known import fill, go_live, learn
from tests.waiting import PATIENCE

from facelabel.adapters.store.sql.database import Database
from facelabel.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

PEOPLE = (
    "John Doe",
    "Johanna Roe",
    "Zoë Müller",
    "O'Brien",
    "日本 太郎",
    "山田\u3000花子",
    "Ali\u200creza",
    "Eve\x1b[2J",
    "Eve\u202ecod",
)
PICTURES = (
    "assets/party",
    "assets/two words",
    "assets/it's $5 & more",
    "日本/富士山",
    "a:b c",
    "x=y",
    "c, d",
)
#: Tells what it was called with; completes as the program does.
STAND_IN = """\
#!/bin/sh
if [ "$1" = completion ] || [ -n "$_FACELABEL_COMPLETE" ]; then exec {command} "$@"; fi
printf '<%s>' "$@"
echo '|end'
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Program:
    """People and pictures, and others in another data folder; files to upload."""
    folder = tmp_path_factory.mktemp("typing")
    program = program_in(folder, folder / "models")
    for data, pictures in ((folder / "data", PICTURES), (folder / "work/other", ["Xenia/1"])):
        data.mkdir(mode=0o700)
        path = shutil.copy(migrated_sqlite, data)
        with closing(Database(f"sqlite:///{path}")) as database:
            learn(database, PEOPLE)
            fill(database, pictures)
            go_live(database)
    (folder / "work/file of mine.jpg").touch()
    stand_in = folder / "bin/facelabel"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(command=shlex.join([sys.executable, "-m", "facelabel"])))
    stand_in.chmod(0o755)
    program.environment["PATH"] = f"{stand_in.parent}:{program.environment['PATH']}"
    program.environment["LC_ALL"] = "C.UTF-8"
    return program


class Typing:
    """A Bash at a terminal."""

    def __init__(self, site: Program) -> None:
        """Start it, with completion as the documentation says."""
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.chdir(site.folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], site.environment)
        self("bind 'set enable-bracketed-paste off'; echo '|end'")
        self("eval \"$(facelabel completion bash)\"; echo '|end'")

    def __call__(self, line: str) -> str:
        """What a line prints, the last but for its mark."""
        os.write(self._terminal, f"{line}\n".encode())
        printed = b""
        while b"|end\r\n" not in printed:
            assert select.select([self._terminal], [], [], PATIENCE)[0], printed
            printed += os.read(self._terminal, 1 << 16)
        return printed.partition(b"|end\r\n")[0].rpartition(b"\r\n")[2].decode()

    def close(self) -> None:
        """Hang up."""
        os.close(self._terminal)


@pytest.fixture(scope="module")
def typing(site: Program) -> Iterator[Typing]:
    """Somebody at a Bash."""
    if not shutil.which("bash"):
        pytest.skip("no bash on this machine: nobody types there")
    with closing(Typing(site)) as bash:
        yield bash


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("peo", ["people"]),
        ("jobs ret", ["jobs", "retry"]),
        ("people --js", ["people", "--json"]),
        ("people --face-reco", ["people", "--face-recognition-folder"]),
        ("library --person Zo", ["library", "--person", "Zoë Müller"]),
        ("library --person 日", ["library", "--person", "日本 太郎"]),
        ("library --person John\\ ", ["library", "--person", "John Doe"]),
        ('library --person "John D', ["library", "--person", "John Doe"]),
        ("library --person 'John D", ["library", "--person", "John Doe"]),
        ("library --person=John", ["library", "--person=John Doe"]),
        ("library --person O", ["library", "--person", "O'Brien"]),
        ("library --person 'O", ["library", "--person", "O'Brien"]),
        ('library --person "O', ["library", "--person", "O'Brien"]),
        ("library --person 山", ["library", "--person", "山田\u3000花子"]),
        ("library --person Al", ["library", "--person", "Ali\u200creza"]),
        ("library --person Eve", ["library", "--person", "Eve"]),  # not what moves a terminal
        ("library --person J", ["library", "--person", "Joh"]),  # two people
        ("library --person Nob", ["library", "--person", "Nob"]),
        ("show --data other Xe", ["show", "--data", "other", "Xenia/1"]),
        ("--data other show Xe", ["--data", "other", "show", "Xenia/1"]),
        ("library --data none --person J", ["library", "--data", "none", "--person", "J"]),
        ("show assets/tw", ["show", "assets/two words"]),
        ("show assets/it", ["show", "assets/it's $5 & more"]),
        ('show "assets/it', ["show", "assets/it's $5 & more"]),
        ("show 'assets/it", ["show", "assets/it's $5 & more"]),
        ("show 日本/", ["show", "日本/富士山"]),
        ("show a:", ["show", "a:b c"]),
        ("show a:b\\ ", ["show", "a:b c"]),
        ("show x=", ["show", "x=y"]),
        ("rm assets/party 日", ["rm", "assets/party", "日本/富士山"]),
        ("tag-add assets/party Zo", ["tag-add", "assets/party", "Zoë Müller"]),
        ("upload --label Zo", ["upload", "--label", "Zoë Müller"]),
        ("upload fi", ["upload", "file of mine.jpg"]),
        ("identify fi", ["identify", "file of mine.jpg"]),
    ],
)  # fmt: skip
def test_a_tab_in_bash(typing: Typing, typed: str, called: list[str]) -> None:
    """What is called where somebody types so far, and a tab."""
    assert typing(f"facelabel {typed}\t") == "".join(f"<{word}>" for word in called)


def told(site: Program, shell: str, words: str, word: str | int) -> str:
    """What a shell's script is told."""
    asked = {
        "_FACELABEL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(word),
    }
    done = subprocess.run(
        [sys.executable, "-m", "facelabel"], env={**site.environment, **asked}, cwd=site.folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_zsh_and_fish_are_told(site: Program) -> None:
    """By click's own protocols; these shells quote for themselves."""
    assert told(site, "zsh", "facelabel library --person Zo", 3) == "plain\nZoë Müller\n_\n"
    assert told(site, "fish", "facelabel library --person Zo", "Zo") == "plain,Zoë Müller\n"
    assert "plain\npeople\nList who is known, from how many portraits.\n" in told(
        site, "zsh", "facelabel peo", 1
    )


def test_a_tab_in_fish(site: Program) -> None:
    """What it offers; it quotes that by itself."""
    fish = shutil.which("fish")
    if not fish:
        pytest.skip("no fish on this machine: nobody types there")
    script = "facelabel completion fish | source; complete --do-complete $argv[1]"
    for typed, offered in (
        ("peo", "people\tList who is known, from how many portraits."),
        ("library --person Zo", "Zoë Müller"),
        ("library --person 'John D", "John Doe"),
        ("show assets/it", "assets/it's $5 & more"),
        ("show c", "c, d"),
    ):
        done = subprocess.run(
            [fish, "--no-config", "--command", script, f"facelabel {typed}"], cwd=site.folder,
            env=site.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines() == [offered]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_shells_read(site: Program, shell: str) -> None:
    """Each a script that the shell takes, whatever the settings are."""
    script = site.bare("completion", shell, "--margin", "x")
    assert f"_FACELABEL_COMPLETE={shell}_complete" in script
    if where := shutil.which(shell):
        subprocess.run([where, "-n"], input=script, text=True, check=True)


def test_not_a_word_where_nothing_can_be_known(site: Program, tmp_path: Path) -> None:
    """No store, one that is none, a wrong setting, one elsewhere: nothing is offered or made."""
    (tmp_path / "facelabel.db").write_text("no database")
    words = ("--data nowhere", f"--data {tmp_path}", "--store mysql://x/y", "--store dynamodb://x",
             "--store postgresql://nobody@127.0.0.1:9/x")  # fmt: skip
    for place in words:
        line = f"facelabel library {place} --person Zo"
        assert told(site, "zsh", line, 5) == "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["facelabel.db"]
    assert not (site.folder / "nowhere").exists()


@pytest.mark.parametrize("name", cli.commands)
def test_a_command_is_summed_up_as_it_says_of_itself(name: str) -> None:
    """The line in the list is known before the command is loaded."""
    command = cli.commands[name]
    loaded = command.load()  # type: ignore[attr-defined] # all of them are deferred
    assert loaded.name == name
    for width in (20, 45, 78, 200):
        assert command.get_short_help_str(width) == loaded.get_short_help_str(width)
