"""Networks that are published in other formats, rebuilt as ONNX graphs without their libraries.

dlib's face recognition network: the file is dlib's serialisation of its published ``anet_type``,
input side first. Every layer writes its name, then its parameters as a tensor: version, four packed
integers, little-endian float32. Only those are read; the rest of the network is known, and built
here. A packed integer is one byte telling how many bytes follow, then those, the lowest first.

OpenVINO's format (IR): an XML file, layers and the edges between them, and a file of weights that
it points into. Known here is what the face embedders of Intel's Open Model Zoo are made of. Source:
https://docs.openvino.ai, "OpenVINO IR format" and "Operation sets".
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Array = NDArray[np.float32]

CHIP_SIZE: Final = 150
DIMENSIONS: Final = 128
_MEAN: Final = (122.782, 117.001, 104.298)
_DLIB_OPSET: Final = 17
#: Format 8 goes with opset 17, so every ONNX Runtime that we support reads it.
_IR_VERSION: Final = 8
_TENSOR_VERSION: Final = 2
#: Filters of each residual block and whether it halves the picture.
_BLOCKS: Final = (
    *((32, False),) * 3,
    (64, True),
    *((64, False),) * 3,
    (128, True),
    *((128, False),) * 2,
    (256, True),
    *((256, False),) * 2,
    (256, True),
)
_TYPES: Mapping[str, type[np.generic]] = {"f16": np.float16, "f32": np.float32, "i64": np.int64}
_OPENVINO_OPSET: Final = 13
#: Operations that have one form in both formats.
_SAME = {"Add": "Add", "Multiply": "Mul", "PReLU": "PRelu", "Sigmoid": "Sigmoid"}


# ---- dlib


def from_dlib(data: bytes) -> ModelProto:
    """Return the network of a ``dlib_face_recognition_resnet_model_v1.dat`` as an ONNX model.

    Input "chips": N x 3 x 150 x 150 float32, RGB, 0..255. Output "embeddings": N x 128 float32,
    not normalised, as dlib gives them. Raises Rejected where the file is anything else.
    """
    return _DlibBuilder(_DlibReader(data)).build()


class _DlibReader:
    """The parameters of one layer after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def convolution(self, filters: int, channels: int, side: int) -> tuple[Array, Array]:
        """Weights and bias of a convolution with the affine layer after it folded in."""
        values = self._parameters("con_4", filters * (channels * side * side + 1))
        weights = values[:-filters].reshape(filters, channels, side, side)
        gamma, beta = self._parameters("affine_", 2 * filters).reshape(2, filters)
        return weights * gamma[:, None, None, None], values[-filters:] * gamma + beta

    def linear(self, inputs: int, outputs: int) -> Array:
        """Weights of a fully connected layer without bias."""
        values = self._parameters("fc_2", inputs * outputs, integers_before=2)
        return values.reshape(inputs, outputs)

    def _parameters(self, layer: str, count: int, integers_before: int = 0) -> Array:
        """Read the tensor of the next layer of that name; it must hold ``count`` numbers."""
        self._seek(layer)
        for _ in range(integers_before):
            self._integer()
        version, *shape = (self._integer() for _ in range(5))
        end = self._at + 4 * count
        if version != _TENSOR_VERSION or math.prod(shape) != count or end > len(self._data):
            raise Rejected(f"layer {layer} of the dlib network is not what it should be")
        values = np.frombuffer(self._data, "<f4", count, self._at).astype(np.float32)
        self._at = end
        if not np.isfinite(values).all():
            raise Rejected(f"layer {layer} of the dlib network holds no finite numbers")
        return values

    def _seek(self, layer: str) -> None:
        """Go behind the name of the next such layer."""
        name = bytes((1, len(layer))) + layer.encode()
        found = self._data.find(name, self._at)
        if found < 0:
            raise Rejected(f"the dlib network ends before a layer {layer}")
        self._at = found + len(name)

    def _integer(self) -> int:
        """Read a packed integer; one byte in front tells its length."""
        head = self._data[self._at : self._at + 1]
        length = head[0] if head else 0
        end = self._at + 1 + length
        if not 1 <= length <= 8 or end > len(self._data):  # noqa: PLR2004 - bytes of an integer
            raise Rejected("the dlib network is cut short or holds something else")
        value = int.from_bytes(self._data[self._at + 1 : end], "little")
        self._at = end
        return value


