"""Studies from a file: every shipped one tiny, what they make, and what is measured of it."""

import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from conftest import Command
from emoscope.core.errors import InputError
from emoscope.core.files import compute_sha256
from emoscope.faces.quality import measure_crops
from emoscope.faces.recognize import Recognizer, calibrate, compute_probabilities
from emoscope.faces.registry import find_network
from emoscope.faces.spec import Calibration, ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.export.ensemble import write_ensemble
from emoscope.study.export.export import export_variant
from emoscope.study.measuring.calibrate import compute_coverage, fit_bias, fit_calibrations
from emoscope.study.measuring.ledger import find_ledger, find_shipped, load_ledger
from emoscope.study.measuring.metrics import compute_ece, compute_f1, compute_intervals
from emoscope.study.measuring.robustness import CHANGES, measure_robustness, pool_changed, read_changed
from emoscope.study.networks.catalogue import create_network
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.recipes.study import StudyConfig
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.runner import run_study
from emoscope.study.running.study_folder import open_study
from emoscope.study.training.optimize import climb, create_optimizer, create_schedule, mix

FILES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
STUDIES = [path for path in FILES if "families" not in load_yaml(path)]


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


def shrink(config: TrainConfig) -> dict[str, object]:
    """The same recipe, seconds long."""
    repeats = min(config.repeats, 2)
    return {
        **config.to_dict(),
        **{"network": "compact-tiny", "epochs": 1, "batch_size": 32, "repeats": repeats, "compile": False},
        **{"sizes_px": (24,), "size_shares": (1.0,), "precision": "float32", "views": min(config.views, 2)},
    }


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_runs(path: Path, study: Path, faces: Dataset, tmp_path: Path) -> None:
    config = StudyConfig.load(path)
    # Those that exist were trained on other data, which teachers may be and members of an ensemble may not.
    existing = itertools.cycle(config.members if config.student else [str(study / f"pair-{i}.onnx") for i in (1, 2)])
    # Three of an ensemble's: every one is trained and exported.
    members = [next(existing) if isinstance(member, str) else shrink(member) for member in config.members[:3]]
    values = {"name": config.name, "members": members, "repeats": config.repeats}
    if config.student:
        values["student"] = shrink(config.student)
    config = StudyConfig.from_dict(values)
    lines: list[str] = []
    result = run_study(faces, config, tmp_path, final=bool(config.student or config.repeats), on_progress=lines.append)
    assert len(list((tmp_path / "runs").glob("*"))) == len(config.trainings)
    assert sum(" left" in line for line in lines) == len(config.trainings)
    if config.repeats:
        assert result["model"] is None and result["final"]["n"] == config.repeats
        return
    spec = Recognizer(tmp_path / f"{config.name}.onnx").spec
    assert spec.name == config.name and spec.figures == result["validation"] and set(spec.calibrations) == {1, 2, 10}
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.suffix in (".onnx", ".safetensors")}
    again = run_study(faces, config, tmp_path, final=bool(config.student))
    assert again == result, "a second call gives the same"
    assert stamps == {file: file.stat().st_mtime_ns for file in stamps}, "and trains and exports nothing"


TINY = """
name: {name}
settings: {{network: compact-tiny, epochs: 2, batch_size: 32, sizes_px: [24], size_shares: [1.0], precision: float32}}
members: [{{seed: 0, repeats: 2, mixup_alpha: 0.3}}, {{seed: 1, learning_rate: 0.05}}]
"""


