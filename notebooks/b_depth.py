# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # B. What makes deep networks learn
#
# More layers can say more, and for years they learnt less. This chapter measures why, and what three inventions
# change: batch normalisation, shortcuts, and dropout.

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.axes import BLUE, GREY, INK, RED
from emoscope.study.report import show_figure

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(900)
split = create_thesis_split(dataset, seed=0)


def load_faces(rows):
    """Faces of 24 px with mean 0 and deviation 1, and their labels."""
    x = torch.tensor(dataset.pixels[rows][:, None] / 255.0, dtype=torch.float32)
    return (F.avg_pool2d(x, 2) - 0.5) / 0.25, torch.tensor(dataset.emotion[rows].astype(np.int64))


faces, labels = load_faces(split.train[:64])

# %% [markdown]
# ## Vanishing gradients
# Twenty-four equal layers of 3 x 3 convolutions, in five variants. One batch of faces goes forward, the loss back,
# and we look at how large the slope of each layer's weights is. Where it is a millionth of the last layer's, that
# layer will not move.

# %%
N_LAYERS, WIDTH = 24, 16


class Layer(nn.Module):
    """One convolution behind its activation, and what is asked for around it; the order is that of ResNet V2."""

    def __init__(self, activation, has_norm, has_shortcut):
        super().__init__()
        self.norm = nn.BatchNorm2d(WIDTH) if has_norm else nn.Identity()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.activation, self.has_shortcut = activation, has_shortcut

    def forward(self, x):
        y = self.conv(self.activation(self.norm(x)))
        return x + y if self.has_shortcut else y


def create(activation, has_norm, has_shortcut):
    torch.manual_seed(0)
    layers = [Layer(activation, has_norm, has_shortcut) for _ in range(N_LAYERS)]
    last = nn.BatchNorm2d(WIDTH) if has_norm else nn.Identity()
    head = (last, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 7))
    return nn.Sequential(nn.Conv2d(1, WIDTH, 3, 2, 1), *layers, *head)


variants = {
    "sigmoid": (torch.sigmoid, False, False),
    "ReLU": (F.relu, False, False),
    "ReLU, shortcuts": (F.relu, False, True),
    "ReLU, batch norm": (F.relu, True, False),
    "ReLU, batch norm, shortcuts": (F.relu, True, True),
}
colours = dict(zip(variants, (GREY, RED, "#2c8a5b", "#a3671b", BLUE), strict=True))


def measure(network):
    """Norm of the slope of each layer's weights."""
    network.zero_grad()
    F.cross_entropy(network(faces), labels).backward()
    return [float(layer.conv.weight.grad.norm()) for layer in network if isinstance(layer, Layer)]


slopes = {name: measure(create(*variant)) for name, variant in variants.items()}


def draw_slopes(figure):
    axes = figure.add_subplot()
    for name, values in slopes.items():
        axes.semilogy(
            range(1, N_LAYERS + 1),
            [value or np.nan for value in values],
            color=colours[name],
            marker="o",
            markersize=3,
            label=name,
        )
    axes.set(xlabel="layer, counted from the picture", ylabel="norm of the slope")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)


show_figure(
    "slopes",
    "How much slope reaches each layer, before any training. A slope of 0 is not drawn.",
    (8, 3.2),
    draw_slopes,
)

# %%
pd.DataFrame(
    {name: {"first layer": v[0], "last layer": v[-1], "first / last": v[0] / v[-1]} for name, v in slopes.items()}
).T.map("{:.2g}".format)

# %% [markdown]
# Through sigmoids twenty powers of ten are lost. Plain ReLU loses fewer; how many depends on the weights that it begins
# with, here torch's own. Shortcuts alone mend it: each layer adds to what is there instead of replacing it, and a sum
# hands its slope on undiminished. Batch norm mends it in another way, by keeping values and slopes at one width.
#
# A slope that arrives is not yet a network that learns. So train all five for a few dozen steps:


# %%
def train(network, n_steps=40, rate=0.02):
    optimiser, losses = torch.optim.SGD(network.parameters(), rate, momentum=0.9), []
    for _ in range(n_steps):
        optimiser.zero_grad()
        loss = F.cross_entropy(network(faces), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


curves = {name: train(create(*variant)) for name, variant in variants.items()}


def draw_curves(figure):
    axes = figure.add_subplot()
    for name, losses in curves.items():
        axes.plot(range(1, len(losses) + 1), losses, color=colours[name], label=name)
    axes.set(xlabel="step", ylabel="training loss", ylim=(0, 2.6))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)


show_figure(
    "curves", "The same 64 faces, the same steps: the training loss of the five variants.", (8, 2.8), draw_curves
)

# %% [markdown]
# Where no slope arrives, nothing is learnt. Shortcuts without batch norm add to the values layer after layer, and at
# this rate that network goes astray. Shortcuts on top of batch norm are no gain yet: 24 layers and forty steps are
# too few to show it. He et al. (*Deep residual learning*, 2016) found plain networks with batch norm to become worse
# as they grew from 20 to 56 layers, and residual ones better.
#
# ## Batch normalisation
# Without it, what a layer gets depends on all layers before, and shrinks or grows with depth. A batch norm subtracts
# each channel's mean over the batch and divides by its deviation, then scales by two numbers that are learnt. Below:
# the values that go into the activation of four layers.


