"""ELAN's annotation documents: bytes in, entries out, all together or tier by tier.

Expat reads them; a document type is refused at its first letter, and with it every entity, within the file or
elsewhere: no document of ELAN has one. Source: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from emoscope.core.errors import InputError, shorten
from emoscope.tables.event_formats.entries import NO_NAME, Entries, choose_tiers, name_kind

UNITS: Final = "milliseconds"
NO_TIME: Final = "without times of their own"


@dataclass(frozen=True)
class Tier:
    """One tier of a document."""

    name: str
    participant: str
    """As the tier's attribute has it; empty where it has none."""
    entries: Entries


@dataclass(frozen=True)
class Document:
    """What stands in a document."""

    media: list[tuple[str, str]]
    """The address of each of its media, whole and as seen from the document."""
    tiers: list[Tier]
    """Those that were chosen."""


class _Document:
    """What is taken of a document while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = ""
        self.units = UNITS
        self.origins_ms: list[int] = []
        self.media: list[tuple[str, str]] = []
        self.slots: dict[str, int | None] = {}
        self.tiers: dict[str, list[tuple[str, str, str, str]]] = {}
        """Of each tier: id, first and second reference, value. A reference annotation has its parent and nothing."""
        self.participants: dict[str, str] = {}
        self.tier = ""
        self.open: list[str] | None = None
        self.is_value = False

    def start(self, name: str, values: dict[str, str]) -> None:
        self.root = self.root or name
        if name == "HEADER":
            self.units = values.get("TIME_UNITS", UNITS)
        elif name == "MEDIA_DESCRIPTOR":
            self.origins_ms.append(int(values.get("TIME_ORIGIN") or 0))
            self.media.append((values.get("MEDIA_URL", ""), values.get("RELATIVE_MEDIA_URL", "")))
        elif name == "TIME_SLOT":
            value = values.get("TIME_VALUE")
            self.slots[values["TIME_SLOT_ID"]] = None if value is None else int(value)
        elif name == "TIER":
            self.tier = values["TIER_ID"]
            self.tiers.setdefault(self.tier, [])
            self.participants[self.tier] = values.get("PARTICIPANT", "")
        elif name == "ALIGNABLE_ANNOTATION":
            self.open = [values["ANNOTATION_ID"], values["TIME_SLOT_REF1"], values["TIME_SLOT_REF2"], ""]
        elif name == "REF_ANNOTATION":
            self.open = [values["ANNOTATION_ID"], values["ANNOTATION_REF"], "", ""]
        self.is_value = name == "ANNOTATION_VALUE"

    def add_text(self, text: str) -> None:
        if self.is_value and self.open is not None:
            self.open[3] += text

    def end(self, name: str) -> None:
        self.is_value = False
        if name in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION") and self.open is not None:
            identity, first, second, value = self.open
            self.tiers[self.tier].append((identity, first, second, value))
            self.open = None

    def refuse(self, *declared: object) -> None:
        raise InputError(f"{self.path} declares a document type, which no ELAN document has; save it anew in ELAN")


def read_eaf(path: Path, data: bytes, tiers: Sequence[str]) -> Entries:
    """Read the annotations of the tiers that are meant; their times are milliseconds, as ELAN has them.

    Raises:
        InputError: it is no ELAN document, damaged, or the tiers do not fit.
    """
    document = _parse(path, data)
    entries = Entries("an ELAN document", overlaps_are_meant=True)
    chosen = _choose(document, tiers)
    origin_s = _find_origin(document) / 1000
    if origin_s:
        entries.notes.append(f"{origin_s:g} s later, as its media's TIME_ORIGIN says")
    for name in chosen:
        _collect(document, name, chosen, entries)
    return entries


def read_document(path: Path, data: bytes, tiers: Sequence[str], option: str) -> Document:
    """Read the media of a document, and the tiers that are meant, each for itself.

    Args:
        path: the document, for messages.
        data: what stands in it.
        tiers: names; without them the only tier that has annotations, or those called Events.
        option: what names tiers, for messages.

    Raises:
        InputError: it is no ELAN document, damaged, or the tiers do not fit.
    """
    document = _parse(path, data)
    chosen = _choose(document, tiers, option)
    found = []
    for name in chosen:
        entries = Entries()
        _collect(document, name, chosen, entries)
        found.append(Tier(name, document.participants[name], entries))
    return Document(document.media, found)


def read_media(path: Path, data: bytes) -> list[tuple[str, str]]:
    """Return the address of each of a document's media, whole and as seen from the document.

    Raises:
        InputError: it is no ELAN document, or damaged.
    """
    return _parse(path, data).media


def _choose(document: _Document, tiers: Sequence[str], option: str = "--event-tiers") -> list[str]:
    return choose_tiers(document.path, {name: len(found) for name, found in document.tiers.items()}, tiers, option)


def _collect(document: _Document, name: str, chosen: Sequence[str], entries: Entries) -> None:
    """Add a tier's annotations to what was found."""
    origin_s, times = _find_origin(document) / 1000, _find_times(document)
    for identity, _, _, value in document.tiers[name]:
        start_ms, end_ms = times.get(identity, (None, None))
        if not value.strip():
            entries.left_out[NO_NAME] += 1
        elif start_ms is None or end_ms is None:
            entries.left_out[NO_TIME] += 1
        else:
            span = start_ms / 1000 + origin_s, end_ms / 1000 + origin_s
            entries.add(f"{identity} of {name!r}", value, *span, name_kind(name, chosen))


def _parse(path: Path, data: bytes) -> _Document:
    document, parser = _Document(path), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = document.start, document.end
    parser.CharacterDataHandler = document.add_text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = document.refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as e:
        what = f"has no {e}" if isinstance(e, KeyError) else shorten(e)
        raise InputError(f"{path} is no ELAN document, or a damaged one ({what}); save it anew in ELAN") from e
    if document.root != "ANNOTATION_DOCUMENT":
        raise InputError(f"{path} is XML, but no ELAN document; expected one, or a table")
    if document.units != UNITS:
        raise InputError(f"{path} has times in {shorten(document.units, 40)}, expected {UNITS}; save it anew in ELAN")
    return document


def _find_origin(document: _Document) -> int:
    if len(set(document.origins_ms)) > 1:
        raise InputError(
            f"{document.path} has media that begin at different times (TIME_ORIGIN), so its times mean none of them "
            "alone; link only the recording that is analysed"
        )
    return document.origins_ms[0] if document.origins_ms else 0


def _find_times(document: _Document) -> dict[str, tuple[int | None, int | None]]:
    """Return start and end of each annotation in ms; one that refers to another has that one's, if it is the only."""
    times: dict[str, tuple[int | None, int | None]] = {}
    parents: dict[str, str] = {}
    for annotations in document.tiers.values():
        shared = Counter(first for _, first, second, _ in annotations if not second)
        for identity, first, second, _ in annotations:
            if second:
                times[identity] = document.slots.get(first), document.slots.get(second)
            elif shared[first] == 1:
                parents[identity] = first
    for identity, found in parents.items():
        parent = found
        # Documents that refer in circles end, too.
        for _ in range(len(document.tiers)):
            if parent in times or parent not in parents:
                break
            parent = parents[parent]
        if parent in times:
            times[identity] = times[parent]
    return times
