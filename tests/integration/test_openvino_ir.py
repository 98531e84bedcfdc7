"""Networks of OpenVINO's format as ONNX graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from tests.openvino import SIDE, Network

from facelabel.engine.devices import InferenceSession
from facelabel.engine.models.conversion import convert
from facelabel.engine.models.foreign_networks import from_openvino
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def run(model: bytes, picture: Floats) -> Floats:
    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: picture})[0])


def half(random: np.random.Generator, *shape: int) -> Floats:
    """Numbers that 16 bits hold exactly."""
    return random.normal(size=shape).astype(np.float16).astype(np.float32)


CONV = 'strides="1,1" dilations="1,1" pads_begin="0,0" pads_end="0,0"'


def test_every_operation_gives_its_numbers() -> None:
    random = np.random.default_rng(3)
    picture = random.normal(size=(1, 2, SIDE, SIDE))
    weights, (scales, bias, slopes) = half(random, 2, 2), half(random, 3, 2)
    network = Network()
    network.then("Convolution", weights.reshape(2, 2, 1, 1), data=CONV)
    network.then("GroupConvolution", scales.reshape(2, 1, 1, 1, 1), data=CONV)
    network.then("Add", bias.reshape(1, 2, 1, 1))
    before = network.then("PReLU", slopes)
    network.then(
        "AvgPool", shape=(1, 2, 1, 1),
        data=f'kernel="{SIDE},{SIDE}" strides="{SIDE},{SIDE}" pads_begin="0,0" pads_end="0,0"'
        ' exclude-pad="true" rounding_type="floor"',
    )  # fmt: skip
    network.then("Sigmoid")
    network.join("Multiply", before)
    model = from_openvino(network.topology(), network.weights)
    onnx.checker.check_model(model)

    mixed = np.einsum("oi,bihw->bohw", weights, picture) * scales[:, None, None]
    mixed += bias[:, None, None]
    mixed = np.where(mixed > 0, mixed, mixed * slopes[:, None, None])
    expected = mixed / (1 + np.exp(-mixed.mean(axis=(2, 3), keepdims=True)))
    found = run(model.SerializeToString(), picture.astype(np.float32))
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", ["Einsum", "MatMul"])
def test_what_is_not_known_is_refused(kind: str) -> None:
    network = Network()
    network.then(kind)
    with pytest.raises(Rejected, match=f"operation {kind}"):
        convert(network.weights, "openvino-ir", network.topology())


def test_padding_that_is_to_be_worked_out_is_refused() -> None:
    network = Network()
    weights = np.ones((2, 2, 3, 3), np.float32)
    network.then("Convolution", weights, data=f'{CONV} auto_pad="same_upper"')
    with pytest.raises(Rejected, match="same_upper"):
        convert(network.weights, "openvino-ir", network.topology())


@pytest.mark.parametrize("broken", [b"", b"no xml", b"<net></net>"])
def test_a_broken_file_is_refused(broken: bytes) -> None:
    with pytest.raises(Rejected, match="cannot be converted"):
        convert(b"", "openvino-ir", broken)


def test_intels_network_takes_faces_by_the_batch(data: Path) -> None:
    folder = data / "models"
    topology, weights = (
        (folder / f"face-reidentification-retail-0095.{end}").read_bytes() for end in ("xml", "bin")
    )
    plain = from_openvino(topology, weights).SerializeToString()
    faces = np.random.default_rng(5).uniform(0, 255, (3, 3, 128, 128)).astype(np.float32)
    together = run(convert(weights, "openvino-ir", topology), faces)
    alone = np.concatenate([run(plain, face[None]) for face in faces])
    assert together.shape == (3, 256, 1, 1)
    assert np.abs(together - alone).max() < 1e-4 * np.abs(alone).max()
