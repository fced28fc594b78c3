"""What the report says: observations and summary in, the template's values out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from emoscope.emotions import COLOURS, EMOTIONS, VALENCE
from emoscope.report import charts, wording
from emoscope.report.timeline import (
    Floats,
    Readings,
    Timeline,
    compute_face_counts,
    compute_probabilities,
    find_segments,
    find_uncertain,
    read_observations,
)

if TYPE_CHECKING:
    import pandas as pd

MAX_PEOPLE = 12
"""More cards than this nobody reads; the rest goes into a table."""
MAX_PICTURE_ROWS = 500
VALENCE_COLOURS = ("var(--positive)", "var(--balanced)", "var(--negative)")


def create_content(observations: "pd.DataFrame", summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the template prints, formatted and drawn."""
    is_pictures = summary["kind"] == "pictures"
    content: dict[str, Any] = {
        # The name alone: a report is passed on, the folders it came from are nobody's business.
        "source": Path(summary["source"]).name,
        "is_pictures": is_pictures,
        "is_incomplete": summary["status"] != "complete",
        "message": wording.as_sentence(summary.get("message")),
        "facts": _list_facts(summary),
        "key_numbers": _list_key_numbers(summary),
        "n_faces": summary["faces"],
        "emotions": list(zip(EMOTIONS, COLOURS, strict=True)),
        "settings": wording.describe_settings(summary.get("settings") or {}),
        "model": wording.describe_model(summary.get("model") or {}),
        "series": {},
    }
    if summary["faces"]:
        content["lead"] = _write_lead(summary)
        content["audience"] = _describe_audience(summary["audience"])
        if is_pictures:
            content.update(_describe_pictures(observations))
        else:
            content.update(_describe_video(observations, summary))
    return content


def _list_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and value of what stands in the header."""
    facts = [("Analysed", wording.format_created(str(summary["created"])))]
    if summary["kind"] != "pictures":
        facts.append(("Length", wording.format_duration(float(summary["duration_s"]))))
        width, height = summary.get("size_wh") or (0, 0)
        if width and height:
            facts.append(("Picture size", f"{width} × {height} pixels"))
        in_source = summary.get("frames_in_source")
        if in_source:
            facts.append(
                ("Frames", f"{wording.format_count(summary['frames'])} of {wording.format_count(in_source)} analysed")
            )
    return facts


def _list_key_numbers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return value and explanation of the few numbers that matter most."""
    count, percent = wording.format_count, wording.format_percent
    # Of no faces no share is uncertain: that number is left out.
    uncertain = [percent(float(summary["audience"]["uncertain_share"]))] if summary["faces"] else []
    if summary["kind"] == "pictures":
        return [
            (count(summary["frames"]), "picture analysed" if summary["frames"] == 1 else "pictures analysed"),
            (count(summary["faces"]), "face found" if summary["faces"] == 1 else "faces found"),
            (percent(summary["coverage"]), "of pictures show a face"),
            *((u, "of faces are uncertain") for u in uncertain),
        ]
    return [
        (count(summary["people_count"]), "person seen" if summary["people_count"] == 1 else "people seen"),
        (count(summary["frames"]), "frames analysed"),
        (percent(summary["coverage"]), "of frames show a face"),
        (count(summary["faces"]), "observations (one face in one frame)"),
        *((u, "of observations are uncertain") for u in uncertain),
    ]


def _write_lead(summary: Mapping[str, Any]) -> str:
    """Return the result in two plain sentences."""
    shares = _seven(summary["audience"]["shares"])
    top = int(np.argmax(shares))
    things = "faces" if summary["kind"] == "pictures" else "observations"
    return (
        f"Most often, expressions were read as {EMOTIONS[top]}: "
        f"in {wording.format_percent(shares[top])} of {things}. "
        f"{_describe_uncertainty(float(summary['audience']['uncertain_share']), things)}"
    )


