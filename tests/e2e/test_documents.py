"""The README and the how-tos do what they say: every block of theirs is run, page by page.

Pages are followed from the top in a home of their own, beside a second server where they speak of
an account: see tests/documents. A block that cannot be run has the reason before it, in a comment
``<!-- not run: … -->``. What stands behind a ``print(…)`` is what it prints; what stands below
``$ …`` is written by ``make docs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageStat
from tests.documents import page as pages
from tests.documents.page import PAGES, READ, RUN, blocks
from tests.documents.stage import Around, follow
from tests.photographs import Studio, public_domain

from facelabel.cli import commands
from facelabel.errors import Unavailable
from facelabel.settings import SETTINGS, flag

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

#: Options of each command, and those of all.
COMMANDS = {
    name.removeprefix("facelabel "): [one.opts for one in command.params]
    for name, command in commands()
}
OPTIONS = {"--help", "--version", *(flag(name) for name in SETTINGS)}
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.fixture
def around(
    request: pytest.FixtureRequest, model_cache: Path, missing: Callable[[str], NoReturn]
) -> Around:
    """Return what is there once for all pages; what is costly is made when it is asked for."""
    try:
        studio = Studio(public_domain(model_cache))
    except Unavailable as error:
        missing(str(error))
    return Around(
        model_cache, studio,
        node_modules=lambda: Path(request.getfixturevalue("node_sdk"), "node_modules"),
        postgresql=lambda: str(request.getfixturevalue("postgresql_server")),
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, tmp_path: Path, around: Around) -> None:
    for shown in follow(page, tmp_path, around):
        where = f"{page}:{shown.line}\n{shown.command}\n--- printed\n{shown.ran.printed}"
        assert not shown.ran.failed, f"{shown.ran.failed}{where}"
        if shown.language == "console":
            assert pages.is_same(shown.expected, shown.ran.printed), f"make docs? {where}"
        for expected in PRINTED.findall(shown.command):
            assert expected in shown.ran.printed, where
    for made, kept in pages.PICTURES.get(page, {}).items():
        _are_same(tmp_path / "home" / made, pages.ROOT / kept)


def _are_same(made: Path, kept: Path) -> None:
    """`make docs` made the picture that the page shows."""
    assert kept.stat().st_size <= pages.PICTURE_BYTES
    with Image.open(made) as one, Image.open(kept) as other:
        assert one.size == other.size
        differences = ImageStat.Stat(ImageChops.difference(one, other)).mean
    assert max(differences) < pages.PICTURE_DIFFERENCE, "make docs?"


def test_few_blocks_are_not_run_and_each_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """At most ten; no language is left out by a mark that is misspelt."""
    left = [
        f"{name}:{block.line}: {block.reason}"
        for name, path in PAGES.items()
        for block in blocks(path.read_text("utf-8"))
        if not block.is_run and block.language not in READ
    ]
    unknown = [line for line in left if line.endswith(": ")]
    assert not unknown, "a language that is neither run nor only read, and no reason"
    assert len(left) <= 10, "\n".join(left)


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page: str) -> None:
    """What stands in a line of text as `facelabel …` is a command with options that it has."""
    text = re.sub(
        r"^ *```.*?^ *```", "", PAGES[page].read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for line in re.findall(r"`facelabel ([^`]+)`", text):
        words = line.split()
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), "")
        assert name or words[0].startswith(("-", "COMMAND")), f"{page}: {line}"
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert set(options) <= OPTIONS.union(*COMMANDS.get(name, ())), f"{page}: {line}"


def test_nothing_is_left_out() -> None:
    """There is something to run on each page that is expected to have it."""
    for name in ("README.md", "docs/howto/python.md", "docs/howto/serve.md"):
        assert any(block.language in RUN for block in blocks(PAGES[name].read_text("utf-8")))
