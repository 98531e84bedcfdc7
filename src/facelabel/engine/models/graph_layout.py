"""Rewrites a graph so that its PReLUs stay in the layout that its convolutions work in.

ONNX Runtime keeps the channels of convolutions in blocks, and leaves that layout at every PReLU,
which it computes slowly besides: half of the time of the face embedders that have one behind each
convolution. But a PReLU of slope ``a`` is ``a x + (1 - a) relu(x)``, and convolutions are linear:

* Behind a depthwise convolution, cheap enough to be done twice: ``relu`` of one with its weights
  scaled by ``1 - a``, plus one scaled by ``a``. Where ``a`` exceeds 1 the channel is computed with
  its sign turned, and the next convolution turns it back.
* Between another convolution and depthwise ones: these are done on ``x`` and on ``relu(x)``, each
  with the weights scaled.

Batch normalisation and a bias behind a convolution go into its weights on the way. The numbers
change in the seventh digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

    Numbers = NDArray[np.float64]

_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class _Conv:
    """A convolution with what follows it and can be taken into it."""

    node: NodeProto
    weights: Numbers
    bias: Numbers
    #: Slopes of the PReLU behind it, one a channel; None where there is none.
    slopes: Numbers | None
    #: What it and its followers make.
    output: str
    #: Those followers.
    taken: tuple[NodeProto, ...]

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is convolved for itself."""
        return self.weights.shape[1] == 1 and _group(self.node) == len(self.weights)


def rewrite(graph: GraphProto) -> None:
    """Change the graph in place; one without such PReLUs stays as it is."""
    _Rewriter(graph).run()