@pytest.fixture(scope="module")
def study(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished and measured study of two members."""
    folder = tmp_path_factory.mktemp("study")
    run_study(faces, StudyConfig.from_dict(yaml.safe_load(TINY.format(name="pair"))), folder, final=True)
    return folder


@pytest.mark.slow
def test_a_killed_study_ends_with_the_same_figures(study: Path, faces_file: Path, tmp_path: Path) -> None:
    """Kill the command with SIGKILL after an epoch of either member, start it again, compare."""
    config = tmp_path / "pair.yaml"
    config.write_text(TINY.format(name="pair"))
    command = [sys.executable, "-m", "emoscope", "study", "run", str(config), "--data", str(faces_file)]
    command += ["-o", str(tmp_path / "out")]
    for words in ("[1/2]", "[2/2]"):
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            while f"{words} compact-tiny" not in (line := process.stderr.readline()) or "epoch 1/2" not in line:
                assert process.poll() is None, "it must be killed before it ends"
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "epoch 1/2" not in done.stderr and "[2/2] compact-tiny, seed 1: epoch 2/2" in done.stderr
    ours, theirs = (json.loads((folder / "validation.json").read_text()) for folder in (tmp_path / "out", study))
    assert {**ours, "files": {}} == {**theirs, "files": {}}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_ensemble_averages_its_members_probabilities(
    precision: str, study: Path, faces: Dataset, tmp_path: Path
) -> None:
    """Members that exist, of either precision."""
    members = [study / "pair-1.onnx", study / "pair-2.onnx"]
    if precision == "int8":
        for i, member in enumerate(members):
            members[i] = tmp_path / member.name
            export_variant(member, members[i], "int8", faces)
    spec = write_ensemble(members, faces, tmp_path / "whole.onnx", "whole")
    assert spec.precision == precision and len(spec.run.split(" + ")) == 2 and set(spec.calibrations) == {1, 2, 10}
    pixels = faces.pixels[:50]
    mean = np.mean([calibrate(Recognizer(m, 2).compute_logits(pixels), Calibration()) for m in members], axis=0)
    ours = calibrate(Recognizer(tmp_path / "whole.onnx", 2).compute_logits(pixels), Calibration())
    np.testing.assert_allclose(ours, mean, atol=1e-5)


def test_a_folder_belongs_to_its_study(study: Path, faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    """Another study is refused there; what the message advises is done, and trains nothing anew."""
    folder, file = shutil.copytree(study, tmp_path / "pair"), tmp_path / "one.yaml"
    config = yaml.safe_load(TINY.format(name="pair"))
    file.write_text(yaml.safe_dump({**config, "members": config["members"][:1]}))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command = ("study", "run", file, "--data", faces_file)
    code, _, stderr = emoscope(*command, "-o", folder)
    assert code == 2 and stderr.count("\n") == 1 and "holds another study (its members differ)" in stderr, stderr
    assert "with -o" in stderr and f"--runs {folder / 'runs'}" in stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    code, _, stderr = emoscope(*command, "-o", tmp_path / "one", "--runs", folder / "runs")
    assert code == 0 and "epoch" not in stderr, stderr
    assert (tmp_path / "one" / "pair.onnx").is_file()


def test_more_threads_than_cores_are_said(
    study: Path, faces_file: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emoscope.core.native.count_cores", lambda: 1)
    config, file = yaml.safe_load(TINY.format(name="pair")), tmp_path / "pair.yaml"

    def call(cpus: int, step: str, data: Path, *options: object) -> tuple[int, str]:
        file.write_text(yaml.safe_dump({**config, "resources": {"cpus": cpus}}))
        code, _, stderr = emoscope("study", step, file, "--data", data, *options)
        return code, stderr

    said = "a training has 2 threads (resources.cpus) and this machine 1 core, so they wait for each other"
    for step in ("plan", "run"):
        options = ("-o", tmp_path / "new") * (step == "run")
        for cpus in (2, 1):
            code, stderr = call(cpus, step, tmp_path / "none.npz", *options)
            assert code == 2 and stderr.count(said) == cpus - 1, stderr
    # As the line says: other threads are other trainings, which this folder does not take, and with its own it goes on.
    code, stderr = call(2, "run", faces_file, "-o", study)
    assert code == 2 and "cores per training differ" in stderr
    code, stderr = call(1, "run", faces_file, "-o", study)
    assert code == 0 and "threads" not in stderr and "epoch" not in stderr, stderr


@pytest.mark.parametrize("name", ["pair.onnx", "pair-1.onnx", "results.json", "final.json", "splits"])
def test_what_is_not_a_studys_is_not_written_over(
    name: str, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    folder, file = tmp_path / "mine", tmp_path / "pair.yaml"
    folder.mkdir()
    (folder / name).write_text("mine")
    (folder / "log.txt").write_text("what the shell redirects here stands in nobody's way")
    file.write_text(TINY.format(name="pair"))
    code, _, stderr = emoscope("study", "run", file, "--data", faces_file, "-o", folder)
    assert code == 2 and stderr.count("\n") == 1 and f"holds {name} but no study.json" in stderr, stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, "log.txt"])
    assert (folder / name).read_text() == "mine"


def test_an_ensemble_of_networks_that_exist_trains_nothing(
    study: Path, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    config, folder = tmp_path / "both.yaml", tmp_path / "both"
    config.write_text(f"name: both\nmembers: [{study / 'pair-1.onnx'}, {study / 'pair-2.onnx'}]")
    code, stdout, stderr = emoscope("study", "run", config, "--data", faces_file, "-o", folder, "--final")
    assert code == 0 and "test, 10 views" in stdout and not (folder / "runs").exists(), stderr
    both, pair = (json.loads((f / "final.json").read_text())["views"]["10"]["nll"] for f in (folder, study))
    assert both == pytest.approx(pair, abs=1e-6), "the members are the same"
    assert emoscope("study", "status", folder)[0] == 0
    card = tmp_path / "card.md"
    code, _, stderr = emoscope("study", "card", folder, "--data", faces_file, "-o", card)
    assert code == 0 and "| pair-2 | `" in card.read_text(), stderr


def test_only_like_networks_become_an_ensemble(study: Path, faces: Dataset, tmp_path: Path) -> None:
    export_variant(study / "pair-1.onnx", tmp_path / "small.onnx", "int8", faces)
    with pytest.raises(InputError, match="differ in their precision"):
        write_ensemble([study / "pair-1.onnx", tmp_path / "small.onnx"], faces, tmp_path / "whole.onnx", "whole")
    with pytest.raises(InputError, match="was trained on other data"):
        write_ensemble([find_network("compact-3-int8")] * 2, faces, tmp_path / "whole.onnx", "whole")
    assert not (tmp_path / "whole.onnx").exists()


def test_test_images_are_measured_once(
    study: Path, faces: Dataset, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    def count() -> int:
        return len(load_ledger(folder / "pair.onnx", faces.sha256))

    folder = shutil.copytree(study, tmp_path / "study")
    config = folder / "pair.yaml"
    config.write_text(TINY.format(name="pair"))
    before = (folder / "final.json").read_bytes()
    code, stdout, _ = emoscope("study", "run", config, "--data", faces_file, "-o", folder, "--final")
    assert code == 0 and "test, 10 views" in stdout and "validation balanced" in stdout
    assert (folder / "final.json").read_bytes() == before and count() == 1
    final = json.loads(before)
    assert final["times_measured"] == 1 and final["part"] == "PrivateTest"
    options = ["--data", faces_file, "--split", "private", "--model", folder / "pair.onnx", "--views", 2, "--json"]
    figures = json.loads(emoscope("evaluate", *options)[1])
    assert figures["times_measured"] == 2 == count()
    assert figures["macro_f1"] == pytest.approx(final["views"]["2"]["macro_f1"], abs=1e-9)
    balanced = json.loads(emoscope("evaluate", *options, "--balanced")[1])
    assert balanced["accuracy"] == pytest.approx(final["views"]["2"]["balanced"]["accuracy"], abs=1e-9)
    figures = json.loads(emoscope("evaluate", *options[:2], "--split", "public", *options[4:])[1])
    assert "times_measured" not in figures and count() == 3


def test_a_measurement_counts_for_its_dataset_and_stays_with_the_user(tmp_path: Path, emoscope: Command) -> None:
    model, cartoons = find_network("default"), tmp_path / "cartoons.npz"
    emoscope("data", "import", "synthetic", "-o", cartoons, "--n", 40)
    fer2013, before = Recognizer(model).spec.data_sha256, sorted(model.parent.iterdir())
    shipped = find_shipped(model).read_bytes()
    options = ["evaluate", "--data", cartoons, "--split", "private", "--json"]
    assert json.loads(emoscope(*options)[1])["times_measured"] == 1, "FER2013 is another dataset"
    with find_ledger().open("a") as f:
        f.write("[1]\n{cut")
    damaged = find_ledger().read_bytes()
    code, stdout, stderr = emoscope(*options)
    assert code == 0 and json.loads(stdout)["times_measured"] == 2
    assert f"2 damaged lines of {find_ledger()} are not counted; they are kept" in stderr and stderr.count("\n") == 1
    assert find_ledger().read_bytes().startswith(damaged + b"\n")
    assert len(load_ledger(model, Dataset.load(cartoons).sha256)) == 2
    assert load_ledger(model, fer2013) == json.loads(shipped) and find_shipped(model).read_bytes() == shipped
    assert sorted(model.parent.iterdir()) == before, "nothing is written into the package"


def test_the_card_tells_everything(study: Path, faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    path = tmp_path / "docs" / "card.md"
    code, _, stderr = emoscope("study", "card", study, "--data", faces_file, "-o", path)
    assert code == 0, stderr
    text = path.read_text()
    final = json.loads((study / "final.json").read_text())
    for figure in (final["views"][v][key] for v in ("1", "2", "10") for key in ("accuracy", "macro_f1")):
        assert f"{100 * figure:.2f} %" in text
    assert (
        "hard predictions" in text
        and "these images\nonce**" in text
        and final["sha256"] in text
        and "16 px wide" in text
        and "Licence" in text
    )
    drawings = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert {Path(d).name for d in drawings} >= {
        *("confusion.png", "roc.png", "reliability.png", "coverage.png", "coverage-changed.png")
    }
    for drawing in drawings:
        picture = cv2.imread(str(path.parent / drawing))
        assert picture is not None and picture.std() > 5
    for folder, words in ((tmp_path, "holds no study.json"), (study, "was made with other data")):
        other = tmp_path / "other.npz"
        emoscope("data", "import", "synthetic", "-o", other, "--n", 70)
        code, _, stderr = emoscope("study", "card", folder, "--data", other, "-o", tmp_path / "c.md")
        assert code == 2 and words in stderr and stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["data show", "study report", "study card"])
def test_only_own_files_are_replaced(
    command: str, study: Path, faces: Dataset, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    [file] = [path for path in FILES if path.stem == "thesis-quick"]
    open_study(begun, begun / "runs", Comparison.from_dict(load_yaml(file)), faces)
    place = tmp_path / "out"
    place.mkdir()
    options, names = {
        "data show": ((faces_file, "-o", place / "o.png"), ["o.png"]),
        "study report": ((begun, "-o", place), ["report.html", "tables.md", "tables.tex"]),
        "study card": ((study, "--data", faces_file, "-o", place / "o.md"), ["o.md", "o/roc.png"]),
    }[command]

    def refuse(path: Path) -> None:
        before = path.read_bytes()
        there = sorted(place.rglob("*"))
        code, _, stderr = emoscope(*command.split(), *options)
        assert code == 2 and stderr.count("\n") == 1 and path.name in stderr, stderr
        assert path.read_bytes() == before and sorted(place.rglob("*")) == there

    for name in names:
        mine = place / name
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
        refuse(mine)
        mine.unlink()
    stamps = []
    for _ in range(2):
        code, _, stderr = emoscope(*command.split(), *options)
        assert code == 0, stderr
        stamps.append([(place / name).stat().st_mtime_ns for name in names])
    assert not set(stamps[0]) & set(stamps[1]), "its own are replaced"
    if command != "data show":
        # What a person wrote into an own one is theirs.
        (place / names[0]).write_text("notes")
        refuse(place / names[0])


def test_the_card_of_an_embedded_network_needs_its_recipe(
    study: Path, faces_file: Path, tmp_path: Path, emoscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run's folder is not at hand: only a file that asks for the very same trainings may be named."""
    model = export_variant(study / "pair.onnx", tmp_path / "small.onnx", "int8", Dataset.load(faces_file)).name
    final = json.loads((study / "final.json").read_text())
    final |= {"model": model, "sha256": compute_sha256(tmp_path / "small.onnx")}
    folder = tmp_path / "measured"
    folder.mkdir()
    (folder / "final.json").write_text(json.dumps(final))
    shutil.copyfile(study / "final.npz", folder / "final.npz")
    monkeypatch.setattr("emoscope.study.export.card.load_embedded", lambda: (model, {model: None}))
    monkeypatch.setattr("emoscope.study.export.card.find_network", lambda name: tmp_path / "small.onnx")
    recipe, options = tmp_path / "pair.yaml", ["study", "card", folder, "--data", faces_file, "-o", tmp_path / "c.md"]
    recipe.write_text(TINY.format(name="pair"))
    code, _, stderr = emoscope(*options, "--recipe", recipe)
    assert code == 0, stderr
    text = (tmp_path / "c.md").read_text()
    assert "pair.yaml" in text and "written as int8" in text and final["sha256"] in text and "history" not in text
    assert (
        "defaults: `network` compact-tiny, " in text
        and "`mixup_alpha` 0.3" in text
        and "FER2013, fingerprint" not in text
    )
    recipe.write_text(TINY.format(name="pair").replace("0.05", "0.06"))
    code, _, stderr = emoscope(*options, "--recipe", recipe)
    assert code == 2 and "made the network; name the file that did" in stderr
    assert emoscope(*options)[0] == 0 and "Run `" in (tmp_path / "c.md").read_text()


def test_status_of_a_study_without_families(study: Path, tmp_path: Path, emoscope: Command) -> None:
    status = json.loads(emoscope("study", "status", study, "--json")[1])
    assert status["left_s"] == 0 and status["is_measured"]
    assert [(t["seed"], t["epoch"], t["epochs"], t["is_finished"]) for t in status["trainings"]] == [
        (0, 2, 2, True), (1, 2, 2, True),
    ]  # fmt: skip
    folder = shutil.copytree(study, tmp_path / "study", ignore=shutil.ignore_patterns("final.*"))
    first, second = (folder / "runs" / t["run"] for t in status["trainings"])
    shutil.rmtree(second)
    (first / "result.json").unlink()
    (first / "metrics.csv").write_text("epoch,size_px,fit_s,validate_s\n1,24,50.0,10.0\n")
    status = json.loads(emoscope("study", "status", folder, "--json")[1])
    assert [t["epoch"] for t in status["trainings"]] == [1, 0] and not status["is_measured"]
    assert status["left_s"] == 60 + 2 * 60, "an epoch of the first, two of the second"
    assert "2 trainings left, about 0.1 h (3 min)" in emoscope("study", "status", folder)[1]
    shutil.rmtree(first)
    assert "none is far enough" in emoscope("study", "status", folder)[1]


def test_small_weights_read_nearly_the_same(study: Path, faces: Dataset, tmp_path: Path) -> None:
    """Of an ensemble too."""
    source = study / "pair.onnx"
    plain = Recognizer(source).predict(faces.pixels)
    for precision, tolerance in (("float16", 0.001), ("int8", 0.01)):
        path = tmp_path / f"{precision}.onnx"
        spec = export_variant(source, path, precision, faces)
        assert spec.precision == precision and path.stat().st_size < 0.7 * source.stat().st_size
        assert Recognizer(path).spec == spec and Recognizer(path).spec.figures["validation"]["n"] > 0
        assert np.abs(Recognizer(path).predict(faces.pixels) - plain).mean() < tolerance
        with pytest.raises(InputError, match="float32 network"):
            export_variant(path, tmp_path / "x.onnx", "int8", faces)


def test_small_weights_need_the_data_and_a_free_place(
    study: Path, faces_file: Path, tmp_path: Path, emoscope: Command
) -> None:
    run = next((study / "runs").iterdir())
    code, _, stderr = emoscope("export", run, "-o", tmp_path / "m.onnx", "--precision", "int8")
    assert code == 2 and "--data" in stderr
    code, stdout, _ = emoscope("export", run, "-o", tmp_path / "m.onnx", "--precision", "int8", "--data", faces_file)
    assert code == 0 and "-int8 ->" in stdout
    code, _, stderr = emoscope("export", study / "runs" / "RUN", "-o", tmp_path / "m.onnx")
    assert code == 2 and "RUN is no run" in stderr, "not that m.onnx is another training's"
    options = ["export", study / "pair.onnx", "-o", tmp_path / "m.onnx"]
    whole, before = (*options, "--precision", "float16", "--data", faces_file), (tmp_path / "m.onnx").read_bytes()
    code, _, stderr = emoscope(*whole)
    assert code == 2 and "another training's network" in stderr and stderr.count("\n") == 1
    assert (tmp_path / "m.onnx").read_bytes() == before
    code, stdout, _ = emoscope(*whole, "--overwrite")
    assert code == 0 and stdout.startswith("pair-float16 ->")
    code, _, stderr = emoscope(*options)
    assert code == 2 and "is exported already" in stderr and stderr.count("\n") == 1


def test_a_study_reports_every_mistake_at_once(tmp_path: Path, faces_file: Path, emoscope: Command) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: a/b\nrepeat: 3\nsettings: {epoch: 2, dropout: 7}\nmembers: [{seed: -1, network: vgg61}, {network: 5}]\n"
        "student: {patience: x}\n"
    )
    code, _, stderr = emoscope("study", "run", path, "--data", faces_file, "-o", tmp_path / "out")
    assert code == 2 and stderr.count("\n") == 1 and not (tmp_path / "out").exists()
    for words in (
        "name is 'a/b'", "unknown key repeat", "settings: unknown key epoch", "settings: dropout is 7",
        "member 1: seed is -1", "no network 'vgg61'",
        "member 2: network is 5", "student: patience is 'x'", "distil_weight is missing",
    ):  # fmt: skip
        assert stderr.count(words) == 1, words
    for text, words in (
        ("name: x\nrepeats: 2\n", "protocol: random"),
        ("name: x\nmembers: [{distil_weight: 0.5}]\n", "belongs to the student"),
        ("name: x\nmembers: 3\n", "members is 3, expected a list"),
        ("name: x\nsettings: {batch_size: 30, repeats: 4}\n", "multiple of repeats"),
    ):
        path.write_text(text)
        code, _, stderr = emoscope("study", "run", path, "--data", faces_file, "-o", tmp_path / "out")
        assert code == 2 and words in stderr and stderr.count("\n") == 1, stderr


