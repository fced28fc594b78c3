"""The command `emoscope live`."""

import datetime
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import AsJson, Overwrite, add_settings, print_json, say
from emoscope.core.errors import InputError
from emoscope.core.native import set_up_libraries
from emoscope.core.numbers import format_percent

CONSENT = (
    "Tell everybody in front of the camera what is read, and ask them first (docs/responsible-use.md); "
    "at work and in education the EU prohibits it."
)


@add_settings("smooth", "exclude", "report", "anonymous", "detector", "model", "views", "balanced", "device")
def live(
    camera: Annotated[
        str, typer.Argument(metavar="[CAMERA|RTSP|FILE]", help="Number, network address, or a video as if live.")
    ] = "0",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for the results; live-DATE-TIME-emoscope."),
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Only look; keep nothing.")] = False,
    for_s: Annotated[float | None, typer.Option("--for", metavar="SECONDS", min=0.1, help="End by itself.")] = None,
    view: Annotated[str, typer.Option(help="auto, window, terminal or none.")] = "auto",
    *,
    settings: Settings,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Read a camera as it runs, in a window or the terminal; Ctrl-C ends it and writes what analyze writes.

    Frames that come while another is read are dropped, and counted. No picture is ever stored.
    """
    if output is not None and no_save:
        raise InputError("--output and --no-save contradict each other; give one of them")
    from emoscope.analysis.live import analyze_live
    from emoscope.analysis.live_view import create_view
    from emoscope.analysis.one import create_analyzer
    from emoscope.media.camera import Camera

    set_up_libraries()
    running = Camera(camera)
    analyzer = create_analyzer(settings)
    say(CONSENT, err=True)
    # stdout belongs to the JSON document where one is asked for.
    shown = create_view(view, running.name, sys.stderr if as_json else sys.stdout, lambda text: say(text, err=as_json))
    folder = output or Path(f"live-{datetime.datetime.now():%Y%m%d-%H%M%S}-emoscope")
    result = analyze_live(running, analyzer, shown, None if no_save else folder, settings, for_s, overwrite)
    if result.message:
        say(f"warning: {result.message}", err=True)
    if as_json:
        print_json(asdict(result))
        return
    say(
        f"{result.source}: {result.frames} {'frame' if result.frames == 1 else 'frames'}, {result.dropped} dropped, "
        f"{result.people} {'person' if result.people == 1 else 'people'}, "
        f"a face in {format_percent(result.coverage, space='')} of the frames"
        + (f" -> {result.output}" if result.output else "")
    )