class _Rewriter:
    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._outputs = {value.name for value in graph.output}
        #: By what they make.
        self._convs = {node.output[0]: self._conv(node) for node in graph.node}
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, NDArray[np.float32]] = {}
        #: Results of PReLUs that nobody computes: the tensor before each, and the slopes.
        self._implied: dict[str, tuple[str, Numbers]] = {}
        #: Results of ReLUs, made once for all that add them up.
        self._positives: set[str] = set()
        #: Signs of the channels of what was computed with some of them turned.
        self._signs: dict[str, Numbers] = {}

    def run(self) -> None:
        """Put the nodes of the graph in their new form, in its order."""
        taken: set[str] = set()
        for node in self._graph.node:
            if conv := self._convs[node.output[0]]:
                taken.update(one.output[0] for one in conv.taken)
                self._write(conv)
            elif node.output[0] not in taken:
                self._nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        made = [numpy_helper.from_array(array, name) for name, array in self._weights.items()]
        del self._graph.initializer[:]
        self._graph.initializer.extend([*kept, *made])

    def _conv(self, node: NodeProto) -> _Conv | None:
        if node.op_type != "Conv" or node.input[1] not in self._constants:
            return None
        weights = self._constants[node.input[1]].astype(np.float64)
        if weights.ndim != 4 or not all(name in self._constants for name in node.input[2:]):  # noqa: PLR2004 - two dimensions
            return None
        bias = np.zeros(len(weights))
        if len(node.input) > 2:  # noqa: PLR2004 - the third is the bias
            bias = self._constants[node.input[2]].astype(np.float64)
        taken, output = [], node.output[0]
        normalised = self._only(output, "BatchNormalization")
        if normalised and len(normalised.output) == 1:
            factor, shift = self._normalisation(normalised)
            weights, bias = weights * _each(factor), bias * factor + shift
            taken, output = [normalised], normalised.output[0]
        if added := self._only(output, "Add"):
            more = self._each_channel(added.input[1], len(weights))
            if more is not None:
                bias, taken, output = bias + more, [*taken, added], added.output[0]
        slopes: Numbers | None = None
        if follower := self._only(output, "PRelu"):
            slopes = self._each_channel(follower.input[1], len(weights))
            if slopes is not None:
                taken, output = [*taken, follower], follower.output[0]
        return _Conv(node, weights, bias, slopes, output, tuple(taken))

    def _each_channel(self, name: str, channels: int) -> Numbers | None:
        """A constant as one number for each channel; None if it is something else."""
        values = self._constants[name].astype(np.float64)
        spread = (1, 1, *values.shape)[-3:]
        if values.size != 1 and (values.size != channels or spread != (channels, 1, 1)):
            return None
        return np.broadcast_to(values.reshape(-1), (channels,)).copy()

    def _only(self, name: str, kind: str) -> NodeProto | None:
        """What alone uses a tensor, if it is of that kind and its parameters are constant."""
        users = self._consumers.get(name, [])
        if len(users) != 1 or name in self._outputs or users[0].op_type != kind:
            return None
        is_constant = all(one in self._constants for one in users[0].input[1:])
        return users[0] if is_constant else None

    def _normalisation(self, node: NodeProto) -> tuple[Numbers, Numbers]:
        """Factor and shift of each channel."""
        scale, shift, mean, variance = (
            self._constants[name].astype(np.float64) for name in node.input[1:5]
        )
        factor = scale / np.sqrt(variance + float(_attribute(node, "epsilon", _EPSILON)))
        return factor, shift - mean * factor

    def _write(self, conv: _Conv) -> None:
        terms = self._terms(conv)
        if conv.slopes is None:
            self._sum(conv, terms, conv.output)
        elif conv.is_depthwise and self._can_turn(conv):
            self._write_depthwise(conv, conv.slopes, terms)
        else:
            before = f"{conv.output}_before"
            self._sum(conv, terms, before)
            if self._feeds_depthwise(conv):
                self._implied[conv.output] = before, conv.slopes
            else:
                inputs = [before, conv.taken[-1].input[1]]
                self._nodes.append(helper.make_node("PRelu", inputs, [conv.output]))

    def _write_depthwise(
        self, conv: _Conv, slopes: Numbers, terms: Sequence[tuple[str, Numbers]]
    ) -> None:
        """The PReLU as a sum of two, the second of which has no negative values."""
        signs = np.where(slopes > 1, -1.0, 1.0)
        positive = f"{conv.output}_positive"
        self._sum(conv, terms, f"{positive}_before", factor=np.abs(1 - slopes))
        self._nodes.append(helper.make_node("Relu", [f"{positive}_before"], [positive]))
        self._sum(conv, terms, conv.output, factor=signs * slopes, more=positive)
        if (signs < 0).any():
            self._signs[conv.output] = signs

    def _can_turn(self, conv: _Conv) -> bool:
        """Whether the sign of a channel may change: only who can turn it back may see it."""
        assert conv.slopes is not None
        if not (conv.slopes > 1).any():
            return True
        users = self._convolutions(conv.output)
        return users is not None and all(_group(user.node) == 1 for user in users)

    def _feeds_depthwise(self, conv: _Conv) -> bool:
        channels, users = len(conv.weights), self._convolutions(conv.output)
        return users is not None and all(
            _group(user.node) == channels == len(user.weights) for user in users
        )

    def _convolutions(self, name: str) -> list[_Conv] | None:
        """The users of a tensor, if they are convolutions of it that can be rewritten."""
        users = [self._convs[user.output[0]] for user in self._consumers.get(name, [])]
        inputs = {user.node.input[0] for user in users if user}
        if name in self._outputs or None in users or inputs - {name}:
            return None
        return [user for user in users if user]

    def _terms(self, conv: _Conv) -> list[tuple[str, Numbers]]:
        """What is convolved with which weights, all to be added up."""
        entry = conv.node.input[0]
        if entry in self._signs:
            return [(entry, conv.weights * self._signs[entry][None, :, None, None])]
        if entry not in self._implied:
            return [(entry, conv.weights)]
        before, slopes = self._implied[entry]
        return [
            (before, conv.weights * _each(slopes)),
            (self._positive(before), conv.weights * _each(1 - slopes)),
        ]

    def _positive(self, name: str) -> str:
        positive = f"{name}_positive"
        if positive not in self._positives:
            self._positives.add(positive)
            self._nodes.append(helper.make_node("Relu", [name], [positive]))
        return positive

    def _sum(
        self,
        conv: _Conv,
        terms: Sequence[tuple[str, Numbers]],
        output: str,
        *,
        factor: Numbers | None = None,
        more: str = "",
    ) -> None:
        """Convolve each term, channels scaled by ``factor``, and add all up, and ``more``."""
        factor = np.ones(len(conv.weights)) if factor is None else factor
        total = more
        for at, (entry, weights) in enumerate(terms):
            is_last = at == len(terms) - 1
            bias = conv.bias * factor if at == 0 else None
            made = output if is_last and not total else f"{output}_term{at}"
            self._convolve(conv.node, entry, weights * _each(factor), bias, made)
            if total:
                added = output if is_last else f"{output}_sum{at}"
                self._nodes.append(helper.make_node("Add", [made, total], [added]))
                made = added
            total = made

    def _convolve(
        self, like: NodeProto, entry: str, weights: Numbers, bias: Numbers | None, output: str
    ) -> None:
        inputs = [entry, f"{output}_weights"]
        self._weights[inputs[1]] = weights.astype(np.float32)
        if bias is not None:
            inputs.append(f"{output}_bias")
            self._weights[inputs[2]] = bias.astype(np.float32)
        node = helper.make_node("Conv", inputs, [output])
        node.attribute.extend(like.attribute)
        self._nodes.append(node)


def _each(values: Numbers) -> Numbers:
    """One value for each kernel."""
    return values[:, None, None, None]


def _group(node: NodeProto) -> int:
    return int(_attribute(node, "group", 1))


def _attribute(node: NodeProto, name: str, default: Any) -> Any:  # noqa: ANN401 - as ONNX's
    found = (helper.get_attribute_value(one) for one in node.attribute if one.name == name)
    return next(found, default)
