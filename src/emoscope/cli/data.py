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
    classes: Annotated[
        str, typer.Option(metavar="NAMES", help="Classes of your own, two to forty, such as bored,interested,happy.")
    ] = "",
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="LABEL=CLASS", help="What a label means; or raf-db, affectnet, expw, ck+, fer2013."
        ),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Leave out pictures of a label.")] = None,
    person_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column of a table that says who is on a picture.")
    ] = "",
    persons: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV `image,person`: who is on which picture.")
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Bring all faces to this side; their own where they share one, else 48.")
    ] = 0,
    votes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="FER+'s fer2013new.csv beside FER2013: labels by ten raters.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Read a labelled set of faces in any public form and keep it as one checked file."""
    from emoscope.core.emotions import EMOTIONS
    from emoscope.study.data.collector import Collector
    from emoscope.study.data.describe import describe_dataset
    from emoscope.study.data.importers import import_dataset
    from emoscope.study.data.labels import Labels
    from emoscope.study.data.own_faces import FaceTaker
    from emoscope.study.data.people import People
    from emoscope.study.data.synthetic import create_synthetic
    from emoscope.study.data.votes import apply_votes

    if faces and source == "synthetic":
        raise InputError("synthetic faces are cut already; leave out --faces")
    if source == "synthetic" and (mapped or skip or classes or person_column or persons or size or votes):
        raise InputError(
            "synthetic faces have labels and a size that are known, and are nobody's; leave out --map, --skip, "
            "--classes, --person-column, --persons, --size and --votes"
        )
    labels = Labels(mapped or (), skip or (), classes.split(",") if classes else EMOTIONS)
    collector = Collector(labels, People(person_column, persons), size)
    taker = FaceTaker() if faces else None
    dataset = (
        create_synthetic(n, seed)
        if source == "synthetic"
        else import_dataset(source, taker.take if taker else None, collector=collector)
    )
    if votes is not None:
        dataset = apply_votes(dataset, votes, collector)
    path = dataset.save(output, overwrite)
    facts = {"output": str(path), **describe_dataset(dataset), **({"faces": taker.describe()} if taker else {})}
    facts["skipped"], facts["notes"] = labels.n_skipped, list(collector.describe())
    if as_json:
        print_json(facts)
        return
    say(f"{facts['n']} images -> {path} (sha256 {dataset.sha256[:12]})")
    for line in [*list_missing(facts), *facts["notes"], *(taker.list_left_out() if taker else ())]:
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
    width = max(10, *(len(name) + 2 for name in facts["classes"]))
    say(" " * width + "".join(f"{name:>13}" for name in columns))
    for emotion in facts["classes"]:
        say(f"{emotion:{width}}" + "".join(f"{counts[emotion]:13}" for counts in columns.values()))
    say(f"{'sum':{width}}" + "".join(f"{sum(counts.values()):13}" for counts in columns.values()))
    for kind in ("duplicates", "near_copies"):
        say(f"{kind.replace('_', '-')}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in facts[kind].items()))
    for key in ("picture", "picture_of_near_copies"):
        if key in facts:
            say(f"{key.replace('_', ' ').replace('near copies', 'near-copies')}: {facts[key]}")
