"""One ONNX graph, loaded when it is first needed and shared by all threads."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from facelabel.engine.devices import (
    PROVIDERS,
    Device,
    InferenceSession,
    SessionOptions,
    openvino,
)
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Floats: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]

#: ONNX Runtime's level for errors: its warnings are about the graph, nothing a user can act on.
_ERRORS_ONLY = 3
#: By default it tries every way of computing each new size of a picture before it takes one.
_PROVIDER_OPTIONS = {Device.CUDA: {"cudnn_conv_algo_search": "HEURISTIC"}}


class Network:
    """An ONNX graph with one input."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        device: Device = Device.CPU,
        expects: Sequence[int | None] | None = None,
    ) -> None:
        """Remember the file; nothing is read before the first :meth:`run`.

        ``expects``: the shape its input must take, None where any length must do.
        """
        self._path = path
        self._expects = expects
        self._threads = threads
        self._device = device
        self._lock = threading.Lock()

    def run(self, tensor: Floats) -> Sequence[Floats]:
        """Return the graph's outputs in its own order; may be called by several threads at once.

        Raises ConfigurationError if the file is not a model that can be loaded.
        """
        with self._lock:
            loaded = self._loaded
        return loaded.run(tensor)

    @functools.cached_property
    def _loaded(self) -> _Loaded:
        try:
            loaded = _load(self._path, self._device, self._threads)
        except Exception as error:  # the runtimes' errors share no base class below Exception
            raise ConfigurationError(f"{self._path} is not a usable model: {error}") from error
        self._check(loaded.shape)
        return loaded

    def _check(self, shape: Sequence[int | None]) -> None:
        """Refuse a model that cannot take what it will be given."""
        if self._expects is None:
            return
        fits = len(shape) == len(self._expects) and all(
            there in {None, wanted} for there, wanted in zip(shape, self._expects, strict=True)
        )
        if not fits:
            raise ConfigurationError(
                f"{self._path} takes {list(shape)}, not {list(self._expects)} (None: any number):"
                ' check size in the manifest; a batch fixed to 1 wants convert = "free-batch"'
            )


class _Loaded(Protocol):
    """A graph in the hands of a library that works it out."""

    @property
    def shape(self) -> Sequence[int | None]:
        """Of the input; None where any length does."""

    def run(self, tensor: Floats) -> Sequence[Floats]:
        """Return the outputs; may be called by several threads at once."""


def _load(path: Path, device: Device, threads: int) -> _Loaded:
    if device is Device.OPENVINO:
        return _OpenVino(path, threads)
    return _OnnxRuntime(path, device, threads)


class _OnnxRuntime:
    def __init__(self, path: Path, device: Device, threads: int) -> None:
        options = SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads must not burn the cores that the other network is about to use.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A plan of memory pays only where the next picture has the size of the last one. The arena
        # stays: without it each large look at a picture takes three times as long.
        options.enable_mem_pattern = False
        wanted = (PROVIDERS[device], _PROVIDER_OPTIONS.get(device, {}))
        providers = [wanted] if device is Device.CPU else [wanted, PROVIDERS[Device.CPU]]
        self._session = InferenceSession(path, options, providers=providers)
        (taken,) = self._session.get_inputs()
        self._name = taken.name
        self.shape = [side if isinstance(side, int) else None for side in taken.shape]
        # DirectML's sessions take one run at a time.
        self._turn = threading.Lock() if device is Device.DIRECTML else contextlib.nullcontext()

    def run(self, tensor: Floats) -> Sequence[Floats]:
        """Return the outputs; on DirectML one thread waits for the other."""
        with self._turn:
            outputs: Sequence[Floats] = self._session.run(None, {self._name: tensor})
        return outputs


class _OpenVino:
    """Intel's library, which takes shorter numbers (bfloat16) where the processor has them."""

    def __init__(self, path: Path, threads: int) -> None:
        core = openvino().Core()
        options = {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Two processes would bind themselves to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._model: Any = core.compile_model(core.read_model(path), "CPU", options)
        (taken,) = self._model.inputs
        self.shape = [
            side.get_length() if side.is_static else None for side in taken.get_partial_shape()
        ]
        #: Each thread's own, which another one's would wait for.
        self._requests = threading.local()

    def run(self, tensor: Floats) -> Sequence[Floats]:
        """Return the outputs; every thread has a request of its own."""
        if not hasattr(self._requests, "own"):
            self._requests.own = self._model.create_infer_request()
        outputs = self._requests.own.infer([tensor], share_inputs=True)
        return [outputs[output] for output in self._model.outputs]
