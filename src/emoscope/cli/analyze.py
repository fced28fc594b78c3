"""The command line's `analyze`: pictures and videos to result folders."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import (
    RUNNING,
    Address,
    AsJson,
    ExecutorChoice,
    ExecutorOption,
    Overwrite,
    Workers,
    add_settings,
    print_json,
    say,
)
from emoscope.core.native import set_up_libraries
from emoscope.core.numbers import format_percent

if TYPE_CHECKING:
    from emoscope.analysis.many import SourceResult
    from emoscope.analysis.one import Progress
    from emoscope.groups.group import Written

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


@add_settings()
def analyze(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Pictures, videos, folders.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")
    ] = None,
    *,
    settings: Settings,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave alone what is finished already.", rich_help_panel=RUNNING)
    ] = False,
    overwrite: Overwrite = False,
    executor: ExecutorOption = ExecutorChoice.local,
    address: Address = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Read the emotions in pictures and videos; write tables, a summary and a report.

    One file's results lie in DIR; those of a folder or several files below it, as they lie there; without -o in
    SOURCE-emoscope. Several films in DIR end with one page and tables over all of them, see `emoscope group`. Only what
    emoscope wrote is ever replaced, and only by results of the same source. Ctrl-C ends the analysis and writes what
    was read.
    """
    from emoscope.analysis.many import analyze_sources
    from emoscope.executors.interrupts import stop_on_signals
    from emoscope.executors.open import open_executor

    set_up_libraries()
    # Ray takes signals for itself when it starts: ours come after.
    with (
        open_executor(executor.value, shared=settings, workers=workers, address=address) as opened,
        stop_on_signals() as stop,
        show_progress() as on_progress,
    ):
        results = analyze_sources(
            [Path(s) for s in sources],
            output,
            settings,
            resume=resume,
            stop=stop,
            on_progress=on_progress,
            executor=opened,
            overwrite=overwrite,
        )
    project = None if stop.is_set() or output is None or not settings.report else group_results(results, output)
    if as_json:
        print_json({"sources": [r.to_dict() for r in results], **({"project": project.to_dict()} if project else {})})
    print_results(results, with_numbers=not as_json)
    if project and not as_json:
        say(f"{project.describe()} -> {project.page}")
    if stop.is_set():
        raise typer.Exit(STOPPED)
    if any(r.status == "failed" for r in results):
        raise typer.Exit(2)


def group_results(results: "Sequence[SourceResult]", output: Path) -> "Written | None":
    """Put the results of several films together, as `emoscope group` does; None where there is nothing to put together.

    What stands in the way, such as a table of participants with mistakes, is said, and the results stay as they are.
    """
    if sum(r.output is not None for r in results) < 2:
        return None
    from emoscope.core.errors import EmoscopeError
    from emoscope.groups.group import group
    from emoscope.groups.recordings import count_films

    if count_films(output) < 2:
        return None
    try:
        return group(output)
    except EmoscopeError as e:
        say(f"warning: no page over all recordings was made: {e}", err=True)
        return None


def print_results(results: "list[SourceResult]", with_numbers: bool) -> None:
    """Print a line per source, and what is amiss at the end."""
    for r in results:
        if r.output and with_numbers:
            of = f"the {r.frames + r.frames_unread} that should be there" if r.frames_unread else "the frames"
            say(
                f"{r.source}: {r.frames} {'frame' if r.frames == 1 else 'frames'}, "
                f"{r.people} {'person' if r.people == 1 else 'people'}, "
                f"a face in {format_percent(r.coverage, space='')} of {of} -> {r.output}"
                f"{' (finished earlier)' if r.skipped else ''}"
            )
    for r in results:
        if r.message:
            say(f"{'error' if r.status == 'failed' else 'warning'}: {r.message}", err=True)
    n_failed = sum(r.status == "failed" for r in results)
    if n_failed and len(results) > 1:
        say(f"{n_failed} of {len(results)} sources failed, see above", err=True)


@contextlib.contextmanager
def show_progress() -> "Iterator[Callable[[Progress], None]]":
    """Yield what draws a bar with the time left on stderr, in a terminal only."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    import rich.progress
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # Names of files are no markup.
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()]
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task, drawn_s, number = bars.add_task("", total=None), 0.0, 0

        def draw(progress: "Progress") -> None:
            nonlocal drawn_s, number
            if progress.number != number:
                number = progress.number
                bars.reset(task, total=1)
            elif time.monotonic() - drawn_s < 0.1:
                return
            drawn_s = time.monotonic()
            place = f"{number} of {progress.n_sources}: " if progress.n_sources > 1 else ""
            faces = "1 face" if progress.faces == 1 else f"{progress.faces} faces"
            text = f"{place}{progress.source}, frame {progress.frames}, {faces}"
            total = None if progress.share is None else 1
            bars.update(task, description=text, total=total, completed=progress.share or 0)

        yield draw
