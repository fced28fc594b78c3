"""The recordings of a project: a folder of result folders in, those that can be used and all that is wrong out."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoscope.analysis.recorder import SUMMARY_FILE, TABLE_FILE
from emoscope.analysis.result_folder import load_result
from emoscope.core.errors import EmoscopeError, InputError
from emoscope.core.manifest import WORKING, Manifest
from emoscope.core.replacing import find_cut_off
from emoscope.core.texts import name_some
from emoscope.groups.participants import join_problems
from emoscope.report.wording import format_value
from emoscope.tables.observations import Observations
from emoscope.tables.summary import COMPARED_SETTINGS, Summary


@dataclass(frozen=True)
class Recording:
    """One result folder."""

    name: str
    """Its path relative to the folder of all results, with slashes."""
    folder: Path
    table: Observations
    summary: Summary


def find_folders(results: Path) -> list[Path]:
    """Return the result folders below a folder, sorted; what cannot be read of it is passed over.

    Raises:
        InputError: it is no folder, or is itself a result.
    """
    if not results.is_dir():
        raise InputError(f"{results} is no folder; expected the folder that `emoscope analyze FOLDER -o` wrote")
    if (results / SUMMARY_FILE).is_file():
        raise InputError(f"{results} is the result of one recording; name the folder that holds the results of several")
    found = []
    for place, folders, names in os.walk(results):
        is_result = SUMMARY_FILE in names or TABLE_FILE in names or find_cut_off(Path(place)) is not None
        if is_result:
            found.append(Path(place))
        # Thumbnails and annotated pictures are many; results in a result lie in folders of other names.
        left_out = {WORKING, "annotated", "thumbnails", "explanations"} if is_result else {WORKING}
        folders[:] = sorted(name for name in folders if name not in left_out)
    return found


def count_films(results: Path) -> int:
    """Return how many of the results in a folder have a time; pictures have none."""
    n = 0
    for folder in find_folders(results):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            n += json.loads((folder / SUMMARY_FILE).read_bytes())["kind"] != "pictures"
    return n


def load_recordings(results: Path) -> tuple[dict[str, Recording], list[str]]:
    """Open all recordings below a folder.

    Returns:
        The recordings by name, and what a reader should know, a line each.

    Raises:
        InputError: no recording is there, or some of the results cannot be used; all that is wrong in one line.
    """
    recordings: dict[str, Recording] = {}
    problems: list[str] = []
    pictures: list[str] = []
    for folder in find_folders(results):
        name = folder.relative_to(results).as_posix()
        try:
            table, summary = load_result(folder)
        except EmoscopeError as e:
            problems.append(str(e))
            continue
        if summary.kind == "pictures":
            pictures.append(name)
        else:
            recordings[name] = Recording(name, folder, table, summary)
    if problems:
        raise InputError(
            f"{join_problems(problems)}; then run the command again, or move away what is not to be part of {results}"
        )
    if not recordings:
        what = "pictures only, which have no time" if pictures else "no results"
        raise InputError(f"{results} holds {what}; name the folder that `emoscope analyze FOLDER -o` wrote")
    check_classes([*recordings.values()], results)
    notes = [f"pictures have no time and are left out: {name_some(pictures)}"] if pictures else []
    return recordings, notes + find_copies(recordings) + find_differences(recordings)


def check_classes(recordings: Sequence[Recording], results: Path) -> None:
    """Check that all recordings were read by networks with the same classes.

    Raises:
        InputError: they were not.
    """
    first, *others = recordings
    for other in others:
        if other.table.classes != first.table.classes:
            raise InputError(
                f"{first.name} was read as {', '.join(first.table.classes)}, and {other.name} as "
                f"{', '.join(other.table.classes)}, which cannot be put together; leave those of one list in "
                f"{results}"
            )


def find_copies(recordings: Mapping[str, Recording]) -> list[str]:
    """Return which recordings were made from one and the same file, a line each group: each of them counts."""
    by_file: dict[tuple[int, str], list[str]] = {}
    for recording in recordings.values():
        manifest = Manifest.load(recording.folder)
        source = manifest.source if manifest else {}
        if (size := source.get("size")) and (digest := source.get("sha256_of_ends")):
            by_file.setdefault((size, digest), []).append(recording.name)
    return [
        f"the same file stands behind several recordings, and each counts: {name_some(names)}; move away all but one"
        for names in by_file.values()
        if len(names) > 1
    ]


def find_differences(recordings: Mapping[str, Recording]) -> list[str]:
    """Return what makes recordings hard to compare, a line each."""
    notes = []
    for key, words in COMPARED_SETTINGS.items():
        values: dict[str, list[str]] = {}
        for recording in recordings.values():
            if (value := getattr(recording.summary.settings, key)) is not None:
                values.setdefault(format_value(value), []).append(recording.name)
        if len(values) > 1:
            parts = "; ".join(f"{value} in {name_some(names)}" for value, names in values.items())
            notes.append(f"the recordings were analysed with different {words}: {parts}")
    incomplete = [r.name for r in recordings.values() if r.summary.status != "complete"]
    if incomplete:
        notes.append(f"the analysis of {name_some(incomplete)} is incomplete; what was read of it counts")
    return notes
