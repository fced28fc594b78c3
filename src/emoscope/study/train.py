"""One training: dataset and config in, a finished run folder out; resumes after any interruption."""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from emoscope.emotions import EMOTIONS
from emoscope.errors import InputError
from emoscope.files import open_atomic, write_json
from emoscope.preprocess import VIEWS, create_views, preprocess
from emoscope.recognize import calibrate
from emoscope.spec import Calibration, ModelSpec
from emoscope.study.config import TrainConfig
from emoscope.study.dataset import Dataset
from emoscope.study.inputs import Augmentation, create_batch
from emoscope.study.metrics import compute_metrics
from emoscope.study.networks import create_network
from emoscope.study.optimize import (
    PRECISIONS,
    Loss,
    choose_precision,
    climb,
    compute_class_weights,
    create_optimizer,
    create_schedule,
    mix,
)
from emoscope.study.runs import Run, open_run
from emoscope.study.splits import Split, create_split
from emoscope.study.state import State, read_precision

log = logging.getLogger(__name__)

EVALUATION_BATCH = 512


def predict_logits(
    network: nn.Module, pixels: NDArray[np.uint8], spec: ModelSpec, n_views: int = 1
) -> NDArray[np.float32]:
    """Return logits (n, views, 7) of faces (n, h, w) in evaluation mode, inputs made by the runtime's preprocess()."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    out = []
    with torch.inference_mode():
        for i in range(0, len(pixels), EVALUATION_BATCH // n_views):
            views = [v for face in pixels[i : i + EVALUATION_BATCH // n_views] for v in create_views(face, n_views)]
            x = torch.from_numpy(preprocess(views, spec))
            x = x.to(device).contiguous(memory_format=torch.channels_last)
            out.append(network(x).float().cpu().numpy())
    network.train(was_training)
    return np.concatenate(out).reshape(len(pixels), n_views, len(EMOTIONS))


def compute_seed(seed: int, epoch: int) -> int:
    """Return an epoch's own seed, so that a resumed run draws what the unbroken one would have drawn."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


