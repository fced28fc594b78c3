"""The pool of views: training images in, augmented views of each that are drawn once; teachers read every one of them.

A student that learns its teachers' answer to the very view that it sees learns more than from one answer per image
(Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022).
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscope.core.files import open_atomic
from emoscope.study.training.batches import STRENGTHS, alter

CHUNK = 4096
"""Images drawn at once: they and their floats take 150 MB."""


def draw_view(pixels: NDArray[np.uint8], view: int, seed: int) -> NDArray[np.uint8]:
    """Draw one view of each image, warped and lit otherwise.

    Always on the CPU: an accelerator draws other numbers, and whoever reads a pool must see what its student sees.

    Args:
        pixels: (n, h, w).
        view: its number, from 0.
        seed: of the pool.

    Returns:
        (n, s, s), s the longer side.
    """
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, view]).generate_state(1)[0]))
    views = []
    for i in range(0, len(pixels), CHUNK):
        faces = torch.from_numpy(pixels[i : i + CHUNK]).unsqueeze(1).float().div_(255)
        drawn = alter(faces, max(faces.shape[-2:]), STRENGTHS["strong"], generator)
        views.append(drawn.mul_(255).round_().to(torch.uint8).squeeze(1))
    return torch.cat(views).numpy()


def open_pool(path: Path, pixels: NDArray[np.uint8], n_views: int, seed: int) -> Tensor:
    """Return the views (n_views, n, s, s) of images (n, h, w), memory-mapped; drawn if they are not there yet.

    Raises:
        OutputError: the file cannot be written.
    """
    side = max(pixels.shape[1:])
    shape = (n_views, len(pixels), side, side)
    if not path.is_file() or path.stat().st_size < np.prod(shape):
        with open_atomic(path) as temporary:
            pool = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            for view in range(n_views):
                pool[view] = draw_view(pixels, view, seed)
            pool.flush()
    # Changes would stay in memory; torch warns of arrays that cannot be changed.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
