"""One training: dataset and config in, a finished run folder out; resumes after any interruption."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emoscope.core.errors import InputError
from emoscope.core.files import remove_leftovers
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split, create_split
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.fit import fit, fit_together
from emoscope.study.training.run_folder import Run, open_run
from emoscope.study.training.trainer import Trainer

log = logging.getLogger(__name__)


def train(
    dataset: Dataset,
    config: TrainConfig,
    runs: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    teacher: NDArray[np.float32] | None = None,
    split: Split | None = None,
    keep: bool = True,
) -> Run:
    """Train one network, or go on where an earlier call was cut off, or return at once if it was finished.

    Where a batch does not fit into an accelerator's memory, it is halved once, and the gradients of both halves are
    added up.

    Args:
        dataset: labelled faces; the whole set stays on the device as uint8.
        config: everything that decides the result.
        runs: folder of all runs.
        on_epoch: told each epoch's row of figures as it is done.
        teacher: (n, 7) probabilities of the training images in the split's order, for `distil_weight`.
        split: the one that the config names, where it is at hand.
        keep: keep the weights and the predictions of all views; otherwise figures and single-view predictions, which
            is all that a search or a cross-validation needs.

    Returns:
        The finished run.

    Raises:
        InputError: the data do not fit the config, half a batch does not fit into memory either.
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
    digest = "" if teacher is None else hashlib.sha256(teacher.astype("<f4").tobytes()).hexdigest()
    run = open_run(runs, config, split, dataset, digest)
    if run.is_finished and (run.best_path.is_file() or not keep):
        log.info("run %s is finished already", run.folder)
        return run
    if run.is_finished:
        log.warning("run %s kept no weights; training it again", run.folder)
        run.result_path.unlink()
    run.lease()
    remove_leftovers(run.folder)
    for n_parts in (1, 2):
        try:
            if config.devices > 1:
                fit_together(dataset, split, config, run, teacher, n_parts, on_epoch, keep)
            else:
                fit(Trainer(dataset, split, config, run, teacher, n_parts), on_epoch, keep)
            return run
        except torch.OutOfMemoryError:
            log.warning(
                "%s: a batch of %d at %d px does not fit into the accelerator's memory; %s",
                *(config.network, config.batch_size, config.size_px),
                "going on with two halves of it per step" if n_parts == 1 else "half of it does not either",
            )
            torch.cuda.empty_cache()
    raise InputError(
        f"half a batch of {config.batch_size} images at {config.size_px} px does not fit into the accelerator's "
        "memory; lower batch_size or sizes_px"
    )
