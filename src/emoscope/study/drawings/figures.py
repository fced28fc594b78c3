"""Drawings of numbers, each one PNG: a dataset; a network's confusion, ROC, calibration, learning curves, failures."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from emoscope.core.emotions import EMOTIONS, find_colours
from emoscope.core.errors import OutputError
from emoscope.core.files import explain, open_atomic
from emoscope.study.data.dataset import USAGES, Dataset
from emoscope.study.drawings.axes import draw_confusion, draw_reliability, draw_roc, draw_sizes, select_curve
from emoscope.study.measuring.calibrate import compute_coverage

N_SAMPLES = 10
"""Pictures per class."""

N_GROUPS = 12
"""Groups of near-copies."""

TINTS = {"Training": 0.0, "PublicTest": 0.4, "PrivateTest": 0.68, "Test": 0.55, "": 0.0}
"""How far a class's colour is mixed with white, by usage."""

GREY = "#555555"
SOFTWARE = "emoscope data show"
HEAD_BYTES = 4096
"""Texts of a PNG stand before its pixels."""


def plot_dataset(dataset: Dataset, path: Path) -> None:
    """Write a PNG: one row per class with its name, samples, and a bar of its images by usage.

    The samples are drawn by a fixed seed, never two of identical pixels.

    Raises:
        OutputError: the place cannot be written, or something else is there; choose another.
    """
    height = 0.86 * len(dataset.classes) + 0.4
    figure = Figure(figsize=(13, height), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    samples, bars = figure.subplots(1, 2, width_ratios=[N_SAMPLES, 5.2])
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - 0.576 / height, bottom=0.192 / height, wspace=0.04)
    _plot_samples(samples, dataset)
    _plot_distribution(bars, dataset)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    _check_free(path)
    with open_atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": SOFTWARE})


def plot_near_copies(dataset: Dataset, path: Path) -> None:
    """Write a PNG of groups of near-copies: the largest, then others by a fixed seed, a row of different images each.

    Raises:
        OutputError: as plot_dataset().
    """
    groups = choose_near_copies(dataset)
    figure = Figure(figsize=(1.02 * N_SAMPLES, 1.02 * len(groups) + 0.4), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1 - 0.4 / (1.02 * len(groups) + 0.4)))
    h, w = dataset.pixels.shape[1:]
    sheet = np.full((len(groups) * (h + 3), N_SAMPLES * (w + 3)), 255, np.uint8)
    for y, rows in enumerate(groups):
        for x, row in enumerate(rows[:N_SAMPLES]):
            sheet[y * (h + 3) : y * (h + 3) + h, x * (w + 3) : x * (w + 3) + w] = dataset.pixels[row]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("Near-copies: each row is one photograph, as far as its content tells", loc="left", fontsize=11)
    _save(figure, path)


