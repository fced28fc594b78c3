"""Formats of annotation tools: observations and summary in, JSON Lines, ELAN or WebVTT out."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from emoscope.core.errors import InputError
from emoscope.core.manifest import find_home
from emoscope.core.numbers import format_percent
from emoscope.tables.observations import Observations
from emoscope.tables.stretches import UNCERTAIN, Stretch, find_stretches
from emoscope.tables.summary import Summary

if TYPE_CHECKING:
    from xml.sax.saxutils import XMLGenerator

    import pyarrow as pa

EVENTS_TIER: Final = "Events"
SHOTS_TIER: Final = "Shots"
MIME_TYPES: Final = {
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".mts": "video/mp2t",
    ".m2ts": "video/mp2t",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}
"""Of a document's video, by its suffix. A table of our own: what the system says differs from machine to machine."""
LINGUISTIC_TYPES: Final = {"": "emotion", EVENTS_TIER: "event", SHOTS_TIER: "shot"}
"""By the name of a tier; all others are people's."""


def write_jsonl(table: Observations, summary: Summary, path: Path, media: Path | None = None) -> None:
    """Write one JSON object per row of the table, empty cells as null."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in table.batches():
            # A template is four times as fast as json.dumps of each row.
            template = "{" + ", ".join(f"{json.dumps(name)}: %s" for name in batch.schema.names) + "}\n"
            columns = [_to_json(column) for column in batch.columns]
            file.writelines(template % row for row in zip(*columns, strict=True))


def _to_json(column: "pa.Array") -> list[str]:
    """Return a column's cells as JSON; numbers as short as they can be read back."""
    import pyarrow as pa

    if pa.types.is_string(column.type):
        names = column.dictionary_encode()
        quoted = [json.dumps(name, ensure_ascii=False) for name in names.dictionary.to_pylist()]
        return ["null" if i is None else quoted[i] for i in names.indices.to_pylist()]
    return ["null" if cell is None else cell for cell in column.cast(pa.string()).to_pylist()]


def write_vtt(table: Observations, summary: Summary, path: Path, media: Path | None = None) -> None:
    """Write WebVTT subtitles: a cue per stretch in which a person's emotion stays the same; cues may overlap.

    A comment stands before the first cue of each shot.

    Raises:
        InputError: pictures have no times.
    """
    _require_times(summary, "WebVTT")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("WEBVTT\n\nNOTE expressions of faces, read by emoscope\n")
        cuts, labels = list(enumerate(summary.cuts, 2)), {p.track_id: p.label for p in summary.people}
        for stretch in find_stretches(table):
            while cuts and cuts[0][1] <= stretch.start_s:
                number, time_s = cuts.pop(0)
                file.write(f"\nNOTE shot {number} begins at {_format_clock(round(time_s * 1000))}\n")
            start_ms, end_ms = _to_ms(stretch)
            text = _describe(stretch, labels)
            file.write(f"\n{_format_clock(start_ms)} --> {_format_clock(end_ms)}\n{text}\n")


def _describe(stretch: Stretch, labels: Mapping[int, str]) -> str:
    from xml.sax.saxutils import escape

    # A name may hold what subtitles take for an arrow or a tag.
    name = escape(labels.get(stretch.track_id, f"Person {stretch.track_id}"))
    text = f"{name}: {stretch.label}"
    return text if stretch.label == UNCERTAIN else f"{text} ({format_percent(stretch.probability, space=' ')})"


def _format_clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"


def _to_ms(stretch: Stretch) -> tuple[int, int]:
    start_ms = max(0, round(stretch.start_s * 1000))
    # Neither format knows stretches without length.
    return start_ms, max(round(stretch.end_s * 1000), start_ms + 1)


def _require_times(summary: Summary, name: str) -> None:
    if summary.kind == "pictures":
        raise InputError(f"pictures have no times, which {name} needs; choose jsonl for them")


def write_eaf(table: Observations, summary: Summary, path: Path, media: Path | None = None) -> None:
    """Write an ELAN annotation document (EAF 3.0): a tier per person, one of marked events and one of a film's shots.

    Each annotation is a stretch in which the person's emotion stays the same.

    Args:
        table: the observations.
        summary: for its people and events.
        path: the file.
        media: the video; ELAN opens it with the document.

    Raises:
        InputError: pictures have no times.
    """
    from xml.sax.saxutils import XMLGenerator

    _require_times(summary, "ELAN")
    labels = {p.track_id: p.label for p in summary.people}
    tiers: dict[str, list[tuple[int, int, str]]] = {label: [] for label in labels.values()}
    for stretch in find_stretches(table):
        name = labels.get(stretch.track_id, f"Person {stretch.track_id}")
        tiers.setdefault(name, []).append((*_to_ms(stretch), stretch.label))
    tiers |= _layer_events(summary)
    if summary.cuts:
        edges = [summary.settings.start_s or 0.0, *summary.cuts, summary.duration_s]
        shots = [Stretch(0, str(i), *span) for i, span in enumerate(itertools.pairwise(edges), 1)]
        tiers[SHOTS_TIER] = [(*_to_ms(shot), shot.label) for shot in shots]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        xml.startDocument()
        addresses = None if media is None else (media.absolute().as_uri(), _find_relative(media, path.parent))
        _write_document(_Elements(xml), tiers, summary.created, addresses)


