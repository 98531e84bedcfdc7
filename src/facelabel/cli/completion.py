"""completion: what Bash, Zsh and fish need to complete commands, options, names and public_ids."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import (
    CompletionItem,
    FishComplete,
    ShellComplete,
    add_completion_class,
    get_completion_class,
)

from facelabel.cli import parameters, terminal
from facelabel.cli.framework import COMPLETE, Command, argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHELLS = ("bash", "zsh", "fish")
#: Bash 4.4 has nosort.
_BASH = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            file,*) compopt -o default ;;
            dir,*) compopt -o dirnames ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done < <(%(complete_var)s=bash_complete COMP_LINE="${COMP_LINE:0:COMP_POINT}" \\
        COMP_WORD="${COMP_WORDS[COMP_CWORD]}" "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
#: What a shell reads as itself; a letter of any alphabet is one.
_PLAIN = re.compile(r"[^\w@%+=:,./-]")
_IN_DOUBLE_QUOTES = re.compile(r'["$`\\]')


@add_completion_class
class Bash(ShellComplete):
    """For Bash, which inserts a candidate as it is: quoted here as the word was begun.

    click's own leaves spaces bare, and loses count of the words at each colon and equals sign.
    """

    name = "bash"
    source_template = _BASH
    #: The quotation mark that is open at the cursor, and how much of a candidate Bash, which also
    #: divides words at colons, has put behind it and does not replace.
    _quote = ""
    _kept = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and what there is of the one it is in."""
        words, self._quote = _divided(os.environ["COMP_LINE"])
        incomplete = words.pop()
        begun = incomplete.partition("=")[2] if incomplete.startswith("-") else incomplete
        (word, *_), _ = _divided(os.environ["COMP_WORD"].lstrip("=:"))
        self._kept = 0 if self._quote else max(len(begun) - len(word), 0)
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """One line for the script."""
        value = item.value[self._kept :]
        if self._quote == "'":
            value = value.replace("'", r"'\''")
        else:
            value = (_IN_DOUBLE_QUOTES if self._quote else _PLAIN).sub(r"\\\g<0>", value)
        return f"{item.type},{value}"


@add_completion_class
class Fish(FishComplete):
    """For fish: click's own ends a value, and a line of help, at the first comma."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


def _divided(line: str) -> tuple[list[str], str]:
    """The words of an unfinished line, "" as the last where one is to begin; the open quote."""
    lexer = shlex.shlex(f"{line}.", posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words, quote = list[str](), ""
    try:
        words.extend(lexer)
    except ValueError:  # at its end a quotation mark is open
        words.append(lexer.token)
        quote = vars(lexer)["state"]  # which its types do not know
    words[-1] = words[-1][:-1]
    return words, quote


class _Alone(Command):
    """A command that no setting changes, nor a wrong one keeps from working: shells start it."""

    def prepare(self, ctx: click.Context) -> None:
        """Read no settings."""
        parameters.gather(ctx)


@click.command(cls=_Alone)
@argument("shell", type=click.Choice(SHELLS), help="bash, zsh or fish.")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what a shell needs to complete commands and names.

    \b
    ~/.bashrc: eval "$(facelabel completion bash)"
    ~/.zshrc: eval "$(facelabel completion zsh)", behind compinit
    fish: facelabel completion fish > ~/.config/fish/completions/facelabel.fish
    """  # noqa: D301 - click's mark for lines that stay as they are
    of_shell = get_completion_class(shell)
    assert of_shell
    script = of_shell(context.command, {}, "facelabel", COMPLETE).source()
    for line in script.removesuffix("\n").split("\n"):
        terminal.give(line)
    terminal.answer({"shell": shell, "script": script})


def people(
    context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of who is known."""
    from facelabel.bootstrap import records  # noqa: PLC0415 - a database, which help does without

    return _offered(records.people, context, incomplete)


def public_ids(
    context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Pictures in the library."""
    from facelabel.bootstrap import records  # noqa: PLC0415 - same

    return _offered(records.public_ids, context, incomplete)


def files(
    _context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Files on this computer."""
    return [CompletionItem(incomplete, type="file")]


def _offered(
    ask: Callable[[Mapping[str, object], str], list[str]], context: click.Context, incomplete: str
) -> list[CompletionItem]:
    """What begins so; nothing, and not a word, where that is not to be had."""
    contexts = [context]
    while outer := contexts[0].parent:
        contexts.insert(0, outer)
    *_, flags = map(parameters.gather, contexts)
    with suppress(Exception):  # there is nobody to tell, in the middle of a line
        return [CompletionItem(text) for text in ask(flags, incomplete) if _is_shown(text)]
    return []


def _is_shown(text: str) -> bool:
    """Whether a terminal shows it, and does nothing else; a tab has shells complete once more."""
    return "\t" not in text and terminal.visible(text) == text
