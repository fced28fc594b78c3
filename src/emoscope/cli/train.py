"""The command `emoscope train`."""

from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from emoscope.cli.options import STUDY_PACKAGES, AsJson, Data, print_json, require

T = TypeVar("T")


class ProtocolChoice(StrEnum):
    """Values of --protocol."""

    official = "official"
    thesis = "thesis"
    naive = "naive"


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
    # The options have the names of TrainConfig's fields.
    given = locals()
    require(*STUDY_PACKAGES)
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.recipes.training import TrainConfig
    from emoscope.study.training.train import train as train_network

    values = {**given, "protocol": protocol and protocol.value}
    values["sizes_px"] = parse_numbers(sizes_px, int, "--sizes-px")
    values["size_shares"] = parse_numbers(size_shares, float, "--size-shares")
    if sizes_px and "," not in sizes_px:
        values["size_shares"] = values["size_shares"] or (1.0,)
    names = {field.name for field in fields(TrainConfig)}
    flags = {name: value for name, value in values.items() if name in names and value is not None}
    base = TrainConfig.load(config).to_dict() if config else {}
    settings = TrainConfig.from_dict({**base, **flags})
    dataset = Dataset.load(data)

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
