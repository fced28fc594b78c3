"""The report's document with places to fill in: the page that reads in the browser makes its reports of these."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from emoscope.core.emotions import find_valence
from emoscope.report import charts, wording
from emoscope.report.colours import find_css_colours
from emoscope.report.overtime import MAX_PEOPLE, MAX_REST
from emoscope.report.page import join_scripts, load_style, render
from emoscope.report.series import describe_axes
from emoscope.report.single import VALENCE_COLOURS, VALENCES
from emoscope.report.timeline import Timeline
from emoscope.tables.summarize import MIN_FRAMES
from emoscope.tables.summary import SETTING_LABELS, UsedSettings

SCRIPT: Final = "\u27e6script\u27e7"
"""Where the script goes, which the forms share."""
STYLE: Final = "<!--\u27e6style\u27e7-->"
HELD: Final = " data-style="
"""The page's own policy lets no document that it makes apply inline styles; it gives them their name at last."""
NO_FACES: Final = "Made in a browser, which keeps no picture: there are no faces to see in this report."
NO_BINS: Final = Timeline(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), 1.0)


def create_forms(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return forms.json: the report of one person and of several, and what the scripts need to fill them in.

    Places look like `\u27e6name\u27e7`; what is repeated stands once. The charts' paths are empty: the report's own
    script draws them.

    Args:
        facts: what facts.json holds.
    """
    classes = tuple(facts["emotions"])
    script, style = join_scripts(), load_style(classes=classes)
    forms = {
        f"{'one' if is_single else 'many'}{' smoothed' if is_smoothed else ''}": render(
            "report.html.j2", _create_content(facts, classes, is_single, is_smoothed), classes=classes
        )
        .replace(script, SCRIPT)
        .replace(f"<style>{style}</style>", STYLE)
        .replace(" style=", HELD)
        for is_single in (True, False)
        for is_smoothed in (True, False)
    }
    return {
        "script": script,
        "style": f"<style>{style}</style>",
        "held": HELD,
        "forms": forms,
        "axes": describe_axes(1.0, classes),
        "reasons": wording.LIMITS,
        "settings": {key: SETTING_LABELS[key] for key in ("every", "smoothing_s")},
        "min_frames": MIN_FRAMES,
        "max_people": MAX_PEOPLE,
        "max_rest": MAX_REST,
        "index_reaches": charts.INDEX_REACHES,
        "max_cuts_read": charts.MAX_CUTS_READ,
        "words": {
            "some_uncertain": wording.write_uncertain(1.0, _slot("share"), "observations"),
            "none_uncertain": wording.write_uncertain(0.0, "", "observations"),
            "each_frame": wording.EACH_FRAME,
            "point": f"{wording.write_point(_slot('step'))}.",
            "people": [wording.write_seen(n) for n in (1, 2)],
            "everyone": wording.EVERYONE,
            "change": wording.write_change(_create_change("rose"), _create_change("fell"), _slot("counted")),
            "joining": wording.write_joining(_slot("n")),
        },
    }


SHOTS: Final = Markup('<svg class="spans seen shots" role="img" aria-label="\u27e6shots\u27e7"></svg>')
"""Filled, or taken out, by report.js."""


def _slot(name: str) -> str:
    return f"\u27e6{name}\u27e7"


def _create_content(
    facts: Mapping[str, Any], classes: tuple[str, ...], is_single: bool, is_smoothed: bool
) -> dict[str, Any]:
    no_values, has_valence = np.zeros((0, len(classes))), find_valence(classes) is not None
    settings = UsedSettings(**{**facts["settings"], "emoscope": facts["version"], "every": _slot("every")})
    smoothing = SETTING_LABELS["smoothing_s"]
    return {
        "source": _slot("source"),
        "source_line": wording.write_source_line(_slot("source"), _slot("created")),
        **{"is_pictures": False, "is_comparison": False, "is_single": is_single, "is_smoothed": is_smoothed},
        **{"is_incomplete": False, "message": NO_FACES, "curated": None, "attention": [], "events": None},
        "facts": [
            ("Analysed", _slot("created")),
            ("Length", _slot("length")),
            ("Picture size", f"{_slot('width')} × {_slot('height')} pixels"),
            ("Frames", f"{_slot('frames')} of {_slot('frames')} analysed"),
        ],
        "key_numbers": [
            (_slot("people"), _slot("people seen")),
            (_slot("at once"), "people at once, at most"),
            (_slot("frames"), "frames analysed"),
            (_slot("coverage"), "of frames show a face"),
            (_slot("faces"), "observations (one face in one frame)"),
            (_slot("uncertain"), "of observations are uncertain"),
        ],
        "n_faces": 1,
        "has_valence": has_valence,
        "lead": wording.write_lead(_slot("top"), _slot("top share"), _slot("uncertain words"), "observations"),
        "beyond": _create_beyond(classes),
        "emotions": list(zip(classes, find_css_colours(classes), strict=True)),
        "settings": [
            (label, _slot("smoothing") if label == smoothing else value)
            for label, value in wording.describe_settings(settings)
        ],
        "accuracy": wording.describe_accuracy(facts["model_facts"]),
        "model": wording.describe_model(facts["model_facts"]),
        "audience": _create_audience(classes),
        **{"faces": {}, "heads": {}, "unanalysed": [], "shots": SHOTS},
        "shots_note": wording.write_shots_note(_slot("n shots")),
        **{"has_baseline": False, "baseline": "off", "change_limit": ""},
        "axis": Markup(charts.draw_axis(NO_BINS)),
        "strip": Markup(charts.draw_face_counts(np.zeros(0), NO_BINS, "Faces found over time")),
        "strip_top": _slot("top count"),
        "together": Markup(
            charts.draw_stack(no_values, NO_BINS, "Everyone: probabilities of the expressions over time", classes)
        ),
        "index": Markup(charts.draw_index(no_values, NO_BINS, "Valence index over time", classes=classes))
        if has_valence
        else "",
        "reach": _slot("reach"),
        "main": _slot("main"),
        "bin_note": _slot("bin note"),
        "smoothed": wording.write_smoothed(_slot("smoothing")) if is_smoothed else "",
        "smoothing_note": wording.write_smoothing_note(_slot("smoothing"), reads_smoothed=True) if is_smoothed else "",
        "people": [_create_person(classes)],
        "rest": [] if is_single else [_create_numbers("rest")],
        "n_beyond": 0,
        "moments": [_create_moment(classes)],
        "series": {"form": _slot("series")},
    }


def _create_audience(classes: tuple[str, ...]) -> dict[str, Any]:
    rows = [
        (name, colour, Markup(charts.draw_bar(0.5, colour)), _slot(f"share {name}"), _slot(f"mean {name}"))
        for name, colour in zip(classes, find_css_colours(classes), strict=True)
    ]
    signs = find_valence(classes)
    if signs is None:
        return {"rows": rows, "valence": ""}
    return {
        "rows": rows,
        "valence": Markup(charts.draw_split((0.3, 0.3, 0.4), VALENCE_COLOURS, VALENCES)),
        "legend": [
            (name, colour, _slot(name), ", ".join(e for e, v in zip(classes, signs, strict=True) if v == sign))
            for name, colour, sign in zip(VALENCES, VALENCE_COLOURS, (1, 0, -1), strict=True)
        ],
        "index": _slot("index"),
    }


def _create_beyond(classes: tuple[str, ...]) -> dict[str, Any]:
    measures = ("share", "mean", "share without", "mean without")
    return {
        "count": f"{_slot('n beyond')} of {_slot('faces')} observations",
        "share": _slot("beyond share"),
        "reasons": _slot("reasons"),
        "n": "",
        "are_left_out": False,
        "rows": [
            (name, colour, *(_slot(f"{measure} {name}") for measure in measures))
            for name, colour in zip(classes, find_css_colours(classes), strict=True)
        ],
    }


def _create_change(name: str) -> tuple[str, str, str]:
    return _slot(name), _slot(f"{name} from"), _slot(f"{name} to")


def _create_moment(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what the list repeats; the marks in the charts are put in by report.js."""
    split = Markup(charts.draw_emotion_split([1 / len(classes)] * len(classes), classes))
    names = ("time_s", "clock", "key", "whose", "text", "place")
    return {**{name: _slot(f"moment.{name}") for name in names}, "before": split, "after": split}


def _create_numbers(whose: str) -> dict[str, Any]:
    names = ("name", "first", "last", "observations", "coverage", "emotion", "share", "uncertain")
    return {name: _slot(f"{whose}.{name}") for name in names}


def _create_person(classes: tuple[str, ...]) -> dict[str, Any]:
    name, no_values = _slot("person.name"), np.zeros((0, len(classes)))
    return {
        **_create_numbers("person"),
        "key": _slot("person.key"),
        "track_id": 0,
        "phrase": wording.write_phrase(_slot("person.emotion"), _slot("person.share")),
        "chart": Markup(
            charts.draw_stack(no_values, NO_BINS, f"{name}: probabilities of the expressions over time", classes)
        ),
        "changes": None,
        "resting": [],
        "presence": Markup(charts.draw_spans(np.zeros(0, bool), NO_BINS, f"{name}: when seen", "seen")),
        "uncertain_spans": Markup(
            charts.draw_spans(np.zeros(0, bool), NO_BINS, f"{name}: when uncertain", "uncertain")
        ),
        "legend": [
            (emotion, colour, _slot(f"person.share {emotion}"))
            for emotion, colour in zip(classes, find_css_colours(classes), strict=True)
        ],
    }
