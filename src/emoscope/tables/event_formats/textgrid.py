"""Praat's TextGrid in its long and its short text form: text in, entries out.

Praat itself reads such a file as a row of free-standing values: texts in quotation marks, numbers and flags such as
<exists>; everything else explains it. Both forms are the same row of values.
Source: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from emoscope.core.errors import InputError
from emoscope.tables.event_formats.entries import NO_LENGTH, Entries, choose_tiers, name_kind

_START: Final = re.compile(r'(?:File type\s*=\s*)?"ooTextFile(?: short)?"\s+(?:Object class\s*=\s*)?"TextGrid"')
_TOKEN: Final = re.compile(r'"((?:[^"]|"")*)"|(!.*)|([^\s"]+)')
_NUMBER: Final = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?%?")
INTERVALS, POINTS = "IntervalTier", "TextTier"
Tier = tuple[str, list[tuple[float, float | None, str]]]
"""Name, and start, end and label of each annotation; a point has no end."""


def is_text_grid(text: str) -> bool:
    """Return whether a text is the beginning of one."""
    return bool(_START.match(text))


def read_text_grid(path: Path, text: str, tiers: Sequence[str]) -> Entries:
    """Read the annotations of the tiers that are meant; empty intervals are silence, and no annotations.

    Raises:
        InputError: it is damaged, or the tiers do not fit.
    """
    try:
        found = list(_read_tiers(_split(text)))
    except (StopIteration, RuntimeError, ValueError, TypeError, OverflowError) as e:
        raise InputError(f"{path} is a damaged TextGrid: it ends early or has other values than its sizes say") from e
    entries = Entries("a Praat TextGrid", overlaps_are_meant=True)
    counts: dict[str, int] = {}
    for name, annotations in found:
        counts[name] = counts.get(name, 0) + sum(bool(label.strip()) for _, _, label in annotations)
    chosen = choose_tiers(path, counts, tiers)
    for name, annotations in found:
        if name not in chosen:
            continue
        for i, (start_s, end_s, label) in enumerate(annotations, 1):
            if end_s is None:
                entries.left_out[f"points, {NO_LENGTH}"] += 1
            elif label.strip():
                entries.add(f"interval {i} of {name!r}", label, start_s, end_s, name_kind(name, chosen))
    return entries


def _split(text: str) -> Iterator[str | float]:
    """Yield the free-standing values; a flag as text in its brackets."""
    for match in _TOKEN.finditer(text):
        quoted, _, word = match.groups()
        if quoted is not None:
            yield quoted.replace('""', '"')
        elif word and _NUMBER.fullmatch(word):
            yield float(word.rstrip("%"))
        elif word and word.startswith("<") and word.endswith(">"):
            yield word


def _read_tiers(values: Iterator[str | float]) -> Iterator[Tier]:
    _read_text(values), _read_text(values)
    _read_number(values), _read_number(values)
    if _read_text(values) != "<exists>":
        return
    for _ in range(int(_read_number(values))):
        what, name = _read_text(values), _read_text(values)
        if what not in (INTERVALS, POINTS):
            raise ValueError(what)
        _read_number(values), _read_number(values)
        annotations: list[tuple[float, float | None, str]] = []
        for _ in range(int(_read_number(values))):
            start_s = _read_number(values)
            end_s = _read_number(values) if what == INTERVALS else None
            annotations.append((start_s, end_s, _read_text(values)))
        yield name, annotations


def _read_text(values: Iterator[str | float]) -> str:
    value = next(values)
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _read_number(values: Iterator[str | float]) -> float:
    value = next(values)
    if isinstance(value, str):
        raise TypeError(value)
    return value
