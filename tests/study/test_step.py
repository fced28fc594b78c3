"""A training step never waits for an accelerator: checked by what torch is asked for, and on one where there is one."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import training
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.optimize import choose_compile_mode
from emoscope.study.training.run_name import open_run
from emoscope.study.training.trainer import Trainer

CONFIG = TrainConfig(
    network="compact-tiny",
    protocol="thesis",
    epochs=4,
    batch_size=16,
    sizes_px=(24,),
    size_shares=(1.0,),
    precision="float32",
    degrade=0.3,
)

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "bincount", "_unique2", "unique_dim", "equal", "allclose")
"""Operations of whose results the host reads something on an accelerator: the value, or the size of what comes out."""
READING = ("cpu", "numpy", "tolist", "__array__", "new_tensor", "tensor", "as_tensor")
"""Functions that bring numbers to the host or from it."""


class WaitsError(Exception):
    """The host would wait."""


class NoReading(TorchFunctionMode):
    """Refuses what copies between host and device, though on the CPU it copies nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        # What is said to be the host's stays there.
        if (name in READING or (name == "to" and "cpu" in args)) and kwargs.get("device") != "cpu":
            raise WaitsError(name)
        return func(*args, **kwargs)


class NoWaiting(TorchDispatchMode):
    """Refuses operations that make the host wait on an accelerator.

    Args:
        host: tensors that are the host's on every device, such as Adam's step counters.
    """

    def __init__(self, host: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self.host = {tensor.data_ptr() for tensor in host}
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        self.seen.add(name)
        is_host = name == "_local_scalar_dense" and args[0].data_ptr() in self.host
        by_mask = name.startswith(("index", "_index", "_unsafe_index")) and any(
            isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8)
            for i in (args[1] if isinstance(args[1], list | tuple) else [])
        )
        repeats = name == "repeat_interleave" and kwargs.get("output_size") is None
        if (name in WAITING and not is_host) or by_mask or repeats:
            raise WaitsError(name)
        return func(*args, **kwargs)


X = torch.arange(6.0)


@pytest.mark.parametrize(
    "wait",
    [
        lambda: X.sum().item(),
        lambda: float(X[0]),
        lambda: bool(X[0] > 0),
        lambda: X[X > 2],
        lambda: X.clone().index_put_((X > 2,), torch.zeros(())),
        lambda: (X > 2).nonzero(),
        lambda: torch.bincount(X.long()),
        lambda: X.repeat_interleave(X.long()),
        lambda: X.cpu(),
        lambda: X.numpy(),
        lambda: X.tolist(),
        lambda: X.to("cpu"),
        lambda: X.new_tensor(3),
        lambda: torch.tensor(3.0),
        lambda: torch.nn.functional.one_hot(X.long(), 7),
    ],
)
def test_a_wait_is_found(wait: Callable[[], object]) -> None:
    with NoReading(), NoWaiting(), pytest.raises(WaitsError):
        wait()


KINDS: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "mixup": {"mixup_alpha": 0.3, "repeats": 2},
    "parts": {"mixup_alpha": 0.3, "sam_rho": 0.05, "n_parts": 3},
    "labels in parts": {"n_parts": 2, "ema_decay": 0.0, "precision": "bfloat16"},
    "votes": {"soft_labels": True, "mixup_alpha": 0.3, "n_parts": 2},
    "student": {"distil_weight": 0.7, "optimizer": "adam", "schedule": "one-cycle"},
    "views": {"distil_weight": 0.7, "views": 2, "mixup_alpha": 0.3, "optimizer": "adamw"},
    "frozen": {"frozen": 0.5, "schedule": "constant", "kernel": "lanczos3"},
    "densenet": {"network": "densenet121-slim", "augmentation": "thesis", "norm_momentum": 0.01},
    "vgg": {"network": "vgg16-slim", "branches": 2, "head_layers": 1},
}


def create_trainer(dataset: Dataset, folder: Path, n_parts: int = 1, **settings: Any) -> Trainer:
    config = TrainConfig.from_dict({**CONFIG.to_dict(), **settings})
    votes = np.eye(7, dtype=np.uint8)[dataset.emotion] * 9 + 1
    dataset = dataclasses.replace(dataset, votes=votes)
    split = create_split(dataset, config)
    shape = (len(split.train), config.views, 7) if config.views else (len(split.train), 7)
    teacher = np.full(shape, 1 / 7, np.float32) if config.distil_weight else None
    return Trainer(dataset, split, config, open_run(folder, config, split, dataset), teacher, n_parts)


