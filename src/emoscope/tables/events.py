"""Events files: marked segments of one or of many recordings in, checked events out; all problems said at once."""

import dataclasses
import fnmatch
import itertools
import logging
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from emoscope.core.errors import InputError, shorten

log = logging.getLogger(__name__)

MAX_PROBLEMS: Final = 8
"""Problems named one by one; of more only the number."""
MAX_EVENTS: Final = 2000
"""Of one recording: a report of more would be read by nobody."""
RESULT_SUFFIX: Final = "-emoscope"
"""How the names of result folders end that nobody named."""


@dataclass(frozen=True)
class Event:
    """A marked segment; its end is no part of it."""

    name: str
    """Repeats of one name are also counted together."""
    start_s: float
    end_s: float
    kind: str | None = field(default=None, kw_only=True)
    """Events of one kind are also counted together."""
    recording: str | None = field(default=None, kw_only=True)
    """Name, path or pattern of the recording that it belongs to; None for every recording."""


Located = tuple[str, Event]
"""Where in its file an event stands, and the event."""


def load_events(path: Path, columns: str | None = None, tiers: Sequence[str] = ()) -> tuple[Event, ...]:
    """Read marked segments: a table with name, start_s, end_s, or what BIDS, BORIS, ELAN, Praat and logs hold.

    The format is told by the content. Of a table of our own, times are seconds or clock times such as 0:42; columns are
    parted by commas, semicolons or tabs, and with the latter two, numbers may have a decimal comma.

    Args:
        path: the file.
        columns: which columns of a log say what, see event_formats.mapping.
        tiers: those that are taken of an ELAN document or a TextGrid.

    Returns:
        The events, sorted by time.

    Raises:
        InputError: all that is wrong with the file, in one line.
    """
    from emoscope.tables.event_formats.reader import read_entries

    found = read_entries(path, columns, tiers)
    problems = [*found.problems, *_find_doubles(found.events), *_find_crowds(found.events)]
    if not problems and not found.overlaps_are_meant:
        problems += _find_overlaps(found.events)
    if not found.events and not problems:
        left_out = f" ({found.describe_left_out()})" if found.left_out else ""
        problems.append(f"there are no events in it{left_out}")
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        # A name is as long as whoever wrote the file liked.
        shown = "; ".join(shorten(problem) for problem in problems[:MAX_PROBLEMS])
        raise InputError(f"{path}: {shown}{more}; correct the file")
    if found.format or found.left_out:
        n = len(found.events)
        what = [f"read as {found.format}"] if found.format else []
        counted = [f"{n} event{'s' if n > 1 else ''}", *found.notes]
        log.warning("%s: %s", path, ", ".join([*what, *counted, *([found.describe_left_out()] * bool(found.left_out))]))
    return tuple(sorted((event for _, event in found.events), key=lambda event: event.start_s))


def select_events(events: Iterable[Event], source: Path | str, folder: Path | None = None) -> tuple[Event, ...]:
    """Return the events of one recording, which then belong to it alone.

    Args:
        events: of any recordings.
        source: the recording's file or folder of pictures.
        folder: of its result.
    """
    return tuple(
        dataclasses.replace(event, recording=None)
        for event in events
        if event.recording is None or is_meant(event.recording, source, folder)
    )


def is_meant(pattern: str, source: Path | str, folder: Path | None = None) -> bool:
    """Return whether a name, path or pattern means a recording.

    It is compared from its end: `clip.mp4`, `clip`, `day1/clip.mp4`, `day1/*` and the whole path all mean
    `films/day1/clip.mp4`; so does the result's folder.
    """
    wanted = split_name(pattern)
    source = Path(source)
    # `.` is no name, and means the folder where one is.
    named = [place for place in (source, source.absolute()) if place.name]
    places = [*named, *(place.with_suffix("") for place in named)]
    if folder is not None:
        own = folder.absolute()
        plain = own.with_name(own.name.removesuffix(RESULT_SUFFIX) or own.name)
        places += [own, plain]
        # A result's folder lies as its source lay, and has its name without what that ends in.
        if _ends_with(split_name(source), wanted[-1:]):
            places.append(plain.with_name(wanted[-1]))
    return any(_ends_with(split_name(place), wanted) for place in places)


def split_name(path: PurePath | str) -> list[str]:
    """Return a path's parts as they are compared: with letters of one character, and blanks as tables keep them."""
    text = unicodedata.normalize("NFC", str(path)).replace("\\", "/")
    return [part for words in text.split("/") if (part := " ".join(words.split())) not in ("", ".")]


def _ends_with(parts: list[str], wanted: list[str]) -> bool:
    if not wanted or len(wanted) > len(parts):
        return False
    pairs = zip(reversed(parts), reversed(wanted), strict=False)
    return all(part == pattern or fnmatch.fnmatchcase(part, pattern) for part, pattern in pairs)


