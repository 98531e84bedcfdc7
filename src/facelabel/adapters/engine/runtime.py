"""ONNX Runtime as we use it: it reports to nobody.

As it is built since 1.32, it keeps a device id in the user's cache and tells its makers of every
session, unless it is told not to before it is loaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxruntime import (  # type: ignore[import-untyped]
    InferenceSession,
    SessionOptions,
    get_available_providers,
)

__all__ = ["InferenceSession", "SessionOptions", "get_available_providers"]
