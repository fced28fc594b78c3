"""The search: a family's space in, trials chosen by Optuna and trained, one or several at a time, each recorded, out.

A trial is asked for by a sampler that is made anew with a seed of its own, so that a search which was cut off asks for
the same trials as one that never was. Optuna's storage remembers them; the run folders hold the figures.
"""

import contextlib
import dataclasses
import re
import sqlite3
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from emoscope.core.errors import DamagedError, InputError, MissingExtraError, OutputError, shorten
from emoscope.core.files import set_aside
from emoscope.study.recipes.families import Sampler, Space
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.running.together import run_together, wait_for

T = TypeVar("T")

Outcome = tuple[float | None, str]
"""Validation macro F1, or None and why the training failed."""

POSTGRESQL = "postgresql://"

STARTUP_SHARE = 1 / 3
"""Share of the trials that are random, before a surrogate says anything; Optuna's own default is 10, of 30 a third."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One point of the search that was trained, or could not be."""

    number: int
    """Counted from 0, in the order in which they were asked for."""
    config: TrainConfig
    macro_f1: float | None
    """On the hold-out's validation part; None where the training failed."""
    problem: str = ""
    """Why it failed."""


def create_sampler(kind: Sampler, seed: int, n_startup: int) -> optuna.samplers.BaseSampler:
    """Create one of Optuna's samplers."""
    if kind == "gp":
        # The objective is a trained network's figure: the same config gives the same value.
        with _quiet():
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_startup, deterministic_objective=True)
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup)
    return optuna.samplers.RandomSampler(seed=seed)


def create_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return Optuna's form of a space: indices, as integers where the values are ordered and have a between."""
    return {
        key: IntDistribution(0, len(values) - 1)
        if space.is_ordered(key)
        else CategoricalDistribution(tuple(range(len(values))))
        for key, values in space.values.items()
    }


async def search(
    space: Space,
    submit: Callable[[TrainConfig], "Future[T]"],
    read: Callable[["Future[T]"], Outcome],
    *,
    n_trials: int,
    sampler: Sampler = "gp",
    seed: int = 0,
    storage: str | None = None,
    name: str = "search",
    on_trial: Callable[[Trial], None] = lambda trial: None,
    in_flight: int = 1,
) -> list[Trial]:
    """Ask for trials until n_trials different ones are known.

    A sampler that asks for a known training is told its value and asked again; that costs nothing. Conditional
    settings are sampled always and dropped where they have no effect, so that a surrogate sees one space.

    With several trials in flight, trial i is asked for once the values of trials 0 to i - in_flight are told, no sooner
    and no later: which trials there are depends on in_flight and never on which training happens to end first.

    Args:
        space: what to choose from; must hold n_trials different trainings.
        submit: has a config trained.
        read: tells the outcome of a future of submit() that is done.
        n_trials: different trainings.
        sampler: `gp`, `tpe` or `random`.
        seed: of the search.
        storage: Optuna's database URL; None keeps it in memory.
        name: of the search in that storage.
        on_trial: told every different trial as soon as it is known, those of an earlier call first.
        in_flight: how many trials are asked for before the first of them is told.

    Returns:
        The different trials in the order in which they were asked for.

    Raises:
        InputError: the storage cannot be used.
        OutputError: it fails while it is written, for example because the disk is full; make room and run it again.
    """
    known: dict[TrainConfig, Trial] = {}
    futures: dict[TrainConfig, Future[T] | None] = {}
    flying: deque[tuple[FrozenTrial, TrainConfig]] = deque()
    was_known = False
    with _explain_failures(storage):
        study = _open_study(storage, name)
        earlier = _find_earlier(study, space)
        n_asked = len(earlier)
        for trial in earlier:
            config = space.create_config(trial.params)
            was_known = config in futures
            # A training that was cut off goes on from its last epoch, and is told when its turn comes.
            if trial.state == TrialState.RUNNING:
                flying.append((trial, config))
            if not was_known:
                futures[config] = submit(config) if trial.state == TrialState.RUNNING else None
            if trial.state != TrialState.RUNNING:
                _remember(known, config, trial, on_trial)
        while len(futures) < n_trials or flying:
            if len(futures) < n_trials and len(flying) < in_flight:
                own_seed = int(np.random.SeedSequence([seed, n_asked]).generate_state(1)[0])
                # Where a surrogate sticks to what it knows, one step at random leads on.
                kind: Sampler = "random" if was_known else sampler
                study.sampler = create_sampler(kind, own_seed, max(1, round(STARTUP_SHARE * n_trials)))
                trial = _ask(study, space)
                config = space.create_config(trial.params)
                n_asked, was_known = n_asked + 1, config in futures
                if not was_known:
                    futures[config] = submit(config)
                flying.append((trial, config))
                continue
            trial, config = flying.popleft()
            future = futures[config]
            if config in known or future is None:
                outcome = known[config].macro_f1, known[config].problem
            else:
                outcome = read(await wait_for(future))
            _remember(known, config, _tell(study, trial, outcome), on_trial)
    return list(known.values())


