"""What the report says over time: observations and summary of a video in; charts, people's cards and values out."""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from emoscope.core.numbers import NBSP
from emoscope.report import charts, wording
from emoscope.report.binning import read_recording
from emoscope.report.colours import find_css_colours
from emoscope.report.event_rows import describe_events, describe_moment
from emoscope.report.series import describe_axes, pack_curve, pack_timeline
from emoscope.report.timeline import Bools, Curve, Floats, Reading, Timeline, find_segments
from emoscope.report.wording import Context
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations
from emoscope.tables.summary import Person, Summary, UsedSettings

MAX_PEOPLE = 12
"""More cards than this nobody reads; the rest goes into a table."""
MAX_REST = 300
"""Rows of that table; where strangers pass by, thousands of people are counted."""
CHANGE_LIMITS = (0.1, 0.25, 0.5, 1.0)
"""Changes that may fill half a lane; the smallest that holds nearly all of them is taken, for everyone the same."""


def describe_video(observations: Observations, summary: Summary) -> Context:
    """Return the charts over time, people's cards and the values behind the charts."""
    people = sorted(summary.people, key=lambda p: (-p.frames, p.track_id))
    shown = sorted(people[:MAX_PEOPLE], key=lambda p: p.track_id)
    rest = sorted(people[MAX_PEOPLE : MAX_PEOPLE + MAX_REST], key=lambda p: p.track_id)
    n_beyond = max(0, len(people) - MAX_PEOPLE - MAX_REST)
    fine = read_recording(observations, [p.track_id for p in shown], summary.duration_s)
    reading = fine.coarsen()
    timeline, everyone = reading.timeline, reading.everyone
    # One person's curve is everyone's: it is shown once.
    is_single = len(people) == 1 and people[0].frames == summary.faces
    main = f"p{people[0].track_id}" if is_single else "all"
    baseline = summary.settings.baseline or "off"
    classes, has_valence = summary.classes, summary.audience.valence is not None
    reach, labels = charts.find_index_reach(everyone.means, classes), {p.track_id: p.label for p in people}
    limit = _find_limit(reading)
    return {
        "axis": Markup(charts.draw_axis(timeline)),
        "unanalysed": _place_unanalysed(summary, timeline),
        "strip": Markup(charts.draw_face_counts(reading.face_counts, timeline, _label_strip(reading))),
        "strip_top": charts.find_top(reading.face_counts),
        "together": Markup(
            charts.draw_stack(everyone.means, timeline, "Everyone: " + label_stack(everyone.means, timeline), classes)
        ),
        "index": (
            Markup(charts.draw_index(everyone.means, timeline, "Valence index over time", reach, classes))
            if has_valence
            else ""
        ),
        "reach": f"{reach:g}",
        "is_single": is_single,
        "main": main,
        "bin_note": _write_bin_note(fine.timeline, timeline),
        "smoothed": wording.write_smoothed(_write_constant(summary)) if observations.has_smoothed else "",
        "smoothing_note": (
            wording.write_smoothing_note(_write_constant(summary), observations.reads_smoothed)
            if observations.has_smoothed
            else ""
        ),
        "has_baseline": baseline != "off",
        "baseline": baseline,
        "change_limit": f"{100 * limit:.0f}",
        "people": [_describe_person(p, reading, limit, classes) for p in shown],
        "rest": [_describe_rest(p) for p in rest],
        "n_beyond": n_beyond,
        "moments": [
            {**describe_moment(m, timeline, labels, classes), **({"key": main} if is_single else {})}
            for m in summary.moments
        ],
        "events": describe_events(summary, timeline),
        "shots": Markup(charts.draw_shots(summary.cuts, timeline)) if summary.cuts else "",
        "shots_note": wording.write_shots_note(wording.format_count(len(summary.cuts) + 1)),
        "series": {
            **describe_axes(timeline.end_s, classes),
            "view": _find_view(summary.settings, timeline),
            "top": charts.find_top(reading.face_counts),
            "limit": limit,
            "reach": reach,
            "main": main,
            "smoothed": observations.has_smoothed,
            "events": [_pack_event(event) for event in summary.events],
            "timelines": {"all": pack_timeline(fine.timeline, fine)},
            "series": {
                **({} if is_single else {"all": pack_curve(fine.everyone, "all", "Everyone")}),
                **{f"p{i}": pack_curve(curve, "all", labels[i]) for i, curve in fine.people.items()},
            },
        },
    }


def _pack_event(event: Event) -> Context:
    kind = {} if event.kind is None else {"kind": event.kind}
    return {"name": event.name, "start_s": event.start_s, "end_s": event.end_s, **kind}


def _place_unanalysed(summary: Summary, timeline: Timeline) -> list[str]:
    """Return where the axis covers time that was not looked at: before --start, after --end, after damage."""
    least_s = 0.005 * timeline.end_s
    spans = []
    if timeline.n_bins and summary.settings.start_s and timeline.starts_s[0] > least_s:
        spans.append((0.0, float(timeline.starts_s[0])))
    is_cut = summary.status != "complete" or summary.settings.end_s is not None
    if is_cut and timeline.end_s - timeline.analysed_until_s > least_s:
        spans.append((timeline.analysed_until_s, timeline.end_s))
    return [charts.place_span(a, b, timeline) for a, b in spans]


