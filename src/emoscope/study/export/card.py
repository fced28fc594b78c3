"""The model card: a measured study's folder in, a Markdown page with its drawings out."""

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

import jinja2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from emoscope.core.errors import InputError, OutputError
from emoscope.core.files import compute_sha256
from emoscope.core.manifest import Identity
from emoscope.core.owned import open_owned
from emoscope.core.page_file import check_page, write_page
from emoscope.core.validation import load_json
from emoscope.core.version import read_version
from emoscope.faces.preprocess import VIEWS
from emoscope.faces.recognize import Recognizer, calibrate
from emoscope.faces.registry import find_network, load_embedded
from emoscope.faces.spec import Calibration
from emoscope.study.data.arrays import Predictions, load_predictions
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.figures import (
    plot_confusion,
    plot_coverage,
    plot_faces,
    plot_history,
    plot_reliability,
    plot_roc,
)
from emoscope.study.export.quantize import N_CALIBRATION
from emoscope.study.measuring.calibrate import compute_coverage
from emoscope.study.measuring.final import Final
from emoscope.study.measuring.ledger import load_ledger
from emoscope.study.measuring.metrics import describe_auc
from emoscope.study.measuring.robustness import measure_robustness, pool_changed, read_changed
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.run_folder import Run, load_run
from emoscope.study.training.run_name import name_run

log = logging.getLogger(__name__)

N_FAILURES = 14
DRAWINGS = ("confusion.png", "roc.png", "reliability.png", "coverage.png", "coverage-changed.png", "failures.png")
"""Those of every card."""
SHARES_KEPT = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
TEMPLATE = "card.md.jinja"
FER2013_SHA256 = "98528e0542824fb9e88772f14b5a0328cf4a76d9849639e3a03881d1df5f1e93"
"""Fingerprint of FER2013 as published, all 35,887 images."""


class _Study(TypedDict):
    """What study.json holds of a study without families, as far as a card tells it."""

    name: str
    members: list[dict[str, object] | str]
    student: dict[str, object] | None
    repeats: NotRequired[int]
    data_sha256: str
    runs: str


@dataclass(frozen=True)
class Subject:
    """What a card describes: a measured network and how it was made."""

    model: Path
    final: Final
    """What measure_finally() kept."""
    runs: list[dict[str, Any]]
    """What _describe_run() or _describe_recipe() tell of each training."""
    histories: list[list[dict[str, float]]]
    """Of those trainings whose folders are at hand."""
    teachers: list[str] = field(default_factory=list)
    """Networks whose probabilities it learned."""
    members: list[str] = field(default_factory=list)
    """Networks whose probabilities it averages, as far as they were not trained for it."""


def write_card(folder: Path, dataset: Dataset, path: Path, recipe: Path | None = None, overwrite: bool = False) -> Path:
    """Write the card of a network.

    Test images are not measured again: their figures come from the folder. Robustness is measured on validation
    images.

    Args:
        folder: of a study that was run with `--final`, or where measure_finally() kept an embedded network's figures.
        dataset: the one it was trained on.
        path: the Markdown file; drawings go into a folder of its name without suffix, beside it.
        recipe: for an embedded network: the study's folder, or its file where the folder is no longer at hand.
        overwrite: whether another network's card may be replaced there.

    Returns:
        `path`.

    Raises:
        InputError: the folder holds no measured network, the dataset is another one, or the recipe makes another
            network.
        OutputError: the place cannot be written, or something else is there.
    """
    if not path.suffix:
        raise OutputError(f"{path} would be the card and the folder of its drawings; name the card {path.name}.md")
    is_embedded = (folder / "final.json").is_file() and not (folder / "study.json").exists()
    subject = _find_embedded(folder, dataset, recipe) if is_embedded else _find_of_study(folder, dataset)
    model, final, recognizer = subject.model, subject.final, Recognizer(subject.model)
    drawings, ledger = path.with_suffix(""), load_ledger(model, dataset.sha256)
    test = load_predictions(folder / "final.npz", VIEWS)
    network = recognizer.spec.name
    check_page(path, "card", network, overwrite)
    names = (*DRAWINGS, *_name_histories(subject.histories))
    with open_owned(drawings, "card", Identity.create_named(network), names, overwrite) as working:
        _draw(working, recognizer, subject.histories, test, final["part"])
        split = create_split(dataset, recognizer.spec)
        labels, uncertain_below = dataset.emotion[split.validation], recognizer.calibration.uncertain_below
        changed = read_changed(recognizer, dataset.pixels[split.validation])
        robustness = measure_robustness(changed, labels, uncertain_below)
        certainty, is_right = pool_changed(changed, labels)
        plot_coverage(certainty, is_right, uncertain_below, working / "coverage-changed.png")
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("emoscope.study.export", "."), undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        text = environment.get_template(TEMPLATE).render(
            spec=recognizer.spec,
            calibration=recognizer.calibration,
            final=final,
            ledger=ledger,
            # `emoscope evaluate` may have measured it again since.
            n_measured=max(final["times_measured"], len(ledger)),
            runs=subject.runs,
            n_histories=len(subject.histories),
            teachers=subject.teachers,
            members=[Recognizer(member).spec for member in subject.members],
            is_fer2013=dataset.sha256 == FER2013_SHA256,
            n_parameters=_count_parameters(model),
            n_bytes=model.stat().st_size,
            counts={part: len(getattr(split, part)) for part in ("train", "validation", "test")},
            robustness=robustness,
            kept=_find_kept(certainty, is_right),
            deceptive=_find_deceptive(robustness),
            confusions=_find_confusions(np.array(final["views"]["1"]["confusion"]), recognizer.spec.labels),
            drawings=drawings.name,
            emotions=recognizer.spec.labels,
            describe_auc=describe_auc,
            n_calibration=min(N_CALIBRATION, len(split.train)),
            version=read_version(),
        )
        write_page(path, text, "card", network, overwrite)
    return path


