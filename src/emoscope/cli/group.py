"""The command line's `group`: result folders to one page and tables over all participants."""

from pathlib import Path
from typing import Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import AsJson, Overwrite, add_settings, print_json, say


@add_settings("event_columns", "event_tiers", "events")
def group(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Folder of `emoscope analyze FOLDER -o`.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for page and tables; RESULTS by default."),
    ] = None,
    by: Annotated[
        Path | None,
        typer.Option(
            "--by",
            metavar="FILE",
            help="Table of participants, made as a template where missing; RESULTS/participants.csv by default.",
        ),
    ] = None,
    stimulus: Annotated[
        Path | None,
        typer.Option("--stimulus", metavar="FILE", help="What everybody saw: the page plays it, its sound aligns."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME|EVENT",
            help="When the stimulus begins in each recording whose row says nothing; by its sound with --stimulus.",
        ),
    ] = None,
    *,
    settings: Settings,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Put many recordings together: curves of all participants, their means with intervals, and what differs.

    The unit is the participant. RESULTS/participants.csv says who was seen in which recording, under which condition,
    and when the stimulus began; where it is missing, it is written for you to fill in. With --events, segments are
    those of the stimulus, on its own time.
    """
    from emoscope.groups.group import group as put_together
    from emoscope.groups.participants import parse_start
    from emoscope.groups.project import Wish

    written = put_together(results, Wish(by, parse_start(start or ""), stimulus, settings.events), output, overwrite)
    if as_json:
        print_json(written.to_dict())
        return
    for note in written.notes:
        say(f"warning: {note}", err=True)
    if written.template:
        say(f"{written.template} is there to be filled in: participants, conditions, when the stimulus began")
    say(f"{written.describe()} -> {written.page}")
