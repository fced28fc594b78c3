# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # C. What a convolution sees
#
# A network that was trained on FER2013 looks at one face, and we look at what it computes: its filters, its maps of
# features, how pooling makes them smaller, and the altered faces that it was trained with.

# %%
PICTURE = ""  # for example "portrait.jpg"; empty: a portrait in the public domain (Eileen Collins, NASA)
NETWORK = "compact-5-int8"  # an embedded network

# %%
import importlib.util
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from emoscope import Recognizer
from emoscope.core.emotions import EMOTIONS
from emoscope.faces.crop import crop_faces
from emoscope.faces.detect import create_detector
from emoscope.faces.preprocess import preprocess
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.axes import BLUE, GREY, INK, RED
from emoscope.study.networks.catalogue import create_network
from emoscope.study.report import show_figure
from emoscope.study.training.batches import Augmentation, create_batch
from emoscope.study.training.initial import load_initial

# %% [markdown]
# ## The face, and the network
# The same steps as in the application: find the face, cut it out, make it grey and 48 x 48. The network's file holds
# its weights; `load_initial` puts them into a network of torch, whose layers can be watched.

# %%
path = PICTURE or Path(importlib.util.find_spec("skimage").origin).parent / "data" / "astronaut.png"
image = cv2.imread(str(path))
recognizer = Recognizer(NETWORK)
found = create_detector("own").detector.detect(image)
crop = crop_faces(image, found.xyxy[:1], recognizer.spec.crop_margin)[0]
face = torch.tensor(preprocess([crop], recognizer.spec))

drawn = create_synthetic(512).pixels  # to measure the batch norms that the file has folded into its weights
network = create_network(recognizer.spec.network)
load_initial(network, recognizer.spec.network, NETWORK, torch.tensor(preprocess(drawn, recognizer.spec)))
network.eval()
with torch.no_grad():
    logits = network(face)
by_application = recognizer.predict([crop])[0]
pd.DataFrame(
    {"torch, as trained": logits.softmax(1)[0], "the application, calibrated": by_application}, index=EMOTIONS
).round(3).T

# %% [markdown]
# The rows differ because the application makes probabilities honest (chapter 5) and computes in 8 bits. The order of
# the emotions is what to compare.
#
# ## A convolution by hand
# Nine numbers slide over the picture. At each place they are multiplied with the pixels beneath and added up: large
# where the picture looks like the filter. This one answers to edges between dark above and light below. A loop and
# `torch` must agree.

# %%
pixels = face[0, 0]
edge = torch.tensor([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]])
by_hand = torch.zeros(46, 46)
for row in range(46):
    for column in range(46):
        by_hand[row, column] = (pixels[row : row + 3, column : column + 3] * edge).sum()
by_torch = F.conv2d(face, edge[None, None])[0, 0]
float((by_hand - by_torch).abs().max())


# %%
def show_sheet(axes, picture, title, cmap="gray", limit=None):
    axes.imshow(picture, cmap=cmap, vmin=None if limit is None else -limit, vmax=limit, interpolation="none")
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def draw_edge(figure):
    axes = figure.subplots(1, 4, width_ratios=(1, 0.5, 1, 1))
    show_sheet(axes[0], pixels, "the face, 48 px")
    show_sheet(axes[1], edge, "filter", "RdBu_r", 1.5)
    show_sheet(axes[2], by_torch, "answer: red positive, blue negative", "RdBu_r", float(by_torch.abs().max()))
    show_sheet(axes[3], by_torch.relu(), "behind ReLU", "Blues")


show_figure("edge", "A filter for horizontal edges, its answer, and what ReLU leaves of it.", (8.5, 2.5), draw_edge)

# %% [markdown]
# ## Filters that were learnt
# Nobody drew these: they are the first layer's, as training left them. Many are edges of some direction; some are
# spots; a few do hardly anything.

# %%
filters = network.stem[0].weight.detach()[:, 0]
with torch.no_grad():
    answers = network.stem[:3](face)[0]


