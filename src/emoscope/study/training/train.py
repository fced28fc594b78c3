"""One training: dataset and config in, a finished run folder out; resumes after any interruption.

In this process, or in several that share every batch.
"""

import dataclasses
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from emoscope.core.errors import DamagedError, InputError, shorten
from emoscope.core.files import remove_leftovers, set_aside
from emoscope.executors.executor import WorkerDiedError
from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.checkpoint import load_tensors
from emoscope.study.training.memory import free_memory, is_out_of_memory
from emoscope.study.training.optimize import create_fabric
from emoscope.study.training.run_folder import Run
from emoscope.study.training.run_name import Bars, hash_teacher, open_run
from emoscope.study.training.seal import check_seal
from emoscope.study.training.trainer import Trainer, choose_run_precision

log = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, float]], None]


def train(
    dataset: Dataset,
    config: TrainConfig,
    runs: Path,
    on_epoch: OnEpoch = lambda row: None,
    teacher: NDArray[np.float32] | None = None,
    split: Split | None = None,
    keep: bool = True,
    precision: str = "",
    bars: Bars = (),
) -> Run:
    """Train one network, or go on where an earlier call was cut off, or return at once if it was finished.

    It takes as many threads as torch has; another number is another run, since its sums come out otherwise.

    Where a batch does not fit into memory, it is done in halves, quarters and so on, down to two images at once, and
    their gradients are added up. Batch norm then sees the parts, so networks with it learn a little otherwise.

    Args:
        dataset: labelled faces; the whole set stays on the device as uint8.
        config: everything that decides the result.
        runs: folder of all runs.
        on_epoch: told each epoch's row of figures as it is done.
        teacher: (n, classes) probabilities of the training images in the split's order, for `distil_weight`; with
            `views` (n, views, classes), of each view.
        split: the one that the config names, where it is at hand.
        keep: keep the weights and the predictions of all views; otherwise figures and single-view predictions, which
            is all that a search or a cross-validation needs.
        precision: what a study decided for all its trainings whose config says `auto`; empty: chosen here.
        bars: end the training after an epoch up to which its best validation macro F1 is below the epoch's bar.

    Returns:
        The finished run.

    Raises:
        InputError: the data do not fit the config, or not even two images into memory.
        DivergedError: the loss is no number any more.
        WeightsError: the ImageNet weights cannot be had.
        OutputError: the runs folder cannot be written.
    """
    if (config.distil_weight > 0) != (teacher is not None):
        raise InputError(
            "distil_weight and a teacher belong together; put the setting under `student` of a study file that has "
            "`members`, and run it with `emoscope study run`"
        )
    split = split or create_split(dataset, config)
    run = open_run(runs, config, split, dataset, hash_teacher(teacher), torch.get_num_threads(), bars)
    if run.is_whole(keep):
        log.info("run %s is finished already", run.folder)
        return run
    run.lease()
    remove_leftovers(run.folder)
    n_parts = 1
    while True:
        try:
            if config.devices > 1:
                _fit_together(_Job(dataset, split, config, run, teacher, n_parts, keep, precision, bars), on_epoch)
            else:
                chosen = choose_run_precision(config, run, precision)
                _fit(
                    Trainer(dataset, split, config, run, teacher, n_parts, precision=chosen, bars=bars), on_epoch, keep
                )
            return run
        except DamagedError as e:
            # Whatever is needed is made again from what is left; in the end from the beginning.
            set_aside(e)
        except (RuntimeError, MemoryError) as e:
            if not is_out_of_memory(e):
                raise
            n_parts = _halve(config, n_parts, e)
        # Behind the exception, which holds on to what did not fit, as captured graphs do.
        if config.compile:
            torch.compiler.reset()
        free_memory()


def _halve(config: TrainConfig, n_parts: int, error: Exception) -> int:
    """Return twice as many parts of a batch as did not fit into memory.

    Raises:
        InputError: they would be single images, of which batch norm makes nothing.
    """
    n_images, n_parts = config.batch_size // config.devices, 2 * n_parts
    what = f"{config.network}: {-(-n_images // (n_parts // 2))} images at {config.size_px} px do not fit into memory"
    if n_images // n_parts < 2:
        raise InputError(f"{what} ({shorten(error)}); lower sizes_px or take a smaller network") from error
    log.warning("%s; going on with %d parts of a batch per step", what, n_parts)
    return n_parts


