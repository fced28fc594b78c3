"""The command line: one function per verb; the only place that prints."""

import logging
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from emoscope.analysis.settings import Settings
from emoscope.cli.analyze import analyze
from emoscope.cli.live import live
from emoscope.cli.options import STUDY_PACKAGES, AsJson, Data, add_settings, print_json, require
from emoscope.cli.report import compare, report
from emoscope.cli.serve import serve
from emoscope.cli.study import study_app
from emoscope.core.errors import EmoscopeError

T = TypeVar("T")

app = typer.Typer(
    name="emoscope",
    help="The emotions people's faces express, from pictures and video to a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Datasets: import them once, look at them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(study_app, name="study")
for command in (analyze, live, report, compare, serve):
    app.command()(command)


class ProtocolChoice(StrEnum):
    """Values of --protocol."""

    official = "official"
    thesis = "thesis"
    naive = "naive"


class PrecisionChoice(StrEnum):
    """Values of --precision."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


class SplitChoice(StrEnum):
    """Values of --split."""

    validation = "validation"
    test = "test"
    public = "public"
    private = "private"


@app.callback()
def set_up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every automatic choice.")] = False,
) -> None:
    """Set up logging; the command line alone does so."""
    # Our logger alone: libraries' warnings are not the user's.
    logger = logging.getLogger("emoscope")
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    logger.propagate = False


@data_app.command("import")
def import_data(
    source: Annotated[str, typer.Argument(help="CSV, folder, zip, or the word `synthetic`.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The dataset file (npz).")],
    n: Annotated[int, typer.Option(min=7, help="How many synthetic faces.")] = 1400,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic faces.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Read a labelled set of faces in any public form and keep it as one checked file."""
    from emoscope.study.data.describe import describe_dataset
    from emoscope.study.data.importers import import_dataset
    from emoscope.study.data.synthetic import create_synthetic

    dataset = create_synthetic(n, seed) if source == "synthetic" else import_dataset(source)
    path = dataset.save(output)
    facts = {"output": str(path), **describe_dataset(dataset)}
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"{facts['n']} images -> {path} (sha256 {dataset.sha256[:12]})")


