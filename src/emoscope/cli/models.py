"""The commands around finished networks: `emoscope evaluate`, `export` and `models`."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.options import STUDY_PACKAGES, AsJson, Data, Overwrite, add_settings, print_json, require, say
from emoscope.core.errors import InputError

if TYPE_CHECKING:
    from emoscope.core.types import Frame


class PrecisionChoice(StrEnum):
    """Values of --precision."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class SplitChoice(StrEnum):
    """Values of --split."""

    all = "all"
    train = "train"
    validation = "validation"
    test = "test"
    public = "public"
    private = "private"


@add_settings("model", "views", "balanced")
def evaluate(
    data: Data,
    split: Annotated[
        SplitChoice, typer.Option(help="Which images: all, by the model's protocol on its own data, or by usage.")
    ],
    *,
    settings: Settings,
    robustness: Annotated[bool, typer.Option("--robustness", help="Also on images made worse in known ways.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a part of a dataset: how good is it on my labelled pictures?"""
    require("sklearn")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.measuring.evaluate import evaluate as measure

    figures = measure(Dataset.load(data), split.value, settings.model, settings.views, settings.balanced, robustness)
    if as_json:
        print_json(figures)
        return
    for key in ("model", "split", "views", "n", "accuracy", "macro_f1", "ece", "nll", "brier"):
        value, interval = figures[key], figures["interval_95"].get(key)
        text = f"{value:.4f}" if isinstance(value, float) else value
        typer.echo(f"{key:10}{text}" + (f" (95 %: {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""))
    for key in ("without_leaked", "without_near_copies"):
        if (row := figures.get(key)) and row["n"]:
            typer.echo(
                f"{key.replace('_', ' ')}: accuracy {row['accuracy']:.4f}  macro_f1 {row['macro_f1']:.4f}  n {row['n']}"
            )
    if figures["missing"]:
        typer.echo(f"no image of {', '.join(figures['missing'])}: macro F1 is the mean over the others")
    for name, row in figures["per_class"].items():
        typer.echo(
            f"{name:10}precision {row['precision']:.3f}  recall {row['recall']:.3f}  f1 {row['f1']:.3f}  n {row['n']}"
        )
    for row in figures.get("robustness", []):
        typer.echo(
            f"{row['change']:25}accuracy {row['accuracy']:.3f}  f1 {row['macro_f1']:.3f}  "
            f"uncertain {row['uncertain']:.3f}"
        )


def export(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run; or an exported float32 network, for another precision.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "",
    precision: Annotated[PrecisionChoice, typer.Option(help="What the weights are kept in.")] = PrecisionChoice.float32,
    data: Annotated[Path | None, typer.Option(help="The run's dataset, needed for float16 and int8.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a trained network as ONNX with everything the runtime must know about it."""
    require(*STUDY_PACKAGES)
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.export.export import export_network

    dataset = Dataset.load(data) if data is not None and precision is not PrecisionChoice.float32 else None
    spec = export_network(run, output, name, precision.value, dataset, overwrite)
    ece, threshold = spec.figures["validation"]["ece"], spec.find_calibration(1).uncertain_below
    typer.echo(
        f"{spec.name} -> {output} ({output.stat().st_size / 1e6:.1f} MB, ECE on validation images {ece:.3f}, "
        f"uncertain below {threshold:.3f})"
    )


def models(
    fetch: Annotated[bool, typer.Option("--fetch", help="First fetch what is not embedded, for later use offline.")] = (
        False
    ),
    browser: Annotated[
        bool, typer.Option("--browser", help="With --fetch: also what `emoscope page` needs, 20 MB.")
    ] = False,
    check_device: Annotated[
        bool,
        typer.Option("--check-device", help="Instead compare the devices that are installed with the processor."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the networks and detectors, embedded or fetched; --json also tells hashes, licences and all figures."""
    from emoscope.faces import registry
    from emoscope.faces.listing import list_models

    if check_device and (fetch or browser):
        raise InputError("--check-device compares what is there; leave out --fetch and --browser")
    if check_device:
        print_devices(as_json)
        return
    if browser and not fetch:
        raise InputError("--browser goes with --fetch; add it")
    wanted = (*registry.FETCHED, *registry.BROWSER) if browser else registry.FETCHED
    for model in wanted if fetch else ():
        registry.fetch(model)
    entries = list_models()
    if as_json:
        print_json({"models": [asdict(entry) for entry in entries]})
        return
    for entry in entries:
        measured = entry.figures.get("validation")
        text = "validation accuracy {accuracy:.3f}, macro F1 {macro_f1:.3f}"
        figures = text.format(**measured) if measured else ""
        aliases = ", ".join(entry.aliases)
        typer.echo(f"{entry.name:28}{entry.role:9}{entry.status:12}{aliases:9}{figures}".rstrip())


def print_devices(as_json: bool) -> None:
    """Print how each installed device reads three drawn people, next to the processor."""
    from emoscope.analysis.device_check import check_devices
    from emoscope.core.native import set_up_libraries
    from emoscope.faces.devices import PROVIDERS, list_devices

    set_up_libraries()
    rows = check_devices(draw_film(), list_devices())
    if as_json:
        print_json({"devices": [asdict(row) for row in rows]})
        return
    titles = "same emotion", "largest difference", "ms a face", "ms a look"
    say("device     people  faces" + "".join(f"  {title}" for title in titles))
    for row in rows:
        say(
            f"{row.device:10}{row.people:7}{row.faces:7}{row.same_emotion:14.4f}{row.max_difference:20.6f}"
            f"{row.ms_per_face:11.2f}{row.ms_per_look:11.2f}"
            + (f"  ran on {row.used}: {row.reason}" if row.used != row.device else "")
        )
    if len(rows) == 1:
        others = "; ".join(f"{name}: {provider.needs}" for name, provider in PROVIDERS.items() if name != "cpu")
        say(f"no other device is installed ({others})")


def draw_film() -> "list[Frame]":
    """Draw two seconds of three people who move and change their expression; a film that every installation has."""
    import cv2
    import numpy as np

    from emoscope.core.emotions import EMOTIONS
    from emoscope.core.types import Frame
    from emoscope.study.data.cartoon import draw_face

    frames = []
    for i in range(48):
        canvas = np.full((360, 640, 3), 120, np.uint8)
        for person in range(3):
            # One stream for each person: the same one in every picture.
            face = draw_face((i // 8 + 2 * person) % len(EMOTIONS), np.random.default_rng(person), 140)
            x, y = 40 + 200 * person + i // 2, 90 + 10 * person + i % 5
            canvas[y : y + 140, x : x + 140] = cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)
        frames.append(Frame(canvas, i, i / 24, "drawn"))
    return frames
