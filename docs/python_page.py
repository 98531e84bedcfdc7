"""The reference page of the Python API, from what is exported and its docstrings.

Signatures are marked ``py`` there, code that runs as a test ``python``.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import itertools
import re
import sys
from typing import TYPE_CHECKING

import facelabel
from facelabel import testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: In the order of the page; what is an error comes after them, under a heading of its own.
SECTIONS = {
    "Opening": ("open", "load_settings", "Settings"),
    "A session": ("Session", "Picture", "Progress"),
    "Who is on a picture": (
        "Identification", "FaceDecision", "Verdict", "Candidate", "Face", "Box", "Pose", "Reason",
        "Analysis", "Template",
    ),
    "Library and people": ("Outcome", "OutcomeKind", "Asset", "Person", "Portrait"),
    "The original's calls": ("index_faces", "upload_and_index", "identify"),
}  # fmt: skip
#: Documented in other words, or by what somebody else wrote.
_BRIEF = {
    "Picture": "A path, an http(s) URL, the bytes of an image file, or a file opened in binary mode"
    " (whatever has a `read()` that returns bytes).",
    "Settings": "Every setting by its name, frozen; [what they are](settings.md).",
}
#: What is said before the entries of a section.
_UNITS = {
    "Who is on a picture": (sys.modules[facelabel.Face.__module__].__doc__ or "").partition("\n\n")[
        2
    ]
}
#: Characters of a line of code.
_WIDTH = 96
#: Where an argument or an error begins.
_ENTRY = re.compile(r"^ {4}(?=\**\w+: )", re.MULTILINE)
_HEADINGS = ("Args:", "Returns:", "Raises:")


def python_page() -> str:
    """Everything that a program may use."""
    parts = [
        "# Python\n",
        *_text(facelabel.__doc__ or "", "python"),
        "[How to use it](../howto/python.md): loops, threads, asyncio, errors, tests.\n",
    ]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        if title in _UNITS:
            parts += _text(_UNITS[title])
        for name in names:
            parts += _entry(name)
    errors = sys.modules[facelabel.FacelabelError.__module__].__doc__ or ""
    parts += ["## Errors\n", *_text(errors)]
    parts += ["## For tests\n", "In `facelabel.testing`:\n", *_text(testing.__doc__ or "")]
    for name in testing.__all__:
        first = (inspect.getdoc(getattr(testing, name)) or "").partition("\n")[0]
        parts.append(f"- `{name}`: {_plain(first)}")
    told = {*itertools.chain(*SECTIONS.values()), *re.findall(r"\w+", errors)}
    missing = {*facelabel.__all__} - told
    assert not missing, f"in no section of docs/python_page.py: {missing}"
    return "\n".join(parts) + "\n"


def _entry(name: str) -> Iterator[str]:
    """A function, a class with its fields and methods, or a few words."""
    found = getattr(facelabel, name)
    yield f"### {name}\n"
    if name in _BRIEF:
        yield f"{_BRIEF[name]}\n"
        return
    if inspect.isfunction(found):
        yield from _function(found, name)
        return
    yield from _text(inspect.getdoc(found) or "")
    yield from _fields(found)
    for member, value in vars(found).items():
        if member.startswith("_"):
            continue
        if inspect.isfunction(value):
            yield from _function(value, f"{name}.{member}")
        elif isinstance(value, property):
            yield f"`{member}`: {_plain(inspect.getdoc(value) or '')}\n"


class _Verbatim(str):
    """An annotation as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _function(function: Callable[..., object], name: str) -> Iterator[str]:
    """The signature, one argument a line where it is long, and the docstring."""
    signature = inspect.signature(function)
    shown = [
        one.replace(annotation=_Verbatim(one.annotation))
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    returns = signature.return_annotation
    line = str(inspect.Signature(shown))[1:-1]
    if len(f"{name}({line}) -> {returns}") > _WIDTH:
        line = "".join(f"\n    {one}," for one in _arguments(line)) + "\n"
    if "." in name:
        yield f"#### {name.partition('.')[2]}\n"
    yield f"```py\n{name}({line}) -> {returns}\n```\n"
    yield from _text(inspect.getdoc(function) or "")


def _arguments(line: str) -> list[str]:
    """Parted at the commas that are in no brackets."""
    parts, depth = [""], 0
    for character in line:
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _fields(found: type) -> Iterator[str]:
    """A table of the fields of a dataclass or the members of an enum, from their comments."""
    if issubclass(found, enum.Enum):
        rows = [(f"`{name}`", f'"{member.value}"') for name, member in found.__members__.items()]
        head = ("member", "value")
    elif dataclasses.is_dataclass(found):
        rows = [(f"`{field.name}`", f"`{field.type}`") for field in dataclasses.fields(found)]
        head = ("field", "type")
    else:
        return
    comments = dict(_comments(found))
    yield f"| {head[0]} | {head[1]} | |\n|---|---|---|"
    for name, what in rows:
        comment = comments.get(name.strip("`"), "")
        yield f"| {name} | {what.replace('|', chr(92) + '|')} | {comment} |"
    yield ""


def _comments(found: type) -> Iterator[tuple[str, str]]:
    """What the ``#:`` comments of a class say, by the name below them."""
    above: list[str] = []
    for line in inspect.getsource(found).splitlines():
        if comment := re.match(r" {4}#: (.*)", line):
            above.append(comment[1])
        elif (name := re.match(r" {4}(\w+)(:| =)", line)) and above:
            yield name[1], _plain(" ".join(above))
            above = []
        else:
            above = []


def _text(docstring: str, language: str = "") -> Iterator[str]:
    """A docstring as Markdown: paragraphs, code, and lists of arguments and errors."""
    blocks = re.split(r"\n\s*\n", docstring.strip())
    for is_code, group in itertools.groupby(blocks, lambda block: block.startswith("    ")):
        if is_code:
            code = inspect.cleandoc("\n" + "\n\n".join(group))
            yield f"```{language}\n{code}\n```\n"
            continue
        for block in group:
            heading, _, rest = block.partition("\n")
            if heading in _HEADINGS:
                yield f"{heading}\n\n{_items(rest)}\n"
            elif block != "::":
                yield _plain(block) + "\n"


def _items(text: str) -> str:
    """The entries of ``Args:`` and ``Raises:`` as a list, or the sentences of ``Returns:``."""
    entries = [one.partition(":") for one in re.split(_ENTRY, text) if one]
    if len(entries) == 1 and not re.match(_ENTRY, text):
        return _plain(text)
    return "\n".join(f"- `{name}`: {_plain(what)}" for name, _, what in entries)


def _plain(text: str) -> str:
    """Without the marks of reStructuredText, in one line."""
    text = re.sub(r":\w+:`~?(?:facelabel\.(?:\w+\.)+)?([^`]+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())
