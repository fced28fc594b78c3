"""The commands around the page that reads in the browser: `emoscope page` and `emoscope receive`."""

from pathlib import Path
from typing import Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import AsJson, Overwrite, add_settings, print_json, say
from emoscope.core.errors import EmoscopeError


@add_settings("model", "detector")
def page(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the page.")],
    *,
    stimulus: Annotated[
        Path | None, typer.Option(metavar="FILM", help="A film that invited participants watch.", show_default=False)
    ] = None,
    settings: Settings,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write a page that reads faces in the browser itself, for any web server; it sends nothing anywhere."""
    from emoscope.browser.site import write_site

    n_bytes = write_site(output, settings.model, settings.detector, stimulus, overwrite)
    if as_json:
        print_json({"output": str(output), "bytes": n_bytes})
    else:
        say(f"{output} ({n_bytes / 1e6:.0f} MB); see it with `python -m http.server -d {output}` at localhost:8000")
        if stimulus:
            from urllib.parse import quote

            say(f"invite participants to it with #stimulus={quote(stimulus.name)}&every=0.2 behind its address")


def receive(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Recordings that the page saved.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the results.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make results and reports of recordings that people made in the page and sent, each in a folder below DIR."""
    from emoscope.analysis.received import ENDING, receive_recording

    results, failed = [], 0
    for path in files:
        folder = output / (path.name.removesuffix(ENDING) or path.name)
        try:
            summary = receive_recording(path, folder, overwrite)
        except EmoscopeError as e:
            failed += 1
            say(f"error: {e}", err=True)
            continue
        results.append({"source": str(path), "output": str(folder), "people": summary.people_count})
        if not as_json:
            say(f"{path} -> {folder}")
    if as_json:
        print_json({"sources": results})
    if failed:
        raise typer.Exit(2)
