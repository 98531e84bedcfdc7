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
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from facelabel import settings as configuration
from facelabel.cli import parameters, terminal
from facelabel.errors import ConfigurationError, FacelabelError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

F = TypeVar("F", bound="Callable[..., Any]")

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
    terminal.fail(f"a fault of the program itself: {what}; {advice}")
    return EXIT_SOFTWARE


def finish(*, refused: bool = False, waiting: bool = False) -> None:
    """End a command that went through: silently, or with the status of the worst that happened.

    Args:
        refused: something can never be done as it is.
        waiting: something is done later, by the same command or by a worker.

    """
    if refused or waiting:
        raise click.exceptions.Exit(EXIT_REJECTED if refused else EXIT_UNAVAILABLE)


def argument(*names: str, help: str, **attributes: Any) -> Callable[[F], F]:  # noqa: A002, ANN401 - click's own
    """A parameter without a dash, with a line of help, which click alone gives none.

    May be put on several commands, of which click 8.1.0 would know the class for the first alone.
    """

    def put(command: F) -> F:
        return click.argument(*names, cls=_Argument, help=help, **attributes)(command)

    return put


class _Argument(click.Argument):
    """An argument that says what it is."""

    def __init__(self, names: Sequence[str], *, help: str, **attributes: Any) -> None:  # noqa: A002, ANN401 - click's own
        """Keep the line from click, whose older versions know none."""
        super().__init__(names, **attributes)
        self.help = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """What help lists."""
        del ctx
        return self.human_readable_name, self.help or ""


#: How help is asked for, also by commands that are run without the program around them.
_HELP: Final = ("-h", "--help")


def _context_settings(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"help_option_names": [*_HELP], **(given or {})}


class _Documented(click.Command):
    """What takes settings, whose help ends with where they are to be found."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where the settings are to be found."""
        super().format_epilog(ctx, formatter)
        name = f"facelabel {_full_name(ctx)}".rstrip()
        formatter.write(f"\nSettings: `{name} --help-settings`, docs/reference/settings.md\n")


class Command(_Documented):
    """A command that takes every setting as a flag and reports our errors in one line.

    All take ``--json``, ``--quiet`` and ``--help-settings``; what they say they say with
    :mod:`~facelabel.cli.terminal`, which knows who listens.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        examples: Sequence[str] = (),
        verbose: str = "",
        streams: bool = False,
        **kwargs: Any,  # noqa: ANN401 - click's own
    ) -> None:
        """Add to the parameters what every command takes.

        Args:
            args: click's.
            examples: lines for its help, without the program's name.
            verbose: what ``--verbose`` also shows; "" if there is no such option.
            streams: with ``--json`` it prints a line whenever something happened.
            kwargs: click's.

        """
        kwargs["context_settings"] = _context_settings(kwargs.get("context_settings"))
        super().__init__(*args, **kwargs)
        self.params.extend(_manners(verbose, streams=streams))
        self.params.extend(parameters.settings())
        parameters.refuse_empty(self.params)
        self.examples = examples
        self.streams = streams

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> click.Context:
        """Read the arguments; where they are wrong, a program is told in its own way."""
        outer = _full_name(parent) if parent else ""
        with _answered(f"{outer} {info_name}".strip(), args, streams=self.streams):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Make ready, run, say what went wrong."""
        given = ctx.params
        speech = self._speech(
            _full_name(ctx),
            as_json=given.pop("json_", False),
            quiet=given.pop("quiet_", False),
            verbose=given.pop("verbose_", False),
        )
        with _written(), terminal.speaking(speech):
            return self._run(ctx)

    def _speech(
        self, name: str, *, as_json: bool, quiet: bool = False, verbose: bool = False
    ) -> terminal.Speech:
        audience = terminal.Audience.SHELL if quiet else terminal.Audience.PERSON
        if as_json:
            audience = terminal.Audience.PROGRAM
        return terminal.Speech(name, audience, is_verbose=verbose, streams=self.streams)

    def _run(self, ctx: click.Context) -> object:
        try:
            self.prepare(ctx)
            result: object = super().invoke(ctx)
            if sys.stdout:  # here a full disk is still ours to report, not the interpreter's
                sys.stdout.flush()
        except FacelabelError as error:
            terminal.note_error(error)
            terminal.fail(str(error))
            ctx.exit(exit_status(error))
        except KeyboardInterrupt as stop:
            terminal.note_error(stop)
            terminal.fail("stopped; the same command goes on from here", style="yellow")
            ctx.exit(EXIT_INTERRUPTED)
        return result

    def prepare(self, ctx: click.Context) -> None:
        """Read the settings."""
        settings = configuration.load(parameters.gather(ctx))
        _log_to_stderr(settings.log_level)
        for said in configuration.unread(settings):
            terminal.warn(said)
        ctx.obj = settings

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing here: newer versions of click list them before the examples."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, then the command's own, then where to find the settings."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}facelabel {example}\n")
        _list_parameters(self, ctx, formatter)


