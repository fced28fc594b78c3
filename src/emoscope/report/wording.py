"""Words and numbers as the report prints them: summary values in, short strings out."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from emoscope.core import numbers
from emoscope.core.emotions import EMOTIONS
from emoscope.core.numbers import NBSP
from emoscope.tables.summary import SETTING_LABELS, UsedSettings

EACH_FRAME = "Each point is one analysed frame."
"""Of charts."""
EVERYONE = "Everyone"
Context = Mapping[str, object]
"""What a template prints, by name."""

MODEL_LABELS = {
    "name": "Name",
    "network": "Network",
    "size_px": "Input size",
    "temperature": "Temperature (calibration)",
    "uncertain_below": "Uncertain below",
    "protocol": "Training protocol",
    "origin": "Origin",
    "licence": "Licence",
    "data_sha256": "Data fingerprint (SHA-256)",
    "run": "Training run",
}
LIMITS = {
    "roll_deg": "the head is turned",
    "frontal": "the face is turned away",
    "size_px": "the face is too small",
    "sharpness": "the face is too blurred",
    "light": "the face is too dark",
    "contrast": "the face has too little contrast",
}
"""Why a face below a limit of each measure of schema.QUALITY is not read."""
FIGURE_LABELS = {
    **{"accuracy": "accuracy", "macro_f1": "macro F1", "ece": "ECE", "n": "pictures"},
    **{"brier": "Brier score", "nll": "NLL", "classwise_ece": "classwise ECE", "certain_share": "share not uncertain"},
}


def format_percent(fraction: float) -> str:
    """Return a percentage as the pages print it: with one decimal below 1 %."""
    return numbers.format_percent(fraction, 1)


def format_count(n: int) -> str:
    """Return a whole number with spaces between groups of three digits."""
    return f"{n:,}".replace(",", NBSP)


def format_clock(time_s: float, n_decimals: int = 0) -> str:
    """Return m:ss, or h:mm:ss from one hour on; times are cut, not rounded, like a player's display."""
    scale = 10**n_decimals
    # The tiny addition keeps 0.3 s, stored as 0.29999, from showing as 0.2 s.
    ticks = math.floor(max(time_s, 0.0) * scale + 1e-6)
    whole, rest = divmod(ticks, scale)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{text}.{rest:0{n_decimals}d}" if n_decimals else text


def format_duration(duration_s: float) -> str:
    """Return a length in words that fit it: seconds with a decimal below one minute's tenth, else m:ss."""
    return f"{duration_s:.1f}{NBSP}s" if duration_s < 10 else f"{format_clock(duration_s)}"


def format_created(created: str) -> str:
    """Return an ISO 8601 time as `23 November 2026, 23:00 UTC`; text that is no such time comes back unchanged."""
    try:
        moment = dt.datetime.fromisoformat(created)
    except ValueError:
        return created
    months = (
        "January February March April May June July August September October November December".split()  # noqa: SIM905
    )
    # Month names come from here, not from strftime, whose language depends on the computer.
    text = f"{moment.day} {months[moment.month - 1]} {moment.year}, {moment:%H:%M}"
    zone = moment.tzname()
    return f"{text} {zone}" if zone else text


def write_source_line(name: str, made: str = "") -> str:
    """Return what stands beneath every figure that is saved from a page: of what it is, by what it was read."""
    return f"{name}{', ' if made else ''}{made}. Facial expressions read by emoscope; an expression is not a feeling."


def write_lead(top: str, share: str, uncertain: str, things: str) -> str:
    """Return the result in two plain sentences.

    Args:
        top: the emotion that was read most often.
        share: of `things` that were read so.
        uncertain: what `write_uncertain` returned.
        things: `faces` or `observations`.
    """
    return f"Most often, expressions were read as {top}: in {share} of {things}. {uncertain} marked uncertain."


def write_uncertain(fraction: float, share: str, things: str) -> str:
    """Return the beginning of a sentence that ends in `marked uncertain`; `share` is the fraction as it is printed."""
    return f"{share} of {things} are" if fraction > 0 else f"None of the {things} is"


def write_phrase(emotion: str, share: str) -> str:
    """Return what one person was read as most often, hedged."""
    return f"Expression read as {emotion} in {share} of observations."


def write_seen(n: int) -> str:
    """Return what a number of people is called."""
    return "person seen" if n == 1 else "people seen"


def write_change(rose: tuple[str, str, str], fell: tuple[str, str, str], counted: str) -> str:
    """Return what changed at a moment.

    Args:
        rose: the expression that rose, and its mean probability before and after.
        fell: the same of the one that fell.
        counted: what write_joining() gives where the change is not one person's.
    """
    parts = (f"{name} {verb} from {a} to {b}" for verb, (name, a, b) in (("rose", rose), ("fell", fell)))
    return f"{' and '.join(parts)}{counted}."


def write_joining(people: str) -> str:
    """Return how many people, never one, went along with a change."""
    return f" ({people} people in view)"


def write_point(step: str) -> str:
    """Return how much time one point of the charts stands for, without the full stop; `step` has its unit."""
    return f"Each point is the mean of about {step}"


