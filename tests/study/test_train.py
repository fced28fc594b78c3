"""The study's path: the real recipe, tiny, from cartoon faces to an exported and measured network."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from conftest import Command
from emoscope.core.errors import InputError, OutputError
from emoscope.faces.recognize import Recognizer, calibrate, compute_probabilities
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_official_split, create_split, create_thesis_split
from emoscope.study.drawings.axes import draw_f1_curves
from emoscope.study.drawings.figures import plot_history
from emoscope.study.export.export import compare_with_onnx
from emoscope.study.measuring.calibrate import fit_threshold
from emoscope.study.measuring.metrics import compute_ece, compute_metrics
from emoscope.study.networks.catalogue import create_network
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.timing import find_epochs
from emoscope.study.training.batches import Augmentation, create_batch, degrade
from emoscope.study.training.predict import load_weights, predict_logits
from emoscope.study.training.run_folder import load_run
from emoscope.study.training.train import train

TINY = TrainConfig(network="compact-tiny", epochs=4, batch_size=32, learning_rate=0.05, precision="float32")


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def finished(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder."""
    return train(faces, TINY, tmp_path_factory.mktemp("runs")).folder


def test_from_faces_to_figures(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    other_file, faces_file = faces_file, tmp_path / "faces.npz"
    runs, model = tmp_path / "runs", tmp_path / "tiny.onnx"
    assert emoscope("data", "import", "synthetic", "-o", faces_file, "--n", 1400, "--seed", 1)[0] == 0
    # Without augmentation a dozen epochs are enough to see that it learns.
    options = ["--network", "compact-tiny", "--epochs", 12, "--batch-size", 32, "--no-augment"]
    options += ["--sizes-px", "32,48", "--size-shares", "0.5,0.5", "--protocol", "thesis", "--seed", 3]
    code, stdout, stderr = emoscope("train", "--data", faces_file, "-o", runs, *options, "--json")
    assert code == 0 and "epoch 12/12" in stderr and "about 0 s left" in stderr
    result = json.loads(stdout)
    assert emoscope("export", result["run"], "-o", model, "--name", "tiny")[0] == 0
    code, stdout, _ = emoscope("evaluate", "--data", faces_file, "--split", "test", "--model", model, "--json")
    figures = json.loads(stdout)
    assert code == 0 and {"accuracy", "macro_f1", "ece", "n", "split", "views", "model"} <= set(figures)
    assert figures["model"] == "tiny" and figures["n"] == 280 and figures["views"] == 1
    # A quarter of the faces are happy: the network has learned much more than that.
    assert figures["accuracy"] > 0.55
    options_v = ["--data", faces_file, "--split", "validation", "--model", model, "--json", "--robustness"]
    code, stdout, _ = emoscope("evaluate", *options_v)
    figures = json.loads(stdout)
    told = Recognizer(model).spec.figures
    assert figures["accuracy"] == pytest.approx(told["validation"]["accuracy"])
    assert told["validation_uncalibrated"]["accuracy"] == pytest.approx(result["validation"]["accuracy"])
    robustness = {row["change"]: row["accuracy"] for row in figures["robustness"]}
    assert robustness["as they are"] == pytest.approx(figures["accuracy"])
    assert robustness["blur, sigma 2 px"] < figures["accuracy"]
    _, _, stderr = emoscope("evaluate", "--data", other_file, "--split", "test", "--model", model)
    assert "trained on another dataset" in stderr, "its own test part cannot be found in other data"
    start = time.perf_counter()
    assert emoscope("train", "--data", faces_file, "-o", runs, *options)[0] == 0
    assert time.perf_counter() - start < 20 and len(list(runs.iterdir())) == 1, "a finished run is not trained again"


def read_numbers(run: Path) -> tuple[bytes, list[dict[str, float]]]:
    rows = (run / "metrics.csv").read_text().splitlines()
    names = rows[0].split(",")
    table = [dict(zip(names, map(float, row.split(",")), strict=True)) for row in rows[1:]]
    return (run / "best.safetensors").read_bytes(), [
        {k: v for k, v in row.items() if not k.endswith("_s")} for row in table
    ]


def test_killed_and_resumed_is_bit_identical(finished: Path, faces_file: Path, tmp_path: Path) -> None:
    """Kill the process with SIGKILL whenever a new epoch stands in the checkpoint, start it again, compare."""
    code = (
        "import sys; from pathlib import Path; from emoscope.study.training.train import *\n"
        f"config = TrainConfig.from_dict({TINY.to_dict()!r})\n"
        f"dataset = Dataset.load(Path({str(faces_file)!r}))\n"
        f"train(dataset, config, Path({str(tmp_path)!r}), lambda row: print(row['epoch'], flush=True))"
    )
    kills = 0
    while not list(tmp_path.glob("*/result.json")):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if kills < 2 and process.stdout.readline():
                time.sleep(0.05 * kills)
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                (next(tmp_path.iterdir()) / ".partial-x.json").touch()  # what a kill in the middle of writing leaves
        assert kills == 2 or process.returncode == -signal.SIGKILL
    [run] = tmp_path.iterdir()
    assert not list(run.glob(".partial-*"))
    assert run.name == finished.name, "the same config, split and data give the same folder"
    assert read_numbers(run) == read_numbers(finished)
    assert (run / "validation.npz").read_bytes() == (finished / "validation.npz").read_bytes()


def test_early_stopping_keeps_the_best_epoch(faces: Dataset, tmp_path: Path) -> None:
    config = TrainConfig.from_dict(
        {**TINY.to_dict(), "epochs": 30, "patience": 2, "min_delta": 0.5, "schedule": "constant", "optimizer": "adam"}
    )
    result = train(faces, config, tmp_path).load_result()
    assert result["epochs"] == 3, "the first epoch sets the mark, two more do not pass it"
    _, rows = read_numbers(next(tmp_path.iterdir()))
    best = max(rows, key=lambda row: row["validation_macro_f1"])
    assert result["best_epoch"] == best["epoch"]
    assert result["validation"]["macro_f1"] == pytest.approx(best["validation_macro_f1"])


@pytest.mark.parametrize("name", ["__init__", "add_scalar", "flush"])
def test_a_board_that_cannot_be_written_is_said(
    name: str, faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(f"emoscope.study.training.tensorboard.SummaryWriter.{name}", fail)
        with pytest.raises(OutputError, match=r"cannot write .*tensorboard \(No space left on device\); make room"):
            train(faces, TINY, tmp_path)
    assert train(faces, TINY, tmp_path).load_result()["epochs"] == 4


def test_divergence_is_said(faces: Dataset, tmp_path: Path) -> None:
    config = TrainConfig.from_dict({**TINY.to_dict(), "learning_rate": 100.0, "warmup": 0.0, "label_smoothing": 0.0})
    object.__setattr__(config, "learning_rate", 1e30)
    with pytest.raises(InputError, match="diverged"):
        train(faces, config, tmp_path)


@pytest.mark.parametrize("protocol", ["official", "thesis"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_image_and_no_copy_stands_on_two_sides(faces: Dataset, protocol: str, seed: int) -> None:
    split = create_split(faces, TrainConfig(protocol=protocol, split_seed=seed))
    parts = [split.train, split.validation, split.test]
    groups = [set(faces.group[part].tolist()) for part in parts]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    if protocol == "thesis":
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(faces)))
        assert [round(len(part) / len(faces), 1) for part in parts] == [0.7, 0.1, 0.2]
        assert all(len(np.unique(faces.emotion[part])) == 7 for part in parts)
    assert create_split(faces, TrainConfig(protocol=protocol, split_seed=seed)).sha256 == split.sha256


@given(st.lists(st.integers(0, 3), min_size=70, max_size=140), st.integers(0, 9), st.integers(2, 8), st.integers(-1, 9))
@settings(max_examples=25)
def test_no_copy_stands_on_two_sides_of_any_split(n_copies: list[int], seed: int, n_folds: int, fold_seed: int) -> None:
    """Random groups of copies, whose labels may contradict each other, random seeds and folds."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.repeat(np.arange(len(n_copies)), [1 + n for n in n_copies]))
    pixels = np.zeros((len(ids), 48, 48), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = ids % 256, ids // 256
    labels = np.where(rng.random(len(ids)) < 0.05, rng.integers(0, 7, len(ids)), ids % 7)
    dataset = Dataset.create(pixels, labels, np.full(len(ids), ""))
    held = []
    for fold in range(n_folds):
        split = create_thesis_split(dataset, seed, fold, n_folds, fold_seed)
        parts = [split.train, split.validation, split.test]
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(ids)))
        groups = [set(ids[part].tolist()) for part in parts]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
        held.append(split.validation)
    assert sorted(np.concatenate([*held, split.test]).tolist()) == list(range(len(ids))), "each validates once"


def test_real_splits(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "raw.npz"
    subprocess.run([sys.executable, str(shared / "tools" / "fer2013"), "npz", str(path)], check=True)
    with np.load(path) as z:
        dataset = Dataset.create(z["pixels"], z["emotion"], z["usage"])
    assert [len(p) for p in vars(create_official_split(dataset)).values()] == [28_709, 3_589, 3_589]
    # By the plainest measure there is: is a thumbnail as it lies like one of the other parts'?
    thumbnails = dataset.pixels.reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(len(dataset), -1).astype(np.float32)
    thumbnails -= thumbnails.mean(axis=1, keepdims=True)
    thumbnails /= np.maximum(np.linalg.norm(thumbnails, axis=1, keepdims=True), 1e-6)
    for protocol in ("official", "thesis"):
        beside, apart = (create_split(dataset, TrainConfig(protocol=protocol, near_copies=b)) for b in (True, False))
        np.testing.assert_array_equal(apart.test, beside.test)
        n_alike = []
        for split in (beside, apart):
            others = thumbnails[np.concatenate([split.train, split.validation])]
            alike = [(thumbnails[rows] @ others.T).max(axis=1) >= 0.95 for rows in np.array_split(split.test, 8)]
            n_alike.append(np.concatenate(alike).sum())
        assert n_alike[0] > 450 and n_alike[1] == 0
    # The embedded network on a thousand validation images (PrivateTest is not for tests that run every day).
    rows = np.flatnonzero(dataset.usage == "PublicTest")[:1000]
    predictions = Recognizer().predict(dataset.pixels[rows]).argmax(axis=1)
    assert (predictions == dataset.emotion[rows]).mean() > 0.62


def test_torch_and_onnx_agree(finished: Path, faces: Dataset, tmp_path: Path) -> None:
    from emoscope.study.export.export import export_run

    spec = export_run(finished, tmp_path / "m.onnx")
    network = create_network(TINY.network)
    load_weights(network, load_run(finished).best_path)
    assert compare_with_onnx(network, tmp_path / "m.onnx", spec, faces.pixels) <= 1e-4
    content = (tmp_path / "m.onnx").read_bytes()
    assert b".py" not in content and b"site-packages" not in content, (
        "no path of the machine that made it travels along"
    )
    # The study's evaluation and the runtime give the same: one preprocess() for both.
    for n_views in (1, 2, 10):
        ours = calibrate(predict_logits(network, faces.pixels[:50], spec, n_views), spec.find_calibration(n_views))
        theirs = Recognizer(tmp_path / "m.onnx", n_views).predict(faces.pixels[:50])
        np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_export_refuses_what_is_not_finished(finished: Path, tmp_path: Path, emoscope: Command) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    for run, words in ((tmp_path / "run", "not finished"), (tmp_path, "is no run")):
        code, _, stderr = emoscope("export", run, "-o", tmp_path / "m.onnx")
        assert code == 2 and words in stderr and not (tmp_path / "m.onnx").exists()


def test_a_batch_without_augmentation_is_what_preprocess_makes(faces: Dataset) -> None:
    from emoscope.faces.preprocess import preprocess

    spec = ModelSpec("x")
    batch = create_batch(torch.from_numpy(faces.pixels[:8]), 48, spec, None, torch.Generator())
    np.testing.assert_allclose(batch.numpy(), preprocess(faces.pixels[:8], spec), atol=1e-6)


def test_augmentation_is_seeded_mild_and_different_per_face(faces: Dataset) -> None:
    same = torch.from_numpy(np.repeat(faces.pixels[:1], 64, axis=0))
    spec, how = ModelSpec("x"), Augmentation(erase_probability=0)
    first, again = (create_batch(same, 40, spec, how, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (64, 1, 40, 40)
    assert len({face.numpy().tobytes() for face in first}) == 64
    # On average the face stays where it was: its mean picture correlates with the face and its mirror image.
    mean = first.mean(0)[0].flatten()
    plain = create_batch(same[:1], 40, spec, None, torch.Generator())[0, 0]
    assert torch.corrcoef(torch.stack([mean, (plain + plain.flip(1)).flatten()]))[0, 1] > 0.8


def test_some_faces_are_softened_and_some_made_noisy() -> None:
    grey = torch.full((1000, 1, 48, 48), 0.5)
    spread = degrade(grey, Augmentation(degrade_probability=0.3), torch.Generator().manual_seed(1)).std((1, 2, 3))
    assert 0.25 < (spread > 0.001).float().mean() < 0.35 and 0.1 < spread.max() < 0.13

    stripes = (torch.arange(48) % 4 < 2).float().expand(1000, 1, 48, 48)
    soft = degrade(stripes, Augmentation(degrade_probability=0.3, noise=0), torch.Generator().manual_seed(1))
    contrast = soft.std((1, 2, 3)) / stripes.std()
    assert 0.25 < (contrast < 0.99).float().mean() < 0.35 and contrast.min() < 0.3 and contrast.max() < 1.01
    assert soft.min() >= 0 and soft.max() <= 1


def test_a_checkpoint_holds_everything_until_the_run_is_finished(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at the first epoch and then one a minute; without a moving average there is none in it."""
    seen: list[set[str]] = []

    monkeypatch.setattr("emoscope.study.training.trainer.CHECKPOINT_EVERY_S", 0.0)

    def look(row: dict[str, float]) -> None:
        [run] = tmp_path.iterdir()
        tensors, best = load_file(run / "checkpoint.safetensors"), load_file(run / "best.safetensors")
        assert {f"ema.{k}" for k in best} <= set(tensors)
        seen.append({k.split(".")[0] for k in tensors})

    run = train(faces, TINY, tmp_path, look)
    assert seen == [{"network", "ema", "optimizer"}] * TINY.epochs and not run.checkpoint_path.exists()
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["config"]["network"] == "compact-tiny" and facts["environment"]["packages"]["torch"]
    times: list[int] = []
    plain = TrainConfig.from_dict({**TINY.to_dict(), "ema_decay": 0.0})
    written = lambda _: times.append(next((tmp_path / "b").glob("*/checkpoint.*")).stat().st_mtime_ns)  # noqa: E731
    monkeypatch.setattr("emoscope.study.training.trainer.CHECKPOINT_EVERY_S", 60.0)
    train(faces, plain, tmp_path / "b", written)
    assert len(times) == TINY.epochs and len(set(times)) == 1


def test_config_reports_every_mistake_at_once(tmp_path: Path, faces_file: Path, emoscope: Command) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "network: vgg61\nepochs: 0\nprotocol: mine\nlearning_rate: -1\nsizes_px: [48]\nsize_shares: [0.5]\ndropout: 2\n"
    )
    code, _, stderr = emoscope("train", "--data", faces_file, "-o", tmp_path / "r", "--config", path)
    assert code == 2 and stderr.count("\n") == 1
    for name in ("vgg61", "epochs", "protocol", "learning_rate", "size_shares", "dropout"):
        assert name in stderr
    for text, words in (
        ("epoch: 3", "unknown key epoch"),
        ("[1", "is not YAML"),
        ('network: "\\ud800"', "expected keys and values"),
        ("epochs: &a [*a]", "is not YAML (it stands for"),
        ("\n".join(["a0: &a0 [1]", *(f"a{i}: &a{i} [{9 * f'*a{i - 1},'}]" for i in range(1, 10))]), "it stands for"),
        ("3", "holds no keys"),
        ("epochs: x", "epochs is 'x', expected a whole number"),
        ("compile: 1", "compile is 1, expected true or false"),
    ):
        path.write_text(text)
        code, _, stderr = emoscope("train", "--data", faces_file, "-o", tmp_path / "r", "--config", path)
        assert code == 2 and words in stderr and not (tmp_path / "r").exists()


def test_other_bad_input(tmp_path: Path, faces_file: Path, emoscope: Command) -> None:
    (tmp_path / "text.npz").write_text("no dataset")
    for arguments, words in (
        (["train", "--data", tmp_path / "no.npz", "-o", tmp_path / "r"], "there is no dataset"),
        (["data", "show", tmp_path], f"data import {tmp_path} -o {tmp_path.name}.npz"),
        (
            ["train", "--data", tmp_path / "text.npz", "-o", tmp_path / "r"],
            "is not a dataset of emoscope (it is no npz file)",
        ),
        (["train", "--data", faces_file, "-o", tmp_path / "r", "--network", "vgg99"], "there is no network 'vgg99'"),
        (["train", "--data", faces_file, "-o", tmp_path / "r", "--batch-size", 4000], "do not fill one batch"),
        (["evaluate", "--data", faces_file, "--split", "test", "--views", 3], "views is 3"),
        (["evaluate", "--data", faces_file, "--split", "test", "--robustness"], "on validation images"),
    ):
        code, _, stderr = emoscope(*arguments)
        assert code == 2 and words in stderr and stderr.count("\n") == 1, stderr


probabilities = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(7)), elements=st.floats(0.01, 1)).map(
    lambda p: p / p.sum(axis=1, keepdims=True)
)


