"""Known architectures from timm: grey pictures in, a logit per class out, random or ImageNet weights."""

import dataclasses
import difflib
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from emoscope.core.errors import InputError, shorten
from emoscope.faces.spec import ModelSpec
from emoscope.study.networks.heads import FlattenedHead, Pooling
from emoscope.study.networks.keras_resnet import DEPTHS, KerasResNetV2, fetch_keras_weights, load_keras_weights
from emoscope.study.networks.vgg import BranchedVgg, Branches


class WeightsError(InputError):
    """ImageNet weights that cannot be had; no training that asks for them can begin."""


@dataclass(frozen=True)
class Build:
    """What a network is made for."""

    dropout: float
    """Share of features dropped before the classifier."""
    size_px: int
    """Side of the final input."""
    pretrained: bool
    """Load ImageNet weights."""
    branches: Branches
    """Of VGG."""
    pooling: Pooling
    """Of the reference study's networks and timm's."""
    n_classes: int
    """Outputs."""


@dataclass(frozen=True)
class NetworkFacts:
    """What must be known of a network before it is built."""

    min_size_px: int = 16
    """Smaller inputs are enlarged to this."""
    mean: float = ModelSpec.mean
    """Subtracted from pixel values in 0..1: what the ImageNet weights expect, the mean of the three colours'."""
    std: float = ModelSpec.std
    """Divides what the subtraction left."""
    weights: str = ""
    """Name of the ImageNet weights; empty if there are none."""
    licence: str = ""
    """Of these weights."""


TIMM_NAMES = {
    "vgg16": "vgg16.tv_in1k",
    "vgg19": "vgg19.tv_in1k",
    "densenet121": "densenet121.tv_in1k",
    "densenet169": "densenet169.tv_in1k",
    "densenet201": "densenet201.tv_in1k",
    "inception_v3": "inception_v3.tv_in1k",
    "inception_resnet_v2": "inception_resnet_v2.tf_in1k",
}
"""Our names to timm's. The three ResNet V2 are Keras's: timm's of 50 and 101 layers are laid out and were trained
otherwise, and it has no weights of 152."""

MIN_SIZES_PX = {
    "vgg16": 32,
    "vgg19": 32,
    "inception_v3": 75,
    "inception_resnet_v2": 75,
    "inception-tiny": 40,
    "inception-slim": 40,
}
"""Measured: below, a layer has nothing left to see. 75 px is what Keras asks for the Inceptions."""

KERAS = {name: NetworkFacts(32, 0.5, 0.5, f"Keras {name}", "apache-2.0") for name in DEPTHS}


def find_timm_cfg(name: str) -> Any:
    """Return what timm knows of a network's weights, or None.

    Raises:
        InputError: timm knows no such network, or no such weights of it.
    """
    try:
        if timm.is_model(name):
            return timm.get_pretrained_cfg(name)
        known = timm.list_models()
    except RuntimeError:  # the network is known, the weights named behind the point are not
        known = timm.list_pretrained(f"{name.split('.')[0]}.*")
    close = difflib.get_close_matches(name, known, 3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "see timm.list_models()"
    raise InputError(f"timm has no network {name!r}; {hint}")


def find_timm_facts(name: str) -> NetworkFacts:
    """Return the facts of one of timm's networks by its name there.

    Raises:
        InputError: timm knows no such network.
    """
    cfg = find_timm_cfg(name)
    if cfg is None:
        return NetworkFacts()
    least = max(cfg.min_input_size[1:]) if cfg.min_input_size else 16
    # A dozen old weights are not on the hub; they are pickles, which nothing here loads.
    if not cfg.hf_hub_id:
        return NetworkFacts(least)
    mean, std = sum(cfg.mean) / len(cfg.mean), sum(cfg.std) / len(cfg.std)
    tag = f"{name.split('.')[0]}.{cfg.tag}" if cfg.tag else name
    return NetworkFacts(least, mean, std, f"timm {tag}", cfg.license or "")


def find_architecture_facts(name: str) -> NetworkFacts:
    """Return the facts of a known architecture or of `timm:NAME`."""
    if name in KERAS:
        return KERAS[name]
    if name.startswith("timm:"):
        return find_timm_facts(name.removeprefix("timm:"))
    if name not in TIMM_NAMES:
        return NetworkFacts(MIN_SIZES_PX.get(name, 32))
    facts = find_timm_facts(TIMM_NAMES[name])
    return NetworkFacts(MIN_SIZES_PX.get(name, 32), facts.mean, facts.std, facts.weights, facts.licence)


def create_timm(name: str, build: Build) -> nn.Module:
    """Create one of timm's networks by its name there.

    Raises:
        InputError: no such network, it has no ImageNet weights, or it cannot be made for this input.
        WeightsError: they cannot be fetched.
    """
    facts, cfg = find_timm_facts(name), find_timm_cfg(name)
    options: dict[str, Any] = {"in_chans": 1, "num_classes": build.n_classes, "drop_rate": build.dropout}
    is_fixed = cfg is not None and cfg.fixed_input_size
    if is_fixed:
        options["img_size"] = build.size_px
    if build.pooling == "flatten":
        options |= {"num_classes": 0, "global_pool": "", "drop_rate": 0.0}
    if build.pretrained:
        file = fetch_timm_weights(cfg.hf_hub_id, facts.weights)
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}}
    try:
        network: nn.Module = timm.create_model(name, **options)
    except SafetensorError as e:
        raise create_weights_error(facts.weights, e) from e
    # Every constructor has its own way to refuse an input.
    except (AssertionError, RuntimeError, TypeError, ValueError) as e:
        raise InputError(
            f"timm makes no {name} for grey pictures of {build.size_px} px ({shorten(e)}); choose another of sizes_px "
            "or another network"
        ) from e
    if is_fixed:
        network.register_forward_pre_hook(partial(_check_size, name, build.size_px))
    if build.pooling == "flatten":
        return FlattenedHead(network, name, build.size_px, build.dropout, build.n_classes)
    return network


