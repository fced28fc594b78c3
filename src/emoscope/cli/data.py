"""The commands of `emoscope data`: import, show."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from emoscope.cli.options import AsJson, Overwrite, print_json, require, say
from emoscope.core.errors import InputError

data_app = typer.Typer(help="Datasets: import them once, look at them.", no_args_is_help=True, add_completion=False)


@data_app.command("import")
def import_data(
    source: Annotated[str, typer.Argument(help="CSV, folder, archive, npz, Parquet, or the word `synthetic`.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The dataset file (npz).")],
    n: Annotated[int, typer.Option(min=7, help="How many synthetic faces.")] = 1400,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic faces.")] = 0,
    faces: Annotated[
        bool, typer.Option("--faces", help="Find, straighten and cut the largest face of each picture first.")
    ] = False,
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=EMOTION", help="What a label means; or raf-db, affectnet, expw, fer2013."),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Leave out pictures of a label.")] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Read a labelled set of faces in any public form and keep it as one checked file."""
    from emoscope.study.data.describe import describe_dataset
    from emoscope.study.data.importers import import_dataset
    from emoscope.study.data.labels import Labels
    from emoscope.study.data.own_faces import FaceTaker
    from emoscope.study.data.synthetic import create_synthetic

    if faces and source == "synthetic":
        raise InputError("synthetic faces are cut already; leave out --faces")
    if source == "synthetic" and (mapped or skip):
        raise InputError("synthetic faces have labels that are known; leave out --map and --skip")
    labels = Labels(mapped or (), skip or ())
    taker = FaceTaker() if faces else None
    dataset = (
        create_synthetic(n, seed)
        if source == "synthetic"
        else import_dataset(source, taker.take if taker else None, labels)
    )
    path = dataset.save(output, overwrite)
    facts = {"output": str(path), **describe_dataset(dataset), **({"faces": taker.describe()} if taker else {})}
    facts["skipped"] = labels.n_skipped
    if as_json:
        print_json(facts)
        return
    say(f"{facts['n']} images -> {path} (sha256 {dataset.sha256[:12]})")
    for line in [*list_missing(facts), *(taker.list_left_out() if taker else ())]:
        say(line)


def list_missing(facts: dict[str, Any]) -> Iterator[str]:
    """Yield a line about what was left out by its label, and about classes of which there is no image."""
    if facts["skipped"]:
        yield f"{facts['skipped']} images were left out by --skip"
    for usage, counts in facts["classes_by_usage"].items():
        if missing := [emotion for emotion, count in counts.items() if not count]:
            yield f"no image of {', '.join(missing)}" + (f" in {usage}" if usage != "unmarked" else "")


@data_app.command("show")
def show_data(
    file: Annotated[Path, typer.Argument(help="Dataset file of `emoscope data import`.")],
    picture: Annotated[Path | None, typer.Option("-o", "--output", help="The picture; FILE.png by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count classes, usages, duplicates and near-copies; draw samples, the class distribution and near-copies."""
    require("matplotlib")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.data.describe import describe_dataset
    from emoscope.study.drawings.figures import choose_near_copies, plot_dataset, plot_near_copies

    dataset = Dataset.load(file)
    facts = describe_dataset(dataset)
    facts["picture"] = str(picture or file.with_suffix(".png"))
    plot_dataset(dataset, Path(facts["picture"]))
    if choose_near_copies(dataset):
        facts["picture_of_near_copies"] = str(Path(facts["picture"]).with_suffix(".near-copies.png"))
        plot_near_copies(dataset, Path(facts["picture_of_near_copies"]))
    if as_json:
        print_json(facts)
        return
    columns = {"all": facts["classes"], **facts["classes_by_usage"]}
    say(f"{'':10}" + "".join(f"{name:>13}" for name in columns))
    for emotion in facts["classes"]:
        say(f"{emotion:10}" + "".join(f"{counts[emotion]:13}" for counts in columns.values()))
    say(f"{'sum':10}" + "".join(f"{sum(counts.values()):13}" for counts in columns.values()))
    for kind in ("duplicates", "near_copies"):
        say(f"{kind.replace('_', '-')}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in facts[kind].items()))
    for key in ("picture", "picture_of_near_copies"):
        if key in facts:
            say(f"{key.replace('_', ' ').replace('near copies', 'near-copies')}: {facts[key]}")