# %%
@torch.no_grad()
def look(network, at=(2, 8, 16, 24)):
    found, x = {}, network[0](faces)
    for n, layer in enumerate((m for m in network if isinstance(m, Layer)), 1):
        if n in at:
            found[n] = layer.norm(x).flatten().numpy()
        x = layer(x)
    return found


def draw_values(figure):
    rows = {"ReLU": look(create(*variants["ReLU"])), "ReLU, batch norm": look(create(*variants["ReLU, batch norm"]))}
    grid = figure.subplots(2, 4, sharex=True)
    for line, (name, values) in zip(grid, rows.items(), strict=True):
        for axes, (n, v) in zip(line, values.items(), strict=True):
            axes.hist(v, bins=np.linspace(-3, 3, 49), color=colours[name])
            axes.set(title=f"{name}, layer {n}" if n == 2 else f"layer {n}", yticks=[])
            axes.text(
                0.97, 0.85, f"deviation {v.std():.2g}", transform=axes.transAxes, ha="right", fontsize=8, color=INK
            )


show_figure(
    "values",
    "Values before the activation: without batch norm (above) they shrink to one point, with it (below) they "
    "keep their width.",
    (8.5, 3),
    draw_values,
)

# %% [markdown]
# While learning, mean and deviation are those of the batch. At recognition there may be a single face, so a running
# mean that was kept during training takes their place: `momentum` says how fast it follows. A network that is
# measured too early or with the wrong momentum answers with means that are not yet those of its faces.

# %%
norm = nn.BatchNorm2d(1, momentum=0.1)
rows = []
for n in range(1, 31):
    norm(faces[torch.randperm(64, generator=torch.Generator().manual_seed(n))[:32]])
    if n in (1, 3, 10, 30):
        rows.append(
            {"batches": n, "running mean": float(norm.running_mean), "running variance": float(norm.running_var)}
        )
rows.append({"batches": "all faces", "running mean": float(faces.mean()), "running variance": float(faces.var())})
pd.DataFrame(rows).set_index("batches").round(3)

# %% [markdown]
# ## Dropout
# During training each feature is set to zero with some probability, anew for every face and step, and the rest is
# made larger so that the sum stays the same on average. No feature can rely on another one being there. At recognition
# nothing is dropped.

# %%
dropout = nn.Dropout(0.5)
features = torch.linspace(0.2, 1, 64)
torch.manual_seed(0)
draws = [dropout(features) for _ in range(4)]
mean = torch.stack([dropout(features) for _ in range(2000)]).mean(0)
shown = {
    "features": features,
    **{f"draw {i + 1}": d for i, d in enumerate(draws)},
    "mean of 2,000 draws": mean,
    "at recognition": dropout.eval()(features),
}


def draw_dropout(figure):
    figure.get_layout_engine().set(wspace=0.12)
    for axes, (name, values) in zip(figure.subplots(1, 7), shown.items(), strict=True):
        axes.imshow(values.reshape(8, 8), cmap="Blues", vmin=0, vmax=2, interpolation="none")
        axes.set_title(name, fontsize=8)
        axes.set_axis_off()


show_figure(
    "dropout",
    "Sixty-four features, four draws of dropout 0.5, the mean of many, and what recognition sees.",
    (8.5, 1.5),
    draw_dropout,
)

# %% [markdown]
# What it is for: a network that is far too large for its few faces learns them by heart. Both networks below have one
# hidden layer of 512; the right one has dropout before both of its layers.

# %%
held, held_labels = load_faces(split.validation)


def fit(share, n_steps=150):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Dropout(share / 2), nn.Linear(24 * 24, 512), nn.ReLU(), nn.Dropout(share), nn.Linear(512, 7)
    )
    optimiser, losses = torch.optim.Adam(network.parameters(), 1e-3), []
    for _ in range(n_steps):
        network.train()
        optimiser.zero_grad()
        F.cross_entropy(network(faces), labels).backward()
        optimiser.step()
        network.eval()
        with torch.no_grad():
            losses.append([float(F.cross_entropy(network(x), y)) for x, y in ((faces, labels), (held, held_labels))])
    return np.array(losses)


fits = {"without dropout": fit(0.0), "dropout 0.6": fit(0.6)}


def draw_fits(figure):
    for axes, (name, losses) in zip(figure.subplots(1, 2, sharey=True), fits.items(), strict=True):
        axes.plot(losses[:, 0], color=GREY, label="training faces")
        axes.plot(losses[:, 1], color=BLUE, label="other faces")
        axes.set(title=name, xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend(frameon=False)


show_figure("fits", "Sixty-four faces learnt by heart, and what that is worth on others.", (8, 2.8), draw_fits)

# %%
pd.DataFrame(
    {
        name: {"training faces, end": v[-1, 0], "other faces, lowest": v[:, 1].min(), "other faces, end": v[-1, 1]}
        for name, v in fits.items()
    }
).T.round(3)

# %% [markdown]
# The gap between the two lines is what was learnt by heart. A study sees it in the curves of each training, and
# stops where the validation part no longer gains (`patience`); `dropout` and `augment` make the gap smaller.
