"""The program as a user starts it: another process, a data folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import filelock
import pytest
from click.testing import CliRunner
from tests.e2e.served import serving
from tests.forked import Forked
from tests.waiting import PATIENCE

from facelabel.cli import cli
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn, Self

    from botocore.client import BaseClient
    from click.testing import Result
    from tests.e2e.served import Served


#: A shell lets what it starts in the background ignore Ctrl-C, and all that starts from there.
INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from facelabel.__main__ import main
main()
"""
#: Folders of a server that is there for others, and looks at no picture of its own accord.
IDLE = {"trainingFolder": "no-training", "faceRecognitionFolder": "no-assets"}
#: The pack that is recommended; tests mostly use a faster one.
RECOMMENDED = "opencv-zoo"
#: What Node needs, and what it runs.
NODE = Path(__file__).parent / "node"


def answered(printed: str) -> dict[str, Any]:
    """What a program reads in the end: the document, the last line of a command that streams."""
    text = printed if printed.startswith("{\n") else printed.splitlines()[-1]
    document: dict[str, Any] = json.loads(text)
    assert document["facelabel"] == 1
    return document


@dataclass(frozen=True)
class Program:
    """``facelabel`` with an environment of its own."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Run a command, expect its exit status, return what it printed (both streams)."""
        with tempfile.TemporaryDirectory() as folder:
            both = Path(folder, "output")
            returncode = self.start(*arguments, output=both).wait(PATIENCE)
            printed = both.read_text("utf-8")
        assert returncode == status, printed
        assert "Traceback" not in printed
        return printed

    def json(self, *arguments: str | Path, status: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json and return its result; standard output alone."""
        return self.document(*arguments, status=status)["result"]

    def document(self, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
        """The same with all that is beside the result."""
        with tempfile.TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            process = self.start(*arguments, "--json", output=output, errors=errors)
            returncode = process.wait(PATIENCE)
            printed = output.read_text("utf-8")
            assert returncode == status, printed + errors.read_text("utf-8")
        return answered(printed)

    @contextlib.contextmanager
    def started(self, *arguments: str | Path) -> Iterator[Forked]:
        """Start a command; kill it with the block."""
        process = self.start(*arguments, output=Path(os.devnull))
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def start(self, *arguments: str | Path, output: Path, errors: Path | None = None) -> Forked:
        """Start a command; what it prints is added to these files."""
        return Forked(
            "facelabel", *map(str, arguments), env=self.environment, cwd=self.folder,
            output=output, errors=errors,
        )  # fmt: skip

    def bare(self, *arguments: str | Path, status: int = 0) -> str:
        """Run a command as a user does, in an interpreter that has to load the program."""
        result = subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.folder, timeout=PATIENCE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == status, result.stdout
        assert "Traceback" not in result.stdout
        return result.stdout

    def command(self, *arguments: str | Path, interrupted: bool = False) -> list[str]:
        """The command line of that; ``interrupted``: Ctrl-C ends it, also in the background."""
        start = ["-c", INTERRUPTED] if interrupted else ["-m", "facelabel"]
        return [sys.executable, *start, *map(str, arguments)]


class Inside(Program):
    """The same commands in this process: no interpreter to start, warnings are errors."""

    @classmethod
    def of(cls, program: Program) -> Self:
        """The same program."""
        return cls(program.environment, program.folder)

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Run a command, expect its exit status, return what it printed (both streams)."""
        result = self._invoke(*arguments)
        assert result.exit_code == status, result.output
        return result.output

    def document(self, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
        """Run a command with --json and return what it says; standard output alone."""
        result = self._invoke(*arguments, "--json")
        assert result.exit_code == status, result.output
        return answered(result.stdout)

    def _invoke(self, *arguments: str | Path) -> Result:
        with contextlib.chdir(self.folder):
            return CliRunner(env=self.environment).invoke(
                cli, [str(argument) for argument in arguments], catch_exceptions=False
            )


@pytest.fixture
def facelabel(program: Program) -> Program:
    """The program inside this process."""
    return Inside.of(program)


@pytest.fixture
def program(
    tmp_path: Path, model_cache: Path, classic_pack_store: ModelStore, migrated_sqlite: Path
) -> Program:
    """The program with an empty data folder and the pack "classic"."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, folder)  # to make the tables takes as long as many a command
    return program_in(tmp_path, model_cache)


def program_in(folder: Path, model_cache: Path) -> Program:
    """The program with its data in ``folder``, and the pack "classic"."""
    ours = {
        "FACELABEL_DATA": str(folder / "data"),
        "FACELABEL_MODELS": str(model_cache),
        "FACELABEL_PACK": "classic",
        "FACELABEL_THREADS": "1",  # the other core has tests of its own
        "FACELABEL_DEVICE": "cpu",  # as by default: what other devices need is installed, too
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    others = ("FACELABEL", "AWS_")  # nobody's own account is ever asked
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(others)}
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Program({**kept, **ours}, work)


@pytest.fixture
def recommended(model_cache: Path, missing: Callable[[str], NoReturn]) -> str:
    """Name of the recommended pack, which is there."""
    try:
        ModelStore(model_cache).pull(builtin_packs()[RECOMMENDED])
    except Unavailable as error:
        missing(str(error))
    return RECOMMENDED


def customer(program: Program, url: str, collection: str) -> Program:
    """The program as somebody sets it up whose faces Amazon knows, at that address."""
    theirs = {
        "FACELABEL_FACES": "rekognition",
        "FACELABEL_REKOGNITION_RATE": "1000",
        "rekognitionCollection": collection,
        "AWS_ENDPOINT_URL_REKOGNITION": url,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return Program({**program.environment, **theirs}, program.folder)


@pytest.fixture(scope="module")
def amazon(
    tmp_path_factory: pytest.TempPathFactory, model_cache: Path, classic_pack_store: ModelStore
) -> Iterator[Served]:
    """Return a server that knows faces; it stands for Amazon, and for Cloudinary."""
    program = program_in(tmp_path_factory.mktemp("amazon"), model_cache)
    program.environment.update(IDLE)
    with serving(program) as running:
        yield running


@pytest.fixture
def collection() -> str:
    """Name of a collection that nobody else uses."""
    return f"faces-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def asking(program: Program, amazon: Served, collection: str) -> Program:
    """The program as somebody sets it up who has an account with Amazon."""
    return Inside.of(customer(program, amazon.url, collection))


@pytest.fixture(scope="module")
def rekognition(amazon: Served) -> BaseClient:
    """Somebody else's client of the same account."""
    return boto3.client(
        "rekognition", endpoint_url=amazon.url, region_name="eu-central-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


def node_is_here() -> bool:
    """Whether JavaScript can be run, and its packages be had."""
    return all(map(shutil.which, ("node", "npm")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip once for a language that is not installed, not once for each of its tests."""
    if node_is_here() or os.environ.get("CI") == "true":
        return
    others = [item for item in items if "node_sdk" in getattr(item, "fixturenames", ())][1:]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def node_sdk(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """Folder with the SDKs and the scenarios, installed as their lock file says."""
    npm = shutil.which("npm")
    if npm is None or not node_is_here():
        missing("no node and npm on this machine: no test of the JavaScript SDKs runs")
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "node"
    with filelock.FileLock(folder.with_suffix(".lock")):  # once for all workers
        if not (folder / "node_modules" / ".package-lock.json").exists():
            shutil.copytree(NODE, folder, dirs_exist_ok=True)
            install = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if install.returncode:
                missing(f"the Node SDKs cannot be installed: {install.stderr[-500:]}")
    return folder