@data_app.command("show")
def show_data(
    file: Annotated[Path, typer.Argument(help="Dataset file of `emoscope data import`.")],
    picture: Annotated[Path | None, typer.Option("-o", "--output", help="The picture; FILE.png by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count classes, usages and duplicates; draw samples and the class distribution."""
    require("matplotlib")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.data.describe import describe_dataset
    from emoscope.study.drawings.figures import plot_dataset

    dataset = Dataset.load(file)
    facts = describe_dataset(dataset)
    facts["picture"] = str(picture or file.with_suffix(".png"))
    plot_dataset(dataset, Path(facts["picture"]))
    if as_json:
        print_json(facts)
        return
    columns = {"all": facts["classes"], **facts["classes_by_usage"]}
    typer.echo(f"{'':10}" + "".join(f"{name:>13}" for name in columns))
    for emotion in facts["classes"]:
        typer.echo(f"{emotion:10}" + "".join(f"{counts[emotion]:13}" for counts in columns.values()))
    typer.echo(f"{'sum':10}" + "".join(f"{sum(counts.values()):13}" for counts in columns.values()))
    typer.echo("duplicates: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in facts["duplicates"].items()))
    typer.echo(f"picture: {facts['picture']}")


@app.command()
def train(
    data: Data,
    runs: Annotated[Path, typer.Option("-o", "--output", metavar="RUNS", help="Folder of all runs.")],
    config: Annotated[Path | None, typer.Option(help="YAML with any of the settings; flags win over it.")] = None,
    network: Annotated[str | None, typer.Option(help="Network by name.")] = None,
    protocol: Annotated[ProtocolChoice | None, typer.Option(help="Which images train, validate, test.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest that is reached.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, order and augmentation.")] = None,
    patience: Annotated[int | None, typer.Option(help="Early stopping after so many epochs; 0 for never.")] = None,
    sizes_px: Annotated[str | None, typer.Option(help="Input sizes one after the other, e.g. 32,40,48.")] = None,
    size_shares: Annotated[str | None, typer.Option(help="Share of the epochs at each, e.g. 0.3,0.3,0.4.")] = None,
    augment: Annotated[bool | None, typer.Option("--augment/--no-augment", help="Change each face anew.")] = None,
    compile: Annotated[bool | None, typer.Option(help="Compile the network; needs a C++ compiler.")] = None,
    devices: Annotated[int | None, typer.Option(help="Accelerators or processes that share every batch.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train one network, or go on with the same training where it was cut off."""
    require(*STUDY_PACKAGES)
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.recipes.training import TrainConfig

    flags: dict[str, Any] = {
        "network": network,
        "protocol": protocol.value if protocol else None,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "patience": patience,
        "sizes_px": parse_numbers(sizes_px, int, "--sizes-px"),
        "size_shares": parse_numbers(size_shares, float, "--size-shares"),
        "augment": augment,
        "compile": compile,
        "devices": devices,
    }
    if flags["sizes_px"] and len(flags["sizes_px"]) == 1:
        flags["size_shares"] = flags["size_shares"] or (1.0,)
    base = TrainConfig.load(config).to_dict() if config else {}
    settings = TrainConfig.from_dict({**base, **{k: v for k, v in flags.items() if v is not None}})
    dataset = Dataset.load(data)
    from emoscope.study.training.train import train as train_network

    def print_epoch(row: dict[str, float]) -> None:
        seconds = row["fit_s"] + row["validate_s"]
        left_s = settings.estimate_left_s(int(row["epoch"]), int(row["size_px"]), seconds)
        typer.echo(
            f"epoch {row['epoch']}/{settings.epochs}  {row['size_px']} px  loss {row['train_loss']:.3f}  "
            f"validation accuracy {row['validation_accuracy']:.4f}  macro F1 {row['validation_macro_f1']:.4f}  "
            f"{seconds:.0f} s, about {left_s / 60:.0f} min left",
            err=True,
        )

    run = train_network(dataset, settings, runs, print_epoch)
    result = run.load_result()
    if as_json:
        print_json({"run": str(run.folder), **result})
        return
    figures = result["validation"]
    typer.echo(
        f"{run.folder}: best epoch {result['best_epoch']}, validation accuracy {figures['accuracy']:.4f}, "
        f"macro F1 {figures['macro_f1']:.4f}"
    )


def parse_numbers(text: str | None, kind: Callable[[str], T], name: str) -> tuple[T, ...] | None:
    """Return the numbers of a list such as `32,40,48`.

    Raises:
        BadParameter: it is no such list.
    """
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as e:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 32,40,48", param_hint=name) from e


@app.command()
@add_settings("model", "views", "balanced")
def evaluate(
    data: Data,
    split: Annotated[SplitChoice, typer.Option(help="Which images: by the model's protocol or by usage.")],
    *,
    settings: Settings,
    robustness: Annotated[bool, typer.Option("--robustness", help="Also on images made worse in known ways.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on a part of a dataset."""
    require("sklearn")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.measuring.evaluate import evaluate as measure

    figures = measure(Dataset.load(data), split.value, settings.model, settings.views, settings.balanced, robustness)
    if as_json:
        print_json(figures)
        return
    for key in ("model", "split", "views", "n", "accuracy", "macro_f1", "ece", "nll", "brier"):
        value = figures[key]
        typer.echo(f"{key:10}{value:.4f}" if isinstance(value, float) else f"{key:10}{value}")
    for name, row in figures["per_class"].items():
        typer.echo(
            f"{name:10}precision {row['precision']:.3f}  recall {row['recall']:.3f}  f1 {row['f1']:.3f}  n {row['n']}"
        )
    for row in figures.get("robustness", []):
        typer.echo(
            f"{row['change']:25}accuracy {row['accuracy']:.3f}  f1 {row['macro_f1']:.3f}  "
            f"uncertain {row['uncertain']:.3f}"
        )


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run; or an exported float32 network, for another precision.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "",
    precision: Annotated[PrecisionChoice, typer.Option(help="What the weights are kept in.")] = PrecisionChoice.float32,
    data: Annotated[Path | None, typer.Option(help="The run's dataset, needed for float16 and int8.")] = None,
) -> None:
    """Write a trained network as ONNX with everything the runtime must know about it."""
    require(*STUDY_PACKAGES)
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.export.export import export_network

    dataset = Dataset.load(data) if data is not None and precision is not PrecisionChoice.float32 else None
    spec = export_network(run, output, name, precision.value, dataset)
    typer.echo(
        f"{spec.name} -> {output} ({output.stat().st_size / 1e6:.1f} MB, temperature "
        f"{spec.find_calibration(1).temperature:.3f}, uncertain below {spec.find_calibration(1).uncertain_below:.3f})"
    )


@app.command()
def models(
    fetch: Annotated[bool, typer.Option("--fetch", help="First fetch what is not embedded, for later use offline.")] = (
        False
    ),
    as_json: AsJson = False,
) -> None:
    """List what is embedded, fetched and cached."""
    from emoscope.faces import registry
    from emoscope.faces.listing import list_models

    if fetch:
        registry.fetch(registry.YUNET)
    entries = list_models()
    if as_json:
        print_json({"models": entries})
        return
    for entry in entries:
        name, sha256 = entry["name"], entry["sha256"][:12]
        typer.echo(f"{name:16}{entry['role']:10}{entry['status']:12}sha256 {sha256}  {entry['licence']}")
        for part, figures in entry["figures"].items():
            if isinstance(figures, dict) and "accuracy" in figures:
                values = ", ".join(f"{key} {figures[key]:.4f}" for key in ("accuracy", "macro_f1", "ece"))
                typer.echo(f"{'':16}{part}: {values}")


def main() -> None:
    """Run the command line; every error is one line on stderr, a traceback never the answer."""
    try:
        app()
    except EmoscopeError as e:
        typer.echo(f"error: {e}", err=True)
        sys.exit(e.exit_code)
    # Not ours to mend here, but the user must learn whose fault it is; -v gives the traceback.
    except Exception as e:
        logging.getLogger("emoscope").info("traceback", exc_info=True)
        what = " ".join(f"{type(e).__name__}: {e}".split())[:300]
        typer.echo(f"error: emoscope failed ({what}); please report this", err=True)
        sys.exit(1)