@given(p=probabilities, seed=st.integers(0, 99))
def test_metrics_are_within_bounds_and_consistent(p: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 7, len(p))
    figures = compute_metrics(p, labels)
    confusion = np.array(figures["confusion"])
    assert confusion.sum() == figures["n"] == len(p)
    assert figures["accuracy"] == pytest.approx(np.trace(confusion) / len(p))
    f1 = [2 * confusion[i, i] / max(1, confusion[i].sum() + confusion[:, i].sum()) for i in range(7)]
    assert figures["macro_f1"] == pytest.approx(np.mean(f1))
    assert 0 <= figures["ece"] <= 1 and 0 <= figures["brier"] <= 2 and figures["nll"] >= 0


def test_ece_of_known_cases() -> None:
    sure = np.eye(7)[np.zeros(10, int)]
    assert compute_ece(sure, np.zeros(10, int)) == 0
    assert compute_ece(sure, np.ones(10, int)) == 1
    # Confidence 0.6 in every face, right in 6 of 10: calibrated; right in 2 of 10: off by 0.4.
    p = np.full((10, 7), 0.4 / 6)
    p[:, 0] = 0.6
    assert compute_ece(p, np.array([0] * 6 + [1] * 4)) == pytest.approx(0)
    assert compute_ece(p, np.array([0] * 2 + [1] * 8)) == pytest.approx(0.4)


