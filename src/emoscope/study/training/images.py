"""The training images, resident on the device: rows in, a step's inputs and targets out."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscope.core.errors import InputError
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.batches import STRENGTHS, create_batch
from emoscope.study.training.build import find_size_px
from emoscope.study.training.optimize import mix


def find_shares(dataset: Dataset, rows: NDArray[np.int64]) -> Tensor:
    """Return the shares (n, classes) of what raters voted of some images.

    Raises:
        InputError: the dataset holds no votes.
    """
    if dataset.votes is None:
        raise InputError(
            "soft_labels learn raters' votes, and the dataset has none; import FER2013 with --votes fer2013new.csv, "
            "or leave soft_labels out"
        )
    votes = torch.from_numpy(dataset.votes[rows].astype(np.float32))
    return votes / votes.sum(dim=1, keepdim=True)


class TrainingImages:
    """What a training learns from."""

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        config: TrainConfig,
        spec: ModelSpec,
        device: torch.device,
        teacher: NDArray[np.float32] | None = None,
        pool: Tensor | None = None,
    ) -> None:
        """Take the images to the device.

        Args:
            dataset: has them.
            rows: (n,) which are trained on.
            config: of the training.
            spec: of the network's input.
            device: where they stay.
            teacher: (n, classes) what a teacher says of each, or (n, views, classes) of each of their views.
            pool: (views, n, s, s) uint8, where a student learns views.

        Raises:
            InputError: votes are to be learned, and the dataset has none.
        """
        self.config, self.spec, self.device, self.n_classes = config, spec, device, len(dataset.classes)
        self.faces = torch.from_numpy(dataset.pixels[rows]).to(device)
        self.labels = torch.from_numpy(dataset.emotion[rows].astype(np.int64)).to(device)
        self.shares = find_shares(dataset, rows).to(device) if config.soft_labels else None
        """(n, classes) of each image's votes, where those are learned."""
        self.teacher = None if teacher is None else torch.from_numpy(teacher).to(device)
        self.pool = None if pool is None else pool.to(device)

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.faces)

    def create_batch(
        self, rows: Tensor, epoch: int, generator: torch.Generator, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs (n, c, s, s), labels (n,) or shares (n, classes), and any teacher's (n, classes).

        Args:
            rows: (n,) int64 of the training images, on the device.
            epoch: decides size and mixup.
            generator: on the device; whatever differs from image to image is drawn there.
            rng: draws mixup's share, for which the host would have to wait on the device.
        """
        config = self.config
        strength = dataclasses.replace(STRENGTHS[config.augmentation], degrade_probability=config.degrade)
        how = strength if config.augment else None
        size_px = find_size_px(config, config.find_size_px(epoch))
        labels, teacher = self.labels[rows], None if self.teacher is None else self.teacher[rows]
        if self.pool is None or teacher is None:
            x = create_batch(self.faces[rows], size_px, self.spec, how, generator)
        else:
            views = torch.randint(len(self.pool), (len(rows),), device=rows.device, generator=generator)
            x = create_batch(self.pool[views, rows], size_px, self.spec, how, generator, is_altered=True)
            teacher = teacher[torch.arange(len(rows), device=rows.device), views]
        if config.mixup_alpha and epoch < round((1 - config.mixup_off) * config.epochs):
            hard = torch.eye(self.n_classes, device=labels.device)[labels]
            targets = [hard if self.shares is None else self.shares[rows], *([] if teacher is None else [teacher])]
            x, mixed = mix(x, targets, float(rng.beta(config.mixup_alpha, config.mixup_alpha)), generator)
            return x, mixed[0], mixed[1] if teacher is not None else None
        return x, labels if self.shares is None else self.shares[rows], teacher
