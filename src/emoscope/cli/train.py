"""The command `emoscope train`."""

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic.dataclasses import is_pydantic_dataclass

from emoscope.cli.options import STUDY_PACKAGES, AsJson, Data, add_options, print_json, require
from emoscope.core.numbers import describe_left
from emoscope.study.recipes.file import load_yaml
from emoscope.study.recipes.training import TrainConfig

FLAGS = (
    *("network", "protocol", "epochs", "batch_size", "learning_rate", "seed", "patience", "sizes_px", "size_shares"),
    *("augment", "near_copies", "compile", "devices", "init", "frozen", "soft_labels"),
)
"""Settings of TrainConfig that the command line has, too."""
assert is_pydantic_dataclass(TrainConfig)


def read_flags(given: dict[str, object]) -> dict[str, object]:
    """Return flags as YAML would hold them; what is wrong with them is said by TrainConfig."""
    values = dict(given)
    for name, value in given.items():
        is_list = name in ("sizes_px", "size_shares")
        with contextlib.suppress(ValueError, TypeError):
            values[name] = json.loads(f"[{value}]" if is_list else value)  # type: ignore[arg-type]
    if isinstance(sizes := values.get("sizes_px"), list) and len(sizes) == 1:
        values.setdefault("size_shares", [1.0])
    return values


@add_options({name: TrainConfig.__pydantic_fields__[name] for name in FLAGS}, {}, read_flags)
def train(
    data: Data,
    runs: Annotated[Path, typer.Option("-o", "--output", metavar="RUNS", help="Folder of all runs.")],
    config: Annotated[Path | None, typer.Option(help="YAML with any of the settings; flags win over it.")] = None,
    *,
    settings: dict[str, object],
    threads: Annotated[
        int,
        typer.Option(min=0, help="Of the CPU; 0: as many as it has cores. Another number is another run."),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Train one network, or go on with the same training where it was cut off."""
    require(*STUDY_PACKAGES)
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.training.own_faces import choose_fine_tuning, choose_split
    from emoscope.study.training.run_folder import describe_figures
    from emoscope.study.training.threads import limit_threads
    from emoscope.study.training.train import train as train_network

    if config:
        TrainConfig.load(config)
    given = {**(load_yaml(config) if config else {}), **settings}
    # What is wrong with it is said before anything is read.
    TrainConfig.from_dict(given)
    dataset = Dataset.load(data)
    fitting = {} if "protocol" in given else choose_split(dataset)
    if init := given.get("init"):
        fitting |= choose_fine_tuning(str(init), dataset)
    chosen = TrainConfig.from_dict({**fitting, **given})

    def print_epoch(row: dict[str, float]) -> None:
        pace_s = row["fit_s"] + row["validate_s"] / chosen.validate_every
        left_s = chosen.estimate_left_s(int(row["epoch"]), int(row["size_px"]), pace_s)
        typer.echo(
            f"epoch {row['epoch']}/{chosen.epochs}  {row['size_px']} px  {describe_figures(row)}  "
            f"{row['fit_s'] + row['validate_s']:.0f} s, {describe_left(left_s)}",
            err=True,
        )

    with limit_threads(threads):
        run = train_network(dataset, chosen, runs, print_epoch)
    result = run.load_result()
    if as_json:
        print_json({"run": str(run.folder), **result})
        return
    figures = result["validation"]
    typer.echo(
        f"{run.folder}: best epoch {result['best_epoch']}, validation accuracy {figures['accuracy']:.4f}, "
        f"macro F1 {figures['macro_f1']:.4f}"
    )