def test_a_study_folder_belongs_to_its_data(study: Path, tmp_path: Path, emoscope: Command) -> None:
    config, other = tmp_path / "s.yaml", tmp_path / "other.npz"
    config.write_text(TINY.format(name="pair"))
    emoscope("data", "import", "synthetic", "-o", other, "--n", 350)
    code, _, stderr = emoscope("study", "run", config, "--data", other, "-o", study)
    assert code == 2 and "was begun with other data" in stderr


def test_one_cycle_and_cosine_rise_and_fall() -> None:
    network = create_network("compact-tiny")
    for schedule, optimizer in (("one-cycle", "sgd"), ("one-cycle", "adamw"), ("cosine", "sgd")):
        config = TrainConfig(schedule=schedule, optimizer=optimizer, learning_rate=0.1, warmup=0.25)  # type: ignore[arg-type]
        groups = create_optimizer(network, config)
        rule = create_schedule(groups, config, 100)
        rates, momenta = [], []
        for step in range(100):
            rule.step_update(step)
            group = groups.param_groups[0]
            rates.append(group["lr"])
            momenta.append(group["betas"][0] if "betas" in group else group["momentum"])
        assert 20 <= int(np.argmax(rates)) <= 30 and max(rates) == pytest.approx(0.1, rel=0.02)
        assert rates[0] < 0.02 and rates[-1] < 0.005
        if schedule == "one-cycle":
            assert abs(int(np.argmin(momenta)) - int(np.argmax(rates))) <= 1 and max(momenta) == pytest.approx(0.95)


