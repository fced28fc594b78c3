"""A picture of splits: one line per split, one column per image, the colour says which part it is in."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import Split
from emoscope.study.drawings.axes import BLUE, INK, LINE, RED

PARTS = ("train", "validation", "test", "left out")
COLOURS = [(*to_rgba(BLUE)[:3], 0.28), to_rgba(BLUE), to_rgba(RED), (0.0, 0.0, 0.0, 0.0)]
MAX_COLUMNS = 1400
"""More cannot be told apart on a page; of a larger dataset images at equal distances are shown."""


def find_parts(n: int, splits: Sequence[Split]) -> NDArray[np.uint8]:
    """Return which part each image is in.

    Args:
        n: images of the dataset.
        splits: of it.

    Returns:
        (splits, n), indices of PARTS.
    """
    parts = np.full((len(splits), n), PARTS.index("left out"), np.uint8)
    for row, split in zip(parts, splits, strict=True):
        for index, rows in enumerate((split.train, split.validation, split.test)):
            row[rows] = index
    return parts


def order_images(dataset: Dataset, splits: Sequence[Split]) -> NDArray[np.int64]:
    """Return the images by emotion, within it by the split that validates them, those that test last."""
    parts = find_parts(len(dataset), splits)
    validates = np.where((parts == 1).any(axis=0), (parts == 1).argmax(axis=0), len(splits))
    return np.lexsort((np.arange(len(dataset)), (parts == 2).any(axis=0), validates, dataset.emotion))


def draw_folds(axes: Axes, dataset: Dataset, splits: Sequence[Split]) -> None:
    """Draw which images train, validate and test in each of several splits.

    Args:
        axes: to draw on.
        dataset: that was split.
        splits: of it, such as the folds of a cross-validation; one is a hold-out.
    """
    order = order_images(dataset, splits)
    if len(order) > MAX_COLUMNS:
        order = order[np.linspace(0, len(order) - 1, MAX_COLUMNS).round().astype(int)]
    picture = np.array(COLOURS)[find_parts(len(dataset), splits)[:, order]]
    # Lines of empty pixels part the splits.
    spaced = np.zeros((5 * len(splits), len(order), 4))
    for line in range(4):
        spaced[line::5] = picture
    axes.imshow(spaced, aspect="auto", interpolation="none", extent=(0, len(order), len(splits), 0))
    emotions = dataset.emotion[order]
    edges = [int(np.searchsorted(emotions, label)) for label in range(len(EMOTIONS) + 1)]
    for edge in edges[1:-1]:
        axes.axvline(edge, color=INK, linewidth=0.6, ymin=-0.02, clip_on=False)
    present = [label for label in range(len(EMOTIONS)) if edges[label + 1] > edges[label]]
    axes.set_xticks([(edges[i] + edges[i + 1]) / 2 for i in present], [EMOTIONS[i] for i in present])
    axes.set_yticks([i + 0.4 for i in range(len(splits))], [f"fold {i + 1}" for i in range(len(splits))])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    patches = [Patch(facecolor=COLOURS[i], edgecolor=LINE, label=PARTS[i]) for i in range(3)]
    axes.legend(handles=patches, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.2)
