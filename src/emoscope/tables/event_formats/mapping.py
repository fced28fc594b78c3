"""Which columns of a log say what: `name=…,start=…,end=…,unit=ms` in, rows to events out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from emoscope.core.errors import InputError
from emoscope.core.validation import suggest
from emoscope.tables.event_formats.entries import Entries, parse_seconds

TIMES: Final = ("start", "end", "duration")
COLUMNS: Final = ("name", *TIMES, "kind", "recording")
KEYS: Final = (*COLUMNS, "unit", "offset")
EXAMPLE: Final = "such as name=stimulus,start=onset,duration=length,unit=ms"
NO_TIMES: Final = "rows without times"


@dataclass(frozen=True)
class EventColumns:
    """Names of columns, and how their times are meant."""

    columns: Mapping[str, str]
    """By what they say: name, two of start, end and duration, perhaps kind and recording."""
    unit: Literal["s", "ms"] = "s"
    offset_s: float = 0.0
    """The recording's time at which the log's time is 0."""

    def add(self, entries: Entries, where: str, row: Mapping[str, str]) -> None:
        """Take a row of a log."""
        times: dict[str, float | None] = {}
        for key in TIMES:
            if key in self.columns:
                try:
                    times[key] = parse_seconds(row.get(self.columns[key], ""))
                except InputError as e:
                    entries.problems.append(f"{where}: {self.columns[key]}: {e}")
                    return
        if any(value is None for value in times.values()):
            # Logs have rows for everything that happened.
            entries.left_out[NO_TIMES] += 1
            return
        scale = 0.001 if self.unit == "ms" else 1.0
        known = {key: value * scale for key, value in times.items() if value is not None}
        duration = known.get("duration", 0.0)
        if duration < 0:
            entries.problems.append(f"{where}: {self.columns['duration']} is negative")
            return
        start = known["start"] if "start" in known else known["end"] - duration
        end = known["end"] if "end" in known else known["start"] + duration
        # A table may have a column without a name.
        kind, recording = (row.get(self.columns[key], "") if key in self.columns else "" for key in COLUMNS[-2:])
        start, end = (round(time_s + self.offset_s, 9) for time_s in (start, end))
        entries.add(where, row.get(self.columns["name"], ""), start, end, kind, recording.strip())


def parse_columns(text: str) -> EventColumns:
    """Return what --event-columns says.

    Raises:
        InputError: all that is wrong with it.
    """
    values: dict[str, str] = {}
    problems = []
    for part in text.split(","):
        key, is_pair, value = (piece.strip() for piece in part.partition("="))
        if not is_pair or not value:
            problems.append(f"{part.strip()[:80]!r} is no pair of a key and a column")
        elif key not in KEYS:
            problems.append(f"there is no key {key[:80]}, {suggest(key, KEYS)}")
        elif key in values:
            problems.append(f"{key} is named twice")
        else:
            values[key] = value
    if "name" not in values:
        problems.append("no column is named for name")
    if sum(key in values for key in TIMES) != 2:
        problems.append("expected two of start, end and duration")
    unit = values.pop("unit", "s")
    if unit not in ("s", "ms"):
        problems.append(f"unit is {unit[:40]!r}, expected s or ms")
    offset_s = 0.0
    try:
        offset_s = parse_seconds(values.pop("offset", "0")) or 0.0
    except InputError as e:
        problems.append(f"offset: {e}")
    if problems:
        raise InputError(f"columns of events: {'; '.join(problems)}; {EXAMPLE}")
    return EventColumns(values, "ms" if unit == "ms" else "s", offset_s)