def test_a_climb_goes_rho_uphill_and_comes_back() -> None:
    network = create_network("compact-tiny", seed=0)
    x, labels = torch.randn(16, 1, 24, 24), torch.arange(16) % 7
    network.eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    loss = torch.nn.functional.cross_entropy(network(x), labels)
    loss.backward()
    with climb(network, 0.05), torch.no_grad():
        moved = sum(((p - before[k]) ** 2).sum() for k, p in network.named_parameters()) ** 0.5
        assert float(moved) == pytest.approx(0.05, rel=1e-3)
        assert torch.nn.functional.cross_entropy(network(x), labels) > loss
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_mixup_blends_pictures_and_targets_alike() -> None:
    x = torch.eye(8).view(8, 1, 8, 1)
    targets = torch.eye(8)
    for seed in range(5):
        mixed, [soft] = mix(x, [targets], 0.7, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(mixed.view(8, 8), soft)
        torch.testing.assert_close(soft.sum(1), torch.ones(8))
        # Of itself as much as the share says, and all of it where the other is itself.
        assert set(soft.diagonal().numpy().round(4).tolist()) <= {np.float32(0.7).round(4).item(), 1.0}
        assert (soft.diagonal() < 1).any()


def test_each_number_of_views_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, (6000, 7)) + np.array([0, -2, 0, 1, 0, 0, 0])
    labels = np.array([rng.choice(7, p=p) for p in compute_probabilities(truth)])
    logits = {n: 2.5 * (truth[:, None] + rng.normal(0, 0.3, (6000, n, 7))) for n in (1, 2)}
    calibrations = fit_calibrations(logits, labels)
    for n, values in logits.items():
        before = compute_ece(calibrate(values, Calibration()), labels)
        after = compute_ece(calibrate(values, calibrations[n]), labels)
        assert after < 0.03 < before
        plain, balanced = (calibrate(values, calibrations[n], b).argmax(1) for b in (False, True))
        assert compute_f1(balanced, labels).mean() >= compute_f1(plain, labels).mean()
    affine = np.array(calibrations[1].affine)
    np.testing.assert_allclose(np.diag(affine), 1 / 2.5, rtol=0.2, err_msg="a known distortion is undone")
    assert np.abs(affine[:, :7] - np.diag(np.diag(affine))).max() < 0.1, "other classes' weights are damped"
    assert fit_bias(truth, truth.argmax(axis=1)) == (0,) * 7, "nothing to gain, nothing changed"
    spec = ModelSpec("x", calibrations=calibrations)
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_f1_is_scikit_learns(seed: int, n: int) -> None:
    predictions, labels = np.random.default_rng(seed).integers(0, 7, (2, n))
    expected = f1_score(labels, predictions, labels=range(7), average=None, zero_division=0)
    np.testing.assert_allclose(compute_f1(predictions, labels), expected)


