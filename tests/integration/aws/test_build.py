"""What the functions run: small, without the engine, and complete."""

from __future__ import annotations

import importlib.util
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "aws" / "build.py"
HERE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
#: What the functions do at their start, in an interpreter that sees the package and nothing else.
START = """
import sys
folder, foreign = sys.argv[1], sys.argv[2].split(",")
sys.path.insert(0, folder)
import aws_lambda_powertools.utilities.batch, botocore, facelabel.aws_lambda
from facelabel.bootstrap import functions
functions.webhook_app()
functions.worker_app()
assert botocore.__file__.startswith(folder), botocore.__file__
assert not {*foreign} & {*sys.modules}, {*foreign} & {*sys.modules}
"""
#: What the template gives them.
ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "CLOUDINARY_URL": "cloudinary://key:secret@cloud",
    "FACELABEL_LIBRARY": "cloudinary",
    "FACELABEL_FACES": "rekognition",
    "FACELABEL_STORE": "dynamodb://table",
    "FACELABEL_QUEUE": "https://sqs.eu-west-1.amazonaws.com/1/queue",
    "FACELABEL_DEAD_LETTERS": "https://sqs.eu-west-1.amazonaws.com/1/dead",
    "FACELABEL_COLLECTION_PARAMETER": "/facelabel/collection",
}


def _script() -> Any:  # noqa: ANN401 - a module that is no part of a package
    spec = importlib.util.spec_from_file_location("build", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _script()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Path:
    """Return what is built for this interpreter, so that it can be run here."""
    folder = tmp_path_factory.mktemp("package") / "built"
    try:
        script.build(folder, HERE, sys.version_info[:2])
    except subprocess.CalledProcessError as error:
        missing(f"no package index: {error}")
    return folder


@pytest.mark.soak
def test_it_is_small(built: Path) -> None:
    """Also with the bytecode; and nobody brought the engine or another of AWS's 400 services."""
    script.check(built)
    assert script.unpacked(built) < script.LIMIT
    services = {path.name for path in built.glob("botocore/data/*") if path.is_dir()}
    assert services == {*script.SERVICES}
    assert not [*built.rglob("tests")]


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="built for Lambda's Linux")
def test_it_is_complete(built: Path, tmp_path: Path) -> None:
    """Both functions start without anything that is installed here."""
    foreign = ",".join(script.FOREIGN)
    command = [sys.executable, "-I", "-S", "-c", START, str(built), foreign]
    home = {**ENVIRONMENT, "HOME": str(tmp_path), "PATH": ""}
    result = subprocess.run(
        command, cwd=tmp_path, env=home, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.soak
def test_two_packs_are_alike(built: Path, tmp_path: Path) -> None:
    """So that deploying the same again changes nothing."""
    sizes = [script.pack(built / "facelabel", tmp_path / name) for name in ("a.zip", "b.zip")]
    assert sizes[0] == sizes[1] > 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a folder with one package."""
    (tmp_path / "facelabel").mkdir()
    (tmp_path / "facelabel" / "__init__.py").write_text("")
    script.check(tmp_path)
    return tmp_path


def test_a_package_that_is_too_large_is_refused(small: Path) -> None:
    with (small / "facelabel" / "model.bin").open("wb") as file:
        file.truncate(script.LIMIT + 1)  # takes no room on the disk
    with pytest.raises(script.Unfit, match=r"80\.0 MB unpacked"):
        script.check(small)


def test_a_package_of_the_engine_is_refused(small: Path) -> None:
    (small / "numpy").mkdir()
    with pytest.raises(script.Unfit, match="numpy"):
        script.check(small)


def test_a_folder_with_something_in_it_is_refused(small: Path) -> None:
    with pytest.raises(script.Unfit, match="not empty"):
        script.build(small, HERE)


def test_the_program_answers_with_a_status(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([str(small)]) == 1
    assert "not empty" in capsys.readouterr().err


LOCKS = ("deploy/aws/requirements.txt", "deploy/aws/container/requirements.txt")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_functions_run_the_versions_that_are_tested(lock: str) -> None:
    """The locks agree on every package that both have."""
    functions, program = _pins(ROOT / lock), _pins(ROOT / "requirements" / "run.txt")
    shared = functions.keys() & program.keys()
    assert "urllib3" in shared
    assert {name: functions[name] for name in shared} == {name: program[name] for name in shared}


def _pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text("utf-8"), re.MULTILINE))


def test_the_image_is_made_of_files_that_are_there() -> None:
    """And that Docker is shown: its ignore file begins by hiding everything."""
    folder = ROOT / "deploy" / "aws" / "container"
    shown = re.findall(r"^!(\S+)", (folder / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    lines = re.findall(r"^COPY (.+) \S+$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in lines for source in line.split()]
    assert {*sources} == {*shown}
    assert all((ROOT / source).exists() for source in sources)
