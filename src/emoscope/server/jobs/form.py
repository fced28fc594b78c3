"""The form of a video: fields as a client sends them in, Settings out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic.config import JsonDict

from emoscope.analysis.settings import Settings
from emoscope.core.errors import InputError
from emoscope.core.validation import suggest

NOT_ASKED: Final = {
    "calibration",
    "events",
    "report",
    "explain",
    "formats",
    "model",
    "device",
    "max_side_px",
    "sequence",
}
"""Settings that a client has no say in."""


def _describe_fields() -> dict[str, JsonDict]:
    """Return the JSON schema of each field; a form has no null: what is optional is left out."""
    fields = Settings.model_json_schema()["properties"]
    defaults = Settings().model_dump(mode="json") | {"detector": None}
    for name, field in fields.items():
        field.pop("default")
        if defaults[name] is not None:
            field["default"] = str(defaults[name]) if field.get("type") == "string" else defaults[name]
    fields["detector"]["description"] += " The server's if left out."
    return {name: field for name, field in fields.items() if name not in NOT_ASKED}


FIELDS: Final = _describe_fields()


def read_form(
    values: Mapping[str, object], detector: str, model: str | Path, events: Path | None = None, device: str = "auto"
) -> Settings:
    """Return the settings of an analysis.

    Args:
        values: the form's fields as they came.
        detector: the server's, where the form names none.
        model: the server's.
        events: the file of events that was sent along.
        device: the server's.

    Raises:
        InputError: a field that there is not, or all that is wrong with the values.
    """
    if unknown := [name for name in values if name not in FIELDS]:
        raise InputError("; ".join(f"there is no field {name}, {suggest(name, FIELDS)}" for name in unknown))
    marked = {} if events is None else {"events": events}
    settings = Settings.model_validate({"detector": detector, "model": model, "device": device, **values, **marked})
    settings.check_baseline()
    return settings
