"""Results revised: a result folder and what a person decided afterwards in; its numbers and report anew out."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from emoscope.analysis.recorder import AUDIENCE_FILE, REPORT_FILE, SUMMARY_FILE, TABLE_FILE
from emoscope.analysis.result_folder import load_result, load_summary, reading, recompute
from emoscope.core.manifest import Manifest
from emoscope.core.owned import open_part
from emoscope.core.timecode import EVENT, Baseline
from emoscope.outputs.formats import FORMATS
from emoscope.tables.audience import write_audience_csv
from emoscope.tables.baseline import add_changes
from emoscope.tables.events import Event
from emoscope.tables.observations import Observations
from emoscope.tables.summarize import describe_refused
from emoscope.tables.summary import Summary

log = logging.getLogger(__name__)

EAF_FILE: Final = "observations.eaf"
VTT_FILE: Final = "observations.vtt"
DERIVED: Final = (SUMMARY_FILE, AUDIENCE_FILE, EAF_FILE, VTT_FILE, REPORT_FILE)
"""What is made of the table, people.csv and events. The first is written last."""
TABLES: Final = (TABLE_FILE, "observations.csv", "observations.jsonl")
"""As everyone was read; only another baseline changes them."""


def revise(
    folder: Path, events: Sequence[Event] | None = None, baseline: Baseline | None = None, overwrite: bool = False
) -> Summary:
    """Give a result other events or another baseline, and bring it up to date with its people.csv.

    Args:
        folder: the result.
        events: those of this recording; None leaves the result's.
        baseline: None leaves the result's.
        overwrite: also replace files that were changed since.

    Returns:
        The summary as it now stands in the folder.

    Raises:
        InputError: no result folder, or a damaged one, or a mistake in people.csv.
        OutputError: it cannot be written, or was changed.
    """
    observations, summary = load_result(folder)
    with reading(folder):
        if events is not None or baseline is not None:
            observations, summary = recompute(folder, summary, observations.people, events, baseline)
    if (baseline is not None or events) and (refusal := describe_refused(summary)):
        log.warning("%s: %s", folder, refusal)
    is_by_event = (summary.settings.baseline or "").startswith(EVENT) and events is not None
    write_revised(folder, observations, summary, baseline is not None or is_by_event, overwrite)
    return summary


def refresh(folder: Path, overwrite: bool = False) -> Summary:
    """Bring a result up to date with its people.csv, unless it is already, or nothing in it is provably ours.

    Args:
        folder: the result.
        overwrite: also replace files that were changed since.

    Returns:
        The summary, curated.

    Raises:
        InputError, OutputError: as revise().
    """
    _, summary = load_result(folder)
    if summary.curated != load_summary(folder).curated and Manifest.load(folder) is not None:
        return revise(folder, overwrite=overwrite)
    return summary


def write_revised(
    folder: Path, observations: Observations, summary: Summary, with_table: bool = False, overwrite: bool = False
) -> None:
    """Write those files of a result anew that are made of its table, its people and its events, all or none.

    Args:
        folder: the result.
        observations: its table as people are curated.
        summary: its summary.
        with_table: also the columns change_* of the table itself, by the summary's baselines.
        overwrite: also replace files that were changed since.

    Raises:
        OutputError: it cannot be written, or was changed.
    """
    manifest = Manifest.load(folder)
    listed = manifest.files if manifest is not None else {}
    wanted = (*DERIVED, *TABLES) if with_table else DERIVED
    names = tuple(name for name in wanted if name == SUMMARY_FILE or name in listed)
    with open_part(folder, names, overwrite) as new, reading(folder):
        media = _find_media(folder / EAF_FILE) if EAF_FILE in names else None
        if TABLE_FILE in names:
            observations = _write_tables(folder, observations, summary, new, names)
        if AUDIENCE_FILE in names:
            write_audience_csv(observations, new / AUDIENCE_FILE)
        for name in (EAF_FILE, VTT_FILE):
            if name in names:
                FORMATS[name.rpartition(".")[2]](observations, summary, new / name, media)
        if REPORT_FILE in names:
            from emoscope.report import create_report

            (new / REPORT_FILE).write_text(create_report(observations, summary, folder, True), encoding="utf-8")
        (new / SUMMARY_FILE).write_text(summary.to_json(), encoding="utf-8")


def _write_tables(
    folder: Path, observations: Observations, summary: Summary, new: Path, names: Sequence[str]
) -> Observations:
    """Write the table with the changes against the summary's baselines, people as they were read; return it curated."""
    lines = {
        person.track_id: person.get_baseline(summary.classes)
        for person in summary.people
        if person.baseline is not None
    }
    if (people := observations.people) is not None:
        lines = {own: line for one, line in lines.items() for own in people.find_members(one)}
    shutil.copyfile(folder / TABLE_FILE, new / TABLE_FILE)
    add_changes(new / TABLE_FILE, lines)
    table = summary.open_table(new / TABLE_FILE)
    if TABLES[1] in names:
        table.write_csv(new / TABLES[1])
    if TABLES[2] in names:
        FORMATS["jsonl"](table, summary, new / TABLES[2], None)
    return summary.open_table(new / TABLE_FILE, people)


def _find_media(path: Path) -> Path | None:
    """Return the video that a document of ours names, by its whole address or as seen from the document."""
    # Not above: it loads what speaks to servers.
    from urllib.request import url2pathname

    from emoscope.tables.event_formats.elan import read_media

    for whole, relative in read_media(path, path.read_bytes()):
        place, beside = Path(url2pathname(urlsplit(whole).path)), path.parent / unquote(relative)
        return beside if relative and beside.exists() and not place.exists() else place
    return None
