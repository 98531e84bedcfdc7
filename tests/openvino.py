"""Networks of OpenVINO's format, made for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SIDE = 4


class Network:
    """An XML file and its weights, layer by layer."""

    def __init__(self) -> None:
        """Begin with an input of two channels."""
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.weights = b""
        self.last = self._layer("Parameter", f'shape="1,2,{SIDE},{SIDE}" element_type="f32"')

    def _layer(self, kind: str, data: str = "", *inputs: int, shape: tuple[int, ...] = ()) -> int:
        number = len(self.layers)
        lengths = shape or (1, 2, SIDE, SIDE)
        dims = "".join(f"<dim>{length}</dim>" for length in lengths)
        self.layers.append(
            f'<layer id="{number}" name="n{number}" type="{kind}" version="opset1">'
            f'<data {data}/><output><port id="9">{dims}</port></output></layer>'
        )
        self.edges += [
            f'<edge from-layer="{source}" from-port="9" to-layer="{number}" to-port="{port}"/>'
            for port, source in enumerate(inputs)
        ][::-1]  # in no order that one could rely on
        return number

    def constant(self, values: Floats) -> int:
        """Weights of 16 bits, which are made 32."""
        half = values.astype(np.float16)
        data = f'element_type="f16" offset="{len(self.weights)}" size="{half.nbytes}"'
        self.weights += half.tobytes()
        shape = ", ".join(map(str, values.shape))
        return self._layer(
            "Convert", 'destination_type="f32"', self._layer("Const", f'{data} shape="{shape}"')
        )

    def then(self, kind: str, *values: Floats, data: str = "", shape: tuple[int, ...] = ()) -> int:
        """One more layer, of what came before and these weights."""
        inputs = [self.last, *map(self.constant, values)]
        self.last = self._layer(kind, data, *inputs, shape=shape)
        return self.last

    def join(self, kind: str, other: int) -> None:
        """A layer of what came last and of another one."""
        self.last = self._layer(kind, "", self.last, other)

    def topology(self) -> bytes:
        """The file."""
        end = self._layer("Result", "", self.last)
        assert end
        parts = ["<net><layers>", *self.layers, "</layers><edges>", *self.edges, "</edges></net>"]
        return "".join(parts).encode()
