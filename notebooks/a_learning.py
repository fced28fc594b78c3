# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A. How a network learns
#
# The chapters A to E show what textbooks explain: with a few lines of code, and figures that these lines draw. This
# one is about a single step of learning: an activation function, a loss, its slope, and an optimiser that goes
# downhill.

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from emoscope.core.emotions import EMOTIONS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.axes import BLUE, GREY, RED
from emoscope.study.report import show_figure

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(700)

# %% [markdown]
# ## Activation functions
# A layer multiplies and adds. Two such layers in a row are only another multiplication, so each is followed by a
# function that bends. Blue is the function, red its derivative, which `torch` computes. Learning multiplies these
# derivatives, layer by layer, on the way back.

# %%
functions = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": F.relu,
    "leaky ReLU": lambda x: F.leaky_relu(x, 0.1),
    "GELU": F.gelu,
}
x = torch.linspace(-4, 4, 401, requires_grad=True)
slopes = {name: torch.autograd.grad(function(x).sum(), x)[0] for name, function in functions.items()}


def draw_activations(figure):
    for axes, (name, function) in zip(figure.subplots(1, 5, sharey=True), functions.items(), strict=True):
        axes.axhline(0, color=GREY, linewidth=0.5)
        axes.plot(x.detach(), function(x).detach(), color=BLUE, linewidth=1.8)
        axes.plot(x.detach(), slopes[name], color=RED, linewidth=1.4, linestyle="--")
        axes.set(title=name, ylim=(-1.2, 2), xticks=(-4, 0, 4))


show_figure(
    "activations", "Five activation functions (blue) and their derivatives (red, dashed).", (8.5, 2.3), draw_activations
)

# %% [markdown]
# The largest derivative of the sigmoid is a quarter. Behind ten layers of it, at most a millionth of the slope is
# left; chapter B measures that in a network. ReLU hands the whole slope on where it is active, and none where it is
# not.

# %%
largest = {name: float(slope.max()) for name, slope in slopes.items()}
pd.DataFrame({"largest derivative": largest, "to the power of ten": {k: v**10 for k, v in largest.items()}}).map(
    "{:.3g}".format
)

# %% [markdown]
# ## From outputs to a loss
# The network's seven outputs (logits) become probabilities by the softmax: the exponential of each, divided by their
# sum. The loss of a face is minus the logarithm of the probability that its label got. Sure and right costs nothing;
# sure and wrong costs without limit. Its slope with respect to the outputs is simple: probabilities minus the label.

# %%
logits = torch.tensor([0.2, -1.0, 0.1, 2.4, 0.3, 0.0, 1.1], requires_grad=True)
label = EMOTIONS.index("happy")
loss = F.cross_entropy(logits[None], torch.tensor([label]))
loss.backward()
by_hand = logits.detach().softmax(0) - F.one_hot(torch.tensor(label), 7)
pd.DataFrame(
    {
        "output": logits.detach(),
        "probability": logits.detach().softmax(0),
        "slope by torch": logits.grad,
        "probability - label": by_hand,
    },
    index=EMOTIONS,
).round(3)

# %%
p = np.linspace(0.002, 1, 400)


def draw_loss(figure):
    axes = figure.add_subplot()
    axes.plot(p, -np.log(p), color=BLUE)
    mine = float(logits.detach().softmax(0)[label])
    axes.plot(mine, -np.log(mine), "o", color=RED)
    axes.annotate("the face above", (mine, -np.log(mine)), (10, 8), textcoords="offset points")
    axes.set(xlabel="probability of the label", ylabel="loss", xlim=(0, 1), ylim=(0, 6))


show_figure("loss", "Cross-entropy: the loss of one face.", (4.6, 2.6), draw_loss)

# %% [markdown]
# ## Descent
# A network with two weights, so that its loss can be drawn as a landscape: each face becomes two numbers (those two
# of its principal components in which the emotions differ most), and a weighted sum of them says *happy* or *sad*. A
# step goes against the slope, times the learning rate. Too small a rate crawls; too large a rate jumps from slope to
# slope, or away.

# %%
pair = np.isin(dataset.emotion, [EMOTIONS.index("happy"), EMOTIONS.index("sad")])
faces = dataset.pixels[pair][:2000].reshape(-1, 48 * 48) / 255.0
is_happy = torch.tensor(dataset.emotion[pair][:2000] == EMOTIONS.index("happy"), dtype=torch.float64)
centred = faces - faces.mean(axis=0)
components = np.linalg.svd(centred, full_matrices=False)[2]
# The components in which the two emotions differ most.
projected = centred @ components[:12].T
gap = np.abs(projected[is_happy == 1].mean(axis=0) - projected[is_happy == 0].mean(axis=0)) / projected.std(axis=0)
first, second = np.argsort(-gap)[:2]
points = torch.tensor(projected[:, [first, second]] / projected[:, [first, second]].std(axis=0) * (2.0, 0.8))


def compute_loss(weights):
    """Mean loss of the faces, with a pull towards small weights, so that there is a lowest point."""
    return F.binary_cross_entropy_with_logits(points @ weights, is_happy) + 0.01 * (weights**2).sum()