@pytest.fixture(scope="module")
def faces(faces_file: Path) -> Dataset:
    return Dataset.load(faces_file)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_does_not_wait(kind: str, faces: Dataset, tmp_path: Path) -> None:
    """From the choice of images to the average of the weights; also where a GPU itself refuses to wait."""
    trainer = create_trainer(faces, tmp_path, **KINDS[kind])
    device = trainer.images.device
    generator, rng = torch.Generator(device), np.random.default_rng(0)
    order = torch.arange(trainer.n_images, device=device)
    trainer.model.train()
    if trainer.config.frozen:
        trainer.freeze(0)
    # The first one makes what stays, such as momenta and the weights of resampling.
    trainer.do_step(order.repeat_interleave(trainer.config.repeats), 0, 0, generator, rng)
    counters = [state["step"] for state in trainer.optimizer.state.values() if "step" in state]
    before = {key: value.clone() for key, value in trainer.state.network.state_dict().items()}
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        with NoReading(), NoWaiting(counters) as mode:
            loss, pairs = trainer.do_step(order.repeat_interleave(trainer.config.repeats), 0, 3, generator, rng)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(float(loss)) and len(pairs) == trainer.config.batch_size
    assert {"convolution", "_log_softmax_backward_data"} <= mode.seen, "also the backward pass was watched"
    assert any(not torch.equal(value, before[key]) for key, value in trainer.state.network.state_dict().items())


def test_graphs_are_captured_where_a_step_is_one_pass() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert choose_compile_mode(CONFIG, cuda, 1) == "reduce-overhead"
    assert choose_compile_mode(CONFIG, cpu, 1) == "default"
    assert choose_compile_mode(CONFIG, cuda, 2) == "default", "gradients of parts add up"
    for changes in ({"sam_rho": 0.05}, {"devices": 2}):
        assert choose_compile_mode(dataclasses.replace(CONFIG, **changes), cuda, 1) == "default"


@pytest.mark.slow
def test_captured_steps_have_the_figures_of_others(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, mixup and another size in between; on the CPU the mode is taken, and nothing is captured."""
    settings = {"compile": True, "mixup_alpha": 0.3, "sizes_px": (24, 32), "size_shares": (0.5, 0.5), "epochs": 2}
    # Rounding, which an accelerator's sums may do in another order, grows with every step, by the rate.
    settings |= {"learning_rate": 0.005}
    found = []
    for mode in ("default", "reduce-overhead"):
        choice = "emoscope.study.training.trainer.choose_compile_mode"
        monkeypatch.setattr(choice, lambda config, device, n_parts, mode=mode: mode)
        trainer = create_trainer(faces, tmp_path / mode, **settings)
        losses = [trainer.fit_epoch(epoch) for epoch in (0, 1)]
        found.append((losses, trainer.predict_validation(trainer.state.ema)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-3)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-2)


def test_a_network_is_held_against_a_product(faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 144 M multiply-adds forward, as the catalogue says, and twice as many backward, but none for the input's gradient.
    flops = training.count_flops("compact", torch.device("cpu"))
    assert 0.95 * 3 * 2 * 144e6 < flops < 3 * 2 * 144.5e6
    monkeypatch.setattr(training, "PRODUCT_S", 0.0)
    found = training.measure_steps(faces, tmp_path, ["compact-tiny"], 2, 64, batch_size=32)
    figures = found["networks"]["compact-tiny"]
    assert figures["images_per_s_range"][0] <= figures["images_per_s"] <= figures["images_per_s_range"][1]
    monkeypatch.setattr(training, "time_alternating", lambda n, **loops: dict.fromkeys(loops, [2.0] * n))
    found = training.measure_steps(faces, tmp_path, ["compact-tiny"], 2, 64, batch_size=32)
    n, flops = found["images_per_round"], training.count_flops("compact-tiny", torch.device("cpu"))
    assert found["networks"]["compact-tiny"]["images_per_s"] == n / 2
    assert found["networks"]["compact-tiny"]["share_of_product"] == round(flops * n / (2 * 64**3), 4)
