"""Moments and marked segments: the summary's numbers in; sentences, marks and drawings out."""

from collections import Counter
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from emoscope.report import charts, intervals, wording
from emoscope.report.colours import find_css_colours
from emoscope.report.contrast_rows import describe_contrast, find_contrast_reach
from emoscope.report.timeline import Timeline
from emoscope.report.wording import Context
from emoscope.tables.event_contrasts import EventContrast
from emoscope.tables.event_means import EventGroup, EventMeans, SegmentMeans
from emoscope.tables.events import name_events
from emoscope.tables.inference import MIN_PEOPLE
from emoscope.tables.moments import Moment
from emoscope.tables.summary import Summary

MAX_TOLD = 20
"""Of more segments, those that repeat are told in detail only together."""


def describe_moment(moment: Moment, timeline: Timeline, labels: Mapping[int, str], classes: tuple[str, ...]) -> Context:
    """Return what changed, in a sentence, and where its mark stands."""
    time_s, track_id = moment.time_s, moment.track_id
    rose, fell = (
        (name, wording.format_percent(moment.before[name]), wording.format_percent(moment.after[name]))
        for name in (moment.rose, moment.fell)
    )
    counted = wording.write_joining(wording.format_count(moment.people)) if track_id is None else ""
    return {
        "time_s": round(time_s, 3),
        "clock": format_moment(time_s, timeline.end_s),
        "key": "all" if track_id is None else f"p{track_id}",
        "whose": wording.EVERYONE if track_id is None else labels.get(track_id, f"Person {track_id}"),
        "text": wording.write_change(rose, fell, counted),
        "place": charts.place_span(time_s, time_s, timeline),
        "before": Markup(charts.draw_emotion_split(wording.list_values(moment.before, classes), classes)),
        "after": Markup(charts.draw_emotion_split(wording.list_values(moment.after, classes), classes)),
    }


def format_moment(time_s: float, length_s: float) -> str:
    """Return a moment's time, with tenths in a short recording."""
    return wording.format_clock(time_s, 1 if length_s < 60 else 0)


def describe_events(summary: Summary, timeline: Timeline) -> Context | None:
    """Return the marked segments: bands, the overview's rows and all expressions of each; None without any.

    Segments that are counted together come first; of many repeats, these alone are told in detail.
    """
    events, groups = summary.events, summary.event_groups
    if not events:
        return None
    everything: list[SegmentMeans] = [*groups, *events]
    reach = find_reach(everything)
    rows = [
        _describe_event(event, name, timeline, reach) for event, name in zip(events, name_events(events), strict=True)
    ]
    # A kind of one segment, or of the repeats of one name, would be told twice.
    sizes = Counter((event.name, event.kind) for event in events)
    told_twice = {kind for (_, kind), n in sizes.items() if n == sum(event.kind == kind for event in events)}
    shown = [group for group in groups if group.by == "name" or group.name not in told_twice]
    together = [_describe_group(group, reach) for group in shown]
    repeated = {group.name for group in groups if group.by == "name"}
    alone = [row for row, event in zip(rows, events, strict=True) if event.name not in repeated]
    return {
        "rows": rows,
        "groups": together,
        "told": [*together, *(rows if len(rows) <= MAX_TOLD else alone)],
        "contrasts": _describe_contrasts(summary.event_contrasts or ()),
        "message": wording.as_sentence(summary.events_message),
        "reach": intervals.format_index(reach).lstrip("+"),
        "few_note": _write_few_note(min(segment.people for segment in everything)),
    }


def _describe_contrasts(found: Sequence[EventContrast]) -> Context | None:
    """Return every two segments compared; None where too few people were seen in any two."""
    has_valence = any(c.valence.difference.interval for c in found)
    of_emotions = (contrast for c in found for contrast in c.mean_probabilities.values())
    if not has_valence and not any(contrast.difference.interval for contrast in of_emotions):
        return None
    emotions = [(c, name, contrast) for c in found for name, contrast in c.mean_probabilities.items()]
    classes = tuple(found[0].mean_probabilities)
    reach = find_contrast_reach([*(c.valence for c in found), *(contrast for *_, contrast in emotions)])
    return {
        "valence": [describe_contrast(c.first, c.second, "valence", c.valence, reach) for c in found]
        if has_valence
        else [],
        "emotions": [
            describe_contrast(c.first, c.second, name, contrast, reach, classes) for c, name, contrast in emotions
        ],
        "n_left_out": 0,
        "reach": f"{reach:g}",
    }