def _layer_events(summary: Summary) -> dict[str, list[tuple[int, int, str]]]:
    """Return tiers of events; a tier has no annotations that overlap, so that such events lie on further tiers."""
    tiers: dict[str, list[tuple[int, int, str]]] = {}
    for event in summary.events:
        # What lies before the recording has no place in a document.
        if event.end_s <= 0:
            continue
        start_ms, end_ms = _to_ms(Stretch(0, event.name, event.start_s, event.end_s))
        names = (f"{EVENTS_TIER} {i}" if i > 1 else EVENTS_TIER for i in itertools.count(1))
        tier = next(name for name in names if name not in tiers or tiers[name][-1][1] <= start_ms)
        tiers.setdefault(tier, []).append((start_ms, end_ms, _drop_controls(event.name)))
    return tiers


def _drop_controls(text: str) -> str:
    # XML has no way to write them.
    return "".join(sign for sign in text if sign.isprintable())


class _Elements:
    """Writes elements of an XML document."""

    def __init__(self, xml: "XMLGenerator") -> None:
        self.xml = xml

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        from xml.sax.xmlreader import AttributesImpl

        self.xml.startElement(name, AttributesImpl(attributes))

    def open(self, name: str, **attributes: str) -> None:
        self._start(name, attributes)
        self.xml.ignorableWhitespace("\n")

    def close(self, name: str) -> None:
        self.xml.endElement(name)
        self.xml.ignorableWhitespace("\n")

    def add(self, name: str, text: str = "", **attributes: str) -> None:
        self._start(name, attributes)
        if text:
            self.xml.characters(text)
        self.close(name)


def _write_document(
    xml: _Elements,
    tiers: Mapping[str, list[tuple[int, int, str]]],
    created: str,
    media: tuple[str, str] | None,
) -> None:
    """Write the document's parts in the order of EAFv3.0.xsd."""
    xml.open(
        "ANNOTATION_DOCUMENT",
        AUTHOR="emoscope",
        DATE=created,
        FORMAT="3.0",
        VERSION="3.0",
        **{
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    n = sum(map(len, tiers.values()))
    _write_header(xml, media, n)
    # Time slots are named by annotation and sorted by time, as the schema's "time order" asks for.
    spans = [span for annotations in tiers.values() for span in annotations]
    slots = sorted((ms, 2 * i + side + 1) for i, span in enumerate(spans) for side, ms in enumerate(span[:2]))
    xml.open("TIME_ORDER")
    for ms, slot in slots:
        xml.add("TIME_SLOT", TIME_SLOT_ID=f"ts{slot}", TIME_VALUE=str(ms))
    xml.close("TIME_ORDER")
    first = 1
    for name, annotations in tiers.items():
        tier = EVENTS_TIER if name.startswith(f"{EVENTS_TIER} ") else name
        kind = LINGUISTIC_TYPES.get(tier, LINGUISTIC_TYPES[""])
        _write_tier(xml, name, kind, (label for _, _, label in annotations), first)
        first += len(annotations)
    for kind in LINGUISTIC_TYPES.values():
        xml.add("LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=kind, TIME_ALIGNABLE="true")
    xml.close("ANNOTATION_DOCUMENT")


def _find_relative(media: Path, folder: Path) -> str:
    """Return the video's address as seen from the document."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(media, find_home(folder))).as_posix()))
    except ValueError:
        # Another drive.
        return quote(os.fsencode(media.name))


def _write_header(xml: _Elements, media: tuple[str, str] | None, n_annotations: int) -> None:
    xml.open("HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if media is not None:
        address, relative = media
        mime = MIME_TYPES.get(PurePosixPath(relative).suffix.lower(), "video/mp4")
        xml.add("MEDIA_DESCRIPTOR", MEDIA_URL=address, MIME_TYPE=mime, RELATIVE_MEDIA_URL=relative)
    xml.add("PROPERTY", str(n_annotations), NAME="lastUsedAnnotationId")
    xml.close("HEADER")


def _write_tier(xml: _Elements, name: str, kind: str, labels: Iterable[str], first: int) -> None:
    """Write a tier; its annotations are numbered from `first` on, their time slots accordingly."""
    xml.open("TIER", LINGUISTIC_TYPE_REF=kind, TIER_ID=name)
    for i, label in enumerate(labels, first):
        xml.open("ANNOTATION")
        slots = {"TIME_SLOT_REF1": f"ts{2 * i - 1}", "TIME_SLOT_REF2": f"ts{2 * i}"}
        xml.open("ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{i}", **slots)
        xml.add("ANNOTATION_VALUE", label)
        xml.close("ALIGNABLE_ANNOTATION")
        xml.close("ANNOTATION")
    xml.close("TIER")


Writer = Callable[[Observations, Summary, Path, Path | None], None]

FORMATS: Final[Mapping[str, Writer]] = {"jsonl": write_jsonl, "eaf": write_eaf, "vtt": write_vtt}
"""Values of --formats, each also the file's suffix, to its writer: observations, summary, file, video."""
TIMED: Final = frozenset({"eaf", "vtt"})
"""Formats that need times; pictures have none."""
