"""What scripts are told: each command with each status it can end with, as the reference says."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.e2e.conftest import Inside, program_in

from facelabel.cli import commands, framework
from facelabel.errors import ConfigurationError, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Program

    from facelabel.engine.models.model_store import ModelStore

REFERENCE = Path(__file__).parents[2] / "docs/generate.py"
#: The least that each command asks for.
GOOD = {
    "demo": "demo --portraits people --photos picture.jpg",
    "index": "index --check",
    "identify": "identify picture.jpg",
    "upload": "upload picture.jpg --now",
    "tag": "tag",
    "library": "library",
    "show": "show assets/kept",
    "people": "people",
    "forget": "forget Ann --yes",
    "tag-add": "tag-add assets/kept summer",
    "tag-remove": "tag-remove assets/kept summer",
    "move": "move assets/kept assets",
    "rename": "rename assets/kept assets/kept",
    "rm": "rm assets/picture --yes",
    "serve": "serve --port 0",
    "keys list": "keys list",
    "keys add": "keys add",
    "keys remove": "keys remove 1",
    "connect": "connect --dry-run",
    "reconcile": "reconcile",
    "worker": "worker --once",
    "jobs list": "jobs list",
    "jobs retry": "jobs retry --all",
    "jobs drop": "jobs drop --all",
    "models list": "models list",
    "models pull": "models pull classic",
    "models verify": "models verify classic",
    "eval pairs": "eval pairs pairs.txt people",
    "eval gallery": "eval gallery people",
    "doctor": "doctor",
    "adopt": "adopt",
    "completion": "completion bash",
}
#: Cannot go well without an account, or without a face; or do not end by themselves.
NOT_GOOD = {
    "connect", "demo", "eval pairs", "eval gallery", "forget", "keys remove", "rename", "serve",
}  # fmt: skip
#: Ends with 1, after these; each line is a command, what it says stands behind the dots.
REFUSED = {
    "demo": ["demo --portraits people --photos picture.jpg … no face"],
    "index": ["index people … no face", "index --check … no face"],
    "identify": ["identify notes.jpg picture.jpg … not a picture"],
    "upload": [
        "upload notes.jpg picture.jpg … not a picture",
        "upload picture.jpg --label Ann --now … refused",
        "upload links … not there",
        f"upload {'x' * 300} picture.jpg … File name too long",
    ],
    "tag": ["tag elsewhere … outside", "upload picture.jpg --label Ann", "tag … no face"],
    "show": ["show nothing … there is no picture"],
    "forget": ["forget Ann --yes … nobody is known as 'Ann'"],
    "tag-add": ["tag-add nothing x … there is no picture", "tag-add assets/kept a,b … comma"],
    "tag-remove": ["tag-remove nothing x … there is no picture"],
    "move": ["move assets/kept nothing archive … there is no picture"],
    "rename": ["rename nothing x … there is no picture"],
    "rm": ["rm assets/kept nothing --yes … there is no picture", "rm assets/kept … --yes goes on"],
    "keys remove": ["keys remove 1 … there is no key"],
    "connect": ["connect … a library of our own"],
    "reconcile": ["upload picture.jpg --label Ann", "reconcile … no face"],
    "worker": ["upload picture.jpg --label Ann", "worker --once … no face"],
    "jobs retry": ["jobs retry 99 … there is no failed job 99"],
    "jobs drop": [
        "jobs drop 99 … there is no failed job 99",
        f"jobs drop 9{10**20} … there is no failed job 9{10**20}",
    ],
    "models pull": ["models pull mobilefacenet --models own --from people … cannot be read"],
    "models verify": ["models verify mobilefacenet --models own … not installed"],
    "eval pairs": ["eval pairs notes.jpg people … line 1"],
    "eval gallery": ["eval gallery links … no labelled pictures"],
    "doctor": ["doctor --store sqlite:///notes.jpg … not a database"],
    "adopt": ["adopt --data other --store sqlite:///../data/facelabel.db … are not in other"],
}  # fmt: skip

#: What is no usage of a command, though each word is known.
USAGE = (
    "jobs retry",
    "jobs drop",
    "jobs retry 1 --all",
    "upload people picture.jpg --public-id x",
    "demo --photos people",
    "index --force",
    "keys --json add",
)


def reference() -> Any:  # noqa: ANN401 - a module
    """The program that writes the table."""
    spec = importlib.util.spec_from_file_location("generate", REFERENCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def working() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its full name."""
    for name, command in commands():
        if not isinstance(command, click.Group):
            yield name.removeprefix("facelabel "), command


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, model_cache: Path, classic_pack_store: ModelStore
) -> Path:
    """A library with a picture, and files to give; nobody has a face."""
    facelabel = Inside.of(program_in(tmp_path_factory.mktemp("site"), model_cache))
    folder = facelabel.folder
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "picture.jpg")
    (folder / "notes.jpg").write_text("no picture")
    (folder / "people/Ann").mkdir(parents=True)
    Image.fromarray(noise.transpose(1, 0, 2)).save(folder / "people/Ann/ann.png")
    (folder / "pairs.txt").write_text("Ann 1 2\n")
    (folder / "links").mkdir()
    (folder / "links/broken.jpg").symlink_to("nowhere")
    facelabel("upload", "picture.jpg", "--public-id", "assets/kept")
    facelabel("tag")
    return folder.parent


