"""The study: its trainings in a row, then the network they make, its figures on validation and, if asked, on test."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoscope.errors import InputError
from emoscope.files import compute_sha256, open_atomic, write_json
from emoscope.preprocess import VIEWS
from emoscope.recognize import Recognizer
from emoscope.study.config import TrainConfig
from emoscope.study.dataset import Dataset
from emoscope.study.export import create_spec, describe_validation, export_ensemble, export_run, load_network
from emoscope.study.measure import describe_test, measure_finally
from emoscope.study.runs import Run
from emoscope.study.splits import create_split
from emoscope.study.studyfile import StudyConfig
from emoscope.study.train import predict_logits, train

TEACHER_VIEWS = 2
"""Views averaged for a student: a picture and its mirror image, as augmentation shows both."""

Tell = Callable[[str], None]


def run_study(
    dataset: Dataset,
    config: StudyConfig,
    folder: Path,
    runs: Path | None = None,
    final: bool = False,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Do everything that a study file asks for, or what an earlier call left undone.

    Args:
        dataset: labelled faces.
        config: the study.
        folder: `NAME.onnx` is the network, `validation.json` and `final.json` hold the figures, `study.json` the whole
            config.
        runs: folder of the trainings, which several studies may share; `runs/` in `folder` by default.
        final: also measure on test images.
        tell: told a line of text after every epoch and step.

    Returns:
        {"validation": figures, "final": figures or None, "model": file or None}

    Raises:
        InputError: the dataset is another one than the folder's study began with, or does not fit the config.
        OutputError: the folder cannot be written.
    """
    runs = runs or folder / "runs"
    open_study(dataset, config, folder, runs)
    trainings = config.trainings
    if config.repeats:
        repeats = [_train(dataset, config, runs, i, None, tell) for i in range(len(trainings))]
        return _finish_repeats(dataset, repeats, folder, final)
    members = [_train(dataset, config, runs, i, None, tell) for i in range(len(config.members))]
    teacher_path = folder / (f"{config.name}-teacher.onnx" if config.student else f"{config.name}.onnx")
    model = _export(members, dataset, teacher_path, teacher_path.stem)
    if config.student:
        teacher = load_teacher(dataset, teacher_path, config.student, tell)
        student = _train(dataset, config, runs, len(trainings) - 1, teacher, tell)
        model = _export([student], dataset, folder / f"{config.name}.onnx", config.name)
    figures = dict(Recognizer(model).spec.figures)
    write_json(folder / "validation.json", {"model": config.name, "sha256": compute_sha256(model), **figures})
    measured = measure_finally(model, dataset, folder) if final else None
    return {"validation": figures, "final": measured, "model": str(model)}


def open_study(dataset: Dataset, config: StudyConfig, folder: Path, runs: Path) -> None:
    """Check that a folder belongs to this dataset, and keep the config there.

    Raises:
        InputError: it was begun with other data; choose another folder.
        OutputError: the folder cannot be written.
    """
    path = folder / "study.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["data_sha256"] != dataset.sha256:
            raise InputError(
                f"{folder} was begun with other data ({known['data_sha256'][:12]}..., these are "
                f"{dataset.sha256[:12]}...); name that dataset, or another folder with -o"
            )
    # Relative, so that the whole can be moved.
    where = os.path.relpath(runs, folder)
    write_json(path, {**config.to_dict(), "data_sha256": dataset.sha256, "runs": where})


def load_teacher(dataset: Dataset, model: Path, student: TrainConfig, tell: Tell) -> NDArray[np.float32]:
    """Return a network's probabilities (n, 7) for the student's training images, in their order; kept beside it."""
    path, sha256 = model.with_suffix(".npz"), compute_sha256(model)
    split = create_split(dataset, student.protocol, student.split_seed)
    if path.is_file():
        with np.load(path, allow_pickle=False) as z:
            if str(z["model"]) == sha256 and str(z["split"]) == split.sha256:
                return np.asarray(z["probabilities"], np.float32)
    tell(f"{model.name}: reading the training images")
    probabilities = Recognizer(model, TEACHER_VIEWS).predict(dataset.pixels[split.train]).astype(np.float32)
    with open_atomic(path) as temporary:
        np.savez_compressed(temporary, probabilities=probabilities, model=sha256, split=split.sha256)
    return probabilities


