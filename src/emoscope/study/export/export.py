"""Export: finished runs in, ONNX files with their ModelSpec out; parity with torch is checked."""

import contextlib
import dataclasses
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import EmoscopeError, InputError, ModelError, OutputError
from emoscope.core.files import open_atomic
from emoscope.faces.crop import CROP_MARGIN
from emoscope.faces.devices import create_session
from emoscope.faces.preprocess import VIEWS, preprocess
from emoscope.faces.recognize import Recognizer, calibrate, compute_probabilities
from emoscope.faces.registry import LICENCE
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.export.quantize import N_CALIBRATION, write_float16, write_int8, write_model
from emoscope.study.measuring.calibrate import fit_calibrations
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.training.build import build_network, describe_input, describe_weights
from emoscope.study.training.predict import load_weights
from emoscope.study.training.run_folder import Run, load_run

log = logging.getLogger(__name__)

SPLIT_KEYS = ("protocol", "split_seed", "fold", "n_folds", "fold_seed", "near_copies")
MAX_DIFFERENCE = 1e-4
"""Largest allowed difference of probabilities between torch and ONNX Runtime."""


@dataclass(frozen=True)
class Calibrated:
    """What validation images say of a network."""

    calibrations: dict[int, Calibration]
    """By number of views."""
    figures: dict[str, Any]
    """By part: views, uncalibrated, balanced."""


def describe_validation(
    logits: Mapping[int, NDArray[np.floating]], labels: NDArray[np.integer], names: Sequence[str] = EMOTIONS
) -> Calibrated:
    """Fit the calibrations of a network and measure it, both on validation images.

    Args:
        logits: (n, views, classes) by number of views.
        labels: (n,), class index.
        names: of the classes.
    """
    calibrations = fit_calibrations(logits, labels)
    figures: dict[str, Any] = {}
    for n_views, values in logits.items():
        part, calibration = ModelSpec.name_figures(n_views), calibrations[n_views]
        probabilities = calibrate(values, calibration)
        certain = float((probabilities.max(axis=1) >= calibration.uncertain_below).mean())
        figures[part] = {**_select(probabilities, labels, names), "certain_share": certain}
        figures[f"{part}_uncalibrated"] = _select(calibrate(values, Calibration()), labels, names)
        balanced = calibrate(values, calibration, balanced=True)
        figures[ModelSpec.name_figures(n_views, balanced=True)] = _select(balanced, labels, names)
    return Calibrated(calibrations, figures)


def _select(probabilities: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str]) -> dict[str, Any]:
    figures = compute_metrics(probabilities, labels, names)
    return {key: figures[key] for key in ("accuracy", "macro_f1", "ece", "classwise_ece", "nll", "brier", "n")}


def create_spec(run: Run, calibrated: Calibrated, name: str) -> ModelSpec:
    """Put the spec of a run's network together."""
    config = run.config
    origin, licence = describe_weights(config)
    return dataclasses.replace(
        describe_input(config, run.classes),
        name=name,
        crop_margin=CROP_MARGIN,
        calibrations=calibrated.calibrations,
        network=config.network,
        run=run.folder.name,
        origin=origin,
        licence="; ".join([LICENCE, *([f"ImageNet weights: {licence}"] if licence else [])]),
        figures=calibrated.figures,
        data_sha256=run.data_sha256,
        **{key: getattr(config, key) for key in SPLIT_KEYS},
    )


def load_network(run: Run) -> nn.Module:
    """Return a finished run's network with the selected weights.

    Raises:
        InputError: the run is not finished.
    """
    if not run.is_finished:
        raise InputError(f"the run {run.folder} is not finished; go on with the same command that began it")
    network = build_network(run.config, run.classes, is_new=False)
    load_weights(network, run.best_path)
    return network.eval()


def export_network(
    source: Path,
    path: Path,
    name: str = "",
    precision: str = "float32",
    dataset: Dataset | None = None,
    overwrite: bool = False,
) -> ModelSpec:
    """Write a network as ONNX in any precision.

    Args:
        source: a finished run's folder; or a float32 network that was exported, to be written in another precision.
        path: the ONNX file.
        name: of a run's model, see export_run().
        precision: `float32`, `float16` or `int8`.
        dataset: the one it was trained on, for any precision but float32.
        overwrite: whether another training's network may be replaced there.

    Returns:
        The spec that the file holds.

    Raises:
        InputError: a file that would stay as it is, a precision that needs the dataset, or see export_run() and
            export_variant().
        OutputError: another network or something else is there, or the very file that is read.
    """
    if not source.is_file():
        load_run(source)
    _check_place(source, path, overwrite)
    if source.is_file() and path.exists() and path.samefile(source):
        raise OutputError(f"{path} would be replaced by what is made of it; name another file")
    if source.is_file() and (name or precision == "float32"):
        raise InputError(
            f"{source} is exported already; name a run's folder, or --precision float16 or int8 and no --name"
        )
    if precision == "float32":
        return export_run(source, path, name)
    if dataset is None:
        raise InputError(f"{precision} weights are calibrated with images; name the dataset with --data")
    if source.is_file():
        return export_variant(source, path, precision, dataset)
    with tempfile.TemporaryDirectory() as folder:
        export_run(source, Path(folder) / "float32.onnx", name)
        return export_variant(Path(folder) / "float32.onnx", path, precision, dataset)


