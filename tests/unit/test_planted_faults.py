"""The list of planted faults that nobody could notice is about the program as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = tomllib.loads((ROOT / "tests/mutants/equivalent.toml").read_text("utf-8"))["mutant"]


@pytest.mark.parametrize("fault", LIST, ids=lambda fault: fault["function"])
def test_what_a_planted_fault_changes_is_there(fault: dict[str, str]) -> None:
    names = fault["function"].split(".")
    modules = (ROOT / "src" / "/".join(names[:end]) for end in range(len(names), 0, -1))
    module = next(path for path in (m.with_suffix(".py") for m in modules) if path.is_file())
    program = " ".join(module.read_text("utf-8").split())
    assert f"def {names[-1]}(" in program
    assert " ".join(fault["before"].split()) in program
