"""Events afterwards: a result folder and marked segments in; its numbers and report anew out, without the video."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from emoscope.analysis.recorder import REPORT_FILE, SUMMARY_FILE
from emoscope.analysis.result_folder import load_result, reading
from emoscope.core.errors import InputError
from emoscope.core.manifest import Manifest
from emoscope.core.owned import open_part
from emoscope.outputs.formats import write_eaf
from emoscope.tables.event_means import EventMeans, compute_events
from emoscope.tables.events import Event, find_unmatched, select_events
from emoscope.tables.summarize import describe_events
from emoscope.tables.summary import Summary

EAF_FILE: Final = "observations.eaf"


def mark_events(folder: Path, events: Sequence[Event], overwrite: bool = False) -> Iterator[str]:
    """Give a result those events that are its recording's, see set_events(); yield what is to be said of them."""
    _, summary = load_result(folder)
    source = Path(summary.source)
    yield from find_unmatched(events, [(source, folder)])
    own = select_events(events, source, folder)
    if events and not own:
        raise InputError(f"none of the {len(events)} events belongs to {folder}; nothing was changed")
    if message := set_events(folder, own, overwrite).events_message:
        yield message


def set_events(folder: Path, events: Sequence[Event], overwrite: bool = False) -> Summary:
    """Give a result other events: what `emoscope analyze --events` would have written of them is written anew.

    Args:
        folder: the result.
        events: those of this recording; none takes the result's away.
        overwrite: also replace files that were changed since.

    Returns:
        The summary with the events, as it now stands in the folder.

    Raises:
        InputError: no result folder, a damaged one, or one of pictures.
        OutputError: it cannot be written, or was changed.
    """
    observations, summary = load_result(folder)
    if events and summary.kind == "pictures":
        raise InputError(f"{folder} is a result of pictures, which have no time; events need a recording")
    manifest = Manifest.load(folder)
    listed = manifest.files if manifest is not None else {}
    names = tuple(name for name in (SUMMARY_FILE, EAF_FILE, REPORT_FILE) if name == SUMMARY_FILE or name in listed)
    with reading(folder):
        means, groups = compute_events(observations, events)
        message = describe_events(means, summary)
        summary = dataclasses.replace(summary, events=means, event_groups=groups, events_message=message)
        media = _find_media(folder / EAF_FILE) if EAF_FILE in names else None
    from emoscope.report import create_report

    with open_part(folder, names, overwrite) as new:
        with reading(folder):
            if EAF_FILE in names:
                write_eaf(observations, summary, new / EAF_FILE, media)
            if REPORT_FILE in names:
                text = create_report(observations, summary, folder, True)
                (new / REPORT_FILE).write_text(text, encoding="utf-8")
        (new / SUMMARY_FILE).write_text(summary.to_json(), encoding="utf-8")
    return summary


def strip_events(means: Sequence[EventMeans]) -> tuple[Event, ...]:
    """Return a summary's events without their numbers."""
    return tuple(Event(e.name, e.start_s, e.end_s, kind=e.kind) for e in means)


def _find_media(path: Path) -> Path | None:
    """Return the video that a document of ours names, by its whole address or as seen from the document."""
    from emoscope.tables.event_formats.elan import read_media

    for whole, relative in read_media(path, path.read_bytes()):
        place, beside = Path(url2pathname(urlsplit(whole).path)), path.parent / unquote(relative)
        return beside if relative and beside.exists() and not place.exists() else place
    return None