def _find_of_study(folder: Path, dataset: Dataset) -> Subject:
    """Return the network of a study's folder."""
    _check_there(folder, "study.json")
    _check_there(folder, "final.json")
    study = load_json(folder / "study.json", _Study)
    if study.get("repeats"):
        raise InputError(f"{folder} holds repeats and no network; a card describes one network")
    final, model = load_json(folder / "final.json", Final), folder / f"{study['name']}.onnx"
    _check(folder, model, final, study["data_sha256"], dataset)
    return _describe_study(model, final, folder)


def _describe_study(model: Path, final: Final, folder: Path) -> Subject:
    """Return what a study's folder tells of the trainings that made a network.

    Raises:
        InputError: they are not there.
    """
    _check_there(folder, "study.json")
    study = load_json(folder / "study.json", _Study)
    teachers = [m if isinstance(m, str) else f"{study['name']}-{i + 1}" for i, m in enumerate(study["members"])]
    existing = [] if study["student"] else [m for m in study["members"] if isinstance(m, str)]
    known = {Recognizer(name).spec.run for name in existing}
    names = [name for name in Recognizer(model).spec.run.split(" + ") if name not in known]
    runs = [load_run(folder / study["runs"] / name) for name in names]
    facts, histories = [_describe_run(run) for run in runs], [run.load_history() for run in runs]
    return Subject(model, final, facts, histories, teachers if study["student"] else [], existing)


def _find_embedded(folder: Path, dataset: Dataset, recipe: Path | None) -> Subject:
    """Return the embedded network whose figures a folder holds."""
    final = load_json(folder / "final.json", Final)
    if final["model"] not in load_embedded()[1]:
        raise InputError(f"{folder} holds no study.json and no figures of an embedded network; name another folder")
    model = find_network(final["model"])
    _check(folder, model, final, final["data_sha256"], dataset)
    if recipe is None:
        return Subject(model, final, [], [])
    return _describe_study(model, final, recipe) if recipe.is_dir() else _describe_recipe(model, final, recipe, dataset)


def _check(folder: Path, model: Path, final: Final, data_sha256: str, dataset: Dataset) -> None:
    if data_sha256 != dataset.sha256:
        raise InputError(f"{folder} was made with other data ({data_sha256[:12]}...); name that dataset")
    if compute_sha256(model) != final["sha256"]:
        raise InputError(f"{model} is not the network that was measured; run `emoscope study run --final` again")


