"""Export: a finished run in, an ONNX file with its ModelSpec out; parity with torch is checked."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emoscope.errors import InputError, ModelError
from emoscope.files import open_atomic
from emoscope.preprocess import preprocess
from emoscope.recognize import compute_probabilities, create_session
from emoscope.spec import ModelSpec
from emoscope.study.calibrate import fit_temperature, fit_threshold
from emoscope.study.metrics import compute_metrics
from emoscope.study.networks import create_network
from emoscope.study.runs import Run, load_run
from emoscope.study.train import load_weights

log = logging.getLogger(__name__)

CROP_MARGIN = -0.03
"""What the crop adds around a YuNet box so that a face fills the picture as FER2013's faces do. Measured by
benchmarks/crop_margin.py, results/crop_margin.json."""
MAX_DIFFERENCE = 1e-4
"""Largest allowed difference of probabilities between torch and ONNX Runtime."""
LICENCE = (
    "weights MIT as far as they are ours to license; derived from FER2013, whose pictures are for research use: "
    "check your use case"
)


def create_spec(run: Run, name: str) -> ModelSpec:
    """Fit temperature and threshold on the run's validation logits and put the spec together."""
    with np.load(run.validation_path, allow_pickle=False) as z:
        logits, labels = z["logits"], z["labels"]
    temperature = fit_temperature(logits, labels)
    probabilities = compute_probabilities(logits, temperature)
    threshold, coverage = fit_threshold(probabilities, labels)
    keys = ("accuracy", "macro_f1", "ece", "nll", "brier", "n")
    figures = compute_metrics(probabilities, labels)
    uncalibrated = compute_metrics(compute_probabilities(logits), labels)
    return ModelSpec(
        name=name,
        size_px=run.config.size_px,
        crop_margin=CROP_MARGIN,
        temperature=temperature,
        uncertain_below=threshold,
        network=run.config.network,
        protocol=run.config.protocol,
        split_seed=run.config.split_seed,
        data_sha256=run.data_sha256,
        run=run.folder.name,
        origin="trained from scratch by `emoscope train`, no other data and no pretrained weights",
        licence=LICENCE,
        figures={
            "validation": {key: figures[key] for key in keys},
            "validation_uncalibrated": {key: uncalibrated[key] for key in ("ece", "nll", "brier")},
            "certain_share": coverage,
        },
    )


def export_run(folder: Path, path: Path, name: str = "") -> ModelSpec:
    """Write a finished run's selected weights as ONNX.

    Args:
        folder: the run's.
        path: the ONNX file.
        name: of the model; the network's name and the run's first letters by default.

    Returns:
        The spec that the file holds.

    Raises:
        InputError: no run, or not finished.
        ModelError: torch and ONNX Runtime disagree; nothing is written.
        OutputError: the place cannot be written.
    """
    run = load_run(folder)
    if not run.is_finished:
        raise InputError(f"the run {folder} is not finished; go on with `emoscope train` and the same options")
    spec = create_spec(run, name or f"{run.config.network}-{run.folder.name[:6]}")
    network = create_network(run.config.network)
    load_weights(network, run.best_path)
    with open_atomic(path) as temporary:
        write_onnx(network, spec, temporary)
        difference = compare_with_onnx(network, temporary, spec, _draw_pictures())
        if difference > MAX_DIFFERENCE:
            raise ModelError(
                f"the exported probabilities differ by {difference:.1e} from torch's, expected at most "
                f"{MAX_DIFFERENCE:.0e}; report this with the run's folder"
            )
    log.info("largest difference of probabilities between torch and ONNX Runtime: %.1e", difference)
    return spec


def write_onnx(network: torch.nn.Module, spec: ModelSpec, path: Path) -> None:
    """Write a network with its spec; the batch size stays free."""
    import onnx

    network.eval()
    # The exporter wants a batch of at least 2 to keep its size free.
    example = torch.zeros(2, spec.channels, spec.size_px, spec.size_px)
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch gave no ONNX program; check the installed torch and onnxscript")
    model = program.model_proto
    # The exporter notes the maker's stack traces at every node: paths of a machine that are nobody's business.
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.helper.set_model_props(model, spec.to_metadata())
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress off stdout, which belongs to --json, and its deprecation notes off stderr."""
    with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        warnings.simplefilter("ignore")
        yield


def compare_with_onnx(network: torch.nn.Module, path: Path, spec: ModelSpec, pictures: NDArray[np.uint8]) -> float:
    """Return the largest difference of probabilities between torch and ONNX Runtime over pictures (n, h, w)."""
    batch = preprocess(pictures, spec)
    network.eval()
    with torch.inference_mode():
        ours = network(torch.from_numpy(batch)).numpy()
    theirs = create_session(path).run(["logits"], {"input": batch})[0]
    gap = compute_probabilities(ours, spec.temperature) - compute_probabilities(theirs, spec.temperature)
    return float(np.abs(gap).max())


def _draw_pictures() -> NDArray[np.uint8]:
    # Cartoon faces: the check needs plausible inputs and the run's folder holds no pictures.
    from emoscope.study.synthetic import create_synthetic

    return create_synthetic(140, seed=0).pixels
