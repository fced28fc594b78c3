# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Existing architectures
#
# Which family of networks reads faces best? The reference study compares four: VGG, ResNet, DenseNet and Inception.
# This chapter runs the same three phases with thin networks of the same kinds, on a few hundred images, in a minute
# or two. **Its figures say nothing about faces**; it shows the method. `studies/thesis.yaml` is the real comparison
# and needs a GPU.

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot
STUDY = "../studies/thesis-quick.yaml"
FAMILIES = ("vgg", "resnet", "densenet", "inception")

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import pandas as pd

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.reference import compute_headline
from emoscope.study.networks.catalogue import create_network
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.report import show_report
from emoscope.study.running.phases import run_comparison

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(900)
work = Path("work") / dataset.sha256[:8] / "architectures"

# %% [markdown]
# ## Transfer learning
# All ten networks of the reference study were first trained on ImageNet: a million photographs of a thousand kinds of
# things. Their first layers have learnt edges, textures and shapes, which faces are made of too. So the weights are
# kept, only the last layer is replaced by seven new outputs, and training goes on with faces. In a study file that is
# `pretrained: true`. The thin networks below begin with random weights, because nobody has trained them on ImageNet.

# %%
networks = {name: create_network(name) for name in ("vgg16-tiny", "resnet50v2-tiny", "densenet-tiny", "inception-tiny")}
parameters = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
pd.Series(parameters, name="parameters").to_frame()

# %% [markdown]
# ## Three phases
# 1. **Search.** Trainings with different settings, chosen one after the other: a Gaussian process guesses from those
#    that are done where a better one may lie. Each is measured on the same hold-out, once.
# 2. **Cross-validation.** The best candidates again, on every fold of a new division of the same images.
# 3. **Final.** The winner, trained several times, and only now measured on the test images.
#
# What is finished is kept in `work/`: running this cell again trains nothing.

# %%
values = load_yaml(Path(STUDY))
values["families"] = {name: values["families"][name] for name in FAMILIES}
comparison = Comparison.from_dict(values)
results = run_comparison(dataset, comparison, work, work / "runs")
pd.DataFrame({family: comparison.count_runs(family) for family in FAMILIES}).T

# %% [markdown]
# ## The search
# Each point is one training; the line is the best so far.

# %%
show_report(work, ["vgg-search"], dataset)

# %% [markdown]
# ## Why the winner of a search may lose
# A trial's figure is its quality plus luck: which images happened to be in the hold-out, which weights it began with.
# The best of many trials is mostly the one that had both. On other images the luck is gone, and a candidate that came
# second may be ahead. That is why the cross-validation decides, and not the search.

# %%
show_report(work, ["vgg-crossval"], dataset)

# %% [markdown]
# ## Test figures, with their spread
# The same recipe gives another network each time. A difference between families that is smaller than the spread of
# the repeats is no finding. The intervals below say where the mean of many repeats would lie.

# %%
show_report(work, ["comparison", "paired"], dataset)

# %% [markdown]
# ## What the reference study found
# Test figures of its winners on FER2013, means of ten repeats. Its random split lets copies of test images into
# training (chapter 1), and so do not read these beside figures of another protocol without saying so.

# %%
compute_headline().round(4)
