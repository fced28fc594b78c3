"""Executors: the same results here, in processes, on Ray; workers and machines that die; what is said when it fails."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from conftest import Command
from emoscope.analysis.many import analyze_sources
from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError, MissingExtraError
from emoscope.core.types import Image
from emoscope.executors import executor as executors_module
from emoscope.executors.executor import Executor, Resources, WorkerDiedError, map_unordered
from emoscope.executors.open import open_executor
from study_folders import read_figures

STUDY = """
name: small
settings:
  {network: compact-tiny, protocol: thesis, epochs: 2, patience: 6, sizes_px: [24], size_shares: [1.0], ema_decay: 0,
   precision: float32}
space: {learning_rate: [0.01, 0.05], batch_size: [32, 64]}
families: {first: {}, second: {space: {optimizer: [adam], learning_rate: [0.001, 0.01]}}}
search: {trials: 4, candidates: 2, in_flight: 2}
resources: {cpus: 1}
folds: 2
repeats: 2
"""


def work(shared: int, item: tuple[str, Any]) -> Any:
    """What the executors are given: numbers, an error, a death that happens once, one that happens always."""
    what, value = item
    if what == "error":
        raise InputError(value)
    if what == "die always" or (what == "die once" and not value.exists()):
        value.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shared + value if what == "add" else os.getpid()


def start_cluster(n_nodes: int) -> Any:
    """Start a Ray cluster of machines with one core each, all on this one, and let its workers import this file."""
    # As open_ray() sets them; here Ray is imported before.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}
    cluster_utils = pytest.importorskip("ray.cluster_utils")

    here = Path(__file__).parent
    paths = [here.parents[1] / "src", here.parent, here, *os.environ.get("PYTHONPATH", "").split(":")]
    os.environ["PYTHONPATH"] = ":".join(map(str, paths))
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    for _ in range(n_nodes - 1):
        cluster.add_node(**small)
    return cluster


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a Ray cluster of two machines answers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED", "RAY_DEDUP_LOGS_SKIP_REGEX"):
            patch.setenv(name, os.environ.get(name, ""))
        cluster = start_cluster(2)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture
def ray_executor(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setattr(executors_module, "MAX_RETRIES", 1)
    with open_executor("ray", shared=10, address=address) as executor:
        yield executor


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setattr(executors_module, "MAX_RETRIES", 1)
    with open_executor(shared=10, workers=2) as executor:
        yield executor


@pytest.mark.parametrize("kind", ["pool", "ray_executor"])
def test_work_elsewhere(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    executor: Executor = request.getfixturevalue(kind)
    assert executor.n_slots == 2 and not executor.is_here
    items = [*(("add", i) for i in range(20)), ("error", "one line"), ("die once", tmp_path / "once"), ("pid", 0)]
    done = dict(map_unordered(executor, work, items))
    assert [done["add", i].result() for i in range(20)] == list(range(10, 30))
    error = done["error", "one line"].exception()
    assert type(error) is InputError and str(error) == "one line", "errors come back as they were raised"
    assert done["die once", tmp_path / "once"].result() != os.getpid() != done["pid", 0].result()
    future = executor.submit(work, ("die always", tmp_path / "always"))
    with pytest.raises(WorkerDiedError, match="its worker died 2 times"):
        future.result()
    assert executor.submit(work, ("add", 1)).result() == 11, "others go on"
    assert capsys.readouterr().out == "", "deaths of workers are told by us"


def test_work_here() -> None:
    with open_executor(shared=1) as executor:
        items = iter([("add", 1), ("error", "no"), ("add", 2)])
        found = []
        for item, future in map_unordered(executor, work, items):
            found.append(future.exception() or future.result())
            assert len(list(items)) == 2 if item == ("add", 1) else True, "an item is taken when its turn comes"
        assert found == [2]


def test_what_is_said_when_ray_cannot_be_used(
    emoscope: Command, tmp_path: Path, portrait: Image, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), portrait)
    options = ("analyze", tmp_path / "a.png", "-o", tmp_path / "out", "--executor", "ray")
    for wrong, words in (
        ("127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9"),
        ("nowhere", "'nowhere' is no address of a Ray cluster, expected HOST:PORT"),
    ):
        start = time.perf_counter()
        code, _, stderr = emoscope(*options, "--address", wrong)
        assert code == 2 and words in stderr and stderr.count("\n") == 1
        assert time.perf_counter() - start < 10, "Ray by itself tries for minutes"
    code, _, stderr = emoscope(*options[:-2], "--address", address)
    assert code == 2 and "add --executor ray" in stderr
    with (
        pytest.raises(InputError, match="no machine of the Ray cluster has 1 CPU and 1 GPU at once"),
        open_executor("ray", address=address, resources=Resources(1, 1)),
    ):
        pass
    monkeypatch.setattr("emoscope.executors.open.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[ray\]'"), open_executor("ray"):
        pass


@pytest.fixture(scope="module")
def pictures(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.jpg"), portrait[i:, i:])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("where", [("--workers", 2), ("--executor", "ray", "--address")])
def test_files_analysed_elsewhere(
    where: tuple[Any, ...], pictures: list[Path], tmp_path: Path, emoscope: Command, address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(pictures[0].parent)
    names = [path.name for path in pictures]
    found = []
    for more in ((), where if len(where) == 2 else (*where, address)):
        output = tmp_path / str(bool(more))
        options = ("--detector", "own", "--no-report", "--json")
        code, stdout, stderr = emoscope("analyze", *names, "-o", output, *options, *more)
        assert code == 2 and "1 of 7 sources failed" in stderr
        entries = json.loads(stdout.replace(str(output), "OUT"))["sources"]
        assert [entry["source"] for entry in entries if entry["status"] == "complete"] == names[:6], "in their order"
        found.append((entries, [(output / str(i) / "observations.csv").read_bytes() for i in range(6)]))
        assert not list(output.glob(".*")), "nothing is left behind"
    assert found[0] == found[1]


def test_an_analysis_elsewhere_is_stopped(clip: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    sources = [clip.with_name(f"{i}.mp4") for i in range(12)]
    for path in sources:
        path.write_bytes(clip.read_bytes())
    with open_executor(shared=Settings(detector="own", report=False), workers=2) as executor:
        results = analyze_sources(
            sources, tmp_path, Settings(), stop=stop, on_progress=lambda p: stop.set(), executor=executor
        )
    states = [r.status for r in results]
    assert len(results) == 12 and {"complete", "stopped"} <= {*states}
    for r in results:
        assert (r.output is None) == (r.status == "stopped"), "what was read is written"


def create_command(study: str, folder: Path, faces_file: Path, *more: str) -> list[str]:
    file = folder.with_suffix(".yaml")
    file.write_text(study)
    start = [sys.executable, "-m", "emoscope", "study", "run", str(file), "--data", str(faces_file)]
    return [*start, "-o", str(folder), *more]


def test_a_study_on_ray_is_the_study_here(faces_file: Path, tmp_path: Path, emoscope: Command, address: str) -> None:
    figures = []
    for name, more in (("here", ()), ("ray", ("--executor", "ray", "--address", address))):
        code, stdout, stderr = emoscope(*create_command(STUDY, tmp_path / name, faces_file, *more)[3:])
        assert code == 0 and "first " in stdout, stderr
        assert stderr.count(": done, ") == 20
        figures.append(read_figures(tmp_path / name))
    assert figures[0] == figures[1]
    assert len(figures[0]["results"]["families"]["first"]["trials"]) == 4


def wait_until(condition: Any, process: "subprocess.Popen[str]", what: str) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, f"the study ended before {what}: {process.stderr and process.stderr.read()}"
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_machines_die_during_a_study(faces_file: Path, tmp_path: Path) -> None:
    """24 trainings on four machines, two of which die one after the other while each of the four trains."""
    values = yaml.safe_load(STUDY)
    values |= {"repeats": 4, "settings": {**values["settings"], "epochs": 12, "patience": 0}}
    study = yaml.safe_dump(values)
    subprocess.run(create_command(study, tmp_path / "here", faces_file), check=True, capture_output=True)
    expected = read_figures(tmp_path / "here")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED", "RAY_DEDUP_LOGS_SKIP_REGEX"):
            patch.setenv(name, os.environ.get(name, ""))
        cluster = start_cluster(4)
        try:
            runs = tmp_path / "ray" / "runs"
            command = create_command(
                study, tmp_path / "ray", faces_file, "--executor", "ray", "--address", cluster.address
            )
            with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
                for least in (0, 9):

                    def all_train(least: int = least) -> bool:
                        n_epochs = sum(1 for path in runs.glob("*/checkpoint.safetensors"))
                        return n_epochs >= 4 and len(list(runs.glob("*/result.json"))) >= least

                    wait_until(all_train, process, "four machines trained at once")
                    cluster.remove_node(random.choice(sorted(cluster.worker_nodes, key=str)), allow_graceful=False)
                    cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
                _, stderr = process.communicate(timeout=900)
            assert process.returncode == 0, stderr
        finally:
            cluster.shutdown()
    assert len(list(runs.glob("*/result.json"))) == 24
    assert read_figures(tmp_path / "ray") == expected
    n_begun = [len(list((run / "tensorboard").iterdir())) for run in runs.iterdir()]
    assert max(n_begun) > 1 and sum(n_begun) - 24 <= 4, "the dead machines' trainings went on, no other did"
