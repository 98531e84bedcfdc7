"""Face engines as the application builds them from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facelabel import settings
from facelabel.adapters.engine.manifest import builtin_packs
from facelabel.bootstrap.engines import Engines
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from facelabel.adapters.engine.model_store import ModelStore

UNCALIBRATED = "opencv-zoo/1"


def engines(folder: Path, models: Path | None = None, pack: str = "auto") -> Engines:
    flags = {"data": folder, "models": models or folder, "pack": pack}
    return Engines(settings.load(flags), lambda *_: None, lambda _: None)


def calibrated(made: Engines) -> dict[str, bool]:
    return {pack.model: pack.calibrated for pack in made.packs()}


def test_a_calibration_of_the_users_own_is_kept(tmp_path: Path) -> None:
    assert not calibrated(engines(tmp_path))[UNCALIBRATED]
    path = engines(tmp_path).calibrate(UNCALIBRATED, ((0.9, 90.0), (1.0, 80.0)))
    assert path.is_relative_to(tmp_path)
    assert calibrated(engines(tmp_path))[UNCALIBRATED]


@pytest.mark.parametrize(
    "damaged", ["", "{}", "[[1]]", "[[0.9, 80], [1.0, 90]]", "[null]", "\udcff"]
)
def test_a_damaged_calibration_is_said_with_its_file(tmp_path: Path, damaged: str) -> None:
    path = engines(tmp_path).calibrate(UNCALIBRATED, ((1.0, 80.0),))
    path.write_text(damaged, "utf-8", errors="surrogateescape")
    with pytest.raises(ConfigurationError, match=r"opencv-zoo-1\.json.*delete it"):
        engines(tmp_path).packs()


def test_a_pack_of_the_users_own_is_read_once(
    mobilefacenet_store: ModelStore, data: Path, tmp_path: Path
) -> None:
    paths = mobilefacenet_store.paths(builtin_packs()["mobilefacenet"])
    (tmp_path / "own.onnx").write_bytes(paths.embedder.read_bytes())
    manifest = tmp_path / "own.toml"
    manifest.write_text(
        f"""
        name = "own"
        version = 1
        calibration = [[1.0, 80]]
        [detector]
        kind = "yunet"
        score = 0.7
        file = "{paths.detector}"
        [embedder]
        file = "own.onnx"
        size = 112
        template = "arcface"
        order = "RGB"
        mean = [127.5, 127.5, 127.5]
        scale = 128
        dimensions = 128
        """,
        "utf-8",
    )
    made = engines(tmp_path, pack=str(manifest))
    engine = made(None)
    manifest.unlink()
    assert made("own/1") is engine
