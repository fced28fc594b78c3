"""The commands of `emoscope study`: run, plan, status, report, card."""

import functools
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emoscope.cli.options import (
    STUDY_PACKAGES,
    Address,
    AsJson,
    Data,
    ExecutorChoice,
    ExecutorOption,
    Overwrite,
    Workers,
    print_json,
    require,
)

if TYPE_CHECKING:
    from emoscope.executors.executor import Executor
    from emoscope.study.running.plan import Plan
    from emoscope.study.running.status import TrainingStatus

study_app = typer.Typer(
    help="Studies: whole recipes from a file, their state, report and card.", no_args_is_help=True, add_completion=False
)


@study_app.command("run")
def run_study(
    file: Annotated[Path, typer.Argument(help="The study, a YAML file such as studies/thesis.yaml.")],
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the study.")],
    runs: Annotated[
        Path | None,
        typer.Option(metavar="RUNS", help="Folder of the trainings; studies can share it."),
    ] = None,
    final: Annotated[
        bool,
        typer.Option(
            "--final", help="Also measure on test images, the last thing to do; a study with families always ends so."
        ),
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(help="Instead of the file's; `naive` lets copies fall on both sides, to show what that is worth."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Optuna's database; by default search.db in DIR.")
    ] = None,
    mlflow: Annotated[str | None, typer.Option(metavar="URI", help="Also log finished runs to this MLflow.")] = None,
    executor: ExecutorOption = ExecutorChoice.local,
    address: Address = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Train everything a study file asks for, or go on where it was cut off; end with figures on validation."""
    require(*STUDY_PACKAGES)
    from emoscope.executors.executor import Resources
    from emoscope.executors.open import open_executor
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.recipes.study import StudyConfig
    from emoscope.study.running.mlflow import create_tracker

    values = load_study_file(file, protocol)
    if executor is ExecutorChoice.local:
        warn_of_cores(values)
    n_gpus = 0
    if workers > 1 and executor is ExecutorChoice.local:
        # Only here: it loads torch, and a finished study is told without.
        from emoscope.study.training.memory import count_accelerators

        n_gpus = count_accelerators()
    open_workers = functools.partial(open_executor, executor.value, address=address, workers=workers, n_gpus=n_gpus)
    if "families" in values:
        run_comparison(values, data, output, runs, storage, mlflow, as_json, open_workers)
        return
    config = StudyConfig.from_dict(values)
    track = create_tracker(mlflow, config.name)
    dataset = Dataset.load(data)
    from emoscope.study.running.runner import run_study as run

    with open_workers(shared=dataset, resources=config.resources or Resources()) as opened:
        result = run(dataset, config, output, runs, final, print_progress, track, opened)
    if as_json:
        print_json(result)
        return
    for part, figures in result["validation"].items():
        print_figures(part, figures)
    if result["final"]:
        for views, figures in (result["final"].get("mean") or result["final"]["views"]).items():
            print_figures(f"test, {views} views", figures)
    if result["model"]:
        typer.echo(f"{config.name} -> {result['model']}")


def load_study_file(file: Path, protocol: str | None) -> dict[str, object]:
    """Read a study's values, its protocol replaced if asked."""
    from emoscope.study.recipes.file import load_yaml

    values = load_yaml(file)
    if protocol and isinstance(settings := values.get("settings", {}), dict):
        values["settings"] = {**settings, "protocol": protocol}
    return values


def warn_of_cores(values: dict[str, object]) -> None:
    """Say where a study gives a training more threads than this machine has cores: it would crawl without a word."""
    from emoscope.core.native import count_cores
    from emoscope.study.running.study_folder import count_cores as count_wanted

    wanted, n = count_wanted(values), count_cores()
    if isinstance(wanted, int | float) and wanted > n:
        typer.echo(
            f"warning: a training has {wanted:g} threads (resources.cpus) and this machine {n} "
            f"core{'s' * (n != 1)}, so they wait for each other; run the study where there are {wanted:g}, or set "
            f"resources.cpus to {n}: threads are part of a training's name, so it begins anew, in another folder -o",
            err=True,
        )


@study_app.command("plan")
def plan_study(
    file: Annotated[Path, typer.Argument(help="The study, a YAML file such as studies/thesis.yaml.")],
    data: Data,
    machines: Annotated[int, typer.Option(min=1, help="Machines such as this one.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="Accelerators of each, a training on each; 0: one training.")] = 0,
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="Of one machine, in your currency.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how many trainings a study has and what they will take, from seconds of timing; nothing is trained."""
    require(*STUDY_PACKAGES, "optuna")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.recipes.families import Comparison
    from emoscope.study.recipes.study import StudyConfig
    from emoscope.study.running.plan import plan_study as plan

    values = load_study_file(file, None)
    config = (Comparison if "families" in values else StudyConfig).from_dict(values)
    warn_of_cores(values)
    dataset = Dataset.load(data)
    # The processor's seconds since the process began: what others do meanwhile is not the study's.
    found = plan(config, dataset, machines, gpus, time.process_time(), print_progress)
    low_h, hours, high_h = (seconds / 3600 for seconds in found.find_wall_s())
    cost = None if price_per_hour is None else hours * machines * price_per_hour
    if as_json:
        print_json({**found.to_dict(), "cost": cost})
        return
    print_phases(found)
    at_once = f"{found.n_slots} {'training' if found.n_slots == 1 else 'trainings'} at once"
    typer.echo(
        f"about {hours:.2f} h ({hours * 60:.1f} min) with {at_once}; "
        f"timed on {found.device} in {found.calibration_s:.0f} s"
    )
    if low_h < high_h:
        typer.echo(
            f"{low_h:.2f} h if early stopping ends every training as soon as it can, {high_h:.2f} h if it never does"
        )
    memory, disk = found.memory_bytes / 1e9, found.disk_bytes / 1e9
    typer.echo(f"memory: {memory:.1f} GB a training, beside the libraries; disk: {disk:.1f} GB")
    if found.device != "the CPU":
        typer.echo(
            "accelerators: {:.1f} h, {:.1f} to {:.1f}".format(*(found.find_accelerator_h()[i] for i in (1, 0, 2)))
        )
    if cost is not None:
        typer.echo(f"cost: about {cost:.2f} ({machines} x {hours:.2f} h x {price_per_hour:g})")
    if gpus and found.device == "the CPU":
        typer.echo(
            "warning: this machine has no accelerator, so the times are the CPU's; plan where it will run", err=True
        )


def print_phases(plan: "Plan") -> None:
    """Print a plan's phases as a table: epochs and minutes as low, expected and high."""
    typer.echo(f"{'family':20}{'phase':10}{'runs':>6}{'epochs':>12}{'TFLOP':>11}{'minutes':>30}")
    for p in plan.phases:
        epochs = "/".join(f"{n:.0f}" for n in p.epochs)
        minutes = " / ".join(f"{s / 60:.1f}" for s in p.seconds)
        typer.echo(f"{p.family:20}{p.phase:10}{p.n_runs:6}{epochs:>12}{p.flops / 1e12:11.3g}{minutes:>30}")
    minutes = " / ".join(f"{sum(p.seconds[i] for p in plan.phases) / 60:.1f}" for i in range(3))
    typer.echo(f"{'all':20}{'':10}{plan.n_runs:6}{'':12}{plan.flops / 1e12:11.3g}{minutes:>30}")


def print_progress(line: str) -> None:
    """Print one line on stderr."""
    typer.echo(line, err=True)


def run_comparison(
    values: dict[str, object],
    data: Path,
    output: Path,
    runs: Path | None,
    storage: str | None,
    mlflow: str | None,
    as_json: bool,
    open_workers: "Callable[..., AbstractContextManager[Executor]]",
) -> None:
    """Run a study with families and print what became of each."""
    require("optuna")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.running.finished import find_finished, summarize_families

    runs, dataset = runs or output / "runs", Dataset.load(data)
    results = None if mlflow else find_finished(values, dataset.sha256, output, runs)
    if results is None:
        from emoscope.executors.executor import Resources
        from emoscope.study.recipes.families import Comparison
        from emoscope.study.running.mlflow import create_tracker
        from emoscope.study.running.phases import run_comparison as run
        from emoscope.study.running.split_folder import draw_faces

        comparison = Comparison.from_dict(values)
        track = create_tracker(mlflow, comparison.name)
        resources = comparison.resources or Resources()
        with open_workers(shared=draw_faces(dataset, comparison), resources=resources) as executor:
            results = run(
                dataset,
                comparison,
                output,
                runs,
                storage=storage,
                on_progress=print_progress,
                track=track,
                executor=executor,
            )
    summary = summarize_families(results, runs)
    if as_json:
        print_json({"results": results, "test": summary})
        return
    for family, figures in summary.items():
        typer.echo(
            f"{family:20}{figures['network']:22}accuracy {figures['accuracy']:.4f} +- {figures['accuracy_sd']:.4f}  "
            f"macro F1 {figures['macro_f1']:.4f} +- {figures['macro_f1_sd']:.4f}  ({figures['n']} repeats)"
        )
    typer.echo(f"write the report with: emoscope study report {output} --data {data}")


@study_app.command("status")
def show_status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
    as_json: AsJson = False,
) -> None:
    """Tell where a study stands and how long it will take."""
    import dataclasses

    from emoscope.study.running.status import estimate_left_s, find_status, find_trainings, load_recipe, load_study

    if recipe := load_recipe(folder):
        print_trainings(find_trainings(*recipe), (folder / "final.json").is_file(), as_json)
        return
    phases = find_status(*load_study(folder))
    left_s = estimate_left_s(phases)
    if as_json:
        print_json({"phases": [dataclasses.asdict(phase) for phase in phases], "left_s": left_s})
        return
    typer.echo(f"{'family':20}{'phase':10}{'done':>6}{'failed':>8}{'of':>6}{'minutes':>9}")
    for phase in phases:
        minutes = sum(phase.seconds) / 60
        typer.echo(
            f"{phase.family:20}{phase.phase:10}{phase.n_done:6}{phase.n_failed:8}{phase.n_total:6}{minutes:9.1f}"
        )
    print_left(sum(phase.n_left for phase in phases), left_s)


def print_trainings(trainings: "list[TrainingStatus]", is_measured: bool, as_json: bool) -> None:
    """Print where the trainings of a study without families stand."""
    import dataclasses

    left = [training.left_s for training in trainings]
    left_s = None if None in left else sum(s for s in left if s is not None)
    if as_json:
        entries = [dataclasses.asdict(training) for training in trainings]
        print_json({"trainings": entries, "is_measured": is_measured, "left_s": left_s})
        return
    typer.echo(f"{'network':20}{'seed':>5}{'epoch':>7}{'of':>6}  run")
    for t in trainings:
        typer.echo(f"{t.network:20}{t.seed:5}{t.epoch:7}{t.epochs:6}  {t.run or ''}{', finished' * t.is_finished}")
    print_left(sum(not t.is_finished for t in trainings), left_s)
    if is_measured:
        typer.echo("measured on test images")


def print_left(n_left: int, left_s: float | None) -> None:
    """Print how many trainings are left and how long they will take."""
    n_trainings = f"{n_left} {'training' if n_left == 1 else 'trainings'} left"
    if n_left == 0:
        typer.echo("finished")
    elif left_s is None:
        typer.echo(f"{n_trainings}; none is far enough to tell their time")
    else:
        typer.echo(f"{n_trainings}, about {left_s / 3600:.1f} h ({left_s / 60:.0f} min)")


@study_app.command("report")
def write_study_report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
    data: Annotated[Path | None, typer.Option("--data", help="Its dataset, for the pictures of its images.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="By default DIR/report.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the report of a study of families: HTML, and tables as Markdown and LaTeX; also while it runs."""
    require(*STUDY_PACKAGES, "matplotlib")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.report import write_report

    typer.echo(f"report -> {write_report(folder, Dataset.load(data) if data else None, output, overwrite)}")


def print_figures(part: str, figures: Mapping[str, float]) -> None:
    """Print one line of figures."""
    values = "  ".join(f"{key} {figures[key]:.4f}" for key in ("accuracy", "macro_f1", "ece") if key in figures)
    typer.echo(f"{part.replace('_', ' '):34}{values}")


@study_app.command("card")
def write_study_card(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of a study that `run --final` measured, or of benchmarks/accuracy.py."
        ),
    ],
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The card, a Markdown file.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The study's folder or YAML file, where DIR holds an embedded network's figures alone."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the model card of a study's network, its figures beside it in a folder of the same name."""
    require(*STUDY_PACKAGES, "matplotlib")
    from emoscope.study.data.dataset import Dataset
    from emoscope.study.export.card import write_card

    typer.echo(f"card -> {write_card(folder, Dataset.load(data), output, recipe, overwrite)}")
