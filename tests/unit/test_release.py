"""What a release changes, and what it refuses; `make release` itself builds and tries the files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from scripts.release import (
    BRANCH,
    CHANGELOG,
    MODULE,
    Refused,
    check_tree,
    check_version,
    read,
    release,
    version_in,
    with_release,
    with_version,
    write,
)

from facelabel import __version__

ROOT = Path(__file__).parents[2]
NOTES = "# Changelog\n\n## Unreleased\n\n### Added\n- More.\n\n## 0.1.0 - 2026-01-02\n\nFirst.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a version and something to release."""
    (tmp_path / MODULE).parent.mkdir(parents=True)
    write(tmp_path, MODULE, '__version__ = "0.1.0"\n')
    write(tmp_path, CHANGELOG, NOTES)
    git(tmp_path, "init", "--initial-branch", BRANCH)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message", "first")
    git(tmp_path, "tag", "v0.1.0")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_later_version_is_taken() -> None:
    for version in ("0.1.1", "0.2.0", "1.0.0rc1"):
        check_version(version, "0.1.0", ["v0.1.0"])
    check_version("0.1.0", "0.1.0", [])  # the first one, which is there before its release


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("next", "'next' is no version; one is 1.2.3"),
        ("v0.2.0", "'v0.2.0' is not written as 1.2.3"),
        ("0.2", "'0.2' is not written as 1.2.3"),
        ("0.2.0-rc1", "'0.2.0-rc1' is not written as 1.2.3 or 1.2.3rc1"),
        ("0.2.0+mine", "is not written as"),
        ("0.2.0.dev1", "is not written as"),
        ("0.0.9", "0.0.9 is older than 0.1.0"),
        ("0.1.0", "the tag v0.1.0 is there already"),
    ],
)
def test_another_is_not(version: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        check_version(version, "0.1.0", ["v0.1.0"])


def test_the_version_is_in_one_place() -> None:
    """Edited there, and nothing else is."""
    module = read(ROOT, MODULE)
    assert version_in(module) == __version__
    edited = with_version(module, "9.8.7")
    assert version_in(edited) == "9.8.7"
    assert edited.replace('"9.8.7"', f'"{__version__}"') == module


@pytest.mark.parametrize("module", ["", '__version__ = "1"\n__version__ = "2"\n'])
def test_a_module_without_one_version_is_refused(module: str) -> None:
    with pytest.raises(Refused, match="lines with a version"):
        with_version(module, "1.0.0")


@pytest.mark.parametrize("heading", ["Unreleased", "unreleased", "0.2.0 - unreleased"])
def test_what_was_unreleased_gets_version_and_date(heading: str) -> None:
    notes = NOTES.replace("Unreleased", heading)
    assert with_release(notes, "0.2.0", "2026-03-04") == (
        "# Changelog\n\n## 0.2.0 - 2026-03-04\n\n### Added\n- More.\n\n## 0.1.0 - 2026-01-02\n\n"
        "First.\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## Unreleased\n\n### Added\n- More.\n\n", "", "first heading in .* nothing to release"),
        ("### Added\n- More.\n", "", "says of nothing that has changed"),
        ("0.1.0 - 2026-01-02", "0.2.0 - 2026-01-02", "has a section of 0.2.0 already"),
        (NOTES, "# Changelog\n", "nothing to release"),
    ],
)  # fmt: skip
def test_a_changelog_with_nothing_to_release_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        with_release(NOTES.replace(old, new), "0.2.0", "2026-03-04")


def test_only_what_is_committed_on_the_main_branch_is_released(repository: Path) -> None:
    check_tree(repository)
    (repository / "new").touch()
    with pytest.raises(Refused, match=r"not committed:\n\?\? new"):
        check_tree(repository)
    (repository / "new").unlink()
    git(repository, "switch", "--create", "other")
    with pytest.raises(Refused, match="branch 'other', and releases are made on 'main'"):
        check_tree(repository)


def test_what_cannot_be_built_changes_nothing(repository: Path) -> None:
    with pytest.raises(Refused, match=r"the tag v0\.1\.0 is there already"):
        release(repository, "0.1.0")
    with pytest.raises(Refused, match=r"-m build .* failed"):
        release(repository, "0.2.0")
    check_tree(repository)
    assert not (repository / "dist").exists()
