# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. The data
#
# Before any network: what is in the data, what is wrong with it, and which images may be used for what.
#
# Everything here also works on drawn faces, so that you can follow without FER2013. To use FER2013, import it once
# with `emoscope data import fer2013.csv -o fer2013.npz` and name the file below.

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Image

from emoscope.core.emotions import EMOTIONS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.describe import describe_dataset
from emoscope.study.data.splits import create_thesis_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.figures import plot_dataset
from emoscope.study.measuring.metrics import compute_metrics
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.report import show_blocks
from emoscope.study.report.samples import show_augmented

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(1400)
work = Path("work") / dataset.sha256[:8]
facts = describe_dataset(dataset)

# %% [markdown]
# ## Seven classes, unevenly filled
# FER2013 holds 35,887 grey faces of 48 x 48 pixels, and a quarter of them are happy. Only one in sixty-five shows
# disgust. Drawn faces have the same shares.

# %%
plot_dataset(dataset, work / "data.png")
Image(work / "data.png")

# %%
pd.DataFrame({"all": facts["classes"], **facts["classes_by_usage"]})

# %% [markdown]
# ## Why macro F1
# Take a "network" that always answers happy. Its accuracy looks like a start, though it has understood nothing.
# **Macro F1** asks each class how well it is found (recall) and how far its name can be trusted (precision), and
# averages the seven answers with equal weight. Disgust counts as much as happy, and always answering happy is worth
# next to nothing. So the study chooses by macro F1: the epoch, the trial and the winner.

# %%
always_happy = np.full((len(dataset), len(EMOTIONS)), 0.01)
always_happy[:, EMOTIONS.index("happy")] = 0.94
figures = compute_metrics(always_happy, dataset.emotion)
pd.DataFrame([figures], index=["always happy"])[["accuracy", "macro_f1", "mean_auc"]].round(3)

# %% [markdown]
# ## Copies
# Some images stand in the set more than once, some even with different labels. If one copy trains a network and the
# other one tests it, the test measures memory. The table counts such groups of identical images.

# %%
pd.Series(facts["duplicates"], name="images or groups").to_frame()

# %% [markdown]
# ## Three parts, and what each is for
# * **Train**: the network learns from these.
# * **Validation**: decides between networks, epochs and settings. Whatever won here looks a little better than it is,
#   because it was chosen for that.
# * **Test**: set aside first and looked at last, once. Nothing is chosen by it.
#
# The thesis protocol sets 20 % aside and draws the rest into eight **folds**: in turn, each fold validates what the
# other seven have trained. One fold's figure depends on which images happen to lie in it; the mean of eight is
# steadier, and their spread says how far it can be trusted. Identical images always stay on one side:

# %%
rows = []
for is_naive in (True, False):
    split = create_thesis_split(dataset, seed=0, is_naive=is_naive)
    learnt = dataset.group[np.concatenate([split.train, split.validation])]
    leaked = np.isin(dataset.group[split.test], learnt).sum()
    sizes = {part: len(getattr(split, part)) for part in ("train", "validation", "test")}
    rows.append({"protocol": "naive" if is_naive else "thesis", **sizes, "test images with a copy elsewhere": leaked})
pd.DataFrame(rows).set_index("protocol")

# %% [markdown]
# ## Augmentation
# A mirrored, turned or slightly larger face shows the same emotion. Changing each face anew in every epoch keeps a
# network from learning the pictures by heart. The label must survive the change, so all changes are mild.

# %%
show_blocks(show_augmented(dataset, TrainConfig()))
