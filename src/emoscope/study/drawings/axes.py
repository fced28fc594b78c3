"""Drawings of numbers on given axes: the same for PNG files and for a report's SVG."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from emoscope.core.emotions import find_colours
from emoscope.study.measuring.metrics import N_BINS, compute_auc

INK, SOFT, LINE = "#1c1f24", "#5d6470", "#dfe2e7"
"""Text, lesser text and thin lines; a page that can be dark replaces these three."""
BLUE, RED = "#3573b9", "#c8413b"
GREY = "#8a8f98"

MIN_IN_BIN = 20
"""A handful of images say nothing about a bin of the reliability diagram."""

MAX_WRITTEN = 12
"""Classes of a confusion matrix whose cells still have room for a number."""

N_CURVE_POINTS = 200
"""Of a ROC curve: more cannot be told apart on a page."""


def draw_confusion(axes: Axes, confusion: NDArray[np.integer], classes: tuple[str, ...]) -> None:
    """Draw row-normalised confusion counts (classes, classes) as a heat map: what became of each label's images."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    edges = np.arange(len(classes) + 1) - 0.5
    # One colour, more or less opaque: right on a light and on a dark ground.
    cells = np.zeros((*shares.shape, 4))
    cells[..., :3] = [int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    cells[..., 3] = shares
    axes.pcolormesh(edges, edges, cells, edgecolors="none")
    is_crowded = len(classes) > MAX_WRITTEN
    rotation, fontsize = (90, 6) if is_crowded else (30, None)
    axes.set_xticks(range(len(classes)), classes, rotation=rotation, ha="right", fontsize=fontsize)
    axes.set_yticks(range(len(classes)), classes, fontsize=fontsize)
    axes.set(xlabel="prediction", ylabel="label", ylim=(len(classes) - 0.5, -0.5))
    for (row, column), share in np.ndenumerate(shares) if not is_crowded else ():
        colour = "white" if share > 0.85 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour)
    axes.set_title("Of each label's images, % read as ...", loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)


def draw_roc(
    axes: Axes, probabilities: NDArray[np.floating], labels: NDArray[np.integer], classes: tuple[str, ...]
) -> None:
    """Draw each class's one-vs-rest ROC curve and their mean, from probabilities (n, classes)."""
    colours = find_colours(classes)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    grid = np.linspace(0, 1, N_CURVE_POINTS + 1)
    curves, areas = [], []
    for label, auc in enumerate(compute_auc(probabilities, labels)):
        if auc is not None:
            false, true, _ = roc_curve(labels == label, probabilities[:, label])
            curves.append(np.interp(grid, false, true))
            areas.append(auc)
            axes.plot(*_thin(false, true), color=colours[label], linewidth=1.4, label=f"{classes[label]}, {auc:.3f}")
    if curves:
        # Every curve begins in the corner, where interpolation sees the end of its first rise.
        mean = np.concatenate([[0.0], np.mean(curves, axis=0)])
        text = f"mean, {np.mean(areas):.3f}"
        axes.plot(np.concatenate([[0.0], grid]), mean, color=INK, linewidth=2.2, label=text)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))
    n_columns = 1 + len(classes) // MAX_WRITTEN
    axes.legend(loc="lower right", frameon=False, title="area under the curve", ncols=n_columns)


def _thin(x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Leave out points of a rising curve that lie close together."""
    along = x + y
    rows = np.unique(np.searchsorted(along, np.linspace(along[0], along[-1], N_CURVE_POINTS)))
    return x[rows], y[rows]


def draw_reliability(
    axes: Axes, curves: Sequence[tuple[str, NDArray[np.floating], NDArray[np.integer]]], min_in_bin: int = MIN_IN_BIN
) -> None:
    """Draw how often predictions of each confidence are right.

    Args:
        axes: to draw on.
        curves: name, probabilities (n, classes) and labels (n,) of each.
        min_in_bin: bins with fewer images are left out.
    """
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    for (name, probabilities, labels), marker in zip(curves, "osD^v", strict=False):
        confidence = probabilities.max(axis=1)
        is_right = probabilities.argmax(axis=1) == labels
        bins = np.clip((confidence * N_BINS).astype(int), 0, N_BINS - 1)
        used = [b for b in range(N_BINS) if (bins == b).sum() >= min_in_bin]
        x = [confidence[bins == b].mean() for b in used]
        axes.plot(x, [is_right[bins == b].mean() for b in used], marker=marker, markersize=4, label=name)
    axes.set(xlabel="largest probability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(loc="upper left", frameon=False)


def draw_sizes(axes: Axes, history: Sequence[dict[str, float]]) -> None:
    """Mark the epochs from which on pictures have another size."""
    for before, row in itertools.pairwise(history):
        if row["size_px"] != before["size_px"]:
            axes.axvline(row["epoch"] - 0.5, color=LINE, zorder=0)
            axes.text(row["epoch"], 0.02, f"{row['size_px']:.0f} px", color=SOFT, fontsize=9)


def select_curve(history: Sequence[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return the epochs that have a figure, not all are validated, and the figure of each."""
    rows = [row for row in history if not math.isnan(row[key])]
    return [row["epoch"] for row in rows], [row[key] for row in rows]


def draw_f1_curves(axes: Axes, history: Sequence[dict[str, float]], best_epoch: int) -> None:
    """Draw macro F1 per epoch on the training part, as predicted while learning, and on the validation part."""
    for key, colour, name in (("train", GREY, "training"), ("validation", BLUE, "validation")):
        axes.plot(*select_curve(history, f"{key}_macro_f1"), color=colour, marker="o", markersize=3, label=name)
    best = history[best_epoch - 1]["validation_macro_f1"]
    axes.plot(best_epoch, best, "o", color=RED, markersize=7, label="weights kept")
    draw_sizes(axes, history)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel="macro F1", ylim=(0, 1))
    axes.legend(loc="upper left", frameon=False, ncols=3)


