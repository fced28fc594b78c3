"""Searches with several trials in flight: which trials there are never depends on who is faster, or on a kill."""

import asyncio
import getpass
import itertools
import os
import random
import shutil
import subprocess
import zlib
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from emoscope.core.errors import InputError, MissingExtraError
from emoscope.study.recipes.families import Comparison, Space
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running import search_storage
from emoscope.study.running.search import Outcome, Trial, compute_bars, find_best, rehearse_search, search

SPACE = Space(
    {"network": "compact-tiny"},
    {
        "optimizer": ("adam", "sgd"),
        "learning_rate": (0.0001, 0.001, 0.01),
        "batch_size": (32, 64, 128, 256),
        "head_layers": (0, 1),
        "head_width": (512, 1024),
    },
)
POSTGRESQL = Path("/usr/lib/postgresql/15/bin")


class CutOffError(Exception):
    """Stands for the kill of the process."""


async def end_one_by_one(
    trials: Coroutine[Any, Any, list[Trial]],
    begun: dict[Any, Any],
    finish: Callable[[Any], Any],
    order: random.Random,
    n_steps: int | None,
) -> list[Trial]:
    """Let trainings that have begun end in a random order; after `n_steps` of them the search is cut off."""
    task = asyncio.ensure_future(trials)
    for ended in itertools.count():
        # As far as it gets without the end of another training.
        for _ in range(10):
            await asyncio.sleep(0)
        if task.done():
            return task.result()
        if ended == n_steps:
            raise CutOffError
        future = order.choice(list(begun))
        future.set_result(finish(future))
    raise AssertionError


def score(config: TrainConfig) -> Outcome:
    if config.learning_rate == 0.01:
        return Outcome(None, "diverged")
    return Outcome(
        0.6 - 0.1 * abs(np.log10(config.learning_rate) + 3) - 0.02 * config.head_layers + config.batch_size / 5e3
    )


def search_slowly(in_flight: int, order: random.Random, n_steps: int | None = None, **options: Any) -> list[Trial]:
    """Search with trainings that end in random order, each only when one is waited for; stop after some of them."""
    begun: dict[Future[Outcome], TrainConfig] = {}
    most = 0

    def submit(config: TrainConfig, bars: tuple[float, ...]) -> "Future[Outcome]":
        nonlocal most
        future: Future[Outcome] = Future()
        begun[future] = config
        most = max(most, len(begun))
        return future

    async def drive() -> list[Trial]:
        trials = search(SPACE, submit, Future.result, in_flight=in_flight, **options)
        return await end_one_by_one(trials, begun, lambda future: score(begun.pop(future)), order, n_steps)

    trials = asyncio.run(drive())
    assert most <= in_flight
    return trials