def _list_parameters(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """A command's own arguments and options."""
    own = [param for param in command.get_params(ctx)
           if not (parameters.is_setting(param) or param.name == "help_settings")]  # fmt: skip
    for title, kind in (("Arguments", click.Argument), ("Options", click.Option)):
        records = [param.get_help_record(ctx) for param in own if isinstance(param, kind)]
        if listed := [record for record in records if record and record[1]]:
            with formatter.section(title):
                formatter.write_dl(listed)


def _manners(verbose: str, *, streams: bool) -> list[click.Option]:
    """How a command may be asked to speak, and its settings."""
    lines = "Print JSON, a line whenever something happened." if streams else "Print JSON."
    options = [
        click.Option(["--json", "json_"], is_flag=True, help=lines),
        click.Option(["-q", "--quiet", "quiet_"], is_flag=True,
                     help="Print what was asked for, and errors; nothing else."),
    ]  # fmt: skip
    if verbose:
        option = ["-v", "--verbose", "verbose_"]
        options.append(click.Option(option, is_flag=True, help=f"Also {verbose}."))
    return [*options, _settings_option()]


def _settings_option() -> click.Option:
    return click.Option(
        ["--help-settings"], is_flag=True, is_eager=True, expose_value=False,
        callback=_print_settings, help="Show the settings, which every command takes as flags.",
    )  # fmt: skip


def _print_settings(ctx: click.Context, _param: click.Parameter, wanted: object) -> None:
    """Every setting with its flag and its variables; of secrets not the flag."""
    if not wanted or ctx.resilient_parsing:
        return
    formatter = ctx.make_formatter()
    with formatter.section("Settings"):
        formatter.write_dl(parameters.described())
    formatter.write_paragraph()
    formatter.write_text(
        "The first of these that names a setting wins: flag, environment variable, .env in the"
        " working folder, facelabel.toml, default. A flag may stand before a command or behind it."
        " What holds a secret is given by a variable or a file: other users of the computer see"
        " the flags of a command."
    )
    click.echo(formatter.getvalue().rstrip("\n"))
    ctx.exit()


def _full_name(ctx: click.Context) -> str:
    """What a command is called behind the program's name."""
    names: list[str] = []
    here: click.Context | None = ctx
    while here and (here.parent or not isinstance(here.command, click.Group)):
        names.insert(0, here.info_name or here.command.name or "")
        here = here.parent
    return " ".join(names)


class Group(_Documented, click.Group):
    """Commands under one name, listed in the order they were added.

    A setting may stand before the command, too: ``facelabel keys --data D add``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        """Take every setting, as its commands do."""
        kwargs["context_settings"] = _context_settings(kwargs.get("context_settings"))
        super().__init__(*args, **kwargs)
        self.params.append(_settings_option())
        self.params.extend(parameters.settings(hidden=True))
        parameters.refuse_empty(self.params)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order added, not by the alphabet."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Remember the settings for the command, whose help is printed here."""
        parameters.gather(ctx)
        with _written():
            return super().invoke(ctx)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> click.Context:
        """Read what was given, which prints help and version."""
        name = f"{_full_name(parent)} {info_name}".strip() if parent else ""
        with _written(), _answered(name, args):
            return super().make_context(info_name, args, parent, **extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; where there is none, programs are told so, too."""
        with _answered(_full_name(ctx), args):
            return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options of its own, then the commands."""
        _list_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)


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
def _answered(command: str, args: Sequence[str], *, streams: bool = False) -> Iterator[None]:
    """Have a program that asks for JSON told what is wrong with what it gave."""
    wants_json = "--json" in args[: args.index("--") if "--" in args else None]
    try:
        yield
    except click.UsageError as error:
        if wants_json:
            speech = terminal.Speech(command, terminal.Audience.PROGRAM, streams=streams)
            with terminal.speaking(speech):
                terminal.note_error(error)
        raise


@contextmanager
def _written() -> Iterator[None]:
    """End with the right status where what is printed cannot be written; click would end with 1.

    And say what was given wrongly on standard error or nowhere: click takes standard output where
    the other is closed.
    """
    try:
        yield
    except click.UsageError as error:
        said = io.StringIO()
        error.show(said)
        with contextlib.suppress(OSError):
            for line in said.getvalue().splitlines():
                terminal.usage(line)
        raise click.exceptions.Exit(error.exit_code) from None
    except BrokenPipeError:  # `facelabel library | head -1`
        _discard_output()
        raise click.exceptions.Exit(EXIT_PIPE) from None
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        terminal.fail(where)
        _discard_output()
        raise click.exceptions.Exit(EXIT_UNAVAILABLE) from None


def confirm(question: str) -> None:
    """Ask; click.Abort unless it is answered with yes, KeyboardInterrupt for Ctrl-C."""
    if not ask(question):
        raise click.Abort


def ask(question: str) -> bool:
    """Whether it is answered with yes; click.Abort for no answer, KeyboardInterrupt for Ctrl-C."""
    try:
        return click.confirm(question, err=True)  # standard output has the answer alone
    except click.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):  # to click that is a no
            raise KeyboardInterrupt from None
        if isinstance(abort.__context__, EOFError):
            click.echo(err=True)  # behind the question
            terminal.complain("nobody is there to answer: --yes goes on without asking")
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
