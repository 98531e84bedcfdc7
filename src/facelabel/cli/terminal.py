"""What a command says: results, errors, progress bars, JSON; and the application that it opens."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import gc
import json
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
from facelabel.cli.framework import EXIT_PIPE
from facelabel.errors import ConfigurationError
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.settings import Settings

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
        with _advised(settings):
            app = stack.enter_context(opened(settings, progress, notice))
        gc.enable()  # see __main__
        try:
            yield app
        finally:
            if bill := actions.spent(app):
                err.print(bill, style="dim", markup=False)


@contextmanager
def records(settings: Settings) -> Iterator[Records]:
    """What is kept, for commands that only look at it: they need no face model."""
    from facelabel.bootstrap.records import opened  # noqa: PLC0415 - help needs no database

    with contextlib.ExitStack() as stack:
        with _advised(settings):
            kept = stack.enter_context(opened(settings))
        gc.enable()  # see __main__
        yield kept


@contextmanager
def _advised(settings: Settings) -> Iterator[None]:
    """Say what helps, where the data folder is the reason for an error."""
    try:
        yield
    except ConfigurationError as error:
        if advice := advice_on(settings.data):
            raise ConfigurationError(f"{error}; {advice}") from error
        raise


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