@pytest.fixture
def site(prepared: Path, tmp_path: Path, model_cache: Path) -> Program:
    """A copy of that."""
    shutil.copytree(prepared, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Inside.of(program_in(tmp_path, model_cache))


def test_the_table_is_complete() -> None:
    """Every command is in it or never refuses; every line has its test."""
    names = [name for name, _ in working()]
    assert list(GOOD) == names
    assert reference().REFUSED.keys() == REFUSED.keys()
    assert list(reference().RESULTS) == names
    assert set(reference().STATUSES) == {
        0, framework.EXIT_REJECTED, framework.EXIT_CONFIGURATION, framework.EXIT_SOFTWARE,
        framework.EXIT_UNAVAILABLE, framework.EXIT_INTERRUPTED, framework.EXIT_PIPE,
    }  # fmt: skip


@pytest.mark.parametrize("command", REFUSED)
def test_what_was_refused(site: Program, command: str) -> None:
    """1, and a word about it; what comes before is good."""
    for line in REFUSED[command]:
        arguments, _, says = line.partition(" … ")
        said = site(*shlex.split(arguments), status=1 if says else 0)
        assert says in said
    assert site.json("show", "assets/kept")["asset_folder"] == "assets"


def test_what_is_good(site: Program) -> None:
    """0."""
    for command, line in GOOD.items():
        if command not in NOT_GOOD:
            site(*shlex.split(line))


def test_what_is_good_for_programs_and_shells(site: Program) -> None:
    """One document, with a result, under the command's name; for a shell ids and no words."""
    for command, line in GOOD.items():
        if command not in NOT_GOOD:
            told = site.document(*shlex.split(line))
            assert (told["command"], told["problems"]) == (command, [])
            assert told["result"] is not None, command
    assert site("library", "--quiet").splitlines() == ["assets/kept"]
    assert site("upload", "picture.jpg", "--quiet") == "assets/picture\n"
    for command in ("worker --once", "tag", "index --check", "reconcile", "tag-add assets/kept x"):
        assert site(*shlex.split(command), "--quiet") == ""


@pytest.mark.parametrize("command", REFUSED)
def test_what_was_refused_is_told_to_programs(site: Program, command: str) -> None:
    """As an error, or beside what went well."""
    for line in REFUSED[command]:
        arguments, _, says = line.partition(" … ")
        told = site.document(*shlex.split(arguments), status=1 if says else 0)
        texts = [told["error"]["message"]] if "error" in told else []
        if says and command != "doctor":
            assert any(
                says in text for text in [*texts, *told["problems"], str(told.get("result"))]
            )


def test_wrong_settings_and_usage(site: Program) -> None:
    """2 from every command, and nothing was done."""
    for command, line in GOOD.items():
        if command != "completion":  # no setting means anything to it
            assert "--margin=x" in site(*shlex.split(line), "--margin", "x", status=2)
        assert "No such option" in site(*shlex.split(line), "--nonsense", status=2)
    for line in USAGE:
        assert "Usage:" in site(*shlex.split(line), status=2)


def test_a_store_that_is_away(site: Program) -> None:
    """75 from every command that needs it; doctor says it."""
    away = ("--store", "postgresql://nobody@127.0.0.1:9/x?connect_timeout=2")
    for command, line in GOOD.items():
        # A store of its own; its list first; none at all.
        if command in {"demo", "eval pairs", "eval gallery", "completion"}:
            continue
        said = site(*shlex.split(line), *away, status=1 if command == "doctor" else 75)
        assert "127.0.0.1" in said


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (Rejected("no"), 1),
        (ConfigurationError("no"), 2),
        (Unavailable("no"), 75),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device", "x"), 75),
    ],
)
def test_whatever_happens_inside_a_command(raised: BaseException, status: int) -> None:
    """Each kind of error has its status; all our commands are of this class."""

    @click.command(cls=framework.Command)
    @click.pass_obj
    def command(_settings: object) -> None:
        raise raised

    done = CliRunner().invoke(command)
    assert done.exit_code == status
    assert done.output.count("\n") == 1
    assert all(isinstance(command, framework.Command) for _, command in working())


@pytest.mark.parametrize("arguments", [("models", "list"), ("--help",), ("jobs", "--help")])
def test_output_that_nobody_reads(program: Program, arguments: tuple[str, ...]) -> None:
    """141 and not a word, as of a program that the system ended for it."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            program.command(*arguments), env=program.environment, cwd=program.folder,
            stdout=writer, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (framework.EXIT_PIPE, b"")


def test_a_fault_of_our_own_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The traceback is for those who ask for it."""
    assert framework.own_fault(KeyError("x")) == framework.EXIT_SOFTWARE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "KeyError: 'x'" in said
