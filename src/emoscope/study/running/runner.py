"""The study: its trainings in a row, then the network they make, its figures on validation and, if asked, on test."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from emoscope.core.errors import DamagedError, ModelError
from emoscope.core.files import compute_sha256, set_aside, write_json
from emoscope.core.numbers import describe_left
from emoscope.core.validation import load_json
from emoscope.executors.executor import Executor
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.study.data.dataset import Dataset
from emoscope.study.export.ensemble import write_ensemble
from emoscope.study.export.export import export_run
from emoscope.study.measuring.final import measure_finally
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.running.queue import Trainings
from emoscope.study.running.repeats import finish_repeats
from emoscope.study.running.study_folder import open_study
from emoscope.study.running.teachers import load_teacher
from emoscope.study.training.run_folder import Run, describe_figures
from emoscope.study.training.threads import limit_threads

VALIDATION = "validation.json"

OnProgress = Callable[[str], None]


class _Validation(TypedDict):
    """What validation.json holds beside the figures."""

    files: NotRequired[dict[str, str]]
    """Every network that was written: its sha256 by name; not in those of version 0.6.0."""


def run_study(
    dataset: Dataset,
    config: StudyConfig,
    folder: Path,
    runs: Path | None = None,
    final: bool = False,
    on_progress: OnProgress = lambda line: None,
    track: Callable[[Run], None] = lambda run: None,
    executor: Executor | None = None,
) -> dict[str, Any]:
    """Do everything that a study file asks for, or what an earlier call left undone.

    Args:
        dataset: labelled faces.
        config: the study.
        folder: `NAME.onnx` is the network, `validation.json` and `final.json` hold the figures, `study.json` the whole
            config.
        runs: folder of the trainings, which several studies may share; `runs/` in `folder` by default.
        final: also measure on test images.
        on_progress: called with a line of text after every epoch and step.
        track: told every finished run.
        executor: does the trainings; shares the dataset. None trains here, one after the other.

    Returns:
        {"validation": figures, "final": figures or None, "model": file or None}

    Raises:
        InputError: the folder is another study's, or the dataset does not fit the config.
        OutputError: the folder cannot be written.
    """
    runs = runs or folder / "runs"
    open_study(folder, runs, config, dataset)
    trainings = Trainings(dataset, runs, folder, executor, config.resources)
    with limit_threads(trainings.n_threads):
        return _run(trainings, config, folder, final, on_progress, track)


def _run(
    trainings: Trainings,
    config: StudyConfig,
    folder: Path,
    final: bool,
    on_progress: OnProgress,
    track: Callable[[Run], None],
) -> dict[str, Any]:
    dataset = trainings.dataset

    def do(indices: range, teacher: NDArray[np.float32] | None = None) -> list[Run]:
        return _train_all(trainings, config, indices, teacher, on_progress, track)

    if config.repeats:
        return finish_repeats(dataset, do(range(config.repeats)), folder, final)
    _set_aside_changed(folder)
    model = folder / f"{config.name}.onnx"
    n_members = len(config.trainings) - (config.student is not None)
    members = _export_members(config, do(range(n_members)), model)
    if config.student is not None:
        teacher = load_teacher(dataset, members, config.student, folder / f"{config.name}-teacher.npz", on_progress)
        _export(do(range(n_members, n_members + 1), teacher)[0], model)
    elif len(members) > 1:
        _export_ensemble(members, dataset, model)
    figures = dict(Recognizer(model).spec.figures)
    written = {path.name: compute_sha256(path) for path in (*members, model) if path.parent == folder}
    write_json(folder / VALIDATION, {"model": config.name, "files": written, **figures})
    measured = measure_finally(model, dataset, folder) if final else None
    return {"validation": figures, "final": measured, "model": str(model)}


def _train_all(
    trainings: Trainings,
    config: StudyConfig,
    indices: range,
    teacher: NDArray[np.float32] | None,
    on_progress: OnProgress,
    track: Callable[[Run], None],
) -> list[Run]:
    """Train some of the study's networks; return their runs in order."""

    def submit(i: int) -> "Future[Run]":
        on_epoch = _describe_epochs(config, i, on_progress)
        return trainings.submit(trainings.prepare(config.trainings[i], teacher=teacher, on_epoch=on_epoch))

    runs = []
    for i, future in zip(indices, trainings.submit_ahead(indices, submit), strict=True):
        run = future.result()
        track(run)
        figures = run.load_result()["validation"]
        on_progress(
            f"{_describe(config, i)}: done, validation accuracy {figures['accuracy']:.4f}, "
            f"macro F1 {figures['macro_f1']:.4f}"
        )
        runs.append(run)
    return runs


