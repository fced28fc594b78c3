"""The report's drawings: numbers in, inline SVG out.

Drawings stretch to the width of the page. What must not be stretched with it, text and
hatching, is placed by percentages; only areas use a stretched coordinate system.
"""

import itertools
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from emoscope.core.emotions import EMOTIONS
from emoscope.report.colours import find_css_colours
from emoscope.report.timeline import DRAWN_BINS, UNCERTAIN_FROM, Bools, Floats, Ints, Timeline, find_segments
from emoscope.report.wording import format_clock, format_percent
from emoscope.tables.rows import find_signs

WIDTH, HEIGHT = 2000, 200
"""Units of the stretched coordinate system; whole numbers keep the paths short."""
LANE = 40
"""Height of one emotion's lane in a chart of changes."""
LANE_REACH = LANE / 2 - 2
"""Height of the largest change in it."""
LEAST_COUNT = 0.06
"""Share of the height that a face in few of a bin's frames still has, to leave a mark."""
LEAST_SHOT = 0.005
"""Percent of the axis; a narrower shot is not drawn."""
MAX_CUTS_READ = 10
"""A screen reader is told the times of so many cuts."""
TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
MAX_TICKS = 6
"""So many times of day fit beside each other on a telephone."""
SCRIPT_CHART = {
    "width": WIDTH,
    "height": HEIGHT,
    "lane": LANE,
    "laneReach": LANE_REACH,
    "leastCount": LEAST_COUNT,
    "tickSteps": TICK_STEPS_S,
    "maxTicks": MAX_TICKS,
    "drawnBins": DRAWN_BINS,
    "uncertainFrom": UNCERTAIN_FROM,
}
"""The same for js/draw.js, which draws these charts in full detail."""


def draw_stack(values: Floats, timeline: Timeline, label: str, classes: tuple[str, ...] = EMOTIONS) -> str:
    """Draw the probabilities over time as stacked areas, the first class on top as in every legend.

    Args:
        values: Mean probabilities per bin, shape (n_bins, classes); NaN rows stay empty.
        timeline: The bins.
        label: Description for those who cannot see the drawing.
        classes: Their names.
    """
    segments = find_segments(np.isfinite(values[:, 0]), timeline)
    layers = []
    for i, colour in enumerate(find_css_colours(classes)):
        # Every layer reaches down to the axis and is partly covered by the next:
        # half the path, and no hairlines between neighbours.
        heights = np.clip(values[:, i:].sum(axis=1), 0.0, 1.0)
        ys = _to_whole(HEIGHT * (1 - heights))
        path = "".join(_trace_steps(ys, HEIGHT, timeline, segment) for segment in segments)
        layers.append(f'<path fill="{colour}" d="{path}"/>')
    return _stretch("".join(layers), label, "stack")


def draw_changes(
    values: Floats, timeline: Timeline, limit: float, label: str, classes: tuple[str, ...] = EMOTIONS
) -> str:
    """Draw the changes over time, each in a lane of its own around its own zero line.

    Signed curves on one zero line would hide each other; lanes can be named beside them and need no colour.

    Args:
        values: Mean changes per bin, -1 to 1, shape (n_bins, classes); NaN rows stay empty.
        timeline: The bins.
        limit: The change that fills a lane's half.
        label: Description for those who cannot see the drawing.
        classes: Their names.
    """
    segments = find_segments(np.isfinite(values[:, 0]), timeline)
    parts = []
    for i, colour in enumerate(find_css_colours(classes)):
        zero = LANE * i + LANE // 2
        offsets = LANE_REACH * np.clip(values[:, i] / limit, -1.0, 1.0)
        for css_class, part in (("up", np.maximum(offsets, 0.0)), ("down", np.minimum(offsets, 0.0))):
            path = "".join(_trace_steps(_to_whole(zero - part), zero, timeline, segment) for segment in segments)
            parts.append(f'<path class="{css_class}" fill="{colour}" d="{path}"/>')
        parts.append(f'<path class="zero" d="M0 {zero}H{WIDTH}"/>')
    return _stretch("".join(parts), label, "changes", LANE * len(classes))


INDEX_REACHES = (0.25, 0.5, 1.0)
"""Ends of the axis of a valence index; the smallest that holds all of it is taken."""


