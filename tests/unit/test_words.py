"""One word for one thing in all that users read: help, messages, pages (docs/glossary.md)."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from facelabel import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/facelabel"

#: What is not said, and what is said for it.
WORDS = {
    r"photos?|photographs?|images?": "picture, or portrait where it is labelled",
    r"(?:un-?)?enrol\w*": "learn, learnt, forget",
    r"identified": "searched, with names",
    r"buried": "refused",
}
#: Others' words: what Cloudinary and Amazon answer is answered here, in their words.
OTHERS = (
    "adapters/cloudinary", "adapters/rekognition", "cloudinary", "rekognition",
    "web/cloudinary_api", "web/rekognition_api", "aws_lambda.py",
)  # fmt: skip
#: Tables and columns, and what is sent to other programs.
NOT_SAID = ("adapters/store", "adapters/fetcher", "evaluation")
#: Terms that have one of the words in them: formats, a flag of the demo, a program of Macs.
TERMS = re.compile(
    r"--photos\b|PHOTOS|image/|mirror image|image file|bytes of an image|container image"
    r"|motion photo|Photos'?|`[^`]*`|\([^)\s]*\)|Path\(\"photos\"\)"
)

#: Beside README and how-tos; docs/compatibility.md speaks of Cloudinary and Amazon in their words,
#: and so do the pages about their protocols.
PAGES = ("accuracy.md", "performance.md", "reference/settings.md", "reference/similarity.md")
#: Of a page: code, comments, and the credits of its pictures.
NO_TEXT = r"^```.*?^```|<!--.*?-->|<sub>.*?</sub>"


def said(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that somebody may read: no docstring, but those that are help."""
    tree = ast.parse(path.read_text("utf-8"))
    silent = {id(text) for node in ast.walk(tree) for text in _docstring(node)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ) and " " in node.value:
            yield node.lineno, node.value


def _docstring(node: ast.AST) -> Iterator[ast.Constant]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        return
    marks = getattr(node, "decorator_list", [])
    is_help = any("command(" in ast.unparse(one) or "group(" in ast.unparse(one) for one in marks)
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and not is_help:
        yield first.value


def wrong(text: str) -> Iterator[str]:
    """What of a text should have been said otherwise."""
    plain = TERMS.sub("", text)
    for word, instead in WORDS.items():
        for found in re.finditer(rf"\b(?:{word})\b(?![.\w])", plain, re.IGNORECASE):
            yield f"{found[0]!r}: {instead}"


def ours() -> list[Path]:
    """Modules that speak with our own words."""
    exempt = tuple(SOURCE / name for name in (*OTHERS, *NOT_SAID))
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if not any(path == one or one in path.parents for one in exempt)
    ]


def test_messages_and_help_say_one_word_for_one_thing() -> None:
    """Of every module but those that speak for others."""
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {fault} in {text.strip()[:90]!r}"
        for path in ours()
        for line, text in said(path)
        for fault in wrong(text)
    ]
    assert not faults, "\n".join(faults)


def test_what_an_error_says_of_itself_does_too() -> None:
    """Its first line is the message where none is given."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    said = [str(kind()) for kind in kinds if issubclass(kind, errors.FacelabelError)]
    assert len(said) > 10
    assert not [fault for text in said for fault in wrong(text)]


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "README.md", *sorted((ROOT / "docs/howto").glob("*.md")),
        *(ROOT / "docs" / name for name in PAGES),
    ],
    ids=lambda page: page.name,
)  # fmt: skip
def test_pages_say_one_word_for_one_thing(page: Path) -> None:
    """Outside blocks of code, and of notes to whoever writes the page."""
    text = re.sub(NO_TEXT, "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    faults = [
        f"{page.name}: {fault} in {line[:90]!r}"
        for line in text.splitlines()
        for fault in wrong(line)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "text", ["33 images were refused", "1 photo", "the face was enrolled", "48 identified"]
)
def test_what_would_be_found(text: str) -> None:
    """The test sees what it is for."""
    assert list(wrong(text))
