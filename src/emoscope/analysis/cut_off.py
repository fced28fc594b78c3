"""Recordings that were cut off, by a kill or a power cut: what is left of one in, a whole result out."""

from dataclasses import replace
from pathlib import Path

from emoscope.analysis.recorder import (
    KIND,
    OUTPUT_NAMES,
    REPORT_FILE,
    STREAM_FILE,
    SUMMARY_FILE,
    TABLE_FILE,
    forget_facts,
    write_report,
)
from emoscope.core.errors import InputError, shorten
from emoscope.core.manifest import CUT_OFF, Identity
from emoscope.core.owned import open_cut_off
from emoscope.core.replacing import find_cut_off
from emoscope.tables.audience import write_audience_csv
from emoscope.tables.columns import to_numpy
from emoscope.tables.observations import FLUSH_S, convert_stream
from emoscope.tables.summarize import compute_summary
from emoscope.tables.summary import Facts, Summary


def finish_recording(folder: Path, overwrite: bool = False) -> Summary | None:
    """Make a result of a recording that was to go into a folder and was cut off.

    Args:
        folder: the folder.
        overwrite: whether another recording's result there may be replaced.

    Returns:
        The result's summary; None where nothing was cut off.

    Raises:
        InputError: what is left is damaged.
        OutputError: it is still being recorded, or the place is not free.
    """
    place = find_cut_off(folder)
    if place is None:
        return None
    source = Identity.create_once(_load_facts(place).source)
    with open_cut_off(folder, KIND, source, OUTPUT_NAMES, overwrite) as working:
        return finish_files(working)


def finish_files(folder: Path) -> Summary:
    """Finish a recording, see _finish(); what its damaged facts and table raise is one line."""
    try:
        return _finish(folder)
    except (ArithmeticError, ValueError, LookupError, TypeError) as e:
        raise InputError(f"{folder} holds a damaged recording ({shorten(e)}); it cannot be finished") from e


def _finish(folder: Path) -> Summary:
    """Write everything that is known only at the end of a recording that was cut off, the summary last.

    Args:
        folder: what a Recorder wrote, as far as it came.

    Raises:
        InputError: it is damaged.
        OSError: it cannot be written.
    """
    facts, table = _load_facts(folder), folder / TABLE_FILE
    if not (folder / STREAM_FILE).is_file():
        raise InputError(f"{folder / STREAM_FILE} is missing; nothing of the recording can be read")
    convert_stream(folder / STREAM_FILE, table)
    observations = facts.open_table(table)
    n_frames, duration_s, n_read = 0, 0.0, 0
    for batch in observations.batches(("frame", "time_s")):
        frames = to_numpy(batch.column("frame"))
        n_read += len(set(frames.tolist()) - {n_frames - 1})
        n_frames, duration_s = int(frames[-1]) + 1, float(to_numpy(batch.column("time_s"))[-1])
    message = (
        f"the recording of {facts.source} was cut off after {duration_s:.1f} s; "
        f"what was seen in up to {FLUSH_S:g} s after that is lost"
    )
    used = replace(facts.settings, dropped=n_frames - n_read)
    facts = replace(facts, message=message, frames_in_source=n_frames, duration_s=duration_s, settings=used)
    summary = compute_summary(observations, facts)
    observations.write_csv(folder / "observations.csv")
    write_audience_csv(observations, folder / "audience.csv")
    write_report(observations, summary, folder / REPORT_FILE, folder)
    (folder / SUMMARY_FILE).write_text(summary.to_json(), encoding="utf-8")
    forget_facts(folder)
    return summary


def _load_facts(folder: Path) -> Facts:
    from pydantic import TypeAdapter

    path = folder / CUT_OFF
    try:
        return TypeAdapter(Facts).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValueError) as e:
        raise InputError(
            f"{path} is damaged ({shorten(e)}); the recording cannot be finished, its numbers lie in {STREAM_FILE}"
        ) from e