def find_index_reach(values: Floats, classes: tuple[str, ...] = EMOTIONS) -> float:
    """Return where the axis of the valence index of probabilities, shape (n_bins, classes), ends."""
    index = np.abs(values @ find_signs(classes))
    most = float(np.nanmax(index)) if np.isfinite(index).any() else 0.0
    return next((reach for reach in INDEX_REACHES if most <= reach), INDEX_REACHES[-1])


def draw_index(
    values: Floats, timeline: Timeline, label: str, reach: float = 1.0, classes: tuple[str, ...] = EMOTIONS
) -> str:
    """Draw the valence index over time, -1 to 1, as an area above or below its zero line.

    Args:
        values: Mean probabilities per bin, shape (n_bins, classes); NaN rows stay empty.
        timeline: The bins.
        label: Description for those who cannot see the drawing.
        reach: The index that fills half the height.
        classes: Their names; each has a valence that is known.
    """
    segments = find_segments(np.isfinite(values[:, 0]), timeline)
    zero = HEIGHT // 2
    offsets = zero * np.clip(values @ find_signs(classes) / reach, -1.0, 1.0)
    parts = []
    for css_class, part in (("positive", np.maximum(offsets, 0.0)), ("negative", np.minimum(offsets, 0.0))):
        path = "".join(_trace_steps(_to_whole(zero - part), zero, timeline, segment) for segment in segments)
        parts.append(f'<path class="{css_class}" d="{path}"/>')
    return _stretch(f'{"".join(parts)}<path class="zero" d="M0 {zero}H{WIDTH}"/>', label, "index")


def draw_face_counts(counts: Floats, timeline: Timeline, label: str) -> str:
    """Draw how many faces were found over time; time without a face stays empty.

    Args:
        counts: Mean number of faces per frame and bin, shape (n_bins,).
        timeline: The bins.
        label: Description for those who cannot see the drawing.
    """
    heights = counts / max(find_top(counts), 1)
    heights = np.where(counts > 0, np.maximum(heights, LEAST_COUNT), 0.0)
    ys = _to_whole(HEIGHT * (1 - heights))
    path = "".join(_trace_steps(ys, HEIGHT, timeline, segment) for segment in find_segments(counts > 0, timeline))
    return _stretch(f'<path class="ink" d="{path}"/>', label, "counts")


def find_top(counts: Floats) -> int:
    """Return the upper end of the axis for numbers of faces."""
    return max(1, math.ceil(float(counts.max()) - 1e-9)) if len(counts) else 1


def draw_spans(wanted: Bools, timeline: Timeline, label: str, css_class: str) -> str:
    """Draw the stretches of time for which something holds as bars in one row.

    Args:
        wanted: Whether it holds, shape (n_bins,).
        timeline: The bins.
        label: Description for those who cannot see the drawing.
        css_class: How to draw it: `seen` or `uncertain`.
    """
    bars = []
    for first, end in find_segments(wanted, timeline):
        x = _x_percent(timeline.starts_s[first], timeline)
        width = max(_x_percent(timeline.ends_s[end - 1], timeline) - x, 0.15)
        bars.append(f'<rect x="{x:.2f}%" width="{width:.2f}%" height="100%"/>')
    return f'<svg class="spans {css_class}" role="img" aria-label="{escape(label)}">{"".join(bars)}</svg>'


def draw_shots(cuts: Sequence[float], timeline: Timeline) -> str:
    """Draw when a film's shots change: every second shot is filled, so that it shows where each begins and ends."""
    edges = [_x_percent(time_s, timeline) for time_s in (*cuts, timeline.end_s)]
    spans = [(a, b - a) for a, b in itertools.pairwise(edges)][::2]
    bars = "".join(f'<rect x="{x:.2f}%" width="{w:.2f}%" height="100%"/>' for x, w in spans if w >= LEAST_SHOT)
    times = ", ".join(format_clock(time_s, 1) for time_s in cuts[:MAX_CUTS_READ])
    more = f" and {len(cuts) - MAX_CUTS_READ} more times" if len(cuts) > MAX_CUTS_READ else ""
    label = f"{len(cuts) + 1} shots; they change at {times}{more}"
    return f'<svg class="spans seen" role="img" aria-label="{escape(label)}">{bars}</svg>'


