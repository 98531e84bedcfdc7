"""What every command shares: settings as flags, errors as one line, exit status.

Help and completion load this and click, hardly more.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from facelabel import settings as configuration
from facelabel.cli import parameters
from facelabel.errors import ConfigurationError, FacelabelError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: sysexits.h: the program's own fault …
EXIT_SOFTWARE = 70
#: … and temporary failure, so that scripts can tell "later" from "never".
EXIT_UNAVAILABLE = 75
EXIT_CONFIGURATION = 2
EXIT_REJECTED = 1
#: What shells give a program ended by Ctrl-C.
EXIT_INTERRUPTED = 130
#: And one whose output nobody reads any more.
EXIT_PIPE = 141

#: Libraries that log whole requests and answers, with the keys and signed addresses in them: of
#: these what goes wrong is enough.
_TELLTALE = ("botocore", "httpcore2", "httpx2")

#: Set by the scripts that shells complete with: click answers instead of running a command.
COMPLETE = "_FACELABEL_COMPLETE"

log = logging.getLogger(__name__)


def complain(text: str, style: str = "red") -> None:
    """Say in one line on standard error what went wrong."""
    from facelabel.cli.terminal import err  # noqa: PLC0415 - rich, which help does without

    err.print(f"facelabel: {text}", style=style, markup=False)


def exit_status(error: FacelabelError) -> int:
    """What the shell is told."""
    if isinstance(error, ConfigurationError):
        return EXIT_CONFIGURATION
    return EXIT_UNAVAILABLE if isinstance(error, Unavailable) else EXIT_REJECTED


def own_fault(bug: Exception) -> int:
    """Say in one line that the program itself is at fault; return the exit status."""
    log.debug("a fault of the program", exc_info=bug)
    what = f"{type(bug).__name__}: {bug}".rstrip(": ")
    advice = "with --log-level debug it says where; please report it"
    complain(f"a fault of the program itself: {what}; {advice}")
    return EXIT_SOFTWARE


def finish(*, refused: bool = False, waiting: bool = False) -> None:
    """End a command that went through: silently, or with the status of the worst that happened.

    Args:
        refused: something can never be done as it is.
        waiting: something is done later, by the same command or by a worker.

    """
    if refused or waiting:
        raise click.exceptions.Exit(EXIT_REJECTED if refused else EXIT_UNAVAILABLE)


class Command(click.Command):
    """A command that takes every setting as a flag and reports our errors in one line."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        """Add the settings to the command's parameters, and examples to its help."""
        super().__init__(*args, **kwargs)
        self.params.extend(parameters.settings())
        parameters.refuse_empty(self.params)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> object:
        """Make ready, run, say what went wrong."""
        try:
            with _written():
                self.prepare(ctx)
                result: object = super().invoke(ctx)
                if sys.stdout:  # here a full disk is still ours to report, not the interpreter's
                    sys.stdout.flush()
        except FacelabelError as error:
            complain(str(error))
            ctx.exit(exit_status(error))
        except KeyboardInterrupt:
            complain("stopped; the same command goes on from here", style="yellow")
            ctx.exit(EXIT_INTERRUPTED)
        return result

    def prepare(self, ctx: click.Context) -> None:
        """Read the settings."""
        settings = configuration.load(parameters.gather(ctx))
        _log_to_stderr(settings.log_level)
        ctx.obj = settings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options first, the settings in a section of their own."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record:
                (shared if parameters.is_setting(param) else own).append(record)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}facelabel {example}\n")
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Settings"):
            formatter.write_dl(shared)


class Group(click.Group):
    """Commands under one name, listed in the order they were added.

    A setting may stand before the command, too: ``facelabel keys --data D add``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        """Take every setting; the commands' own help lists them."""
        super().__init__(*args, **kwargs)
        self.params.extend(parameters.settings(hidden=True))
        parameters.refuse_empty(self.params)
        self.epilog = "Settings may stand before the command or behind it."

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order added, not by the alphabet."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Remember the settings for the command, whose help is printed here."""
        parameters.gather(ctx)
        with _written():
            return super().invoke(ctx)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - click's own
        """Read what was given, which prints help and version."""
        with _written():
            return super().make_context(*args, **kwargs)


class Deferred(click.Command):
    """A command of which no more than its name and one line of help is known until it is used.

    Its module, with all that that imports, is loaded when its arguments are to be read: neither
    the list of commands nor completing a command's name needs them.
    """

    def __init__(self, name: str, where: str, summary: str) -> None:
        """``where``: module of this package and what the command is called there."""
        super().__init__(name, help=summary)
        self._module, _, self._attribute = where.partition(".")

    def load(self) -> click.Command:
        """The command itself."""
        command = getattr(import_module(f"facelabel.cli.{self._module}"), self._attribute)
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - click's own
        """Go on with the command itself, which the context knows as its own."""
        return self.load().make_context(*args, **kwargs)


@contextmanager
def _written() -> Iterator[None]:
    """End with the right status where what is printed cannot be written; click would end with 1."""
    try:
        yield
    except BrokenPipeError:  # `facelabel library | head -1`
        _discard_output()
        raise click.exceptions.Exit(EXIT_PIPE) from None
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        complain(where)
        _discard_output()
        raise click.exceptions.Exit(EXIT_UNAVAILABLE) from None


def confirm(question: str) -> None:
    """Ask; click.Abort unless it is answered with yes, KeyboardInterrupt for Ctrl-C."""
    try:
        click.confirm(question, abort=True)
    except click.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):  # to click that is a no
            raise KeyboardInterrupt from None
        raise


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for name in _TELLTALE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))


def _discard_output() -> None:
    """Send what could not be written nowhere: the interpreter would try again at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lenient_streams() -> None:
    """Have names that the terminal cannot show escaped, instead of dying of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