def write_smoothed(constant: str) -> str:
    """Return beneath a figure that its curves are smoothed; the constant, with its unit, is empty where unknown."""
    return f"Smoothed over time{f', time constant {constant}' if constant else ''}."


def write_shots_note(n_shots: str) -> str:
    """Return what the strip of shots shows."""
    return (
        f"{n_shots} shots were found; every second one is filled. A quick move close to the camera can look like a cut."
    )


def write_smoothing_note(constant: str, reads_smoothed: bool) -> str:
    """Return that the charts are smoothed and what else is.

    Args:
        constant: the time constant with its unit; empty where unknown.
        reads_smoothed: whether each face is read as its smoothed values say.
    """
    how = f" (time constant {constant})" if constant else ""
    rest = (
        "So is what each face is read as; mean probabilities are taken before smoothing."
        if reads_smoothed
        else "All shares and tables use the values before smoothing."
    )
    return (
        f"The areas are smoothed over time{how}: single odd frames weigh less, and quick changes look slower than they "
        f"were. {rest}"
    )


def list_values(values: Mapping[str, float], classes: Sequence[str]) -> list[float]:
    """Return the classes' values in order."""
    return [values[name] for name in classes]


def format_value(value: object) -> str:
    """Return any scalar of the settings or the model's specification for a table cell."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_count(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("`", "")


def as_sentence(message: str | None) -> str | None:
    """Return a message that begins like a sentence and ends like one; None stays None."""
    if not message:
        return None
    # A file's name keeps its case.
    is_name = any(sign in message.split()[0] for sign in "./\\")
    text = message if is_name else message[0].upper() + message[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _describe_setting(key: str, value: object) -> tuple[str, str]:
    """Return label and value of one setting; a unit at the end of its name moves to the value."""
    if key == "every":
        text = f"one in {value}" if isinstance(value, int) else f"one every {value}"
        return SETTING_LABELS[key], "every one" if value == 1 else text
    if key in ("start_s", "end_s") and isinstance(value, int | float):
        return SETTING_LABELS[key], format_clock(float(value), 1)
    if key.endswith("_s") and value == 0:
        return SETTING_LABELS[key], "off"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    name, _, unit = key.rpartition("_")
    if not (is_number and name and unit in ("s", "ms", "px")):
        name, unit = key, ""
    label = SETTING_LABELS.get(key) or name.replace("_", " ").strip().capitalize()
    return label, f"{format_value(value)}{NBSP}{unit}" if unit else format_value(value)


def describe_settings(settings: UsedSettings) -> list[tuple[str, str]]:
    """Return label and value of every setting that is known; those with a label of their own first."""
    values = {key: value for key, value in vars(settings).items() if value is not None}
    keys = [*SETTING_LABELS, *(key for key in values if key not in SETTING_LABELS)]
    left_out = {key for key in ("start_s", "end_s") if not values.get(key)}
    return [_describe_setting(key, values[key]) for key in keys if key in values and key not in left_out]


def describe_model(model: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return label and value of what a model card must tell, then one row per measured set."""
    rows = []
    for key, label in MODEL_LABELS.items():
        if key not in model:
            continue
        value = model[key]
        text = format_value(value)
        if key == "size_px":
            text = f"{value} × {value} pixels"
        elif key == "uncertain_below" and isinstance(value, int | float):
            text = f"largest probability below {format_percent(value)}"
        rows.append((label, text))
    figures = model.get("figures")
    for name, values in figures.items() if isinstance(figures, Mapping) else ():
        rows.append((f"Measured: {name.replace('_', ' ')}", _describe_figures(values)))
    return rows


def describe_accuracy(model: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what to expect of the network's readings, in words: label and text; nothing where it was not measured."""
    figures = model.get("figures")
    for values in figures.values() if isinstance(figures, Mapping) else ():
        known = (
            {key: v for key, v in values.items() if isinstance(v, int | float)} if isinstance(values, Mapping) else {}
        )
        if "accuracy" not in known:
            continue
        pictures = f"{format_count(int(known['n']))} pictures" if "n" in known else "pictures"
        share = format_percent(known["accuracy"])
        labels = model.get("labels")
        guessing = format_percent(1 / len(labels if isinstance(labels, list | tuple) and labels else EMOTIONS))
        rows = [
            ("Expected accuracy", f"{share} of {pictures} were read as people had labelled them (guessing: {guessing})")
        ]
        if "ece" in known:
            rows.append(("Stated probabilities", f"off by {100 * known['ece']:.1f} percentage points on average"))
        if "certain_share" in known:
            rows.append(("Marked uncertain", f"{format_percent(1 - known['certain_share'])} of these pictures"))
        return rows
    return []


def _describe_figures(values: object) -> str:
    """Return `accuracy 0.66 · macro F1 0.63`, leaving out whatever is no single number."""
    if not isinstance(values, Mapping):
        return format_value(values) if isinstance(values, int | float | str) else "–"
    parts = []
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        text = format_count(value) if isinstance(value, int) else f"{value:.3f}"
        parts.append(f"{FIGURE_LABELS.get(key, key.replace('_', ' '))} {text}".replace(" ", NBSP))
    return " · ".join(parts) or "–"
