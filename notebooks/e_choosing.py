# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # E. How a study chooses
#
# Two questions that come before any result. Which images may say which network is better? And which settings are
# worth a training, when a training costs hours?

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from emoscope.core.emotions import EMOTIONS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.axes import BLUE, GREY, INK, RED
from emoscope.study.drawings.folds import draw_folds
from emoscope.study.recipes.families import Space
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.report import show_figure
from emoscope.study.running.search import rehearse_search
from emoscope.study.training.train import train

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(600)
work = Path("work") / dataset.sha256[:8] / "choosing"

# %% [markdown]
# ## The hold-out
# The thesis protocol, in a picture: each column is an image, ordered by its emotion; the colour says what it is for.
# 20 % test, set aside before anything else; 10 % of the whole validate, 70 % train. The search uses this one split.

# %%
N_FOLDS = 8
splits = [create_thesis_split(dataset, seed=0, fold=fold, n_folds=N_FOLDS) for fold in range(N_FOLDS)]


def draw_hold_out(figure):
    axes = figure.add_subplot()
    draw_folds(axes, dataset, splits[:1])
    axes.set_yticks([])


show_figure("hold-out", f"The hold-out of these {len(dataset):,} images.", (8.5, 1.3), draw_hold_out)

# %% [markdown]
# ## Eight folds
# The test part stays where it is. The rest is drawn into eight parts, and each validates once what the other seven
# have trained. The steps in the picture are stratification at work: in every fold, each emotion has its share. Read a
# column from top to bottom: an image validates exactly once, or it is a test image.

# %%
show_figure(
    "folds",
    "The eight folds of the cross-validation, the very ones that a study uses with seed 0.",
    (8.5, 3),
    lambda figure: draw_folds(figure.add_subplot(), dataset, splits),
)

# %%
rows = {f"fold {i + 1}": np.bincount(dataset.emotion[split.validation], minlength=7) for i, split in enumerate(splits)}
rows |= {"test": np.bincount(dataset.emotion[splits[0].test], minlength=7)}
pd.DataFrame(rows, index=EMOTIONS).T

# %% [markdown]
# ## Copies stay together
# Identical images form a group, and a group falls on one side as a whole. A plain random split does not know of
# groups; then the test asks for faces that the network has seen.


# %%
def count_parted(split):
    """Groups with images both in the test part and among those that train or validate."""
    seen = np.concatenate([split.train, split.validation])
    return len(np.intersect1d(dataset.group[split.test], dataset.group[seen]))


naive = create_thesis_split(dataset, seed=0, is_naive=True)
pd.Series(
    {"thesis protocol": count_parted(splits[0]), "plain random split": count_parted(naive)}, name="groups on both sides"
).to_frame()

# %% [markdown]
# ## A search, and what it does not know
# Now the settings. To be able to look behind the curtain, all learning rates of a list are trained here: a tiny
# network, drawn faces, four epochs. A real study cannot do that: it pays for every point that it looks at.

# %%
RATES = tuple(float(f"{r:.2g}") for r in np.geomspace(1e-4, 1.0, 17))
settings = {
    "network": "compact-tiny",
    "protocol": "thesis",
    "near_copies": True,
    "epochs": 4,
    "batch_size": 32,
    "optimizer": "adam",
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.0,
    "ema_decay": 0.0,
    "dropout": 0.0,
    "augment": False,
    "sizes_px": [24],
    "size_shares": [1.0],
    "compile": False,
}
configs = {rate: TrainConfig.from_dict({**settings, "learning_rate": rate}) for rate in RATES}
truth = {}
for rate, config in configs.items():
    run = train(dataset, config, work / "runs", split=splits[0], keep=False)
    truth[rate] = max(row["validation_macro_f1"] for row in run.load_history())
best = max(truth, key=truth.get)
pd.Series(
    {
        "best learning rate": best,
        "its macro F1": truth[best],
        "median macro F1 of all": np.median(list(truth.values())),
    },
    name="",
).round(4).to_frame()

# %% [markdown]
# ## The surrogate
# A **Gaussian process** draws a curve through the points that are known, and says at every other point how sure it
# is: the mean (line) and two deviations (band). It begins with three rates, evenly spread, and knows one thing
# beforehand: points that lie close together give similar figures. How close is close, it learns from the points.
#
# **Expected improvement** turns that into a choice. At each rate: by how much, on average over everything the band
# allows, would a training beat the best so far? It is large where the mean is high, and where little is known. The
# next training goes where it is largest.

# %%
x_all = np.log10(RATES)[:, None]
y_all = np.array([truth[rate] for rate in RATES])


def fit_surrogate(known):
    kernel = ConstantKernel(1.0, (0.1, 10)) * Matern(1.0, (0.3, 5), nu=2.5) + WhiteKernel(1e-3, (1e-5, 1e-1))
    surrogate = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with three points some lengths end at their bounds
        return surrogate.fit(x_all[known], y_all[known])


