"""What a page finds: pictures in a home of its own, and an account on Cloudinary.

All pictures show two photographs in the public domain (see CONTRIBUTING.md, "Photographs"): in the
README under the names of whom they show, elsewhere as John Doe and Mary Roe.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
import sqlalchemy
from tests.documents.page import PAGES, ROOT, Block, blocks, commands
from tests.documents.terminal import Ran, Terminal
from tests.e2e.conftest import IDLE, program_in
from tests.e2e.served import free_port, serving
from tests.photographs import Look, Studio, of

from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: The pack that pages are followed with: the one that users get.
PACK: Final = "opencv-zoo"
#: How pages write the address of an account, of a server of one's own, and its usual port.
ACCOUNT: Final = "cloudinary://KEY:SECRET@CLOUD"
OWN: Final = "cloudinary://KEY:SECRET@local"
DATABASE: Final = "postgresql://facelabel:PASSWORD@db.example.com/facelabel"
PORT: Final = "8765"
#: Two people and the files of their portraits, by page.
NAMED: Final = {"README.md": (("Grace Hopper", "grace"), ("Eileen Collins", "eileen"))}
OTHERS: Final = (("John Doe", "john"), ("Mary Roe", "mary"))
PORTRAIT: Final = (300, 360)
#: Of each the portrait, and another one of the same photograph.
PORTRAITS: Final = (
    (of("Hopper", face=130, size=PORTRAIT), of("Hopper", face=110, size=PORTRAIT, mirrored=True)),
    (of("Collins", face=91, size=PORTRAIT), of("Collins", face=80, size=PORTRAIT, light=0.9)),
)
PARTY: Final = (
    of("Collins", face=110, size=(330, 400), mirrored=True, light=1.05),
    of("Hopper", face=150, size=(330, 400), light=1.1),
)
#: Photos for which nobody is asked who they show.
PHOTOS: Final = {
    "garden.jpg": (of("Collins", face=80, size=(240, 300), light=0.85),),
    "street.jpg": (of("Hopper", face=110, size=(240, 300), colour=0.1),),
}


#: A test of a reader's own program, which calls Rekognition.
TEST: Final = """
import boto3


def test_there_is_no_collection() -> None:
    assert boto3.client("rekognition").list_collections()["CollectionIds"] == []
"""
#: What stands in a checkout of Facelabel, where the README is read.
CHECKOUT: Final = ("LICENSE", "Makefile", "README.md", "pyproject.toml", "requirements", "src")


@dataclass(frozen=True, slots=True)
class Around:
    """What is there once for all pages."""

    model_cache: Path
    studio: Studio
    #: Returns the folder node_modules with the SDKs, where Node is installed.
    node_modules: Callable[[], Path]
    #: Returns the URL of a PostgreSQL server, with {} for the database.
    postgresql: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a page, and what it printed."""

    line: int
    language: str
    command: str
    #: What the page shows.
    expected: str
    ran: Ran


def follow(page: str, folder: Path, around: Around) -> Iterator[Shown]:
    """Do what a page says, from its top; what each block or command printed.

    Raises Unavailable where the package index cannot be reached.
    """
    ModelStore(around.model_cache).pull(builtin_packs()[PACK])
    parts = [block for block in blocks(PAGES[page].read_text("utf-8")) if block.is_run]
    home, stage = folder / "home", folder / "stage"
    for one in (home, stage):
        one.mkdir()
    furnish(home, around.studio, NAMED.get(page, OTHERS))
    if page == "README.md":
        _check_out(home, stage)
    if any(block.language == "js" for block in parts):
        (home / "node_modules").symlink_to(around.node_modules())
    port = str(free_port())
    environment = {
        **_neutral(), "FACELABEL_MODELS": str(around.model_cache), "FACELABEL_PACK": PACK,
        "FACELABEL_PORT": port, "FACELABEL_THREADS": "1", "FACELABEL_DEVICE": "cpu",
        "COLUMNS": "80",
    }  # fmt: skip
    with (
        _account(folder, parts, around) as account,
        Terminal(stage, home, environment | account) as terminal,
    ):
        for block in parts:
            if block.language == "sql":
                _ask(around.postgresql(), block)
                continue
            known = {PORT: port, **_addresses(block, around, account)}
            yield from _run(page, block, terminal, known)


def _addresses(block: Block, around: Around, account: dict[str, str]) -> dict[str, str]:
    """What is meant by addresses that pages only pretend to know."""
    known: dict[str, str] = {}
    if (
        ACCOUNT in block.code
    ):  # by itself it would be a library of one's own: it is not Cloudinary's
        known[f"export CLOUDINARY_URL='{ACCOUNT}'"] = (
            f"export FACELABEL_LIBRARY=cloudinary CLOUDINARY_URL='{account['ACCOUNT']}'"
        )
    if DATABASE in block.code:
        known[DATABASE] = _as_role(around.postgresql(), "facelabel")
    return known


