"""Graphs whose PReLUs are rewritten give the same numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facelabel.engine.devices import InferenceSession, SessionOptions
from facelabel.engine.models import graph_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CHANNELS, SIDE = 16, 12


class Graph:
    """A chain of layers with random weights."""

    def __init__(self, seed: int = 1) -> None:
        """Begin with the input."""
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []
        self.last = "input"

    def _constant(self, values: NDArray[np.float64]) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def _add(self, kind: str, *parameters: NDArray[np.float64], **attributes: Any) -> Graph:  # noqa: ANN401 - as ONNX's
        output = f"t{len(self.nodes)}"
        inputs = [self.last, *map(self._constant, parameters)]
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        self.last = output
        return self

    def conv(self, inputs: int = CHANNELS) -> Graph:
        weights = self.random.normal(size=(CHANNELS, inputs, 1, 1)) / np.sqrt(inputs)
        return self._add("Conv", weights, self.random.normal(size=CHANNELS))

    def depthwise(self, stride: int = 1) -> Graph:
        weights = self.random.normal(size=(CHANNELS, 1, 3, 3)) / 3
        return self._add(
            "Conv", weights, group=CHANNELS, pads=[1, 1, 1, 1], strides=[stride, stride]
        )

    def normalised(self) -> Graph:
        shift, mean = self.random.normal(size=(2, CHANNELS))
        scale, variance = self.random.uniform(0.5, 2, size=(2, CHANNELS))
        return self._add("BatchNormalization", scale, shift, mean, variance, epsilon=1e-3)

    def prelu(self, low: float = -0.5, high: float = 0.9) -> Graph:
        return self._add("PRelu", self.random.uniform(low, high, size=(CHANNELS, 1, 1)))

    def relu(self) -> Graph:
        return self._add("Relu")

    def model(self, outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """The whole, with more tensors as outputs."""
        names = [self.last, *outputs]
        graph = helper.make_graph(
            self.nodes, "test",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 3, SIDE, SIDE])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in names],
            self.weights,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(model: onnx.ModelProto) -> list[Floats]:
    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    pictures = np.random.default_rng(7).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    return [np.asarray(one) for one in session.run(None, {"input": pictures})]


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def rewritten(model: onnx.ModelProto) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph_layout.rewrite(changed.graph)
    onnx.checker.check_model(changed)
    return changed


def mobile(low: float, high: float) -> Graph:
    """As the face embedders are built: a PReLU behind each convolution."""
    graph = Graph().conv(3).normalised().prelu(low, high)
    for stride in (1, 2):
        graph.depthwise(stride).normalised().prelu(low, high).conv().normalised().prelu(low, high)
    return graph.depthwise().prelu(low, high).conv()


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.9), (0.5, 1.9), (1.1, 3.0), (0.0, 0.0)])
def test_the_numbers_stay_and_the_prelus_go(low: float, high: float) -> None:
    model = mobile(low, high).model()
    changed = rewritten(model)
    assert kinds(model)["PRelu"] == 6
    assert not kinds(changed).keys() & {"PRelu", "BatchNormalization"}
    for before, after in zip(outputs(model), outputs(changed), strict=True):
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


@pytest.mark.parametrize(
    "graph",
    [
        Graph().conv(3).prelu(),
        Graph().conv(3).prelu().conv().prelu(0.5, 1.5).relu(),
        Graph().conv(3).depthwise().prelu(1.1, 2.0),
        Graph().conv(3).depthwise().prelu(1.1, 2.0).relu().conv(),
        Graph().conv(3).relu().prelu().normalised().conv(),
    ],
    ids=lambda graph: "-".join(node.op_type for node in graph.nodes),
)
def test_where_it_cannot_be_done_it_is_not(graph: Graph) -> None:
    model = graph.model()
    changed = rewritten(model)
    assert kinds(changed)["PRelu"] > 0
    for before, after in zip(outputs(model), outputs(changed), strict=True):
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


def test_a_prelu_between_two_depthwise_convolutions_is_theirs() -> None:
    model = Graph().conv(3).depthwise().prelu(1.1, 2.0).depthwise().conv().model()
    changed = rewritten(model)
    assert kinds(changed)["PRelu"] == 0
    for before, after in zip(outputs(model), outputs(changed), strict=True):
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


def test_what_others_see_stays_as_it_is() -> None:
    """Inner tensors that are outputs, too, or have several users."""
    graph = mobile(0.5, 1.5)
    shown = [node.output[0] for node in graph.nodes if node.op_type in {"PRelu", "Conv"}][:-1]
    model = graph.model(shown)
    changed = rewritten(model)
    assert [value.name for value in changed.graph.output] == [graph.last, *shown]
    for before, after in zip(outputs(model), outputs(changed), strict=True):
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()


def test_a_graph_without_prelus_keeps_its_numbers() -> None:
    model = Graph().conv(3).normalised().relu().depthwise().relu().conv().model()
    for before, after in zip(outputs(model), outputs(rewritten(model)), strict=True):
        assert np.abs(before - after).max() < 1e-5 * np.abs(before).max()
