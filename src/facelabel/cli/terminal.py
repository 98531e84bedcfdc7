"""What a command says, written once: to people, to a shell (--quiet) and to programs (--json).

================  ==================  ==================  ======================================
call              a person            ``--quiet``         ``--json``
================  ==================  ==================  ======================================
``say``           standard output     nothing             nothing
``give``          standard output     standard output     nothing
``answer``        nothing             nothing             ``result``
``event``         nothing             nothing             a line of its own, if the command streams
``left_out``      nothing             nothing             ``left_out``
``remark``        standard error      nothing             standard error
``warn``          standard error      nothing             ``warnings``
``complain``      standard error      standard error      ``problems``, and standard error
================  ==================  ==================  ======================================

``give`` is for what was asked for: ids, names, keys, one on a line. ``complain`` is for what makes
a command end with another status than 0. ``is_verbose`` says whether wide details are wanted.

What a program reads is one document, printed when the command ends (docs/reference/json.md). Of a
command that streams each line is one, and the last is the result.

Whatever is said may have names of people and files in it: what could move a cursor, or turn the
direction of what follows, is escaped here and nowhere else. On a terminal sentences go on in the
next line between words; anywhere else each is a line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import gc
import json
import math
import os
import re
import sys
import time
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import click

from facelabel.errors import ConfigurationError, FacelabelError
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from rich.progress import Progress

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.settings import Settings

#: Of the shape of all that is said to programs. A field may be added; what changes the meaning of
#: one, or takes one away, counts this up.
JSON_VERSION = 1
#: In names of Persian and of India, and in emoji.
_JOINERS = "\u200c\u200d"


class Audience(enum.Enum):
    """Whom a command speaks to."""

    PERSON = "person"
    SHELL = "shell"
    PROGRAM = "program"


@dataclass
class Speech:
    """One command's, from its start to its end."""

    command: str = ""
    audience: Audience = Audience.PERSON
    is_verbose: bool = False
    #: Whether lines are printed before the command has ended.
    streams: bool = False
    result: object = None
    error: dict[str, str] | None = None
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[Mapping[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """What a program reads in the end."""
        head = {"facelabel": JSON_VERSION, "command": self.command}
        told: dict[str, object] = {"result": self.result} if self.error is None else {}
        if self.error is not None:
            told["error"] = self.error
            if self.result is not None:
                told["result"] = self.result
        return {
            **head, **told,
            "warnings": self.warnings, "problems": self.problems, "left_out": self.left_out,
        }  # fmt: skip


#: Of the command that runs, whatever thread asks.
_speech = Speech()


@contextmanager
def speaking(speech: Speech) -> Iterator[None]:
    """Have a command say everything so; in the end, whatever that is, a program is answered."""
    global _speech  # noqa: PLW0603 - a process runs one command, and its threads speak for it
    outer, _speech = _speech, speech
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not isinstance(error, click.exceptions.Exit):
            speech.error = speech.error or _told(error)
        raise
    finally:
        try:
            if speech.audience is Audience.PROGRAM:
                _write_json(speech.document(), indent=None if speech.streams else 2)
        finally:
            _speech = outer


def note_error(error: BaseException) -> None:
    """Have programs told what ended the command; people are told by whoever knows how."""
    _speech.error = _told(error)


def _told(error: BaseException) -> dict[str, str]:
    """An error for programs."""
    if isinstance(error, click.UsageError):
        return {"kind": "Usage", "message": error.format_message()}
    if isinstance(error, FacelabelError):
        return {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        kind = "Interrupted" if isinstance(error, KeyboardInterrupt) else "Aborted"
        return {"kind": kind, "message": kind.lower()}
    if isinstance(error, OSError):
        return {"kind": "Unavailable", "message": str(error)}
    return {"kind": "Fault", "message": f"{type(error).__name__}: {error}".rstrip(": ")}


class Styled(str):
    """A text that looks as click's ``style`` names it, where the terminal can: "bold red"."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str) -> Self:
        """Text and style; joining it to others by ``+`` or in an f-string loses the style."""
        styled = super().__new__(cls, text)
        styled.style = style
        return styled


def bold(text: str) -> Styled:
    """What the eye should find first."""
    return Styled(text, "bold")


def say(*parts: str, style: str = "") -> None:
    """Print a line for people; the parts with spaces between."""
    if _speech.audience is Audience.PERSON:
        _write(sys.stdout, parts, style)


def give(text: str, told: str = "") -> None:
    """Print a line of what was asked for; for people, where there is more to say, that instead.

    A shell that reads it has it letter by letter.
    """
    if told and is_for_people():
        _write(sys.stdout, (told,), "")
    elif not is_for_programs():
        is_read = not is_for_people() and not is_terminal(sys.stdout)
        _print(sys.stdout, text if is_read else visible(text))


def answer(result: object) -> None:
    """Tell programs what came of it: dataclasses, enums, sets and paths are understood."""
    _speech.result = result


def event(what: Mapping[str, object]) -> None:
    """Tell programs what happens meanwhile, where the command is one that streams."""
    if _speech.audience is Audience.PROGRAM and _speech.streams:
        head = {"facelabel": JSON_VERSION, "command": _speech.command}
        _write_json({**head, "event": what}, indent=None)


def left_out(rows: Iterable[Mapping[str, str]]) -> None:
    """Tell programs what was passed over, and why."""
    _speech.left_out.extend(rows)


def remark(text: str, style: str = "dim") -> None:
    """Print beside the results what is good to know."""
    if _speech.audience is not Audience.SHELL:
        _write(sys.stderr, (text,), style)


def warn(text: str) -> None:
    """Print what may be meant, and more often is not."""
    _speech.warnings.append(text)
    if _speech.audience is Audience.PERSON:
        _write(sys.stderr, (text,), "yellow")


def complain(text: str) -> None:
    """Print what went wrong, in a command that goes on."""
    _speech.problems.append(text)
    _write(sys.stderr, (text,), "red")


def fail(text: str, style: str = "red") -> None:
    """Print what ended the command; programs have it from the error itself."""
    _write(sys.stderr, (f"facelabel: {text}",), style)


def usage(line: str) -> None:
    """Print a line about what was given wrongly; programs have it from the error itself."""
    _write(sys.stderr, (line,), "")


def is_verbose() -> bool:
    """Whether wide details are wanted."""
    return _speech.is_verbose


def is_for_people() -> bool:
    """Whether somebody reads what is said."""
    return _speech.audience is Audience.PERSON


def is_for_programs() -> bool:
    """Whether the answer is JSON."""
    return _speech.audience is Audience.PROGRAM


def visible(text: str) -> str:
    """The text with everything escaped that a terminal does not show but obeys.

    Any space stays, and so do the joiners within names, and tabs. The end of a line does not: a
    file whose name has one would say a line of its own.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    shown = (
        letter.isprintable() or letter in "\t" + _JOINERS or unicodedata.category(letter) == "Zs"
    )
    return letter if shown else letter.encode("unicode_escape").decode()


def has_colours(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that shows colours, and they are wanted (NO_COLOR)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether somebody looks at it; a shell may have closed it (``>&-``)."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def can_ask() -> bool:
    """Whether somebody is there who sees a question and can answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def width(stream: IO[str]) -> int | None:
    """Columns of the terminal, or as many as COLUMNS says; None where nobody looks."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    if not is_terminal(stream):
        return None
    with contextlib.suppress(OSError, ValueError):
        if columns := os.get_terminal_size(stream.fileno()).columns:
            return columns
    return 80


def _write(stream: IO[str] | None, parts: tuple[str, ...], style: str) -> None:
    if stream is None:
        return
    colours = has_colours(stream)
    looks = [getattr(part, "style", style) if colours else "" for part in parts]
    texts = [visible(part) for part in parts]
    columns = (width(stream) or math.inf) if is_terminal(stream) else math.inf
    for line in _lines(texts, columns):
        _print(stream, " ".join(styled(text, looks[number]) for number, text in line))


def _lines(texts: Sequence[str], columns: float) -> Sequence[Sequence[tuple[int, str]]]:
    """What is said in lines of that width; what is in lines already stays as it is."""
    if columns == math.inf or any("\n" in text or "\t" in text for text in texts):
        return [[(number, text) for number, text in enumerate(texts) if text]]
    from facelabel.cli import wrapping  # noqa: PLC0415 - help says nothing by itself

    return wrapping.wrapped(texts, int(columns))


def styled(text: str, style: str) -> str:
    """The text with the marks that a terminal obeys."""
    words = style.split()
    if not words:
        return text
    manner: dict[str, Any] = {word: True for word in words if word in {"bold", "dim"}}
    colour = next((word for word in words if word not in manner), None)
    return click.style(text, fg=colour, **manner)


def _print(stream: IO[str] | None, text: str) -> None:
    if stream is not None:
        click.echo(text, file=stream, color=True)  # whether there are colours was decided before


@contextmanager
def application(settings: Settings, *, serves: bool = False) -> Iterator[App]:
    """The application, with bars for models on their way and notices on standard error.

    ``serves``: as for :func:`facelabel.bootstrap.app.opened`.
    """
    bars: Progress | None = None
    tasks = dict[str, Any]()

    def progress(name: str, done: int, total: int | None) -> None:
        nonlocal bars
        if bars is None:
            bars = _bars()
        if name not in tasks:
            bars.start()  # not before: a server would redraw nothing for days
            tasks[name] = bars.add_task(f"getting {name}", total=total)
        bars.update(tasks[name], completed=done, total=total)
        if total and done >= total:
            bars.remove_task(tasks.pop(name))
        if not tasks:
            bars.stop()

    from facelabel import actions  # noqa: PLC0415 - help and typing errors need no database
    from facelabel.bootstrap.app import opened  # noqa: PLC0415 - same

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: bars.stop() if bars else None)
        with _advised(settings):
            app = stack.enter_context(opened(settings, progress, warn, serves=serves))
        gc.enable()  # see __main__
        try:
            yield app
        finally:
            if bill := actions.spent(app):
                remark(bill)


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
    """A progress bar on standard error, if that is a terminal; call it with (done, total).

    A command that streams tells programs of the progress, too.
    """
    told = _progress(title)
    if _speech.audience is Audience.SHELL or not is_terminal(sys.stderr):
        yield told
        return
    with _bars(count=True) as bars:
        task = bars.add_task(title, total=total or None, count="")

        def advance(done: int, of: int | None) -> None:
            count = f"{done:,}/{of:,}" if of else f"{done or ''}"
            bars.update(task, completed=done, total=of or None, count=count)
            told(done, of)

        yield advance


def _progress(title: str) -> Callable[[int, int | None], None]:
    """Tells programs how far it is: at first, at last, and not more than once a second."""
    last = -math.inf

    def told(done: int, of: int | None) -> None:
        nonlocal last
        if done == of or time.monotonic() - last >= 1:
            last = time.monotonic()
            event({"progress": title, "done": done, "total": of})

    return told


def _bars(*, count: bool = False) -> Progress:
    """Bars on standard error, nothing where that is no terminal or nobody wants to see them."""
    from rich import progress as bars  # noqa: PLC0415 - takes long to load, and often has no use
    from rich.console import Console  # noqa: PLC0415 - same

    columns = (
        (bars.TextColumn("{task.fields[count]}"), bars.TimeRemainingColumn())
        if count
        else (bars.TaskProgressColumn(),)
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    disabled = not console.is_terminal or _speech.audience is Audience.SHELL
    text = bars.TextColumn("{task.description}", markup=False)
    return bars.Progress(
        text, bars.BarColumn(), *columns, console=console, transient=True, disable=disabled
    )


def _write_json(value: object, indent: int | None) -> None:
    """JSON on standard output, readable where its encoding allows, and harmless to a terminal."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)
    text = _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, default=_plain, indent=indent)
    _print(sys.stdout, text)
    if sys.stdout and indent is None:
        sys.stdout.flush()  # whoever reads a stream waits for it


#: What JSON leaves as it is and terminals obey: other controls, marks and turns of direction.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


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
