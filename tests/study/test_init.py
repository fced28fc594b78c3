"""Trainings that begin with an existing network's weights: from a run, its export in any precision, an ensemble."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.faces.recognize import Recognizer
from emoscope.faces.registry import find_network
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.export.export import export_run, export_variant, load_network
from emoscope.study.networks.catalogue import create_network
from emoscope.study.networks.exported import read_weights
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training import initial
from emoscope.study.training.batches import create_batch
from emoscope.study.training.initial import find_head, load_initial
from emoscope.study.training.own_faces import choose_fine_tuning, choose_split
from emoscope.study.training.run_folder import Run
from emoscope.study.training.run_name import name_run
from emoscope.study.training.train import train

CONFIG = TrainConfig(
    network="compact-tiny", epochs=2, batch_size=32, sizes_px=(24,), size_shares=(1.0,), precision="float32"
)


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def run(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(faces, CONFIG, tmp_path_factory.mktemp("runs"))


def create_inputs(faces: Dataset, spec: ModelSpec) -> torch.Tensor:
    return create_batch(torch.from_numpy(faces.pixels[:256]), spec.size_px, spec, None, torch.Generator())


@pytest.mark.parametrize(("form", "tolerance"), [("run", 0), ("float32", 1e-4), ("float16", 0.02), ("int8", 0.5)])
def test_the_new_network_computes_what_the_old_one_did(
    form: str, tolerance: float, run: Run, faces: Dataset, tmp_path: Path
) -> None:
    spec = export_run(run.folder, tmp_path / "float32.onnx")
    if form in ("float16", "int8"):
        export_variant(tmp_path / "float32.onnx", tmp_path / f"{form}.onnx", form, faces)
    init = run.folder if form == "run" else tmp_path / f"{form}.onnx"
    new, x = create_network("compact-tiny", seed=5, size_px=24), create_inputs(faces, spec)
    load_initial(new, "compact-tiny", str(init), x)
    new.eval()
    with torch.no_grad():
        ours, theirs = new(x), load_network(run)(x)
        assert (ours - theirs).abs().max() <= tolerance
        # And goes on learning where the old one stood: batch norms that were folded away are there again, and normalise
        # these images as they were measured on them.
        new.train()
        if form == "run":
            old = load_network(run).train()
            old.dropout.p = 0.0
            theirs = old(x)
        assert (new(x) - theirs).abs().mean() < 0.01 + tolerance


def test_weights_that_are_no_numbers_are_refused(
    run: Run, faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that a network's trial does not notice."""
    spec = export_run(run.folder, tmp_path / "mine.onnx")
    [weights] = read_weights(tmp_path / "mine.onnx")
    first = next(iter(weights))
    monkeypatch.setattr(initial, "read_weights", lambda path: [{**weights, first: weights[first] * np.nan}])
    network, x = create_network("compact-tiny", seed=5, size_px=24), create_inputs(faces, spec)
    with pytest.raises(InputError, match="no finite numbers"):
        load_initial(network, "compact-tiny", str(tmp_path / "mine.onnx"), x)


def test_an_embedded_network_nearly(faces: Dataset) -> None:
    """int8 weights are dequantised; of an ensemble the member is taken that has the architecture."""
    for name, network in (("compact-4-int8", "compact"), ("accurate", "vgg-se")):
        recognizer = Recognizer(find_network(name))
        new, x = create_network(network), create_inputs(faces, recognizer.spec)
        load_initial(new, network, name, x)
        with torch.no_grad():
            ours = new.eval()(x).argmax(1).numpy()
        theirs = recognizer.compute_logits(faces.pixels[:256])[:, 0].argmax(1)
        assert (ours == theirs).mean() > 0.8


def test_what_a_training_begins_with_is_part_of_its_name(run: Run, faces: Dataset, tmp_path: Path) -> None:
    split = create_split(faces, CONFIG)
    config = TrainConfig.from_dict({**CONFIG.to_dict(), "init": "fast", "network": "compact", "frozen": 0.5})
    names = {
        name_run(c, split, faces)
        for c in (config, TrainConfig.from_dict({**config.to_dict(), "init": "compact-4-int8"}))
    }
    assert len(names) == 2
    with pytest.raises(InputError, match=r"fast is compact, not compact-tiny; set `network` to compact"):
        train(faces, TrainConfig.from_dict({**config.to_dict(), "network": "compact-tiny"}), tmp_path)
    with pytest.raises(InputError, match="nothing"):
        train(faces, TrainConfig.from_dict({**config.to_dict(), "init": "nothing"}), tmp_path)


def test_frozen_epochs_leave_all_but_the_classifier(run: Run, faces: Dataset, tmp_path: Path) -> None:
    values: dict[str, Any] = {**CONFIG.to_dict(), "init": str(run.folder), "frozen": 1.0, "ema_decay": 0.0, "epochs": 1}
    frozen = load_network(train(faces, TrainConfig.from_dict(values), tmp_path)).state_dict()
    whole = load_network(train(faces, TrainConfig.from_dict({**values, "frozen": 0.0}), tmp_path)).state_dict()
    before = load_network(run)
    head = find_head(before)
    for key, value in before.state_dict().items():
        if "num_batches" not in key:
            assert torch.equal(frozen[key], value) == (not key.startswith(head)), key
            assert not torch.equal(whole[key], value), key


def test_fine_tuning_by_the_command(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    options = ("train", "--data", faces_file, "-o", tmp_path, "--epochs", 1, "--sizes-px", 16)
    code, stdout, stderr = emoscope(*options, "--init", "fast", "--json")
    assert code == 0 and np.isfinite(float(stdout.split('"macro_f1": ')[1].split(",")[0])), stderr
    code, _, stderr = emoscope(*options, "--init", "nothing")
    assert code == 2 and stderr.count("\n") == 1 and "nothing" in stderr


def test_parts_that_are_marked_are_kept_and_small_sets_have_small_batches(faces: Dataset) -> None:
    few = faces.sample(112, 0)
    unmarked = np.array([""] * len(few))
    for usage, expected in (
        (unmarked, {"protocol": "random", "n_folds": 5}),
        (np.array([*["Training"] * 60, *["Test"] * (len(few) - 60)]), {"protocol": "folders"}),
        (np.array([*["Training"] * 60, *["PublicTest"] * 20, *["PrivateTest"] * (len(few) - 80)]), {}),
    ):
        assert choose_split(dataclasses.replace(few, usage=usage)) == expected
    chosen = choose_fine_tuning("default", few)
    assert chosen["network"] == "compact-wide" and chosen["batch_size"] == 8
