"""The page on where we differ from the reference study: every row is what the code and the study files do."""

import inspect
from pathlib import Path

import numpy as np
import optuna

from emoscope.study.data.splits import create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.reference import find_reference
from emoscope.study.networks.catalogue import REFERENCE, find_network_facts
from emoscope.study.recipes.families import Comparison, create_repeat_config
from emoscope.study.recipes.file import load_yaml
from emoscope.study.running.search import create_sampler
from emoscope.study.training.batches import STRENGTHS

ROOT = Path(__file__).parents[2]


SOURCES = {"Keras ": "Keras's own", ".tv_": "torchvision's", ".tf_": "TensorFlow's"}
"""What a name of weights tells of who made them."""


def list_rows() -> dict[str, tuple[str, str]]:
    """What the page's table says, by its first column: the reference study's and ours."""
    text = (ROOT / "docs/differences.md").read_text(encoding="utf-8")
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: (row[1], row[2]) for row in cells[2:]}


def load(name: str) -> Comparison:
    return Comparison.from_dict(load_yaml(ROOT / "studies" / f"{name}.yaml"))


def describe_ours() -> dict[str, list[str]]:
    """What the second column must hold, by row, out of the code."""
    study, branches, resizing = load("thesis"), load("branches"), load("resizing")
    space = study.families["vgg"].values
    setting = study.families["vgg"].create_config({**dict.fromkeys(space, 0), "augment": space["augment"].index(True)})
    images = create_synthetic(400, seed=0)
    split = create_thesis_split(images, setting.split_seed)
    shares = [np.bincount(images.emotion[rows], minlength=7) / len(rows) for rows in (split.test, split.train)]
    assert len(split.test) / 400 == 0.2 or abs(len(split.test) / 400 - 0.2) < 0.02
    assert np.abs(shares[0] - shares[1]).max() < 0.03, "each emotion has its share"
    assert not setting.near_copies and setting.pretrained
    repeats = [create_repeat_config(setting, i) for i in range(study.repeats)]
    assert len({r.seed for r in repeats}) == len({r.fold_seed for r in repeats}) == study.repeats
    sources: dict[str, list[str]] = {}
    for name in REFERENCE:
        weights = find_network_facts(name).weights
        (where,) = [text for kind, text in SOURCES.items() if kind in weights]
        sources.setdefault(where, []).append(name)
    kinds = STRENGTHS[setting.augmentation]
    assert (kinds.brightness, kinds.contrast, kinds.erase_probability, kinds.degrade_probability) == (0, 0, 0, 0)
    off = ("weight_decay", "dropout", "label_smoothing", "class_weight_power", "ema_decay")
    assert {getattr(setting, key) for key in off} == {0.0} and set(space["optimizer"]) == {"adam", "sgd"}
    assert isinstance(create_sampler(study.search.sampler, 0, 1), optuna.samplers.GPSampler)
    source = inspect.getsource(inspect.getmodule(optuna.samplers.GPSampler) or optuna)
    assert "LogEI" in source, "the logarithm of the expected improvement"
    assert branches.families["vgg-branches"].values["branches"] == (0, 1, 2, 3)
    larger = [size for (size,) in resizing.families["densenet"].values["sizes_px"]]
    small = {name: max(48, find_network_facts(name).min_size_px) for name in REFERENCE}
    return {
        "test part": ["20 %"],
        "copies": ["protocol `naive`"],
        "hold-out of the search": [f"one of {setting.n_folds} folds"],
        "surrogate and acquisition": ["logarithm of expected improvement"],
        "trials": [f"{study.search.trials} of each"],
        "candidates": [str(study.search.candidates)],
        "folds": [str(study.folds)],
        "final repeats": [str(study.repeats)],
        "what decides": ["macro F1"],
        "early stopping": [f"{setting.patience} epochs", str(setting.min_delta), str(setting.epochs)],
        "weights at the start": [f"{', '.join(names)} {where}" for where, names in sources.items()],
        "colours": ["one"],
        "range of the input": ["mean and deviation"],
        "size of the input": [f"{setting.size_px} px", f"Inception {small['inception_v3']} px"],
        "head": [f"head_pooling: {setting.head_pooling}"],
        "batch norms": [f"norm_momentum: {setting.norm_momentum}", str(1 - setting.norm_momentum)],
        "SGD": [f"momentum: {setting.momentum}"],
        "Adam": [f"{setting.epsilon:.0e}".replace("e-0", "e-")],
        "learning rates": [", ".join(map(str, space["learning_rate"])), setting.schedule],
        "batch sizes": [", ".join(map(str, space["batch_size"]))],
        "augmentation": [
            f"augmentation: {setting.augmentation}",
            f"shift to {kinds.shift * 100:.1f} %",
            f"zoom to {kinds.zoom * 100:.0f} %",
            f"rotation to {kinds.rotation_deg:.0f} degrees",
        ],
        "regularisation": ["no weight decay, dropout, label smoothing, class weights, average of weights"],
        "branches": ["studies/branches.yaml"],
        "larger inputs": [", ".join(map(str, larger)), "bilinear"],
        "AUC": ["of probabilities"],
        "intervals": ["95 %"],
    }


def test_every_row_is_what_the_code_does() -> None:
    rows, ours = list_rows(), describe_ours()
    assert list(rows) == list(ours), "a row without a check, or a check without a row"
    for name, words in ours.items():
        assert words and all(word in rows[name][1] for word in words), f"{name}: {rows[name][1]} lacks one of {words}"


def test_the_studies_that_follow_the_reference_share_its_settings() -> None:
    thesis = load("thesis").families["resnet"].settings
    for name in ("branches", "resizing"):
        (family,) = load(name).families.values()
        for key in (
            "epsilon",
            "patience",
            "min_delta",
            "pretrained",
            "protocol",
            "schedule",
            "weight_decay",
            "ema_decay",
        ):
            assert family.settings[key] == thesis[key], f"{name}: {key}"


def test_what_is_said_of_the_reference_study_is_in_its_figures() -> None:
    rows = list_rows()
    search = find_reference("search")
    small = search[search["input_px"] == 48]
    assert set(small.groupby("family").size()) == {5} and "five best" in rows["trials"][0]
    assert (find_reference("cross-validation").groupby("family").size() % 8 == 0).all() and rows["folds"][0] == "8"
    assert (find_reference("final").groupby(["family", "input_px"]).size() == 10).all()
    sizes = sorted(set(search["input_px"]) - {48})
    assert ", ".join(map(str, sizes)) in rows["larger inputs"][0]
    # The misprint: DenseNet's columns repeat VGG's.
    columns = ["accuracy", "precision_macro", "recall_macro"]
    vgg, densenet = (small[small["family"] == f][columns].to_numpy() for f in ("vgg", "densenet"))
    assert (vgg == densenet).sum() == 14
    assert "table 3.19" in (ROOT / "docs/differences.md").read_text(encoding="utf-8")
