"""What every command shares: settings as flags, errors as one line, progress bars, JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import io
import json
import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from facelabel import actions
from facelabel import settings as configuration
from facelabel.cli import parameters
from facelabel.errors import ConfigurationError, FacelabelError, Unavailable
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from facelabel.bootstrap.app import App
    from facelabel.settings import Settings

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

log = logging.getLogger(__name__)

#: Wide enough that nothing is cut or wrapped where the output goes to a file or another program.
_FILE_WIDTH = 10_000
_TERMINAL = sys.stdout is not None and sys.stdout.isatty()  # None where the shell closed it: >&-


class _Output(Console):
    """Ends the program with the right status where nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Write what is left nowhere."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        sys.exit(EXIT_PIPE)


out = _Output(highlight=False, soft_wrap=True, width=None if _TERMINAL else _FILE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


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
    err.print(f"facelabel: a fault of the program itself: {what}; {advice}", style="red",
              markup=False)  # fmt: skip
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
        """Read the settings once, then run."""
        try:
            with _written():
                settings = configuration.load(parameters.gather(ctx))
                _log_to_stderr(settings.log_level)
                ctx.obj = settings
                result: object = super().invoke(ctx)
                if sys.stdout:  # here a full disk is still ours to report, not the interpreter's
                    sys.stdout.flush()
        except FacelabelError as error:
            err.print(f"facelabel: {error}", style="red", markup=False)
            ctx.exit(exit_status(error))
        except KeyboardInterrupt:
            err.print("facelabel: stopped; the same command goes on from here", style="yellow")
            ctx.exit(EXIT_INTERRUPTED)
        return result

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
        err.print(f"facelabel: {where}", style="red", markup=False)
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


@contextmanager
def application(settings: Settings) -> Iterator[App]:
    """The application, with bars for models on their way and notices on standard error."""
    bars, tasks = _bars("[progress.description]{task.description}"), dict[str, Any]()

    def progress(name: str, done: int, total: int | None) -> None:
        if name not in tasks:
            bars.start()  # not before: a server would redraw nothing for days
            tasks[name] = bars.add_task(f"getting {name}", total=total)
        bars.update(tasks[name], completed=done, total=total)
        if total and done >= total:
            bars.remove_task(tasks.pop(name))
        if not tasks:
            bars.stop()

    def notice(text: str) -> None:
        err.print(text, style="yellow", markup=False)

    from facelabel.bootstrap.app import opened  # noqa: PLC0415 - help and typing errors need no database

    with contextlib.ExitStack() as stack:
        stack.callback(bars.stop)
        try:
            app = stack.enter_context(opened(settings, progress, notice))
        except ConfigurationError as error:
            if advice := advice_on(settings.data):
                raise ConfigurationError(f"{error}; {advice}") from error
            raise
        try:
            yield app
        finally:
            if bill := actions.spent(app):
                err.print(bill, style="dim", markup=False)


def advice_on(data: Path) -> str:
    """What helps where a data folder is there and may not be written; "" where it may."""
    effective = os.access in os.supports_effective_ids
    if not reading.is_folder(data) or os.access(data, os.W_OK, effective_ids=effective):
        return ""
    return (
        f"{data} may not be written by this user: have its owner allow it, or choose another data"
        " folder (--data)"
    )


@contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on standard error, if that is a terminal; call it with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True,
                  disable=not err.is_terminal) as bars:  # fmt: skip
        task = bars.add_task(title, total=total)
        yield lambda done, of: bars.update(task, completed=done, total=of)


def _bars(text: str) -> Progress:
    columns = (TextColumn(text), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def print_json(value: object) -> None:
    """Values of the model as JSON on standard output, readable where its encoding allows."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, default=_plain, indent=2)
    click.echo(text)


def _discard_output() -> None:
    """Send what could not be written nowhere: the interpreter would try again at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def lenient_streams() -> None:
    """Have names that the terminal cannot show escaped, instead of dying of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("bytes have no place in our JSON")
    return str(value)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
