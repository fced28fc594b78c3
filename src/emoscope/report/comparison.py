"""What the comparison says: several recordings in, the template's values and a JSON document out."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from markupsafe import Markup

from emoscope.core.errors import InputError
from emoscope.report import charts, intervals, wording
from emoscope.report.binning import read_recording
from emoscope.report.colours import find_css_colours
from emoscope.report.event_rows import describe_index, find_reach, format_span, write_together
from emoscope.report.overtime import label_stack
from emoscope.report.series import describe_axes, pack_curve, pack_timeline
from emoscope.report.single import VALENCE_COLOURS, VALENCES
from emoscope.report.timeline import Reading
from emoscope.report.wording import Context
from emoscope.tables.event_means import EventGroup, EventMeans
from emoscope.tables.observations import Observations
from emoscope.tables.summary import COMPARED_SETTINGS, Summary


@dataclass(frozen=True)
class Recording:
    """One recording of a comparison."""

    name: str
    """As the page calls it; unique."""
    folder: str
    observations: Observations
    summary: Summary


def name_recordings(sources: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return a unique name for each: the source's; where that is not enough, with its folder's or a number."""
    names = [Path(source).name or "recording" for source in sources]
    if len(set(names)) < len(names):
        names = [
            f"{name} ({folder.resolve().name})" if names.count(name) > 1 else name
            for name, folder in zip(names, folders, strict=True)
        ]
    return [f"{name} #{names[:i].count(name) + 1}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def list_warnings(recordings: Sequence[Recording]) -> list[str]:
    """Return what makes the recordings hard to compare."""
    warnings = []
    for key, words in COMPARED_SETTINGS.items():
        values: dict[str, list[str]] = {}
        for r in recordings:
            if (value := getattr(r.summary.settings, key)) is not None:
                values.setdefault(wording.format_value(value), []).append(r.name)
        if len(values) > 1:
            parts = "; ".join(f"{value} in {', '.join(names)}" for value, names in values.items())
            warnings.append(f"They were analysed with different {words}: {parts}.")
    warnings += [
        f"The analysis of {r.name} is incomplete: {r.summary.message or 'it stopped before the end'}."
        for r in recordings
        if r.summary.status != "complete"
    ]
    if len({r.summary.kind == "pictures" for r in recordings}) > 1:
        warnings.append("Some are pictures, some recordings over time; pictures count every face once.")
    return warnings


def group_events(recordings: Sequence[Recording]) -> dict[str, list[tuple[Recording, EventMeans | EventGroup]]]:
    """Return the marked segments by name; those in several recordings first, repeats within one taken together."""
    groups: dict[str, list[tuple[Recording, EventMeans | EventGroup]]] = {}
    for recording in recordings:
        together = {group.name: group for group in recording.summary.event_groups if group.by == "name"}
        alone = [event for event in recording.summary.events if event.name not in together]
        segments: list[EventMeans | EventGroup] = [*alone, *together.values()]
        for segment in sorted(segments, key=_find_start(recording)):
            groups.setdefault(segment.name, []).append((recording, segment))
    return dict(sorted(groups.items(), key=lambda item: -len({r.name for r, _ in item[1]})))


def _find_start(recording: Recording) -> Callable[[EventMeans | EventGroup], float]:
    starts = {event.name: event.start_s for event in reversed(recording.summary.events)}
    return lambda segment: starts[segment.name]


def describe_comparison(recordings: Sequence[Recording]) -> Context:
    """Return the comparison's numbers, JSON-ready."""
    keys = ("source", "kind", "status", "duration_s", "frames", "faces", "people_count", "coverage")
    audience_keys = ("shares", "mean_probabilities", "uncertain_share", "valence")
    values = [dataclasses.asdict(r.summary) for r in recordings]
    return {
        "recordings": [
            {
                "name": r.name,
                "folder": r.folder,
                **{key: own[key] for key in keys},
                **{key: own["audience"][key] for key in audience_keys},
            }
            for r, own in zip(recordings, values, strict=True)
        ],
        "events": [
            {"name": name, "recordings": [{"recording": r.name, **dataclasses.asdict(event)} for r, event in group]}
            for name, group in group_events(recordings).items()
        ],
        "warnings": list_warnings(recordings),
    }


def find_shared_classes(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return the classes that all recordings were read as.

    Raises:
        InputError: they were read by networks with different ones.
    """
    first = recordings[0]
    for other in recordings[1:]:
        if other.summary.classes != first.summary.classes:
            raise InputError(
                f"{first.name} was read as {', '.join(first.summary.classes)}, and {other.name} as "
                f"{', '.join(other.summary.classes)}; compare recordings of networks with the same classes"
            )
    return first.summary.classes


def create_comparison_content(recordings: Sequence[Recording]) -> Context:
    """Return everything that the template prints, formatted and drawn."""
    over_time = [r for r in recordings if r.summary.kind != "pictures" and r.summary.faces]
    readings = [read_recording(r.observations, (), r.summary.duration_s) for r in over_time]
    end_s = max((reading.timeline.end_s for reading in readings), default=1.0)
    readings = [_set_end(reading, end_s) for reading in readings]
    keyed = [(f"r{i}", r, reading) for i, (r, reading) in enumerate(zip(over_time, readings, strict=True), 1)]
    series = {
        **describe_axes(end_s, find_shared_classes(recordings)),
        "timelines": {key: pack_timeline(fine.timeline, fine) for key, _, fine in keyed},
        "series": {key: pack_curve(fine.everyone, key, r.name) for key, r, fine in keyed},
    }
    classes, has_valence = find_shared_classes(recordings), recordings[0].summary.audience.valence is not None
    return {
        "n": len(recordings),
        "source_line": wording.write_source_line(", ".join(r.name for r in recordings)),
        "is_comparison": True,
        "is_pictures": False,
        "is_single": False,
        "warnings": list_warnings(recordings),
        "emotions": list(zip(classes, find_css_colours(classes), strict=True)),
        "has_valence": has_valence,
        "valences": list(zip(VALENCES, VALENCE_COLOURS, strict=True)),
        "rows": [_describe_recording(r) for r in recordings],
        "timelines": [_draw_row(*row) for row in keyed],
        "axis": Markup(charts.draw_axis(readings[0].timeline)) if readings else "",
        "smoothing": any(r.observations.has_smoothed for r in over_time),
        "events": [_describe_group(name, group) for name, group in group_events(recordings).items()],
        "series": series if keyed else {},
    }


def _set_end(reading: Reading, end_s: float) -> Reading:
    """Return a reading on the axis that all share."""
    return dataclasses.replace(reading, timeline=dataclasses.replace(reading.timeline, end_s=end_s))


def _draw_row(key: str, recording: Recording, fine: Reading) -> Context:
    reading = fine.coarsen()
    means, timeline = reading.everyone.means, reading.timeline
    return {
        "key": key,
        "name": recording.name,
        "chart": Markup(
            charts.draw_stack(
                means, timeline, f"{recording.name}: {label_stack(means, timeline)}", recording.summary.classes
            )
        ),
        "bands": [
            {"name": e.name, "place": charts.place_span(e.start_s, e.end_s, timeline)} for e in recording.summary.events
        ],
        "length": wording.format_duration(recording.summary.duration_s),
        # Beyond a recording's own end there is nothing, which is not the same as nobody.
        "outside": (
            [charts.place_span(timeline.analysed_until_s, timeline.end_s, timeline)]
            if timeline.end_s - timeline.analysed_until_s > 0.005 * timeline.end_s
            else []
        ),
    }


def _describe_recording(recording: Recording) -> Context:
    summary, audience = recording.summary, recording.summary.audience
    classes = summary.classes
    shares = wording.list_values(audience.shares, classes)
    *valence, index = astuple(audience.valence) if audience.valence else (0.0, 0.0, 0.0, 0.0)
    has_faces = bool(summary.faces)
    top = max(range(len(classes)), key=shares.__getitem__)
    return {
        "name": recording.name,
        "length": "–" if summary.kind == "pictures" else wording.format_duration(summary.duration_s),
        "people": "–" if summary.kind == "pictures" else wording.format_count(summary.people_count),
        "frames": wording.format_count(summary.frames),
        "faces": wording.format_count(summary.faces),
        "coverage": wording.format_percent(summary.coverage),
        "uncertain": wording.format_percent(audience.uncertain_share) if has_faces else "–",
        "top": f"{classes[top]} ({wording.format_percent(shares[top])})" if has_faces else "–",
        "is_incomplete": summary.status != "complete",
        "bar": Markup(charts.draw_emotion_split(shares, classes)) if has_faces else "no face found",
        "shares": [wording.format_percent(s) if has_faces else "–" for s in shares],
        "split": Markup(charts.draw_split(valence, VALENCE_COLOURS, VALENCES)) if has_faces else "",
        "valence": [wording.format_percent(v) if has_faces else "–" for v in valence],
        "index": intervals.format_index(index) if has_faces else "–",
    }


def _describe_group(name: str, group: Sequence[tuple[Recording, EventMeans | EventGroup]]) -> Context:
    """Return one segment in every recording that has it."""
    reach = find_reach([event for _, event in group])
    return {
        "reach": intervals.format_index(reach).lstrip("+"),
        "name": name,
        "is_shared": len({r.name for r, _ in group}) > 1,
        "rows": [
            {
                "recording": r.name,
                "span": write_together(event)
                if isinstance(event, EventGroup)
                else format_span(event, r.summary.duration_s),
                **describe_index(event, r.name, reach),
            }
            for r, event in group
        ],
    }
