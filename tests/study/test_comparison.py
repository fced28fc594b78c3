"""Comparisons of networks: the three phases, what survives, what is said, and that killing changes nothing."""

import dataclasses
import json
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from conftest import Command
from emoscope.core.errors import InputError, OutputError
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.families import Comparison, Space, create_fold_config, create_repeat_config
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running import queue as trainings_module
from emoscope.study.running.finished import find_finished, summarize_families
from emoscope.study.running.mlflow import create_tracker
from emoscope.study.running.phases import run_comparison
from emoscope.study.running.search import Trial, find_best, rehearse_search
from emoscope.study.running.status import find_status
from emoscope.study.training.run_folder import load_run
from emoscope.study.training.train import train
from emoscope.study.training.trainer import DivergedError, Trainer
from study_folders import read_figures

STUDIES = Path(__file__).parents[2] / "studies"

TINY = """
name: tiny
settings:
  {network: compact-tiny, protocol: thesis, epochs: 2, patience: 6, sizes_px: [24], size_shares: [1.0], ema_decay: 0,
   precision: float32}
space: {learning_rate: [0.01, 0.05], batch_size: [32, 64]}
families: {first: {}, second: {space: {optimizer: [adam], learning_rate: [0.001, 0.01]}}}
search: {trials: 3, candidates: 2}
folds: 2
repeats: 2
"""


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def tiny(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished comparison."""
    folder = tmp_path_factory.mktemp("tiny")
    run_comparison(faces, Comparison.from_dict(yaml.safe_load(TINY)), folder, folder / "runs")
    return folder


def test_the_phases_follow_the_protocol(tiny: Path, faces: Dataset) -> None:
    results = json.loads((tiny / "results.json").read_text())
    for found in results["families"].values():
        trials = [load_run(tiny / "runs" / entry["run"]) for entry in found["trials"]]
        assert len({run.config for run in trials}) == 3 and {run.config.fold_seed for run in trials} == {-1}
        scores = [run.load_result()["validation"]["macro_f1"] for run in trials]
        best = sorted(range(3), key=lambda i: -scores[i])[:2]
        assert [c["config"] for c in found["candidates"]] == [
            json.loads(json.dumps(trials[i].config.describe_changes())) for i in best
        ]
        means = [
            np.mean([load_run(tiny / "runs" / r).load_result()["validation"]["macro_f1"] for r in c["runs"]])
            for c in found["candidates"]
        ]
        assert found["winner"] == int(np.argmax(means)) and [len(c["runs"]) for c in found["candidates"]] == [2, 2]
        final = [load_run(tiny / "runs" / entry["run"]) for entry in found["final"]]
        splits = [Split.load(run.folder / "split.npz") for run in final]
        assert np.array_equal(splits[0].test, splits[1].test), "the test part stays"
        assert not np.array_equal(splits[0].validation, splits[1].validation), "the rest is redrawn"
        for run, split in zip(final, splits, strict=True):
            assert (
                run.config.optimizer == TrainConfig.from_dict(found["candidates"][found["winner"]]["config"]).optimizer
            )
            with np.load(run.folder / "test.npz") as z:
                assert np.array_equal(z["rows"], split.test) and set(faces.usage[split.test]) != set()
        measured = {path.parent.name for path in (tiny / "runs").glob("*/final.json")}
        assert measured >= {run.folder.name for run in final}
    assert len(measured) == 4, "only the final repeats are measured on test images"
    kept = {path.parent.name for path in (tiny / "runs").glob("*/best.safetensors")}
    assert kept == measured and not list((tiny / "runs").glob("*/checkpoint.safetensors"))
    summary = summarize_families(results, tiny / "runs")["first"]
    scores = [
        json.loads((r.folder / "final.json").read_text())["views"]["1"]["macro_f1"]
        for r in map(load_run, [tiny / "runs" / e["run"] for e in results["families"]["first"]["final"]])
    ]
    assert summary["macro_f1"] == pytest.approx(np.mean(scores)) and summary["n"] == 2


def test_a_second_call_trains_nothing(tiny: Path, faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_figures(tiny)
    monkeypatch.setattr(Trainer, "run_epoch", lambda self: pytest.fail("it trains"))
    lines: list[str] = []
    run_comparison(faces, Comparison.from_dict(yaml.safe_load(TINY)), tiny, tiny / "runs", on_progress=lines.append)
    assert read_figures(tiny) == before and lines == []


def test_a_finished_comparison_is_known_without_torch(tiny: Path, faces: Dataset, tmp_path: Path) -> None:
    values = yaml.safe_load(TINY)
    results = json.loads((tiny / "results.json").read_text())
    assert find_finished(values, faces.sha256, tiny, tiny / "runs") == results
    code = (
        "import sys, yaml\nfrom pathlib import Path\nfrom emoscope.study.running.finished import *\n"
        f"folder = Path({str(tiny)!r})\n"
        f"results = find_finished(yaml.safe_load({TINY!r}), {faces.sha256!r}, folder, folder / 'runs')\n"
        "assert summarize_families(results, folder / 'runs')\n"
        "assert not {'torch', 'timm', 'optuna', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for other in ({**values, "repeats": 3}, {**values, "settings": {**values["settings"], "epochs": 3}}):
        assert find_finished(other, faces.sha256, tiny, tiny / "runs") is None
    assert find_finished(values, "0" * 64, tiny, tiny / "runs") is None
    assert find_finished(values, faces.sha256, tmp_path, tmp_path / "runs") is None
    folder = tmp_path / "study"
    shutil.copytree(tiny, folder, ignore=shutil.ignore_patterns("tensorboard"))
    assert find_finished(values, faces.sha256, folder, folder / "runs") == results
    entry = results["families"]["second"]["candidates"][0]["runs"][0]
    (folder / "runs" / entry / "result.json").unlink()
    assert find_finished(values, faces.sha256, folder, folder / "runs") is None, "a run is missing"


def test_another_protocol_by_a_flag(tmp_path: Path, faces_file: Path, emoscope: Command) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(TINY)
    options = ["study", "run", path, "--data", faces_file, "-o", tmp_path / "out", "--protocol"]
    code, _, stderr = emoscope(*options, "mine")
    assert code == 2 and "protocol is 'mine'" in stderr
    path.write_text(f"{TINY.split('space:')[0]}families: {{one: {{}}}}\nsearch: {{trials: 1}}\nfolds: 2\nrepeats: 1\n")
    code, _, stderr = emoscope(*options, "naive")
    assert code == 0, stderr
    [final] = (tmp_path / "out" / "runs").glob("*/final.json")
    assert load_run(final.parent).config.protocol == "naive"
    assert "without_leaked" in json.loads(final.read_text())["views"]["1"]


def test_splits_are_files_with_a_hash(tiny: Path, faces: Dataset, tmp_path: Path) -> None:
    index = json.loads((tiny / "splits" / "splits.json").read_text())
    assert len(index) == 1 + 2 + 2, "the hold-out, two folds, two repeats"
    for name, entry in index.items():
        split = Split.load(tiny / "splits" / f"{name}.npz")
        assert split.sha256 == entry["sha256"]
        groups = [set(faces.group[getattr(split, part)].tolist()) for part in ("train", "validation", "test")]
        assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    folds = [create_split(faces, create_fold_config(TrainConfig(protocol="thesis"), i, 8)) for i in range(8)]
    validation = np.concatenate([fold.validation for fold in folds])
    assert sorted(validation.tolist()) == sorted(np.setdiff1d(np.arange(len(faces)), folds[0].test).tolist())
    repeat = create_repeat_config(TrainConfig(protocol="thesis"), 3)
    assert np.array_equal(create_split(faces, repeat).test, folds[0].test)


def test_the_naive_split_leaks(faces: Dataset) -> None:
    copies = np.repeat(np.arange(len(faces)), 2)
    doubled = Dataset.create(faces.pixels[copies], faces.emotion[copies], faces.usage[copies])
    leaks = {}
    for protocol in ("thesis", "naive"):
        split = create_split(doubled, TrainConfig(protocol=protocol))  # type: ignore[arg-type]
        leaks[protocol] = np.isin(doubled.group[split.test], doubled.group[split.train]).mean()
    assert leaks["thesis"] == 0 and leaks["naive"] > 0.5


def kill_until_done(command: list[str], folder: Path, n_kills: int, longest_s: float) -> None:
    """Run a command, kill it with SIGKILL at random moments, run it again, until it ends by itself."""
    moments = random.Random(0)
    for _ in range(n_kills):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(moments.uniform(0.1, longest_s))
                assert process.returncode == 0
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        for run in (folder / "runs").glob("*/result.json"):
            assert "validation" in json.loads(run.read_text()), "a run that has a result is whole"
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_killed_comparison_ends_with_the_same_figures(tiny: Path, faces_file: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "tiny.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({**yaml.safe_load(TINY), "families": {"first": {}}}))
    command = [sys.executable, "-m", "emoscope", "study", "run", str(file), "--data", str(faces_file)]
    kill_until_done([*command, "-o", str(folder)], folder, 3, 12.0)
    ours, theirs = read_figures(folder), read_figures(tiny)
    assert ours.pop("results")["families"]["first"] == theirs["results"]["families"]["first"]
    assert ours == {name: theirs[name] for name in ours} and len(ours) > 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_quick_study_killed_twenty_times(faces_file: Path, tmp_path: Path) -> None:
    figures = []
    for n_kills in (0, 20):
        folder = tmp_path / str(n_kills)
        command = [sys.executable, "-m", "emoscope", "study", "run", str(STUDIES / "thesis-quick.yaml")]
        kill_until_done([*command, "--data", str(faces_file), "-o", str(folder)], folder, n_kills, 30.0)
        figures.append(read_figures(folder))
    assert figures[0] == figures[1]


@pytest.mark.slow
def test_the_quick_study_from_yaml_to_report(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    folder = tmp_path / "quick"
    options = [STUDIES / "thesis-quick.yaml", "--data", faces_file, "-o", folder]
    code, stdout, stderr = emoscope("study", "run", *options)
    assert code == 0, stderr[-500:]
    families = list(yaml.safe_load((STUDIES / "thesis-quick.yaml").read_text())["families"])
    assert len(families) == 6 and all(f"{family} " in stdout for family in families)
    assert " s left" in stderr and "fold 2/2" in stderr and "final 2/2" in stderr
    start = time.perf_counter()
    assert emoscope("study", "run", *options)[0] == 0
    assert time.perf_counter() - start < 20, "nothing is trained again"
    status = json.loads(emoscope("study", "status", folder, "--json")[1])
    assert status["left_s"] == 0 and sum(p["n_done"] for p in status["phases"]) == sum(
        p["n_total"] for p in status["phases"]
    )
    assert "finished" in emoscope("study", "status", folder)[1]
    code, stdout, stderr = emoscope("study", "report", folder, "--data", faces_file)
    assert code == 0, stderr
    page = (folder / "report" / "report.html").read_text()
    for path in (folder / "runs").glob("*/final.json"):
        assert f"{json.loads(path.read_text())['views']['1']['macro_f1']:.4f}" in page


def test_status_while_it_runs(tiny: Path, tmp_path: Path, emoscope: Command) -> None:
    comparison = Comparison.from_dict(yaml.safe_load(TINY))
    results = json.loads((tiny / "results.json").read_text())
    results["families"]["second"] = {
        "trials": results["families"]["second"]["trials"][:1],
        "candidates": [],
        "final": [],
    }
    left = {(p.family, p.phase): p.n_left for p in find_status(comparison, results, tiny / "runs")}
    assert left == {("first", p): 0 for p in ("search", "crossval", "final")} | {
        ("second", "search"): 2, ("second", "crossval"): 4, ("second", "final"): 2
    }  # fmt: skip
    code, _, stderr = emoscope("study", "status", tmp_path)
    assert code == 2 and "holds no study" in stderr and stderr.count("\n") == 1


SPACE = Space(
    {"network": "compact-tiny"},
    {
        "optimizer": ("adam", "sgd"),
        "learning_rate": (0.0001, 0.001, 0.01),
        "head_layers": (0, 1),
        "head_width": (512, 1024),
        "batch_size": (32, 64, 128, 256),
    },
)


def score(config: TrainConfig) -> tuple[float | None, str]:
    if config.optimizer == "adam" and config.learning_rate == 0.01:
        return None, "diverged"
    return 0.6 - 0.1 * abs(np.log10(config.learning_rate) + 3) - 0.02 * config.head_layers + config.batch_size / 5e3, ""


@pytest.mark.parametrize("sampler", ["gp", "tpe", "random"])
def test_a_search_cut_off_asks_for_the_same_trials(sampler: Any, tmp_path: Path) -> None:
    unbroken = rehearse_search(SPACE, score, n_trials=16, sampler=sampler, seed=3)
    assert len({t.config for t in unbroken}) == 16 and [t.number for t in unbroken] == list(range(16))
    assert all(t.config.head_width == 2048 for t in unbroken if t.config.head_layers == 0), "conditional"
    assert {t.problem for t in unbroken} == {"", "diverged"}
    best = find_best(unbroken, 3)
    assert len({t.config for t in best}) == 3
    assert [t.macro_f1 for t in best] == sorted((t.macro_f1 for t in unbroken if t.macro_f1), reverse=True)[:3]
    left = random.Random(1)
    trials: list[Trial] = []
    while not trials:
        n_more = left.randint(1, 5)

        def cut(config: TrainConfig) -> tuple[float | None, str]:
            nonlocal n_more
            n_more -= 1
            if n_more < 0:
                raise KeyboardInterrupt
            return score(config)

        try:
            trials = rehearse_search(
                SPACE, cut, n_trials=16, sampler=sampler, seed=3, storage=f"sqlite:///{tmp_path}/s.db"
            )
        except KeyboardInterrupt:
            continue
    assert trials == unbroken
    assert (
        rehearse_search(
            SPACE,
            lambda c: pytest.fail("known"),
            n_trials=16,
            sampler=sampler,
            seed=3,
            storage=f"sqlite:///{tmp_path}/s.db",
        )
        == unbroken
    )


def test_a_search_whose_database_fails_says_so(tmp_path: Path) -> None:
    def spoil(config: TrainConfig) -> tuple[float | None, str]:
        with sqlite3.connect(tmp_path / "s.db") as connection:
            connection.execute("DROP TABLE trial_values")
        return 0.5, ""

    with pytest.raises(OutputError, match=r"s.db cannot be used any more \(.*trial_values.*run the command again"):
        rehearse_search(SPACE, spoil, n_trials=3, storage=f"sqlite:///{tmp_path}/s.db")


def test_a_small_space_is_searched_whole(faces: Dataset) -> None:
    space = Space(SPACE.settings, {"branches": (0, 1), "branch_width": (8, 16), "batch_size": (32, 64)})
    assert space.count(100) == 6 and space.count(4) == 4, "a branch's width says nothing without a branch"
    assert len(rehearse_search(space, lambda c: (0.5, ""), n_trials=6, sampler="random")) == 6
    with pytest.raises(InputError, match=r"all 2 trials .* because: out of luck"):
        find_best(rehearse_search(space, lambda c: (None, "out of luck"), n_trials=2), 1)


def test_failures_are_recorded_and_survived(faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_sometimes(dataset: Dataset, config: TrainConfig, *args: Any, **kwargs: Any) -> Any:
        if config.optimizer == "sgd" and config.batch_size == 64 and config.learning_rate == 0.05:
            raise DivergedError("the training diverged")
        if config.seed == 1:
            raise RuntimeError("the device says no")
        return train(dataset, config, *args, **kwargs)

    monkeypatch.setattr(trainings_module, "train", fail_sometimes)
    values = {**yaml.safe_load(TINY), "search": {"trials": 4, "candidates": 1}}
    comparison = Comparison.from_dict({**values, "families": {"first": {}}})
    lines: list[str] = []
    found = run_comparison(faces, comparison, tmp_path, tmp_path / "runs", on_progress=lines.append)["families"][
        "first"
    ]
    assert [e["problem"] for e in found["trials"]].count("the training diverged") == 1 and len(found["trials"]) == 4
    assert [(bool(e["run"]), e["problem"]) for e in found["final"]] == [(True, ""), (False, "the device says no")]
    assert any("failed, the training diverged" in line for line in lines)
    phases = find_status(comparison, {"families": {"first": found}}, tmp_path / "runs")
    assert [(p.n_done, p.n_failed, p.n_left) for p in phases] == [(3, 1, 0), (2, 0, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    ("limit", "precision", "error"),
    [
        (16, "float32", torch.OutOfMemoryError("CUDA out of memory")),
        (
            2,
            "auto",
            RuntimeError("[enforce fail at alloc_cpu.cpp:66] . DefaultCPUAllocator: can't allocate memory: ..."),
        ),
    ],
)
def test_memory_that_runs_out_halves_the_batch(
    limit: int,
    precision: Any,
    error: Exception,
    faces: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As often as it takes, for what is trained and what is validated; the loss is that of the whole batch."""
    config = TrainConfig(
        network="vgg16-tiny", epochs=1, batch_size=32, precision=precision, sizes_px=(32,), size_shares=(1.0,),
        dropout=0.0, learning_rate=0.001, optimizer="adam",
    )  # fmt: skip
    [whole] = train(faces, config, tmp_path / "whole").load_history()
    forward = torch.nn.Module.__call__

    def run_short(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, torch.Tensor) and x.ndim == 4 and len(x) > limit:
            raise error
        return forward(self, x, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", run_short)
    run = train(faces, config, tmp_path / "parts")
    [parts] = run.load_history()
    assert run.load_result()["parts_per_batch"] == 32 // limit
    assert abs(parts["train_loss"] - whole["train_loss"]) < 1e-3
    assert f"going on with {32 // limit} parts of a batch per step" in caplog.text
    limit = 1
    with pytest.raises(InputError, match="vgg16-tiny: 2 images at 32 px do not fit into memory"):
        train(faces, dataclasses.replace(config, seed=1), tmp_path)


def test_a_full_disk_keeps_what_is_finished(faces_file: Path, tmp_path: Path, tiny: Path) -> None:
    file, folder = tmp_path / "tiny.yaml", tmp_path / "out"
    values = yaml.safe_load(TINY)
    small = {"families": {"first": {}}, "search": {"trials": 1, "candidates": 1}, "repeats": 1}
    file.write_text(yaml.safe_dump({**values, **small}))
    command = [
        sys.executable,
        "-m",
        "emoscope",
        "study",
        "run",
        str(file),
        "--data",
        str(faces_file),
        "-o",
        str(folder),
    ]
    # No file may grow past 300 kB: a dataset's split fits, the network's checkpoint does not.
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))  # noqa: E731
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: cannot write"), done.stderr[-400:]
    assert "Traceback" not in done.stderr
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = read_figures(folder), read_figures(tiny)
    first = ours["results"]["families"]["first"]
    assert [len(first["candidates"][0]["runs"]), len(first["final"])] == [2, 1]
    [trial] = first["trials"]
    assert trial == theirs["results"]["families"]["first"]["trials"][0]
    figures = [name for name in ours if name.startswith(f"{trial['run']}/")]
    assert figures and all(ours[name] == theirs[name] for name in figures)


