"""Batch normalisation over the batches of all processes: a network in; the same network, its statistics shared, out."""

from typing import Any

import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class _Sum(torch.autograd.Function):
    """The sum over all processes; what it is worth to each of them comes back to all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Add up."""
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Add up what the processes' losses say."""
        total = gradient.clone()
        torch.distributed.all_reduce(total)
        return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """What torch's SyncBatchNorm is on accelerators, for the CPU; every process must have as many images."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, c, h, w), and do what a norm of timm does besides."""
        x = self.normalize(x)
        # timm's norms hold an activation, and a dropout before it.
        for name in ("drop", "act"):
            x = getattr(self, name, nn.Identity())(x)
        return x

    def normalize(self, x: Tensor) -> Tensor:
        """Normalise by the statistics of all processes, or in evaluation by the running ones."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        n = torch.distributed.get_world_size()
        sums: Tensor = _Sum.apply(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))
        sums = sums / n
        mean, variance = sums[0], sums[1] - sums[0].square()
        self._keep(mean.detach(), variance.detach(), n * x.numel() // x.shape[1])
        scale: Tensor = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale + (0 if self.bias is None else self.bias)
        out: Tensor = x * scale[:, None, None] + shift[:, None, None]
        return out

    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1), momentum)


def share_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """Return the network with every batch norm's statistics taken over all processes; names and weights stay."""
    if device.type == "cuda":
        shared: nn.Module = convert_sync_batchnorm(network)
        return shared
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # In place: the weights, buffers and everything that a subclass added stay what they are.
            module.__class__ = SharedBatchNorm2d
    return network
