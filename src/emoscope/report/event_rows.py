"""Moments and marked segments: the summary's numbers in; sentences, marks and drawings out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from emoscope.core.emotions import COLOURS, EMOTIONS
from emoscope.report import charts, intervals, wording
from emoscope.report.timeline import Timeline


def describe_moments(moments: Iterable[Mapping[str, Any]], timeline: Timeline) -> list[dict[str, Any]]:
    """Return what changed at each moment, in a sentence, and where its mark stands."""
    return [_describe_moment(moment, timeline) for moment in moments]


def _describe_moment(moment: Mapping[str, Any], timeline: Timeline) -> dict[str, Any]:
    time_s, track_id = float(moment["time_s"]), moment.get("track_id")
    n_people = int(moment.get("people") or 0)
    whose = "Everyone" if track_id is None else f"Person {track_id}"
    parts = [_write_change(moment, key, verb) for key, verb in (("rose", "rose"), ("fell", "fell"))]
    text = " and ".join(part for part in parts if part) or "the expressions changed"
    counted = f" ({n_people} {'person' if n_people == 1 else 'people'} in view)" if track_id is None else ""
    return {
        "time_s": round(time_s, 3),
        "clock": format_moment(time_s, timeline.end_s),
        "key": "all" if track_id is None else f"p{int(track_id)}",
        "whose": whose,
        "text": f"{text}{counted}.",
        "place": charts.place_span(time_s, time_s, timeline),
        "before": Markup(_draw_seven(moment.get("before"))),
        "after": Markup(_draw_seven(moment.get("after"))),
    }


def format_moment(time_s: float, length_s: float) -> str:
    """Return a moment's time, with tenths in a short recording."""
    return wording.format_clock(time_s, 1 if length_s < 60 else 0)


def _write_change(moment: Mapping[str, Any], key: str, verb: str) -> str:
    name = moment.get(key)
    if not name:
        return ""
    before, after = ((moment.get(side) or {}).get(name) for side in ("before", "after"))
    if before is None or after is None:
        return f"{name} {verb}"
    return f"{name} {verb} from {wording.format_percent(float(before))} to {wording.format_percent(float(after))}"


def _draw_seven(values: Mapping[str, float] | None) -> str:
    return charts.draw_emotion_split([float((values or {}).get(name) or 0.0) for name in EMOTIONS])


def describe_events(events: Sequence[Mapping[str, Any]], timeline: Timeline) -> dict[str, Any] | None:
    """Return the marked segments: bands, the overview's rows and all seven expressions of each; None without any."""
    if not events:
        return None
    reach = find_reach(events)
    fewest = min(int(e["people"] or 0) for e in events)
    return {
        "rows": [_describe_event(event, timeline, reach, i) for i, event in enumerate(events)],
        "reach": intervals.format_index(reach).lstrip("+"),
        "few_note": _write_few_note(fewest),
    }


def find_reach(events: Sequence[Mapping[str, Any]]) -> float:
    """Return where the axis of differences of the index ends: all intervals fit, at least 0.25."""
    values = [
        abs(float(event["difference"]["valence"].get(key) or 0.0))
        for event in events
        if event.get("difference")
        for key in ("mean", "low", "high")
    ]
    return next((reach for reach in (0.25, 0.5, 1.0) if max(values, default=0.0) <= reach), 2.0)


def _write_few_note(fewest: int) -> str:
    if fewest >= intervals.FEW_PEOPLE:
        return ""
    people = "1 person" if fewest == 1 else f"{fewest} people"
    return (
        f"The smallest segment here rests on {people}. An interval from fewer than {intervals.FEW_PEOPLE} people is "
        "itself shaky, and mostly too narrow: treat such results as a question, not as an answer."
    )


def _describe_event(event: Mapping[str, Any], timeline: Timeline, reach: float, number: int) -> dict[str, Any]:
    name, difference = str(event["name"]), event.get("difference")
    start_s, end_s, n_people = float(event["start_s"]), float(event["end_s"]), int(event["people"] or 0)
    valence = event["valence"]
    is_seen = n_people > 0 and valence.get("mean") is not None
    return {
        "name": name,
        "number": number + 1,
        "start_s": round(start_s, 3),
        "end_s": round(end_s, 3),
        "span": f"{format_moment(start_s, timeline.end_s)} to {format_moment(end_s, timeline.end_s)}",
        "place": charts.place_span(start_s, end_s, timeline),
        "people": wording.format_count(n_people),
        "observations": wording.format_count(int(event["observations"] or 0)),
        "mean": intervals.format_index(valence.get("mean")),
        "range": intervals.write_range(valence, intervals.format_index),
        "drawing": draw_index(valence, name),
        "difference": intervals.format_index(difference["valence"].get("mean")) if difference else "–",
        "difference_range": (
            intervals.write_range(difference["valence"], intervals.format_index) if difference else "no comparison"
        ),
        "difference_drawing": _draw_difference(difference, reach, name),
        "sentence": (
            f"{intervals.describe_difference(difference, int((difference or {}).get('people') or 0))}"
            if is_seen
            else "Nobody was seen in this segment."
        ),
        "emotions": _describe_seven(event, name) if is_seen else [],
    }


def draw_index(valence: Mapping[str, Any], name: str) -> Markup:
    """Draw a segment's valence index, -1 to 1, with its interval."""
    mean, spread = (
        intervals.format_index(valence.get("mean")),
        intervals.write_range(valence, intervals.format_index),
    )
    return Markup(intervals.draw_interval(valence, -1.0, 1.0, f"{name}: index {mean}, {spread}"))


def _draw_difference(difference: Mapping[str, Any] | None, reach: float, name: str) -> Markup:
    if not difference:
        return Markup()
    value = difference["valence"]
    label = f"{name} against the rest: {intervals.format_index(value.get('mean'))}"
    return Markup(intervals.draw_interval(value, -reach, reach, label))


def _describe_seven(event: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return one row per expression: in the segment, and against the rest of the recording."""
    rows = []
    difference = (event.get("difference") or {}).get("mean_probabilities") or {}
    for emotion, colour in zip(EMOTIONS, COLOURS, strict=True):
        value, change = event["mean_probabilities"][emotion], difference.get(emotion) or {}
        rows.append(
            {
                "name": emotion,
                "colour": colour,
                "mean": wording.format_percent(float(value["mean"])),
                "range": intervals.write_range(value, intervals.format_plain),
                "drawing": Markup(intervals.draw_interval(value, 0.0, 1.0, f"{name}: {emotion}")),
                "change": intervals.format_points(change.get("mean")),
                "change_range": intervals.write_range(change, intervals.format_points) if change else "–",
                "change_drawing": Markup(
                    intervals.draw_interval(change, -0.5, 0.5, f"{name}: {emotion} against the rest") if change else ""
                ),
            }
        )
    return rows