def test_the_threshold_reaches_its_accuracy() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 7))
    labels = np.array([rng.choice(7, p=p) for p in compute_probabilities(logits)])
    p = compute_probabilities(logits)
    threshold, coverage = fit_threshold(p, labels)
    kept = p.max(axis=1) >= threshold
    assert kept.mean() == pytest.approx(coverage)
    assert (p.argmax(axis=1) == labels)[kept].mean() == pytest.approx(0.75, abs=0.01)


def test_validation_every_few_epochs(faces: Dataset, finished: Path, tmp_path: Path) -> None:
    """The training itself is that with validation after every epoch; it ends, and selects, where it was validated."""
    often = load_run(finished).load_history()
    changes = {"epochs": 4, "validate_every": 3}
    run = train(faces, dataclasses.replace(TINY, **changes), tmp_path)
    rows = run.load_history()
    assert [math.isnan(row["validation_macro_f1"]) for row in rows] == [True, True, False, False]
    assert ",,," in run.history_path.read_text().splitlines()[1]
    for ours, theirs in zip(rows, often, strict=True):
        assert ours["train_loss"] == theirs["train_loss"]
        assert math.isnan(ours["validation_nll"]) or ours["validation_nll"] == theirs["validation_nll"]
    best = max(rows[2:], key=lambda row: row["validation_macro_f1"])
    assert run.load_result()["best_epoch"] == best["epoch"]
    assert run.load_curve() == (0.0, 0.0, *(row["validation_macro_f1"] for row in rows[2:]))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("validation_macro_f1")] == [3, 4]
    assert len(events.Scalars("train_loss")) == 4
    plot_history(rows, tmp_path / "history.png")
    figure, axes = plt.subplots()
    draw_f1_curves(axes, rows, int(best["epoch"]))
    assert [len(line.get_xdata()) for line in axes.get_lines()[:3]] == [4, 2, 1]
    plt.close(figure)

    # The mark is set after 2 epochs; 3 more without a rise are over when the sixth is validated.
    still = {"epochs": 30, "patience": 3, "min_delta": 0.9, "schedule": "constant", "validate_every": 2}
    run = train(faces, dataclasses.replace(TINY, **still), tmp_path)
    assert run.load_result()["epochs"] == 6 == find_epochs(run.config)[0]
    # Behind its bars from the first epoch on, but nobody knows before the second.
    run = train(faces, dataclasses.replace(TINY, validate_every=2), tmp_path, bars=(1.0, 1.0, 1.0, 1.0))
    assert run.load_result()["epochs"] == 2


def test_a_training_goes_on_that_was_cut_before_its_first_validation(faces: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, validate_every=3, mixup_alpha=0.3)

    def stop(row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(faces, config, tmp_path / "cut", stop)
    [folder] = (tmp_path / "cut").iterdir()
    assert not (folder / "best.safetensors").exists()
    seen: list[float] = []
    run = train(faces, config, tmp_path / "cut", lambda row: seen.append(row["epoch"]))
    assert seen == [2, 3, 4], "the first epoch was not done again"
    whole = train(faces, config, tmp_path / "whole")
    assert run.best_path.read_bytes() == whole.best_path.read_bytes()
    assert [row["train_loss"] for row in run.load_history()] == [row["train_loss"] for row in whole.load_history()]
