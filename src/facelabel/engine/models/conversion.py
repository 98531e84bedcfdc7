"""What is done once to a publisher's model file so that the engine can use it.

Conversions change shapes, and numbers in the seventh digit at most: where a network was exported
for one picture or one size, those dimensions become free, and where its operations are slow to run,
others with the same result take their place. ``onnx`` is imported only for that and only while
converting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

    from facelabel.engine.devices import InferenceSession
    from facelabel.engine.models.manifest_file import Conversion

#: Part of every record of a converted file: a new number makes installed packs convert again.
VERSION = 1
_FIRST_WITHOUT_LISTED_WEIGHTS = 4
_BATCH, _HEIGHT, _WIDTH = "batch", "height", "width"


def convert(data: bytes, conversion: Conversion | None, topology: bytes | None = None) -> bytes:
    """Return the ONNX file that the engine loads; Rejected where ``data`` cannot become one.

    ``topology``: the graph, where ``data`` are weights alone.
    """
    if conversion is None:
        return data
    try:
        if topology is not None:
            return _openvino(topology, data)
        return _CONVERSIONS[conversion](data)
    except Rejected:
        raise
    except Exception as error:
        raise Rejected(f"the model cannot be converted ({conversion}): {error}") from error


def _dlib_resnet(data: bytes) -> bytes:
    from facelabel.engine.models.foreign_networks import from_dlib  # noqa: PLC0415 - loads onnx

    return _serialised(from_dlib(data))


def _free_batch(data: bytes) -> bytes:
    """Let an embedder take any number of faces, and check that it does."""
    model = _parse(data)
    _set_inputs(model.graph, [_BATCH])
    _set_outputs(model.graph, {0: _BATCH})
    _free_reshapes(model.graph)
    freed = _finished(model)
    _check_batches(data, freed)
    return freed


def _blocked_batch(data: bytes) -> bytes:
    """The same, and without PReLUs that leave the layout of the convolutions."""
    from facelabel.engine.models import graph_layout  # noqa: PLC0415 - loads onnx

    freed = _free_batch(data)
    model = _parse(freed)
    graph_layout.rewrite(model.graph)
    rewritten = _finished(model)
    _check_batches(data, rewritten)
    return rewritten


def _openvino(topology: bytes, weights: bytes) -> bytes:
    from facelabel.engine.models.foreign_networks import from_openvino  # noqa: PLC0415 - loads onnx

    return _blocked_batch(_serialised(from_openvino(topology, weights)))


def _free_size(data: bytes) -> bytes:
    """Let a detector take pictures of any size, several of one size at a time."""
    model = _parse(data)
    _set_inputs(model.graph, [_BATCH, 3, _HEIGHT, _WIDTH])
    _forget_outputs(model.graph)
    _free_reshapes(model.graph)
    return _finished(model)


def _parse(data: bytes) -> ModelProto:
    import onnx  # noqa: PLC0415 - needed once, slow to load

    model = onnx.load_model_from_string(data)
    _unlist_weights(model)
    return model


def _unlist_weights(model: ModelProto) -> None:
    """Take weights off the list of inputs: as inputs they could change, so nothing is folded."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _FIRST_WITHOUT_LISTED_WEIGHTS)


def _finished(model: ModelProto) -> bytes:
    import onnx  # noqa: PLC0415 - needed once, slow to load

    # Shapes recorded for inner values speak of the fixed size.
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return _serialised(model)


def _serialised(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data


def _set_inputs(graph: GraphProto, shape: Sequence[str | int]) -> None:
    for value in graph.input:
        _set_dimensions(value, dict(enumerate(shape)))


def _set_outputs(graph: GraphProto, changes: Mapping[int, str | int]) -> None:
    for value in graph.output:
        _set_dimensions(value, changes)


def _forget_outputs(graph: GraphProto) -> None:
    """Let the runtime work out the shape of what comes out."""
    for value in graph.output:
        for at, dimension in enumerate(value.type.tensor_type.shape.dim):
            dimension.dim_param = f"{value.name}_{at}"


def _set_dimensions(value: ValueInfoProto, changes: Mapping[int, str | int]) -> None:
    dimensions = value.type.tensor_type.shape.dim
    for at, change in changes.items():
        if isinstance(change, str):
            dimensions[at].dim_param = change
        else:
            dimensions[at].dim_value = change


def _free_reshapes(graph: GraphProto) -> None:
    """Make "one picture" in the target of a Reshape mean "as many as came in"."""
    from onnx import numpy_helper  # noqa: PLC0415 - needed once, slow to load

    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in _constants(graph, targets):
        shape = np.array(numpy_helper.to_array(tensor))
        if shape.size > 1 and shape[0] == 1:
            shape[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _constants(graph: GraphProto, names: set[str]) -> Iterator[TensorProto]:
    """Return the constants of those names, whether written as weights or as nodes."""
    yield from (tensor for tensor in graph.initializer if tensor.name in names)
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in names:
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def _check_batches(original: bytes, freed: bytes) -> None:
    """Refuse a conversion that changes numbers: models of users come in every shape."""
    session = _session(freed)
    entry = session.get_inputs()[0]
    if len(entry.shape) != 4 or not all(isinstance(n, int) for n in entry.shape[1:]):  # noqa: PLR2004 - NCHW
        raise Rejected(f"the embedder's input {entry.name} is not batch x 3 x size x size")
    pair = np.random.default_rng(0).uniform(0, 255, (2, *entry.shape[1:])).astype(np.float32)
    before = [_run(_session(original), pair[at : at + 1]) for at in (0, 1)]
    if not np.allclose(_run(session, pair), np.concatenate(before), rtol=1e-3, atol=1e-4):
        raise Rejected("the embedder gives other numbers for two faces at once; convert nothing")


def _session(data: bytes) -> InferenceSession:
    from facelabel.engine.devices import InferenceSession, SessionOptions  # noqa: PLC0415 - slow to load

    options = SessionOptions()
    options.log_severity_level = 3
    return InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _run(session: InferenceSession, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(session.run(None, {session.get_inputs()[0].name: pictures})[0], np.float32)


_CONVERSIONS: Mapping[Conversion, Callable[[bytes], bytes]] = {
    "blocked-batch": _blocked_batch,
    "dlib-resnet": _dlib_resnet,
    "free-batch": _free_batch,
    "free-size": _free_size,
}
