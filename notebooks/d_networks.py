# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # D. The networks, drawn from themselves
#
# VGG, ResNet, DenseNet and Inception as diagrams and tables. No drawing here was made by hand: each network is built,
# a picture is sent through it, and the layers are noted down as they are carried out. A mistake in a drawing would be
# a mistake in the network.

# %%
SIZE_PX, INCEPTION_PX = 48, 75  # Inception takes no smaller picture

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

import pandas as pd
from matplotlib.patches import Patch

from emoscope.study.drawings.axes import BLUE, INK, RED
from emoscope.study.drawings.graphs import choose_colour, draw_graphs, find_figure_size
from emoscope.study.networks.catalogue import REFERENCE, create_network
from emoscope.study.networks.layers import count_parameters, cut_block, fold_layers, list_layers
from emoscope.study.networks.vgg import Branches
from emoscope.study.report import show_figure


def read(name, size_px=0, **options):
    size_px = size_px or (INCEPTION_PX if name in ("inception_v3", "inception_resnet_v2") else SIZE_PX)
    network = create_network(name, size_px=size_px, **options)
    layers = list_layers(network, size_px)
    assert sum(layer.n_parameters for layer in layers) == count_parameters(network)
    return layers


def show_graphs(key, caption, graphs, names=False):
    return show_figure(key, caption, find_figure_size(graphs), lambda figure: draw_graphs(figure, graphs, names))


def show_table(layers):
    rows = [
        {
            "layer": layer.name or layer.kind,
            "what": layer.kind,
            "output": " x ".join(map(str, layer.shape)),
            "parameters": f"{layer.n_parameters:,}",
        }
        for layer in layers
    ]
    return pd.DataFrame(rows).set_index("layer")


# %% [markdown]
# ## All ten at a glance
# Each line is a network from the picture (left) to the seven outputs (right), one step per layer with weights. The
# height is the side of its maps on a scale of halvings. Depth, and where the map shrinks, are all that differs at this
# distance: VGG has few layers, all of them wide; ResNet152 and DenseNet201 have many, most of them where the map is
# small.

# %%
networks = {name: read(name) for name in REFERENCE}


def draw_all(figure):
    longest = max(sum(layer.n_parameters > 0 for layer in layers) for layers in networks.values())
    for axes, (name, layers) in zip(figure.subplots(len(networks), 1), networks.items(), strict=True):
        learning = [layer for layer in layers if layer.n_parameters and layer.kind.startswith(("conv", "dense"))]
        heights = [1 + (layer.shape[-1] if len(layer.shape) == 3 else 1).bit_length() for layer in learning]
        axes.fill_between(range(len(heights) + 1), [*heights, heights[-1]], step="post", color=BLUE, linewidth=0)
        axes.bar(len(heights) - 0.5, heights[-1], width=1.6, color=RED)
        axes.set(xlim=(-1, longest * 0.62), ylim=(0, 8.5))
        axes.set_axis_off()
        total = sum(layer.n_parameters for layer in layers)
        axes.text(-2, 3, name, ha="right", color=INK, fontsize=9)
        axes.text(len(learning) + 2, 2.5, f"{len(learning)} layers, {total / 1e6:.1f} M", color=INK, fontsize=8)


show_figure(
    "all",
    f"Layers with weights of the reference study's ten networks at {SIZE_PX} px, the Inceptions at "
    f"{INCEPTION_PX} px; the last bar is the classifier.",
    (8.5, 5.2),
    draw_all,
)

# %% [markdown]
# ## VGG and ResNet: a stack, and a stack with shortcuts
# A block of VGG is convolutions one after the other and a pooling that halves the map. A block of ResNet V2 thins
# its input with 1 x 1 filters, looks with 3 x 3, widens again, and **adds** the result to what came in. The line at
# the side is the shortcut: no weight lies on it. Where the number of channels changes, a 1 x 1 convolution does. In
# the boxes: `/ 2` is a stride, and the small line is channels x side².

# %%
show_graphs(
    "vgg-resnet",
    "A block of VGG16, and two of ResNet50V2: the first of a stage, and those that follow.",
    {
        "VGG16, block 3": cut_block(networks["vgg16"], "blocks.2"),
        "ResNet50V2, first block": cut_block(networks["resnet50v2"], "blocks.conv2_block1"),
        "second block": cut_block(networks["resnet50v2"], "blocks.conv2_block2"),
    },
)

# %% [markdown]
# ## DenseNet: keep everything
# A dense layer does not add its result but puts it **beside** all earlier ones, and the next layer reads all of them.
# Each contributes few maps (12 here, 32 in DenseNet121). A transition between blocks halves the number of maps and
# their side. The drawing shows a block of three layers, of the thin `densenet-mini`; DenseNet201's third block has 48.

