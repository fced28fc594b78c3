"""A project's files: results of jobs and a table of participants in, what `emoscope group` makes of them out.

The folder of a project's results is one that the command itself could have made and goes on with: a folder of each
recording, participants.csv, page and tables. Its recordings are the jobs' own files under another name, where the disk
can do that, so deleting a job leaves its projects whole. It is made beside the earlier one and takes its place when it
is whole.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emoscope.core.errors import EmoscopeError, InputError, shorten
from emoscope.core.files import open_atomic

if TYPE_CHECKING:
    from emoscope.server.jobs.worker import Report

PAGE: Final = "index.html"
TABLE: Final = "participants.csv"
"""In a project's folder as people last wrote it, and in its results as they were made by it."""
RESULT, EARLIER = "result", "earlier"
MAKING: Final = "project-in-the-making"
KEPT: Final = ("summary.json", "observations.parquet", "people.csv", "report.html", "emoscope-manifest.json")
"""What a project needs of a recording; neither faces nor videos."""
MAX_MESSAGE: Final = 1000


def put_together(members: Sequence[tuple[str, str]]) -> "Report":
    """Make the project in this folder anew.

    Args:
        members: each recording's job, a folder beside this one, and its folder in the project.

    Returns:
        The worker's last report.

    Raises:
        EmoscopeError: all that is wrong with the results or the table; the earlier project is as it was.
    """
    from emoscope.groups.group import group

    result, making = Path(RESULT), Path(MAKING)
    recover()
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    gone = [name for job_id, name in members if not _take(Path("..", job_id, RESULT), result / name, making / name)]
    if gone:
        raise InputError(f"{', '.join(map(shorten, gone))}: deleted before it was put together; tick others")
    shutil.copyfile(TABLE, making / TABLE)
    try:
        written = group(making)
    except EmoscopeError as e:
        raise type(e)(_hide(str(e))) from e
    for path in making.iterdir():
        # Locks and working folders have done their work.
        if path.name.startswith(".emoscope"):
            shutil.rmtree(path, ignore_errors=True)
    if result.exists():
        result.rename(EARLIER)
    making.rename(result)
    shutil.rmtree(EARLIER, ignore_errors=True)
    return {"progress": 1.0, "message": _hide("; ".join([written.describe(), *written.notes]))[:MAX_MESSAGE]}


def _hide(text: str) -> str:
    """Return a message without the folder in which a project is made: nobody will find it there."""
    return text.replace(f"{MAKING}{os.sep}", "").replace(MAKING, "the project")


def recover(folder: Path = Path()) -> None:
    """Put in order what a worker left that died between two renames."""
    earlier, result = folder / EARLIER, folder / RESULT
    if earlier.exists() and not result.exists():
        earlier.rename(result)
    shutil.rmtree(earlier, ignore_errors=True)


def list_recordings(folder: Path) -> list[str] | None:
    """Return the recordings of a project that was made in a folder, None where there is none."""
    result = folder / RESULT
    if not (result / PAGE).is_file() or not (result / TABLE).is_file():
        return None
    return sorted(path.parent.name for path in result.glob(f"*/{KEPT[0]}"))


def _take(job: Path, own: Path, target: Path) -> bool:
    """Give a recording's files a second name: the job's, if it is there, else those that the project has of it."""
    for source in (job, own):
        try:
            target.mkdir()
            for name in KEPT:
                if (source / name).is_file() or name in KEPT[:2]:
                    _link(source / name, target / name)
            return True
        except FileNotFoundError:
            # Deleted, perhaps at this very moment: nothing half is left.
            shutil.rmtree(target, ignore_errors=True)
    return False


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        # A file system without second names.
        shutil.copyfile(source, target)


def write_table(folder: Path, text: str) -> None:
    """Write a project's table of participants, whole or not at all.

    Raises:
        OutputError: the disk is full.
    """
    with open_atomic(folder / TABLE) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def read_table(folder: Path) -> str:
    """Return a project's table of participants as people last wrote it; else as it was made by it.

    Raises:
        OSError: there is none.
    """
    for place in (folder / TABLE, folder / RESULT / TABLE):
        with contextlib.suppress(FileNotFoundError):
            return place.read_text(encoding="utf-8")
    raise FileNotFoundError(folder / TABLE)
