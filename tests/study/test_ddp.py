"""One training in two processes: the figures of one process, files of the first alone, resumed after a kill."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from emoscope.core.errors import InputError
from emoscope.study.data.dataset import Dataset
from emoscope.study.networks.catalogue import create_network
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.run_folder import Run, TakenOverError
from emoscope.study.training.shared_norm import share_statistics
from emoscope.study.training.train import train
from emoscope.study.training.trainer import DivergedError

# Everything that a batch is made of is drawn, but dropout, whose masks belong to the processes.
CONFIG = TrainConfig(
    network="compact-tiny",
    protocol="thesis",
    epochs=2,
    batch_size=28,
    # Rounding grows with every step, by the rate: at 0.002 the loss of 20 steps moves by up to 9e-4.
    learning_rate=0.0005,
    sizes_px=(24,),
    size_shares=(1.0,),
    dropout=0.0,
    precision="float32",
    mixup_alpha=0.2,
    mixup_off=0.5,
    repeats=2,
    sam_rho=0.02,
)


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.fixture(scope="module")
def runs(faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The same training in one process and in two."""
    folder = tmp_path_factory.mktemp("ddp")
    one, two = (train(faces, dataclasses.replace(CONFIG, devices=n), folder) for n in (1, 2))
    return one, two


def test_two_processes_have_the_figures_of_one(runs: tuple[Run, Run], faces: Dataset) -> None:
    """At least 20 steps per epoch; batch norm included: its statistics are those of both processes."""
    one, two = (run.load_history() for run in runs)
    with np.load(runs[0].folder / "split.npz") as z:
        assert len(z["train"]) // (CONFIG.batch_size // CONFIG.repeats) >= 20
    for ours, theirs in zip(one, two, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-4)
        assert ours["validation_nll"] == pytest.approx(theirs["validation_nll"], abs=1e-3)
    assert one[0]["train_loss"] != one[1]["train_loss"]
    states = []
    for run in runs:
        with safe_open(run.best_path, framework="pt") as f:
            states.append({key: f.get_tensor(key) for key in f.keys()})  # noqa: SIM118
    assert states[0].keys() == states[1].keys(), "weights are named as ever"
    assert runs[0].folder != runs[1].folder and runs[0].folder.name, "two names: figures agree but for rounding"
    for run in runs:
        assert not list(run.folder.glob(".*")) and len(list((run.folder / "tensorboard").iterdir())) == 1


def test_devices_leave_earlier_names_alone() -> None:
    assert "devices" not in CONFIG.describe_changes()
    with pytest.raises(InputError, match=r"batch_size is 28, expected a multiple of devices \(3\)"):
        TrainConfig.from_dict({**CONFIG.to_dict(), "devices": 3})


@pytest.mark.slow
def test_a_killed_training_of_two_goes_on(runs: tuple[Run, Run], faces_file: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(CONFIG.to_dict()))
    command = [sys.executable, "-m", "emoscope", "train", "--data", str(faces_file), "-o", str(tmp_path / "runs")]
    command += ["--config", str(config), "--devices", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "epoch 1/2" not in (line := process.stderr.readline()):
            assert process.poll() is None, f"it must be killed before it ends: {line}"
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "epoch 2/2" in done.stderr and "epoch 1/2" not in done.stderr
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name == runs[1].folder.name
    history = [[(row["train_loss"], row["validation_nll"]) for row in run.load_history()] for run in
               (runs[1], Run(folder, runs[1].config, runs[1].data_sha256))]  # fmt: skip
    assert history[0] == history[1]


def test_what_goes_wrong_in_a_process_is_said_here(faces: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="the training diverged in epoch 1"):
        train(faces, dataclasses.replace(CONFIG, devices=2, learning_rate=50.0, sam_rho=0.0, epochs=3), tmp_path)


def test_a_run_has_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, CONFIG, "")
    run.lease()
    run.check_lease()
    with monkeypatch.context() as patch:
        patch.setattr("emoscope.study.training.run_folder._PROCESS", "another")
        run.lease()
    with pytest.raises(TakenOverError, match="taken over by another process"):
        run.check_lease()
    run.release()
    with pytest.raises(TakenOverError):
        run.check_lease()


def _share(rank: int, folder: str, network: str) -> None:
    """Be one of two processes: forward, backward, and running statistics of half a batch."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    model = share_statistics(create_network(network, 0.0, 0, size_px=32), torch.device("cpu")).train()
    x = torch.load(f"{folder}/x.pt")[rank::2].requires_grad_()
    out = model(x)
    (out.square().sum() / 2).backward()
    torch.save((out.detach(), x.grad, list(model.buffers())), f"{folder}/{rank}.pt")


@pytest.mark.parametrize("network", ["compact-tiny", pytest.param("densenet-tiny", marks=pytest.mark.slow)])
def test_batch_norm_over_two_processes(network: str, tmp_path: Path) -> None:
    """torch's own batch norm on the whole batch is the standard; densenet's norms are timm's, with an activation."""
    x = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.save(x, tmp_path / "x.pt")
    model = create_network(network, 0.0, 0, size_px=32).train()
    x.requires_grad_()
    out = model(x)
    (out.square().sum() / 2).backward()
    torch.multiprocessing.spawn(_share, (str(tmp_path), network), 2)
    parts: list[Any] = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for rank, (found, gradient, buffers) in enumerate(parts):
        torch.testing.assert_close(found, out[rank::2].detach(), atol=1e-4, rtol=1e-3)
        assert x.grad is not None
        torch.testing.assert_close(gradient, x.grad[rank::2], atol=1e-3, rtol=1e-2)
        for ours, theirs in zip(buffers, model.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
def test_both_processes_know_when_a_training_falls_behind(faces: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, devices=2, epochs=5, validate_every=2)
    run = train(faces, config, tmp_path, bars=(0.0, 0.0, 0.0, 1.0))
    assert run.load_result()["epochs"] == 4
