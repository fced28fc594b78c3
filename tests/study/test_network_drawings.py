"""Layers listed from a network, their drawings, and the picture of splits."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from emoscope.core.errors import InputError
from emoscope.study.data.splits import create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.folds import draw_folds, find_parts, order_images
from emoscope.study.drawings.graphs import draw_graphs, find_figure_size, place_layers
from emoscope.study.networks.catalogue import create_network
from emoscope.study.networks.layers import INPUT, Layer, count_parameters, cut_block, fold_layers, list_layers
from emoscope.study.networks.vgg import Branches
from emoscope.study.report import show_figure

NAMES = ("compact-tiny", "vgg-se", "vgg16-tiny", "resnet50v2-tiny", "densenet-mini", "inception-tiny")


def list_named(name: str) -> tuple[nn.Module, list[Layer]]:
    branches = Branches(3, filters=4, width=8) if name.startswith("vgg16") else None
    network = create_network(name, dropout=0.2, branches=branches)
    return network, list_layers(network, 48)


@pytest.mark.parametrize("name", NAMES)
def test_the_layers_are_the_networks(name: str) -> None:
    network, layers = list_named(name)
    assert network.training
    assert sum(layer.n_parameters for layer in layers) == count_parameters(network) > 5000
    assert layers[0].kind == INPUT and layers[0].shape == (1, 48, 48) and layers[-1].shape == (7,)
    assert all(s < i for i, layer in enumerate(layers) for s in layer.sources)
    # Whatever is computed is used, up to the logits.
    assert {s for layer in layers for s in layer.sources} == set(range(len(layers) - 1))
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> None:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            seen[name] = tuple(output.shape[1:])

        network.get_submodule(name).register_forward_hook(hook)

    learning = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm2d)}
    for n in learning:
        note(n)
    network.eval()(torch.zeros(1, 1, 48, 48))
    listed = {layer.name: layer for layer in layers if layer.n_parameters}
    assert set(listed) == set(learning)
    assert {n: layer.shape for n, layer in listed.items()} == seen
    assert {n: layer.n_parameters for n, layer in listed.items()} == {
        n: count_parameters(m) for n, m in learning.items()
    }


def test_kinds_are_said_in_the_fields_words() -> None:
    kinds = {
        layer.kind for name in ("compact-tiny", "densenet-mini", "inception-tiny") for layer in list_named(name)[1]
    }
    assert {"conv 3 × 3", "conv 3 × 3 / 2", "conv 1 × 1", "batch norm", "batch norm, ReLU", "ReLU", "add"} <= kinds
    assert {"concatenate", "multiply", "average", "dense", "dropout", "average pool 2 × 2 / 2"} <= kinds
    assert not [kind for kind in kinds if kind.startswith("_") or "<" in kind]


def test_blocks_are_folded_and_cut_out() -> None:
    _, layers = list_named("vgg16-tiny")
    folded = fold_layers(layers, 2)
    assert sum(layer.n_parameters for layer in folded) == sum(layer.n_parameters for layer in layers)
    by_name = {layer.name: layer for layer in folded}
    assert by_name["blocks.1"].shape == (16, 12, 12) and by_name["branches.3"].shape == (8,)
    [joined] = [layer for layer in folded if layer.kind == "concatenate"]
    assert {folded[s].name for s in joined.sources} == {"branches.1", "branches.2", "branches.3", "body.1"}
    block = cut_block(layers, "blocks.2")
    assert [layer.kind for layer in block] == [INPUT, *["conv 3 × 3", "ReLU"] * 3, "max pool 2 × 2 / 2"]
    assert block[0].shape == (16, 12, 12) and [layer.sources for layer in block] == [(), *((i,) for i in range(7))]
    with pytest.raises(InputError, match=r"no block blocks\.9; choose one of blocks\.0, blocks\.1"):
        cut_block(layers, "blocks.9")


def test_a_network_that_looks_at_values_is_refused() -> None:
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(48, 7)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layer(x.mean((1, 2))) if x.sum() > 0 else self.layer(-x.mean((1, 2)))
            return out

    network = Fickle()
    with pytest.raises(InputError, match="cannot be listed at 48 px"):
        list_layers(network, 48)
    assert network.training


def chain(*sources: tuple[int, ...]) -> list[Layer]:
    return [Layer("x", "conv", (1, 1, 1), 0, s) for s in sources]


FORKED = chain(
    *((), (0,), (1,), (0,), (3,), (4,), (4,), (5, 6), (0,), (8,), (9,), (10,), (10,), (11, 12), (0,), (14,)),
    *((2, 7, 13, 15), (16,), (17,), (16,), (18, 19)),
)
"""Inception's last kind of block, whose paths fork a second time, and a residual one behind it."""