# %%
dense = read("densenet-mini")
compact = read("compact")
show_graphs(
    "densenet",
    "A dense block and the transition behind it; right, a block of the embedded network: a residual block "
    "whose channels are weighed by a small network of their own (squeeze and excitation).",
    {
        "densenet-mini, block 1": cut_block(dense, "features.denseblock1"),
        "transition": cut_block(dense, "features.transition1"),
        "compact, block 3": cut_block(compact, "blocks.2"),
    },
)

# %% [markdown]
# ## Inception: several filters at once
# Which size of filter is right? Inception does not decide: 1 x 1, 3 x 3 and larger ones look at the same input side by
# side, and their maps are put together. 1 x 1 filters before them keep the cost down; a 7 x 7 filter is taken apart
# into 1 x 7 and 7 x 1.

# %%
inception = networks["inception_v3"]
show_graphs("inception-a", "Inception V3, the first kind of block.", {"Mixed_5b": cut_block(inception, "Mixed_5b")})

# %%
show_graphs(
    "inception-c", "Its last kind, in which paths fork a second time.", {"Mixed_7b": cut_block(inception, "Mixed_7b")}
)

# %%
show_graphs(
    "inception-resnet",
    "Inception-ResNet V2 has both: paths side by side, scaled down, added to the input. Left, a block that "
    "halves the map.",
    {
        "Inception V3, Mixed_6a": cut_block(inception, "Mixed_6a"),
        "Inception-ResNet V2, repeat.0": cut_block(networks["inception_resnet_v2"], "repeat.0"),
    },
)

# %% [markdown]
# ## VGG16 with branches
# The reference study's own network (chapter 3): the outputs of the three blocks before the last reach the head
# directly, each through 1 x 1 filters and a dense layer. Each box is a block of several layers.

# %%
branched = read("vgg16", branches=Branches(3))
folded = fold_layers(branched, 2)
show_graphs("branches", "VGG16 with three branches.", {"vgg16, branches: 3": folded}, names=True)

# %%
show_table(folded)

# %% [markdown]
# Nearly all of what the branches cost lies in their dense layers, which read every place of a block's map: 12.5 million
# numbers to learn from 25,000 faces, beside 14.7 million that come pretrained. Three quarters of them belong to the
# earliest branch, whose map is the largest.
#
# ## Tables of layers
# The blocks of one network of each family; below, every layer of the embedded network's first residual block. The
# parameters of a table add up to the network's.

# %%
show_table(fold_layers(networks["vgg16"], 2))

# %%
show_table(fold_layers(networks["resnet50v2"], 2))

# %%
show_table(fold_layers(networks["densenet121"], 2))

# %%
show_table(fold_layers(inception, 1))

# %%
show_table(cut_block(compact, "blocks.0"))

# %% [markdown]
# ## Where the parameters are
# Convolutions hold nearly all of them, batch norms hardly any. The original VGG had two dense layers of 4,096 behind
# its blocks, 120 million numbers; the study leaves them out.

# %%
kinds = ("convolutions", "batch norms", "dense")


def count(layers, kind):
    words = {"convolutions": "conv", "batch norms": "batch norm", "dense": "dense"}[kind]
    return sum(layer.n_parameters for layer in layers if layer.kind.startswith(words))


counts = {
    name: {kind: count(layers, kind) for kind in kinds}
    for name, layers in {**networks, "vgg16, 3 branches": branched, "compact": compact}.items()
}


def draw_counts(figure):
    axes, colours = figure.add_subplot(), (choose_colour("conv"), choose_colour("batch norm"), RED)
    left = [0.0] * len(counts)
    for kind, colour in zip(kinds, colours, strict=True):
        values = [row[kind] / 1e6 for row in counts.values()]
        axes.barh(range(len(counts)), values, left=left, height=0.62, color=colour)
        left = [a + b for a, b in zip(left, values, strict=True)]
    for i, total in enumerate(left):
        axes.annotate(f"{total:.1f}", (total, i), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(counts)), list(counts))
    axes.set(xlabel="million parameters", xlim=(0, 85), ylim=(len(counts) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.legend(
        handles=[Patch(color=c, label=k) for k, c in zip(kinds, colours, strict=True)], frameon=False, loc="lower right"
    )


show_figure("counts", "Parameters by kind of layer.", (7.5, 3.6), draw_counts)

# %%
table = pd.DataFrame(counts).T
table["all"] = table.sum(axis=1)
table.map("{:,}".format)
