"""Run the unit and contract suites on every supported Python, and with the lowest versions.

Each has a virtual environment of its own, ``.venv-3.12`` and so on, which stays for the next time.
Says which Pythons are not installed; fails if a suite does, or if none is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
LOWEST = "requirements/lowest.txt"


def main() -> int:
    """Return 0 if all that could be run passed."""
    results: dict[str, str] = {}
    for version in VERSIONS:
        python = installed(version)
        results[version] = run(version, python) if python else "is not installed"
    if oldest := installed(VERSIONS[0]):
        results["lowest"] = run("lowest", oldest, f"RUN={LOWEST}", f"DEV={LOWEST}")
    for name, result in results.items():
        print(f"{name}: {result}")
    return "failed" in results.values() or "passed" not in results.values()


def installed(version: str) -> str | None:
    """The interpreter of that version, on the path or where pyenv has it."""
    return next((python for python in candidates(version) if is_version(python, version)), None)


def candidates(version: str) -> Iterator[str]:
    """Where it may be."""
    if found := shutil.which(f"python{version}"):
        yield found
    yield from map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))


def is_version(python: str, version: str) -> bool:
    """Whether it runs, which a shim may not, and is what it is called."""
    asked = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.returncode == 0 and said.stdout.strip() == version


def run(name: str, python: str, *variables: str) -> str:
    """Run the suites in the environment of that name."""
    print(f"--- {name}: {python}", flush=True)
    command = ["make", "--no-print-directory", "suites", f"VENV=.venv-{name}", f"PYTHON={python}"]
    status = subprocess.run([*command, *variables], check=False).returncode
    return "failed" if status else "passed"


if __name__ == "__main__":
    sys.exit(main())
