"""The summary as a type: what version 0.6.0 wrote is read, computed and written alike; damage is named in full."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emoscope.analysis.result_folder import load_result
from emoscope.core.errors import InputError
from emoscope.tables.events import Event
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, Summary
from made_tables import Mood, feel, make_table
from recordings import make_summary, write_result
from recordings import make_table as make_recording

WRITTEN = Path(__file__).with_name("summary-0.6.0.json").read_text(encoding="utf-8")


def test_json_is_read_and_written_bit_for_bit() -> None:
    summary = Summary.from_json(WRITTEN)
    assert drop_new(summary.to_json()) == WRITTEN
    assert summary.settings.dropped is None and summary.events[0].difference is not None


def test_the_same_table_gives_the_same_file() -> None:
    def turn(time_s: float) -> Mood:
        return feel("neutral") if time_s < 6 else feel("happy")

    people = {1: turn, 2: turn, 3: lambda t: feel("angry", 0.7) if 4 <= t < 9.5 else None}
    table = make_table([i / 5 for i in range(60)], {**people, 4: lambda t: turn(t) if t >= 3 else None})
    written = Summary.from_json(WRITTEN)
    facts = Facts(**{name: getattr(written, name) for name in Facts.__dataclass_fields__})
    events = [Event("product", 5.0, 8.0), Event("nobody", 30.0, 31.0)]
    # Which two events differ was not told then.
    found = replace(compute_summary(table, facts, events, {2: feel("sad")}), event_contrasts=None).to_json()
    assert shorten(drop_ends(drop_new(found))) == shorten(drop_ends(WRITTEN))


def drop_new(text: str) -> str:
    """Leave out what version 0.6.0 did not write."""
    text = text.replace('  "cuts": [],\n  "unread": [],\n  "frames_unread": 0,\n', "")
    text = re.sub(r',\n  "event_groups": \[\](,\n  "events_message": "[^"]*")?', "", text)
    return re.sub(r'  "beyond_limits": \{[^{]*\{\}[^}]*\},\n', "", text)


def drop_ends(text: str) -> str:
    """Leave out the ends of intervals: version 0.6.0 drew people anew, which held too little."""
    return re.sub(r'"(low|high)": (null|[-\d.e]+)', r'"\1": null', text)


def shorten(text: str) -> str:
    """Numbers to nine digits: processors add up in different orders."""
    return re.sub(r"-?\d+\.\d+(e-?\d+)?", lambda number: f"{float(number[0]) + 0.0:.9f}", text)


def test_keys_of_older_and_newer_versions_do_no_harm() -> None:
    values = json.loads(WRITTEN)
    for key in ("moments", "events", "reason", "message", "size_wh", "frames_in_source", "fingerprint"):
        del values[key]
    values |= {"settings": {"every": 2, "novel": 1}, "novel": {}}
    summary = Summary.from_json(json.dumps(values))
    assert summary.moments == summary.events == () and summary.settings.every == 2 and summary.settings.model is None


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    table = make_recording({1: (0, 5)}, 5)
    folder = write_result(tmp_path / "result", table, make_summary(table))

    def spoil(values: dict[str, Any]) -> str:
        (folder / "summary.json").write_text(json.dumps(values))
        with pytest.raises(InputError) as error:
            load_result(folder)
        return str(error.value).removeprefix(f"{folder / 'summary.json'} ").removesuffix("; analyse the source again")

    values = json.loads(WRITTEN)
    del values["people"][0]["shares"]["sad"], values["people"][1]["first_s"], values["created"]
    values["people"][1]["emotion"] = values["moments"][0]["rose"] = "<b>"
    values["events"][0]["valence"] = None
    values["events"][0]["difference"]["mean_probabilities"]["happy"]["mean"] = "0.3"
    assert spoil({**values, "kind": "film", "frames": 1.5}) == (
        "is damaged (the summary lacks a usable kind, created, frames; people[0] lacks a usable shares; "
        "people[1] lacks a usable first_s, emotion; moments[0] lacks a usable rose; events[0] lacks a usable valence; "
        "events[0].difference.mean_probabilities.happy lacks a usable mean)"
    )
    assert spoil({**values, "people": [{}] * 20}).count("people[") == 7
    assert spoil({**values, "schema_version": 9}) == "has schema version 9, expected 5"
    assert spoil({}) == "has schema version none, expected 5"