def test_every_mistake_is_reported_at_once(tmp_path: Path, faces_file: Path, emoscope: Command) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: a/b\nsettings: {protocol: thesis, epoch: 3}\nsearch: {trials: 0, sampler: best}\n"
        "families: {one: {space: {network: [vgg61], learning_rate: 7, sizes_px: [[4]]}}}\n"
    )
    code, _, stderr = emoscope("study", "run", path, "--data", faces_file, "-o", tmp_path / "out")
    assert code == 2 and stderr.count("\n") == 1 and not (tmp_path / "out").exists()
    for words in (
        "name is 'a/b'", "unknown key epoch", "trials is 0", "sampler is 'best'", "'vgg61'", "learning_rate is 7",
        "sizes_px[0] is 4",
    ):  # fmt: skip
        assert words in stderr, words


def test_a_study_belongs_to_its_data_and_needs_enough(tiny: Path, tmp_path: Path, emoscope: Command) -> None:
    file, other = tmp_path / "tiny.yaml", tmp_path / "other.npz"
    file.write_text(TINY)
    emoscope("data", "import", "synthetic", "-o", other, "--n", 350)
    code, _, stderr = emoscope("study", "run", file, "--data", other, "-o", tiny)
    assert code == 2 and "was begun with other data" in stderr and stderr.count("\n") == 1
    faces = Dataset.load(other)
    few = np.flatnonzero((faces.emotion != 1) | (np.cumsum(faces.emotion == 1) <= 7))
    Dataset.create(faces.pixels[few], faces.emotion[few], faces.usage[few]).save(tmp_path / "few.npz")
    code, _, stderr = emoscope("study", "run", file, "--data", tmp_path / "few.npz", "-o", tmp_path / "out")
    assert code == 2 and "class disgust has 7 different images, expected at least 8" in stderr


