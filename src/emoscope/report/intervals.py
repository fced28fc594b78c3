"""Means with their 95 % intervals: numbers in, inline SVG and words out; for marked segments."""

from collections.abc import Callable
from html import escape

from emoscope.core.numbers import NBSP, format_signed
from emoscope.tables.event_means import Difference
from emoscope.tables.inference import Estimate


def draw_interval(value: Estimate, low_end: float, high_end: float, label: str) -> str:
    """Draw a dot at the mean and a line over the interval, on an axis with a tick at 0.

    Args:
        value: what is drawn; without an interval the dot alone.
        low_end: left end of the axis.
        high_end: right end of the axis.
        label: Description for those who cannot see the drawing.
    """

    def place(x: float) -> float:
        return 100 * min(max((x - low_end) / (high_end - low_end), 0.0), 1.0)

    parts = [f'<line class="zero" x1="{place(0):.1f}%" x2="{place(0):.1f}%" y1="0" y2="100%"/>']
    if value.interval:
        low, high = map(place, value.interval)
        parts.append(f'<rect class="range" x="{low:.1f}%" width="{max(high - low, 0.6):.1f}%" y="40%" height="20%"/>')
    if value.mean is not None:
        parts.append(f'<circle cx="{place(value.mean):.1f}%" cy="50%" r="4.5"/>')
    return f'<svg class="interval" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def format_index(value: float | None) -> str:
    """Return a signed number with two decimals, as the valence index is printed."""
    return "–" if value is None else format_signed(value, 2)


def format_points(value: float | None) -> str:
    """Return a difference of probabilities in signed percentage points."""
    return "–" if value is None else format_signed(100 * value, 0)


def format_plain(value: float | None) -> str:
    """Return a probability as a percentage without its sign."""
    return "–" if value is None else f"{100 * value:.0f}"


def write_range(value: Estimate, style: Callable[[float], str]) -> str:
    """Return `low to high`, or why there is none."""
    return " to ".join(map(style, value.interval)) if value.interval else "no interval"


def describe_difference(difference: Difference | None) -> str:
    """Return in one sentence whether a segment stands out from the rest of its recording."""
    if difference is None:
        return "It cannot be compared: nobody was seen both in this segment and in the rest of the recording."
    value = difference.valence
    mean = value.mean
    if mean is None:
        return "It cannot be compared with the rest of the recording."
    size = f"{abs(mean):.2f}"
    way = "more pleasant" if mean > 0 else "less pleasant"
    if float(size) == 0:
        text = "Expressions were read as pleasant as in the rest of the recording"
    else:
        text = f"Expressions were read as {way} than in the rest of the recording, by {size} on the index"
    if not value.interval:
        people = "one person" if difference.people == 1 else f"{difference.people} people"
        return f"{text}. From {people} there is no telling whether that is chance."
    text += f" (95{NBSP}% interval {write_range(value, format_index)})."
    low, high = (round(bound, 2) for bound in value.interval)  # as they are printed
    if low <= 0 <= high:
        return f"{text} The interval holds 0: the difference may be chance."
    return f"{text} The interval does not hold 0: chance between people alone hardly explains the difference."
