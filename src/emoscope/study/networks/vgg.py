"""VGG with branches: outputs of blocks before the last feed the head directly (the reference study's own network)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emoscope.core.errors import InputError


@dataclass(frozen=True)
class Branches:
    """What the reference study varies of VGG16 (its section on residual branches)."""

    n: int = 0
    """Blocks whose output feeds the head, counted from the one before the last backwards."""
    filters: int = 128
    """1 x 1 filters of a branch."""
    layers: int = 1
    """Dense layers of a branch."""
    width: int = 512
    """Of a branch's dense layers."""
    head_layers: int = 0
    """Dense layers before the outputs."""
    head_width: int = 2048
    """Of the head's dense layers."""


def create_dense(n_in: int, n_layers: int, width: int) -> tuple[nn.Sequential, int]:
    """Return n_layers dense layers with ReLU, and the number of features they give."""
    layers: list[nn.Module] = []
    for _ in range(n_layers):
        layers += [nn.Linear(n_in, width), nn.ReLU()]
        n_in = width
    return nn.Sequential(*layers), n_in


class BranchedVgg(nn.Module):
    """VGG's blocks, the last one's output flattened; branches, each 1 x 1 convolution, flatten, dense layers; a head.

    Without branches and dense layers it is VGG with its head replaced by an output per class. Smaller pictures than the
    final ones fit too: before a flattening, features are averaged to the final size.
    """

    def __init__(
        self,
        features: Sequence[nn.Module],
        size_px: int,
        branches: Branches,
        dropout: float,
        n_classes: int,
        is_averaged: bool = False,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        block: list[nn.Module] = []
        for layer in features:
            block.append(layer)
            if isinstance(layer, nn.MaxPool2d):
                self.blocks.append(nn.Sequential(*block))
                block = []
        shapes = self._find_shapes(size_px)
        n_channels, side = shapes[-1]
        side = 1 if is_averaged else side
        self.body = nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten())
        n_features = n_channels * side**2
        self.branches = nn.ModuleDict()
        for i in range(branches.n):
            index = len(self.blocks) - 2 - i
            n_channels, side = shapes[index]
            dense, n_out = create_dense(branches.filters * side**2, branches.layers, branches.width)
            convolution = nn.Conv2d(n_channels, branches.filters, 1)
            self.branches[str(index)] = nn.Sequential(
                nn.AdaptiveAvgPool2d(side), convolution, nn.ReLU(), nn.Flatten(), dense
            )
            n_features += n_out
        self.head, n_features = create_dense(n_features, branches.head_layers, branches.head_width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_features, n_classes)

    def _find_shapes(self, size_px: int) -> list[tuple[int, int]]:
        """Return channels and side of each block's output."""
        n_channels, shapes = 1, []
        for block in self.blocks:
            assert isinstance(block, nn.Sequential)
            n_channels = [layer.out_channels for layer in block if isinstance(layer, nn.Conv2d)][-1]
            size_px //= 2
            shapes.append((n_channels, size_px))
        if size_px < 1:
            raise InputError(f"VGG halves its input {len(shapes)} times, so it needs at least {2 ** len(shapes)} px")
        return shapes

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        parts = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if str(index) in self.branches:
                parts.append(self.branches[str(index)](x))
        features = self.head(torch.cat([*parts, self.body(x)], dim=1))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