@pytest.mark.parametrize("name", [*NAMES, "forked"])
def test_no_two_boxes_overlap_and_every_line_runs_down(name: str) -> None:
    layers = FORKED if name == "forked" else list_named(name)[1]
    boxes = place_layers(layers)
    taken = [(box.level, lane) for box in boxes for lane in range(box.first, box.last + 1)]
    assert len(taken) == len(set(taken))
    assert all(boxes[s].level < boxes[i].level for i, layer in enumerate(layers) for s in layer.sources)
    # Lanes are used again: no drawing grows wider and wider.
    assert max(box.last for box in boxes) <= 5


def test_a_drawing_has_a_box_for_each_layer_and_an_arrow_for_each_connection() -> None:
    graphs = {"a": cut_block(list_named("densenet-mini")[1], "features.denseblock1"), "b": FORKED}
    figure = Figure(figsize=find_figure_size(graphs))
    draw_graphs(figure, graphs)
    for axes, layers in zip(figure.axes, graphs.values(), strict=True):
        boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
        assert len(boxes) == len(layers) and len(axes.lines) == sum(len(layer.sources) for layer in layers)
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        for box in boxes:
            assert left <= box.get_x() and box.get_x() + box.get_width() <= right
            assert top <= box.get_y() and box.get_y() + box.get_height() <= bottom
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]


def test_the_picture_of_folds_is_the_splits() -> None:
    dataset = create_synthetic(200)
    splits = [create_thesis_split(dataset, seed=0, fold=fold, n_folds=4) for fold in range(4)]
    parts = find_parts(len(dataset), splits)
    for row, split in zip(parts, splits, strict=True):
        for value, rows in enumerate((split.train, split.validation, split.test)):
            assert sorted(np.flatnonzero(row == value)) == sorted(rows)
    axes = Figure().add_subplot()
    draw_folds(axes, dataset, splits)
    picture = np.asarray(axes.images[0].get_array())
    order = order_images(dataset, splits)
    assert sorted(order) == list(range(200)) and (np.diff(dataset.emotion[order].astype(int)) >= 0).all()
    colours = np.unique(picture[::5].reshape(-1, 4), axis=0)
    assert len(colours) == 3
    for value in range(3):
        shown = picture[::5][parts[:, order] == value]
        assert len(np.unique(shown, axis=0)) == 1
    left_out = dataclasses.replace(splits[0], train=splits[0].train[1:])
    assert find_parts(200, [left_out])[0, splits[0].train[0]] == 3


def test_a_notebooks_figure_follows_its_colours_and_keeps_its_pixels() -> None:
    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.set_title("words")
        right.imshow(np.eye(3), interpolation="none")

    html = show_figure("k", "What it shows.", (4, 2), draw)._repr_html_()
    assert "max-width: 384px" in html and "var(--ink)" in html and "#1c1f24" not in html.partition("</style>")[2]
    [image] = re.findall(r"<image [^>]*>", html)
    assert 'width="3"' in image and "pixelated" in image
    assert "<figcaption>What it shows.</figcaption>" in html
