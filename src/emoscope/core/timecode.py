"""Times as users write them in, seconds out: 90, 90s, 1:30, 1:02:03.5, 12-20, every 5 or 0.2s."""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from emoscope.core.errors import InputError

_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+) ?s?")
_CLOCK = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9}):([0-9]{1,2}(?:\.[0-9]+)?)")
_DASH = re.compile(r"\s*[-\u2013]\s*|\s+to\s+")
"""Between the ends of a span; word processors make a long dash of the short one."""
_STEP = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+) ?s")
_CELL_TOLERANCE = 1e-6
"""Share of a step by which a stamp may fall short of it: 0.6 / 0.2 is 2.9999999999999996."""


EVENT: Final = "event:"
"""How a baseline begins that is taken from marked segments."""


@dataclass(frozen=True)
class Span:
    """A stretch of time; its end is no part of it."""

    start_s: float
    end_s: float

    def __str__(self) -> str:
        # Read back by parse_span(): so many digits as a clock time has.
        return f"{self.start_s:.12g} to {self.end_s:.12g} s"


@dataclass(frozen=True)
class Every:
    """Which frames to analyse: every n-th, or at most one per so many seconds."""

    frames: int = 1
    seconds: float | None = None
    """Where set, `frames` does not count."""

    @property
    def setting(self) -> int | str:
        """How summary.json names it: 5, or `0.2 s`."""
        return self.frames if self.seconds is None else f"{self.seconds:g} s"

    def is_due(self, index: int, time_s: float, previous_s: float | None) -> bool:
        """Tell whether a frame is to be analysed.

        With seconds, time is cut into steps from 0 on and the first frame of each step is taken: on
        average one per step without drift, whatever the frame rate.

        Args:
            index: the frame's number in the source.
            time_s: its time.
            previous_s: the time of the frame analysed last; None for the first.
        """
        if self.seconds is None:
            return index % self.frames == 0
        return previous_s is None or self._find_cell(time_s) != self._find_cell(previous_s)

    def _find_cell(self, time_s: float) -> int:
        return math.floor(time_s / (self.seconds or 1.0) + _CELL_TOLERANCE)


@dataclass(frozen=True)
class Baseline:
    """What --baseline asks for."""

    kind: Literal["off", "auto", "span", "event"] = "off"
    span: Span | None = None
    """With kind `span`."""
    event: str | None = None
    """With kind `event`: the name of the marked segments in which everyone rests."""

    @property
    def setting(self) -> str:
        """How summary.json names it, as parse_baseline() reads it: `off`, `auto`, `12 to 20 s` or `event:NAME`."""
        if self.event is not None:
            return f"{EVENT}{self.event}"
        return str(self.span) if self.span else self.kind


def parse_time(text: str) -> float:
    """Return the seconds of `90`, `90s`, `1:30` or `1:02:03.5`.

    Raises:
        InputError: it is none of these.
    """
    text = text.strip()
    seconds = math.nan
    if match := _SECONDS.fullmatch(text):
        seconds = float(match[1])
    elif match := _CLOCK.fullmatch(text):
        hours, minutes, rest = int(match[1] or 0), int(match[2]), float(match[3])
        if rest < 60 and (match[1] is None or minutes < 60):
            # Rounded: 0:01:46.933 means 106.933, not 106.93299999999999.
            seconds = round(hours * 3600 + minutes * 60 + rest, 9)
    if not math.isfinite(seconds):
        raise InputError(
            f"{_shorten(text)} is no time; expected seconds or a clock time, such as 90, 1:30 or 1:02:03.5"
        )
    return seconds


def parse_span(text: str) -> Span:
    """Return the span of `12-20`, `1:30-1:45` or `12 to 20 s`.

    Raises:
        InputError: it is none, or its end is not after its start.
    """
    parts = _DASH.split(text.strip())
    if len(parts) != 2:
        raise InputError(f"{_shorten(text)} is no span of time; expected START-END, such as 12-20 or 1:30-1:45")
    start_s, end_s = map(parse_time, parts)
    if end_s <= start_s:
        raise InputError(f"the span {_shorten(text)} ends before it starts; expected START-END, such as 12-20")
    return Span(start_s, end_s)


def parse_baseline(text: str) -> Baseline:
    """Return the baseline of `off`, `auto`, `START-END` or `event:NAME`.

    Raises:
        InputError: it is none of these.
    """
    text = text.strip()
    if text in ("off", "auto"):
        return Baseline("off" if text == "off" else "auto")
    if text.startswith(EVENT):
        # As names of events are cleaned.
        if name := " ".join(text.removeprefix(EVENT).split()):
            return Baseline("event", event=name)
        raise InputError("event: names no event; expected such as event:rest")
    try:
        return Baseline("span", parse_span(text))
    except InputError as e:
        raise InputError(f"{e}, or event:NAME, or auto, or off") from e


def parse_every(text: str) -> Every:
    """Return the step of `5` (every fifth frame) or `0.2s` (at most one frame in 0.2 seconds).

    Raises:
        InputError: it is neither, or not positive.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}", text) and int(text) > 0:
        return Every(int(text))
    match = _STEP.fullmatch(text)
    if match and 0 < float(match[1]) < math.inf:
        return Every(1, float(match[1]))
    raise InputError(
        f"{_shorten(text)} is no step; expected a number of frames from 1 on, such as 5, or seconds, such as 0.2s"
    )


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