def draw_axis(timeline: Timeline) -> str:
    """Draw ticks and times; hidden from screen readers, whose charts name their times.

    js/zoom.js draws the same for a part of the time.
    """
    step_s = next((s for s in TICK_STEPS_S if timeline.end_s / s < MAX_TICKS), TICK_STEPS_S[-1])
    n_decimals = 1 if step_s < 1 else 0
    parts = []
    for i in range(int(timeline.end_s / step_s + 1e-6) + 1):
        x = _x_percent(i * step_s, timeline)
        anchor = "start" if i == 0 else "end" if x > 97 else "middle"
        parts.append(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y2="5"/>')
        parts.append(f'<text x="{x:.2f}%" y="18" text-anchor="{anchor}">{format_clock(i * step_s, n_decimals)}</text>')
    return f'<svg class="axis" aria-hidden="true">{"".join(parts)}</svg>'


def draw_bar(fraction: float, colour: str) -> str:
    """Draw one bar on a track that stands for 100 %; decorative, as the number is printed beside it."""
    width = 100 * min(max(fraction, 0.0), 1.0)
    return (
        f'<svg class="bar" aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        f'<rect width="{width:.2f}%" height="100%" fill="{colour}"/></svg>'
    )


def draw_split(fractions: Sequence[float], colours: Sequence[str], names: Sequence[str]) -> str:
    """Draw parts of a whole side by side; `colours` are CSS colours."""
    label = ", ".join(f"{name} {format_percent(f)}" for name, f in zip(names, fractions, strict=True))
    x, parts = 0.0, []
    for fraction, colour in zip(fractions, colours, strict=True):
        width = 100 * max(fraction, 0.0)
        if width >= 0.05:
            parts.append(f'<rect x="{x:.1f}%" width="{width:.1f}%" height="100%" fill="{colour}"/>')
        x += width
    return f'<svg class="split" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def draw_emotion_split(probabilities: Sequence[float], classes: tuple[str, ...] = EMOTIONS) -> str:
    """Draw the probabilities of one face side by side, in the order of every legend."""
    return draw_split(probabilities, find_css_colours(classes), classes)


def _x_percent(time_s: float, timeline: Timeline) -> float:
    """Return the place of a time on the axis, 0 to 100."""
    return 100 * min(max(float(time_s) / timeline.end_s, 0.0), 1.0)


def place_span(start_s: float, end_s: float, timeline: Timeline) -> str:
    """Return the CSS variables that place a mark (both times the same) or a band, in percent of the axis."""
    x = _x_percent(start_s, timeline)
    return f"--x:{x:.3f};--w:{_x_percent(end_s, timeline) - x:.3f}"


def _to_whole(values: Floats) -> Ints:
    """Round to whole units; bins without a value are never drawn."""
    return np.rint(np.nan_to_num(values)).astype(np.int64)


def _trace_steps(ys: Ints, base: int, timeline: Timeline, segment: tuple[int, int]) -> str:
    """Return the SVG path of one closed stepped area between `ys`, one per bin, and the line y = base.

    Steps, not slopes: a bin's mean holds for the whole bin, and a single bin still has a width.
    """
    first, end = segment
    xs = [round(WIDTH * _x_percent(t, timeline) / 100) for t in timeline.starts_s[first:end]]
    xs.append(max(round(WIDTH * _x_percent(timeline.ends_s[end - 1], timeline) / 100), xs[-1] + 1))
    parts, x, y = [f"M{xs[0]} {base}"], xs[0], base
    for next_x, next_y in zip(xs[1:], ys[first:end].tolist(), strict=True):
        if next_y != y:
            if xs[0] != x:
                parts.append(f"H{x}")
            parts.append(f"V{next_y}")
            y = next_y
        x = next_x
    # An area that never leaves its line is none.
    return "" if len(parts) == 1 and y == base else "".join((*parts, f"H{x}V{base}Z"))


def _stretch(content: str, label: str, css_class: str, height: int = HEIGHT) -> str:
    """Wrap drawn areas so that they fill whatever space the page gives them."""
    return (
        f'<svg class="{css_class}" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none">{content}</svg>'
    )