def find_reach(events: Sequence[SegmentMeans]) -> float:
    """Return where the axis of differences of the index ends: all intervals fit, at least 0.25."""
    valences = [event.difference.valence for event in events if event.difference]
    values = [abs(value or 0.0) for v in valences for value in (v.mean, v.low, v.high)]
    return next((reach for reach in (0.25, 0.5, 1.0) if max(values, default=0.0) <= reach), 2.0)


def _write_few_note(fewest: int) -> str:
    if fewest >= MIN_PEOPLE:
        return ""
    people = "1 person" if fewest == 1 else f"{fewest or 'no'} people"
    return f"The smallest segment here rests on {people}: of fewer than {MIN_PEOPLE} no interval is given."


def _describe_event(event: EventMeans, name: str, timeline: Timeline, reach: float) -> Context:
    return {
        "name": name,
        "start_s": round(event.start_s, 3),
        "end_s": round(event.end_s, 3),
        "place": charts.place_span(event.start_s, event.end_s, timeline),
        "span": format_span(event, timeline.end_s),
        **_describe_means(event, name, reach),
    }


def _describe_group(group: EventGroup, reach: float) -> Context:
    return {"name": group.name, "span": write_together(group), **_describe_means(group, group.name, reach)}


def write_together(group: EventGroup) -> str:
    """Return what stands in the place of a time where segments are counted together."""
    kind = "of this kind " if group.by == "kind" else ""
    return f"{group.events} segment{'s' if group.events > 1 else ''} {kind}together"


def format_span(event: EventMeans, length_s: float) -> str:
    """Return from when to when a segment is."""
    return " to ".join(("−" if t < 0 else "") + format_moment(abs(t), length_s) for t in (event.start_s, event.end_s))


def _describe_means(event: SegmentMeans, name: str, reach: float) -> Context:
    is_seen = event.people > 0 and event.observations > 0
    return {
        "observations": wording.format_count(event.observations),
        **describe_index(event, name, reach),
        "sentence": _describe_difference(event) if is_seen else "Nobody was seen in this segment.",
        "emotions": _describe_seven(event, name) if is_seen else [],
    }


def _describe_difference(event: SegmentMeans) -> str:
    # Without a valence there is no one number to tell it by; the table of expressions has all.
    return intervals.describe_difference(event.difference) if event.valence.mean is not None else ""


def describe_index(event: SegmentMeans, name: str, reach: float) -> Context:
    """Return a segment's people, valence index and how that differs from the rest, in figures and drawn."""
    mean = intervals.format_index(event.valence.mean)
    spread = intervals.write_range(event.valence, intervals.format_index)
    against = event.difference.valence if event.difference else None
    difference = intervals.format_index(against.mean if against else None)
    label = f"{name} against the rest: {difference}"
    return {
        "people": wording.format_count(event.people),
        "mean": mean,
        "range": spread,
        "drawing": Markup(intervals.draw_interval(event.valence, -1.0, 1.0, f"{name}: index {mean}, {spread}")),
        "difference": difference,
        "difference_range": intervals.write_range(against, intervals.format_index) if against else "no comparison",
        "difference_drawing": Markup(intervals.draw_interval(against, -reach, reach, label) if against else ""),
    }


def _describe_seven(event: SegmentMeans, name: str) -> list[Context]:
    """Return one row per expression: in the segment, and against the rest of the recording."""
    rows: list[Context] = []
    colours = find_css_colours(tuple(event.mean_probabilities))
    for (emotion, value), colour in zip(event.mean_probabilities.items(), colours, strict=True):
        change = event.difference.mean_probabilities[emotion] if event.difference else None
        label = f"{name}: {emotion} against the rest"
        rows.append(
            {
                "name": emotion,
                "colour": colour,
                "mean": wording.format_percent(value.mean or 0.0),
                "range": intervals.write_range(value, intervals.format_plain),
                "drawing": Markup(intervals.draw_interval(value, 0.0, 1.0, f"{name}: {emotion}")),
                "change": intervals.format_points(change.mean if change else None),
                "change_range": intervals.write_range(change, intervals.format_points) if change else "–",
                "change_drawing": Markup(intervals.draw_interval(change, -0.5, 0.5, label) if change else ""),
            }
        )
    return rows
