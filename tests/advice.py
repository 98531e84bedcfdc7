"""Every piece of advice that the program can print: commands, settings, variables, options."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import facelabel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(facelabel.__file__).parent
#: What stands for a value that is known only when it is printed, by how it is computed.
VALUES = {
    "flags": "--confidence-threshold 90",
    "how": " --poll",
    "pack.name": "classic",
    "best.name": "classic",
    "name": "classic",
    "self._pack.name": "classic",
    "pack": "classic",
    "settings.public_url": "https://faces.example.com",
    "uri": "https://faces.example.com",
    "next(iter(maybe))": "https://faces.example.com",
    "command": "facelabel connect",
    "words": "facelabel move assets/party assets",
}
#: What a person puts in the place of words in capitals.
PLACES = {
    "FOLDER": ".",
    "DIR": ".",
    "PACK": "classic",
    "FILE": "party.jpg",
    "PICTURES": "party.jpg",
    "ADDRESS": "https://faces.example.com",
}
#: Any other: a number, a name, a file.
_VALUE = "1"
_QUOTED = re.compile(r"`(facelabel(?: [^`]*)?)`")
_BARE = re.compile(r"facelabel(?: [a-z][a-z-]*| --[a-z-]+)+")


@dataclass(frozen=True, slots=True)
class Text:
    """What the program may print, with something in the place of each value."""

    text: str
    #: File and line.
    where: str


@cache
def texts() -> tuple[Text, ...]:
    """Every text in the source, docstrings (which are help) with them."""
    return tuple(found for path in sorted(ROOT.rglob("*.py")) for found in _of(path))


def _of(path: Path) -> Iterator[Text]:
    tree = ast.parse(path.read_text("utf-8"))
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in ast.walk(node) if part is not node}  # fmt: skip
    for node in ast.walk(tree):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.JoinedStr) and node not in inside:
            yield Text("".join(map(_part, node.values)), where)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield Text(node.value, where)


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return VALUES.get(ast.unparse(part.value), _VALUE)


def commands() -> dict[str, str]:
    """Every command that is named, and where; what is behind a pipe is another program's."""
    found: dict[str, str] = {}
    for one in texts():
        text = re.sub(r"\s+", " ", one.text)
        named = _QUOTED.findall(text)
        if _BARE.fullmatch(text):
            named.append(text)
        for command in named:
            found.setdefault(command.partition(" | ")[0].strip(), one.where)
    return found


def filled(line: str) -> list[str]:
    """The words of a command, with something in the place of each that a person is to choose."""
    return [PLACES.get(word, word) for word in shlex.split(line)]
