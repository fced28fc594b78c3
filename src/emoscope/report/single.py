"""What the report says: observations and summary in, the template's values out."""

from dataclasses import astuple
from pathlib import Path

from markupsafe import Markup

from emoscope.core.emotions import find_valence
from emoscope.report import charts, wording
from emoscope.report.colours import find_css_colours
from emoscope.report.intervals import format_index
from emoscope.report.overtime import MAX_REST, describe_video
from emoscope.report.picture_rows import describe_pictures
from emoscope.report.wording import Context
from emoscope.tables.attention import Attention
from emoscope.tables.observations import Observations
from emoscope.tables.summary import Audience, Summary

NOTHING = "–"
VALENCES = ("positive", "neutral", "negative")
VALENCE_COLOURS = ("var(--positive)", "var(--balanced)", "var(--negative)")


def create_content(observations: Observations, summary: Summary) -> dict[str, object]:
    """Return everything that the template prints, formatted and drawn."""
    is_pictures = summary.kind == "pictures"
    content: dict[str, object] = {
        # The name alone: a report is passed on, the folders it came from are nobody's business.
        "source": Path(summary.source).name,
        "source_line": wording.write_source_line(Path(summary.source).name, wording.format_created(summary.created)),
        "is_pictures": is_pictures,
        "is_comparison": False,
        "is_single": False,
        "is_smoothed": observations.has_smoothed and not is_pictures,
        "is_incomplete": summary.status != "complete",
        "message": wording.as_sentence(summary.message),
        "curated": wording.as_sentence(summary.curated.message if summary.curated else None),
        "facts": list_facts(summary),
        "key_numbers": _list_key_numbers(summary),
        "n_faces": summary.faces,
        "beyond": describe_beyond(summary),
        "attention": describe_attention(summary),
        "emotions": list(zip(summary.classes, find_css_colours(summary.classes), strict=True)),
        "has_valence": summary.audience.valence is not None,
        "settings": wording.describe_settings(summary.settings),
        "accuracy": wording.describe_accuracy(summary.model),
        "model": wording.describe_model(summary.model),
        "series": {},
    }
    if summary.faces:
        content["lead"] = _write_lead(summary)
        content["audience"] = describe_audience(summary.audience, summary.classes)
        content.update(describe_pictures(observations) if is_pictures else describe_video(observations, summary))
    return content


def list_facts(summary: Summary) -> list[tuple[str, str]]:
    """Return label and value of what stands in the header."""
    facts = [("Analysed", wording.format_created(summary.created))]
    if summary.kind != "pictures":
        facts.append(("Length", wording.format_duration(summary.duration_s)))
        if all(summary.size_wh):
            facts.append(("Picture size", "{} × {} pixels".format(*summary.size_wh)))
        if summary.frames_in_source:
            n, n_all = wording.format_count(summary.frames), wording.format_count(summary.frames_in_source)
            facts.append(("Frames", f"{n} of {n_all} analysed"))
    return facts


def _list_key_numbers(summary: Summary) -> list[tuple[str, str]]:
    """Return value and explanation of the few numbers that matter most."""
    count, percent = wording.format_count, wording.format_percent
    # Of no faces no share is uncertain: that number is left out.
    uncertain = [percent(summary.audience.uncertain_share)] if summary.faces else []
    things = "faces" if summary.kind == "pictures" else "observations"
    n_beyond = summary.beyond_limits.observations if summary.settings.exclude else 0
    set_aside = [(count(n_beyond), f"{things} left out, beyond the limits")] if n_beyond else []
    if summary.kind == "pictures":
        return [
            (count(summary.frames), "picture analysed" if summary.frames == 1 else "pictures analysed"),
            (count(summary.faces), "face found" if summary.faces == 1 else "faces found"),
            *set_aside,
            (percent(summary.coverage), "of pictures show a face"),
            *((u, "of faces are uncertain") for u in uncertain),
        ]
    at_once = summary.audience.people_max
    return [
        (count(summary.people_count), wording.write_seen(summary.people_count)),
        *([(count(at_once), "people at once, at most")] if at_once > 1 else []),
        (count(summary.frames), "frames analysed"),
        (percent(summary.coverage), "of frames show a face"),
        (count(summary.faces), "observations (one face in one frame)"),
        *set_aside,
        *((u, "of observations are uncertain") for u in uncertain),
    ]


