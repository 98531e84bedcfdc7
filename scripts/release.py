"""Makes a release ready to be published: version, changelog, wheel and source archive.

``python scripts/release.py 1.2.3`` works in a fresh clone, so that only what is committed gets into
the files, and what fails leaves nothing behind. The files are built twice, have to come out the
same, and are tried in environments where nothing else is. Only then version and changelog are
written here, and the files laid into ``dist/``. Nothing is committed, pushed or uploaded: the last
lines say how.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
BRANCH = "main"
#: Where the version is; pyproject.toml takes it from there.
MODULE = "src/facelabel/__init__.py"
CHANGELOG = "CHANGELOG.md"
_VERSION = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
_HEADING = re.compile(r"^## (.*)\n", re.MULTILINE)
_UNRELEASED = re.compile(r"(\S+ - )?unreleased", re.IGNORECASE)
#: Variables that would have the program find settings, pictures or modules other than its own.
_OURS = ("CLOUDINARY", "FACELABEL", "PIP_REQUIRE_VIRTUALENV", "PYTHON", "SOURCE_DATE_EPOCH")


class Refused(Exception):
    """There can be no such release; the message says why."""


def main() -> int:
    """Return 0 if all is ready."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", help=f"as 1.2.3; now it is {version_in(read(ROOT, MODULE))}")
    version = parser.parse_args().version
    try:
        files = release(ROOT, version)
    except Refused as reason:
        print(f"no release: {reason}", file=sys.stderr)
        return 1
    print(f"\nfacelabel {version} is built and tried. Nothing is published; this is left to do:\n")
    print(f'    git commit -m "Facelabel {version}" {MODULE} {CHANGELOG}')
    print(f'    git tag -a v{version} -m "Facelabel {version}"')
    print(f"    git push origin {BRANCH} v{version}")
    print(f"    {Path(sys.executable).parent}/twine upload {' '.join(files)}")
    return 0


def release(root: Path, version: str) -> list[str]:
    """Do it all; return the paths of the files to be published."""
    check_tree(root)
    check_version(version, version_in(read(root, MODULE)), git(root, "tag").split())
    edited = {
        MODULE: with_version(read(root, MODULE), version),
        CHANGELOG: with_release(read(root, CHANGELOG), version, f"{datetime.now(UTC):%Y-%m-%d}"),
    }
    with tempfile.TemporaryDirectory() as folder:
        built, again = (build(root, Path(folder, name), edited) for name in ("once", "again"))
        if digests(built) != digests(again):
            raise Refused("what was built twice differs")
        print(run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built), cwd=root))
        for file in built:
            attempt(file, version, Path(folder, f"empty-{file.name}"))
        for name, text in edited.items():
            write(root, name, text)
        (root / "dist").mkdir(exist_ok=True)
        for file in built:
            (root / "dist" / file.name).write_bytes(file.read_bytes())
        print(*(f"{digest}  dist/{name}" for name, digest in digests(built).items()), sep="\n")
        return [f"dist/{file.name}" for file in built]


def check_tree(root: Path) -> None:
    """Refuse another branch, and whatever is not committed."""
    if (branch := git(root, "branch", "--show-current")) != BRANCH:
        raise Refused(f"this is the branch {branch!r}, and releases are made on {BRANCH!r}")
    if changes := git(root, "status", "--porcelain"):
        raise Refused(f"there are changes that are not committed:\n{changes}")


def check_version(version: str, now: str, tags: list[str]) -> None:
    """Refuse what is no version, has been one, or is older than the one we have ``now``."""
    try:
        wanted = Version(version)
    except InvalidVersion as error:
        raise Refused(f"{version!r} is no version; one is 1.2.3") from error
    if str(wanted) != version or len(wanted.release) != 3 or wanted.local or wanted.dev is not None:  # noqa: PLR2004 - as semver has it
        raise Refused(f"{version!r} is not written as 1.2.3 or 1.2.3rc1")
    if wanted < Version(now):
        raise Refused(f"{version} is older than {now}")
    if f"v{version}" in tags:
        raise Refused(f"the tag v{version} is there already")


def version_in(module: str) -> str:
    """The version that the module's source says."""
    if len(found := _VERSION.findall(module)) != 1:
        raise Refused(f"{MODULE} has {len(found)} lines with a version")
    return str(found[0])


def with_version(module: str, version: str) -> str:
    """The module's source with another version."""
    version_in(module)
    return _VERSION.sub(f'__version__ = "{version}"', module)


def with_release(changelog: str, version: str, date: str) -> str:
    """The changelog with the newest section, so far unreleased, under that version and date."""
    first = _HEADING.search(changelog)
    if first is None or not _UNRELEASED.fullmatch(first[1]):
        raise Refused(f"the first heading in {CHANGELOG} is not 'Unreleased': nothing to release?")
    if not _HEADING.split(changelog)[2].strip():
        raise Refused(f"{CHANGELOG} says of nothing that has changed")
    if re.search(rf"^## {re.escape(version)} - \d", changelog, re.MULTILINE):
        raise Refused(f"{CHANGELOG} has a section of {version} already")
    return f"{changelog[: first.start()]}## {version} - {date}\n{changelog[first.end() :]}"


def build(root: Path, folder: Path, edited: dict[str, str]) -> list[Path]:
    """Source archive and wheel of a clone with these files edited; the wheel from the archive."""
    git(root, "clone", "--quiet", str(root), str(folder))
    for name, text in edited.items():
        write(folder, name, text)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=folder)
    return sorted((folder / "dist").iterdir())


def attempt(file: Path, version: str, folder: Path) -> None:
    """Install it with what it needs, newest versions, and nothing else; run the demo there."""
    print(f"\n--- {file.name} in an empty environment", flush=True)
    venv.create(folder / "venv", with_pip=True)
    base = {"base": str(folder / "venv")}
    programs = Path(sysconfig.get_path("scripts", "venv", vars=base))
    python, facelabel = str(programs / "python"), str(programs / "facelabel")
    run(python, "-m", "pip", "install", "--quiet", str(file), cwd=folder)
    run(python, "-m", "pip", "check", cwd=folder)
    said = run(facelabel, "--version", cwd=folder)
    if said.split()[-1] != version:
        raise Refused(f"{file.name} says {said!r} of itself")
    print(run(facelabel, "demo", cwd=folder))


def digests(files: list[Path]) -> dict[str, str]:
    """SHA-256 of each file by its name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def git(root: Path, *arguments: str) -> str:
    """What git says of that repository."""
    return run("git", *arguments, cwd=root)


def run(*command: str, cwd: Path) -> str:
    """Run a program; return what it printed. Refused, with all it said, if it fails."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
    done = subprocess.run(
        command, cwd=cwd, env=known, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise Refused(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def read(root: Path, name: str) -> str:
    """A text of the repository."""
    return (root / name).read_text("utf-8")


def write(root: Path, name: str, text: str) -> None:
    """Write it back, with the same ends of lines on every system."""
    (root / name).write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
