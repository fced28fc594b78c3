"""Drawings of a project: curves with their intervals, thin lines of participants and the strip of all of them."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoscope.report.charts import HEIGHT, WIDTH
from emoscope.report.timeline import Timeline, find_segments

Floats = NDArray[np.float64]
POSITIVE_RGB: Final = (34, 150, 190)
NEGATIVE_RGB: Final = (190, 90, 60)
UNSEEN_RGBA: Final = (128, 128, 128, 110)
"""Colours that are told apart on a light and on a dark ground."""
REACHES: Final = (0.1, 0.25, 0.5, 1.0)
"""Where axes of the valence index end."""


def coarsen(values: Floats, factor: int) -> Floats:
    """Return the means of so many bins (n, n_bins, k) each, of those that there are."""
    if factor == 1:
        return values
    edges = np.arange(0, values.shape[1], factor)
    is_there = np.isfinite(values)
    sums = np.add.reduceat(np.where(is_there, values, 0), edges, axis=1)
    counts = np.add.reduceat(is_there.astype(np.int64), edges, axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def find_reach(*values: Floats) -> float:
    """Return where an axis ends that holds all of some values."""
    most = max((float(np.nanmax(np.abs(part))) for part in values if np.isfinite(part).any()), default=0.0)
    return next((reach for reach in REACHES if most <= reach), REACHES[-1])


def draw_band(low: Floats, high: Floats, reach: float, timeline: Timeline) -> str:
    """Return the path of an interval over time.

    Args:
        low: (n_bins,); NaN where there is none.
        high: (n_bins,)
        reach: what stands at the upper end of the axis; the lower end is its negative.
        timeline: the bins.
    """
    parts = []
    for first, end in find_segments(np.isfinite(low) & np.isfinite(high), timeline):
        xs = _find_middles(timeline)[first:end]
        upper = _to_points(xs, _to_y(high[first:end], reach))
        lower = _to_points(xs[::-1], _to_y(low[first:end], reach)[::-1])
        parts.append(f"M{upper}L{lower}Z")
    return "".join(parts)


def draw_line(values: Floats, reach: float, timeline: Timeline) -> str:
    """Return the path of a curve (n_bins,), broken where it has no values."""
    xs, ys = _find_middles(timeline), _to_y(values, reach)
    parts = []
    for first, end in find_segments(np.isfinite(values), timeline):
        # A lone bin still leaves a mark.
        end_mark = "h1" if end - first == 1 else ""
        parts.append(f"M{_to_points(xs[first:end], ys[first:end])}{end_mark}")
    return "".join(parts)


def _find_middles(timeline: Timeline) -> NDArray[np.int64]:
    middles = (timeline.starts_s + timeline.ends_s) / 2
    return np.rint(WIDTH * middles / timeline.end_s).astype(np.int64)


def _to_y(values: Floats, reach: float) -> NDArray[np.int64]:
    shares = np.clip(np.nan_to_num(values) / reach, -1, 1)
    return np.rint(HEIGHT / 2 * (1 - shares)).astype(np.int64)


def _to_points(xs: NDArray[np.int64], ys: NDArray[np.int64]) -> str:
    return "L".join(f"{x} {y}" for x, y in zip(xs.tolist(), ys.tolist(), strict=True))


def draw_curves(
    curves: Sequence[tuple[str, Floats, Floats, Floats]], reach: float, timeline: Timeline, label: str
) -> str:
    """Draw mean curves with their intervals, each in the class of its name.

    Args:
        curves: class, mean, low and high of each, (n_bins,).
        reach: end of the axis.
        timeline: the bins.
        label: what those are told who cannot see it.
    """
    parts = [f'<path class="zero" d="M0 {HEIGHT // 2}H{WIDTH}"/>']
    parts += [
        f'<path class="band-of {name}" d="{draw_band(low, high, reach, timeline)}"/>' for name, _, low, high in curves
    ]
    parts += [f'<path class="mean {name}" d="{draw_line(mean, reach, timeline)}"/>' for name, mean, _, _ in curves]
    return _wrap("".join(parts), label)


def draw_threads(curves: Floats, names: Sequence[str], links: Sequence[str], reach: float, timeline: Timeline) -> str:
    """Draw each participant as a thin line; a click opens their report.

    Args:
        curves: (participants, n_bins)
        names: of the participants.
        links: to their reports; empty where there is none.
        reach: end of the axis.
        timeline: the bins.
    """
    parts = [f'<path class="zero" d="M0 {HEIGHT // 2}H{WIDTH}"/>']
    for curve, name, link in zip(curves, names, links, strict=True):
        path = draw_line(curve, reach, timeline)
        # The line that is seen is too thin to be pointed at.
        inner = f'<title>{escape(name)}</title><path class="wide" d="{path}"/><path class="thread" d="{path}"/>'
        # Keyboards have the same links in the table of participants.
        parts.append(f'<a href="{escape(link)}" tabindex="-1">{inner}</a>' if link else f"<g>{inner}</g>")
    return _wrap("".join(parts), "")


def _wrap(content: str, label: str) -> str:
    said = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<svg class="curves" {said} viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">{content}</svg>'


def draw_heat(curves: Floats, reach: float, timeline: Timeline, label: str) -> str:
    """Draw all participants below each other, each moment in the colour of its valence.

    Args:
        curves: (participants, n_bins); NaN is grey.
        reach: the valence whose colour is full.
        timeline: the bins.
        label: what those are told who cannot see it.
    """
    from PIL import Image

    strength = np.clip(np.abs(np.nan_to_num(curves)) / reach, 0, 1)
    pixels = np.zeros((*curves.shape, 4), np.uint8)
    pixels[..., :3] = np.where((np.nan_to_num(curves) >= 0)[..., None], POSITIVE_RGB, NEGATIVE_RGB)
    pixels[..., 3] = np.rint(255 * strength)
    pixels[~np.isfinite(curves)] = UNSEEN_RGBA
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    width = WIDTH * timeline.analysed_until_s / timeline.end_s
    image = (
        f'<image href="data:image/png;base64,{data}" width="{width:g}" height="{HEIGHT}" preserveAspectRatio="none"/>'
    )
    return (
        f'<svg class="heat" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'preserveAspectRatio="none">{image}</svg>'
    )
