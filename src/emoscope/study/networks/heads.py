"""What follows a body of convolutions: its map of features flattened, and the constants of its batch norms."""

from typing import Literal

import torch
from torch import Tensor, nn

from emoscope.core.errors import InputError

Pooling = Literal["own", "average", "flatten"]
"""How a map of features becomes a vector; `own` is what the architecture does: VGG flattens, all others average."""


class FlattenedHead(nn.Module):
    """A body, its map of features flattened, a classifier: the head of Keras's examples, position by position.

    Smaller pictures than the final ones fit too: their features are averaged to the final map's size.
    """

    def __init__(self, body: nn.Module, name: str, size_px: int, dropout: float, n_classes: int) -> None:
        super().__init__()
        body.eval()
        with torch.no_grad():
            shape = body(torch.zeros(1, 1, size_px, size_px)).shape
        body.train()
        if len(shape) != 4:
            raise InputError(f"{name} has no map of features to flatten; set `head_pooling: own`")
        self.body = body
        self.pool = nn.AdaptiveAvgPool2d(shape[2:])
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(shape[1] * shape[2] * shape[3], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        logits: Tensor = self.classifier(self.dropout(self.pool(self.body(x)).flatten(1)))
        return logits


def set_norms(network: nn.Module, momentum: float, epsilon: float) -> None:
    """Set the constants of all batch norms; 0 leaves the network's own.

    Args:
        network: changed in place.
        momentum: share of a new batch in the running statistics, 1 - Keras's.
        epsilon: added to the variance.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum or module.momentum
            module.eps = epsilon or module.eps