def draw_search(axes: Axes, scores: Sequence[float | None], reference: float | None) -> None:
    """Draw the trials of a search in their order and the best so far.

    Args:
        axes: to draw on.
        scores: validation macro F1; None for a trial that failed.
        reference: the reference study's best trial, if it has this family.
    """
    done = [(i + 1, score) for i, score in enumerate(scores) if score is not None]
    x, y = [i for i, _ in done], [score for _, score in done]
    axes.plot(x, y, "o", color=GREY, markersize=4, label="trial")
    if done:
        best = [*itertools.accumulate(y, max), max(y)]
        axes.plot([*x, len(scores)], best, color=BLUE, drawstyle="steps-post", label="best so far")
    if failed := [i + 1 for i, score in enumerate(scores) if score is None]:
        low = min([*y, reference or 1.0])
        axes.plot(failed, [low] * len(failed), "x", color=RED, markersize=6, label="failed")
    if reference is not None:
        axes.axhline(reference, color=RED, linewidth=1, linestyle="--", label="reference study's best")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="trial", ylabel="validation macro F1", xlim=(0.5, len(scores) + 0.5))
    axes.margins(y=0.12)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, ncols=4, columnspacing=1.2)


def draw_importances(axes: Axes, names: Sequence[str], shares: Sequence[float]) -> None:
    """Draw how much each setting decides, as bars, the first on top."""
    axes.barh(range(len(names)), shares, height=0.62, color=BLUE)
    for i, share in enumerate(shares):
        axes.annotate(f"{share:.0%}", (share, i), (5, 0), textcoords="offset points", va="center", color=INK)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="share of the variance", xlim=(0, 1.15), ylim=(len(names) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)


def draw_parallel(
    axes: Axes, columns: Sequence[tuple[str, Sequence[str]]], places: Sequence[Sequence[int]], scores: Sequence[float]
) -> None:
    """Draw each trial as a line across its settings.

    Args:
        axes: to draw on.
        columns: each setting's name and its values.
        places: of each trial, the index of its value in every column.
        scores: of each trial; the higher, the darker.
    """
    low, high = min(scores), max(scores)
    for i in sorted(range(len(scores)), key=lambda i: scores[i]):
        y = [(place + 0.5) / len(values) for place, (_, values) in zip(places[i], columns, strict=True)]
        weight = (scores[i] - low) / (high - low) if high > low else 1.0
        colour = RED if scores[i] == high else BLUE
        axes.plot(range(len(columns)), y, color=colour, alpha=0.15 + 0.85 * weight, linewidth=1 + 1.2 * weight)
    for x, (_, values) in enumerate(columns):
        axes.axvline(x, color=LINE, zorder=0)
        for i, value in enumerate(values):
            axes.annotate(
                value, (x, (i + 0.5) / len(values)), (4, 3), textcoords="offset points", color=INK, fontsize=9
            )
    axes.set_xticks(range(len(columns)), [name for name, _ in columns])
    axes.set(ylim=(0, 1), xlim=(-0.1, len(columns) - 0.5))
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@dataclass(frozen=True)
class Estimate:
    """One line of draw_estimates()."""

    name: str
    values: Sequence[float]
    """Of the repeats."""
    mean: float
    interval: Sequence[float] | None
    reference: tuple[float, Sequence[float] | None] | None = None
    """The reference study's mean and interval."""


def draw_estimates(axes: Axes, rows: Sequence[Estimate], label: str) -> None:
    """Draw means with their intervals, one line each, the repeats behind them and the reference study's below."""
    for i, row in enumerate(rows):
        axes.plot(row.values, [i] * len(row.values), "o", color=BLUE, alpha=0.3, markersize=5, markeredgewidth=0)
        if row.interval:
            axes.plot(row.interval, [i, i], color=BLUE, linewidth=2.4, solid_capstyle="butt")
        axes.plot(row.mean, i, "o", color=BLUE, markersize=8, label="ours: mean, 95 % interval" if i == 0 else None)
    known = [(i, row.reference) for i, row in enumerate(rows) if row.reference]
    for n, (i, (mean, interval)) in enumerate(known):
        if interval:
            axes.plot(interval, [i + 0.28, i + 0.28], color=RED, linewidth=1.4, solid_capstyle="butt")
        text = "reference study: mean, 95 % interval" if n == 0 else None
        axes.plot(mean, i + 0.28, "D", color=RED, markersize=5, label=text)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(xlabel=label, ylim=(len(rows) - 0.4, -0.6))
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, ncols=2)


def draw_counts(axes: Axes, counts: Sequence[int], classes: tuple[str, ...]) -> None:
    """Draw how many images each class has."""
    axes.barh(range(len(classes)), counts, height=0.62, color=find_colours(classes))
    for label, count in enumerate(counts):
        text = f"{count:,} ({count / max(sum(counts), 1):.1%})"
        # SVG drops leading spaces: the gap is an offset.
        axes.annotate(text, (count, label), (5, 0), textcoords="offset points", va="center", ha="left", color=INK)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(ylim=(len(classes) - 0.5, -0.5), xlim=(0, max(counts) * 1.25))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
