"""Models run on what is there and was asked for, and see the same people everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from facelabel.cli import cli
from facelabel.cli.framework import EXIT_REJECTED
from facelabel.engine import devices
from facelabel.engine.chips import Embedding
from facelabel.engine.devices import Device, get_available_providers
from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.network import Network
from facelabel.errors import ConfigurationError
from facelabel.images import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import NoReturn

    import numpy.typing as npt

    from facelabel.core.model import Analysis
    from facelabel.engine.models.model_store import ModelStore

#: How far a vector may lie from the one that ONNX Runtime makes on the processor. With numbers of
#: 16 bits, where a processor has them, 0.057 was the most on 826 faces, and 0.105 on some of 30
#: pixels; two photos of a person are 0.7 apart, those of two people 1.3.
NEAR = 0.15


@pytest.fixture(scope="session")
def openvino(missing: Callable[[str], NoReturn]) -> Device:
    if find_spec("openvino") is None:
        missing("OpenVINO is not installed: facelabel[openvino]")
    return Device.OPENVINO


def engine(store: ModelStore, name: str, device: Device) -> Engine:
    pack = builtin_packs()[name]
    paths = store.paths(pack)
    return Engine(pack, paths.detector, paths.embedders, limits=Limits(), device=device)


def vectors(analysis: Analysis) -> npt.NDArray[np.float32]:
    return np.stack([np.frombuffer(seen.vector, "<f4") for seen in analysis.templates])


def numbers(analyses: Iterable[Analysis]) -> list[bytes]:
    return [seen.vector for analysis in analyses for seen in analysis.templates]


@pytest.mark.parametrize("name", ["classic", "mobilefacenet"])
def test_openvino_sees_the_same_faces_and_people(
    openvino: Device, request: pytest.FixtureRequest, name: str, photos: Path
) -> None:
    store = request.getfixturevalue(
        "classic_pack_store" if name == "classic" else "mobilefacenet_store"
    )
    plain, fast = (engine(store, name, device) for device in (Device.CPU, openvino))
    for path in [*sorted((photos / "people").glob("[A-Z]*.jpg")), photos / "groups/crowd.jpg"]:
        expected, found = (one.analyse(path.read_bytes()) for one in (plain, fast))
        assert [seen.face for seen in found.templates] == [s.face for s in expected.templates]
        apart = np.linalg.norm(vectors(found) - vectors(expected), axis=1)
        assert apart.max() < NEAR, path.name


def test_several_threads_share_one_of_openvino(
    openvino: Device, classic_pack_store: ModelStore, photos: Path
) -> None:
    fast = engine(classic_pack_store, "classic", openvino)
    images = [path.read_bytes() for path in sorted((photos / "people").glob("*.jpg"))] * 3
    alone = [fast.analyse(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert numbers(pool.map(fast.analyse, images)) == numbers(alone)


def test_what_openvino_cannot_load_is_named(openvino: Device, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    network = Network(broken, threads=1, device=openvino)
    with pytest.raises(ConfigurationError, match=r"broken\.onnx is not a usable model"):
        network.run(np.zeros((1, 3, 32, 32), np.float32))


def test_openvino_refuses_a_model_for_one_face_with_advice(openvino: Device, data: Path) -> None:
    pack = builtin_packs()["mobilefacenet"]
    published = data / "models" / pack.embedders[0].file.name
    embedding = Embedding(published, pack.embedders[0], threads=1, device=openvino)
    with pytest.raises(ConfigurationError, match="free-batch"):
        embedding.embed(np.zeros((2, 112, 112, 3), np.uint8))


def test_auto_takes_what_is_installed_and_works(openvino: Device) -> None:
    others = {devices.PROVIDERS[Device.CUDA], devices.PROVIDERS[Device.DIRECTML]}
    if others & {*get_available_providers()}:
        pytest.skip("there is something faster")
    assert devices.chosen("auto") is openvino
    assert devices.chosen("cpu") is Device.CPU


@pytest.mark.parametrize("package", ["raise ImportError('libtbb.so.12 is missing')", "Core = None"])
def test_auto_passes_over_what_does_not_work_and_says_so(tmp_path: Path, package: str) -> None:
    """In a process of its own, where another OpenVINO comes first."""
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text(package)
    program = "from facelabel.engine import devices; print(devices.chosen({!r}))"
    path = os.pathsep.join((str(tmp_path), *filter(None, sys.path)))
    done, refused = (
        subprocess.run(
            [sys.executable, "-c", program.format(choice)],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )
        for choice in ("auto", "openvino")
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "cpu\n")
    assert "the device openvino is passed over (" in done.stderr
    assert "the device openvino cannot be used (" in refused.stderr


def test_openvino_tells_nobody_that_it_was_loaded(openvino: Device, tmp_path: Path) -> None:
    """It would keep an id in the user's home, and report to its makers."""
    program = (
        "import sys; from facelabel.engine import devices;"
        f" print(devices.chosen({openvino.value!r}), sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "openvino None\n", "")
    assert list(tmp_path.rglob("*")) == []


def test_a_provider_is_asked_for_the_smallest_graph_there_is() -> None:
    assert devices.problem("CPUExecutionProvider") == ""
    assert devices.problem("XnnpackExecutionProvider") != ""


@pytest.mark.parametrize(
    ("device", "advice"), [("cuda", "onnxruntime-gpu"), ("directml", "onnxruntime-directml")]
)
def test_a_device_that_is_not_there_is_refused_with_what_to_install(
    device: str, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"the device {device} cannot be used .*{advice}"):
        devices.chosen(device)


def test_doctor_says_what_models_run_on(tmp_path: Path, openvino: Device) -> None:
    said = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path), "--device", openvino])
    assert "device: face models run on openvino" in said.output
    said = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path), "--device", "cuda"])
    assert said.exit_code == EXIT_REJECTED
    assert "✗ device: the device cuda cannot be used" in said.output
