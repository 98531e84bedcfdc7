"""Rebuilds a network of OpenVINO's format as an ONNX graph.

The format (IR) is an XML file, layers and the edges between them, and a file of weights that it
points into. Known here is what the face embedders of Intel's Open Model Zoo are made of.

Source: https://docs.openvino.ai, "OpenVINO IR format" and "Operation sets".
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

_TYPES: Mapping[str, type[np.generic]] = {"f16": np.float16, "f32": np.float32, "i64": np.int64}
_OPSET, _IR_VERSION = 13, 8
#: Operations that have one form in both formats.
_SAME = {"Add": "Add", "Multiply": "Mul", "PReLU": "PRelu", "Sigmoid": "Sigmoid"}


@dataclass(frozen=True, slots=True)
class _Layer:
    id: str
    kind: str
    data: Mapping[str, str]
    #: Lengths of what it makes.
    shape: tuple[int, ...]

    def numbers(self, name: str) -> list[int]:
        """A list of whole numbers among its data."""
        return [int(part) for part in self.data[name].split(",")] if self.data.get(name) else []


def convert(topology: bytes, weights: bytes) -> ModelProto:
    """Return the network with one picture as its input, weights in 32 bits.

    Raises Rejected for an operation that is not known here.
    """
    return _Network(topology, weights).model()


class _Network:
    def __init__(self, topology: bytes, weights: bytes) -> None:
        root = ET.fromstring(topology)  # noqa: S314 - its checksum is pinned, or it is the user's own
        self._weights = weights
        self._layers = [_layer(element) for element in root.iter("layer")]
        self._sources: dict[str, list[str]] = {}
        edges = sorted(root.iter("edge"), key=lambda edge: int(edge.attrib["to-port"]))
        for edge in edges:
            self._sources.setdefault(edge.attrib["to-layer"], []).append(edge.attrib["from-layer"])
        self._constants: dict[str, NDArray[np.float32]] = {}

    def model(self) -> ModelProto:
        nodes = [node for layer in self._layers for node in self._nodes(layer)]
        entry = next(layer for layer in self._layers if layer.kind == "Parameter")
        result = next(layer for layer in self._layers if layer.kind == "Result")
        (last,) = self._sources[result.id]
        made = next(layer for layer in self._layers if layer.id == last)
        used = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes, "facelabel",
            [helper.make_tensor_value_info(_name(entry.id), TensorProto.FLOAT, entry.shape)],
            [helper.make_tensor_value_info(_name(last), TensorProto.FLOAT, made.shape)],
            [
                numpy_helper.from_array(array, _name(layer))
                for layer, array in self._constants.items()
                if _name(layer) in used
            ],
        )  # fmt: skip
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)

    def _nodes(self, layer: _Layer) -> Iterator[NodeProto]:
        """What a layer is in ONNX; constants are only noted."""
        inputs = self._sources.get(layer.id, [])
        match layer.kind:
            case "Parameter" | "Result":
                pass
            case "Const":
                self._constants[layer.id] = self._constant(layer)
            case "Convert" if inputs[0] in self._constants:
                self._constants[layer.id] = self._constants[inputs[0]]
            case "Convolution" | "GroupConvolution":
                yield self._convolution(layer, inputs)
            case "AvgPool":
                yield self._pooling(layer, inputs)
            case "PReLU":
                slopes = self._constants[inputs[1]]
                # A slope for each channel stands behind the other lengths in the one format.
                self._constants[inputs[1]] = slopes.reshape(-1, 1, 1)
                yield self._node("PRelu", inputs, layer)
            case kind if kind in _SAME:
                yield self._node(_SAME[kind], inputs, layer)
            case kind:
                raise Rejected(f"the operation {kind} of OpenVINO's format is not known here")

    def _constant(self, layer: _Layer) -> NDArray[np.float32]:
        kind = _TYPES.get(layer.data["element_type"])
        if kind is None:
            raise Rejected(f"weights of the type {layer.data['element_type']} are not known here")
        start, size = int(layer.data["offset"]), int(layer.data["size"])
        found = np.frombuffer(self._weights[start : start + size], kind)
        return found.astype(np.float32).reshape(layer.numbers("shape"))

    def _pads(self, layer: _Layer) -> list[int]:
        if layer.data.get("auto_pad", "explicit") not in {"explicit", "notset"}:
            raise Rejected(
                f"auto_pad {layer.data['auto_pad']} of OpenVINO's format is not known here"
            )
        return layer.numbers("pads_begin") + layer.numbers("pads_end")

    def _convolution(self, layer: _Layer, inputs: Sequence[str]) -> NodeProto:
        kernel = self._constants[inputs[1]]
        group = 1
        if layer.kind == "GroupConvolution":  # groups are a dimension of their own there
            group = kernel.shape[0]
            self._constants[inputs[1]] = kernel = kernel.reshape(-1, *kernel.shape[2:])
        return self._node(
            "Conv", inputs, layer, group=group, strides=layer.numbers("strides"),
            dilations=layer.numbers("dilations"), kernel_shape=list(kernel.shape[2:]),
            pads=self._pads(layer),
        )  # fmt: skip

    def _pooling(self, layer: _Layer, inputs: Sequence[str]) -> NodeProto:
        return self._node(
            "AveragePool", inputs, layer, kernel_shape=layer.numbers("kernel"),
            strides=layer.numbers("strides"),
            pads=self._pads(layer),
            count_include_pad=int(layer.data.get("exclude-pad") == "false"),
            ceil_mode=int(layer.data.get("rounding_type") == "ceil"),
        )  # fmt: skip

    def _node(
        self,
        kind: str,
        inputs: Sequence[str],
        layer: _Layer,
        **attributes: Any,  # noqa: ANN401 - as ONNX's
    ) -> NodeProto:
        names = [_name(one) for one in inputs]
        return helper.make_node(kind, names, [_name(layer.id)], None, None, "", **attributes)


def _layer(element: ET.Element) -> _Layer:
    data = element.find("data")
    output = element.find("output/port")
    lengths = [] if output is None else [int(one.text or 0) for one in output.iter("dim")]
    attributes = {} if data is None else dict(data.attrib)
    return _Layer(element.attrib["id"], element.attrib["type"], attributes, tuple(lengths))


def _name(layer: str) -> str:
    return f"layer{layer}"