def test_finished_runs_stand_in_mlflow_once(tiny: Path, faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run = load_run(next(path.parent for path in (tiny / "runs").glob("*/final.json")))
    for _ in range(2):
        create_tracker(uri, "tiny")(run)
    client = MlflowClient(tracking_uri=uri)
    [entry] = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert entry.info.run_name == run.folder.name and entry.data.params["network"] == "compact-tiny"
    history = client.get_metric_history(entry.info.run_id, "validation_macro_f1")
    assert [m.value for m in history] == pytest.approx([row["validation_macro_f1"] for row in run.load_history()])
    # Runs that an earlier call trained are logged too: it may have been killed before.
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    options = ["study", "run", file, "--data", faces_file, "-o", shutil.copytree(tiny, tmp_path / "tiny")]
    code, _, stderr = emoscope(*options, "--mlflow", uri)
    assert code == 0, stderr
    entries = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    names = [entry.info.run_name for entry in entries]
    assert len(names) == len(set(names)) and set(names) == {path.name for path in (tiny / "runs").iterdir()}
    assert {entry.info.status for entry in entries} == {"FINISHED"}
    with pytest.raises(InputError, match="cannot log to the MLflow"):
        create_tracker("nonsense://somewhere", "tiny")


def test_tensorboard_has_every_epoch_once(tiny: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for folder in (tiny / "runs").iterdir():
        events = EventAccumulator(str(folder / "tensorboard"))
        events.Reload()
        curve = [(e.step, e.value) for e in events.Scalars("validation_macro_f1")]
        rows = load_run(folder).load_history()
        assert curve == [(row["epoch"], pytest.approx(row["validation_macro_f1"])) for row in rows]