def descend(rate, n_steps=25):
    weights = torch.tensor([-2.5, 3.5], dtype=torch.float64, requires_grad=True)
    path = [weights.detach().clone()]
    for _ in range(n_steps):
        (slope,) = torch.autograd.grad(compute_loss(weights), weights)
        weights = (weights - rate * slope).detach().requires_grad_()
        path.append(weights.detach().clone())
    return torch.stack(path)


rates = (0.1, 1.0, 8.0)
paths = {rate: descend(rate) for rate in rates}
grid = torch.linspace(-5, 5, 61, dtype=torch.float64)
surface = torch.stack([torch.stack([compute_loss(torch.stack([a, b])) for a in grid]) for b in grid])


def draw_descent(figure):
    for axes, (rate, path) in zip(figure.subplots(1, 3, sharey=True), paths.items(), strict=True):
        axes.contour(grid, grid, surface, levels=16, colors=GREY, linewidths=0.6)
        axes.plot(*path.T, "o-", color=BLUE, markersize=3, linewidth=1)
        axes.plot(*path[-1], "o", color=RED, markersize=6)
        axes.set(
            title=f"learning rate {rate:g}: loss {compute_loss(path[-1]):.3f}",
            xlabel="weight 1",
            xlim=(-5, 5),
            ylim=(-5, 5),
            aspect="equal",
        )


show_figure(
    "descent",
    "Twenty-five steps of gradient descent on the loss of real weights; lines join points of equal loss, red "
    "is the end.",
    (8.5, 3.3),
    draw_descent,
)

# %% [markdown]
# A slope that is computed wrongly still goes somewhere, so check it: move each weight a little, and see how the loss
# changes.

# %%
weights = torch.tensor([-2.5, 3.5], dtype=torch.float64, requires_grad=True)
(slope,) = torch.autograd.grad(compute_loss(weights), weights)
moved = [
    (compute_loss(weights + h) - compute_loss(weights - h)) / 2e-6 for h in torch.eye(2, dtype=torch.float64) * 1e-6
]
pd.DataFrame({"by torch": slope, "by moving the weight": torch.stack(moved).detach()}, index=["weight 1", "weight 2"])

# %% [markdown]
# ## Optimisers
# In a narrow valley the slope points across, not along. Momentum keeps a share of the last step, so that what goes
# to and fro cancels out. RMSprop and Adam divide each weight's step by how large its slopes have been. The same
# landscape, start and number of steps for all; each with a rate that suits it, because a rate means something else in
# every one of them. It is a picture of how they move, not a contest.

# %%
optimisers = {
    "SGD, 0.02": lambda w: torch.optim.SGD(w, 0.02),
    "momentum 0.9, 0.02": lambda w: torch.optim.SGD(w, 0.02, momentum=0.9),
    "RMSprop, 0.03": lambda w: torch.optim.RMSprop(w, 0.03),
    "Adam, 0.1": lambda w: torch.optim.Adam(w, 0.1),
}


def valley(a, b):
    """A bent valley: steep across, nearly level along; lowest at (1, 1)."""
    return 4 * (b - a**2) ** 2 + 0.25 * (1 - a) ** 2


def run(create, n_steps=80):
    weights = torch.tensor([-1.4, 0.6], requires_grad=True)
    optimiser, path = create([weights]), [weights.detach().clone()]
    for _ in range(n_steps):
        optimiser.zero_grad()
        valley(*weights).backward()
        optimiser.step()
        path.append(weights.detach().clone())
    return torch.stack(path)


runs = {name: run(create) for name, create in optimisers.items()}


def draw_optimisers(figure):
    a, b = torch.meshgrid(torch.linspace(-1.8, 1.8, 121), torch.linspace(-0.8, 2.4, 121), indexing="xy")
    for axes, (name, path) in zip(figure.subplots(1, 4, sharey=True), runs.items(), strict=True):
        axes.contour(a, b, valley(a, b), levels=[0.02, 0.1, 0.3, 0.8, 2, 5, 10, 20], colors=GREY, linewidths=0.6)
        axes.plot(*path.T, "o-", color=BLUE, markersize=2.2, linewidth=1)
        axes.plot(1, 1, "*", color=RED, markersize=9)
        axes.set(title=name, xlim=(-1.8, 1.8), ylim=(-0.8, 2.4))


show_figure(
    "optimisers",
    "Eighty steps of four optimisers from the same start; the star is the lowest point.",
    (8.5, 2.6),
    draw_optimisers,
)

# %%
pd.DataFrame(
    {name: [float(valley(*path[n])) for n in (10, 20, 40, 80)] for name, path in runs.items()},
    index=pd.Index([10, 20, 40, 80], name="steps"),
).round(4).T

# %% [markdown]
# The study's networks have a million weights and more instead of two, and each step sees another batch of faces. The
# rest is the same: `optimizer`, `learning_rate`, `momentum` and `schedule` in a study file say which of these paths a
# training takes.
