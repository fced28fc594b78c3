"""The commands around reports: `emoscope report` and `emoscope compare`."""

from pathlib import Path
from typing import Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import AsJson, Overwrite, add_settings, print_json, say
from emoscope.core.errors import InputError

Result = Annotated[Path, typer.Argument(metavar="DIR", help="Result folder of `emoscope analyze`.", show_default=False)]
Results = Annotated[
    list[Path], typer.Argument(metavar="DIR...", help="Two result folders or more.", show_default=False)
]


@add_settings("baseline", "event_columns", "event_tiers", "events", has_defaults=False)
def report(
    folder: Result,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The page; DIR/report.html by default.")
    ] = None,
    *,
    settings: Settings,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild the report of an earlier analysis from its tables, or finish a recording that was cut off.

    With --events, the segments are compared without reading the video again, and stay with the result; so does another
    --baseline. What people.csv says is applied.
    """
    from emoscope.analysis.cut_off import finish_recording
    from emoscope.analysis.event_marks import mark_events
    from emoscope.analysis.recorder import REPORT_FILE, write_report
    from emoscope.analysis.result_folder import load_result, reading
    from emoscope.analysis.revising import refresh, revise

    path = output or folder / REPORT_FILE
    if (finished := finish_recording(folder, overwrite)) and finished.message:
        say(f"warning: {finished.message}", err=True)
    baseline = settings.baseline if "baseline" in settings.model_fields_set else None
    if "events" in settings.model_fields_set:
        for problem in mark_events(folder, settings.events, baseline, overwrite):
            say(f"warning: {problem}", err=True)
    elif baseline is not None:
        revise(folder, baseline=baseline, overwrite=overwrite)
    else:
        refresh(folder, overwrite)
    observations, summary = load_result(folder)
    if summary.curated and summary.curated.message:
        say(f"{folder}: {summary.curated.message}", err=True)
    with reading(folder):
        write_report(observations, summary, path, folder, overwrite)
    if as_json:
        print_json({"output": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{folder} -> {path}")


def compare(
    folders: Results,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The page.")] = Path("compare.html"),
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Put several recordings side by side on one page."""
    from emoscope.analysis.result_folder import load_result, reading
    from emoscope.core.page_file import write_page
    from emoscope.report import create_comparison
    from emoscope.report.comparison import Recording, describe_comparison, list_warnings, name_recordings

    if len({folder.resolve() for folder in folders}) < 2:
        raise InputError("a comparison needs two different result folders or more; name them one after the other")
    results = [load_result(folder) for folder in folders]
    names = name_recordings([summary.source for _, summary in results], folders)
    recordings = [
        Recording(name, str(folder), observations, summary)
        for name, folder, (observations, summary) in zip(names, folders, results, strict=True)
    ]
    with reading(Path(", ".join(map(str, folders)))):
        text = create_comparison(recordings)
    # The same recordings in any order are the same comparison.
    write_page(output, text, "comparison", str(sorted(map(_identify, folders))), overwrite)
    if as_json:
        print_json({"output": str(output), **describe_comparison(recordings)})
        return
    for warning in list_warnings(recordings):
        say(f"warning: {warning}", err=True)
    say(f"{', '.join(names)} -> {output}")


def _identify(folder: Path) -> str:
    from emoscope.core.manifest import Manifest

    manifest = Manifest.load(folder)
    return str(manifest.identity if manifest else folder.resolve())