def make_sheet(tiles, columns, gap=1):
    """Tiles (n, h, w) side by side, each scaled by its own largest value, with empty lines between."""
    n, h, w = tiles.shape
    tiles = tiles / tiles.abs().amax((1, 2), keepdim=True).clamp(min=1e-6)
    sheet = np.full((-(-n // columns) * (h + gap) - gap, columns * (w + gap) - gap), np.nan)
    for i, tile in enumerate(tiles.numpy()):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = np.round(tile * 24) / 24  # few shades make a small file
    return sheet


def draw_filters(figure):
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    show_sheet(left, make_sheet(filters, 8), f"{len(filters)} filters of 3 x 3", "RdBu_r", 1)
    show_sheet(
        right,
        make_sheet(F.avg_pool2d(answers, 2), 8, gap=2),
        "their maps of the face, in the same places",
        "Blues",
    )


show_figure(
    "filters",
    "The first layer: each filter with its own scale (red positive, blue negative), and its answers behind "
    "ReLU, at half size.",
    (8.5, 2.5),
    draw_filters,
)

# %% [markdown]
# ## From edges to shapes
# Each stage halves the map and has more channels. Early maps still look like the face. Late ones have few places, and
# each says how strongly something is there that has no name: a combination of combinations.

# %%
maps = {}
with torch.no_grad():
    x = network.stem(face)
    maps["stem"] = x[0]
    for i, block in enumerate(network.blocks):
        x = block(x)
        maps[f"block {i + 1}"] = x[0]
stages = {name: m for name, m in maps.items() if name in ("stem", "block 2", "block 4", "block 6")}


def choose(m, n=12):
    """The maps that differ most from place to place."""
    return m[m.flatten(1).std(1).argsort(descending=True)[:n]]


def draw_stages(figure):
    for axes, (name, m) in zip(figure.subplots(4, 1), stages.items(), strict=True):
        show_sheet(
            axes,
            make_sheet(choose(m), 12, gap=max(1, m.shape[1] // 12)),
            f"{name}: {m.shape[0]} maps of {m.shape[1]} x {m.shape[2]}",
            "Blues",
        )


show_figure("stages", "Twelve maps of each stage, those that vary most over the face.", (8.5, 3.7), draw_stages)

# %% [markdown]
# ## Pooling
# Where a feature is matters less than whether it is there. Pooling takes four places into one: their largest value or
# their mean. It has no weights. This network halves by stride and averages in its shortcuts; VGG takes the largest.
# At the end the mean over all places (global average pooling) makes one number of each map, whatever its size.

# %%
example = answers[answers.flatten(1).std(1).argmax()][None, None]
pooled = {
    f"a map, {example.shape[-1]} px": example,
    "largest of 2 x 2": F.max_pool2d(example, 2),
    "mean of 2 x 2": F.avg_pool2d(example, 2),
    "largest of 8 x 8": F.max_pool2d(example, 8),
    "mean of 8 x 8": F.avg_pool2d(example, 8),
}


def draw_pooling(figure):
    for axes, (name, m) in zip(figure.subplots(1, 5), pooled.items(), strict=True):
        show_sheet(axes, m[0, 0], name, "Blues")


show_figure("pooling", "One map of the first layer, pooled.", (8.5, 2.0), draw_pooling)

# %% [markdown]
# What pooling buys: move the face by one pixel, and see how much the answers change, as a share of their size.

# %%
moved = torch.roll(face, 1, dims=3)
with torch.no_grad():
    pairs = {"pixels": (face, moved), "first layer": (network.stem[:3](face), network.stem[:3](moved))}
    pairs["first layer, mean of 8 x 8"] = tuple(F.avg_pool2d(m, 8) for m in pairs["first layer"])
    pairs["last block, mean over all"] = tuple(network.blocks(network.stem(m)).mean((2, 3)) for m in (face, moved))
pd.Series({name: float((a - b).norm() / a.norm()) for name, (a, b) in pairs.items()}, name="change").round(3).to_frame()

# %% [markdown]
# ## Augmentation, change by change
# A mirrored, turned or darker face shows the same emotion. In training each face is changed anew in every epoch. Here
# is each change alone, four draws of it, as strong as training has it; the last line has all at once. Mirroring
# happens to half of the draws in every line.

# %%
none = Augmentation(rotation_deg=0, zoom=0, shift=0, brightness=0, contrast=0, erase_probability=0)
usual = Augmentation()
changes = {
    "mirror": {},
    "rotation": {"rotation_deg": usual.rotation_deg},
    "zoom": {"zoom": usual.zoom},
    "shift": {"shift": usual.shift},
    "brightness": {"brightness": usual.brightness},
    "contrast": {"contrast": usual.contrast},
    "erasing": {"erase_probability": 1.0},
    "blur and noise": {"degrade_probability": 1.0},
    "all": {**{k: getattr(usual, k) for k in vars(usual)}, "degrade_probability": 0.3},
}
spec = recognizer.spec
grey = torch.tensor(np.clip((face[0, 0].numpy() * spec.std + spec.mean) * 255, 0, 255).round().astype(np.uint8))


def augment(change, n=4):
    how = Augmentation(**{**vars(none), **change})
    batch = create_batch(grey.repeat(n, 1, 1), 48, spec, how, torch.Generator().manual_seed(3))
    return (batch[:, 0] * spec.std + spec.mean).clamp(0, 1)


def draw_augmentation(figure):
    for axes, (name, change) in zip(figure.subplots(3, 3).flat, changes.items(), strict=True):
        row = np.full((48, 4 * 50 - 2), np.nan)
        for i, picture in enumerate(augment(change)):
            row[:, 50 * i : 50 * i + 48] = (picture * 31).round() / 31  # few shades make a small file
        axes.imshow(row, cmap="gray", vmin=0, vmax=1, interpolation="none")
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_axis_off()


show_figure("augmentation", "Four draws of each change of the face.", (8.5, 3.2), draw_augmentation)

# %% [markdown]
# Does the network read the altered faces as the same? The spread of its answers over forty draws says how much
# each change still disturbs it, after training with changes such as these.

# %%
base = logits.softmax(1)[0]
top = int(base.argmax())
with torch.no_grad():
    answers_by_change = {
        name: network((augment(change, 40)[:, None] - spec.mean) / spec.std).softmax(1)
        for name, change in changes.items()
    }
same = {name: float((p.argmax(1) == top).float().mean()) for name, p in answers_by_change.items()}


def draw_robustness(figure):
    axes = figure.add_subplot()
    axes.axvline(float(base[top]), color=RED, linewidth=1)
    for i, p in enumerate(answers_by_change.values()):
        axes.plot(p[:, top], np.full(40, i) + np.linspace(-0.25, 0.25, 40), "o", color=BLUE, markersize=2, alpha=0.6)
    axes.set_yticks(range(len(same)), [f"{name}: {share:.0%} {EMOTIONS[top]}" for name, share in same.items()])
    axes.set(xlabel=f"probability of {EMOTIONS[top]}", xlim=(0, 1), ylim=(len(same) - 0.5, -0.5))
    axes.grid(axis="x", color=GREY, alpha=0.25)
    axes.tick_params(axis="y", length=0, labelcolor=INK)


show_figure("robustness", "Forty draws of each change; the red line is the face as it is.", (7, 3), draw_robustness)