class Trainer:
    """The parts of one training, set up once."""

    def __init__(
        self, dataset: Dataset, split: Split, config: TrainConfig, run: Run, teacher: NDArray[np.float32] | None
    ) -> None:
        self.config, self.run, self.dataset, self.split = config, run, dataset, split
        self.spec = ModelSpec(name=config.network, size_px=config.size_px)
        self.n_images = config.batch_size // config.repeats
        """Different images per batch."""
        self.n_batches = len(split.train) // self.n_images
        if self.n_batches == 0:
            raise InputError(
                f"{len(split.train)} training images do not fill one batch of {self.n_images}; "
                "lower --batch-size or add images"
            )
        device = Fabric(accelerator="auto", devices=1).device
        if run.checkpoint_path.is_file():
            precision, reason = read_precision(run.checkpoint_path), "as in the epochs before"
        else:
            precision, reason = choose_precision(config, device)
        log.info("device %s, precision %s (%s)", device, precision, reason)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=PRECISIONS[precision])  # type: ignore[arg-type]
        network = create_network(config.network, config.dropout, config.seed)
        network = network.to(self.fabric.device).to(memory_format=torch.channels_last)
        optimizer = create_optimizer(network, config)
        self.averager = (
            ModelEmaV3(network, decay=config.ema_decay, use_warmup=True, foreach=True) if config.ema_decay else None
        )
        self.state = State(network, self.averager.module if self.averager else network, optimizer, precision=precision)
        if config.compile:
            # Sizes are few and fixed: one kernel each is faster than one for all.
            network.compile(dynamic=False)
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        self.schedule = create_schedule(optimizer, config, config.epochs * self.n_batches)
        weights = compute_class_weights(dataset.emotion[split.train], config.class_weight_power)
        self.loss = Loss(config, weights.to(device))
        self.faces = torch.from_numpy(dataset.pixels[split.train]).to(device)
        self.labels = torch.from_numpy(dataset.emotion[split.train].astype(np.int64)).to(device)
        self.teacher = None if teacher is None else torch.from_numpy(teacher).to(device)

    def create_batch(
        self, rows: Tensor, epoch: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs (n, c, s, s), labels (n,) or mixed (n, 7), and the teacher's probabilities (n, 7) if any."""
        config = self.config
        how = Augmentation() if config.augment else None
        x = create_batch(self.faces[rows], config.find_size_px(epoch), self.spec, how, generator)
        labels, teacher = self.labels[rows], None if self.teacher is None else self.teacher[rows]
        if config.mixup_alpha and epoch < round((1 - config.mixup_off) * config.epochs):
            targets = [F.one_hot(labels, len(EMOTIONS)).float()] + ([] if teacher is None else [teacher])
            x, mixed = mix(x, targets, config.mixup_alpha, generator)
            labels, teacher = mixed[0], mixed[1] if teacher is not None else None
        return x, labels, teacher

    def fit_epoch(self, epoch: int) -> float:
        """Train one epoch; return the mean loss."""
        config = self.config
        seed = compute_seed(config.seed, epoch)
        # On the device: drawing a GPU's noise on the CPU would take longer than the step.
        generator = torch.Generator(self.faces.device).manual_seed(seed)
        order = torch.randperm(len(self.faces), device=generator.device, generator=generator)
        self.model.train()
        total = torch.zeros((), device=self.faces.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # dropout
            for i in range(self.n_batches):
                step = epoch * self.n_batches + i
                self.schedule.step_update(step)
                rows = order[i * self.n_images : (i + 1) * self.n_images].repeat_interleave(config.repeats)
                x, labels, teacher = self.create_batch(rows, epoch, generator)
                loss = self.loss(self.model(x), labels, teacher)
                self.fabric.backward(loss)
                if config.sam_rho:
                    with climb(self.state.network, config.sam_rho):
                        self.optimizer.zero_grad()
                        self.fabric.backward(self.loss(self.model(x), labels, teacher))
                self.optimizer.step()
                self.optimizer.zero_grad()
                if self.averager:
                    self.averager.update(self.state.network, step=step)
                total += loss.detach()
        mean = float(total) / self.n_batches
        if not np.isfinite(mean):
            raise InputError(
                f"the training diverged in epoch {epoch + 1} (loss {mean}); lower --learning-rate and train again"
            )
        return mean

    def predict_validation(self, network: nn.Module, n_views: int = 1) -> NDArray[np.float32]:
        """Return the validation images' logits (n, views, 7)."""
        return predict_logits(network, self.dataset.pixels[self.split.validation], self.spec, n_views)

    def run_epoch(self) -> dict[str, float]:
        """Train, validate, select and checkpoint one epoch; return its row of the history."""
        state, start = self.state, time.perf_counter()
        loss = self.fit_epoch(state.epoch)
        fitted = time.perf_counter()
        figures = compute_metrics(
            calibrate(self.predict_validation(state.ema), Calibration()), self.dataset.emotion[self.split.validation]
        )
        row = {
            "epoch": state.epoch + 1,
            "size_px": self.config.find_size_px(state.epoch),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": loss,
            "validation_nll": figures["nll"],
            "validation_accuracy": figures["accuracy"],
            "validation_macro_f1": figures["macro_f1"],
            "fit_s": fitted - start,
            "validate_s": time.perf_counter() - fitted,
        }
        state.history.append(row)
        if figures["macro_f1"] > state.best_macro_f1:
            state.best_macro_f1, state.best_epoch = figures["macro_f1"], state.epoch
            with open_atomic(self.run.best_path) as temporary:
                weights = {k: v.cpu().contiguous() for k, v in state.ema.state_dict().items()}
                save_file(weights, temporary, metadata={"epoch": str(state.epoch + 1)})
        state.stale_epochs += 1
        if figures["macro_f1"] > state.stale_f1 + self.config.min_delta:
            state.stale_f1, state.stale_epochs = figures["macro_f1"], 0
        state.epoch += 1
        self.run.write_history(state.history)
        state.save(self.run.checkpoint_path)
        return row

    def finish(self) -> None:
        """Keep the validation logits of the selected weights and write the result."""
        network = create_network(self.config.network)
        load_weights(network, self.run.best_path)
        network.to(self.fabric.device).to(memory_format=torch.channels_last)
        logits = {n_views: self.predict_validation(network, n_views) for n_views in VIEWS}
        labels = self.dataset.emotion[self.split.validation]
        with open_atomic(self.run.validation_path) as temporary:
            arrays: dict[str, NDArray[Any]] = {f"logits_{n_views}": values for n_views, values in logits.items()}
            arrays |= {"rows": self.split.validation, "labels": labels}
            np.savez_compressed(temporary, allow_pickle=False, **arrays)
        write_json(
            self.run.result_path,
            {
                "epochs": self.state.epoch,
                "best_epoch": self.state.best_epoch + 1,
                "precision": self.state.precision,
                "train_s": sum(row["fit_s"] + row["validate_s"] for row in self.state.history),
                "validation": compute_metrics(calibrate(logits[1], Calibration()), labels),
            },
        )

    @property
    def is_done(self) -> bool:
        """Whether all epochs are trained or early stopping ended it."""
        config = self.config
        return self.state.epoch >= config.epochs or 0 < config.patience <= self.state.stale_epochs


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights that a run kept as best."""
    with safe_open(path, framework="pt") as f:
        network.load_state_dict({key: f.get_tensor(key) for key in f.keys()})  # noqa: SIM118


def train(
    dataset: Dataset,
    config: TrainConfig,
    runs: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    teacher: NDArray[np.float32] | None = None,
) -> Run:
    """Train one network, or go on where an earlier call was cut off, or return at once if it was finished.

    Args:
        dataset: labelled faces; the whole set stays on the device as uint8.
        config: everything that decides the result.
        runs: folder of all runs.
        on_epoch: told each epoch's row of figures as it is done.
        teacher: (n, 7) probabilities of the training images in the split's order, for `distil_weight`.

    Returns:
        The finished run.

    Raises:
        InputError: the data do not fit the config, or the training diverged.
        OutputError: the runs folder cannot be written.
    """
    if (config.distil_weight > 0) != (teacher is not None):
        raise InputError(
            "distil_weight and a teacher belong together; put the setting under `student` of a study file that has "
            "`members`, and run it with `emoscope study run`"
        )
    split = create_split(dataset, config.protocol, config.split_seed)
    digest = "" if teacher is None else hashlib.sha256(teacher.astype("<f4").tobytes()).hexdigest()
    run = open_run(runs, config, split, dataset, digest)
    if run.is_finished:
        log.info("run %s is finished already", run.folder)
        return run
    trainer = Trainer(dataset, split, config, run, teacher)
    if run.checkpoint_path.is_file():
        trainer.state.load(run.checkpoint_path)
        log.info("run %s goes on after epoch %d", run.folder, trainer.state.epoch)
    while not trainer.is_done:
        on_epoch(trainer.run_epoch())
    trainer.finish()
    return run
