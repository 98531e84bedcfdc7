"""Whoever checks checks the same: `make check`, git hooks, GitHub's workflows."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.every_python import VERSIONS

ROOT = Path(__file__).parents[2]


def found(pattern: str, file: str) -> list[str]:
    """What the pattern's group is, wherever it is found."""
    return re.findall(pattern, (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_hooks_are_the_checks_of_make_check() -> None:
    (checks,) = found(r"^check: (.*?) ##", "Makefile")
    assert found(r"entry: make --no-print-directory (\w+)$", ".pre-commit-config.yaml") == [
        *checks.split()
    ]


def test_a_workflow_checks_every_python() -> None:
    (versions,) = found(r"^ +python: \[(.*)\]$", ".github/workflows/check.yml")
    assert tuple(re.findall(r'"([\d.]+)"', versions)) == VERSIONS
    assert found(r"run: (.*ci/run)$", ".github/workflows/check.yml") == [".ci/run"]


def test_the_suites_run_on_other_systems_as_they_do_here() -> None:
    """With the Makefile's options, as Windows has no make."""
    (options,) = found(r"^ACROSS := (.*)$", "Makefile")
    assert found(r"-m pytest (-n .*) tests/unit", ".github/workflows/systems.yml") == [options]
    (limit,) = found(r"^export PYTEST_TIMEOUT \?= (\d+)$", "Makefile")
    assert found(r"PYTEST_TIMEOUT: (\d+)$", ".github/workflows/systems.yml") == [limit]
