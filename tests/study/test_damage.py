"""Damaged files of trainings and studies: named in one line, kept, and made again or refused; nothing else happens."""

import dataclasses
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import Command
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.phases import run_comparison
from emoscope.study.running.runner import run_study
from emoscope.study.training.run_folder import load_run
from emoscope.study.training.train import train
from emoscope.study.training.trainer import Trainer
from study_folders import read_figures

TINY = """
name: tiny
settings:
  {network: compact-tiny, protocol: thesis, epochs: 2, sizes_px: [24], size_shares: [1.0], ema_decay: 0,
   precision: float32}
families: {only: {space: {learning_rate: [0.01, 0.05]}}}
search: {trials: 2, candidates: 1}
folds: 2
repeats: 1
"""

CONFIG = TrainConfig(
    network="compact-tiny", epochs=2, batch_size=32, sizes_px=(24,), size_shares=(1.0,), precision="float32"
)

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut": lambda content: content[: len(content) * 2 // 3],
    "noise": lambda content: random.Random(0).randbytes(len(content)),
    # In the middle: zip's own tables at the end have bytes that say nothing.
    "one byte": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 4]) + content[len(content) // 2 + 1 :]
    ),
    "other values": lambda content: b'{"views": 3, "epochs": "x", "families": [], "data": {}}\n',
    "list": lambda content: b"[]\n",
    "deep": lambda content: b"[" * 100_000,
}
STUDY = ("study.json", "results.json", "search.db", "splits/splits.json", "splits/*-8--1-0-apart.npz")
RUN = (
    *("run.json", "split.npz", "metrics.csv", "result.json", "validation.npz", "best.safetensors"),
    *("final.json", "test.npz"),
)


