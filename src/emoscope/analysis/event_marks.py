"""Events afterwards: a result folder and marked segments in; its numbers and report anew out, without the video."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from emoscope.analysis.result_folder import load_result
from emoscope.analysis.revising import revise
from emoscope.core.errors import InputError
from emoscope.core.timecode import Baseline
from emoscope.tables.events import Event, find_unmatched, select_events
from emoscope.tables.summary import Summary


def mark_events(
    folder: Path, events: Sequence[Event], baseline: Baseline | None = None, overwrite: bool = False
) -> Iterator[str]:
    """Give a result those events that are its recording's, see set_events(); yield what is to be said of them."""
    _, summary = load_result(folder)
    source = Path(summary.source)
    yield from find_unmatched(events, [(source, folder)])
    own = select_events(events, source, folder)
    if events and not own:
        raise InputError(f"none of the {len(events)} events belongs to {folder}; nothing was changed")
    if message := set_events(folder, own, baseline, overwrite).events_message:
        yield message


def set_events(
    folder: Path, events: Sequence[Event], baseline: Baseline | None = None, overwrite: bool = False
) -> Summary:
    """Give a result other events: what `emoscope analyze --events` would have written of them is written anew.

    Args:
        folder: the result.
        events: those of this recording; none takes the result's away.
        baseline: another baseline; None leaves the result's.
        overwrite: also replace files that were changed since.

    Returns:
        The summary with the events, as it now stands in the folder.

    Raises:
        InputError: no result folder, a damaged one, or one of pictures.
        OutputError: it cannot be written, or was changed.
    """
    _, summary = load_result(folder)
    if events and summary.kind == "pictures":
        raise InputError(f"{folder} is a result of pictures, which have no time; events need a recording")
    return revise(folder, events, baseline, overwrite)
