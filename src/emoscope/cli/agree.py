"""The command `emoscope agree`: what people saw beside what was read."""

from pathlib import Path
from typing import Annotated, Final

import typer

from emoscope.cli.options import AsJson, Overwrite, print_json, say
from emoscope.core.errors import InputError

CODING: Final = "A page for a coder"


def agree(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", help="A result folder, or the folder above several.", show_default=False),
    ],
    more: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CODES]...", help="Further coders' files.", show_default=False),
    ] = None,
    codes: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What a person saw: CSV with recording, time_s (or start_s, end_s), person, emotion; or ELAN.",
        ),
    ] = None,
    tiers: Annotated[
        str, typer.Option(metavar="LIST", help="Tiers of ELAN documents, each a coder in all of them; else the only.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for page and tables; RESULTS/agreement."),
    ] = None,
    write_calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a calibration for `analyze --calibration`.")
    ] = None,
    make_page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a page to code on; it holds pictures of faces.", rich_help_panel=CODING
        ),
    ] = None,
    coder: Annotated[str, typer.Option(metavar="NAME", help="Who codes.", rich_help_panel=CODING)] = "coder",
    moments: Annotated[
        int, typer.Option(metavar="N", min=1, max=500, rich_help_panel=CODING, help="To be coded.")
    ] = 60,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, rich_help_panel=CODING, help="Same moments for all coders of one seed.")
    ] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Compare what people saw with what was read: kappa, confusion, calibration; or make a page to code on."""
    files = [*(codes or ()), *(more or ())]
    if make_page is not None:
        if files or write_calibration:
            raise InputError("--make-page writes a page for a coder and reads no codes; leave out --codes")
        _make_page(results, make_page, coder, moments, seed, overwrite, as_json)
        return
    from emoscope.groups.agree import FOLDER, compute_agreement

    agreement = compute_agreement(results, files, [name for name in map(str.strip, tiers.split(",")) if name])
    calibration = agreement.recalibrate() if write_calibration else None
    folder = output or results / FOLDER
    agreement.write(folder, results, overwrite)
    if calibration and write_calibration:
        calibration.save(write_calibration, overwrite)
    if as_json:
        print_json({"output": str(folder), **agreement.describe()})
        return
    for note in agreement.notes:
        say(f"warning: {note}", err=True)
    for name, comparison in agreement.with_reading.items():
        kappa = comparison.kappa
        value = "not defined" if kappa.value is None else f"{kappa.value:.2f}"
        between = "" if kappa.low is None else f" ({kappa.low:.2f} to {kappa.high:.2f}, {kappa.holds_for})"
        say(f"{name}: {comparison.n} moments, kappa {value}{between}")
    say(f"{results} -> {folder}")
    if calibration:
        before, after = calibration.log_loss
        say(f"log loss of participants left out: {before:.3f}, calibrated {after:.3f} -> {write_calibration}")


def _make_page(results: Path, path: Path, coder: str, moments: int, seed: int, overwrite: bool, as_json: bool) -> None:
    from emoscope.groups.coding import write_coding_page

    page = write_coding_page(results, path, coder, moments, seed, overwrite)
    if as_json:
        print_json({"output": str(path), "moments": page.moments, "recordings": page.recordings, "notes": page.notes})
        return
    for note in page.notes:
        say(f"warning: left out {note}", err=True)
    say(f"{results} -> {path}: {page.moments} moments, with pictures of faces; hand it to those who may see them only")
