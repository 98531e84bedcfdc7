"""The blocks of a page of documentation, and what is shown in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: README, the how-tos, and other pages with something to run; read as they are now.
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.parent.name == "howto"
    or re.search(r"^ *```(sh|console|python)$", path.read_text("utf-8"), re.MULTILINE)
}
#: Languages that are run, and those that are only read: drawings, and parts of programs.
RUN = frozenset({"console", "js", "python", "sh", "sql"})
READ = frozenset({"", "json", "mermaid", "py"})

BLOCK = re.compile(
    r"^(?:[ ]*<!--[ ](?P<mark>as|not[ ]run):[ ](?P<said>[^\n]+?)[ ]-->\n\s*)?"
    r"(?P<fence>[ ]*```)(?P<language>\w*)\n(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
#: Pictures that pages show, by what the commands of a page make.
PICTURES = {"README.md": {"named/party-named.jpg": "docs/images/named.jpg"}}
#: Those are smaller than this in bytes, and their pixels differ by less where they are made again.
PICTURE_BYTES = 60_000
PICTURE_DIFFERENCE = 4.0
#: Numbers that differ from one machine to the next: seconds altogether, similarities a little.
_SECONDS = re.compile(r"\d+(?:\.\d+)?(?= (?:m?s|seconds)\b)")
_DECIMAL = re.compile(r"\d+\.\d+")
#: So far may a number with a decimal be from the one that is shown: processors round differently.
TOLERANCE = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences."""

    language: str
    code: str
    #: Number of its first line in the page, from 1.
    line: int
    #: Why it is not run; empty: it is.
    reason: str = ""
    #: Of SQL, the role that runs it; empty: an administrator.
    role: str = ""

    @property
    def is_run(self) -> bool:
        """Whether it is run."""
        return self.language in RUN and not self.reason


def blocks(text: str) -> list[Block]:
    """All blocks of a page, in order."""
    return [
        Block(
            found["language"], textwrap.dedent(found["code"]),
            text.count("\n", 0, found.start("code")) + 1,
            reason=found["said"] if found["mark"] == "not run" else "",
            role=found["said"] if found["mark"] == "as" else "",
        )
        for found in BLOCK.finditer(text)
    ]  # fmt: skip


def commands(block: Block) -> list[tuple[int, str, str]]:
    """Of a block ``console``: line in the page, command, and what is shown below it."""
    shown: list[tuple[int, str, str]] = []
    for number, line in enumerate(block.code.splitlines(keepends=True), block.line):
        if line.startswith("$ "):
            shown.append((number, line[2:].rstrip("\n"), ""))
        else:
            at, command, output = shown.pop()
            shown.append((at, command, output + line))
    return shown


def is_same(shown: str, printed: str) -> bool:
    """Whether two outputs differ by no more than by what machines differ in."""
    parts = [_parts(text) for text in (shown, printed)]
    if parts[0][0] != parts[1][0]:
        return False
    return all(abs(a - b) <= TOLERANCE for a, b in zip(parts[0][1], parts[1][1], strict=True))


def _parts(text: str) -> tuple[list[str], list[float]]:
    """What is between the numbers of a text, and those that are compared."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    lines = _SECONDS.sub("…", lines)
    return _DECIMAL.split(lines), [float(number) for number in _DECIMAL.findall(lines)]


def with_outputs(text: str, printed: dict[int, str]) -> str:
    """A page whose ``$`` commands are followed by what they printed, by the command's line."""
    lines: list[str] = []
    skipping = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if number in printed:
            output = "\n".join(one.rstrip() for one in printed[number].strip().splitlines())
            lines += [line, *([output + "\n"] if output else [])]
            skipping = True
        elif not skipping or line.startswith(("$ ", "```")):
            lines.append(line)
            skipping = False
    return "".join(lines)
