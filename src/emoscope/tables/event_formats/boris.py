"""BORIS: its exported tables of events, aggregated or one by one, and its project file; entries out.

State events begin and end; point events have no length and are left out, which is said.
Source: https://github.com/olivierfriard/BORIS (export_events.py, config.py), version 8.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from emoscope.core.errors import InputError
from emoscope.tables.event_formats.entries import NO_LENGTH, Entries, parse_seconds

AGGREGATED: Final = {"behavior", "start (s)", "stop (s)"}
SINGLE: Final = {"behavior", "time"}
TYPES: Final = ("behavior type", "status")
"""Columns that say START, STOP or POINT, in newer and older versions."""
MEDIA: Final = ("media file name", "media file path", "source")
POINTS: Final = f"point events, {NO_LENGTH}"
Row = tuple[str, Mapping[str, str]]


def is_aggregated(header: Iterable[str]) -> bool:
    """Return whether a table has a row for each event with its start and stop."""
    return set(header) >= AGGREGATED


def is_single(header: Iterable[str]) -> bool:
    """Return whether a table has a row each for the start and the stop of an event."""
    names = set(header)
    return names >= SINGLE and any(name in names for name in TYPES)


def read_rows(rows: Sequence[Row], aggregated: bool) -> Entries:
    """Read an exported table.

    Args:
        rows: where each stands, and its cells by column.
        aggregated: see is_aggregated().
    """
    entries = Entries("BORIS events", overlaps_are_meant=True)
    observations = {row.get("observation id", "") for _, row in rows}
    name_medium = _name_medium if len(observations) > 1 else lambda row: None
    stacks = _Pairs(entries)
    for where, row in rows:
        name, kind = row["behavior"], row.get("behavioral category", "")
        try:
            if aggregated:
                start_s, end_s = parse_seconds(row["start (s)"]), parse_seconds(row["stop (s)"])
                if start_s is None:
                    raise InputError("start (s): empty")
                if "point" in row.get("behavior type", "").lower():
                    entries.left_out[POINTS] += 1
                    continue
                entries.add(where, name, start_s, end_s, kind, name_medium(row))
                continue
            time_s = parse_seconds(row["time"])
            if time_s is None:
                raise InputError("time: empty")
        except InputError as e:
            entries.problems.append(f"{where}: {e}")
            continue
        what = next((row[key] for key in TYPES if row.get(key)), "").strip().upper()
        modifiers = tuple(value for key, value in row.items() if key.startswith("modifier"))
        key = (row.get("observation id", ""), row.get("subject", ""), name, *modifiers)
        stacks.add(where, what, key, (name, time_s, kind, name_medium(row)))
    stacks.finish()
    return entries


def _name_medium(row: Mapping[str, str]) -> str | None:
    """Return the recording of a row; where a file has several observations, each row belongs to its own."""
    found = next((row[key] for key in MEDIA if row.get(key)), "")
    # `player #1:/films/clip.mp4`
    return found.split(":", 1)[1].strip() if found.lower().startswith("player #") and ":" in found else found or None


class _Pairs:
    """Puts the start and the stop of each event together."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.begun: dict[tuple[str, ...], tuple[str, float]] = {}

    def add(
        self, where: str, what: str, key: tuple[str, ...], values: tuple[str, float, str | None, str | None]
    ) -> None:
        name, time_s, kind, recording = values
        problems = self.entries.problems
        if what == "POINT":
            self.entries.left_out[POINTS] += 1
        elif what == "START":
            if key in self.begun:
                problems.append(f"{where}: {name!r} starts again before it stopped")
            self.begun[key] = where, time_s
        elif what == "STOP":
            start = self.begun.pop(key, None)
            if start is None:
                problems.append(f"{where}: {name!r} stops without a start")
            else:
                self.entries.add(where, name, start[1], time_s, kind, recording)
        else:
            problems.append(f"{where}: {what[:40]!r} is no START, STOP or POINT")

    def finish(self) -> None:
        for key, (where, _) in self.begun.items():
            self.entries.problems.append(f"{where}: {key[2]!r} starts and never stops")


def is_project(values: object) -> bool:
    """Return whether JSON is a project."""
    return isinstance(values, dict) and "behaviors_conf" in values and "observations" in values


def read_project(path: Path, project: dict[str, Any]) -> Entries:
    """Read the state events of all observations; an observation belongs to its medium where there are several.

    Raises:
        InputError: the project is damaged.
    """
    entries = Entries("a project of BORIS", overlaps_are_meant=True)
    try:
        conf = {v["code"]: v for v in project["behaviors_conf"].values()}
        observations = dict(project["observations"])
        pairs = _Pairs(entries)
        for identity, observation in observations.items():
            media = [str(name) for name in (observation.get("file") or {}).get("1", [])]
            if len(media) > 1:
                entries.problems.append(f"observation {identity}: its media follow each other, expected one")
                continue
            recording = media[0] if media and len(observations) > 1 else None
            for i, (time, subject, code, modifiers, *_) in enumerate(observation["events"], 1):
                behavior = conf.get(code)
                where, key = f"event {i} of {identity}", (identity, str(subject), str(code), str(modifiers))
                if behavior is None:
                    entries.problems.append(f"{where}: {code!r} is no behavior of the project")
                    continue
                is_state = str(behavior["type"]).lower().startswith("state")
                what = "POINT" if not is_state else "STOP" if key in pairs.begun else "START"
                pairs.add(where, what, key, (str(code), float(time), behavior.get("category"), recording))
        pairs.finish()
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError) as e:
        raise InputError(f"{path} is a damaged project of BORIS ({type(e).__name__}: {e}); save it anew") from e
    return entries