@pytest.mark.parametrize("sampler", ["gp", "random"])
def test_which_trial_ends_first_makes_no_difference(sampler: str, tmp_path: Path) -> None:
    options = {"n_trials": 12, "sampler": sampler, "seed": 3}
    found = [search_slowly(3, random.Random(i), **options) for i in range(2)]
    assert found[0] == found[1] and len({trial.config for trial in found[0]}) == 12
    assert {trial.problem for trial in found[0]} == {"", "diverged"}
    one = rehearse_search(SPACE, score, **options)
    assert [t.config for t in one] == [t.config for t in search_slowly(1, random.Random(0), **options)]
    if sampler == "gp":
        assert [t.config for t in one] != [t.config for t in found[0]], "later trials know less"
    left, trials = random.Random(1), list[Trial]()
    while not trials:
        try:
            trials = search_slowly(3, left, left.randint(1, 4), **options, storage=f"sqlite:///{tmp_path}/s.db")
        except CutOffError:
            continue
    assert trials == found[0], "cut off or not"


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database server of our own, which listens on a socket in a temporary folder only."""
    if not (POSTGRESQL / "initdb").is_file():
        pytest.skip("PostgreSQL 15 is not installed (Debian: apt-get install postgresql)")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    if user == "nobody":
        shutil.chown(folder, user)
    run: Any = {"user": user, "cwd": folder, "check": True, "stdout": subprocess.DEVNULL} if user == "nobody" else {
        "cwd": folder, "check": True, "stdout": subprocess.DEVNULL}  # fmt: skip
    data = str(folder / "data")
    try:
        subprocess.run([POSTGRESQL / "initdb", "-D", data, "-U", "emo", "-A", "trust", "--no-sync"], **run)
        options = f"-c listen_addresses='' -k {folder} -F"
        subprocess.run([POSTGRESQL / "pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start"], **run)
        try:
            yield f"postgresql://emo@/postgres?host={folder}"
        finally:
            subprocess.run([POSTGRESQL / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_search_in_postgresql(postgresql: str) -> None:
    options: dict[str, Any] = {"n_trials": 6, "sampler": "random", "seed": 3}
    here = search_slowly(2, random.Random(0), **options)
    with pytest.raises(CutOffError):
        search_slowly(2, random.Random(0), 3, **options, storage=postgresql, name="a/b")
    assert search_slowly(2, random.Random(0), **options, storage=postgresql, name="a/b") == here
    assert rehearse_search(SPACE, lambda c: pytest.fail("it trains"), storage=postgresql, name="a/b", **options) == here


def test_what_is_said_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"cannot use the storage postgresql\+?\w*://me:\*\*\*@127.0.0.1:9/db"):
        rehearse_search(SPACE, score, n_trials=1, storage="postgresql://me:secret@127.0.0.1:9/db")
    monkeypatch.setattr(search_storage, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[postgresql\]'"):
        rehearse_search(SPACE, score, n_trials=1, storage="postgresql://127.0.0.1:9/db")


def test_flights_and_resources_in_a_study_file() -> None:
    values: dict[str, Any] = {
        "name": "s", "settings": {"protocol": "thesis"}, "families": {"a": {"space": {"batch_size": [32, 64]}}}
    }  # fmt: skip
    plain = Comparison.from_dict(values)
    flying = Comparison.from_dict({**values, "search": {"in_flight": 2}, "resources": {"cpus": 2, "gpus": 0.5}})
    assert plain.search.in_flight == 1 and plain.resources is None
    assert flying.search.in_flight == 2 and flying.resources is not None and flying.resources.gpus == 0.5
    assert plain.describe_search("a") != flying.describe_search("a"), "other trials"
    assert plain.describe_search("a") == Comparison.from_dict({**values, "resources": {"cpus": 1}}).describe_search("a")
    with pytest.raises(InputError) as e:
        Comparison.from_dict({**values, "search": {"in_flight": 0}, "resources": {"cpu": 1, "gpus": -1}})
    for words in ("in_flight is 0", "unknown key cpu, did you mean cpus", "gpus is -1, expected a number of 0 to 64"):
        assert words in str(e.value)


def test_optunas_own_tools_open_a_search(tmp_path: Path) -> None:
    """True values, the run's name and every epoch's figure stand in the database."""
    space = Space(
        {"network": "compact-tiny", "size_shares": [1.0]},
        {
            "optimizer": ("adam", "sgd"),
            "learning_rate": (0.0001, 0.001, 0.01),
            "sizes_px": ((24,), (32,)),
            "augment": (False, True),
        },
    )
    rates = {0.0001: 0.2, 0.001: 0.6, 0.01: 0.4}

    def submit(config: TrainConfig, bars: tuple[float, ...]) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        value = rates[config.learning_rate] + 0.01 * config.augment
        future.set_result(Outcome(value, "", f"run-{config.learning_rate}", (value / 2, value)))
        return future

    url = f"sqlite:///{tmp_path / 'search.db'}"
    trials = asyncio.run(search(space, submit, Future.result, n_trials=16, storage=url, name="s"))
    study = optuna.load_study(study_name="s", storage=url)
    best = study.best_trial
    assert best.params["learning_rate"] == 0.001 and best.user_attrs["run"] == "run-0.001"
    assert best.intermediate_values == {1: best.value / 2, 2: best.value}
    assert {trial.params["sizes_px"] for trial in study.trials} == {24, 32}
    assert {trial.params["augment"] for trial in study.trials} == {False, True}
    importances = optuna.importance.get_param_importances(study)
    assert next(iter(importances)) == "learning_rate"
    assert len(trials) == 16 <= len(study.trials)


def draw_curve(config: TrainConfig, n_epochs: int = 20) -> list[float]:
    """A made-up curve of a training: the higher its end, the higher its way there, nearly."""
    rng = np.random.default_rng(zlib.crc32(str(sorted(config.describe_changes().items())).encode()))
    end = 0.3 + 0.3 * rng.random()
    return [end * (1 - 0.7 ** (epoch + 1)) + rng.normal(0, 0.005) for epoch in range(n_epochs)]


def prune(in_flight: int, order: random.Random, n_steps: int | None = None, **options: Any) -> tuple[list[Trial], int]:
    """Search with trainings that stop at their bars, which end in random order; return the trials and epochs done."""
    n_epochs = 0
    begun: dict[Future[Outcome], Outcome] = {}

    def submit(config: TrainConfig, bars: tuple[float, ...]) -> "Future[Outcome]":
        nonlocal n_epochs
        curve = draw_curve(config)
        ends = [i for i in range(len(curve)) if i < len(bars) and max(curve[: i + 1]) < bars[i]]
        done = tuple(curve[: ends[0] + 1]) if ends else tuple(curve)
        n_epochs += len(done)
        future: Future[Outcome] = Future()
        begun[future] = Outcome(max(done), "", "r", done, bool(ends))
        return future

    async def drive() -> list[Trial]:
        return await end_one_by_one(
            search(SPACE, submit, Future.result, in_flight=in_flight, pruner="median", n_trials=20, **options),
            begun,
            begun.pop,
            order,
            n_steps,
        )

    return asyncio.run(drive()), n_epochs


def test_pruning_saves_epochs_and_is_the_same_however_it_goes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"sampler": "random", "seed": 1}
    (first, n_epochs), (second, _) = (prune(3, random.Random(i), **options) for i in range(2))
    assert first == second and n_epochs < 0.85 * 20 * 20
    best = max(first, key=lambda trial: max(draw_curve(trial.config)))
    assert find_best(first, 1)[0] == best, "it ends none that would have won"
    url = f"sqlite:///{tmp_path / 's.db'}"
    with pytest.raises(CutOffError):
        prune(3, random.Random(0), 9, **options, storage=url)
    assert prune(3, random.Random(5), **options, storage=url)[0] == first, "cut off or not"


def test_bars_are_the_median_of_the_best_so_far() -> None:
    curves = [[0.1, 0.3, 0.2, 0.5], [0.2, 0.2, 0.2, 0.2], [0.4], [], [0.1, 0.2, 0.3, 0.6], [0.3, 0.3, 0.3, 0.4]]
    assert compute_bars(curves, "median") == (0.0, 0.0, 0.0, 0.4)
    assert compute_bars(curves, "none") == compute_bars(curves[:5], "median") == ()


def test_halving_asks_for_the_upper_half_quarter_and_eighth() -> None:
    curves = [[i / 100] * 14 for i in range(8)]
    halves = np.zeros(14)
    halves[[2, 5, 11]] = np.quantile(np.arange(8) / 100, [0.5, 0.75, 0.875])
    np.testing.assert_allclose(compute_bars(curves, "halving"), halves)
    assert compute_bars(curves[:4], "halving") == ()
