"""Contrasts: differences of two events or conditions in; a table's rows of figures, words and drawings out."""

from collections.abc import Iterable

from markupsafe import Markup

from emoscope.core.emotions import EMOTIONS
from emoscope.core.numbers import NBSP
from emoscope.report import intervals
from emoscope.report.colours import find_css_colours
from emoscope.report.wording import Context
from emoscope.tables.inference import Contrast


def format_p(p: float | None) -> str:
    """Return a p-value as papers print it; a dash where there is no test."""
    if p is None:
        return "–"
    return f"<{NBSP}.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def find_contrast_reach(contrasts: Iterable[Contrast]) -> float:
    """Return where the axis of differences ends: all intervals fit."""
    ends = [(c.difference.mean, c.difference.low, c.difference.high) for c in contrasts]
    highest = max((abs(value) for three in ends for value in three if value is not None), default=0.0)
    return next((reach for reach in (0.1, 0.25, 0.5, 1.0) if highest <= reach), 2.0)


def describe_contrast(
    first: str,
    second: str,
    measure: str,
    contrast: Contrast,
    reach: float,
    classes: tuple[str, ...] = EMOTIONS,
) -> Context:
    """Return a row: the first less the second in one measure, valence or an emotion."""
    c = contrast
    label = f"{first} less {second}, {measure}: {intervals.format_index(c.difference.mean)}"
    return {
        "first": first,
        "second": second,
        "measure": measure,
        "colour": dict(zip(classes, find_css_colours(classes), strict=True)).get(measure, ""),
        "n": f"{c.n}" if c.n_other is None else f"{c.n}{NBSP}/{NBSP}{c.n_other}",
        "design": "same people" if c.n_other is None else "different people",
        "mean": intervals.format_index(c.difference.mean),
        "range": intervals.write_range(c.difference, intervals.format_index),
        "drawing": Markup(intervals.draw_interval(c.difference, -reach, reach, label)),
        "effect": intervals.format_index(c.effect.mean),
        "effect_range": intervals.write_range(c.effect, intervals.format_index) if c.effect.interval else "",
        "p": format_p(c.p_holm),
        "is_clear": c.p_holm is not None and c.p_holm < 0.05,
    }