def find_unmatched(events: Sequence[Event], recordings: Sequence[tuple[Path, Path | None]]) -> Iterator[str]:
    """Yield a sentence of rows that mean no recording of a call, and one of recordings that no row means.

    Args:
        events: of all recordings.
        recordings: source and result folder of each.
    """
    patterns = dict.fromkeys(event.recording for event in events if event.recording is not None)
    lost = [p for p in patterns if not any(is_meant(p, source, folder) for source, folder in recordings)]
    if lost:
        n = sum(event.recording in lost for event in events)
        yield f"{n} event{'s belong' if n > 1 else ' belongs'} to no recording of this call: {list_names(lost)}"
    if patterns and (left := [str(s) for s, folder in recordings if not select_events(events, s, folder)]):
        yield f"no event belongs to {list_names(left)}"


def list_names(names: Sequence[str]) -> str:
    """Return some of the names, and how many more there are."""
    more = f" and {len(names) - MAX_PROBLEMS} more" if len(names) > MAX_PROBLEMS else ""
    return ", ".join(shorten(name) for name in names[:MAX_PROBLEMS]) + more


def describe_outside(
    events: Sequence[Event], start_s: float, end_s: float, label: str, tolerance_s: float = 0.0
) -> str | None:
    """Return in one line which events lie outside of what was read of a recording; None where all lie within.

    Args:
        events: those of the recording.
        start_s: where reading began.
        end_s: where it ended.
        label: what the recording is called.
        tolerance_s: by so much an event may go beyond: people round.
    """
    outside = [e for e in events if e.end_s > end_s + tolerance_s or e.start_s < start_s - tolerance_s]
    if not outside:
        return None
    parts = []
    for event in outside:
        is_wholly = event.start_s >= end_s or event.end_s <= start_s
        parts.append(f"{event.name!r} ({event.start_s:g} to {event.end_s:g} s{'' if is_wholly else ', in part'})")
    what = "the event lies" if len(parts) == 1 else f"{len(parts)} events lie"
    read = f"{start_s:.2f} to {end_s:.2f} s" if math.isfinite(end_s) else f"from {start_s:.2f} s on"
    return f"{what} outside of what was read of {label} ({read}): {list_names(parts)}"


def _group_by_recording(events: Sequence[Located]) -> Iterator[list[Located]]:
    """Yield the events of each recording that is named, with those of every recording."""
    groups: dict[str | None, list[Located]] = {}
    for found in events:
        groups.setdefault(found[1].recording, []).append(found)
    common = groups.pop(None, [])
    # Too many of them are said once, not with every recording.
    for own in groups.values() if groups and len(common) <= MAX_EVENTS else [[]]:
        yield [*own, *common]


def _find_doubles(events: Sequence[Located]) -> Iterator[str]:
    seen: dict[Event, str] = {}
    for where, event in events:
        if event in seen:
            yield f"{seen[event]} and {where} are the same event {event.name!r}"
        seen.setdefault(event, where)


def _find_crowds(events: Sequence[Located]) -> Iterator[str]:
    n = max(map(len, _group_by_recording(events)), default=0)
    if n > MAX_EVENTS:
        yield f"{n} events of one recording, expected at most {MAX_EVENTS}"


def _find_overlaps(events: Sequence[Located]) -> Iterator[str]:
    """Yield which events overlap in part without a sign that it is meant.

    Repeats of a name, events of different kinds, and one within another may overlap.
    """
    said = set()
    for group in _group_by_recording(events):
        ordered = sorted(group, key=lambda found: (found[1].start_s, -found[1].end_s))
        open_: list[Located] = []
        for where, event in ordered:
            open_ = [found for found in open_ if found[1].end_s > event.start_s]
            for other_where, other in open_:
                is_fine = event.name == other.name or event.kind != other.kind or event.end_s <= other.end_s
                if not is_fine and (where, other_where) not in said:
                    said.add((where, other_where))
                    yield (
                        f"{other.name!r} ({other_where}) and {event.name!r} ({where}) overlap in part "
                        "(if that is meant, give them different kinds in a column kind)"
                    )
            open_.append((where, event))


def name_events(events: Sequence[Event]) -> list[str]:
    """Return a name for each: its own, with a number where it repeats."""
    counts = {name: len(list(group)) for name, group in itertools.groupby(sorted(e.name for e in events))}
    seen: dict[str, int] = {}
    names = []
    for event in events:
        seen[event.name] = seen.get(event.name, 0) + 1
        names.append(event.name if counts[event.name] == 1 else f"{event.name} ({seen[event.name]})")
    return names