def _check_there(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise InputError(
            f"{folder} holds no {name}; name the folder of a study that `emoscope study run --final` finished"
        )


def _describe_run(run: Run) -> dict[str, Any]:
    facts = run.load_facts()
    result = run.load_result()
    return {
        **_describe_config(run.folder.name, run.config),
        "environment": facts["environment"],
        "minutes": result["train_s"] / 60,
        **{key: result[key] for key in ("epochs", "best_epoch", "precision")},
    }


def _describe_recipe(model: Path, final: Final, recipe: Path, dataset: Dataset) -> Subject:
    """Return what a study's file tells of the trainings that it asks for.

    Raises:
        InputError: they are not those that made the network: a run is named by its settings, split, data and teacher.
    """
    study, spec = StudyConfig.load(recipe), Recognizer(model).spec
    if study.student:
        raise InputError(f"{recipe} has a student, whose run its teachers name too; name the study's folder instead")
    names, facts = [], []
    for member in study.members:
        if isinstance(member, str):
            names.append(Recognizer(member).spec.run)
        else:
            # Files do not say it of networks that were trained before near-copies were known; those themselves do.
            split = create_split(dataset, dataclasses.replace(member, near_copies=spec.near_copies))
            names.append(name_run(member, split, dataset))
            facts.append({**_describe_config(names[-1], member), "file": recipe.as_posix()})
    if " + ".join(names) != spec.run:
        raise InputError(
            f"{recipe} asks for the run {' + '.join(names)}, but {spec.run} made the network; name the file that did"
        )
    return Subject(model, final, facts, [], members=[m for m in study.members if isinstance(m, str)])


def _describe_config(name: str, config: TrainConfig) -> dict[str, Any]:
    changed = config.describe_changes()
    settings = [(f.name, getattr(config, f.name), f.name in changed) for f in dataclasses.fields(config)]
    return {"name": name, "settings": settings, "seed": config.seed, "network": config.network}


def _count_parameters(model: Path) -> int:
    import onnx

    # Scales and zero points are how small weights are written, not what was learned; int64 are shapes.
    return sum(
        int(np.prod(tensor.dims))
        for tensor in onnx.load(model).graph.initializer
        if len(tensor.dims) > 0
        and tensor.data_type != onnx.TensorProto.INT64
        and not tensor.name.endswith(("_scale", "_zero_point"))
    )


def _find_confusions(
    confusion: np.ndarray[Any, np.dtype[np.int64]], classes: tuple[str, ...]
) -> list[tuple[str, str, float]]:
    """Return the five commonest mistakes: label, prediction, share of the label's images."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None)[:5]
    return [(classes[i // len(classes)], classes[i % len(classes)], float(shares.flat[i])) for i in order]


def _find_kept(certainty: NDArray[np.float64], is_right: NDArray[np.bool_]) -> dict[float, float]:
    """Return by share kept, the most certain first, how many of those are right."""
    _, accuracy, _ = compute_coverage(certainty, is_right)
    return {share: float(accuracy[max(1, round(share * len(accuracy))) - 1]) for share in SHARES_KEPT}


def _find_deceptive(robustness: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the change after which the most faces are read wrongly without being called uncertain."""
    return max(robustness, key=lambda row: 1 - row["accuracy"] - row["uncertain"])


def _name_histories(histories: list[list[dict[str, float]]]) -> list[str]:
    return ["history.png"] if len(histories) == 1 else [f"history-{i + 1}.png" for i in range(len(histories))]


def _draw(
    folder: Path, recognizer: Recognizer, histories: list[list[dict[str, float]]], test: Predictions, part: str
) -> None:
    """Write every drawing; those of figures by one view, as `emoscope analyze` reads faces unless told otherwise."""
    labels, calibration, classes = test.labels, recognizer.calibration, recognizer.spec.labels
    probabilities = calibrate(test.logits[1], calibration)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    plot_confusion(confusion, folder / "confusion.png", classes)
    plot_roc(probabilities, labels, folder / "roc.png", classes)
    before = calibrate(test.logits[1], Calibration())
    ten = calibrate(test.logits[10], recognizer.spec.find_calibration(10))
    plot_reliability(
        [
            (f"{part}, as trained", before, labels),
            (f"{part}, calibrated on validation", probabilities, labels),
            (f"{part}, ten views, calibrated", ten, labels),
        ],
        folder / "reliability.png",
    )
    is_right = probabilities.argmax(axis=1) == labels
    plot_coverage(probabilities.max(axis=1), is_right, calibration.uncertain_below, folder / "coverage.png")
    for history, name in zip(histories, _name_histories(histories), strict=True):
        plot_history(history, folder / name)
    _draw_failures(folder / "failures.png", recognizer)


def _draw_failures(path: Path, recognizer: Recognizer) -> None:
    """Draw cartoon faces that are read wrongly with the greatest certainty: what the network does far from its data."""
    cartoons, classes = create_synthetic(1400, seed=0), recognizer.spec.labels
    probabilities = recognizer.predict(cartoons.pixels)
    predictions = probabilities.argmax(axis=1)
    wrong = np.array([classes[p] != cartoons.classes[e] for p, e in zip(predictions, cartoons.emotion, strict=True)])
    wrong = np.flatnonzero(wrong)
    worst = wrong[np.argsort(-probabilities.max(axis=1)[wrong])]
    # Two of each label show more than fourteen of the worst one.
    per_label = [row for label in range(len(cartoons.classes)) for row in worst[cartoons.emotion[worst] == label][:2]]
    chosen = per_label[:N_FAILURES]
    titles = [
        f"{cartoons.classes[cartoons.emotion[row]]}, read as\n{classes[predictions[row]]} "
        f"({probabilities[row].max():.0%})"
        for row in chosen
    ]
    plot_faces(cartoons.pixels[chosen], titles, path)
