"""A training in, the name of its run out, which is a hash of all that decides its figures; and its folder, opened."""

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import DamagedError, InputError
from emoscope.core.files import compute_sha256, set_aside, write_json
from emoscope.faces.registry import find_network
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.environment import describe_environment
from emoscope.study.training.run_folder import Run, load_run

RECIPE_VERSION = 2
"""Raised whenever the training code or a default changes results, so that old runs are not taken for new ones."""

Bars = tuple[float, ...]
"""Validation macro F1 that a training must have reached after each of its first epochs to go on."""

REMADE = {"resnet50v2": "Keras's", "resnet101v2": "Keras's"}
"""Networks that were others under the same name before version 0.7; runs of those are not runs of these."""
OTHER_WEIGHTS = {"densenet121": "torchvision's"}
"""Those that began with other ImageNet weights before."""
MIXUP = "drawn on the host"
"""How its shares are drawn; runs with mixup of versions before 0.7 drew others."""


def name_run(
    config: TrainConfig, split: Split, dataset: Dataset, teacher_sha256: str = "", n_threads: int = 1, bars: Bars = ()
) -> str:
    """Return the name of the folder that open_run() makes."""
    return _hash(_identify(config, split, dataset, teacher_sha256, n_threads, bars))


def _identify(
    config: TrainConfig, split: Split, dataset: Dataset, teacher_sha256: str, n_threads: int, bars: Bars
) -> dict[str, object]:
    identity: dict[str, object] = {
        "recipe": RECIPE_VERSION,
        "config": config.describe_changes(),
        "split": split.sha256,
        "data": dataset.sha256,
    }
    if teacher_sha256:
        identity["teacher"] = teacher_sha256
    # One thread is what a study takes unless it says otherwise.
    if n_threads > 1:
        identity["threads"] = n_threads
    if config.init:
        identity["init"] = compute_sha256(find_initial_file(config.init))
    if config.mixup_alpha:
        identity["mixup"] = MIXUP
    if bars:
        identity["bars"] = list(bars)
    if made := REMADE.get(config.network):
        identity["network"] = made
    if config.pretrained and (weights := OTHER_WEIGHTS.get(config.network)):
        identity["weights"] = weights
    return identity


def _hash(identity: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def find_initial_file(init: str) -> Path:
    """Return the file that holds the weights of a training's `init`: a run's, or an exported network's.

    Raises:
        InputError: there is none; name an embedded network, an ONNX file, or a finished run's folder.
    """
    if not Path(init).is_dir():
        return find_network(init)
    run = load_run(Path(init))
    if not run.is_finished or not run.best_path.is_file():
        raise InputError(f"the run {init} has no weights to begin from; name one that is finished and kept them")
    return run.best_path


def hash_teacher(teacher: NDArray[np.float32] | None) -> str:
    """Return the fingerprint of a teacher's probabilities; empty without one."""
    return "" if teacher is None else hashlib.sha256(teacher.astype("<f4").tobytes()).hexdigest()


def open_run(
    runs: Path,
    config: TrainConfig,
    split: Split,
    dataset: Dataset,
    teacher_sha256: str = "",
    n_threads: int = 1,
    bars: Bars = (),
) -> Run:
    """Return the run of this config, split, data, teacher and number of threads; make its folder if it is new.

    Bars under which it ends are part of its name, too: it is another training.

    Raises:
        OutputError: the folder cannot be written; choose another.
    """
    identity = _identify(config, split, dataset, teacher_sha256, n_threads, bars)
    run = Run(runs / _hash(identity), config, dataset.sha256, dataset.classes)
    path, split_path = run.folder / "run.json", run.split_path
    is_begun = path.is_file()
    try:
        if is_begun and Split.load(split_path).sha256 != split.sha256:
            raise DamagedError(split_path, "it is another split")
    except DamagedError as e:
        set_aside(e)
    if not split_path.is_file():
        split.save(split_path)
    try:
        if is_begun and load_run(run.folder) != run:
            raise DamagedError(path, "it is of another training")
    except DamagedError as e:
        set_aside(e)
    if not path.is_file():
        facts = {**identity, "config": config.to_dict(), "environment": describe_environment()}
        if dataset.classes != EMOTIONS:
            # The data's fingerprint, and so the run's name, has them already.
            facts["classes"] = list(dataset.classes)
        write_json(path, facts)
    return run
