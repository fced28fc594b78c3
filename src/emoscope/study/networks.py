"""Networks by name: (n, 1, s, s) float32 in, logits (n, 7) out."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own short name)

from emoscope.emotions import EMOTIONS
from emoscope.errors import InputError


class SqueezeExcitation(nn.Module):
    """Weighs channels by a small bottleneck over their means (Hu et al., 2018)."""

    def __init__(self, n_channels: int, reduction: int = 8) -> None:
        super().__init__()
        n_hidden = max(8, n_channels // reduction)
        self.squeeze = nn.Conv2d(n_channels, n_hidden, 1)
        self.excite = nn.Conv2d(n_hidden, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (n, c, h, w)."""
        means = x.mean((2, 3), keepdim=True)
        weights: Tensor = self.excite(F.relu(self.squeeze(means))).sigmoid()
        return x * weights


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with squeeze-excitation around a shortcut; stride 2 averages in the shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.attention = SqueezeExcitation(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if n_in != n_out or stride != 1:
            # ceil_mode: odd sizes of progressive training must match the strided convolution's.
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, n_out, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.attention(self.norm2(self.conv2(y)))
        return F.relu(y + self.shortcut(x))


class CompactNet(nn.Module):
    """A small residual network with squeeze-excitation and global average pooling.

    The stem halves the resolution at once: at 48 px the stages work on 24, 12 and 6 px. Any input size of 16 px or
    more fits, which progressive training relies on.
    """

    def __init__(
        self, n_stem: int, widths: tuple[int, ...], depths: tuple[int, ...], dropout: float = 0.0, n_channels: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(n_channels, n_stem, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_stem),
            nn.ReLU(),
            nn.Conv2d(n_stem, widths[0], 3, 2, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        blocks = []
        n_in = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for i in range(depth):
                blocks.append(ResidualBlock(n_in, width, 2 if stage > 0 and i == 0 else 1))
                n_in = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_in, len(EMOTIONS))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, 7)."""
        features = self.blocks(self.stem(x)).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


class VggNet(nn.Module):
    """VGG's plain stacks of 3x3 convolutions, with squeeze-excitation, and global average pooling for its head.

    Simonyan and Zisserman, 2015; the 4096-wide layers of the original held nine tenths of its parameters.
    """

    def __init__(self, widths: tuple[int, ...], depth: int, dropout: float = 0.0, n_channels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = n_channels
        for stage, width in enumerate(widths):
            if stage > 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(depth):
                layers += [nn.Conv2d(n_in, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                n_in = width
            layers.append(SqueezeExcitation(width))
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_in, len(EMOTIONS))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, 7)."""
        logits: Tensor = self.classifier(self.dropout(self.body(x).mean((2, 3))))
        return logits


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "compact": partial(CompactNet, 32, (48, 96, 192), (2, 2, 2)),
    "compact-wide": partial(CompactNet, 32, (64, 128, 256), (2, 2, 2)),
    "compact-tiny": partial(CompactNet, 16, (16, 32, 64), (1, 1, 1)),
    "vgg-se": partial(VggNet, (64, 128, 256, 512), 2),
}
"""Name to constructor; each takes `dropout`. compact: 1.6 M parameters, 144 M multiply-adds at 48 px; compact-wide:
2.8 M, 255 M; vgg-se: 4.7 M, 0.5 G, for an accelerator; compact-tiny: for tests and first tries, seconds per run."""


def create_network(name: str, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    """Create a network with random weights.

    Args:
        name: one of NETWORKS.
        dropout: share of features dropped before the classifier.
        seed: of the weights; the global generator is left as it was.

    Raises:
        InputError: no network of this name; choose one that the message lists.
    """
    if name not in NETWORKS:
        raise InputError(f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](dropout=dropout)
