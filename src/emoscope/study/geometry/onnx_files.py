"""Trained networks of geometry in, small ONNX files out: float32 checked against torch, then int8."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from emoscope.core.errors import ModelError
from emoscope.core.files import open_atomic
from emoscope.faces.devices import create_session
from emoscope.study.export.export import create_onnx
from emoscope.study.export.quantize import quantize

MAX_DIFFERENCE = 1e-3
"""Largest allowed difference of outputs between torch and ONNX Runtime, in float32."""


def write_network(
    network: nn.Module, path: Path, batches: Sequence[NDArray[np.float32]], outputs: list[str], free: dict[int, Any]
) -> None:
    """Write a network with int8 weights.

    Args:
        network: trained.
        path: the ONNX file.
        batches: inputs that set the activations' ranges; the first also compares torch with ONNX Runtime.
        outputs: names of the network's outputs.
        free: axes of the input whose size stays free, and torch's Dim of each.

    Raises:
        ModelError: ONNX Runtime computes something else than torch.
        OutputError: the place cannot be written.
    """
    example = torch.from_numpy(batches[0])
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float32.onnx"
        onnx.save(create_onnx(network, example, outputs, free), plain)
        with torch.inference_mode():
            ours = network(example)
        theirs = create_session(plain).run(outputs, {"input": batches[0]})
        pairs = zip([ours] if isinstance(ours, torch.Tensor) else ours, theirs, strict=True)
        difference = max(float(np.abs(a.numpy() - b).max()) for a, b in pairs)
        if difference > MAX_DIFFERENCE:
            raise ModelError(f"ONNX Runtime's outputs differ by {difference:.1e} from torch's; report this")
        model = quantize(plain, batches)
    onnx.checker.check_model(model)
    with open_atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
