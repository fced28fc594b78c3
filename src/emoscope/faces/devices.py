"""Devices: a name in, sessions of networks out that run there, or on the processor where that cannot be, said aloud."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from emoscope.core.errors import InputError, ModelError
from emoscope.core.validation import suggest

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger(__name__)

DeviceName = Literal["auto", "cpu", "cuda", "openvino", "coreml", "directml"]


@dataclass(frozen=True)
class Provider:
    """How ONNX Runtime reaches a device."""

    name: str
    """ONNX Runtime's own."""
    package: str
    """The one that carries it; only one of these may be installed at a time."""
    options: Mapping[str, str] = field(default_factory=dict)
    optimizes: bool = False
    """Whether it optimises networks itself, and better as they are than after ONNX Runtime did."""
    is_sequential: bool = False
    """Whether it takes no plan of memory and one node at a time, as DirectML's documentation asks for."""
    system: str = ""
    """The only one that has it, as sys.platform begins there; empty for several."""

    @property
    def needs(self) -> str:
        """What is to be done to have it here."""
        if self.system and not sys.platform.startswith(self.system):
            return f"{SYSTEMS[self.system]} alone has it"
        return f"it needs the package {self.package} in place of the installed one"


SYSTEMS: Final = {"darwin": "macOS", "win": "Windows"}


PROVIDERS: Final = {
    "cpu": Provider("CPUExecutionProvider", "onnxruntime"),
    "cuda": Provider(
        "CUDAExecutionProvider",
        "onnxruntime-gpu",
        # TF32 has 10 bits of mantissa; a search for the fastest algorithm would run anew for every size of a batch.
        {"device_id": "0", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    ),
    "openvino": Provider(
        "OpenVINOExecutionProvider",
        "onnxruntime-openvino",
        # One thread, as on the processor; by itself it takes bfloat16 where there is, which changes readings.
        {
            "device_type": "CPU",
            "num_of_threads": "1",
            "load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"}}',
        },
        optimizes=True,
    ),
    "coreml": Provider(
        "CoreMLExecutionProvider", "onnxruntime", {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}, system="darwin"
    ),
    "directml": Provider(
        "DmlExecutionProvider", "onnxruntime-directml", {"device_id": "0"}, is_sequential=True, system="win"
    ),
}
"""By the device's name."""
AUTOMATIC: Final = ("cuda",)
"""What `auto` takes where it is installed, in this order. OpenVINO rounds int8 networks otherwise and gives the same
emotion in 99.15 % of validation faces, fewer than the 99.5 we ask for (results/devices.json); Core ML, which every
macOS package carries, and DirectML may compute in half precision: they are for those who ask. CUDA is not measured."""


@dataclass(frozen=True)
class Device:
    """Where networks run, and why."""

    name: str
    """One of PROVIDERS."""
    reason: str

    @property
    def provider(self) -> Provider:
        """How it is reached."""
        return PROVIDERS[self.name]


CPU: Final = Device("cpu", "asked for")


def list_devices(available: Sequence[str] | None = None) -> list[str]:
    """Return the names of the devices that the installed ONNX Runtime knows of; the processor comes first.

    Args:
        available: ONNX Runtime's names of its providers; None asks it.
    """
    if available is None:
        import onnxruntime

        available = onnxruntime.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider.name in available]


def choose_device(name: str = "auto", available: Sequence[str] | None = None) -> Device:
    """Choose where networks run.

    Args:
        name: a device, or `auto` for the first of AUTOMATIC that is installed, else the processor.
        available: see list_devices().

    Returns:
        The device. One that is not installed is said in a warning, once, and the processor stands in for it.

    Raises:
        InputError: there is no device of this name.
    """
    if name != "auto" and name not in PROVIDERS:
        raise InputError(f"there is no device {name!r}, {suggest(name, ['auto', *PROVIDERS])}")
    known = list_devices(available)
    if name == "auto":
        found = next((device for device in AUTOMATIC if device in known), None)
        return Device(found, "best available") if found else Device("cpu", f"no {' or '.join(AUTOMATIC)} is installed")
    if name in known:
        return Device(name, "asked for")
    return _fall_back(name, PROVIDERS[name].needs)


@cache
def _fall_back(name: str, reason: str) -> Device:
    """Return the processor, and say so; once, not for every network and film."""
    log.warning("the device %s is not to be had (%s): networks run on the processor", name, reason)
    return Device("cpu", f"{name} was asked for, but {reason}")


def create_session(path: Path, content: bytes | None = None) -> "onnxruntime.InferenceSession":
    """Open an ONNX file on the processor with one thread.

    One thread: several make single faces slower whenever the other cores are busy (measured, 2.5 to 8.6 ms).

    Args:
        path: the file.
        content: its bytes, where they were read already.

    Raises:
        ModelError: the file is not ONNX or damaged.
    """
    return _open(path, content, CPU)


def open_session(path: Path, device: Device) -> "tuple[onnxruntime.InferenceSession, Device]":
    """Open an ONNX file on a device.

    Returns:
        The session and where it runs: on the processor, said in a warning, where the device's driver is missing or
        refuses the network.

    Raises:
        ModelError: the file is not ONNX or damaged.
    """
    if device.name == "cpu":
        return _open(path, None, device), device
    try:
        session = _open(path, None, device)
        # Where a library is missing ONNX Runtime goes on without its provider, and without an exception.
        if session.get_providers()[0] == device.provider.name:
            return session, device
        reason = f"{device.provider.name} does not start on this machine"
    except ModelError as e:
        reason = f"{device.provider.name} cannot take {path.name} ({type(e.__cause__).__name__})"
    cpu = _fall_back(device.name, reason)
    return _open(path, None, cpu), cpu


def _open(path: Path, content: bytes | None, device: Device) -> "onnxruntime.InferenceSession":
    import onnxruntime

    provider = device.provider
    try:
        return onnxruntime.InferenceSession(
            content or str(path), create_options(provider), providers=list_providers(provider)
        )
    # ONNX Runtime's exceptions share no base class but Exception.
    except Exception as e:
        raise ModelError(
            f"{path} is no ONNX model that can be loaded ({type(e).__name__}); "
            "expected a file made by `emoscope export`"
        ) from e


def list_providers(provider: Provider) -> list[tuple[str, dict[str, str]]]:
    """Return the providers of a session: the device's, and the processor for what that cannot compute."""
    found = [(provider.name, dict(provider.options))]
    return found if provider is PROVIDERS["cpu"] else [*found, (PROVIDERS["cpu"].name, {})]


def create_options(provider: Provider) -> "onnxruntime.SessionOptions":
    """Return a session's options: one thread, and what the provider asks for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A plan of one whole block for every size of input costs twice the memory and saves no time on a processor.
    options.enable_mem_pattern = False
    if provider.optimizes:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if provider.is_sequential:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    return options
