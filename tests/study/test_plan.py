"""The plan of a study: how many trainings, how long, on how many machines; its estimate against the real time."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from conftest import Command
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.plan import PhasePlan, Plan, choose_samples
from emoscope.study.running.timing import COMPILE_S, Parts, Timer, find_device

STUDIES = Path(__file__).parents[2] / "studies"


def create_plan(n_slots: int) -> Plan:
    phases = [
        PhasePlan("a", "search", 10, (50.0, 100.0, 200.0), 1e9, 1),
        PhasePlan("a", "crossval", 8, (40.0, 80.0, 160.0), 1e9, 8),
        PhasePlan("b", "search", 10, (100.0, 200.0, 400.0), 1e9, 2),
    ]
    return Plan(phases, 5.0, n_slots, n_slots, 1.0, "the CPU")


def test_more_machines_shorten_what_can_be_done_at_once() -> None:
    assert create_plan(1).find_wall_s() == (190 + 5, 380 + 5, 760 + 5)
    assert create_plan(2).find_wall_s()[1] == 190 + 5, "both families keep both busy"
    assert create_plan(100).find_wall_s()[1] == 100 + 10 + 5, "one trial of a after the other, then its folds at once"
    assert create_plan(1).n_runs == 28 and create_plan(1).flops == 3e9


def test_samples_stand_for_a_space() -> None:
    comparison = Comparison.from_dict(load_yaml(STUDIES / "thesis.yaml"))
    for space in comparison.families.values():
        samples = choose_samples(space, 0)
        assert {c.network for c in samples} == set(space.values["network"]) and len(samples) >= 2


def test_costs_grow_with_what_is_done(faces_file: Path, tmp_path: Path) -> None:
    timer = Timer(Dataset.load(faces_file), tmp_path, lambda line: None)
    config = TrainConfig(
        network="compact-tiny", protocol="thesis", epochs=4, batch_size=32, sizes_px=(24, 48), size_shares=(0.5, 0.5),
        precision="float32", patience=1,
    )  # fmt: skip
    cost = timer.find_cost(config, keep=False)
    [parts] = timer.known.values()
    assert parts.step_flops[48] / parts.step_flops[24] == pytest.approx(4, rel=0.1)
    assert cost.flops > 2 * 9 * 32 * (parts.step_flops[24] + parts.step_flops[48]) > 1e9
    assert cost.epochs == (2, 4, 4) and 0 < cost.seconds[0] < cost.seconds[1] == cost.seconds[2]
    kept = timer.find_cost(dataclasses.replace(config, batch_size=64), keep=True)
    assert kept.kept_bytes > parts.weights_bytes > 1e5 and len(timer.known) == 1, "timed once"
    assert kept.memory_bytes - cost.memory_bytes == pytest.approx(32 * parts.activation_bytes)
    assert parts.activation_bytes > 1e4


def test_nothing_is_compiled_for_a_plan(faces_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than a step a hundred times over, and a training does it once for each size."""
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: pytest.fail("it compiles"))
    timer = Timer(Dataset.load(faces_file), tmp_path, lambda line: None)
    config = TrainConfig(
        network="compact-tiny", epochs=4, batch_size=32, sizes_px=(24, 48), size_shares=(0.5, 0.5), compile=True
    )
    plain = timer.find_cost(dataclasses.replace(config, compile=False), keep=False)
    compiled = timer.find_cost(config, keep=False)
    assert compiled.seconds[1] - plain.seconds[1] == pytest.approx(2 * COMPILE_S[find_device().type])


def test_a_plan_needs_no_weights_from_elsewhere(
    faces_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    parts = Parts(1, dict.fromkeys((32, 48), (1.0, 1.0)), dict.fromkeys((32, 48), 1.0), 1, 1, 1)
    monkeypatch.setattr(Timer, "measure", lambda self, config: built.append(config) or parts)
    Timer(Dataset.load(faces_file), tmp_path, print).find_cost(
        TrainConfig(network="vgg16", sizes_px=(48,), size_shares=(1.0,), pretrained=True), keep=False
    )
    assert [config.pretrained for config in built] == [False]


def test_a_plan_of_a_study_without_families(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    file = tmp_path / "two.yaml"
    settings = {"network": "compact-tiny", "epochs": 2, "batch_size": 32, "sizes_px": [24], "size_shares": [1.0]}
    file.write_text(yaml.safe_dump({"name": "two", "settings": settings, "members": [{"seed": 0}, {"seed": 1}]}))
    options = ("study", "plan", file, "--data", faces_file, "--price-per-hour", "36")
    code, stdout, stderr = emoscope(*options, "--machines", "2", "--json")
    plan = json.loads(stdout)
    assert code == 0 and plan["runs"] == 2 and plan["trainings_at_once"] == 2, stderr
    assert plan["cost"] == pytest.approx(plan["seconds"]["expected"] / 3600 * 2 * 36)
    code, stdout, _ = emoscope(*options)
    assert code == 0 and all(words in stdout for words in ("1 training at once", "cost: about", "memory: ", "disk: "))
    assert not list(tmp_path.glob("*/")), "nothing is left behind"


def test_a_plan_of_a_student_of_networks_that_exist(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    settings = {"network": "compact-tiny", "epochs": 1, "batch_size": 32, "sizes_px": [24], "size_shares": [1.0]}
    values = {"name": "taught", "settings": settings, "members": ["compact-4-int8"], "student": {"distil_weight": 0.7}}
    (tmp_path / "taught.yaml").write_text(yaml.safe_dump(values))
    code, stdout, stderr = emoscope("study", "plan", tmp_path / "taught.yaml", "--data", faces_file, "--json")
    assert code == 0 and json.loads(stdout)["runs"] == 1, stderr


def test_a_plan_of_networks_that_exist_is_nothing_to_train(faces_file: Path, emoscope: Command) -> None:
    code, stdout, stderr = emoscope("study", "plan", STUDIES / "compact-pair.yaml", "--data", faces_file, "--json")
    assert code == 0 and json.loads(stdout)["runs"] == 0, stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_plan_of_the_quick_study_holds(faces_file: Path, tmp_path: Path, emoscope: Command) -> None:
    """Planned, done, planned again: on a machine that others use as well, the two plans show its mood."""
    options: Any = (STUDIES / "thesis-quick.yaml", "--data", faces_file)
    plans, seconds = [], 0.0
    for step in ("plan", "run", "plan"):
        start = time.perf_counter()
        code, stdout, stderr = emoscope("study", step, *options, *(("-o", tmp_path) if step == "run" else ("--json",)))
        assert code == 0, stderr
        if step == "plan":
            plans.append(json.loads(stdout))
        else:
            seconds = time.perf_counter() - start
    assert plans[0]["runs"] == 59 == len(list((tmp_path / "runs").iterdir()))
    estimate = sum(plan["seconds"]["expected"] for plan in plans) / 2
    assert 0.7 < estimate / seconds < 1.3, f"planned {estimate:.0f} s, took {seconds:.0f} s"