def compute_expected_improvement(mean, deviation, best):
    z = (mean - best) / np.maximum(deviation, 1e-9)
    return (mean - best) * norm.cdf(z) + deviation * norm.pdf(z)


known, steps = [2, 8, 14], []
while len(known) < 9:
    surrogate = fit_surrogate(known)
    mean, deviation = surrogate.predict(x_all, return_std=True)
    improvement = compute_expected_improvement(mean, deviation, y_all[known].max())
    improvement[known] = 0  # a training that is done is not done again
    steps.append((list(known), surrogate, int(improvement.argmax())))
    known.append(steps[-1][2])

# %%
fine = np.linspace(-4, 0, 201)[:, None]


def draw_steps(figure):
    grid = figure.subplots(4, 3, sharex=True, height_ratios=(2.2, 1, 2.2, 1))
    for i, (done, surrogate, chosen) in enumerate(steps):
        upper, lower = grid[2 * (i // 3), i % 3], grid[2 * (i // 3) + 1, i % 3]
        mean, deviation = surrogate.predict(fine, return_std=True)
        upper.fill_between(fine[:, 0], mean - 2 * deviation, mean + 2 * deviation, color=BLUE, alpha=0.18, linewidth=0)
        upper.plot(fine[:, 0], mean, color=BLUE)
        upper.plot(x_all[:, 0], y_all, ".", color=GREY, markersize=3)
        upper.plot(x_all[done, 0], y_all[done], "o", color=INK, markersize=4)
        upper.axvline(x_all[chosen, 0], color=RED, linewidth=1, linestyle="--")
        upper.set(title=f"training {len(done) + 1}: rate {RATES[chosen]:g}", ylim=(-0.1, 0.9))
        improvement = compute_expected_improvement(mean, deviation, y_all[done].max())
        lower.fill_between(fine[:, 0], improvement, color=RED, alpha=0.25, linewidth=0)
        lower.axvline(x_all[chosen, 0], color=RED, linewidth=1, linestyle="--")
        lower.set(ylim=(0, None), yticks=[])
        lower.tick_params(labelbottom=i >= 3)
        if i % 3 == 0:
            upper.set_ylabel("macro F1")
            lower.set_ylabel("expected\nimprovement")
    for axes in grid[-1]:
        axes.set_xlabel("learning rate, power of ten")


show_figure(
    "steps",
    "Six steps of a search after three trainings. Large points: trained. Blue: what the surrogate believes. Red: "
    "where a training promises most. Small points: the truth, which the search does not see.",
    (8.5, 5.6),
    draw_steps,
)

# %%
found = [RATES[i] for i in known]
pd.DataFrame(
    {
        "learning rate": found,
        "macro F1": [truth[r] for r in found],
        "best so far": np.maximum.accumulate([truth[r] for r in found]),
    },
    index=pd.Index(range(1, 10), name="training"),
).map("{:.3g}".format)

# %% [markdown]
# ## The study's own search
# `emoscope study run` asks Optuna's Gaussian process, which takes the logarithm of the expected improvement (it
# chooses the same, and keeps digits where the improvement is tiny). Here the library's search gets the figures from
# above instead of trainings. Its first third is random; then the surrogate leads.

# %%
space = Space(settings, {"learning_rate": RATES})
trials = {
    sampler: [
        rehearse_search(space, lambda config: (truth[config.learning_rate], ""), n_trials=9, sampler=sampler, seed=seed)
        for seed in range(5)
    ]
    for sampler in ("gp", "random")
}


def draw_search(figure):
    axes = figure.add_subplot()
    for sampler, colour in (("random", GREY), ("gp", BLUE)):
        bests = np.array([np.maximum.accumulate([t.macro_f1 for t in found]) for found in trials[sampler]])
        for line in bests:
            axes.plot(range(1, 10), line, color=colour, linewidth=0.6, alpha=0.5)
        label = "Gaussian process" if sampler == "gp" else "random"
        axes.plot(range(1, 10), bests.mean(axis=0), color=colour, linewidth=2.2, label=f"{label}, mean of 5 seeds")
    axes.axhline(y_all.max(), color=RED, linewidth=1, linestyle="--", label="the best there is")
    axes.set(xlabel="training", ylabel="best macro F1 so far")
    axes.legend(loc="lower right", frameon=False)


show_figure("search", "The best that is known after each training.", (6.5, 3), draw_search)

# %% [markdown]
# On one axis of seventeen points chance does well, too. The space of a real study has hundreds to thousands of
# combinations, where looking at all of them is no choice. And what a search finds is good **on the hold-out**: why
# that is not the last word, chapter 2 tells.