def _check_out(home: Path, stage: Path) -> None:
    """Let ``make`` run what the Makefile says, with the program that the shell runs."""
    for name in CHECKOUT:
        (home / name).symlink_to(ROOT / name)
    (stage / "venv" / "bin").mkdir(parents=True)
    (stage / "venv" / "facelabel").touch()
    (stage / "venv" / "bin" / "facelabel").symlink_to(stage / "facelabel")
    made = f"--silent --old-file={stage}/venv/facelabel VENV={stage}/venv"
    (stage / "make").write_text(f'#!/bin/sh\nexec {shutil.which("make")} {made} "$@"\n', "utf-8")
    (stage / "make").chmod(0o700)


def _as_role(server: str, role: str) -> str:
    """The URL of the database that pages make, for a role."""
    return sqlalchemy.make_url(server.format("facelabel")).set(username=role).render_as_string()


def _ask(server: str, block: Block) -> None:
    """Have PostgreSQL do what a block of SQL says; what it makes is not there before."""
    administrator = server.format("postgres")
    for kind, name in re.findall(r"CREATE (ROLE|DATABASE) (\w+)", block.code)[::-1]:
        _execute(
            administrator, f"DROP {kind} IF EXISTS {name}{' WITH (FORCE)' * (kind == 'DATABASE')}"
        )
    url = _as_role(server, block.role) if block.role else administrator
    for statement in block.code.split(";\n"):
        if statement:
            _execute(url, statement)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def furnish(home: Path, studio: Studio, people: tuple[tuple[str, str], ...]) -> None:
    """Put the pictures that pages speak of into a home."""
    for (name, file), (first, second) in zip(people, PORTRAITS, strict=True):
        _save(studio, [first], home / f"{file}.jpg")
        _save(studio, [first], home / "portraits" / name / f"{file}.jpg")
        _save(studio, [second], home / "portraits" / name / f"{file}-2.jpg")
    for name, looks in {"party.jpg": PARTY, **PHOTOS}.items():
        for place in (home, home / "Pictures" / "2026", home / "buckets" / "photos" / "2026"):
            _save(studio, looks, place / name)
    shutil.copytree(home / "Pictures" / "2026", home / "photos")
    (home / "test_program.py").write_text(TEST, "utf-8")


def _save(studio: Studio, looks: tuple[Look, ...] | list[Look], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    studio.row(looks).picture.save(path, quality=85)


def _neutral() -> dict[str, str]:
    """Our environment without anybody's account."""
    others = ("FACELABEL", "AWS_", "CLOUDINARY", "XDG_", "PYTHONPATH")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(others)}
    return {**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@contextmanager
def _account(folder: Path, parts: list[Block], around: Around) -> Iterator[dict[str, str]]:
    """A server that stands for Cloudinary, or for Amazon, where a page speaks of an account."""
    text = "".join(block.code for block in parts)
    if ACCOUNT not in text and "rekognitionCollection=" not in text:
        yield {}
        return
    (folder / "account").mkdir()
    program = program_in(folder / "account", around.model_cache)
    program.environment.update(IDLE)
    with serving(program) as served:
        if ACCOUNT not in text:
            yield _amazon(served.url)
            return
        picture = folder / "account" / "holiday.jpg"
        _save(around.studio, PARTY, picture)
        served.cloud().upload(str(picture), asset_folder="assets", public_id="holiday")
        yield {"ACCOUNT": served.cloudinary_url}


def _amazon(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_REKOGNITION": url, "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }  # fmt: skip


def _run(page: str, block: Block, terminal: Terminal, known: dict[str, str]) -> Iterator[Shown]:
    code = _filled_in(block.code, terminal, known)
    match block.language:
        case "python":
            ran = terminal.python(page, block.line, code)
            yield Shown(block.line, "python", block.code, "", ran)
        case "console":
            for line, command, expected in commands(block):
                ran = terminal.shell(_filled_in(command, terminal, known))
                yield Shown(line, "console", command, expected, ran)
        case "js":
            ran = terminal.shell(f"cat > page.mjs <<'PAGE'\n{code}PAGE\nnode page.mjs")
            yield Shown(block.line, "js", block.code, "", ran)
        case _:
            yield Shown(block.line, block.language, block.code, "", terminal.shell(code))


def _filled_in(code: str, terminal: Terminal, known: dict[str, str]) -> str:
    """A block with what a reader would put in: keys, addresses."""
    for shown, meant in known.items():
        code = code.replace(shown, meant)
    code = code.replace("keys remove KEY", 'keys remove "$(newest_key)"')
    if OWN in code:
        with (terminal.home / ".local/share/facelabel/keys.json").open("rb") as keys:
            code = code.replace(
                OWN, "cloudinary://{key}:{secret}@local".format(**json.load(keys)[0])
            )
    return code
