"""What is found in an events file: events with their places, problems, and what was left out."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError, shorten
from emoscope.core.timecode import parse_time
from emoscope.tables.events import Event, Located

EXPECTED: Final = (
    "expected a CSV file with the columns name, start_s, end_s, or events of BIDS, BORIS, ELAN, Praat or a log"
)
MAX_S: Final = 1e8
"""Times beyond three years are none of a recording."""
NO_LENGTH: Final = "without a length"
NO_NAME: Final = "without a name"
UNKNOWN: Final = ("", "n/a", "na", "nan", "none", "null")
"""Cells without a value, in small letters."""
EVENTS_TIER: Final = re.compile(r"events( [0-9]+)?", re.IGNORECASE)
"""Tiers that are taken where several have annotations; emoscope's own export calls them so."""


@dataclass
class Entries:
    """Everything found in one file."""

    format: str = ""
    """In words; empty for a table of our own."""
    overlaps_are_meant: bool = False
    """Whether events of this format overlap as a matter of course."""
    events: list[Located] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many were left out, by the reason."""
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        where: str,
        name: str,
        start_s: float,
        end_s: float | None,
        kind: str | None = None,
        recording: str | None = None,
    ) -> None:
        """Take what stands somewhere; what has no name or no length is left out and counted."""
        name = clean(name)
        if not name:
            self.left_out[NO_NAME] += 1
        elif end_s is None or end_s == start_s:
            self.left_out[NO_LENGTH] += 1
        elif not abs(start_s) <= MAX_S or not abs(end_s) <= MAX_S:
            self.problems.append(f"{where}: {start_s:g} to {end_s:g} s is no time of a recording")
        elif end_s < start_s:
            self.problems.append(f"{where}: it ends at {end_s:g} s, before it begins at {start_s:g} s")
        else:
            event = Event(name, start_s, end_s, kind=clean(kind or "") or None, recording=recording or None)
            self.events.append((where, event))

    def describe_left_out(self) -> str:
        """Return how many were left out, and why."""
        return "left out: " + ", ".join(f"{n} {reason}" for reason, n in self.left_out.items())


def clean(text: str) -> str:
    """Return a name in one line."""
    return " ".join(text.split())


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a number, which may be negative, or of a clock time; None where there is no value.

    Raises:
        InputError: it is none of these.
    """
    if text.strip().lower() in UNKNOWN:
        return None
    try:
        value = float(text)
    except ValueError:
        return parse_time(text)
    if not math.isfinite(value):
        raise InputError(f"{text.strip()[:40]!r} is no time")
    return value


def name_kind(tier: str, chosen: Sequence[str]) -> str | None:
    """Return the kind of a tier's events: its name, where several kinds of tiers are taken."""
    return None if len(chosen) == 1 or EVENTS_TIER.fullmatch(tier) else tier


def choose_tiers(
    path: Path, counts: Mapping[str, int], wanted: Sequence[str], option: str = "--event-tiers"
) -> list[str]:
    """Return which tiers are taken: those that were asked for, else one called Events, else the only one.

    Args:
        path: the file.
        counts: how many annotations each tier has.
        wanted: names.
        option: what names them, for messages.

    Raises:
        InputError: there is no such tier, or none was asked for and several have annotations.
    """
    shown = shorten(", ".join(f"{name} ({n})" for name, n in counts.items()) or "none", 400)
    if missing := [name for name in wanted if name not in counts]:
        raise InputError(f"{path} has no tier {', '.join(missing)}; choose from {shown}")
    if wanted:
        return list(dict.fromkeys(wanted))
    filled = [name for name, n in counts.items() if n]
    named = [name for name in filled if EVENTS_TIER.fullmatch(name)]
    if not named and len(filled) > 1:
        raise InputError(f"{path} has several tiers: {shown}; choose with {option}, such as '{clean(filled[0])[:80]}'")
    return named or filled
