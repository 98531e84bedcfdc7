"""One ONNX graph, loaded when it is first needed and shared by all threads."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from facelabel.adapters.engine.runtime import InferenceSession, SessionOptions
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Floats: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]

#: ONNX Runtime's level for errors: its warnings are about the graph, nothing a user can act on.
_ERRORS_ONLY = 3


class Network:
    """An ONNX graph with one input."""

    def __init__(
        self, path: Path, *, threads: int, expects: Sequence[int | None] | None = None
    ) -> None:
        """Remember the file; nothing is read before the first :meth:`run`.

        ``expects``: the shape its input must take, None where any length must do.
        """
        self._path = path
        self._expects = expects
        self._threads = threads
        self._lock = threading.Lock()

    def run(self, tensor: Floats) -> Sequence[Floats]:
        """Return the graph's outputs in its own order; may be called by several threads at once.

        Raises ConfigurationError if the file is not a model that ONNX Runtime can load.
        """
        with self._lock:
            session = self._session
        outputs: Sequence[Floats] = session.run(None, {session.get_inputs()[0].name: tensor})
        return outputs

    @functools.cached_property
    def _session(self) -> InferenceSession:
        options = SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Idle threads must not burn the cores that the other network is about to use.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A plan of memory pays only where the next picture has the size of the last one. The arena
        # stays: without it each large look at a picture takes three times as long.
        options.enable_mem_pattern = False
        try:
            session = InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base class below Exception
            raise ConfigurationError(f"{self._path} is not a usable model: {error}") from error
        self._check(session.get_inputs()[0].shape)
        return session

    def _check(self, shape: Sequence[int | str | None]) -> None:
        """Refuse a model that cannot take what it will be given; names stand for any length."""
        if self._expects is None:
            return
        fits = len(shape) == len(self._expects) and all(
            not isinstance(there, int) or there == wanted
            for there, wanted in zip(shape, self._expects, strict=True)
        )
        if not fits:
            raise ConfigurationError(
                f"{self._path} takes {list(shape)}, not {list(self._expects)} (None: any number):"
                ' check size in the manifest; a batch fixed to 1 wants convert = "free-batch"'
            )
