"""What one training does: an epoch at a time, each ending with a checkpoint in the run's folder."""

import logging
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from emoscope.core.errors import InputError
from emoscope.core.files import compute_sha256, open_atomic, write_json
from emoscope.faces.preprocess import VIEWS
from emoscope.faces.recognize import calibrate
from emoscope.faces.spec import Calibration
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split
from emoscope.study.measuring.metrics import compute_f1_of, compute_metrics
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.batches import create_batch
from emoscope.study.training.build import build_network, describe_input, find_size_px
from emoscope.study.training.checkpoint import State, read_precision, save_tensors
from emoscope.study.training.images import TrainingImages
from emoscope.study.training.initial import N_MEASURED, find_head, load_initial
from emoscope.study.training.optimize import (
    Loss,
    choose_compile_mode,
    choose_precision,
    climb,
    compute_class_weights,
    create_fabric,
    create_optimizer,
    create_schedule,
)
from emoscope.study.training.pool import open_pool
from emoscope.study.training.predict import load_weights, predict_logits
from emoscope.study.training.run_folder import Result, Run
from emoscope.study.training.run_name import Bars
from emoscope.study.training.shared_norm import share_statistics
from emoscope.study.training.tensorboard import TensorBoard

log = logging.getLogger(__name__)


CHECKPOINT_EVERY_S = 60.0
"""Small networks do several epochs a second, and writing would take longer than they do."""


class DivergedError(InputError):
    """A training whose loss is no number any more; another learning rate may do."""


