"""Smaller and faster variants of an exported network: an ONNX file in, one with float16 or int8 weights out."""

import dataclasses
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from emoscope.core.files import open_atomic
from emoscope.faces.preprocess import preprocess
from emoscope.faces.spec import ModelSpec
from emoscope.faces.trial import trust

log = logging.getLogger(__name__)

N_CALIBRATION = 1024
"""Training faces by which int8 ranges are set."""


def write_float16(source: Path, target: Path, spec: ModelSpec) -> None:
    """Write a network with float16 weights: half the size; on a CPU no faster.

    Args:
        source: the float32 network.
        target: the ONNX file.
        spec: goes into the file, with its precision changed.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    converted = OnnxModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    # The converter adds its casts at the end.
    converted.topological_sort()
    write_model(converted.model, target, dataclasses.replace(spec, precision="float16"))


def write_int8(source: Path, target: Path, spec: ModelSpec, faces: NDArray[np.uint8]) -> None:
    """Write a statically quantised network (QDQ): a quarter of the size, several times as fast on most CPUs.

    Args:
        source: the float32 network.
        target: the ONNX file.
        spec: goes into the file, with its precision changed.
        faces: (n, h, w) training faces that set the activations' ranges.
    """
    batches = [preprocess(faces[i : i + 64], spec) for i in range(0, len(faces), 64)]
    write_model(quantize(source, batches), target, dataclasses.replace(spec, precision="int8"))


def quantize(source: Path, batches: Sequence[NDArray[np.float32]]) -> onnx.ModelProto:
    """Quantise a float32 network statically.

    Args:
        source: its ONNX file, with one input.
        batches: inputs that set the activations' ranges.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(({"input": batch} for batch in self.batches), None)

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        # Unsigned activations: signed ones are slower than float32 on x86 (measured, see benchmarks/recognition.py).
        # Weights of 7 bits: processors without VNNI saturate sums of 8-bit products, and figures must not depend on
        # the processor.
        quantize_static(
            prepared,
            quantized,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(quantized)


def write_model(model: onnx.ModelProto, path: Path, spec: ModelSpec) -> None:
    """Write a graph with its spec.

    Raises:
        OutputError: the place cannot be written.
    """
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.checker.check_model(model)
    with open_atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        trust(temporary)