def test_intervals_hold_the_figure_and_narrow_with_more_images() -> None:
    confusion = np.full((7, 7), 5) + 50 * np.eye(7, dtype=int)
    few, many = compute_intervals(confusion), compute_intervals(100 * confusion)
    for key in ("accuracy", "macro_f1"):
        assert few[key][0] < 55 / 85 < few[key][1]
        assert few[key][1] - few[key][0] == pytest.approx(10 * (many[key][1] - many[key][0]), rel=0.1)
    # Wilson's textbook case: 45 of 50.
    case = np.zeros((7, 7), int)
    case[0, 0], case[0, 1] = 45, 5
    assert compute_intervals(case)["accuracy"] == pytest.approx([0.786, 0.957], abs=1e-3)


def test_every_change_is_seen_and_keeps_the_form(faces: Dataset) -> None:
    pictures = faces.pixels[:40]
    for name, change in CHANGES.items():
        changed = change(pictures)
        assert changed.shape == pictures.shape and changed.dtype == np.uint8
        assert np.array_equal(changed, pictures) == (name == "as they are")
    recognizer, labels = Recognizer(), faces.emotion[:40]
    limits = {"size_px": 20.0, "contrast": float(np.median(measure_crops(list(pictures))[:, 2]))}
    changed = read_changed(recognizer, pictures)
    strict = Recognizer()
    strict.spec = replace(recognizer.spec, limits=limits)
    limited = read_changed(strict, pictures)
    rows, limited_rows = (measure_robustness(found, labels, 0.0) for found in (changed, limited))
    assert [row["change"] for row in rows] == list(CHANGES)
    assert all(0 <= row[key] <= 1 for row in rows for key in ("accuracy", "macro_f1", "uncertain"))
    # Below a limit a face is uncertain, whatever its probability: half of them by contrast, all of 16 px by size.
    uncertain = {row["change"]: row["uncertain"] for row in limited_rows}
    assert rows[0]["uncertain"] == 0 and uncertain["as they are"] == 0.5 and uncertain["16 px wide"] == 1
    # And goes before all that is above.
    certainty, is_right = pool_changed(limited, labels)
    assert len(certainty) == len(is_right) == 40 * (len(CHANGES) - 1)
    coverage, accuracy, threshold = compute_coverage(certainty, is_right)
    assert accuracy[-1] == is_right.mean() and coverage[(threshold >= 0).sum() - 1] == (certainty >= 0).mean() < 0.7


def test_the_embedded_networks_measurements_are_known() -> None:
    path = find_network("default")
    entries = load_ledger(path, Recognizer(path).spec.data_sha256)
    assert entries and all(entry["part"] == "PrivateTest" and entry["date"] for entry in entries)
    card = (Path(__file__).parents[2] / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert compute_sha256(path) in card, "docs/model-card.md is another network's; write it with `emoscope study card`"