def _train(
    dataset: Dataset,
    config: StudyConfig,
    runs: Path,
    index: int,
    teacher: NDArray[np.float32] | None,
    tell: Tell,
) -> Run:
    """Train one of the study's networks; tell the time that it and those after it still take."""
    trainings = config.trainings
    ours = trainings[index]
    label = f"[{index + 1}/{len(trainings)}] {ours.network}, seed {ours.seed}"

    def tell_epoch(row: dict[str, float]) -> None:
        seconds, size_px = row["fit_s"] + row["validate_s"], int(row["size_px"])
        left_s = ours.estimate_left_s(int(row["epoch"]), size_px, seconds)
        # Other networks cost otherwise; until they train, this one's pace is the best guess.
        left_s += sum(later.estimate_left_s(0, size_px, seconds) for later in trainings[index + 1 :])
        tell(
            f"{label}: epoch {row['epoch']}/{ours.epochs}  {size_px} px  loss {row['train_loss']:.3f}  "
            f"validation accuracy {row['validation_accuracy']:.4f}  macro F1 {row['validation_macro_f1']:.4f}  "
            f"{seconds:.0f} s, about {left_s / 60:.0f} min left"
        )

    run = train(dataset, ours, runs, tell_epoch, teacher)
    figures = run.load_result()["validation"]
    tell(f"{label}: done, validation accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}")
    return run


def _export(runs: list[Run], dataset: Dataset, path: Path, name: str) -> Path:
    """Export a network unless the file holds it already: calibrating an ensemble takes a minute."""
    wanted = " + ".join(run.folder.name for run in runs)
    if path.is_file() and Recognizer(path).spec.run == wanted:
        return path
    if len(runs) == 1:
        export_run(runs[0].folder, path, name)
    else:
        export_ensemble([run.folder for run in runs], dataset, path, name)
    return path


def _finish_repeats(dataset: Dataset, runs: list[Run], folder: Path, final: bool) -> dict[str, Any]:
    """Collect the figures of repeats: on validation, and each on its own test images if asked."""
    validation = {run.folder.name: run.load_result()["validation"] for run in runs}
    write_json(folder / "validation.json", validation)
    measured = None
    if final:
        entries = {run.folder.name: _measure_repeat(dataset, run) for run in runs}
        measured = {"repeats": entries, "n": len(entries), **summarize_repeats(list(entries.values()))}
        write_json(folder / "final.json", measured)
    return {"validation": validation, "final": measured, "model": None}


def summarize_repeats(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and sample standard deviation (None for a single one) of accuracy, macro F1 and ECE, by views."""
    keys = ("accuracy", "macro_f1", "ece")
    summary: dict[str, Any] = {"mean": {}, "sd": {}}
    for n_views in map(str, VIEWS):
        table = np.array([[entry["views"][n_views][key] for key in keys] for entry in entries])
        summary["mean"][n_views] = dict(zip(keys, table.mean(0).tolist(), strict=True))
        sd = table.std(0, ddof=1).tolist() if len(table) > 1 else [None] * len(keys)
        summary["sd"][n_views] = dict(zip(keys, sd, strict=True))
    return summary


def _measure_repeat(dataset: Dataset, run: Run) -> dict[str, Any]:
    """Measure a run's network on its test images; once, the figures are kept in the run's folder."""
    path = run.folder / "final.json"
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return known
    network = load_network(run)
    with np.load(run.validation_path, allow_pickle=False) as z:
        calibrated = describe_validation({v: z[f"logits_{v}"] for v in VIEWS}, z["labels"])
    spec = create_spec([run], calibrated, run.folder.name)
    rows = create_split(dataset, spec.protocol, spec.split_seed).test
    logits = {v: predict_logits(network, dataset.pixels[rows], spec, v) for v in VIEWS}
    result = {
        "split_seed": spec.split_seed,
        "seed": run.config.seed,
        "views": describe_test(spec, dataset, rows, logits),
    }
    write_json(path, result)
    return result