def _fit(trainer: Trainer, on_epoch: OnEpoch, keep: bool) -> None:
    """Train until a run is finished, from its last whole epoch on; the first process alone writes."""
    run = trainer.run
    _resume(trainer)
    # The first process may be done at once, and then removes the checkpoint.
    trainer.fabric.barrier()
    if not trainer.is_first:
        while not trainer.is_done:
            trainer.help_epoch()
        return
    with trainer.tensorboard.open(trainer.state.epoch):
        while not trainer.is_done:
            on_epoch(trainer.run_epoch())
    trainer.finish(VIEWS if keep else VIEWS[:1])
    run.release()
    # Half a gigabyte for the largest networks, and nobody goes on from it.
    run.checkpoint_path.unlink(missing_ok=True)
    run.pool_path.unlink(missing_ok=True)
    if not keep:
        run.best_path.unlink()


def _resume(trainer: Trainer) -> None:
    """Go on after the last whole epoch, or take over a training that ended and lacks only its result.

    Raises:
        DamagedError: a file that is needed is not as it was written; without it the training begins anew.
    """
    run, state = trainer.run, trainer.state
    if run.checkpoint_path.is_file():
        state.load(run.checkpoint_path)
        # Before the first validation there are none.
        if state.best_epoch >= 0:
            if not run.best_path.is_file():
                raise DamagedError(run.checkpoint_path, f"the weights {run.best_path.name} that go with it are gone")
            check_seal(run.best_path)
        log.info("run %s goes on after epoch %d", run.folder, state.epoch)
    elif run.best_path.is_file() and run.history_path.is_file():
        metadata = load_tensors(run.best_path)[1]
        ended = dataclasses.replace(state, history=run.load_history())
        ended.precision = metadata.get("precision", state.precision)
        for row in ended.history:
            ended.judge(row.get("validation_macro_f1", -1.0), trainer.config.min_delta)
        if trainer.is_done_at(ended) and metadata.get("epoch") == str(ended.best_epoch + 1):
            trainer.state = ended


@dataclass(frozen=True)
class _Job:
    """A training that several processes share."""

    dataset: Dataset
    split: Split
    config: TrainConfig
    run: Run
    teacher: NDArray[np.float32] | None
    n_parts: int
    keep: bool
    precision: str
    bars: Bars
    n_threads: int = field(default_factory=torch.get_num_threads)
    """Of each process."""


def _fit_together(job: _Job, on_epoch: OnEpoch) -> None:
    """Do the same as _fit() in a process per device.

    Raises:
        InputError: there are not so many devices, or as Trainer.
        WorkerDiedError: a process died.
    """
    precision = choose_run_precision(job.config, job.run, job.precision)
    fabric = create_fabric(precision, job.config.devices)
    messages: SimpleQueue[dict[str, float] | Exception | None] = get_context("spawn").SimpleQueue()
    errors: list[Exception] = []

    def listen() -> None:
        while (message := messages.get()) is not None:
            if isinstance(message, Exception):
                errors.append(message)
            else:
                on_epoch(message)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    problem = None
    try:
        fabric.launch(_Share(messages, job, precision))
    except (ProcessRaisedException, ProcessExitedException) as e:
        problem = e
    finally:
        messages.put(None)
        listener.join()
    if errors:
        raise errors[0]
    if problem:
        raise WorkerDiedError(
            f"one of the {job.config.devices} processes of {job.run.folder} died ({_shorten(problem)})"
        )


class _Share:
    """One of the processes of _fit_together(): called there with its fabric."""

    def __init__(self, messages: "SimpleQueue[dict[str, float] | Exception | None]", job: _Job, precision: str) -> None:
        # Kept, not passed: Fabric looks into a function's arguments, and refuses frozen dataclasses.
        self.messages, self.job, self.precision = messages, job, precision

    def __setstate__(self, state: dict[str, object]) -> None:
        """Arrive in a new process, before Fabric tells the terminal how it connects."""
        self.__dict__.update(state)
        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)

    def __call__(self, fabric: Fabric) -> None:
        """Train until the end."""
        job = self.job
        torch.set_num_threads(job.n_threads)
        try:
            if fabric.global_rank == 0:
                job.run.lease()
            trainer = Trainer(
                job.dataset, job.split, job.config, job.run, job.teacher, job.n_parts, fabric, self.precision, job.bars
            )
            _fit(trainer, self.messages.put, job.keep)
        except Exception as e:
            self.messages.put(e)
            # Ended with an error, so that the others, who wait for this one, are ended too.
            raise


def _shorten(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[-1][:160]
