"""A library of its own on either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.media_bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from facelabel.adapters.store.library import LocalLibrary


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Return an empty library on either database."""
    return Bench(request.getfixturevalue(request.param), tmp_path / "originals")


@pytest.fixture
def library(bench: Bench) -> LocalLibrary:
    return bench.library