def _describe_uncertainty(share: float, things: str) -> str:
    """Return one sentence that says how far to trust the readings."""
    if share <= 0:
        return f"None of the {things} is marked uncertain."
    return f"{wording.format_percent(share)} of {things} are marked uncertain."


def _seven(values: Mapping[str, float] | None) -> list[float]:
    """Return the seven values in order; missing ones are 0."""
    return [float((values or {}).get(name) or 0.0) for name in EMOTIONS]


def _describe_audience(audience: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the emotions' table and the valence split."""
    shares, means = _seven(audience["shares"]), _seven(audience["mean_probabilities"])
    rows = [
        (name, colour, Markup(charts.draw_bar(share, colour)), wording.format_percent(share), wording.format_percent(p))
        for name, colour, share, p in zip(EMOTIONS, COLOURS, shares, means, strict=True)
    ]
    names = ("positive", "neutral", "negative")
    members = [", ".join(e for e, v in zip(EMOTIONS, VALENCE, strict=True) if v == sign) for sign in (1, 0, -1)]
    values = [float(audience["valence"].get(name) or 0.0) for name in names]
    legend = [
        (name, colour, wording.format_percent(value), which)
        for name, colour, value, which in zip(names, VALENCE_COLOURS, values, members, strict=True)
    ]
    return {"rows": rows, "valence": Markup(charts.draw_split(values, VALENCE_COLOURS, names)), "legend": legend}


def _describe_video(observations: "pd.DataFrame", summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the charts over time, people's cards and the values behind the charts."""
    readings, timeline = read_observations(observations, float(summary["duration_s"]))
    people = sorted(summary["people"], key=lambda p: (-p["frames"], p["track_id"]))
    shown = sorted(people[:MAX_PEOPLE], key=lambda p: p["track_id"])
    rest = sorted(people[MAX_PEOPLE:], key=lambda p: p["track_id"])
    counts = compute_face_counts(readings, timeline)
    together = compute_probabilities(readings, timeline)
    series: dict[str, Any] = {"all": _pack(together)}
    cards = []
    for person in shown:
        card, values = _describe_person(person, readings, timeline)
        series[card["key"]] = _pack(values)
        cards.append(card)
    until_s = timeline.analysed_until_s
    is_cut = summary["status"] != "complete" and timeline.end_s - until_s > 0.005 * timeline.end_s
    return {
        "axis": Markup(charts.draw_axis(timeline)),
        "unanalysed_from": f"{100 * until_s / timeline.end_s:.2f}" if is_cut else None,
        "strip": Markup(charts.draw_face_counts(counts, timeline, _label_strip(counts, timeline))),
        "strip_top": charts.find_top(counts),
        "together": Markup(charts.draw_stack(together, timeline, "Everyone: " + _label_stack(together, timeline))),
        "bin_note": _write_bin_note(timeline),
        "people": cards,
        "rest": [_describe_rest(p) for p in rest],
        "series": {
            "starts": [round(float(t), 2) for t in timeline.starts_s],
            "ends": [round(float(t), 2) for t in timeline.ends_s],
            "end": timeline.end_s,
            "faces": [round(float(c), 1) for c in counts],
            "values": series,
        },
    }


def _describe_person(
    person: Mapping[str, Any], readings: Readings, timeline: Timeline
) -> tuple[dict[str, Any], Floats]:
    """Return one person's card and the values of its chart."""
    own = readings.select(int(person["track_id"]))
    values = compute_probabilities(own, timeline)
    seen = np.bincount(own.bins[own.is_face], minlength=timeline.n_bins) > 0
    name = f"Person {person['track_id']}"
    shares = [wording.format_percent(s) for s in _seven(person["shares"])]
    card = {
        **_describe_rest(person),
        "key": f"p{person['track_id']}",
        "phrase": _write_phrase(person),
        "chart": Markup(charts.draw_stack(values, timeline, f"{name}: {_label_stack(values, timeline)}")),
        "presence": Markup(charts.draw_spans(seen, timeline, f"{name}: {_label_spans(seen, timeline)}", "seen")),
        "uncertain_spans": Markup(
            charts.draw_spans(find_uncertain(own, timeline), timeline, f"{name}: when uncertain", "uncertain")
        ),
        "legend": list(zip(EMOTIONS, COLOURS, shares, strict=True)),
    }
    return card, values


def _describe_rest(person: Mapping[str, Any]) -> dict[str, str]:
    """Return one person's numbers as text."""
    return {
        "name": f"Person {person['track_id']}",
        "first": wording.format_clock(person["first_s"]),
        "last": wording.format_clock(person["last_s"]),
        "observations": wording.format_count(person["frames"]),
        "coverage": wording.format_percent(person["coverage"]),
        "emotion": person["emotion"] or "–",
        "share": wording.format_percent(float((person["shares"] or {}).get(person["emotion"]) or 0.0)),
        "uncertain": wording.format_percent(person["uncertain_share"]),
    }


def _write_phrase(person: Mapping[str, Any]) -> str:
    """Return what was read most often, hedged."""
    if not person["emotion"]:
        return "No expression could be read."
    share = float(person["shares"].get(person["emotion"]) or 0.0)
    return f"Expression read as {person['emotion']} in {wording.format_percent(share)} of observations."


def _pack(values: Floats) -> list[list[int] | None]:
    """Return a chart's values in thousandths for the page's script; None where nobody was seen."""
    return [[round(1000 * float(p)) for p in row] if np.isfinite(row).all() else None for row in values]


def _label_spans(seen: Any, timeline: Timeline) -> str:
    """Return in words when someone was seen, for screen readers."""
    segments = find_segments(seen, timeline)
    texts = [
        f"{wording.format_clock(timeline.starts_s[a])} to {wording.format_clock(timeline.ends_s[b - 1])}"
        for a, b in segments[:10]
    ]
    more = f" and {len(segments) - 10} more stretches" if len(segments) > 10 else ""
    return f"seen {', '.join(texts)}{more}" if texts else "not seen"


def _label_stack(values: Floats, timeline: Timeline) -> str:
    """Return what a chart of probabilities shows, for screen readers."""
    spans = _label_spans(np.isfinite(values).all(axis=1), timeline)
    return f"probabilities of the seven emotions over time; {spans}"


def _label_strip(counts: Floats, timeline: Timeline) -> str:
    """Return what the strip of face counts shows, for screen readers."""
    return f"Faces found over time, at most {charts.find_top(counts)}; {_label_spans(counts > 0, timeline)}"


def _write_bin_note(timeline: Timeline) -> str:
    """Return how much time one point of the charts stands for."""
    if timeline.n_bins and int(timeline.n_frames.max()) > 1:
        return f"Each point is the mean of about {timeline.bin_s:.1f}{wording.NBSP}s."
    return "Each point is one analysed frame."


def _describe_pictures(observations: "pd.DataFrame") -> dict[str, Any]:
    """Return the table of pictures, one row per face."""
    columns = [f"p_{name}" for name in EMOTIONS]
    face_numbers = observations.groupby(["source", "frame"], sort=False).cumcount() + 1
    rows = []
    head = observations.head(MAX_PICTURE_ROWS)
    for row, number in zip(head.to_dict("records"), face_numbers, strict=False):
        probabilities = [float(row[c]) for c in columns]
        has_face = bool(np.isfinite(probabilities).all())
        rows.append(
            {
                "source": Path(row["source"]).name,
                "face": number if has_face else None,
                "emotion": row["emotion"] if isinstance(row["emotion"], str) else "–",
                "probability": wording.format_percent(float(row["probability"])) if has_face else "",
                # `is True` would miss numpy's True, and `bool()` fails on a missing value.
                "uncertain": has_face and row["uncertain"] == True,  # noqa: E712
                "bar": Markup(charts.draw_emotion_split(probabilities)) if has_face else "",
            }
        )
    return {"pictures": rows, "n_pictures_rows": len(observations), "max_rows": MAX_PICTURE_ROWS}
