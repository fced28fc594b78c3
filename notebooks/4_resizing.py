# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. DenseNet201 and larger inputs
#
# The best figure of the reference study comes from an old trick: enlarge the 48 x 48 faces before the network sees
# them. How can that help, when no new pixel is known?

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot
STUDY = "../studies/thesis-quick.yaml"  # the real one is resizing.yaml; it needs a GPU
FAMILY = "densenet-resized"

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd

from emoscope.faces.resample import KERNELS, resample
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.measuring.reference import find_reference
from emoscope.study.recipes.families import Comparison
from emoscope.study.recipes.file import load_yaml
from emoscope.study.report import show_blocks, show_report
from emoscope.study.report.samples import show_kernels
from emoscope.study.running.phases import run_comparison

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(900)
work = Path("work") / dataset.sha256[:8] / "resizing"

# %% [markdown]
# ## Eight kernels
# To enlarge is to guess between pixels, and a kernel is the rule of the guess. Nearest repeats pixels and leaves
# stairs; bilinear blends neighbours and is soft; bicubic and Lanczos keep edges crisp and may ring beside them.

# %%
show_blocks(show_kernels(dataset, 175))

# %% [markdown]
# ## What enlarging cannot bring
# It adds no information. Repeat the pixels, average them again, and the original is back to the last bit: the large
# picture never knew more than the small one.

# %%
face = dataset.pixels[:1]
back = resample(resample(face, 96, "nearest"), 48, "area")
float(np.abs(back - face).max())

# %% [markdown]
# ## What it can bring
# A network made for ImageNet expects large pictures. DenseNet halves its input five times: of 48 px a single position
# is left, so almost nothing says *where* in the face something is. At 175 px five are left on each side, and filters
# learnt on large photographs meet edges as wide as those they know. More places also mean more work: the cost grows
# with the number of pixels.

# %%
sizes_px = (48, 100, 125, 150, 175)
pd.DataFrame(
    {
        "positions per side after five halvings": [size // 32 for size in sizes_px],
        "pixels, times 48 px": [round((size / 48) ** 2, 1) for size in sizes_px],
    },
    index=pd.Index(sizes_px, name="side, px"),
)

# %% [markdown]
# ## The study
# Thin networks, few images, three epochs: it shows how size and kernel are compared, not which is best. On drawn
# faces of a few hundred the order of these rows is chance.

# %%
values = load_yaml(Path(STUDY))
comparison = Comparison.from_dict({**values, "families": {FAMILY: values["families"][FAMILY]}})
results = run_comparison(dataset, comparison, work, work / "runs")
show_report(work, ["resizing"], dataset)

# %% [markdown]
# ## What the reference study found
# One trial for each size on FER2013's validation part, bilinear. Larger was better, up to the largest it tried.

# %%
trials = find_reference("search", "densenet", "densenet201")
trials.groupby("input_px")["f1_macro"].max().to_frame("best macro F1")

# %% [markdown]
# The kernels it compared by eye. The application offers all eight too, and a network remembers which one it was
# trained with:

# %%
", ".join(KERNELS)