def _write_lead(summary: Summary) -> str:
    shares, uncertain = summary.audience.shares, summary.audience.uncertain_share
    top = max(shares, key=shares.__getitem__)
    things = "faces" if summary.kind == "pictures" else "observations"
    n = wording.write_uncertain(uncertain, wording.format_percent(uncertain), things)
    lead = wording.write_lead(top, wording.format_percent(shares[top]), n, things)
    calibrated = summary.settings.calibration
    told = f" The probabilities are calibrated {calibrated}." if calibrated else ""
    return lead + told


def describe_beyond(summary: Summary) -> Context | None:
    """Return how many observations are beyond the model's limits and why, and the numbers with and without them."""
    beyond = summary.beyond_limits
    if not beyond.observations:
        return None
    n_all = max(summary.faces + beyond.observations * bool(summary.settings.exclude), beyond.observations)
    reasons = [
        f"{wording.format_count(n)} because {reason}"
        for name, reason in wording.LIMITS.items()
        if (n := beyond.by_measure.get(name, 0))
    ]
    both = [readings for readings in (beyond.with_them, beyond.without_them) if readings is not None]
    columns = [
        list(map(wording.format_percent, wording.list_values(values, summary.classes)))
        for readings in both
        for values in (readings.shares, readings.mean_probabilities)
    ]
    things = "faces" if summary.kind == "pictures" else "observations"
    return {
        "n": f"{wording.format_count(beyond.observations)} {things}",
        "count": f"{wording.format_count(beyond.observations)} of {wording.format_count(n_all)} {things}",
        "share": wording.format_percent(beyond.observations / n_all),
        "reasons": f"{', '.join(reasons)}{'; a face can be several of these' if len(reasons) > 1 else ''}",
        "are_left_out": summary.settings.exclude,
        "rows": list(zip(summary.classes, find_css_colours(summary.classes), *columns, strict=True))
        if len(both) == 2
        else [],
    }


def describe_attention(summary: Summary) -> list[tuple[str, ...]]:
    """Return rows of everyone and each person: name, coverage, two shares, blinks a minute."""

    def write(name: str, found: Attention) -> tuple[str, ...]:
        shares = [found.coverage, found.faces_camera, found.eyes_closed]
        texts = [NOTHING if share is None else wording.format_percent(share) for share in shares]
        return name, *texts, NOTHING if found.blinks_per_min is None else f"{found.blinks_per_min:.0f}"

    if summary.attention is None:
        return []
    shown = summary.people[:MAX_REST] if summary.kind != "pictures" else ()
    people = [write(p.label, p.attention) for p in shown if p.attention is not None]
    return [write("Everyone", summary.attention), *people]


def describe_audience(audience: Audience, classes: tuple[str, ...]) -> Context:
    """Return the rows of the emotions' table and the valence split, of which there is none where it is not known."""
    shares, means = (wording.list_values(v, classes) for v in (audience.shares, audience.mean_probabilities))
    rows = [
        (name, colour, Markup(charts.draw_bar(share, colour)), wording.format_percent(share), wording.format_percent(p))
        for name, colour, share, p in zip(classes, find_css_colours(classes), shares, means, strict=True)
    ]
    signs = find_valence(classes)
    if audience.valence is None or signs is None:
        return {"rows": rows, "valence": ""}
    members = [", ".join(e for e, v in zip(classes, signs, strict=True) if v == sign) for sign in (1, 0, -1)]
    *values, index = astuple(audience.valence)
    legend = [
        (name, colour, wording.format_percent(value), which)
        for name, colour, value, which in zip(VALENCES, VALENCE_COLOURS, values, members, strict=True)
    ]
    return {
        "rows": rows,
        "valence": Markup(charts.draw_split(values, VALENCE_COLOURS, VALENCES)),
        "legend": legend,
        "index": format_index(index),
    }
