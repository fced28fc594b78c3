# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Training the embedded network
#
# The application must run offline on a plain processor, in a file of a few megabytes. Networks such as VGG16 are far
# too large for that. This chapter trains a small one from scratch, as `studies/compact-cpu.yaml` does, makes its
# probabilities honest, and packs it into the one file that the application needs.

# %%
DATA = ""  # for example "../fer2013.npz"; empty: faces drawn on the spot
SETTINGS = {"network": "compact-tiny", "epochs": 15, "batch_size": 64, "augment": False}  # FER2013: {} takes hours

# %%
import warnings

warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, where the kernel has no ipywidgets

from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Image

from emoscope import Recognizer
from emoscope.core.emotions import EMOTIONS
from emoscope.faces.listing import list_models
from emoscope.faces.recognize import calibrate
from emoscope.faces.spec import Calibration
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.drawings.figures import plot_confusion, plot_history, plot_reliability
from emoscope.study.export.export import export_run
from emoscope.study.measuring.evaluate import evaluate
from emoscope.study.recipes.file import load_yaml
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.train import train

dataset = Dataset.load(Path(DATA)) if DATA else create_synthetic(2100)
work = Path("work") / dataset.sha256[:8] / "embedded"

# %% [markdown]
# ## The recipe
# Small residual blocks instead of huge dense layers; pictures that grow during training (32, 40, 48 px), because
# rough features can be learnt cheaply; a learning rate that rises and falls; labels taken with a grain of salt (label
# smoothing), because people disagree about faces; a moving average of the weights. This is the recipe of the embedded
# network:

# %%
recipe = TrainConfig.from_dict(load_yaml(Path("../studies/compact-cpu.yaml"))["settings"])
config = TrainConfig.from_dict({**recipe.to_dict(), "compile": False, **SETTINGS})
pd.DataFrame({"embedded network": recipe.to_dict(), "here": config.to_dict()}).astype(str)

# %% [markdown]
# ## Training
# It can be stopped at any time and goes on from the last epoch; a finished run is not trained again. The weights that
# are kept are those of the epoch with the highest macro F1 on the validation images, not the last ones: a network
# that begins to learn its images by heart gets better on them and worse on all others.

# %%
run = train(dataset, config, work / "runs")
plot_history(run.load_history(), work / "history.png")
Image(work / "history.png")

# %% [markdown]
# ## Honest probabilities
# A network that says 90 % should be right nine times in ten. Most are too sure or, trained with smoothed labels, not
# sure enough. A small map mends most of it: seven weights and an offset for each class, applied to the logarithms of
# the probabilities, fitted on the validation images. A face is called **uncertain** where the largest probability
# is so low that too many of such answers were wrong.
#
# The file that comes out holds network, map, threshold, labels, input size and figures. The application reads
# all of them from there; nothing is configured twice.

# %%
spec = export_run(run.folder, work / "mine.onnx", "mine")
calibration = spec.find_calibration(1)
pd.DataFrame(calibration.affine, index=EMOTIONS, columns=[*EMOTIONS, "offset"]).round(2)

# %%
with np.load(run.validation_path) as z:
    logits, labels = z["logits_1"], z["labels"]
before, after = calibrate(logits, Calibration()), calibrate(logits, calibration)
plot_reliability([("as trained", before, labels), ("calibrated", after, labels)], work / "reliability.png")
Image(work / "reliability.png")

# %% [markdown]
# ## Used by the application
# From here on there is no torch: the application reads the file with ONNX Runtime. On the validation images, and on
# one face. Drawn faces are easy; FER2013's are not.

# %%
figures = evaluate(dataset, "validation", work / "mine.onnx")
plot_confusion(np.array(figures["confusion"]), work / "confusion.png")
Image(work / "confusion.png")

# %%
probabilities = Recognizer(work / "mine.onnx").predict(dataset.pixels[:1])
pd.DataFrame(probabilities, columns=EMOTIONS, index=[EMOTIONS[dataset.emotion[0]]]).round(3)

# %% [markdown]
# ## The network that ships with emoscope
# Trained on FER2013 by the recipe above. These figures stand in its file; `docs/model-card.md` says how they were
# measured, with intervals and known failures.

# %%
embedded = next(entry for entry in list_models() if "default" in entry.aliases)
shown = ("accuracy", "macro_f1", "ece", "n")
pd.DataFrame({part: {k: row[k] for k in shown} for part, row in embedded.figures.items() if "ece" in row}).T
