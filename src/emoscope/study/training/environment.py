"""Nothing in; what a figure depends on beside its recipe out: versions and machine."""

import platform
from pathlib import Path


def describe_environment() -> dict[str, object]:
    """Return what a figure depends on beside the config: versions and machine."""
    from importlib.metadata import version

    import torch

    packages = ("emoscope", "torch", "timm", "lightning-fabric", "numpy", "scikit-learn", "opencv-python-headless")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": describe_processor(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "packages": {name: version(name) for name in packages},
    }


def describe_processor() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