class _DlibBuilder:
    """The graph, node by node; each step takes and returns the name of a value."""

    def __init__(self, reader: _DlibReader) -> None:
        self._reader = reader
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def build(self) -> ModelProto:
        """The network as ONNX: "chips" (batch, 3, side, side) to "embeddings"."""
        image = helper.make_tensor_value_info(
            "chips", TensorProto.FLOAT, ["batch", 3, CHIP_SIZE, CHIP_SIZE]
        )
        result = helper.make_tensor_value_info(
            "embeddings", TensorProto.FLOAT, ["batch", DIMENSIONS]
        )
        self._network("chips", "embeddings")
        graph = helper.make_graph(self._nodes, "dlib", [image], [result], self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _DLIB_OPSET)], ir_version=_IR_VERSION
        )
        checker.check_model(model, full_check=True)
        return model

    def _network(self, source: str, target: str) -> None:
        value = self._scaled(source)
        value, size = self._convolution(value, CHIP_SIZE, (32, 3, 7), stride=2)
        value = self._node("MaxPool", [self._relu(value)], kernel_shape=[3, 3], strides=[2, 2])
        size, channels = (size - 3) // 2 + 1, 32
        for filters, halving in _BLOCKS:
            value, size = self._residual(value, size, channels, filters, halving=halving)
            channels = filters
        value = self._node("ReduceMean", [value], axes=[2, 3], keepdims=0)
        weights = self._constant(self._reader.linear(channels, DIMENSIONS))
        self._node("MatMul", [value, weights], output=target)

    def _scaled(self, value: str) -> str:
        mean = self._constant(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
        value = self._node("Sub", [value, mean])
        return self._node("Mul", [value, self._constant(np.array(1 / 256, np.float32))])

    def _residual(
        self, value: str, size: int, channels: int, filters: int, *, halving: bool
    ) -> tuple[str, int]:
        """relu(block(x) + x), or block(x) + mean-pooled x where the block halves the picture."""
        stride = 2 if halving else 1
        inner, inner_size = self._convolution(value, size, (filters, channels, 3), stride=stride)
        inner, inner_size = self._convolution(
            self._relu(inner), inner_size, (filters, filters, 3), stride=1
        )
        if halving:
            value = self._node("AveragePool", [value], kernel_shape=[2, 2], strides=[2, 2])
            size = (size - 2) // 2 + 1
        target = max(size, inner_size)
        value = self._padded(value, filters - channels, target - size)
        inner = self._padded(inner, 0, target - inner_size)
        return self._relu(self._node("Add", [inner, value])), target

    def _convolution(
        self, value: str, size: int, shape: tuple[int, int, int], *, stride: int
    ) -> tuple[str, int]:
        """``shape``: filters, channels, side. dlib pads a convolution only where stride is 1."""
        weights, bias = self._reader.convolution(*shape)
        padding = shape[2] // 2 if stride == 1 else 0
        output = self._node(
            "Conv",
            [value, self._constant(weights), self._constant(bias)],
            strides=[stride, stride],
            pads=[padding] * 4,
        )
        return output, (size + 2 * padding - shape[2]) // stride + 1

    def _padded(self, value: str, channels: int, size: int) -> str:
        """Add zeros at the end: dlib adds tensors of two shapes that way."""
        if not channels and not size:
            return value
        pads = np.array([0, 0, 0, 0, 0, channels, size, size], np.int64)
        return self._node("Pad", [value, self._constant(pads)])

    def _relu(self, value: str) -> str:
        return self._node("Relu", [value])

    def _constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def _node(
        self, kind: str, inputs: list[str], *, output: str = "", **attributes: int | list[int]
    ) -> str:
        output = output or f"value{len(self._nodes)}"
        node = helper.make_node(kind, inputs, [output])
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self._nodes.append(node)
        return output


# ---- OpenVINO


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


def from_openvino(topology: bytes, weights: bytes) -> ModelProto:
    """Return the network with one picture as its input, weights in 32 bits.

    Raises Rejected for an operation that is not known here.
    """
    return _OpenVinoNetwork(topology, weights).model()


class _OpenVinoNetwork:
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
        """The network as ONNX, with one input and one output."""
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
        opset = helper.make_opsetid("", _OPENVINO_OPSET)
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
