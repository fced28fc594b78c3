"""One training from its last whole epoch to its end, in this process or in several that share every batch."""

import logging
import threading
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from emoscope.executors.executor import WorkerDiedError
from emoscope.faces.preprocess import VIEWS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.optimize import create_fabric
from emoscope.study.training.run_folder import Run
from emoscope.study.training.trainer import Trainer, choose_run_precision

log = logging.getLogger(__name__)

OnEpoch = Callable[[dict[str, float]], None]


def fit(trainer: Trainer, on_epoch: OnEpoch, keep: bool) -> None:
    """Train until a run is finished, from its last whole epoch on; the first process alone writes."""
    run = trainer.run
    if run.checkpoint_path.is_file():
        trainer.state.load(run.checkpoint_path)
        log.info("run %s goes on after epoch %d", run.folder, trainer.state.epoch)
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
    run.checkpoint_path.unlink()
    if not keep:
        run.best_path.unlink()


def fit_together(
    dataset: Dataset,
    split: Split,
    config: TrainConfig,
    run: Run,
    teacher: NDArray[np.float32] | None,
    n_parts: int,
    on_epoch: OnEpoch,
    keep: bool,
) -> None:
    """Do the same as fit() in a process per device.

    Raises:
        InputError: there are not so many devices, or as Trainer.
        WorkerDiedError: a process died.
    """
    precision = choose_run_precision(config, run)
    fabric = create_fabric(precision, config.devices)
    messages = get_context("spawn").SimpleQueue()
    errors: list[Exception] = []

    def listen() -> None:
        while (message := messages.get()) is not None:
            if isinstance(message, Exception):
                errors.append(message)
            else:
                on_epoch(message)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    arguments = (dataset, split, config, run, teacher, n_parts, keep, precision)
    problem = None
    try:
        fabric.launch(_Share(messages, arguments))
    except (ProcessRaisedException, ProcessExitedException) as e:
        problem = e
    finally:
        messages.put(None)
        listener.join()
    if errors:
        raise errors[0]
    if problem:
        raise WorkerDiedError(f"one of the {config.devices} processes of {run.folder} died ({_shorten(problem)})")


class _Share:
    """One of the processes of fit_together(): called there with its fabric."""

    def __init__(self, messages: Any, arguments: tuple[Any, ...]) -> None:
        # Kept, not passed: Fabric looks into a function's arguments, and refuses frozen dataclasses.
        self.messages, self.arguments = messages, arguments

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in a new process, before Fabric tells the terminal how it connects."""
        self.__dict__.update(state)
        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)

    def __call__(self, fabric: Fabric) -> None:
        """Train until the end."""
        dataset, split, config, run, teacher, n_parts, keep, precision = self.arguments
        try:
            if fabric.global_rank == 0:
                run.lease()
            fit(Trainer(dataset, split, config, run, teacher, n_parts, fabric, precision), self.messages.put, keep)
        except Exception as e:
            self.messages.put(e)
            # Ended with an error, so that the others, who wait for this one, are ended too.
            raise


def _shorten(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[-1][:160]
