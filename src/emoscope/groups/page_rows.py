"""Rows of a project's page: what was computed in; figures, words and drawings out."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup

from emoscope.core.numbers import NBSP, format_signed
from emoscope.groups import drawings
from emoscope.groups.alignment import MIN_CERTAINTY
from emoscope.groups.contrasts import Level, Results, Stretch
from emoscope.groups.drawings import coarsen, find_reach
from emoscope.groups.measures import RANGE, VALENCE, Measures
from emoscope.groups.people import Floats
from emoscope.report import charts, intervals, wording
from emoscope.report.colours import find_css_colours
from emoscope.report.contrast_rows import describe_contrast, find_contrast_reach, format_p
from emoscope.report.timeline import Timeline
from emoscope.report.wording import Context, format_clock, format_percent
from emoscope.tables.inference import Estimate, compute_intervals, estimate_means

MAX_ROWS: Final = 300
"""Of a table on the page; files have them all."""
MAX_PAIRS: Final = 60


def format_estimate(value: Estimate) -> str:
    """Return an index with its interval, if it has one."""
    text = intervals.format_index(value.mean)
    return (
        f"{text} (95{NBSP}% interval {intervals.write_range(value, intervals.format_index)})"
        if value.interval
        else text
    )


def list_key(results: Results) -> list[tuple[str, str]]:
    """Return the numbers that stand on top, with their words."""
    project = results.project
    total = np.sum([track.total for track in project.tracks], axis=0)
    frames = sum(float(track.frames.sum()) for track in project.tracks)
    alike = results.agreement[np.isfinite(results.agreement)]
    of_valence = [
        (intervals.format_index(results.means[0].mean), "valence index, −1 to +1"),
        (format_signed(float(alike.mean()), 2) if len(alike) else "–", "correlation of a participant with all others"),
    ]
    return [
        (wording.format_count(len(project.names)), "participants"),
        (wording.format_count(len({track.recording.name for track in project.tracks})), "recordings"),
        (wording.format_duration(project.clock.end_s), "of the stimulus"),
        (format_percent(float(total[0]) / frames) if frames else "–", "of the frames show the participant"),
        *of_valence * project.measures.has_valence,
    ]


def describe_alignment(results: Results) -> str:
    """Return how many recordings were aligned by their sound, and how certainly; empty where none was."""
    found = {t.recording.name: t.certainty for t in results.project.tracks if t.certainty is not None}
    if not found:
        return ""
    least = min(found, key=lambda name: found[name])
    n = len(found)
    recordings = "One recording was" if n == 1 else f"{n} recordings were"
    return (
        f"{recordings} aligned by sound; the least certain is {least} ({found[least]:.1f}, certain from "
        f"{MIN_CERTAINTY:g} on). Listen where you doubt it: a start_s in participants.csv comes first."
    )


def describe_peaks(results: Results) -> list[Context]:
    """Return the moments that stand out."""
    length_s = results.project.clock.end_s
    rows: list[Context] = []
    classes = results.project.measures.classes
    colours = dict(zip(classes, find_css_colours(classes), strict=True))
    for peak in results.peaks:
        is_valence = peak.measure == VALENCE
        style = intervals.format_index if is_valence else intervals.format_plain
        unit = "" if is_valence else f"{NBSP}%"
        spread = f", 95{NBSP}% interval {intervals.write_range(peak.value, style)}" if peak.value.interval else ""
        rows.append(
            {
                "time_s": round(peak.time_s, 3),
                "clock": format_clock(peak.time_s, 1 if length_s < 60 else 0),
                "colour": colours.get(peak.measure, "var(--negative)" if peak.is_low else "var(--positive)"),
                "name": ("least pleasant" if peak.is_low else "most pleasant") if is_valence else peak.measure,
                "text": f"{style(peak.value.mean)}{unit}{spread}, n = {peak.n}",
            }
        )
    return rows


def describe_stretches(results: Results, timeline: Timeline) -> list[Context]:
    """Return the stretches in which participants departed from their own means."""
    return [_describe_stretch(s, timeline) for s in results.stretches if s.of == "time"]


def _describe_stretch(stretch: Stretch, timeline: Timeline) -> Context:
    digits = 1 if timeline.end_s < 60 else 0
    way = "more" if stretch.cluster.mass > 0 else "less"
    against = "than their own means" if stretch.of == "time" else f"in {stretch.first} than in {stretch.second}"
    return {
        "place": charts.place_span(stretch.start_s, min(stretch.end_s, timeline.end_s), timeline),
        "is_more": stretch.cluster.mass > 0,
        "time_s": round(stretch.start_s, 3),
        "clock": f"{format_clock(stretch.start_s, digits)} to {format_clock(stretch.end_s, digits)}",
        "text": f"{way} pleasant {against}, p{NBSP}={NBSP}{format_p(stretch.cluster.p)}".replace(f"={NBSP}<", "<"),
    }


def describe_segments(results: Results) -> list[Context]:
    """Return the marked segments with their means."""
    measures = results.project.measures
    return [_describe_means(name, measures, values, {}) for name, values in results.segments.items()]


def _describe_means(name: str, measures: Measures, values: Floats, more: Context) -> Context:
    means = estimate_means(values, measures.range)
    valence = means[0] if measures.has_valence else Estimate()
    classes = measures.classes
    found = np.array([m.mean if m.mean is not None else np.nan for m in means[-len(classes) :]])
    mean, spread = intervals.format_index(valence.mean), intervals.write_range(valence, intervals.format_index)
    is_seen = bool(np.isfinite(found).all())
    return {
        "name": name,
        "n": int(np.isfinite(values[:, -1]).sum()),
        "mean": mean,
        "range": spread,
        "drawing": Markup(intervals.draw_interval(valence, *RANGE, f"{name}: index {mean}, {spread}")),
        "bar": Markup(charts.draw_emotion_split(found.tolist(), classes)) if is_seen else "",
        "top": f"{classes[int(found.argmax())]} {format_percent(float(found.max()))}" if is_seen else "–",
        **more,
    }


def describe_differences(results: Results, of: str) -> Context:
    """Return the contrasts of segments, or of one column's conditions: valence first, the emotions folded away."""
    own = [d for d in results.differences if d.of == of]
    reach = find_contrast_reach(d.contrast for d in own)
    classes = results.project.measures.classes
    rows = [describe_contrast(d.first, d.second, d.measure, d.contrast, reach, classes) for d in own]
    valence = [row for row, d in zip(rows, own, strict=True) if d.measure == VALENCE]
    emotions = [row for row, d in zip(rows, own, strict=True) if d.measure != VALENCE]
    return {
        "valence": valence[:MAX_PAIRS],
        "emotions": emotions[: MAX_PAIRS * len(classes)],
        "n_left_out": max(0, len(own) // len(results.project.measures.names) - MAX_PAIRS),
        "reach": f"{reach:g}",
    }


def describe_factors(results: Results, timeline: Timeline, factor: int) -> list[Context]:
    """Return each column of conditions: means, curves, what differs and when."""
    return [_describe_factor(results, name, levels, timeline, factor) for name, levels in results.factors.items()]


def _describe_factor(results: Results, name: str, levels: Sequence[Level], timeline: Timeline, factor: int) -> Context:
    measures = results.project.measures
    rows = []
    curves = []
    for i, level in enumerate(levels, 1):
        rows.append(_describe_means(level.name, measures, level.means, {"css": f"c{i}"}))
        curves.append((f"c{i}", *compute_intervals(coarsen(level.curves[..., None], factor)[..., 0], RANGE)))
    reach = find_reach(*(part for curve in curves for part in curve[1:]))
    label = f"Valence index over time by {name}"
    return {
        "name": name,
        "rows": rows,
        "chart": Markup(drawings.draw_curves(curves, reach, timeline, label)),
        "reach": f"{reach:g}",
        "differences": describe_differences(results, name),
        "stretches": [_describe_stretch(s, timeline) for s in results.stretches if s.of == name],
    }


def describe_participants(results: Results, links: Sequence[str]) -> Context:
    """Return the table of participants."""
    project, rows = results.project, []
    measures = project.measures
    factors = list(results.factors)
    for i, (name, link) in enumerate(zip(project.names[:MAX_ROWS], links, strict=False)):
        tracks = [track for track in project.tracks if track.participant == name]
        total = np.sum([track.total for track in tracks], axis=0)
        frames = sum(float(track.frames.sum()) for track in tracks)
        values = measures.get_probabilities(results.values[i])
        valence = float(measures.get_valence(results.values[i]))
        alike = float(results.agreement[i])
        rows.append(
            {
                "name": name,
                "link": link,
                "recordings": len(tracks),
                "factors": [", ".join(dict.fromkeys(t.factors.get(f, "–") for t in tracks)) for f in factors],
                "coverage": format_percent(float(total[0]) / frames) if frames else "–",
                "uncertain": format_percent(float(total[-1] / total[0])) if total[0] else "–",
                "valence": intervals.format_index(valence) if np.isfinite(valence) else "–",
                "bar": Markup(charts.draw_emotion_split(values.tolist(), measures.classes))
                if np.isfinite(values[0])
                else "",
                "alike": format_signed(alike, 2) if np.isfinite(alike) else "–",
            }
        )
    n_left_out = max(0, len(project.names) - MAX_ROWS)
    return {"participants": rows, "factor_names": factors, "n_participants_left_out": n_left_out}