def choose_near_copies(dataset: Dataset) -> list[NDArray[np.int64]]:
    """Return rows of different images of at most N_GROUPS groups of near-copies, half of them the largest."""
    first = np.unique(dataset.group, return_index=True)[1]
    sizes = np.bincount(dataset.relative[first])
    largest = [int(g) for g in np.argsort(-sizes, kind="stable") if sizes[g] > 1]
    others = np.random.default_rng(0).permutation(largest[N_GROUPS // 2 :])[: N_GROUPS // 2].tolist()
    return [first[dataset.relative[first] == group] for group in [*largest[: N_GROUPS // 2], *others]]


def _check_free(path: Path) -> None:
    """Check that a drawing replaces nothing but an earlier one, which says in its head who made it."""
    if os.path.lexists(path):
        try:
            head = path.open("rb").read(HEAD_BYTES) if path.is_file() and not path.is_symlink() else b""
        except OSError as e:
            raise explain(path, e) from e
        if b"Software\0" + SOFTWARE.encode() not in head:
            raise OutputError(f"{path} is no picture that emoscope drew; name another file or move it away")


def choose_samples(dataset: Dataset, label: int) -> NDArray[np.int64]:
    """Return at most N_SAMPLES rows of a class by a fixed seed, never two of identical pixels."""
    rows = np.flatnonzero(dataset.emotion == label)
    rows = rows[np.unique(dataset.group[rows], return_index=True)[1]]
    return np.sort(np.random.default_rng(label).permutation(rows)[:N_SAMPLES])


def _plot_samples(axes: Axes, dataset: Dataset) -> None:
    # Of faces of 48 px three.
    gap = max(1, dataset.side_px // 16)
    classes, side = dataset.classes, dataset.side_px
    step = side + gap
    sheet = np.full((len(classes) * step - gap, N_SAMPLES * step - gap), 255, np.uint8)
    for label in range(len(classes)):
        for column, row in enumerate(choose_samples(dataset, label)):
            y, x = label * step, column * step
            sheet[y : y + side, x : x + side] = dataset.pixels[row]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
    axes.set_yticks([label * step + side / 2 for label in range(len(classes))], classes)
    axes.set_xticks([])
    axes.tick_params(length=0, pad=8)
    for text, colour in zip(axes.get_yticklabels(), find_colours(classes), strict=True):
        text.set(color=colour, fontweight="bold", fontsize=11)
    axes.set_frame_on(False)
    axes.set_title(f"{len(dataset):,} images: samples and counts of each class", loc="left", fontweight="bold", pad=12)


def _plot_distribution(axes: Axes, dataset: Dataset) -> None:
    """Draw one stacked bar per class, in line with its samples."""
    present = [usage for usage in USAGES if (dataset.usage == usage).any()]
    n_classes = len(dataset.classes)
    left = np.zeros(n_classes)
    for usage in present:
        counts = np.bincount(dataset.emotion[dataset.usage == usage], minlength=n_classes)
        colours = [_tint(colour, TINTS[usage]) for colour in find_colours(dataset.classes)]
        axes.barh(range(n_classes), counts, left=left, height=0.5, color=colours)
        left += counts
    for label, total in enumerate(left):
        text = f" {total:,.0f}  ({total / len(dataset):.1%})"
        axes.text(total, label, text, va="center", ha="left", fontsize=10)
    # Room for the figures at the end of the longest bar.
    axes.set_xlim(0, left.max() * 1.42)
    # The gap between two rows of samples is 3 of 51 pixels; so the bars stand level with them.
    edge = 48 / 51 / 2
    axes.set_ylim(n_classes - 1 + edge, -edge)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color("#bbbbbb")
    if present != [""]:
        patches = [Patch(color=_tint(GREY, TINTS[usage]), label=usage or "unmarked") for usage in present]
        axes.legend(
            handles=patches, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(present), frameon=False,
            fontsize=9, handlelength=1, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.7,
        )  # fmt: skip


def _tint(colour: str, share: float) -> tuple[float, float, float]:
    r, g, b = (c + (1 - c) * share for c in to_rgb(colour))
    return r, g, b


@contextlib.contextmanager
def open_figure(path: Path, size: tuple[float, float]) -> Iterator[Axes]:
    """Yield the axes of one plain drawing; write it as PNG when the block ends."""
    figure = Figure(figsize=size, dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    yield axes
    with open_atomic(path) as temporary:
        figure.savefig(temporary, format="png")


def plot_confusion(confusion: NDArray[np.integer], path: Path, classes: tuple[str, ...] = EMOTIONS) -> None:
    """Draw row-normalised confusion counts (classes, classes) as a heat map."""
    with open_figure(path, (max(6.4, 3 + len(classes) / 4), max(5.4, 2 + len(classes) / 4))) as axes:
        draw_confusion(axes, confusion, classes)


def plot_roc(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], path: Path, classes: tuple[str, ...] = EMOTIONS
) -> None:
    """Draw each class's one-vs-rest ROC curve and their mean, from probabilities (n, classes)."""
    with open_figure(path, (6.0, 5.4)) as axes:
        draw_roc(axes, probabilities, labels, classes)


def plot_reliability(curves: Sequence[tuple[str, NDArray[np.floating], NDArray[np.integer]]], path: Path) -> None:
    """Draw how often predictions of each confidence are right.

    Args:
        curves: name, probabilities (n, classes) and labels (n,) of each.
        path: the PNG.
    """
    with open_figure(path, (6.0, 5.4)) as axes:
        draw_reliability(axes, curves)


def plot_coverage(
    certainty: NDArray[np.floating], is_right: NDArray[np.bool_], uncertain_below: float, path: Path
) -> None:
    """Draw accuracy against the share of faces that are kept, the least certain left out first."""
    coverage, accuracy, threshold = compute_coverage(certainty, is_right)
    with open_figure(path, (6.0, 4.4)) as axes:
        axes.plot(coverage[50:], accuracy[50:], color="#3573b9")
        kept = int((threshold >= uncertain_below).sum()) - 1
        if kept >= 0:
            axes.plot(coverage[kept], accuracy[kept], "o", color="#c8413b")
            text = f"not uncertain: {coverage[kept]:.0%} of the faces,\n{accuracy[kept]:.1%} of them right"
            place = (coverage[kept], accuracy[kept])
            # Below the falling curve there is room on the left, whatever the share that is kept.
            axes.annotate(text, place, xytext=(-12, -4), textcoords="offset points", ha="right", va="top")
        axes.set(xlabel="share of faces kept, most certain first", ylabel="share that is right", xlim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def plot_history(history: Sequence[dict[str, float]], path: Path) -> None:
    """Draw loss, validation accuracy and macro F1 per epoch."""
    with open_figure(path, (7.0, 4.2)) as axes:
        axes.plot(*select_curve(history, "validation_accuracy"), color="#3573b9", label="validation accuracy")
        axes.plot(*select_curve(history, "validation_macro_f1"), color="#c8413b", label="validation macro F1")
        axes.set(xlabel="epoch", ylabel="accuracy, macro F1", ylim=(0, 1))
        losses = axes.twinx()
        losses.plot(*select_curve(history, "train_loss"), color=GREY, linestyle=":", label="training loss")
        losses.set(ylabel="training loss")
        draw_sizes(axes, history)
        lines = [*axes.get_lines()[:2], *losses.get_lines()]
        # Above the axes: wherever it lay within, some curve would run through it.
        names = [str(line.get_label()) for line in lines]
        axes.legend(lines, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def plot_faces(faces: NDArray[np.uint8], titles: Sequence[str], path: Path, columns: int = 7) -> None:
    """Draw faces (n, h, w) in rows, a title above each."""
    rows = -(-len(faces) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.9 * rows), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for i, (face, title) in enumerate(zip(faces, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(face, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    with open_atomic(path) as temporary:
        figure.savefig(temporary, format="png")
