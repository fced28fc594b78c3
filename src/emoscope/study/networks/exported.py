"""Exported networks: an ONNX file in, its weights by torch's names out."""

import re
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Weights = dict[str, NDArray[np.float32]]

FOLDED_BIAS = "_bias"
"""Follows the name of a convolution's weights, into which an export folded the batch norm behind it."""


def read_weights(path: Path) -> list[Weights]:
    """Return the weights of a network that emoscope exported, of each member where it is an ensemble.

    int8 weights are dequantised: 7 bits of each, so that the network is nearly the one that was quantised, not exactly.
    """
    graph = onnx.load(path).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name: array for name, array in arrays.items() if array.dtype in (np.float32, np.float16)}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
            values, scale, zero = (arrays[name].astype(np.float32) for name in node.input)
            if scale.ndim:
                shape = [-1 if i == axis % values.ndim else 1 for i in range(values.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            found[node.input[0].removesuffix("_quantized")] = (values - zero) * scale
    members: dict[str, Weights] = {}
    for name, array in found.items():
        parts = re.fullmatch(r"((?:member\d+/)*)(.*)", name, re.DOTALL)
        assert parts is not None
        members.setdefault(parts[1], {})[parts[2]] = array.astype(np.float32)
    # What stands beside an ensemble's members is no network.
    return [weights for prefix, weights in members.items() if prefix or len(members) == 1]
