"""Moments and marked segments: the summary's numbers in; sentences, marks and drawings out."""

from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from emoscope.core.emotions import COLOURS, EMOTIONS
from emoscope.report import charts, intervals, wording
from emoscope.report.timeline import Timeline
from emoscope.report.wording import Context
from emoscope.tables.event_means import Difference, Estimate, EventMeans
from emoscope.tables.moments import Moment


def describe_moment(moment: Moment, timeline: Timeline) -> Context:
    """Return what changed, in a sentence, and where its mark stands."""
    time_s, track_id, n = moment.time_s, moment.track_id, moment.people
    counted = f" ({n} {'person' if n == 1 else 'people'} in view)" if track_id is None else ""
    return {
        "time_s": round(time_s, 3),
        "clock": format_moment(time_s, timeline.end_s),
        "key": "all" if track_id is None else f"p{track_id}",
        "whose": "Everyone" if track_id is None else f"Person {track_id}",
        "text": f"{_write_change(moment, 'rose')} and {_write_change(moment, 'fell')}{counted}.",
        "place": charts.place_span(time_s, time_s, timeline),
        "before": Markup(charts.draw_emotion_split(wording.list_seven(moment.before))),
        "after": Markup(charts.draw_emotion_split(wording.list_seven(moment.after))),
    }


def format_moment(time_s: float, length_s: float) -> str:
    """Return a moment's time, with tenths in a short recording."""
    return wording.format_clock(time_s, 1 if length_s < 60 else 0)


def _write_change(moment: Moment, verb: Literal["rose", "fell"]) -> str:
    name = moment.rose if verb == "rose" else moment.fell
    before, after = (wording.format_percent(side[name]) for side in (moment.before, moment.after))
    return f"{name} {verb} from {before} to {after}"


def describe_events(events: Sequence[EventMeans], timeline: Timeline) -> Context | None:
    """Return the marked segments: bands, the overview's rows and all seven expressions of each; None without any."""
    if not events:
        return None
    reach = find_reach(events)
    fewest = min(event.people for event in events)
    return {
        "rows": [_describe_event(event, timeline, reach, i) for i, event in enumerate(events)],
        "reach": intervals.format_index(reach).lstrip("+"),
        "few_note": _write_few_note(fewest),
    }


def find_reach(events: Sequence[EventMeans]) -> float:
    """Return where the axis of differences of the index ends: all intervals fit, at least 0.25."""
    valences = [event.difference.valence for event in events if event.difference]
    values = [abs(value or 0.0) for v in valences for value in (v.mean, v.low, v.high)]
    return next((reach for reach in (0.25, 0.5, 1.0) if max(values, default=0.0) <= reach), 2.0)


def _write_few_note(fewest: int) -> str:
    if fewest >= intervals.FEW_PEOPLE:
        return ""
    people = "1 person" if fewest == 1 else f"{fewest} people"
    return (
        f"The smallest segment here rests on {people}. An interval from fewer than {intervals.FEW_PEOPLE} people is "
        "itself shaky, and mostly too narrow: treat such results as a question, not as an answer."
    )


def _describe_event(event: EventMeans, timeline: Timeline, reach: float, number: int) -> Context:
    name, start_s, end_s, difference = event.name, event.start_s, event.end_s, event.difference
    is_seen = event.people > 0 and event.valence.mean is not None
    return {
        "name": name,
        "number": number + 1,
        "start_s": round(start_s, 3),
        "end_s": round(end_s, 3),
        "span": f"{format_moment(start_s, timeline.end_s)} to {format_moment(end_s, timeline.end_s)}",
        "place": charts.place_span(start_s, end_s, timeline),
        "people": wording.format_count(event.people),
        "observations": wording.format_count(event.observations),
        **describe_index(event.valence, difference, name),
        "difference_drawing": _draw_difference(difference, reach, name),
        "sentence": intervals.describe_difference(difference) if is_seen else "Nobody was seen in this segment.",
        "emotions": _describe_seven(event, name) if is_seen else [],
    }


def describe_index(valence: Estimate, difference: Difference | None, name: str) -> Context:
    """Return a segment's valence index, -1 to 1, in figures and drawn, and its difference from the rest in figures."""
    mean, spread = intervals.format_index(valence.mean), intervals.write_range(valence, intervals.format_index)
    against = difference.valence if difference else None
    return {
        "mean": mean,
        "range": spread,
        "drawing": Markup(intervals.draw_interval(valence, -1.0, 1.0, f"{name}: index {mean}, {spread}")),
        "difference": intervals.format_index(against.mean if against else None),
        "difference_range": intervals.write_range(against, intervals.format_index) if against else "no comparison",
    }


def _draw_difference(difference: Difference | None, reach: float, name: str) -> Markup:
    if not difference:
        return Markup()
    label = f"{name} against the rest: {intervals.format_index(difference.valence.mean)}"
    return Markup(intervals.draw_interval(difference.valence, -reach, reach, label))


def _describe_seven(event: EventMeans, name: str) -> list[Context]:
    """Return one row per expression: in the segment, and against the rest of the recording."""
    rows: list[Context] = []
    for emotion, colour in zip(EMOTIONS, COLOURS, strict=True):
        value = event.mean_probabilities[emotion]
        change = event.difference.mean_probabilities[emotion] if event.difference else None
        rows.append(
            {
                "name": emotion,
                "colour": colour,
                "mean": wording.format_percent(value.mean or 0.0),
                "range": intervals.write_range(value, intervals.format_plain),
                "drawing": Markup(intervals.draw_interval(value, 0.0, 1.0, f"{name}: {emotion}")),
                "change": intervals.format_points(change.mean if change else None),
                "change_range": intervals.write_range(change, intervals.format_points) if change else "–",
                "change_drawing": Markup(
                    intervals.draw_interval(change, -0.5, 0.5, f"{name}: {emotion} against the rest") if change else ""
                ),
            }
        )
    return rows
