"""An ensemble: exported networks in, one ONNX file that averages their probabilities out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from emoscope.core.errors import InputError, ModelError
from emoscope.faces.recognize import Recognizer, calibrate
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.export.export import MAX_DIFFERENCE, SPLIT_KEYS, draw_pictures, write_calibrated
from emoscope.study.export.quantize import write_model

SHARED_KEYS = (
    "labels",
    "size_px",
    "channels",
    "mean",
    "std",
    "kernel",
    "crop_margin",
    "precision",
    "data_sha256",
    *SPLIT_KEYS,
)
"""What the members of an ensemble have in common."""


def write_ensemble(members: Sequence[Path], dataset: Dataset, path: Path, name: str) -> ModelSpec:
    """Write several exported networks as one ONNX file whose logits are the logarithms of their mean probabilities.

    Args:
        members: ONNX files that `emoscope export` made, of one input size, precision, dataset and split.
        dataset: the one they were trained on, for the calibration of the whole.
        path: the ONNX file.
        name: of the model.

    Returns:
        The spec that the file holds.

    Raises:
        InputError: the members do not fit together, or were trained on other data.
        ModelError: the whole does not give the members' mean; nothing is written.
        OutputError: the place cannot be written.
    """
    recognizers = [Recognizer(member) for member in members]
    whole = _merge_specs([recognizer.spec for recognizer in recognizers], name)
    model, faces = _merge(members), draw_pictures()
    mean = np.mean([calibrate(member.compute_logits(faces), Calibration()) for member in recognizers], axis=0)

    def write(target: Path, spec: ModelSpec) -> None:
        write_model(model, target, spec)
        ours = calibrate(Recognizer(target).compute_logits(faces), Calibration())
        if (difference := float(np.abs(ours - mean).max())) > MAX_DIFFERENCE:
            raise ModelError(
                f"the ensemble's probabilities differ by {difference:.1e} from its members' mean, expected at most "
                f"{MAX_DIFFERENCE:.0e}; report this with the members' files"
            )

    return write_calibrated(write, whole, path, dataset)


def _merge_specs(specs: Sequence[ModelSpec], name: str) -> ModelSpec:
    first = specs[0]
    for spec in specs[1:]:
        for key in SHARED_KEYS:
            ours, theirs = getattr(spec, key), getattr(first, key)
            if ours != theirs:
                raise InputError(
                    f"the members {first.name} and {spec.name} differ in their {key} ({theirs} and {ours}); an "
                    "ensemble's members share it"
                )
    return dataclasses.replace(
        first,
        name=name,
        network=" + ".join(spec.network for spec in specs),
        run=" + ".join(spec.run for spec in specs),
        origin="; ".join(dict.fromkeys(spec.origin for spec in specs)),
        licence="; ".join(dict.fromkeys(spec.licence for spec in specs)),
    )


def _merge(members: Sequence[Path]) -> onnx.ModelProto:
    """Return one graph with every member's, and the average of their probabilities."""
    models = [onnx.load(member) for member in members]
    opsets = {tuple(sorted((opset.domain, opset.version) for opset in model.opset_import)) for model in models}
    if len(opsets) > 1:
        raise InputError("the members were exported by different versions; export them again with one")
    graph = helper.make_graph([], "ensemble", [models[0].graph.input[0]], [models[0].graph.output[0]])
    means = []
    for i, model in enumerate(models):
        prefix = f"member{i + 1}/"
        member = onnx.compose.add_prefix(model, prefix).graph
        graph.node.append(helper.make_node("Identity", ["input"], [f"{prefix}input"], f"{prefix}read"))
        graph.node.extend(member.node)
        graph.initializer.extend(member.initializer)
        means.append(f"{prefix}probabilities")
        graph.node.append(helper.make_node("Softmax", [f"{prefix}logits"], means[-1:], f"average/{i + 1}", axis=1))
    # The logarithm of nothing is infinite.
    graph.initializer.append(helper.make_tensor("least", TensorProto.FLOAT, [], [1e-12]))
    graph.node.append(helper.make_node("Mean", means, ["mean"], "average/mean"))
    graph.node.append(helper.make_node("Clip", ["mean", "least"], ["clipped"], "average/clip"))
    graph.node.append(helper.make_node("Log", ["clipped"], ["logits"], "average/log"))
    ir_version = max(model.ir_version for model in models)
    return helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=ir_version)
