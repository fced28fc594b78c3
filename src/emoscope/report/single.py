"""What the report says: observations and summary in, the template's values out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from emoscope.core.emotions import COLOURS, EMOTIONS, VALENCE
from emoscope.report import charts, wording
from emoscope.report.intervals import format_index
from emoscope.report.overtime import describe_video
from emoscope.report.picture_rows import describe_pictures
from emoscope.tables.observations import Observations

VALENCE_COLOURS = ("var(--positive)", "var(--balanced)", "var(--negative)")


def create_content(observations: Observations, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the template prints, formatted and drawn."""
    is_pictures = summary["kind"] == "pictures"
    content: dict[str, Any] = {
        # The name alone: a report is passed on, the folders it came from are nobody's business.
        "source": Path(summary["source"]).name,
        "is_pictures": is_pictures,
        "is_comparison": False,
        "is_incomplete": summary["status"] != "complete",
        "message": wording.as_sentence(summary.get("message")),
        "facts": list_facts(summary),
        "key_numbers": _list_key_numbers(summary),
        "n_faces": summary["faces"],
        "emotions": list(zip(EMOTIONS, COLOURS, strict=True)),
        "settings": wording.describe_settings(summary.get("settings") or {}),
        "model": wording.describe_model(summary.get("model") or {}),
        "series": {},
    }
    if summary["faces"]:
        content["lead"] = _write_lead(summary)
        content["audience"] = describe_audience(summary["audience"])
        content.update(describe_pictures(observations) if is_pictures else describe_video(observations, summary))
    return content


def list_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
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
    at_once = int(summary["audience"].get("people_max") or 0)
    return [
        (count(summary["people_count"]), "person seen" if summary["people_count"] == 1 else "people seen"),
        *([(count(at_once), "people at once, at most")] if at_once > 1 else []),
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


def describe_audience(audience: Mapping[str, Any]) -> dict[str, Any]:
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
    index = audience["valence"].get("index")
    return {
        "rows": rows,
        "valence": Markup(charts.draw_split(values, VALENCE_COLOURS, names)),
        "legend": legend,
        "index": format_index(values[0] - values[2] if index is None else float(index)),
    }
