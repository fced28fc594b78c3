"""A network with its weights and faces in, logits out."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emoscope.core.errors import DamagedError
from emoscope.faces.preprocess import create_views, preprocess
from emoscope.faces.spec import ModelSpec
from emoscope.study.training.checkpoint import load_tensors
from emoscope.study.training.memory import free_memory, is_out_of_memory

EVALUATION_BATCH = 512
"""Pictures of 48 px at once, fewer of larger ones, and half as many as often as memory does not do."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Load weights that a run kept as best.

    Raises:
        DamagedError: the file is not as it was written, or of another network.
    """
    tensors, _ = load_tensors(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as e:
        raise DamagedError(path, e) from e


def predict_logits(
    network: nn.Module, pixels: NDArray[np.uint8], spec: ModelSpec, n_views: int = 1
) -> NDArray[np.float32]:
    """Return logits (n, views, classes) of faces (n, h, w) in evaluation mode, inputs made by preprocess()."""
    was_training = network.training
    network.eval()
    at_once = min(EVALUATION_BATCH, EVALUATION_BATCH * 48**2 // spec.size_px**2) or 1
    try:
        while True:
            try:
                return _predict(network, pixels, spec, n_views, at_once)
            except (RuntimeError, MemoryError) as e:
                if at_once == 1 or not is_out_of_memory(e):
                    raise
            # Behind the exception, which holds on to what did not fit.
            at_once //= 2
            free_memory()
    finally:
        network.train(was_training)


@torch.inference_mode()
def _predict(
    network: nn.Module, pixels: NDArray[np.uint8], spec: ModelSpec, n_views: int, at_once: int
) -> NDArray[np.float32]:
    device = next(network.parameters()).device
    out = []
    n = max(1, at_once // n_views)
    for i in range(0, len(pixels), n):
        views = [v for face in pixels[i : i + n] for v in create_views(face, n_views)]
        x = torch.from_numpy(preprocess(views, spec))
        parts = [part.to(device).contiguous(memory_format=torch.channels_last) for part in torch.split(x, at_once)]
        out += [network(part).float().cpu().numpy() for part in parts]
    return np.concatenate(out).reshape(len(pixels), n_views, -1)