def rehearse_search(
    space: Space, evaluate: Callable[[TrainConfig], Outcome], *, n_trials: int, **options: Any
) -> list[Trial]:
    """Search with a function that gives each config's outcome at once; see search() for the rest."""

    def submit(config: TrainConfig) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        future.set_result(evaluate(config))
        return future

    return run_together(search(space, submit, Future.result, n_trials=n_trials, **options))[0]


def _find_earlier(study: optuna.Study, space: Space) -> list[FrozenTrial]:
    """Return the trials of earlier calls, those included that were in flight; give up those not wholly asked for."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        is_asked = set(trial.params) == set(space.values)
        is_known = trial.state == TrialState.COMPLETE or (trial.state == TrialState.FAIL and bool(_find_problem(trial)))
        if is_known or (trial.state == TrialState.RUNNING and is_asked):
            found.append(trial)
        elif not trial.state.is_finished():
            # Cut off in the middle of asking: the same trial is asked for again.
            study.tell(trial.number, state=TrialState.FAIL)
    return found


def _ask(study: optuna.Study, space: Space) -> FrozenTrial:
    with _quiet():
        number = study.ask(create_distributions(space)).number
    return study.get_trials(deepcopy=False)[number]


def _tell(study: optuna.Study, trial: FrozenTrial, outcome: Outcome) -> FrozenTrial:
    """Tell a trial's outcome; return the trial with it."""
    value, problem = outcome
    with _quiet():
        if value is not None:
            return study.tell(trial.number, value)
        optuna.Trial(study, trial._trial_id).set_user_attr("problem", problem or "failed")
        return study.tell(trial.number, state=TrialState.FAIL)


def find_best(trials: list[Trial], n: int) -> list[Trial]:
    """Return the n best of different trials, the first of equals first.

    Raises:
        InputError: every trial failed; says why the first one did.
    """
    done = [t for t in trials if t.macro_f1 is not None]
    if not done:
        raise InputError(
            f"all {len(trials)} trials of the search failed, the first because: {trials[0].problem}; mend the study"
        )
    return sorted(done, key=lambda t: (-(t.macro_f1 or 0.0), t.number))[:n]


def _remember(
    known: dict[TrainConfig, Trial], config: TrainConfig, trial: FrozenTrial, on_trial: Callable[[Trial], None]
) -> None:
    """Add a trial to the different ones unless it is among them."""
    if config in known:
        return
    value = trial.value if trial.state == TrialState.COMPLETE else None
    known[config] = Trial(len(known), config, value, _find_problem(trial))
    on_trial(known[config])


def _find_problem(trial: FrozenTrial) -> str:
    problem: Any = trial.user_attrs.get("problem", "")
    return str(problem)


def check_database(path: Path) -> None:
    """Set a study's own database aside where it is damaged: the trainings are kept, and are asked for again."""
    if not path.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            # To SQLite an emptied file is a new database.
            found = found if path.stat().st_size else "it is empty"
    except sqlite3.OperationalError:
        # Locked, or not to be opened: the search says what to do.
        return
    except sqlite3.DatabaseError as e:
        found = str(e)
    if found != "ok":
        # What SQLite has still to do in the old one must not be done to the new one.
        for other in (path, *path.parent.glob(f"{path.name}-*")):
            set_aside(DamagedError(other, found))


def _open_study(storage: str | None, name: str) -> optuna.Study:
    if storage and storage.startswith(POSTGRESQL):
        if find_spec("psycopg") is None:
            raise MissingExtraError.create(f"the storage {_describe(storage)} needs psycopg", "postgresql")
        # A URL without a driver means psycopg 2 to some versions of SQLAlchemy.
        storage = f"postgresql+psycopg{storage.removeprefix('postgresql')}"
    # Any failure of a database we did not make: not there, not ours, locked, no driver.
    try:
        with _quiet():
            return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except Exception as e:
        raise InputError(
            f"the search cannot use the storage {_describe(storage)} ({shorten(e)}); name a database that you "
            "may write to, such as sqlite:///search.db"
        ) from e


@contextlib.contextmanager
def _explain_failures(storage: str | None) -> Iterator[None]:
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as e:
        # Optuna's own message speaks of invalid data, the database's says what it is.
        raise OutputError(
            f"the search's database {_describe(storage)} cannot be used any more ({shorten(e.__cause__ or e)}); make "
            "room or mend it, and run the command again: finished trainings are kept"
        ) from e


def _describe(storage: str | None) -> str:
    """Return a storage's URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", storage or "in memory")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log of every trial off the terminal; ours tells the same."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
