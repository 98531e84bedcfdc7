"""Builds what the Lambda functions run: Facelabel and the packages of the Rekognition mode.

``python deploy/aws/build.py FOLDER`` fills an empty folder; ``sam build`` calls it through the
Makefile beside it. Works on any system: wheels are those of Lambda's Linux, whatever runs pip.
"""
# ruff: noqa: INP001, S603, T201 - a program that prints, and calls pip

from __future__ import annotations

import argparse
import compileall
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
#: Of the functions' runtime.
PYTHON = (3, 13)
#: Lambda's name of an architecture: the wheels that run on it (Amazon Linux 2023 has glibc 2.34).
WHEELS = {
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
}
#: Bytes unpacked, without bytecode. Lambda takes 250 MB; a function starts sooner with less.
LIMIT = 80_000_000
#: What the engine and the database need and this mode does without; one of them here is a mistake.
FOREIGN = ("alembic", "cv2", "numpy", "onnx", "onnxruntime", "sqlalchemy")
#: botocore describes some 400 services; these are called.
SERVICES = ("dynamodb", "rekognition", "secretsmanager", "sqs", "ssm", "sts")
#: Never imported by a function.
UNUSED = ("bin", "**/tests", "**/__pycache__", "**/*.pyi")


class Unfit(Exception):
    """What was built is not what a function should run."""


def build(folder: Path, architecture: str, python: tuple[int, int] = PYTHON) -> int:
    """Fill an empty folder; return the bytes in it, without bytecode.

    Raises Unfit above the limit or with a foreign package, CalledProcessError if pip fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Unfit(f"{folder} is not empty")
    platforms = [f"--platform={wheels}" for wheels in WHEELS[architecture]]
    version = f"--python-version={python[0]}.{python[1]}"
    locked = ["--only-binary=:all:", "--require-hashes", f"--requirement={REQUIREMENTS}"]
    _pip(folder, *platforms, version, *locked)
    shutil.copytree(ROOT / "src" / "facelabel", folder / "facelabel")
    strip(folder)
    check(folder)
    size = unpacked(folder)
    if sys.version_info[:2] == python:
        _compile(folder)
    return size


def strip(folder: Path) -> None:
    """Delete what no function imports."""
    services = [path for path in folder.glob("botocore/data/*") if path.name not in SERVICES]
    unused = [path for pattern in UNUSED for path in folder.glob(pattern)]
    for path in [*filter(Path.is_dir, services), *unused]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have been in a folder


def check(folder: Path) -> None:
    """Raise Unfit if the folder is too large, or holds what belongs to another mode."""
    foreign = [name for name in FOREIGN if (folder / name).exists()]
    if foreign:
        raise Unfit(f"not for this mode: {', '.join(foreign)}")
    if (size := unpacked(folder)) > LIMIT:
        raise Unfit(f"{size / 1e6:.1f} MB unpacked, {LIMIT / 1e6:.0f} MB are allowed")


def unpacked(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parts(folder: Path) -> dict[str, int]:
    """Bytes of each package, the largest first."""
    sizes = {path.name: unpacked(path) or path.stat().st_size for path in folder.iterdir()}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def pack(folder: Path, file: Path) -> int:
    """Make a zip of the folder, the same bytes each time; return its size."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = 0o644 << 16  # Lambda reads as another user
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return file.stat().st_size


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _pip(folder: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    quiet = ["--no-compile", "--no-deps", "--no-warn-conflicts", "--target", str(folder)]
    subprocess.run([*pip, *quiet, *arguments], check=True)


def _compile(folder: Path) -> None:
    """Add bytecode, which Lambda cannot store; unchecked, for unpacking changes the times."""
    unchecked = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, stripdir=str(folder), invalidation_mode=unchecked)


def main(arguments: list[str] | None = None) -> int:
    """Build, and say how large it is; the exit status."""
    parser = argparse.ArgumentParser(description="Builds what the Lambda functions run.")
    parser.add_argument("folder", type=Path, help="an empty folder, or a new one")
    parser.add_argument("--architecture", choices=WHEELS, default="x86_64")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="also pack the folder")
    given = parser.parse_args(arguments)
    try:
        size = build(given.folder, given.architecture)
    except (Unfit, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, part in list(parts(given.folder).items())[:8]:
        print(f"{part / 1e6:7.1f} MB  {name}")
    print(f"{size / 1e6:7.1f} MB  unpacked, of {LIMIT / 1e6:.0f}")
    if bytecode := unpacked(given.folder) - size:
        print(f"{bytecode / 1e6:7.1f} MB  bytecode beside it")
    else:
        print(f"no bytecode, which Python {PYTHON[0]}.{PYTHON[1]} would add: slower first calls")
    if given.zip:
        print(f"{pack(given.folder, given.zip) / 1e6:7.1f} MB  packed: {given.zip}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
