"""What networks are run on: the processor, or something faster that is there.

The packages that drive other devices come in place of ``onnxruntime``, or beside it (OpenVINO);
which of them a user wants is theirs to say by installing one. Whether a driver works is known only
when it has been asked: libraries of CUDA may be missing, and ONNX Runtime would go on without a
word on the processor.

Both report to nobody. ONNX Runtime, as it is built since 1.32, keeps a device id in the user's
cache and tells its makers of every session, unless it is told not to before it is loaded. OpenVINO
keeps one in the user's home and tells its makers that it was loaded, by a package of its own,
without which it goes on.
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import logging
import os
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxruntime import (  # type: ignore[import-untyped]
    InferenceSession,
    SessionOptions,
    get_available_providers,
)

__all__ = [
    "AUTO",
    "PROVIDERS",
    "Device",
    "InferenceSession",
    "SessionOptions",
    "chosen",
    "get_available_providers",
    "openvino",
    "problem",
]

log = logging.getLogger(__name__)

AUTO: Final = "auto"
_OPENVINOS_REPORTER = "openvino_telemetry"
_FATAL_ONLY = 4
#: An ONNX file: the smallest graph there is, which hands on one number.
_NOTHING = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a00100d"
)


class Device(enum.StrEnum):
    """Where a network's numbers are worked out."""

    CPU = "cpu"
    CUDA = "cuda"
    COREML = "coreml"
    DIRECTML = "directml"
    #: The processor, too, with Intel's library.
    OPENVINO = "openvino"

    @property
    def takes_any_size(self) -> bool:
        """Whether pictures of any size cost it nothing more; the others compile for each anew."""
        return self in {Device.CPU, Device.CUDA, Device.DIRECTML}

    @property
    def batch(self) -> int:
        """Chips in one run of an embedder, mirror images included.

        Few on a processor: with more, what a layer hands to the next no longer fits a core's cache
        (SFace takes an eighth more with four than with two, a third more with eight).
        """
        return {Device.CPU: 2, Device.OPENVINO: 4}.get(self, 32)


#: ONNX Runtime's names.
PROVIDERS: Final[Mapping[Device, str]] = MappingProxyType(
    {
        Device.CPU: "CPUExecutionProvider",
        Device.CUDA: "CUDAExecutionProvider",
        Device.COREML: "CoreMLExecutionProvider",
        Device.DIRECTML: "DmlExecutionProvider",
    }
)
#: What makes them usable.
_ADVICE: Mapping[Device, str] = MappingProxyType(
    {
        Device.CUDA: "install onnxruntime-gpu in place of onnxruntime, and CUDA with cuDNN",
        Device.COREML: "it is there on a Mac alone",
        Device.DIRECTML: "install onnxruntime-directml in place of onnxruntime, on Windows",
        Device.OPENVINO: "install facelabel[openvino]",
    }
)
#: Taken unasked, the fastest first. CoreML is part of every installation on a Mac, so that its
#: being there says nothing of what the user wants.
_UNASKED = (Device.CUDA, Device.DIRECTML, Device.OPENVINO)


@functools.cache
def chosen(choice: str) -> Device:
    """Return the device that a choice stands for here; "auto" ends with the processor.

    Devices that work are found out once a process.

    Raises ConfigurationError, saying what to install, where the one asked for does not work.
    """
    if choice != AUTO:
        device = Device(choice)
        if trouble := _trouble(device):
            raise ConfigurationError(f"the device {device} cannot be used ({trouble})")
        return device
    for device in filter(_is_installed, _UNASKED):
        if not (trouble := _trouble(device)):
            return device
        log.warning("the device %s is passed over (%s)", device, trouble)
    return Device.CPU


def _is_installed(device: Device) -> bool:
    if device is Device.OPENVINO:
        return importlib.util.find_spec("openvino") is not None
    return PROVIDERS[device] in get_available_providers()


def _trouble(device: Device) -> str:
    """Why a device does not work; "" where it does."""
    if not _is_installed(device):
        return _ADVICE[device]
    if device is Device.CPU:
        return ""
    found = _openvino_problem() if device is Device.OPENVINO else problem(PROVIDERS[device])
    return f"{found}; {_ADVICE[device]}" if found else ""


def problem(provider: str) -> str:
    """What ONNX Runtime says when it is to load a graph with a provider; "" where it does."""
    options = SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        session = InferenceSession(_NOTHING, options, providers=[provider])
    except Exception as error:  # noqa: BLE001 - its errors share no base class below Exception
        return _first_line(error)
    return "" if provider in session.get_providers() else f"{provider} does not start"


def _openvino_problem() -> str:
    """The same of OpenVINO, which may be installed in part, or for another processor."""
    try:
        core = openvino().Core()
        core.compile_model(core.read_model(_NOTHING), "CPU")
    except Exception as error:  # noqa: BLE001 - whatever it is, there are other devices
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def openvino() -> ModuleType:
    """OpenVINO, an extra; ImportError without it."""
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault(_OPENVINOS_REPORTER, None)  # as if it were not installed
    import openvino  # noqa: PLC0415 - an extra

    return cast("ModuleType", openvino)