@pytest.fixture(scope="module")
def finished(faces_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished comparison."""
    folder = tmp_path_factory.mktemp("finished")
    comparison = Comparison.from_dict(yaml.safe_load(TINY))
    run_comparison(Dataset.load(faces_file), comparison, folder, folder / "runs")
    (folder / "tiny.yaml").write_text(TINY)
    return folder


FILES = (*STUDY, *(f"runs/*/{name}" for name in RUN))
CASES = {
    # Nobody can see a changed byte in a text.
    file: [name for name in DAMAGES if name != "one byte" or file.endswith((".npz", ".safetensors"))]
    for file in FILES
}
QUICK = [(file, [names[i % len(names)]]) for i, (file, names) in enumerate(CASES.items())]


@pytest.mark.parametrize(
    ("file", "damages"),
    [*QUICK, *(pytest.param(file, names, marks=pytest.mark.slow) for file, names in CASES.items())],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_finished_study_is_made_whole_again(
    file: str, damages: list[str], finished: Path, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    """Of the runs the one that was measured is damaged."""
    folder = shutil.copytree(finished, tmp_path / "study")
    [final] = folder.glob("runs/*/final.json")
    [path] = [final.parent / file[7:]] if file.startswith("runs") else folder.glob(file)
    whole, figures = path.read_bytes(), read_figures(folder)
    for name in damages:
        path.write_bytes(DAMAGES[name](whole))
        for command in (("study", "status", folder), ("study", "report", folder, "-o", tmp_path / f"report {name}")):
            code, _, stderr = emoscope(*command)
            assert code in (0, 2) and stderr.count("\n") <= 1 and len(stderr) < 2000, (name, command, stderr)
        if file.startswith(("search", "splits")):
            # Nobody looks at them where nothing is left to do.
            (folder / "results.json").unlink()
        code, _, stderr = emoscope("study", "run", folder / "tiny.yaml", "--data", faces_file, "-o", folder)
        assert code == 0, (name, stderr)
        assert f"{path} is damaged" in stderr or path.read_bytes() == DAMAGES[name](whole), (name, stderr)
        assert read_figures(folder) == figures, name
    assert list(path.parent.glob(f"{path.name}.damaged-*"))


TAUGHT = """
name: pupil
settings: {network: compact-tiny, epochs: 1, batch_size: 32, sizes_px: [24], size_shares: [1.0], precision: float32}
members: [{seed: 0}]
student: {seed: 1, distil_weight: 0.5}
"""


@pytest.fixture(scope="module")
def taught(faces_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished and measured study of a teacher and its student."""
    folder = tmp_path_factory.mktemp("taught")
    run_study(Dataset.load(faces_file), StudyConfig.from_dict(yaml.safe_load(TAUGHT)), folder, final=True)
    (folder / "pupil.yaml").write_text(TAUGHT)
    return folder


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *[("pupil.onnx", "cut"), ("pupil.onnx", "one byte"), ("pupil-1.onnx", "one byte"), ("pupil-1.onnx", "emptied")],
        *[("pupil-teacher.npz", "cut"), ("pupil-teacher.npz", "one byte"), ("validation.json", "deep")],
        *[("study.json", "list"), ("final.json", "other values"), ("final.json", "cut"), ("final.npz", "noise")],
    ],
)
def test_what_a_network_is_made_of_is_made_again(
    name: str, damage: str, taught: Path, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    folder = shutil.copytree(taught, tmp_path / "study")
    path, figures = folder / name, json.loads((taught / "final.json").read_text())
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    before = path.read_bytes()
    commands: list[tuple[object, ...]] = [("study", "status", folder)]
    if not name.startswith("pupil-") and name != "validation.json":
        # The card measures robustness for a while where everything is as it was.
        commands.append(("study", "card", folder, "--data", faces_file, "-o", tmp_path / "card.md"))
    for command in commands:
        code, _, stderr = emoscope(*command)
        assert code in (0, 2) and stderr.count("\n") <= 1 and len(stderr) < 2000, (command, stderr)
    again = ("study", "run", folder / "pupil.yaml", "--data", faces_file, "-o", folder, "--final")
    code, _, stderr = emoscope(*again)
    assert code == 0 and f"{path} is damaged" in stderr and "epoch" not in stderr, stderr
    assert (folder / f"{name}.damaged-1").read_bytes() == before
    # How often it was measured is counted on.
    assert {**json.loads((folder / "final.json").read_text()), "times_measured": 0} == {**figures, "times_measured": 0}
    if name.endswith(".onnx"):
        assert path.read_bytes() == (taught / name).read_bytes()
    assert emoscope(*again)[2].count("damaged") == 0


@pytest.fixture(scope="module")
def begun(faces_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of one training: cut off after its first epoch, and finished."""

    def stop(row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    folders = tmp_path_factory.mktemp("begun"), tmp_path_factory.mktemp("ended")
    faces = Dataset.load(faces_file)
    with pytest.raises(KeyboardInterrupt):
        train(faces, CONFIG, folders[0], stop)
    train(faces, CONFIG, folders[1])
    return folders


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *[
            ("checkpoint.safetensors", "cut"),
            ("checkpoint.safetensors", "one byte"),
            ("checkpoint.safetensors", "list"),
        ],
        *[("best.safetensors", "one byte"), ("best.safetensors", "emptied"), ("metrics.csv", "cut")],
        *[("run.json", "deep"), ("split.npz", "cut")],
    ],
)
def test_a_training_under_way_goes_on_or_begins_anew(
    name: str, damage: str, begun: tuple[Path, Path], faces_file: Path, tmp_path: Path
) -> None:
    runs = shutil.copytree(begun[0], tmp_path / "runs")
    [ended] = begun[1].iterdir()
    path = runs / ended.name / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    run = train(Dataset.load(faces_file), CONFIG, runs)
    for kept in ("best.safetensors", "validation.npz"):
        assert (run.folder / kept).read_bytes() == (ended / kept).read_bytes(), kept
    assert run.load_result()["validation"] == load_run(ended).load_result()["validation"]
    run.check(is_kept=True)
    # The checkpoint holds the history, too.
    assert bool(list(run.folder.glob(f"{name}.damaged-1"))) == (name != "metrics.csv")


@pytest.mark.parametrize("name", ["best.safetensors", "validation.npz", "result.json"])
def test_files_of_another_training_are_not_taken_for_its_own(
    name: str, begun: tuple[Path, Path], faces_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is as it was written, but by a training with another seed: nothing in itself tells."""
    faces, runs = Dataset.load(faces_file), shutil.copytree(begun[1], tmp_path / "runs")
    other = train(faces, dataclasses.replace(CONFIG, seed=1), tmp_path / "others")
    [run] = map(load_run, runs.iterdir())
    figures = run.load_result()["validation"]
    shutil.copy(other.folder / name, run.folder / name)
    assert train(faces, CONFIG, runs).load_result()["validation"] == figures
    run.check(is_kept=True)
    assert "is damaged" in caplog.text
    for kept in ("best.safetensors", "validation.npz"):
        assert (run.folder / kept).read_bytes() == (begun[1] / run.folder.name / kept).read_bytes()


def test_what_ended_is_not_trained_again_for_a_lost_result(
    begun: tuple[Path, Path], faces_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = shutil.copytree(begun[1], tmp_path / "runs")
    [run] = map(load_run, runs.iterdir())
    result = run.load_result()
    monkeypatch.setattr(Trainer, "run_epoch", lambda self: pytest.fail("it trains"))
    for path in (run.result_path, run.validation_path):
        path.write_bytes(b"{")
        assert train(Dataset.load(faces_file), CONFIG, runs).load_result() == result
