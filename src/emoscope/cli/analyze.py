"""The command line's `analyze`: pictures and videos to result folders."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.cli.options import (
    Address,
    AsJson,
    Balanced,
    DetectorChoice,
    ExecutorChoice,
    ExecutorOption,
    Model,
    Views,
    Workers,
    print_json,
)
from emoscope.core.native import set_up_libraries
from emoscope.core.numbers import format_percent

if TYPE_CHECKING:
    from emoscope.analysis.many import SourceResult
    from emoscope.analysis.one import Progress

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


class ThumbnailChoice(StrEnum):
    """Values of --thumbnails."""

    none = "none"
    clear = "clear"
    blurred = "blurred"


def analyze(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Pictures, videos, folders.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")
    ] = None,
    every: Annotated[str, typer.Option(metavar="N|0.2s", help="Every n-th frame, or one in so many seconds.")] = "1",
    start: Annotated[str, typer.Option(metavar="TIME", help="Begin here, such as 90 or 1:30.")] = "0",
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End here.")] = None,
    smooth: Annotated[float, typer.Option(metavar="SECONDS", help="Smooth with this time constant; 0 for off.")] = 0.0,
    baseline: Annotated[
        str, typer.Option(metavar="off|auto|START-END", help="Each person's own resting face as the zero line.")
    ] = "off",
    events: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Marked segments to compare: name, start_s, end_s.")
    ] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="Face detector.")] = DetectorChoice.auto,
    model: Model = "default",
    views: Views = 1,
    balanced: Balanced = False,
    annotate: Annotated[bool, typer.Option("--annotate", help="Also write annotated.mp4 (or pictures).")] = False,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="Hide who the people are in these pictures.")
    ] = False,
    thumbnails: Annotated[ThumbnailChoice, typer.Option(help="Faces shown in the report.")] = ThumbnailChoice.none,
    explain: Annotated[bool, typer.Option("--explain", help="Show what the network looked at (stores faces).")] = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Write no face boxes and no clear face.")] = False,
    formats: Annotated[str, typer.Option(metavar="LIST", help="More files: jsonl, eaf (ELAN), vtt (subtitles).")] = "",
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Leave alone what is finished already.")] = False,
    executor: ExecutorOption = ExecutorChoice.local,
    address: Address = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Read the emotions in pictures and videos; write tables, a summary and a report.

    Results lie in DIR, or for several sources in a folder of DIR each; without -o in SOURCE-emoscope. Ctrl-C ends the
    analysis and writes what was read.
    """
    from emoscope.analysis.many import analyze_sources
    from emoscope.analysis.settings import Settings, parse_formats
    from emoscope.core.timecode import parse_every, parse_time
    from emoscope.executors.interrupts import stop_on_signals
    from emoscope.executors.open import open_executor
    from emoscope.tables.baseline import parse_baseline
    from emoscope.tables.events import load_events

    set_up_libraries()
    settings = Settings(
        detector=detector.value,
        model=model,
        n_views=views,
        balanced=balanced,
        smoothing_s=smooth,
        baseline=parse_baseline(baseline),
        events=load_events(events) if events else (),
        report=not no_report,
        formats=parse_formats(formats),
        annotate=annotate,
        blur_faces=blur_faces,
        thumbnails=thumbnails.value,
        explain=explain,
        anonymous=anonymous,
    )
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
            every=parse_every(every),
            start_s=parse_time(start),
            end_s=None if end is None else parse_time(end),
            resume=resume,
            stop=stop,
            on_progress=on_progress,
            executor=opened,
        )
    if as_json:
        print_json({"sources": [r.to_dict() for r in results]})
    print_results(results, with_numbers=not as_json)
    if stop.is_set():
        raise typer.Exit(STOPPED)
    if any(r.status == "failed" for r in results):
        raise typer.Exit(2)


def print_results(results: "list[SourceResult]", with_numbers: bool) -> None:
    """Print a line per source, and what is amiss at the end."""
    for r in results:
        if r.output and with_numbers:
            typer.echo(
                f"{r.source}: {r.frames} {'frame' if r.frames == 1 else 'frames'}, "
                f"{r.people} {'person' if r.people == 1 else 'people'}, "
                f"a face in {format_percent(r.coverage, space='')} of the frames -> {r.output}"
                f"{' (finished earlier)' if r.skipped else ''}"
            )
    for r in results:
        if r.message:
            typer.echo(f"{'error' if r.status == 'failed' else 'warning'}: {r.message}", err=True)
    n_failed = sum(r.status == "failed" for r in results)
    if n_failed and len(results) > 1:
        typer.echo(f"{n_failed} of {len(results)} sources failed, see above", err=True)


@contextlib.contextmanager
def show_progress() -> "Iterator[Callable[[Progress], None]]":
    """Yield what draws a bar with the time left on stderr, in a terminal only."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    import rich.progress
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()]
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
