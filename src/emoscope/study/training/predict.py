"""A network with its weights and faces in, logits out."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import DamagedError
from emoscope.faces.preprocess import create_views, preprocess
from emoscope.faces.spec import ModelSpec
from emoscope.study.training.checkpoint import load_tensors

EVALUATION_BATCH = 512
"""Pictures of 48 px at once, fewer of larger ones: an accelerator's memory is finite."""


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
    """Return logits (n, views, 7) of faces (n, h, w) in evaluation mode, inputs made by the runtime's preprocess()."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    out = []
    n = max(1, min(EVALUATION_BATCH, EVALUATION_BATCH * 48**2 // spec.size_px**2) // n_views)
    with torch.inference_mode():
        for i in range(0, len(pixels), n):
            views = [v for face in pixels[i : i + n] for v in create_views(face, n_views)]
            x = torch.from_numpy(preprocess(views, spec))
            x = x.to(device).contiguous(memory_format=torch.channels_last)
            out.append(network(x).float().cpu().numpy())
    network.train(was_training)
    return np.concatenate(out).reshape(len(pixels), n_views, len(EMOTIONS))
