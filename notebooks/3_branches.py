# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. VGG16 with branches
#
# A network's blocks see a picture at different coarseness: the first ones edges, the last ones whole shapes. Only the
# last block's output reaches the head. Would a hint from earlier blocks help to tell sad from neutral?

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot
STUDY = "../studies/thesis-quick.yaml"  # the real one is branches.yaml; it needs a GPU
FAMILY = "vgg-branches"

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import pandas as pd

from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.reference import find_reference
from emoscope.study.networks.catalogue import create_network
from emoscope.study.networks.vgg import Branches
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.report import show_report
from emoscope.study.running.phases import run_comparison

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(900)
work = Path("work") / dataset.sha256[:8] / "branches"

# %% [markdown]
# ## What a branch is
# A branch takes a block's output, thins it with a 1 x 1 convolution (which mixes channels and leaves places alone),
# lays it out as one long row, and sends it through dense layers. The head receives the branches' outputs beside the
# last block's. Branches are counted from the block before the last backwards. They cost parameters: the earlier the
# block, the larger its picture and the longer the row.

# %%
rows = []
for n in range(4):
    network = create_network("vgg16-tiny", branches=Branches(n, filters=8, width=32))
    rows.append({"branches": n, "parameters": sum(p.numel() for p in network.parameters())})
pd.DataFrame(rows).set_index("branches")

# %% [markdown]
# ## A space with conditions
# The number of branches, their width, the layers of the head: the search chooses all of them together. A branch's
# width says nothing where there is no branch, so such trials are the same and are trained once.

# %%
values = load_yaml(Path(STUDY))
comparison = Comparison.from_dict({**values, "families": {FAMILY: values["families"][FAMILY]}})
space = comparison.families[FAMILY].values
results = run_comparison(dataset, comparison, work, work / "runs")
pd.Series({setting: ", ".join(map(str, choices)) for setting, choices in space.items()}, name="choices").to_frame()

# %%
show_report(work, [f"{FAMILY}-search"], dataset)

# %% [markdown]
# ## Reading such a table
# A handful of trials that differ in many settings cannot say what branches alone do: the row with the best figure may
# owe it to its learning rate. Cross-validation compares whole candidates on the same folds, which is fairer.

# %%
show_report(work, [f"{FAMILY}-crossval"], dataset)

# %% [markdown]
# ## The reference study's answer: no
# On FER2013, with ImageNet weights, its best trials without branches were better than those with them. A plausible
# reason: the pretrained blocks already pass on what matters, and a branch adds many new, untrained weights for a
# small dataset to fill. A negative result, well measured, is a result.

# %%
trials = find_reference("search", "vgg-branches")
trials.groupby("architecture")["f1_macro"].max().sort_values(ascending=False).to_frame("best macro F1")
