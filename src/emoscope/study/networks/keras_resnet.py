"""Keras's ResNet V2 and the weights that Keras publishes for it, which are those of the reference study.

He et al., Identity mappings in deep residual networks, 2016, as keras.applications builds it: a stack's stride stands
in its last block, the outer convolutions have biases, and the first pooling pads with zeros.
"""

import hashlib
import math
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError, shorten
from emoscope.core.files import open_atomic

URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/resnet/{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
MD5S = {
    "resnet50v2": "fac2f116257151a9d068a22e544a4917",
    "resnet101v2": "c0ed64b8031c3730f411d2eb4eea35b5",
    "resnet152v2": "ed17cf2e0169df9d443503ef94b23b33",
}
"""Of the weights without top, as keras/src/applications/resnet.py gives them."""
DEPTHS = {"resnet50v2": (3, 4, 6, 3), "resnet101v2": (3, 4, 23, 3), "resnet152v2": (3, 8, 36, 3)}
"""Blocks of each stack."""
EPSILON = 1.001e-5
"""Of all batch normalisations, Keras's value."""


def draw_convolutions(network: nn.Module) -> None:
    """Draw the weights of all convolutions anew (He et al., 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Block(nn.Module):
    """Pre-activation, then 1 x 1, 3 x 3 and 1 x 1 convolutions around a shortcut."""

    def __init__(self, n_in: int, n_filters: int, stride: int, has_convolution: bool) -> None:
        super().__init__()
        self.stride = stride
        self.preact_bn = nn.BatchNorm2d(n_in, eps=EPSILON)
        self.conv0 = nn.Conv2d(n_in, 4 * n_filters, 1, stride) if has_convolution else None
        self.conv1 = nn.Conv2d(n_in, n_filters, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_filters, eps=EPSILON)
        self.conv2 = nn.Conv2d(n_filters, n_filters, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_filters, eps=EPSILON)
        self.conv3 = nn.Conv2d(n_filters, 4 * n_filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, 4 n_filters, h / stride, w / stride)."""
        active = F.relu(self.preact_bn(x))
        if self.conv0 is not None:
            shortcut = self.conv0(active)
        else:
            shortcut = F.max_pool2d(x, 1, self.stride) if self.stride > 1 else x
        y = F.relu(self.bn1(self.conv1(active)))
        y = F.relu(self.bn2(self.conv2(y)))
        out: Tensor = shortcut + self.conv3(y)
        return out


class KerasResNetV2(nn.Module):
    """ResNet V2 over grey pictures (n, 1, s, s); `size_px` is their side where features are flattened, else 0."""

    def __init__(
        self, depths: Sequence[int], dropout: float = 0.0, size_px: int = 0, n_classes: int = len(EMOTIONS)
    ) -> None:
        super().__init__()
        self.conv1_conv = nn.Conv2d(1, 64, 7, 2, 3)
        blocks: dict[str, nn.Module] = {}
        n_in = 64
        for stack, depth in enumerate(depths):
            n_filters = 64 * 2**stack
            for i in range(depth):
                stride = 2 if i == depth - 1 and stack < len(depths) - 1 else 1
                blocks[f"conv{stack + 2}_block{i + 1}"] = Block(n_in, n_filters, stride, i == 0)
                n_in = 4 * n_filters
        self.blocks = nn.ModuleDict(blocks)
        self.post_bn = nn.BatchNorm2d(n_in, eps=EPSILON)
        side = math.ceil(size_px / 32) or 1
        self.pool = nn.AdaptiveAvgPool2d(side)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(n_in * side**2, n_classes)
        draw_convolutions(self)

    def compute_features(self, x: Tensor) -> Tensor:
        """Return the features of (n, 1, s, s): averaged over the picture (n, 2048), or flattened."""
        # Features may be negative here, so that padding with zeros is not what torch's pooling does.
        x = F.max_pool2d(F.pad(self.conv1_conv(x), (1, 1, 1, 1)), 3, 2)
        for block in self.blocks.values():
            x = block(x)
        features: Tensor = self.pool(F.relu(self.post_bn(x))).flatten(1)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        logits: Tensor = self.classifier(self.dropout(self.compute_features(x)))
        return logits


PARTS = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
PARTS |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
"""Keras's names of a layer's arrays to torch's."""


def load_keras_weights(network: KerasResNetV2, path: Path) -> None:
    """Load a Keras weights file (h5, without top) into a network; its classifier stays as it is.

    The three colours' filters of the first convolution are summed up: a grey picture shows the same in all three.

    Raises:
        InputError: the file is not one of this network.
    """
    import h5py

    state: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as f:
            for layer in f.attrs["layer_names"]:
                group = f[layer]
                for name in group.attrs["weight_names"]:
                    key, part = _translate(_decode(layer)), re.split(r"[/:]", _decode(name))
                    array = np.asarray(group[name], np.float32)
                    if array.ndim == 4:
                        array = array.transpose(3, 2, 0, 1)
                    if key == "conv1_conv" and array.ndim == 4:
                        array = array.sum(1, keepdims=True)
                    kind = next(p for p in reversed(part) if p in PARTS)
                    state[f"{key}.{PARTS[kind]}"] = torch.from_numpy(np.ascontiguousarray(array))
        found = network.load_state_dict(state, strict=False)
    except (OSError, KeyError, StopIteration, RuntimeError) as e:
        raise InputError(f"{path} holds no weights of this network ({shorten(e)})") from e
    missing = [k for k in found.missing_keys if not k.startswith("classifier") and "num_batches" not in k]
    if missing or found.unexpected_keys:
        raise InputError(f"{path} does not fit the network: {(missing + found.unexpected_keys)[:3]} ...")


def _decode(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _translate(layer: str) -> str:
    """Return our name of Keras's layer, e.g. conv2_block1_1_conv -> blocks.conv2_block1.conv1."""
    match = re.fullmatch(r"(conv\d+_block\d+)_(?:(preact)_bn|(\d)_(conv|bn))", layer)
    if not match:
        return layer
    block, preact, number, kind = match.groups()
    return f"blocks.{block}.{'preact_bn' if preact else kind + number}"


def fetch_keras_weights(name: str) -> Path:
    """Return the published file of one of DEPTHS, fetched on first use into torch's own cache of weights.

    Raises:
        OSError, HTTPException: it cannot be fetched, or is not what was published.
        OutputError: the cache cannot be written.
    """
    url = URL.format(name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        with urllib.request.urlopen(url, timeout=10) as answer:
            content = answer.read()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5S[name]:
            raise OSError(f"{url} gave something else than Keras published, its md5 differs")
        with open_atomic(path) as temporary:
            temporary.write_bytes(content)
    return path