def _check_size(name: str, size_px: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    if inputs[0].shape[-1] != size_px:
        raise InputError(
            f"{name} takes its final input size and no other, {inputs[0].shape[-1]} px came before {size_px} px; set "
            f"`sizes_px: [{size_px}]` and `size_shares: [1]`"
        )


def fetch_timm_weights(repository: str, weights: str) -> Path:
    """Return the file of weights that timm publishes on the hub, fetched on first use into the hub's own cache.

    Args:
        repository: the hub's name of it.
        weights: the same for messages.

    Raises:
        WeightsError: it is neither cached nor to be had.
    """
    import huggingface_hub
    from huggingface_hub import constants

    file = "model.safetensors"
    cached = huggingface_hub.try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    try:
        if not constants.HF_HUB_OFFLINE:
            # Without a network the hub's client would try for minutes.
            urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=5).close()
    except urllib.error.HTTPError:
        pass  # an answer, if only to say no
    except (OSError, HTTPException) as e:
        raise create_weights_error(weights, e) from e
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file))
    # The hub's client, what it fetches with and the system have no error in common.
    except Exception as e:
        raise create_weights_error(weights, e) from e


def create_weights_error(weights: str, reason: Exception) -> WeightsError:
    """Return the error that says what to do."""
    return WeightsError(
        f"the ImageNet weights {weights} cannot be fetched ({shorten(reason)}); run the command "
        "once where there is a network, copy the cache that it fills (HF_HOME, TORCH_HOME), or set `pretrained: false`"
    )


def create_known(name: str, build: Build) -> nn.Module:
    """Create one of the reference study's networks that timm has."""
    return create_timm(TIMM_NAMES[name], build)


def create_vgg(name: str, build: Build) -> nn.Module:
    """Create VGG16 or VGG19, with branches if asked; the original's dense layers are left out."""
    if build.pretrained:
        body = create_known(name, dataclasses.replace(build, dropout=0.0, size_px=224, pooling="own"))
    else:
        # Thin dense layers: the original's 120 M numbers would be drawn to be thrown away.
        body = timm.create_model(TIMM_NAMES[name].split(".")[0], in_chans=1, num_classes=1, mlp_ratio=0.01)
    assert isinstance(body.features, nn.Sequential)
    return BranchedVgg(
        list(body.features),
        build.size_px,
        build.branches,
        build.dropout,
        build.n_classes,
        is_averaged=build.pooling == "average",
    )


def create_keras_resnet(name: str, build: Build) -> nn.Module:
    """Create one of Keras's ResNet V2.

    Raises:
        WeightsError: Keras's weights cannot be fetched.
    """
    side_px = build.size_px if build.pooling == "flatten" else 0
    network = KerasResNetV2(DEPTHS[name], build.dropout, side_px, build.n_classes)
    if build.pretrained:
        try:
            path = fetch_keras_weights(name)
        except (OSError, HTTPException) as e:
            raise create_weights_error(KERAS[name].weights, e) from e
        load_keras_weights(network, path)
    return network


def probe(network: nn.Module, name: str, size_px: int, n_classes: int) -> None:
    """Check that a network takes an input of this size.

    Raises:
        InputError: it does not, take a larger size; or it is no classifier.
    """
    network.eval()
    try:
        # Not inference_mode: what a network keeps for later, a table of positions, must do for training as well.
        with torch.no_grad():
            shape = tuple(network(torch.zeros(1, 1, size_px, size_px)).shape)
    except (RuntimeError, AssertionError, ValueError) as e:
        raise InputError(f"{name} takes no input of {size_px} px ({shorten(e)}); choose another of sizes_px") from e
    finally:
        network.train()
    if shape != (1, n_classes):
        raise InputError(f"{name} gives values of shape {shape}, expected one per class; choose a classifier")