def compute_seed(seed: int, epoch: int) -> int:
    """Return an epoch's own seed, so that a resumed run draws what the unbroken one would have drawn."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def choose_run_precision(config: TrainConfig, run: Run, decided: str = "") -> str:
    """Return the precision of a run's next epochs, and log why.

    Args:
        config: of the training.
        run: its folder.
        decided: what its study decided once for all trainings that leave it open.
    """
    device = create_fabric().device
    if run.checkpoint_path.is_file():
        precision, reason = read_precision(run.checkpoint_path), "as in the epochs before"
    elif config.precision != "auto" or decided:
        precision, reason = (decided, "as the study decided") if decided else (config.precision, "as configured")
    else:
        precision, reason = choose_precision(device)
    log.info("device %s, precision %s (%s)", device, precision, reason)
    return precision


class Trainer:
    """The parts of one training, set up once."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        config: TrainConfig,
        run: Run,
        teacher: NDArray[np.float32] | None = None,
        n_parts: int = 1,
        fabric: Fabric | None = None,
        precision: str = "",
        bars: Bars = (),
    ) -> None:
        """Set up one process's part of a training; without a fabric, which knows the others, it is the only one."""
        self.config, self.run, self.dataset, self.split, self.n_parts = config, run, dataset, split, n_parts
        self.bars = bars
        self.spec = describe_input(config, dataset.classes)
        self.tensorboard = TensorBoard(run.folder / "tensorboard")
        self.best: dict[str, Tensor] = {}
        """The best weights, until they are written."""
        self.next_checkpoint_s = 0.0
        """By the monotonic clock; a process's first epoch is kept at once."""
        self.n_images = config.batch_size // config.repeats
        """Different images per batch."""
        self.n_batches = len(split.train) // self.n_images
        if self.n_batches == 0:
            raise InputError(
                f"{len(split.train)} training images do not fill one batch of {self.n_images}; "
                "lower --batch-size or add images"
            )
        precision = precision or choose_run_precision(config, run)
        self.fabric = fabric or create_fabric(precision)
        self.is_first = self.fabric.global_rank == 0
        device = self.fabric.device
        # A checkpoint's weights replace the first ones at once.
        is_new = not run.checkpoint_path.is_file()
        network = build_network(config, dataset.classes, is_new=is_new)
        if config.init and is_new:
            load_initial(network, config.network, config.init, self.choose_measured(), dataset.classes)
        network = network.to(device).to(memory_format=torch.channels_last)
        if self.fabric.world_size > 1:
            network = share_statistics(network, device)
        optimizer = create_optimizer(network, config)
        self.averager = (
            ModelEmaV3(network, decay=config.ema_decay, use_warmup=True, foreach=True) if config.ema_decay else None
        )
        self.state = State(network, self.averager.module if self.averager else network, optimizer, precision=precision)
        self.compile_mode = choose_compile_mode(config, device, n_parts) if config.compile else ""
        if config.compile:
            # Sizes are few and fixed: one kernel each is faster than one for all.
            network.compile(dynamic=False, mode=self.compile_mode)
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        self.schedule = create_schedule(optimizer, config, config.epochs * self.n_batches)
        weights = compute_class_weights(dataset.emotion[split.train], config.class_weight_power, len(dataset.classes))
        self.loss = Loss(config, weights.to(device))
        pool = None
        if config.views:
            pool = open_pool(run.pool_path, dataset.pixels[split.train], config.views, config.seed)
        self.images = TrainingImages(dataset, split.train, config, self.spec, device, teacher, pool)

    def choose_measured(self) -> Tensor:
        """Return some training images as the network sees them without augmentation."""
        rows = self.split.train[:: max(1, len(self.split.train) // N_MEASURED)][:N_MEASURED]
        faces = torch.from_numpy(self.dataset.pixels[rows])
        return create_batch(faces, self.spec.size_px, self.spec, None, torch.Generator())

    def freeze(self, epoch: int) -> None:
        """Let only the classifier learn in the first epochs, if the config says so; batch norm stays as it is, too."""
        config, network = self.config, self.state.network
        is_frozen = epoch < round(config.frozen * config.epochs)
        head = network.get_submodule(find_head(network, len(self.dataset.classes)))
        network.requires_grad_(not is_frozen)
        head.requires_grad_(True)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(not is_frozen)

    def step(self, x: Tensor, labels: Tensor, teacher: Tensor | None) -> tuple[Tensor, Tensor]:
        """Do one optimiser update; return the loss and the logits (n, classes)."""
        if self.fabric.world_size > 1:
            return self.step_share(x, labels, teacher)
        return self.update(x, labels, teacher)

    def step_share(self, x: Tensor, labels: Tensor, teacher: Tensor | None) -> tuple[Tensor, Tensor]:
        """Do one optimiser update with this process's part of the batch; return its part of loss and logits.

        Every process makes the whole batch, so that it is the batch of a single one, and takes its part.
        """
        mine = self.find_share(len(x))
        # The cross-entropy divides by the sum of its images' class weights, which differs from part to part.
        share = self.loss.weigh(labels[mine]) * self.fabric.world_size / self.loss.weigh(labels)
        return self.update(x[mine], labels[mine], None if teacher is None else teacher[mine], share)

    def find_share(self, n: int) -> slice:
        """Return which of the n images of a batch are this process's."""
        size, rank = n // self.fabric.world_size, self.fabric.global_rank
        return slice(rank * size, (rank + 1) * size)

    def update(
        self, x: Tensor, labels: Tensor, teacher: Tensor | None, share: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Do one optimiser update; return the loss and the logits (n, classes)."""
        if self.config.sam_rho:
            self.backward(x, labels, teacher, share)
            with climb(self.state.network, self.config.sam_rho):
                self.optimizer.zero_grad()
                loss, logits = self.backward(x, labels, teacher, share)
        else:
            loss, logits = self.backward(x, labels, teacher, share)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss, logits

    def backward(
        self, x: Tensor, labels: Tensor, teacher: Tensor | None, share: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Add up the gradients of a batch, in parts where it does not fit into memory; return loss and logits."""
        losses, logits, n = [], [], self.n_parts
        taught_parts = [None] * n if teacher is None else teacher.tensor_split(n)
        for inputs, targets, taught in zip(x.tensor_split(n), labels.tensor_split(n), taught_parts, strict=True):
            out = self.model(inputs)
            weighed = share
            if n > 1:
                # As among processes: a part's class weights are not the batch's.
                part = self.loss.weigh(targets) / self.loss.weigh(labels) * (len(x) / len(inputs))
                weighed = part if share is None else part * share
            loss = self.loss(out, targets, taught, weighed) * (len(inputs) / len(x))
            self.fabric.backward(loss)
            losses.append(loss.detach())
            logits.append(out.detach())
        return torch.stack(losses).sum(), torch.cat(logits)

    def do_step(
        self, rows: Tensor, epoch: int, step: int, generator: torch.Generator, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Do one whole step, for which the host never waits on the device.

        Args:
            rows: see TrainingImages.create_batch(), as epoch, generator and rng.
            step: counted from 0 over all epochs.

        Returns:
            The loss, and (n,) label * classes + prediction of this process's images.
        """
        self.schedule.step_update(step)
        if self.compile_mode == "reduce-overhead":
            # From here on nobody needs what the captured graphs returned in the step before.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        loss, logits = self.step(*self.images.create_batch(rows, epoch, generator, rng))
        if self.averager:
            self.averager.update(self.state.network, step=step)
        mine = rows[self.find_share(len(rows))]
        return loss, self.images.labels[mine] * len(self.dataset.classes) + logits.argmax(1)

    def fit_epoch(self, epoch: int) -> tuple[float, float]:
        """Train one epoch; return the mean loss and the macro F1 of what was predicted on the way.

        Raises:
            DivergedError: the loss is no number any more.
        """
        config = self.config
        seed = compute_seed(config.seed, epoch)
        # On the device: drawing a GPU's noise on the CPU would take longer than the step.
        generator, rng = torch.Generator(self.images.device).manual_seed(seed), np.random.default_rng(seed)
        order = torch.randperm(len(self.images), device=generator.device, generator=generator)
        self.model.train()
        if config.frozen:
            self.freeze(epoch)
        n_classes, total, found = len(self.dataset.classes), torch.zeros((), device=self.images.device), []
        with torch.random.fork_rng():
            # Dropout: other images need other masks; a single process has the seed that it always had.
            torch.manual_seed(seed + self.fabric.global_rank)
            for i in range(self.n_batches):
                rows = order[i * self.n_images : (i + 1) * self.n_images].repeat_interleave(config.repeats)
                loss, pairs = self.do_step(rows, epoch, epoch * self.n_batches + i, generator, rng)
                total += loss
                found.append(pairs)
        # Counted at the end: for an accelerator's counts the host waits.
        counts = torch.bincount(torch.cat(found), minlength=n_classes**2)
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(total)
            total /= self.fabric.world_size
            torch.distributed.all_reduce(counts)
        mean = float(total) / self.n_batches
        if not np.isfinite(mean):
            raise DivergedError(
                f"the training diverged in epoch {epoch + 1} (loss {mean}); lower --learning-rate and train again"
            )
        return mean, float(compute_f1_of(counts.view(n_classes, n_classes).cpu().numpy()).mean())

    def predict_validation(self, network: nn.Module, n_views: int = 1) -> NDArray[np.float32]:
        """Return the validation images' logits (n, views, classes)."""
        return predict_logits(network, self.dataset.pixels[self.split.validation], self.spec, n_views)

    def run_epoch(self) -> dict[str, float]:
        """Train, validate, select and checkpoint one epoch; return its row of the history.

        Without validation, see `validate_every`, its figures are NaN, and empty cells in the file.
        """
        state, start = self.state, time.perf_counter()
        loss, train_f1 = self.fit_epoch(state.epoch)
        fitted = time.perf_counter()
        nll = accuracy = macro_f1 = math.nan
        if self.config.is_validated(state.epoch + 1):
            figures = compute_metrics(
                calibrate(self.predict_validation(state.ema), Calibration()),
                self.dataset.emotion[self.split.validation],
                self.dataset.classes,
            )
            nll, accuracy, macro_f1 = figures["nll"], figures["accuracy"], figures["macro_f1"]
        row = {
            "epoch": state.epoch + 1,
            "size_px": find_size_px(self.config, self.config.find_size_px(state.epoch)),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": loss,
            "train_macro_f1": train_f1,
            "validation_nll": nll,
            "validation_accuracy": accuracy,
            "validation_macro_f1": macro_f1,
            "fit_s": fitted - start,
            "validate_s": time.perf_counter() - fitted,
        }
        state.history.append(row)
        self.run.check_lease()
        if state.judge(macro_f1, self.config.min_delta):
            self.best = {key: value.detach().cpu().clone() for key, value in state.ema.state_dict().items()}
        self.run.write_history(state.history)
        self.tensorboard.write(row, state.epoch)
        if time.monotonic() >= self.next_checkpoint_s:
            self.write_best()
            state.save(self.run.checkpoint_path)
            self.next_checkpoint_s = time.monotonic() + CHECKPOINT_EVERY_S
        self.agree()
        return row

    def write_best(self) -> None:
        """Write the best weights unless the file holds them: with the checkpoint, so that both tell of one epoch."""
        if self.best:
            metadata = {"epoch": str(self.state.best_epoch + 1), "precision": self.state.precision}
            save_tensors(self.run.best_path, self.best, metadata)
            self.best = {}

    def help_epoch(self) -> None:
        """Do this process's part of an epoch that the first process validates and writes."""
        self.fit_epoch(self.state.epoch)
        self.agree()

    def agree(self) -> None:
        """Tell the other processes, or learn from the first, how far the training is."""
        if self.fabric.world_size > 1:
            state = self.state
            told = self.fabric.broadcast((state.epoch, state.stale_epochs, state.best_macro_f1))
            state.epoch, state.stale_epochs, state.best_macro_f1 = told

    def finish(self, views: Sequence[int] = VIEWS) -> None:
        """Keep the validation logits of the selected weights and write the result."""
        network, run = build_network(self.config, self.dataset.classes, is_new=False), self.run
        self.write_best()
        load_weights(network, run.best_path)
        network.to(self.fabric.device).to(memory_format=torch.channels_last)
        logits = {n_views: self.predict_validation(network, n_views) for n_views in views}
        labels = self.dataset.emotion[self.split.validation]
        run.check_lease()
        with open_atomic(run.validation_path) as temporary:
            arrays: dict[str, NDArray[np.generic]] = {f"logits_{n_views}": values for n_views, values in logits.items()}
            arrays |= {"rows": self.split.validation, "labels": labels}
            np.savez_compressed(temporary, allow_pickle=False, **arrays)
        result: Result = {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch + 1,
            "precision": self.state.precision,
            "parts_per_batch": self.n_parts,
            "train_s": sum(row["fit_s"] + row["validate_s"] for row in self.state.history),
            "validation": compute_metrics(calibrate(logits[1], Calibration()), labels, self.dataset.classes),
            "files": {path.name: compute_sha256(path) for path in (run.best_path, run.validation_path, run.split_path)},
        }
        write_json(run.result_path, result)

    @property
    def is_done(self) -> bool:
        """Whether all epochs are trained, early stopping ended it, or it fell behind its bars."""
        return self.is_done_at(self.state)

    def is_done_at(self, state: State) -> bool:
        """Whether nothing is left to train after a state."""
        if not self.config.is_validated(state.epoch):
            return False
        is_behind = 0 < state.epoch <= len(self.bars) and state.best_macro_f1 < self.bars[state.epoch - 1]
        return is_behind or state.epoch >= self.config.epochs or 0 < self.config.patience <= state.stale_epochs
