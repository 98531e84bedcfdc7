"""Facelabel from Python: the original's own calls."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import facelabel
from facelabel import settings as configuration
from facelabel.core.model import Verdict
from facelabel.engine.models.samples import two_people
from facelabel.errors import LabelRefused, Rejected

if TYPE_CHECKING:
    from pathlib import Path

    from facelabel.engine.models.model_store import ModelStore
    from facelabel.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, model_cache: Path, classic_pack_store: ModelStore) -> Settings:
    """A data folder of its own and the pack "classic"."""
    return configuration.load({"data": tmp_path / "data", "models": model_cache, "pack": "classic"})


def test_upload_index_and_identify(settings: Settings, samples: Path, tmp_path: Path) -> None:
    """The three calls of the README, in its order."""
    party = tmp_path / "party.jpg"
    party.write_bytes(two_people(samples))
    learnt = facelabel.upload_and_index(
        samples / "obama.jpg", "faceLabel:Barack Obama", settings=settings
    )
    assert (learnt.kind, learnt.names) == ("enrolled", ("Barack Obama",))
    assert learnt.public_id.startswith("training/obama-")
    (again,) = facelabel.index_faces("training/", settings=settings)
    assert (again.kind, again.asset_id) == ("unchanged", learnt.asset_id)

    named, unknown = facelabel.identify(party, settings=settings)
    assert named.name == "Barack Obama"
    assert named.best is not None
    assert named.best.similarity > 95
    assert (unknown.name, unknown.verdict) == (None, Verdict.BELOW_THRESHOLD)

    facelabel.upload_and_index(samples / "biden.jpg", "Joe Biden", settings=settings)
    people = {face.name for face in facelabel.identify(party, settings=settings)}
    assert people == {"Barack Obama", "Joe Biden"}


def test_what_cannot_be_learnt_is_raised(settings: Settings, samples: Path, tmp_path: Path) -> None:
    """With the reason; the original swallowed it."""
    party = tmp_path / "party.jpg"
    party.write_bytes(two_people(samples))
    with pytest.raises(Rejected, match="2 "):
        facelabel.upload_and_index(party, "faceLabel:Both", settings=settings)
    with pytest.raises(LabelRefused, match="no name"):
        facelabel.upload_and_index(party, "faceLabel:", settings=settings)
    with pytest.raises(Rejected, match="cannot be read"):
        facelabel.upload_and_index(tmp_path / "none.jpg", "Nobody", settings=settings)
    for url in ("http://127.0.0.1:9/x.jpg", "http://169.254.169.254/latest/meta-data"):
        with pytest.raises(Rejected):
            facelabel.upload_and_index(url, "Nobody", settings=settings)
    assert [outcome.kind for outcome in facelabel.index_faces(settings=settings)] == ["refused"]


def test_importing_loads_no_model() -> None:
    """Nor anything that could: the API arrives at its first use."""
    heavy = ("onnxruntime", "numpy", "PIL", "sqlalchemy", "pydantic", "rich", "httpx", "onnx")
    program = f"import facelabel, sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no_such_call"):
        _ = facelabel.no_such_call
