"""The roll network: faces turned at random in; what tells their angle out. Nobody has to label anything."""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from emoscope.faces.upright import LEAST_DEVIATION, SIZE_PX, create_circle
from emoscope.study.geometry.onnx_files import write_network
from emoscope.study.training.batches import Augmentation, degrade, erase

WIDTHS = (16, 32, 32, 64, 64, 96, 96)
"""Of seven 3 x 3 convolutions; every second one halves the picture."""
ZOOM = (0.85, 1.2)
"""Smallest and largest size of a face, 1 as FER2013 shows it: detectors cut a little wider or narrower."""
SHIFT = 0.06
"""Largest shift as a share of the side."""
WORSE = Augmentation(erase_probability=0.25, degrade_probability=0.25, noise=0.06)
"""Some faces are softened, noisy or half covered."""
WRONG_WAY_DEG = 90.0
"""An error beyond this puts a face the wrong way up."""


def create_network() -> nn.Module:
    """Return the network: (n, 1, SIZE_PX, SIZE_PX) in, (n, 2) sine and cosine of the angle out."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(zip((1, *WIDTHS), WIDTHS, strict=False)):
        conv = nn.Conv2d(n_in, n_out, 3, 2 if i % 2 else 1, 1, bias=False)
        layers += [conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    # No pooling: where something is decides.
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(WIDTHS[-1] * (SIZE_PX // 8) ** 2, 2))


def turn(faces: Tensor, angle: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    """Turn, zoom, shift and resize faces in one resampling.

    Args:
        faces: (n, 1, h, w) float32.
        angle: (n,) radians, clockwise as one sees it.
        zoom: (n,) the face's size afterwards, 1 as it was.
        shift: (n, 2) as a share of the side.

    Returns:
        (n, 1, SIZE_PX, SIZE_PX) float32, the edge pixels going on outside.
    """
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    # Grid coordinates run from -1 to 1: a share of the side is twice as long.
    matrix = torch.stack([cos, sin, 2 * shift[:, 0], -sin, cos, 2 * shift[:, 1]], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, [len(faces), 1, SIZE_PX, SIZE_PX], align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


def standardize(faces: Tensor) -> Tensor:
    """Return faces (n, 1, SIZE_PX, SIZE_PX) with mean 0 and deviation 1 within the circle, 0 outside.

    As emoscope.faces.upright does.
    """
    circle = torch.from_numpy(create_circle()).to(faces.device)
    inside = faces[:, 0, circle]
    values = (inside - inside.mean(1, keepdim=True)) / (inside.std(1, keepdim=True, correction=0) + LEAST_DEVIATION)
    out = torch.zeros_like(faces)
    out[:, 0, circle] = values
    return out


class RollTask:
    """Learns angles from faces of a dataset that it turns itself."""

    def __init__(self, train: NDArray[np.uint8], validation: NDArray[np.uint8]) -> None:
        """Take the faces.

        Args:
            train: (n, h, w) grey faces, nearly upright.
            validation: others, for measure().
        """
        self.train, self.validation = (torch.from_numpy(faces) for faces in (train, validation))
        self.network = create_network()

    def draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return n turned faces and sine and cosine of their angles (n, 2)."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.train), (n,), generator=generator)
        return self.turn_at_random(self.train[rows], generator, with_worse=True)

    def turn_at_random(self, faces: Tensor, generator: torch.Generator, with_worse: bool) -> tuple[Tensor, Tensor]:
        """Return faces (n, h, w) uint8 turned by any angle, as the network takes them, and sine and cosine (n, 2)."""
        n = len(faces)
        x = faces.unsqueeze(1).float().div_(255)
        mirrored = torch.rand(n, generator=generator) < 0.5
        x = torch.where(mirrored.view(n, 1, 1, 1), x.flip(3), x)
        angle = torch.empty(n).uniform_(-math.pi, math.pi, generator=generator)
        zoom = torch.empty(n).uniform_(*ZOOM, generator=generator)
        shift = torch.empty(n, 2).uniform_(-SHIFT, SHIFT, generator=generator)
        x = turn(x, angle, zoom, shift)
        if with_worse:
            x = degrade(x, WORSE, generator)
        x = standardize(x)
        if with_worse:
            erase(x, WORSE, generator)
            x *= torch.from_numpy(create_circle())
        return x, torch.stack([angle.sin(), angle.cos()], dim=1)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the smooth L1 distance of sine and cosine; who cannot know goes towards 0, 0."""
        return F.smooth_l1_loss(outputs, targets, beta=0.3)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Return the errors in degrees on validation faces at random angles."""
        generator = torch.Generator().manual_seed(0)
        x, targets = self.turn_at_random(self.validation, generator, with_worse=False)
        with torch.inference_mode():
            outputs = torch.cat([network(x[i : i + 512]) for i in range(0, len(x), 512)])
        return describe_errors(outputs.numpy(), targets.numpy())

    def write(self, network: nn.Module, path: Path) -> None:
        """Write the network as ONNX with int8 weights, the ranges set by turned training faces.

        Raises:
            ModelError: ONNX Runtime computes something else than torch.
            OutputError: the place cannot be written.
        """
        batches = [self.draw(64, seed)[0].numpy() for seed in range(16)]
        write_network(network, path, batches, ["turn"], {0: torch.export.Dim("batch", min=1, max=4096)})


def describe_errors(outputs: NDArray[np.float32], targets: NDArray[np.float32]) -> dict[str, float]:
    """Return median and 90 % error in degrees, and the share of faces the wrong way up, of sines and cosines (n, 2)."""
    angles = (np.arctan2(part[:, 0], part[:, 1]) for part in (outputs, targets))
    difference = np.subtract(*angles)
    error = np.degrees(np.abs((difference + np.pi) % (2 * np.pi) - np.pi))
    return {
        "median_deg": float(np.median(error)),
        "p90_deg": float(np.percentile(error, 90)),
        "wrong_way": float((error > WRONG_WAY_DEG).mean()),
    }
