# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. A video and its report
#
# What the study was for: a video in, who was in it and how their expressions developed out. The clip is made here,
# from two portraits in the public domain; name your own below, but read `docs/responsible-use.md` first.

# %%
VIDEO = ""  # for example "holiday.mp4"; empty: a clip of two portraits, made here

# %%
import subprocess
import sys
from pathlib import Path

import pandas as pd
from IPython.display import IFrame

import emoscope
from emoscope.core.emotions import EMOTIONS
from emoscope.tables.events import Event

work = Path("work")
work.mkdir(exist_ok=True)
video = Path(VIDEO or work / "clip.mp4")
if not VIDEO:
    subprocess.run([sys.executable, "../demo/make_clip.py", video], check=True)

# %% [markdown]
# ## Five observations a second
# Expressions last longer than a frame: one in 0.2 s is enough and much faster. Times are those of the video's own
# clock, not frame numbers divided by a rate. `smooth` puts a calmer curve beside the raw one; both are kept. The
# event marks a part of the clip that is compared with the rest.

# %%
events = (Event("together", 3.0, 7.0),)
analysis = emoscope.analyze_video(video, every="0.2s", smooth=0.5, events=events, thumbnails="clear")
observations = analysis.observations
observations[["time_s", "track_id", "emotion", "probability", "uncertain"]].head(8)

# %% [markdown]
# ## Every frame leaves a trace
# One row for each face in each analysed frame; a frame without a face is a row with empty face columns. So nobody can
# mistake "not seen" for "not happy". **Coverage** is the share of the frames in which a person was seen; numbers of
# someone with little coverage stand on little.

# %%
people = pd.DataFrame(analysis.summary.people)
people[["track_id", "frames", "coverage", "emotion", "uncertain_share"]].round(3)

# %% [markdown]
# ## Probabilities, not verdicts
# The network gives seven probabilities for each face, and abstains ("uncertain") where none is large enough. Means
# over time are steadier than any single frame. They speak of expressions that FER2013's labellers would have named
# so, not of feelings.

# %%
observations.groupby("track_id")[[f"p_{emotion}" for emotion in EMOTIONS]].mean().round(3)

# %% [markdown]
# ## The report
# One file without any network access: zoom by dragging, click a moment for its values. `emoscope analyze` writes the
# same, with `--annotate` also a video with boxes; `emoscope compare` puts several recordings side by side.

# %%
analysis.save(work / "clip-emoscope")
IFrame(str(work / "clip-emoscope" / "report.html"), width="100%", height=900)