def _check_place(source: Path, path: Path, overwrite: bool) -> None:
    """Check that nothing is at a place but an earlier export of the same training."""
    if not os.path.lexists(path):
        return
    try:
        if path.is_symlink():
            raise OutputError("a link's end is somebody else's")
        found = Recognizer(path).spec
    except EmoscopeError as e:
        raise OutputError(f"{path} is no network that emoscope exported; name another file or move it away") from e
    run = Recognizer(source).spec.run if source.is_file() else source.resolve().name
    if not overwrite and found.run != run:
        raise OutputError(
            f"{path} is {found.name}, another training's network; name another file, or replace it with --overwrite"
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
    network = load_network(run)
    validation = run.load_validation()
    calibrated = describe_validation(validation.logits, validation.labels, run.classes)
    spec = create_spec(run, calibrated, name or f"{run.config.network}-{run.folder.name[:6]}")
    write_checked(network, spec, path)
    return spec


def write_checked(network: nn.Module, spec: ModelSpec, path: Path) -> None:
    """Write a network as ONNX once both agree on drawn faces.

    Raises:
        ModelError: torch and ONNX Runtime disagree; nothing is written.
        OutputError: the place cannot be written.
    """
    with open_atomic(path) as temporary:
        write_onnx(network, spec, temporary)
        difference = compare_with_onnx(network, temporary, spec, draw_pictures())
        if difference > MAX_DIFFERENCE:
            raise ModelError(
                f"the exported probabilities differ by {difference:.1e} from torch's, expected at most "
                f"{MAX_DIFFERENCE:.0e}; report this with the run's folder"
            )
    log.info("largest difference of probabilities between torch and ONNX Runtime: %.1e", difference)


def export_variant(source: Path, path: Path, precision: str, dataset: Dataset) -> ModelSpec:
    """Write an exported network with smaller weights, calibrated and measured anew.

    Args:
        source: a float32 ONNX file that export_run() or write_ensemble() made.
        path: the ONNX file.
        precision: `float16` or `int8`.
        dataset: the one it was trained on: training images set the ranges of int8, validation images the calibration.

    Raises:
        InputError: an unknown precision, other data, or a file that is a variant already.
        OutputError: the place cannot be written.
    """
    spec = Recognizer(source).spec
    if spec.precision != "float32" or precision not in ("float16", "int8"):
        raise InputError(
            f"cannot make {precision} weights of {spec.precision} ones; choose float16 or int8 and a float32 network"
        )
    spec = dataclasses.replace(spec, name=f"{spec.name}-{precision}", precision=precision)

    def write(target: Path, with_spec: ModelSpec) -> None:
        if precision == "float16":
            write_float16(source, target, with_spec)
        else:
            train = create_split(dataset, spec).train
            chosen = np.random.default_rng(0).permutation(train)[:N_CALIBRATION]
            write_int8(source, target, with_spec, dataset.pixels[chosen])

    return write_calibrated(write, spec, path, dataset)


def write_calibrated(
    write: Callable[[Path, ModelSpec], None], spec: ModelSpec, path: Path, dataset: Dataset
) -> ModelSpec:
    """Write a network as ONNX, measure what was written on validation images, and write it again with its calibration.

    Args:
        write: writes the network with a spec to a file.
        spec: all of it but calibrations and figures.
        path: the ONNX file.
        dataset: the one it was trained on.

    Returns:
        The spec that the file holds.

    Raises:
        InputError: it was trained on other data.
        OutputError: the place cannot be written.
    """
    if spec.data_sha256 != dataset.sha256:
        raise InputError(f"{spec.name} was trained on other data ({spec.data_sha256[:12]}...); name that dataset")
    rows = create_split(dataset, spec).validation
    with open_atomic(path) as temporary:
        write(temporary, spec)
        logits = {v: Recognizer(temporary, v).compute_logits(dataset.pixels[rows]) for v in VIEWS}
        calibrated = describe_validation(logits, dataset.emotion[rows], dataset.classes)
        spec = dataclasses.replace(spec, calibrations=calibrated.calibrations, figures=calibrated.figures)
        write(temporary, spec)
    return spec


def write_onnx(network: nn.Module, spec: ModelSpec, path: Path) -> None:
    """Write a network with its spec; the batch size stays free."""
    # The exporter wants a batch of at least 2 to keep its size free.
    example = torch.zeros(2, spec.channels, spec.size_px, spec.size_px)
    batch = torch.export.Dim("batch", min=1, max=4096)
    write_model(create_onnx(network, example, ["logits"], {0: batch}), path, spec)


def create_onnx(network: nn.Module, example: Tensor, outputs: list[str], free: dict[int, Any]) -> onnx.ModelProto:
    """Return a network as ONNX, without a trace of the machine that made it.

    Args:
        network: its input is called `input`.
        example: what goes in.
        outputs: their names.
        free: axes of the input whose size stays free, and torch's Dim of each.

    Raises:
        ModelError: torch gave none.
    """
    network.eval()
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=["input"],
            output_names=outputs,
            dynamic_shapes=(free,),
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
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress off stdout, which belongs to --json, and its deprecation notes off stderr."""
    with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        warnings.simplefilter("ignore")
        yield


def compare_with_onnx(network: nn.Module, path: Path, spec: ModelSpec, pictures: NDArray[np.uint8]) -> float:
    """Return the largest difference of probabilities between torch and ONNX Runtime over pictures (n, h, w)."""
    batch = preprocess(pictures, spec)
    network.eval()
    with torch.inference_mode():
        ours = network(torch.from_numpy(batch)).numpy()
    theirs = create_session(path).run(["logits"], {"input": batch})[0]
    return float(np.abs(compute_probabilities(ours) - compute_probabilities(theirs)).max())


def draw_pictures() -> NDArray[np.uint8]:
    """Return drawn faces (140, 48, 48), by which two forms of a network are compared."""
    # Cartoon faces: the check needs plausible inputs and the run's folder holds no pictures.
    from emoscope.study.data.synthetic import create_synthetic

    return create_synthetic(140, seed=0).pixels
