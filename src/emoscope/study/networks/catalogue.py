"""Networks by name: (n, 1, s, s) float32 in, logits (n, classes) out."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own short name)

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.study.networks import efficientnet
from emoscope.study.networks.heads import Pooling
from emoscope.study.networks.keras_resnet import DEPTHS, draw_convolutions
from emoscope.study.networks.thin import ThinInception, create_thin_densenet, create_thin_resnet, create_thin_vgg
from emoscope.study.networks.timm_networks import (
    Build,
    NetworkFacts,
    create_keras_resnet,
    create_known,
    create_timm,
    create_vgg,
    find_architecture_facts,
    probe,
)
from emoscope.study.networks.vgg import Branches


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
        self, n_stem: int, widths: tuple[int, ...], depths: tuple[int, ...], dropout: float, n_classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, n_stem, 3, 1, 1, bias=False),
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
        self.classifier = nn.Linear(n_in, n_classes)
        draw_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        features = self.blocks(self.stem(x)).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


class VggNet(nn.Module):
    """VGG's plain stacks of 3x3 convolutions, with squeeze-excitation, and global average pooling for its head.

    Simonyan and Zisserman, 2015; the 4096-wide layers of the original held nine tenths of its parameters.
    """

    def __init__(self, widths: tuple[int, ...], depth: int, dropout: float, n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for stage, width in enumerate(widths):
            if stage > 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(depth):
                layers += [nn.Conv2d(n_in, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                n_in = width
            layers.append(SqueezeExcitation(width))
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_in, n_classes)
        draw_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        logits: Tensor = self.classifier(self.dropout(self.body(x).mean((2, 3))))
        return logits


Constructor = Callable[[Build], nn.Module]

OWN: dict[str, Constructor] = {
    "compact": lambda build: CompactNet(32, (48, 96, 192), (2, 2, 2), build.dropout, build.n_classes),
    "compact-wide": lambda build: CompactNet(32, (64, 128, 256), (2, 2, 2), build.dropout, build.n_classes),
    "compact-tiny": lambda build: CompactNet(16, (16, 32, 64), (1, 1, 1), build.dropout, build.n_classes),
    "vgg-se": lambda build: VggNet((64, 128, 256, 512), 2, build.dropout, build.n_classes),
}
"""compact: 1.6 M parameters, 144 M multiply-adds at 48 px; compact-wide: 2.8 M, 255 M; vgg-se: 4.7 M, 0.5 G, for an
accelerator; compact-tiny: for tests and first tries, seconds per run."""

REFERENCE: dict[str, Constructor] = {
    **{name: partial(create_vgg, name) for name in ("vgg16", "vgg19")},
    **{name: partial(create_keras_resnet, name) for name in DEPTHS},
    **{name: partial(create_known, name) for name in ("densenet121", "densenet169", "densenet201")},
    **{name: partial(create_known, name) for name in ("inception_v3", "inception_resnet_v2")},
}
"""The reference study's ten, with ImageNet weights or without."""

TINY: dict[str, Constructor] = {
    "vgg16-tiny": partial(create_thin_vgg, (8, 16, 16, 32, 32), 3),
    "resnet50v2-tiny": partial(create_thin_resnet, (1, 1, 1, 1), (16, 32, 48, 64)),
    "densenet-tiny": partial(create_thin_densenet, 8, (2, 2, 2, 2)),
    "inception-tiny": lambda build: ThinInception(build.dropout, build.n_classes),
}
"""Thin networks of the same kinds, for quick studies: milliseconds per picture."""

MINI: dict[str, Constructor] = {
    "resnetv2-mini": partial(create_thin_resnet, (1, 1), (32, 64)),
    "densenet-mini": partial(create_thin_densenet, 12, (3, 3)),
}
"""Two stages for pictures of 32 px, of which four would leave one point: they learn from hundreds of faces."""

SLIM: dict[str, Constructor] = {
    "vgg16-slim": partial(create_thin_vgg, (8, 16, 32, 64, 64), 3),
    "vgg19-slim": partial(create_thin_vgg, (8, 16, 32, 64, 64), 4),
    "resnet50v2-slim": partial(create_thin_resnet, (3, 4, 6, 3), (16, 32, 64, 128)),
    "resnet101v2-slim": partial(create_thin_resnet, (3, 4, 23, 3), (16, 32, 64, 128)),
    "densenet121-slim": partial(create_thin_densenet, 4, (6, 12, 24, 16)),
    "inception-slim": lambda build: ThinInception(build.dropout, build.n_classes, is_pooled=True),
}
"""As deep as the reference study's, an eighth as wide (ResNet a sixteenth), the Inception shallower: for a study that a
processor runs in a night."""

TRANSFER: dict[str, Constructor] = {"efficientnet_lite0": efficientnet.create_efficientnet}
"""With ImageNet weights out of the package index, which are at hand where no hub of models is."""

NETWORKS = OWN | REFERENCE | TRANSFER | TINY | MINI | SLIM
"""Name to constructor; each leaves aside what it does not need."""

BRANCHED = ("vgg16", "vgg19", "vgg16-tiny", "vgg16-slim", "vgg19-slim")
"""Networks that take branches."""


def find_network_facts(name: str) -> NetworkFacts:
    """Return what must be known of a network before it is built.

    Raises:
        InputError: no network of this name; choose one that the message lists.
    """
    if name in OWN:
        return NetworkFacts()
    if name not in NETWORKS and not name.startswith("timm:"):
        raise InputError(
            f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}, or timm:NAME for any of timm's"
        )
    if name in TRANSFER:
        return efficientnet.FACTS
    return find_architecture_facts(name)


def create_network(
    name: str,
    dropout: float = 0.0,
    seed: int = 0,
    *,
    size_px: int = 48,
    pretrained: bool = False,
    branches: Branches | None = None,
    pooling: Pooling = "own",
    n_classes: int = len(EMOTIONS),
) -> nn.Module:
    """Create a network: grey pictures (n, 1, s, s) in, logits (n, classes) out.

    Args:
        name: one of NETWORKS, or `timm:NAME`.
        dropout: share of features dropped before the classifier.
        seed: of the weights, with ImageNet weights of the classifier alone; the global generator is left as it was.
        size_px: side of the final input.
        pretrained: load ImageNet weights.
        branches: of VGG.
        pooling: how the last map of features becomes a vector.
        n_classes: outputs.

    Raises:
        InputError: no such network, or it has no such weights, branches, pooling or input size.
        WeightsError: the weights cannot be fetched.
    """
    facts, branches = find_network_facts(name), branches or Branches()
    if branches != Branches() and name not in BRANCHED:
        raise InputError(f"{name} takes no branches and head layers; set them to 0 or choose one of {BRANCHED}")
    is_known = name in NETWORKS
    if pooling != "own" and is_known and name not in REFERENCE:
        raise InputError(f"{name} takes no head_pooling; set it to own, or choose one of {', '.join(REFERENCE)}")
    if pretrained and not facts.weights:
        raise InputError(f"there are no ImageNet weights of {name}; set `pretrained: false` or take another network")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build = Build(dropout, size_px, pretrained, branches, pooling, n_classes)
        network = NETWORKS[name](build) if is_known else create_timm(name.removeprefix("timm:"), build)
    probe(network, name, size_px, n_classes)
    return network
