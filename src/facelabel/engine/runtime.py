"""ONNX Runtime and OpenVINO as we use them: they report to nobody.

ONNX Runtime, as it is built since 1.32, keeps a device id in the user's cache and tells its makers
of every session, unless it is told not to before it is loaded. OpenVINO keeps one in the user's
home and tells its makers that it was loaded, by a package of its own, without which it goes on.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import ModuleType

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxruntime import (  # type: ignore[import-untyped]
    InferenceSession,
    SessionOptions,
    get_available_providers,
)

__all__ = ["InferenceSession", "SessionOptions", "get_available_providers", "openvino"]

_OPENVINOS_REPORTER = "openvino_telemetry"


def openvino() -> ModuleType:
    """OpenVINO, an extra; ImportError without it."""
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault(_OPENVINOS_REPORTER, None)  # as if it were not installed
    import openvino  # noqa: PLC0415 - an extra

    return cast("ModuleType", openvino)
