"""Thin networks of the reference study's kinds: milliseconds per picture, for studies that a processor can run."""

from functools import partial

from timm.layers import BatchNormAct2d, create_conv2d
from timm.models.densenet import DenseNet
from timm.models.inception_v3 import ConvNormAct, InceptionA
from timm.models.resnetv2 import ResNetV2
from timm.models.vgg import VGG
from torch import Tensor, nn

from emoscope.study.networks.timm_networks import Build
from emoscope.study.networks.vgg import BranchedVgg


def create_thin_vgg(widths: tuple[int, ...], depth: int, build: Build) -> nn.Module:
    """Create VGG with fewer filters.

    Args:
        widths: filters of the five blocks.
        depth: convolutions of each of the last three: 3 as VGG16 has, 4 as VGG19.
        build: what it is made for.
    """
    cfg: list[int | str] = []
    for width, n in zip(widths, (2, 2, depth, depth, depth), strict=True):
        cfg += [*[width] * n, "M"]
    body = VGG(cfg, in_chans=1, num_classes=1, mlp_ratio=0.01)
    return BranchedVgg(list(body.features), build.size_px, build.branches, build.dropout, build.n_classes)


def create_thin_resnet(layers: tuple[int, ...], channels: tuple[int, ...], build: Build) -> nn.Module:
    """Create a pre-activation ResNet of four stages of thin blocks."""
    network: nn.Module = ResNetV2(
        layers=layers,
        channels=channels,
        stem_chs=channels[0],
        in_chans=1,
        num_classes=build.n_classes,
        drop_rate=build.dropout,
        conv_layer=create_conv2d,
        norm_layer=BatchNormAct2d,
        stem_type="fixed",
    )
    return network


def create_thin_densenet(growth: int, layers: tuple[int, ...], build: Build) -> nn.Module:
    """Create a DenseNet of four blocks, whose layers add `growth` features each."""
    network: nn.Module = DenseNet(
        growth_rate=growth, block_config=layers, in_chans=1, num_classes=build.n_classes, drop_rate=build.dropout
    )
    return network


class ThinInception(nn.Module):
    """Two of Inception V3's first blocks on a thin stem.

    Args:
        dropout: share of features dropped before the classifier.
        n_classes: outputs.
        is_pooled: whether the stem halves its output once more: a quarter of the work.
    """

    def __init__(self, dropout: float, n_classes: int, is_pooled: bool = False) -> None:
        super().__init__()
        conv = partial(ConvNormAct, norm_kwargs={"eps": 1e-3}, bias=False)
        pool = [nn.MaxPool2d(3, 2, 1)] if is_pooled else []
        self.stem = nn.Sequential(conv(1, 16, kernel_size=3, stride=2), conv(16, 16, kernel_size=3, stride=2), *pool)
        self.block1 = InceptionA(16, 8, conv)
        self.block2 = InceptionA(232, 8, conv)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(232, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        features = self.block2(self.block1(self.stem(x))).mean((2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