def _find_view(settings: UsedSettings, timeline: Timeline) -> list[float] | None:
    """Return the part that the page opens with; None for all. A short part of a long video would be a sliver."""
    if not timeline.n_bins or not (settings.start_s or settings.end_s):
        return None
    first_s, last_s = float(timeline.starts_s[0]), timeline.analysed_until_s
    return [round(first_s, 3), round(last_s, 3)] if last_s - first_s < 0.5 * timeline.end_s else None


def _find_limit(reading: Reading) -> float:
    values = np.concatenate([np.abs(curve.changes).ravel() for curve in reading.people.values()] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    largest = float(np.quantile(values, 0.995)) if len(values) else 0.0
    return next((limit for limit in CHANGE_LIMITS if largest <= limit), CHANGE_LIMITS[-1])


def _describe_person(person: Person, reading: Reading, limit: float, classes: tuple[str, ...]) -> Context:
    """Return one person's card."""
    timeline, curve = reading.timeline, reading.people[person.track_id]
    name = person.label
    spans, share = _label_spans(curve.is_seen, timeline), wording.format_percent(person.shares[person.emotion])
    return {
        **_describe_rest(person),
        "key": f"p{person.track_id}",
        "track_id": person.track_id,
        "phrase": wording.write_phrase(person.emotion, share),
        "chart": Markup(
            charts.draw_stack(curve.means, timeline, f"{name}: {label_stack(curve.means, timeline)}", classes)
        ),
        "changes": _draw_changes(curve, timeline, limit, name, classes),
        "resting": _create_legend(person.baseline, classes) if person.baseline else [],
        "no_baseline": person.no_baseline or "was not seen, or not long enough, in the time it is taken from",
        "presence": Markup(charts.draw_spans(curve.is_seen, timeline, f"{name}: {spans}", "seen")),
        "uncertain_spans": Markup(
            charts.draw_spans(curve.is_uncertain, timeline, f"{name}: when uncertain", "uncertain")
        ),
        "legend": _create_legend(person.shares, classes),
    }


def _draw_changes(curve: Curve, timeline: Timeline, limit: float, name: str, classes: tuple[str, ...]) -> Markup | None:
    if not curve.n_changes.any():
        return None
    label = f"{name}: change of the expressions from the own resting face over time"
    return Markup(charts.draw_changes(curve.changes, timeline, limit, label, classes))


def _create_legend(values: Mapping[str, float], classes: tuple[str, ...]) -> list[tuple[str, str, str]]:
    colours = find_css_colours(classes)
    return [(e, colour, wording.format_percent(values[e])) for e, colour in zip(classes, colours, strict=True)]


def _describe_rest(person: Person) -> Context:
    """Return one person's numbers as text."""
    return {
        "name": person.label,
        "first": wording.format_clock(person.first_s),
        "last": wording.format_clock(person.last_s),
        "observations": wording.format_count(person.frames),
        "coverage": wording.format_percent(person.coverage),
        "emotion": person.emotion,
        "share": wording.format_percent(person.shares[person.emotion]),
        "uncertain": wording.format_percent(person.uncertain_share),
    }


def _label_spans(seen: Bools, timeline: Timeline) -> str:
    """Return in words when someone was seen, for screen readers."""
    segments = find_segments(seen, timeline)
    texts = [
        f"{wording.format_clock(timeline.starts_s[a])} to {wording.format_clock(timeline.ends_s[b - 1])}"
        for a, b in segments[:10]
    ]
    more = f" and {len(segments) - 10} more stretches" if len(segments) > 10 else ""
    return f"seen {', '.join(texts)}{more}" if texts else "not seen"


def label_stack(values: Floats, timeline: Timeline) -> str:
    """Return what a chart of probabilities shows, for screen readers."""
    spans = _label_spans(np.isfinite(values[:, 0]), timeline)
    return f"probabilities of the expressions over time; {spans}"


def _label_strip(reading: Reading) -> str:
    """Return what the strip of face counts shows, for screen readers."""
    spans = _label_spans(reading.everyone.is_seen, reading.timeline)
    return f"Faces found over time, at most {charts.find_top(reading.face_counts)}; {spans}"


def _write_bin_note(fine: Timeline, drawn: Timeline) -> str:
    """Return how much time one point of the charts stands for."""
    if not drawn.n_bins or int(drawn.n_frames.max()) <= 1:
        return wording.EACH_FRAME
    text = wording.write_point(_format_step(drawn.bin_s))
    return f"{text}, when zoomed in of {_format_step(fine.bin_s)}." if fine.n_bins > drawn.n_bins else f"{text}."


def _format_step(step_s: float) -> str:
    return f"{step_s:.2f}{NBSP}s" if step_s < 1 else f"{step_s:.1f}{NBSP}s"


def _write_constant(summary: Summary) -> str:
    constant_s = summary.settings.smoothing_s
    return f"{constant_s:g}{NBSP}s" if constant_s else ""
