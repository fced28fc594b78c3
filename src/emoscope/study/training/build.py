"""A training's config in; its network and what goes into it out."""

from pathlib import Path

from torch import nn

from emoscope.core.emotions import EMOTIONS
from emoscope.faces.spec import ModelSpec
from emoscope.study.networks.catalogue import create_network, find_network_facts
from emoscope.study.networks.heads import set_norms
from emoscope.study.networks.vgg import Branches
from emoscope.study.recipes.training import TrainConfig


def find_size_px(config: TrainConfig, size_px: int) -> int:
    """Return the side of the input that a size of the config means: enlarged where the network takes none so small."""
    return max(size_px, find_network_facts(config.network).min_size_px)


def describe_input(config: TrainConfig, classes: tuple[str, ...] = EMOTIONS) -> ModelSpec:
    """Return a spec that holds what a config says of the network's input, and no more."""
    facts = find_network_facts(config.network)
    return ModelSpec(
        name=config.network,
        size_px=find_size_px(config, config.size_px),
        mean=facts.mean,
        std=facts.std,
        kernel=config.kernel,
        labels=classes,
    )


def build_network(config: TrainConfig, classes: tuple[str, ...] = EMOTIONS, *, is_new: bool = True) -> nn.Module:
    """Create a config's network.

    Args:
        config: says which, and the seed of its weights.
        classes: what its outputs mean.
        is_new: begin as the config says; otherwise the weights are about to be loaded and are not fetched.

    Raises:
        InputError: no such network, or not with this input.
        WeightsError: the ImageNet weights cannot be had.
    """
    network = create_network(
        config.network,
        config.dropout,
        config.seed,
        size_px=find_size_px(config, config.size_px),
        pretrained=config.pretrained and is_new,
        branches=Branches(
            config.branches,
            config.branch_filters,
            config.branch_layers,
            config.branch_width,
            config.head_layers,
            config.head_width,
        ),
        pooling=config.head_pooling,
        n_classes=len(classes),
    )
    set_norms(network, config.norm_momentum, config.norm_epsilon)
    return network


def describe_weights(config: TrainConfig) -> tuple[str, str]:
    """Return where a training's weights come from, one sentence, and the licence of those it began with."""
    facts = find_network_facts(config.network)
    if config.init:
        return f"trained by `emoscope`, beginning with the weights of {Path(config.init).name}", ""
    if not config.pretrained:
        return "trained from scratch by `emoscope`, no other data and no pretrained weights", ""
    return f"trained by `emoscope`, beginning with ImageNet weights ({facts.weights})", facts.licence