def _describe(config: StudyConfig, index: int) -> str:
    trainings = config.trainings
    return f"[{index + 1}/{len(trainings)}] {trainings[index].network}, seed {trainings[index].seed}"


def _describe_epochs(config: StudyConfig, index: int, on_progress: OnProgress) -> Callable[[dict[str, float]], None]:
    """Return what describes an epoch, and the time that this training and those after it still take."""
    trainings = config.trainings
    ours = trainings[index]

    def describe_epoch(row: dict[str, float]) -> None:
        seconds, size_px = row["fit_s"] + row["validate_s"] / ours.validate_every, int(row["size_px"])
        left_s = ours.estimate_left_s(int(row["epoch"]), size_px, seconds)
        # Other networks cost otherwise; until they train, this one's pace is the best guess.
        left_s += sum(later.estimate_left_s(0, size_px, seconds) for later in trainings[index + 1 :])
        on_progress(
            f"{_describe(config, index)}: epoch {row['epoch']}/{ours.epochs}  {size_px} px  "
            f"{describe_figures(row)}  {row['fit_s'] + row['validate_s']:.0f} s, {describe_left(left_s)}"
        )

    return describe_epoch


def _export_members(config: StudyConfig, trained: list[Run], model: Path) -> list[Path]:
    """Return the members' ONNX files: a single one is the study's, several are `NAME-1.onnx` and so on."""
    runs = iter(trained)
    is_single = len(config.members) == 1 and config.student is None
    files = []
    for i, member in enumerate(config.members):
        if isinstance(member, str):
            files.append(find_network(member))
        else:
            files.append(_export(next(runs), model if is_single else model.with_name(f"{config.name}-{i + 1}.onnx")))
    return files


def _export(run: Run, path: Path) -> Path:
    """Export a run's network unless the file holds it already."""
    if not _holds(path, run.folder.name):
        export_run(run.folder, path, path.stem)
    return path


def _export_ensemble(members: list[Path], dataset: Dataset, path: Path) -> None:
    """Export an ensemble unless the file holds it already: calibrating it takes a minute."""
    specs = [Recognizer(member).spec for member in members]
    if not _holds(path, " + ".join(spec.run for spec in specs), specs[0].precision):
        write_ensemble(members, dataset, path, path.stem)


def _holds(path: Path, run: str, precision: str = "float32") -> bool:
    """Return whether a file holds a run's network; a damaged one is set aside, to be exported again."""
    if not path.is_file():
        return False
    try:
        spec = Recognizer(path).spec
    except ModelError as e:
        set_aside(DamagedError(path, e))
        return False
    return (spec.run, spec.precision) == (run, precision)


def _set_aside_changed(folder: Path) -> None:
    """Set aside the networks of an earlier call that are no longer as it wrote them, to be exported again."""
    path = folder / VALIDATION
    if not path.is_file():
        return
    try:
        written = load_json(path, _Validation).get("files", {})
    except DamagedError as e:
        set_aside(e)
        return
    for name, sha256 in written.items():
        file = folder / name
        if file.is_file() and compute_sha256(file) != sha256:
            set_aside(DamagedError(file, "its content is not what its fingerprint says"))
